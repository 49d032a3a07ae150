"""Checkpoints as TensorFlow writes them: one set of weights in every form that a saver may choose.

WRITERS is a plain table: a function takes TensorFlow, an empty folder and the arrays by name, and
writes a checkpoint there of which the folder is the path.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType
    from typing import Any

    from support.bundles import Extents

    Array = np.ndarray[Any, Any]
    Arrays = Mapping[str, Array]
    Writer = Callable[[ModuleType, Path, Arrays], None]

WHOLE = (0, -1)
UNREADABLE = {"float16", "uint16", "uint32", "uint64", "string"}
"""Dtypes of which TensorFlow writes slices but does not read them."""


def import_tensorflow() -> ModuleType:
    """Return TensorFlow, without which a test cannot run."""
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed: pip install 'gpt2-convert[tensorflow]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its imports warn, which is not ours to mend
        return importlib.import_module("tensorflow")


def save(
    tf: ModuleType, prefix: Path, tensors: Mapping[str, Any], slices: Sequence[str] | None = None
) -> Path:
    """Write ``tensors`` with TensorFlow; a name before a ``#`` may occur several times."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=[name.partition("#")[0] for name in tensors],
        shape_and_slices=slices or [""] * len(tensors),
        tensors=[tf.constant(tensor) for tensor in tensors.values()],
    )
    return prefix


def load(tf: ModuleType, prefix: Path) -> dict[str, Array]:
    """Read everything with TensorFlow."""
    return {
        name: np.asarray(tf.train.load_variable(str(prefix), name))
        for name, _ in tf.train.list_variables(str(prefix))
    }


def merge(tf: ModuleType, folder: Path, parts: Sequence[Mapping[str, Any]]) -> Path:
    """Write each part as a worker would, and merge them into shards of one checkpoint."""
    prefixes = [
        str(save(tf, folder / "parts" / str(number), part)) for number, part in enumerate(parts)
    ]
    prefix = folder / "model.ckpt"
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=prefixes, destination_prefix=str(prefix), delete_old_dirs=True
    )
    return prefix


def grid(shape: tuple[int, ...], edges: Sequence[Sequence[int]]) -> list[Extents]:
    """The slices between all edges of each axis; an axis without edges is whole."""
    spans = [
        [(start, stop - start) for start, stop in pairwise([0, *inner, dim])] if inner else [WHOLE]
        for dim, inner in zip(shape, edges, strict=True)
    ]
    return list(product(*spans))


def spec(shape: tuple[int, ...], extents: Extents) -> str:
    """A slice as TensorFlow's ``shape_and_slices`` writes it."""
    spans = ("-" if length == -1 else f"{start},{length}" for start, length in extents)
    return f"{' '.join(map(str, shape))} {':'.join(spans)}"


def cut(array: Array, extents: Extents) -> Array:
    box = tuple(slice(at, None if length == -1 else at + length) for at, length in extents)
    found: Array = array[box]
    return found


def save_slices(
    tf: ModuleType, prefix: Path, arrays: Mapping[str, tuple[Array, Sequence[Extents]]]
) -> Path:
    """Write arrays with TensorFlow, each in its slices; without any, it is whole."""
    tensors: dict[str, Any] = {}
    specs: list[str] = []
    for name, (array, slices) in arrays.items():
        for number, extents in enumerate(slices):
            tensors[f"{name}#{number}"] = cut(array, extents)
            specs.append(spec(array.shape, extents))
        if not slices:
            tensors[name] = array
            specs.append("")
    return save(tf, prefix, tensors, specs)


# The forms.


def write_plain(tf: ModuleType, folder: Path, arrays: Arrays) -> None:
    save(tf, folder / "model.ckpt", arrays)


def write_shards(tf: ModuleType, folder: Path, arrays: Arrays) -> None:
    names = list(arrays)
    merge(tf, folder, [{name: arrays[name] for name in names[part::3]} for part in range(3)])


def write_slices(axis: int) -> Writer:
    """Cut both embeddings in three along ``axis``, in unequal parts."""

    def write(tf: ModuleType, folder: Path, arrays: Arrays) -> None:
        halved: dict[str, tuple[Array, list[Extents]]] = {}
        for name, array in arrays.items():
            edges: list[list[int]] = [[] for _ in array.shape]
            if name.endswith(("wte", "wpe")):
                edges[axis] = [1, array.shape[axis] // 2]
            halved[name] = array, grid(array.shape, edges) if any(edges) else []
        save_slices(tf, folder / "model.ckpt", halved)

    return write


def write_grid(tf: ModuleType, folder: Path, arrays: Arrays) -> None:
    """Cut every tensor on every axis that has two elements."""
    cuts = {
        name: (array, grid(array.shape, [[dim // 2] if dim > 1 else [] for dim in array.shape]))
        for name, array in arrays.items()
    }
    save_slices(tf, folder / "model.ckpt", cuts)


def write_partitioner(tf: ModuleType, folder: Path, arrays: Arrays) -> None:
    """Let TensorFlow 1's variables and sharded saver do it, as a trainer with a partitioner."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        for name, array in arrays.items():
            axis = array.shape.index(max(array.shape))
            v1.get_variable(
                name,
                shape=array.shape,
                dtype=array.dtype,
                initializer=_part_of(array),
                partitioner=v1.fixed_size_partitioner(3, axis),
            )
        session.run(v1.global_variables_initializer())
        v1.train.Saver(sharded=True).save(session, str(folder / "model"), 7)


def write_training(tf: ModuleType, folder: Path, arrays: Arrays) -> None:
    """Write Adam's state beside the weights, and the step, under the names of TensorFlow 1."""
    random = np.random.default_rng(5)
    state: dict[str, Any] = dict(arrays)
    for name, array in arrays.items():
        for slot in ("Adam", "Adam_1"):
            state[f"{name}/{slot}"] = random.random(array.shape, np.float32)
    state |= {"beta1_power": np.float32(0.9), "beta2_power": np.float32(0.999)}
    state["global_step"] = np.int64(1_000)
    save(tf, folder / "model.ckpt", state)


def _part_of(array: Array) -> Callable[..., Array]:
    def initialize(shape: Sequence[int], dtype: object, partition_info: Any) -> Array:  # noqa: ANN401
        offsets = partition_info.var_offset
        return cut(array, tuple(zip(offsets, shape, strict=True)))

    return initialize


def write_cast(dtype: str) -> Writer:
    def write(tf: ModuleType, folder: Path, arrays: Arrays) -> None:
        cast = {name: tf.cast(array, dtype) for name, array in arrays.items()}
        save(tf, folder / "model.ckpt", cast)

    return write


def write_snappy(tf: ModuleType, folder: Path, arrays: Arrays) -> None:
    """Write an index as older TensorFlows left it after merging: compressed, several blocks.

    Today's do not compress any more, so the layout is ours and TensorFlow only reads it.
    """
    bundle = bundles.Bundle(shards=[bytearray(), bytearray()])
    for number, (name, array) in enumerate(arrays.items()):
        bundle.add(name, array, number % 2)
    bundle.write(folder / "model.ckpt", snappy=True, block_size=600)


WRITERS: dict[str, Writer] = {
    "plain": write_plain,
    "3 shards": write_shards,
    "embeddings cut in rows": write_slices(0),
    "embeddings cut in columns": write_slices(1),
    "everything cut on every axis": write_grid,
    "partitioner": write_partitioner,
    "Snappy": write_snappy,
    "with Adam's state": write_training,
}
"""Forms of which every one holds the arrays as they are."""

CASTS: dict[str, Writer] = {
    dtype: write_cast(dtype) for dtype in ("bfloat16", "float16", "float64")
}
"""Forms that hold them in another dtype."""
