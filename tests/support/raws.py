"""Raw checkpoints in memory, for tests of what comes after the readers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from support import bundles

from gpt2_convert.checkpoint.config import Config
from gpt2_convert.checkpoint.raw import RawCheckpoint, RawConfig
from gpt2_convert.io.source import CHUNK
from gpt2_convert.tensors.dtype import DType
from gpt2_convert.tensors.tensor import LazyTensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    Array = np.ndarray[Any, Any]

CONFIG: dict[str, Any] = {
    "model_type": "gpt2",
    "vocab_size": 61,
    "n_positions": 16,
    "n_embd": 32,
    "n_head": 4,
    "n_layer": 3,
}
"""What config.json says of the small model, and no more than it has to."""


def lazy(name: str, array: Array) -> LazyTensor:
    data = np.ascontiguousarray(array).tobytes()

    def read() -> Iterator[bytes]:
        for start in range(0, len(data), CHUNK):
            yield data[start : start + CHUNK]

    return LazyTensor(name, array.shape, DType(array.dtype.name), len(data), read, name)


def raw(
    tensors: Mapping[str, Array] | list[tuple[str, Array]],
    hparams: Mapping[str, object] | None = None,
) -> RawCheckpoint:
    pairs = tensors if isinstance(tensors, list) else list(tensors.items())
    stated = () if hparams is None else (RawConfig("hparams.json", json.dumps(hparams).encode()),)
    return RawCheckpoint(
        format="memory",
        where="memory",
        tensors=tuple(lazy(name, array) for name, array in pairs),
        files=(),
        open_files=(),
        configs=stated,
    )


def config(**more: Any) -> Config:  # noqa: ANN401
    """The configuration of the small model, which computes as GPT-2 does."""
    return Config(**{**bundles.TINY, "n_inner": 128, **more})


def canonical(sizes: Mapping[str, int] = bundles.TINY, seed: int = 0) -> dict[str, Array]:
    """The weights of bundles.gpt2_arrays under canonical names, typed out by hand."""
    weights = bundles.gpt2_arrays(sizes, seed)
    names = {"wte": "model/wte", "wpe": "model/wpe"}
    for layer in range(sizes["n_layer"]):
        for leaf in (
            "ln_1.g", "ln_1.b", "attn.c_attn.w", "attn.c_attn.b", "attn.c_proj.w", "attn.c_proj.b",
            "ln_2.g", "ln_2.b", "mlp.c_fc.w", "mlp.c_fc.b", "mlp.c_proj.w", "mlp.c_proj.b",
        ):  # fmt: skip
            names[f"blocks[{layer}].{leaf}"] = f"model/h{layer}/{leaf.replace('.', '/')}"
    names |= {"ln_f.g": "model/ln_f/g", "ln_f.b": "model/ln_f/b"}
    return {
        name: weights[source][0] if weights[source].ndim == 3 else weights[source]
        for name, source in names.items()
    }


def huggingface_name(name: str) -> str:
    """The name that Hugging Face's models have for a canonical one, without any wrapper."""
    stem, _, leaf = name.rpartition(".")
    if not stem:
        return f"{name}.weight"
    stem = stem.replace("blocks[", "h.").replace("]", "")
    return f"{stem}.{'bias' if leaf == 'b' else 'weight'}"


def huggingface(sizes: Mapping[str, int] = bundles.TINY, seed: int = 0) -> dict[str, Array]:
    """The same weights under Hugging Face's names, without any wrapper."""
    return {huggingface_name(name): array for name, array in canonical(sizes, seed).items()}


def linear(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The same with the matrices of the blocks [out, in], as torch's nn.Linear has them."""
    return {
        name: np.ascontiguousarray(array.T) if ".c_" in name and array.ndim == 2 else array
        for name, array in arrays.items()
    }


def keras(front: str, embedding: str = "weight", ending: str = ":0") -> dict[str, Array]:
    """The variables of TFGPT2LMHeadModel, whose biases have an axis in front."""
    found: dict[str, Array] = {}
    for name, array in huggingface().items():
        parts = name.split(".")
        if parts[0] == "h":
            parts[:2] = [f"h_._{parts[1]}"]
        if parts[-2].startswith("ln_"):
            parts[-1] = {"weight": "gamma", "bias": "beta"}[parts[-1]]
        elif parts[0] == "wpe":
            parts[-1] = "embeddings"
        elif parts[0] == "wte":
            parts[-1] = embedding
        elif parts[-1] == "bias":
            array = array[None]
        found[f"{front}{'/'.join(parts)}{ending}"] = array
    return found
