"""Checkpoints in the V1 format, as TensorFlow writes them and as bytes of a test's choice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from support import bundles

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

    from support.contracts import Array


def save_v1(tf: ModuleType, path: Path, arrays: Mapping[str, Array]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tf.raw_ops.SaveSlices(
        filename=str(path),
        tensor_names=list(arrays),
        shapes_and_slices=[""] * len(arrays),
        data=[tf.constant(array) for array in arrays.values()],
    )
    return path


def save_v1_as_a_trainer(tf: ModuleType, folder: Path, *, sharded: bool = False) -> str:
    """Let the saver of TensorFlow 1 write a GPT-2, step 7, and return what it calls it."""
    v1 = tf.compat.v1
    folder.mkdir(parents=True, exist_ok=True)
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")  # the format is deprecated, it says
    try:
        with tf.Graph().as_default(), v1.Session() as session:
            for name, array in bundles.gpt2_arrays().items():
                v1.get_variable(name, initializer=array)
            v1.get_variable("global_step", initializer=np.int64(7))
            session.run(v1.global_variables_initializer())
            saver = v1.train.Saver(write_version=v1.train.SaverDef.V1, sharded=sharded)
            saved: str = saver.save(session, str(folder / "model.ckpt"), 7)
    finally:
        logger.setLevel(level)
    (folder / "hparams.json").write_text(json.dumps(bundles.TINY))
    return saved


def saved_slices(
    name: bytes, shape: tuple[int, ...], dtype: int = 1, version: bytes = b"\x08\x01"
) -> bytes:
    """The SavedTensorSlices of a V1 file of one tensor in one slice (saved_tensor_slice.proto)."""
    whole = bundles.proto_bytes(1, b"") * len(shape)
    tensor = bundles.proto_bytes(1, name) + bundles.proto_bytes(2, bundles.shape_proto(shape))
    tensor += bundles.proto_int(3, dtype) + bundles.proto_bytes(4, whole)
    versions = bundles.proto_bytes(2, version)
    return bundles.proto_bytes(1, bundles.proto_bytes(1, tensor) + versions)
