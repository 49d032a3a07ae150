"""The loading function that picoGPT and its many descendants call, without TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import Problem, SchemaError
from .open import open  # noqa: A004 - a checkpoint, not a file

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from typing import Any


def load_gpt2_params_from_tf_ckpt(
    tf_ckpt_path: str | os.PathLike[str], hparams: Mapping[str, Any], *, scope: str | None = None
) -> dict[str, Any]:
    """Load all weights into nested dicts and lists of NumPy arrays, with picoGPT's signature.

    ``tf_ckpt_path`` is what tf.train.latest_checkpoint returns, or the model's folder. The keys of
    the result are wte, wpe, blocks and ln_f; at 124M ``blocks[0]["attn"]["c_attn"]["w"]`` is
    (768, 2304). ``scope`` is as in open(). Source of the signature: jaymody/picoGPT, utils.py.

    Raises:
        SchemaError: ``hparams`` states another size than the checkpoint has. (The original fills
            up with empty blocks, or fails with an IndexError.)
        Gpt2ConvertError: as open().
    """
    with open(tf_ckpt_path, scope=scope) as checkpoint:
        for key, value in checkpoint.hparams.known().items():
            if key in hparams and hparams[key] != value:
                problem = Problem(
                    f"hparams say {key} {hparams[key]!r}, but the checkpoint has {value}"
                )
                raise SchemaError(checkpoint.raw.where, (problem,))
        return checkpoint.tree()
