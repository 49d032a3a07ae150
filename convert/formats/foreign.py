"""Foreign files: what people pass by mistake, told by its first bytes, and what to do about it.

None of them is a checkpoint that a reader takes; each gets a sentence a person can act on. Readers
ask too, because a download that went wrong keeps the name it should have had.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import FormatError, Gpt2ConvertError, SourceNotFoundError, UnsupportedError
from ..io.source import SourceFile
from ..quoting import quote
from .folders import list_names
from .foreign_kinds import (
    FOLDERS,
    HEAD,
    MSGPACK,
    PACKED,
    describe_bytes,
    describe_name,
    describe_packed,
)

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

_HEAD: Final = 64
_TAR_MAGIC: Final = 257
"""Where in it the magic is."""
_AS_SAFETENSORS: Final = (
    "where you trust it, load it with the program it belongs to and save it as safetensors"
)
PICKLE: Final = (
    "a pickle that torch.save did not write; loading it can run any program, so it is not read "
    f"here: {_AS_SAFETENSORS}"
)
TORCH_TAR: Final = (
    "a PyTorch file of torch before 0.1.10 (a tar file), which is older than any GPT-2 and not "
    "read here"
)
ADAPTER: Final = (
    "a PEFT/LoRA adapter, which holds differences to a model and not the model; merge it into its "
    "base model with merge_and_unload(), save that, and convert the result"
)

_MAGICS: Final[dict[bytes, tuple[type[Gpt2ConvertError], str]]] = {
    b"version https://git-lfs": (
        FormatError, "a git-LFS pointer, not the file itself; run 'git lfs pull'",
    ),
    b"<": (
        FormatError,
        "an HTML or XML page, most likely an error message saved by a download; fetch it again",
    ),
    b"Entry not found": (
        FormatError,
        "the Hugging Face Hub's answer for a file that it does not have; check the address",
    ),
    b"{": (
        FormatError,
        "a JSON text and no checkpoint; name the folder it is in, or the file of weights",
    ),
    b"\0" * _HEAD: (
        FormatError, "starts with zeros only, as an interrupted download leaves it; fetch it again",
    ),
}  # fmt: skip
"""What the first bytes say; white space before them does not count."""
_PAGES: Final = (b"<!doctype", b"<html", b"<?xml")
"""How pages begin, in small letters."""
_ANSWERS: Final = (
    b"404: not found", b"404 not found", b"403 forbidden", b"401 client error",
    b"invalid username or password", b"repository not found", b"access to model", b"not found",
    b'{"error"', b"{'error'",
)  # fmt: skip
"""How servers answer for a file that they do not have or do not give, in small letters."""

_WEIGHTS: Final = (
    ".npz", ".npy", ".h5", ".hdf5", ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".keras",
)  # fmt: skip
"""What the names of files of weights end with."""
_FOLDERS: Final[dict[str, tuple[type[Gpt2ConvertError], str]]] = {
    "adapter_config.json": (UnsupportedError, ADAPTER),
    "flax_model.msgpack": (UnsupportedError, MSGPACK),
    "saved_model.pb": (
        SourceNotFoundError,
        "the graph of a SavedModel, whose folder 'variables' with its weights is missing",
    ),
    "checkpoint": (
        SourceNotFoundError,
        (
            "a folder, of runs perhaps, and there is no .index file beside it; name the folder in "
            "it that has one, such as checkpoint/run1"
        ),
    ),
}
"""What a file or folder says of the folder that it is in, where no reader finds a checkpoint."""


def explain_file(file: SourceFile) -> Gpt2ConvertError | None:
    """Return the error that says what ``file`` is, or None where its first bytes do not tell.

    Raises:
        UnreadableError: it cannot be read.
    """
    if not file.size:
        return FormatError(f"{file.path}: an empty file; fetch it again")
    start = file.read(0, min(file.size, HEAD), "the magic")
    head = start[:_HEAD]
    for magic, (error, what) in _MAGICS.items():
        if head.lstrip().startswith(magic):
            return error(f"{file.path}: {what}")
    if _is_torch_tar(start):
        return UnsupportedError(f"{file.path}: {TORCH_TAR}")
    if kind := describe_bytes(start):
        return UnsupportedError(f"{file.path}: {kind}")
    if _is_pickle(head):
        return UnsupportedError(f"{file.path}: {PICKLE}")
    if _is_msgpack(head):
        return UnsupportedError(f"{file.path}: {MSGPACK}")
    if kind := describe_name(file.path.name):
        return UnsupportedError(f"{file.path}: {kind}")
    return None


def explain_packed(file: SourceFile) -> Gpt2ConvertError | None:
    """Return the error of an archive or a compressed file; None for anything else.

    Their signatures are long enough to be believed of a file of any size.

    Raises:
        UnreadableError: it cannot be read.
    """
    what = describe_packed(file.read(0, min(file.size, HEAD), "the magic"))
    return UnsupportedError(f"{file.path}: {what}") if what else None


def explain_missing(path: Path) -> SourceNotFoundError | None:
    """Return the error of a file that is not there, where something beside it tells why."""
    if path.is_symlink():
        return SourceNotFoundError(f"{path}: a link that leads nowhere")
    for suffix in PACKED:
        if os.path.isfile(f"{path}{suffix}"):  # the name may be too long for that
            packed = quote(f"{path.name}{suffix}")
            return SourceNotFoundError(f"{path}: missing; unpack {packed} first")
    return None


def explain_candidate(path: Path) -> Gpt2ConvertError | None:
    """Return the error for a file in which somebody may hold a model; None for all others.

    Its error pages and the like count only where its name is one of weights: a model card may begin
    with a bracket.

    Raises:
        Gpt2ConvertError: it cannot be read.
    """
    file = SourceFile(path)
    try:
        error = explain_file(file)
    finally:
        file.close()
    named = path.name.lower().endswith(_WEIGHTS)
    return error if isinstance(error, UnsupportedError) or named else None


def explain_page(head: bytes, *, strict: bool = False) -> str | None:
    """Return what a download left in the place of a file, by its first bytes; None if nothing.

    Where ``strict``, a bracket alone is not enough: the file may well begin with one.
    """
    head = head.lstrip().lower()
    if head.startswith(b"<") and (not strict or head.startswith(_PAGES)):
        return _MAGICS[b"<"][1]
    for magic in (b"version https://git-lfs", b"Entry not found"):
        if head.startswith(magic.lower()):
            return _MAGICS[magic][1]
    if head.startswith(_ANSWERS):
        return "a server's answer in the place of the file; fetch it again"
    return None


def is_other_weights(file: SourceFile) -> bool:
    """Whether ``file`` holds weights in some container, by its first bytes.

    Raises:
        UnreadableError: it cannot be read.
    """
    head = file.read(0, min(file.size, _HEAD), "the magic")
    known = head.startswith((b"GGUF", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"\x93NUMPY"))
    # The length of a safetensors header, and its opening bracket.
    safetensors = head[8:9] == b"{" and head[4:8] == bytes(4)
    return known or safetensors or _is_pickle(head) or _is_msgpack(head)


def explain_folder(path: Path) -> Gpt2ConvertError | None:
    """Return the error that says what the folder holds, or None where its names do not tell.

    Raises:
        OSError, UnsupportedError: it cannot be listed, or has too many names.
    """
    for suffix, kind in FOLDERS.items():
        if path.name.endswith(suffix):
            return UnsupportedError(f"{path}: {kind}")
    names = set(list_names(path))
    for name, (error, what) in _FOLDERS.items():
        if name in names:
            return error(f"{path / name}: {what}")
    return None


def _is_torch_tar(start: bytes) -> bool:
    """Whether it is a tar file whose first member is the one that torch wrote first."""
    whole = len(start) == HEAD
    return whole and start.startswith(b"sys_info\0") and start.startswith(b"ustar", _TAR_MAGIC)


def _is_pickle(head: bytes) -> bool:
    """Whether it starts with the opcode PROTO and one of the protocols that have it."""
    return head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")


def _is_msgpack(head: bytes) -> bool:
    """Whether it starts with a map of 1 to 15 entries whose first key is a short plain name."""
    if len(head) < 2 or not 0x81 <= head[0] <= 0x8F or not 0xA1 <= head[1] <= 0xBF:
        return False
    key = head[2 : 2 + (head[1] & 0x1F)]
    return key.isascii() and key.decode("ascii").isidentifier()
