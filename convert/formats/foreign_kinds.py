"""Kinds of foreign files: archives, graphs and the weights of other programs.

Each is known by its first bytes or, where those do not tell, by its name, and has a sentence: what
it is, and what to do. The signatures are those of file(1)'s magic and of the formats' own schemas:
MetaGraphDef, GraphDef and SavedModel of TensorFlow, ModelProto of ONNX, the FlatBuffers identifier
of TensorFlow Lite, llama.cpp's gguf.h, AppleDouble of RFC 1740.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..quoting import quote

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Final

HEAD: Final = 512
"""Bytes at the start of a file that are looked at: a tar file has its signature at 257."""
ZIP: Final = b"PK\x03\x04"

_UNPACK: Final = "unpack it first and name what was in it"
_PACKED: Final = {
    b"\x1f\x8b\x08": "a gzip file; unpack it first (gunzip, or tar -xzf for a tar file in it)",
    b"BZh": "a bzip2 file; unpack it first (bunzip2, or tar -xjf for a tar file in it)",
    b"\xfd7zXZ\0": "an xz file; unpack it first (unxz, or tar -xJf for a tar file in it)",
    b"\x28\xb5\x2f\xfd": "a Zstandard file; unpack it first (zstd -d)",
    b"\x04\x22\x4d\x18": "an LZ4 file; unpack it first (lz4 -d)",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive; unpack it first (7z x)",
    b"Rar!\x1a\x07": "a RAR archive; unpack it first (unrar x)",
}
_TAR: Final = "a tar file; unpack it first (tar -xf)"
_BZIP2_BLOCKS: Final = (b"1AY&SY", b"\x17rE8P\x90")
"""What begins the first block of a bzip2 file, after the digit of its size, or ends one of none."""

_THE_ORIGINAL: Final = "convert the model that it was made of"
_ONNX: Final = f"an ONNX model, whose weights are part of a graph; {_THE_ORIGINAL}"
_TFLITE: Final = f"a TensorFlow Lite model, made to be run and perhaps quantised; {_THE_ORIGINAL}"
_CORE_ML: Final = f"a Core ML model, made to be run and perhaps quantised; {_THE_ORIGINAL}"
_FROZEN: Final = (
    "a frozen graph of TensorFlow, whose weights have become constants; convert the checkpoint "
    "that it was frozen from"
)
SAVED_MODEL: Final = (
    "the graph of a SavedModel; its weights are in the folder 'variables' beside it: name the "
    "folder that both are in"
)
_MXNET: Final = f"weights of MXNet, which are not read here; {_THE_ORIGINAL}"
_GGML: Final = (
    f"a GGML file (llama.cpp), whose weights may be quantised and have no names; {_THE_ORIGINAL}"
)
_TRUSTED: Final = "where you trust it, as loading it can run any program, save it again:"
KERAS: Final = (
    "a Keras model (.keras), a zip file in which weights have numbers for names; load it with "
    "Keras and save it with tf.train.Checkpoint(model).write(PREFIX)"
)
MSGPACK: Final = (
    "a msgpack file, as Flax writes its weights, which is not read here: load it with the program "
    "it belongs to and save it as safetensors"
)
NUMPY_PICKLE: Final = (
    f"a pickle of NumPy arrays, which is not read here; {_TRUSTED} "
    "numpy.savez('weights.npz', **pickle.load(open(FILE, 'rb'))), if it is a dict of arrays"
)
_PLAIN_PICKLE: Final = (
    f"a pickle by its name, which is not read here; {_TRUSTED} "
    "numpy.savez('weights.npz', **pickle.load(open(FILE, 'rb'))), if it is a dict of arrays"
)
_NPY: Final = (
    "one NumPy array (.npy), where a model has many; numpy.savez('weights.npz', **ARRAYS) saves "
    "them under their names into one archive"
)
_NPY_OF_OBJECTS: Final = (
    f"a .npy file of pickled Python objects, which are never loaded here; {_TRUSTED} "
    "numpy.savez('weights.npz', **numpy.load(FILE, allow_pickle=True).item()), if it is a dict of "
    "arrays"
)
_APPLE_DOUBLE: Final = (
    "an AppleDouble file, in which macOS keeps attributes of another one; name that, whose name "
    "has no '._' in front"
)

_SIGNATURES: Final = {
    b"\0\x05\x16\x07": _APPLE_DOUBLE,
    b"\x89HDF\r\n\x1a\n": "an HDF5 file by its contents; name this file itself, not what it is in",
    b"GGUF": (
        "a GGUF file (llama.cpp), whose weights may be quantised; convert the model it was made of"
    ),
    **dict.fromkeys((b"lmgg", b"tjgg", b"fmgg", b"algg"), _GGML),
    b"\x12\x01\0\0\0\0\0\0": _MXNET,
}
_SUFFIXES: Final = {
    ".tar": _TAR,
    ".lzma": "an LZMA file; unpack it first (unxz)",
    ".onnx": _ONNX,
    ".tflite": _TFLITE,
    ".mlmodel": _CORE_ML,
    ".pb": _FROZEN,
    ".pbtxt": "the graph of a TensorFlow model as text, without weights; name its checkpoint",
    ".msgpack": MSGPACK,
    ".pkl": _PLAIN_PICKLE,
    ".pickle": _PLAIN_PICKLE,
    ".joblib": _PLAIN_PICKLE,
    ".tfrecord": "TFRecords, which hold examples and no weights; name the checkpoint",
}
"""What a name ends with, where the bytes do not tell."""
PACKED: Final = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".7z", ".rar", ".tar")
"""What is added to the name of a file that was packed alone."""
FOLDERS: Final = {
    ".mlpackage": _CORE_ML,
}
"""What the name of a folder ends with."""
_NAMES: Final = {
    "saved_model.pb": SAVED_MODEL,
    "saved_model.pbtxt": SAVED_MODEL,
    "keras_metadata.pb": "what Keras notes of a SavedModel; name the folder that it is in",
    "fingerprint.pb": "the fingerprint of a SavedModel; name the folder that it is in",
}
_META: Final = ".meta"
_EVENTS: Final = ".tfevents."


def describe_packed(head: bytes) -> str | None:
    """Return the sentence for an archive or a compressed file; None for anything else."""
    for magic, what in _PACKED.items():
        if head.startswith(magic) and (
            magic != b"BZh" or head.startswith(_BZIP2_BLOCKS, len(magic) + 1)
        ):
            return what
    if head[257:262] == b"ustar":
        return _TAR
    return _describe_zip(head) if head.startswith(ZIP) else None


def describe_bytes(head: bytes) -> str | None:
    """Return the sentence for a file that begins so; None where that tells nothing."""
    if packed := describe_packed(head):
        return packed
    for magic, what in _SIGNATURES.items():
        if head.startswith(magic):
            return what
    if head.startswith(b"\x93NUMPY"):
        return _NPY_OF_OBJECTS if b"|O'" in head else _NPY
    if head[4:8] == b"TFL3":
        return _TFLITE
    if _is_pickle(head) and b"numpy" in head and b"torch" not in head:
        return NUMPY_PICKLE
    return _describe_message(head)


def describe_name(name: str) -> str | None:
    """Return the sentence for a file of that name; None where that tells nothing."""
    if name in _NAMES:
        return _NAMES[name]
    if name.endswith(_META) and name != _META:
        stem = name.removesuffix(_META)
        return (
            "the graph of a TensorFlow checkpoint, which holds no weights: those are in "
            f"{quote(f'{stem}.index')} and its data files; name the prefix, {quote(stem)}"
        )
    if _EVENTS in name:
        return "a log for TensorBoard, which holds no weights; name the checkpoint"
    return next((what for end, what in _SUFFIXES.items() if name.lower().endswith(end)), None)


def describe_members(names: Collection[str]) -> str:
    """Return the sentence for a zip file that has these members and no array."""
    if {"config.json", "model.weights.h5"} <= {*names}:
        return KERAS
    return f"a zip file and no NumPy archive; {_UNPACK}"


def _describe_zip(head: bytes) -> str:
    """Return the sentence for a zip file that stands where no zip file should."""
    size = int.from_bytes(head[26:28], "little")
    if head[30 : 30 + size].endswith(b".npy"):
        return "a NumPy archive by its contents; name this file itself, not what it is in"
    if head[30 : 30 + size].endswith(b"/data.pkl"):
        return "a PyTorch file by its contents; name this file itself, not what it is in"
    return f"a zip file; {_UNPACK}"


def describe_archive(head: bytes) -> str | None:
    """Return the sentence for a zip file that holds no weights as they are, by its first member."""
    if head[:4] != b"PK\3\4":
        return None
    text = _describe_zip(head)
    return text if text.endswith(_UNPACK) else None


def _is_pickle(head: bytes) -> bool:
    """Whether it starts with the opcode PROTO and one of the protocols that have it."""
    return head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")


def _describe_message(head: bytes) -> str | None:
    """Return the sentence for a protobuf message, by its first fields."""
    version, rest = head[:2], head[2:]
    if version[:1] == b"\x08" and rest[:1] == b"\x12":
        size, at = _read_length(rest, 1)
        # SavedModel: its version, then the first graph, which begins with a message.
        if version[1:] == b"\x01" and size >= HEAD and rest[at : at + 1] == b"\x0a":
            return SAVED_MODEL
        # ModelProto: the version of its format, then who has written it.
        writer = rest[at : at + size]
        if 0 < size == len(writer) < 64 and writer.isascii() and writer.decode().isprintable():
            return _ONNX
        return None
    # GraphDef: nodes, each with a name and an operation that is called like a class.
    node, at = _read_length(head, 1)
    if head[:1] == b"\x0a" and node and head[at : at + 1] == b"\x0a":
        size, at = _read_length(head, at + 1)
        name, at = head[at : at + size], at + size
        if name.isascii() and head[at : at + 1] == b"\x12":
            size, at = _read_length(head, at + 1)
            operation = head[at : at + size]
            if 2 <= size == len(operation) < 64 and operation.isalnum() and operation[:1].isupper():
                return _FROZEN
    return None


def _read_length(data: bytes, at: int) -> tuple[int, int]:
    """Return the varint at ``at``, and where it ends; (0, at) where there is none."""
    value = 0
    for shift, byte in enumerate(data[at : at + 5]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, at + shift + 1
    return 0, at
