"""What is fuzzed: a way from bytes to files for each reader, and what must hold for any bytes.

Nothing but the package's own errors may escape, each of them one short line; whatever opens can be
listed, adopted and streamed, and gives as many bytes as it has announced. Hangs and memory are the
driver's to notice. No module of the fuzzer is needed here, so that the regressions are replayed
by the ordinary tests.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cramjam
import numpy as np
from support import bundles, raws, torch_files
from support.corpus.safetensors import encode as encode_safetensors

from gpt2_convert import Gpt2ConvertError
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.io.source import CHUNK
from gpt2_convert.model.adopt import adopt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from gpt2_convert.tensors.tensor import LazyTensor

MOST_STREAMED = 8 << 20
"""Bytes of tensors that are read for one input; a bomb may announce as much as it likes."""
LONGEST_MESSAGE = 2000
SIZES = {"n_vocab": 7, "n_ctx": 3, "n_embd": 4, "n_head": 2, "n_layer": 1}
SEPARATOR = b"\x00+++\x00"
"""Between the files of one input. It is long, so that no mutation makes one by chance."""


@dataclass(frozen=True)
class Target:
    """``write`` makes files of an input and returns the path to open; ``seeds`` are valid inputs.

    ``words`` are strings that a mutation may put in.
    """

    write: Callable[[bytes, Path], Path]
    seeds: Callable[[Path], Iterable[bytes]]
    words: tuple[bytes, ...]

    def run(self, data: bytes, folder: Path) -> None:
        """Open what ``data`` stands for and read all of it; ``folder`` is for its files."""
        path = self.write(data, folder)
        try:
            with open_raw(path) as raw:
                for fault in raw.faults:
                    check_message(fault)
                left = MOST_STREAMED
                for tensor in raw.tensors:
                    if tensor.nbytes <= left:
                        left -= tensor.nbytes
                        stream(tensor)
                adopt(raw)
        except Gpt2ConvertError as error:
            check_message(error)


def stream(tensor: LazyTensor) -> None:
    read = 0
    try:
        for chunk in tensor.chunks():
            assert 0 < len(chunk) <= CHUNK
            read += len(chunk)
    except Gpt2ConvertError as error:
        check_message(error)
    else:
        assert read == tensor.nbytes


def check_message(error: Gpt2ConvertError) -> None:
    message = str(error)
    assert message.isprintable() or "\n" not in message
    assert len(message) < LONGEST_MESSAGE


# TensorFlow bundles: the data file, then the blocks of the index, each with its type in front. The
# checksums of the blocks are put right, since no mutation would find one.

RAW_INDEX = b"R"
INDEX_BLOCK = b"I"


def write_bundle(data: bytes, folder: Path) -> Path:
    shard, *blocks = data.split(SEPARATOR)
    raw = bool(blocks) and blocks[0].startswith(RAW_INDEX)
    index = blocks[0][1:] if raw else assemble_table(blocks)
    (folder / "m.index").write_bytes(index)
    (folder / "m.data-00000-of-00001").write_bytes(shard)
    return folder / "m"


def assemble_table(blocks: list[bytes]) -> bytes:
    """Return a table of data blocks; one marked as such takes the place of the index block."""
    out = bytearray()
    index = bundles.Block(interval=1)
    chosen = None
    for number, block in enumerate(blocks):
        if block.startswith(INDEX_BLOCK):
            chosen = block[1:]
            continue
        kind, content = (block[0], block[1:]) if block else (0, b"")
        index.add(b"\xff" * 8 + bytes([number & 0xFF]), handle(out, content))
        out += content + bundles.trailer(content, kind)
    content = index.encode() if chosen is None else chosen
    footer = bundles.varint(0) + bundles.varint(0) + handle(out, content)
    out += content + bundles.trailer(content, 0)
    return bytes(out) + footer.ljust(40, b"\0") + bundles.MAGIC.to_bytes(8, "little")


def handle(out: bytearray, content: bytes) -> bytes:
    return bundles.varint(len(out)) + bundles.varint(len(content))


def bundle_seeds(folder: Path) -> Iterable[bytes]:
    bundle = bundles.Bundle()
    for name, array in bundles.gpt2_arrays(SIZES).items():
        bundle.add(name, array)
    shard = bytes(bundle.shards[0])
    records = bundle.records()
    yield shard + SEPARATOR + RAW_INDEX + bundles.encode_table(records)
    halves = []
    for part in (records[:9], records[9:]):
        block = bundles.Block()
        for key, value in part:
            block.add(key, value)
        halves.append(block.encode())
    yield shard + b"".join(SEPARATOR + b"\0" + half for half in halves)
    packed = (bytes(cramjam.snappy.compress_raw(half)) for half in halves)
    yield shard + b"".join(SEPARATOR + b"\1" + half for half in packed)
    block = bundles.Block()
    for key, value in records[:3]:
        block.add(key, value)
    yield shard[:240] + SEPARATOR + b"\0" + block.encode()
    yield from partitioned_seeds()


def partitioned_seeds() -> Iterable[bytes]:
    """A variable in two slices, as tensorbundle.proto has them: [0, 1) and [1, 3) of 3 rows."""
    weights = np.arange(6, dtype=np.float32)
    parts = (weights[:2].tobytes(), weights[2:].tobytes())
    extents = ((0, 1), (1, 2))
    block = bundles.Block()
    block.add(b"", bundles.header())
    offset = 0
    for (start, length), part in zip(extents, parts, strict=True):
        key = b"\0w\0\1\1\2" + bytes([0x80 ^ start, 0x80 ^ length]) + b"\x80\x7f"
        entry = bundles.Entry(1, (length, 2), len(part), bundles.masked_crc(part), offset)
        block.add(key, entry.encode())
        offset += len(part)
    slices = b""
    for start, length in extents:
        extent = bundles.proto_int(1, start) + bundles.proto_int(2, length)
        slices += bundles.proto_bytes(
            7, bundles.proto_bytes(1, extent) + bundles.proto_bytes(1, b"")
        )
    block.add(b"w", bundles.Entry(1, (3, 2), 0, b"", extra=slices).encode())
    yield b"".join(parts) + SEPARATOR + b"\0" + block.encode()


# The texts beside the weights: the file `checkpoint`, hparams.json and config.json.


def write_texts(data: bytes, folder: Path) -> Path:
    texts = [*data.split(SEPARATOR), b"", b""]
    if texts[0].startswith(b"{"):
        if not (folder / "model.safetensors").exists():
            arrays = raws.huggingface(SIZES)
            (folder / "model.safetensors").write_bytes(encode_safetensors(arrays))
        (folder / "config.json").write_bytes(texts[0])
        return folder / "model.safetensors"
    place = folder / "tf"
    if not place.exists():
        bundles.write_gpt2(place, SIZES)
    (place / "checkpoint").write_bytes(texts[0])
    (place / "hparams.json").write_bytes(texts[1])
    return place


def texts_seeds(folder: Path) -> Iterable[bytes]:
    hparams = json.dumps(SIZES).encode()
    path = b'model_checkpoint_path: "model.ckpt"\n'
    yield path + SEPARATOR + hparams
    yield path + b'all_model_checkpoint_paths: "/a/\\x6dodel\\056ckpt"\n' + SEPARATOR + hparams
    yield b"model_checkpoint_path: '/elsewhere/model.ckpt'" + SEPARATOR + b"\xef\xbb\xbf" + hparams
    config = {
        "model_type": "gpt2", "vocab_size": 7, "n_positions": 3, "n_ctx": 3, "n_embd": 4,
        "n_head": 2, "n_layer": 1, "n_inner": None, "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5, "scale_attn_weights": True, "tie_word_embeddings": True,
    }  # fmt: skip
    yield json.dumps(config).encode()


# safetensors: one file, or an index and its shards.

SHARDS = ("a.safetensors", "b.safetensors")


def write_safetensors(data: bytes, folder: Path) -> Path:
    first, *shards = data.split(SEPARATOR)
    if not shards:
        path = folder / "x.safetensors"
        path.write_bytes(first)
        return path
    for name, shard in zip(SHARDS, [*shards, b""], strict=False):
        (folder / name).write_bytes(shard)
    path = folder / "x.safetensors.index.json"
    path.write_bytes(first)
    return path


def safetensors_seeds(folder: Path) -> Iterable[bytes]:
    arrays = raws.huggingface(SIZES)
    provenance = json.dumps({"hparams": SIZES, "source_format": "npz"})
    yield encode_safetensors(arrays, format="pt")
    yield encode_safetensors(raws.canonical(SIZES), **{"gpt2-convert": provenance})
    small = {"a": np.ones((2, 1), np.float32), "b": np.ones((), np.float32)}
    yield encode_safetensors(small)
    names = list(arrays)
    parts = names[:5], names[5:]
    weight_map = {name: shard for part, shard in zip(parts, SHARDS, strict=True) for name in part}
    index = json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}).encode()
    shards = [encode_safetensors({name: arrays[name] for name in part}) for part in parts]
    yield SEPARATOR.join([index, *shards])
    index = json.dumps({"weight_map": {"a": SHARDS[0], "b": SHARDS[0]}}).encode()
    yield SEPARATOR.join([index, encode_safetensors(small)])


# PyTorch files: one as it is, or the pickle and the storages of a zip file, whose checksums are put
# right.


def write_pytorch(data: bytes, folder: Path) -> Path:
    pickle, *storages = data.split(SEPARATOR)
    path = folder / "x.pt"
    if not storages:
        path.write_bytes(pickle)
        return path
    numbered = {f"data/{number}": storage for number, storage in enumerate(storages)}
    path.write_bytes(torch_files.zipped({"data.pkl": pickle, **numbered}))
    return path


def pytorch_seeds(folder: Path) -> Iterable[bytes]:
    state = torch_files.state_dict(raws.huggingface(SIZES))
    yield torch_files.zip_file(state)
    yield torch_files.legacy_file(state)
    for protocol in (2, 4):
        yield parts({"model": state, "epoch": 3, "loss": [1.5, None, (True,)]}, protocol)
    floats = torch_files.Storage(np.arange(6, dtype=np.float32))
    views = {
        "turned": torch_files.view(floats, (3, 2), (1, 3)),
        "expanded": torch_files.view(floats, (2, 5), (0, 1), 1),
        "bytes": torch_files.tensor(np.arange(3, dtype=np.uint16)),
        "parameter": torch_files.tensor(np.ones(2, np.float16), parameter=True),
    }
    yield parts(views, 2)
    yield torch_files.legacy_file({name: views[name] for name in ("turned", "expanded")})


def parts(value: object, protocol: int) -> bytes:
    pickle, storages = torch_files.pickled(value, protocol)
    return SEPARATOR.join([pickle, *map(torch_files.numbers, storages)])


# Containers of one file.


def write_npz(data: bytes, folder: Path) -> Path:
    path = folder / "x.npz"
    path.write_bytes(data)
    return path


def npz_seeds(folder: Path) -> Iterable[bytes]:
    for save in (np.savez, np.savez_compressed):
        for arrays in (raws.canonical(SIZES), {"a": np.ones((2, 1), np.float32)}):
            stream = io.BytesIO()
            save(stream, **arrays)
            yield stream.getvalue()


def write_hdf5(data: bytes, folder: Path) -> Path:
    path = folder / "x.h5"
    path.write_bytes(data)
    return path


def hdf5_seeds(folder: Path) -> Iterable[bytes]:
    import h5py

    path = folder / "seed.h5"
    packed = {"chunks": (2, 2), "compression": "gzip", "shuffle": True, "fletcher32": True}
    for libver in ("earliest", "v108", "latest"):
        for options in ({}, packed):
            with h5py.File(path, "w", libver=libver) as file:
                file.attrs["hparams"] = np.bytes_(json.dumps(SIZES))
                for name in ("wte", "wpe", "blocks/0/attn/c_attn/w"):
                    file.create_dataset(name, data=np.ones((3, 4), np.float32), **options)
                file["ln_f/g"] = np.ones(4, np.float32)
            yield path.read_bytes()
    path.unlink()


TARGETS = {
    "tf_bundle": Target(
        write_bundle,
        bundle_seeds,
        (SEPARATOR, SEPARATOR + b"\0", SEPARATOR + INDEX_BLOCK, b"model/wte", b"\xff" * 9 + b"\1"),
    ),
    "texts": Target(
        write_texts,
        texts_seeds,
        (SEPARATOR, b"model_checkpoint_path: ", b'"n_layer": ', b"\xef\xbb\xbf", b"1e400", b"NaN"),
    ),
    "safetensors": Target(
        write_safetensors,
        safetensors_seeds,
        (SEPARATOR, b'"__metadata__"', b'"data_offsets"', b'"shape"', b'"BF16"', b'"weight_map"'),
    ),
    "pytorch": Target(
        write_pytorch,
        pytorch_seeds,
        (
            SEPARATOR,
            b"ctorch._utils\n_rebuild_tensor_v2\n",
            b"ctorch\nFloatStorage\n",
            b"ccollections\nOrderedDict\n)R",
            b"X\7\0\0\0storage",
            b"tQ",
            b"\x80\2",
            b"\x93",
            b"\x8a",
        ),
    ),
    "npz": Target(
        write_npz,
        npz_seeds,
        (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"\x93NUMPY\1\0", b"'|O'", b".npy"),
    ),
    "hdf5": Target(
        write_hdf5,
        hdf5_seeds,
        (b"\x89HDF\r\n\x1a\n", b"TREE", b"SNOD", b"HEAP", b"OHDR", b"FRHP", b"BTHD", b"\xff" * 8),
    ),
}
