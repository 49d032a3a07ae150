"""The loading functions that picoGPT and its many descendants call, without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import Problem, SchemaError, SourceNotFoundError, UsageError
from ..formats.statements import HPARAMS, MAX_CONFIG_BYTES
from ..io.source import check_path, read_small
from ..io.strict_json import parse_config
from .open import open  # noqa: A004 - a checkpoint, not a file

if TYPE_CHECKING:
    import os
    from pathlib import Path
    from typing import Any, Final

    from ..tokenizer.encoder import Encoder

_SIZES: Final = ("124M", "355M", "774M", "1558M")
"""OpenAI's names of its models."""


def load_encoder_hparams_and_params(
    model_size: str, models_dir: str | os.PathLike[str]
) -> tuple[Encoder, dict[str, Any], dict[str, Any]]:
    """Load all of one of OpenAI's models, with picoGPT's signature and result.

    ``model_size`` is 124M, 355M, 774M or 1558M; the model's folder is the one of that name in
    ``models_dir``. It is fetched if a file of it that is needed is not there; a file that is there
    is not replaced. Returned are the tokenizer, the sizes as ``hparams.json`` has them, and the
    weights as :func:`load_gpt2_params_from_tf_ckpt` returns them. Needs
    ``pip install 'gpt2-convert[tokenizer]'``, and ``[fetch]`` to fetch.
    Source of the signature: jaymody/picoGPT, utils.py.

    Raises:
        UsageError: OpenAI has no model of that size.
        UnsupportedError: what encodes, or what would have to fetch, is not installed.
        Gpt2ConvertError: as load_encoder(), load_gpt2_params_from_tf_ckpt() and fetch().
    """
    if model_size not in _SIZES:
        raise UsageError(f"model_size {model_size!r}: one of {', '.join(_SIZES)} expected")
    folder = check_path(models_dir, "folder of models") / model_size
    from ..tokenizer.library import load_library

    load_library()  # before half a gigabyte is fetched for nothing
    try:
        return _load_all(folder)
    except SourceNotFoundError:
        from .fetch import fetch

        fetch(model_size, folder)
    return _load_all(folder)


def load_gpt2_params_from_tf_ckpt(
    tf_ckpt_path: str | os.PathLike[str], hparams: Mapping[str, Any], *, scope: str | None = None
) -> dict[str, Any]:
    """Load all weights into nested dicts and lists of NumPy arrays, with picoGPT's signature.

    ``tf_ckpt_path`` is what tf.train.latest_checkpoint returns, or the model's folder. The keys of
    the result are wte, wpe, blocks and ln_f; at 124M ``blocks[0]["attn"]["c_attn"]["w"]`` is
    (768, 2304). They are plain dicts and lists, as the original's are, since jax.tree.map takes no
    others; :meth:`.Checkpoint.tree` has some that print in a line. ``scope`` is as in open().
    Source of the signature: jaymody/picoGPT, utils.py.

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
        return checkpoint.tree().to_dict()


def shape_tree(params: object) -> Any:  # noqa: ANN401 - as nested as what it is given
    """Return nested dicts and lists of arrays with the shape of each array in its place, a list.

    ::

        shape_tree(params)["blocks"][0]["attn"]["c_attn"]  # {"b": [2304], "w": [768, 2304]}

    Raises:
        UsageError: something in it is neither a dict, a list nor an array.
    """
    if isinstance(params, Mapping):
        return {key: shape_tree(value) for key, value in params.items()}
    if isinstance(params, list | tuple):
        return [shape_tree(value) for value in params]
    shape = getattr(params, "shape", None)
    if not isinstance(shape, tuple):
        raise UsageError(f"dicts, lists and arrays expected, found {type(params).__name__}")
    return list(shape)


def _load_all(folder: Path) -> tuple[Encoder, dict[str, Any], dict[str, Any]]:
    from .encoder import load_encoder

    encoder = load_encoder(folder)
    path = folder / HPARAMS
    hparams = parse_config(read_small(path, MAX_CONFIG_BYTES), str(path))
    return encoder, hparams, load_gpt2_params_from_tf_ckpt(folder, hparams)
