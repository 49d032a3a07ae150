"""NumPy archives, streamed: see :mod:`gpt2_convert.formats.npz.reader` for the layout.

Members are ``<name>.npy`` in canonical order, or in that of the names where a checkpoint is taken
as it is (:mod:`.names`), stored and not deflated, with NumPy's own header. The zip comment is
:mod:`..provenance`'s. Nothing in the bytes depends on the clock, the machine or a path: the same
tensors and the same configuration from the same kind of source give the same file. An archive
beyond 4 GiB gets zip64 records; no member of a GPT-2 is that large, but one would get them too.

Limits: NumPy has no bfloat16, and an archive of opaque bytes would be a lie, so it is refused. So
is a configuration of more than the 65,535 bytes of a zip comment.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ...errors import Advice, UnsupportedError
from ...io.memory import keep_freed_memory
from ...io.write_behind import open_behind
from ...quoting import quote
from ...tensors.dtype import numpy_dtype
from ...tensors.side_by_side import count_shares
from ..provenance import state_in_comment
from .crc32 import load_zipfile
from .names import SUFFIX, check_names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Final

    from ...checkpoint.collection import TensorCollection
    from ...tensors.tensor import LazyTensor

NAME: Final = "npz"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can state."""
_UNIX: Final = 3
_FILE_MODE: Final = 0o100644 << 16


def load(proof: bool) -> None:
    """Import what writing takes, and with ``proof`` what reading back does."""
    import numpy as np  # noqa: F401


def write(checkpoint: TensorCollection, path: Path, advance: Callable[[int], None]) -> None:
    """Write every tensor of ``checkpoint`` into the file at ``path``.

    ``advance`` is called with the number of tensor bytes after each chunk.

    Raises:
        UnsupportedError: a tensor is of a dtype that NumPy does not have or of a name that no
            member can have, or the configuration is too large for a zip comment.
        Gpt2ConvertError: a tensor cannot be read.
        OSError: the file cannot be written.
    """
    for tensor in checkpoint.values():
        try:
            numpy_dtype(tensor.dtype)
        except UnsupportedError:
            text = f"{checkpoint.raw.where}: {quote(tensor.source_name)}: NumPy has no "
            text += f"{tensor.dtype} dtype, so npz cannot "
            if not tensor.dtype.is_floating:
                holds = "hold it; safetensors can" if tensor.dtype.is_float8 else "hold it"
                advice = Advice("{} leaves it out", "drop", tensor.source_name)
                raise UnsupportedError(f"{text}{holds}", advice) from None
            advice = Advice("or cast it with {}", "dtype", "float32")
            raise UnsupportedError(f"{text}hold it; safetensors can", advice) from None
    check_names(checkpoint.keys(), checkpoint.raw.where)
    keep_freed_memory()
    comment = state_in_comment(checkpoint)
    fast = load_zipfile()
    threaded = count_shares(checkpoint.values()) > 0
    with (
        open_behind(path, threaded=threaded) as file,
        fast.ZipFile(file, "w", fast.ZIP_STORED, allowZip64=True) as archive,
    ):
        archive.comment = comment
        for tensor in checkpoint.values():
            header = _header(tensor)
            member = fast.ZipInfo(tensor.name + SUFFIX, _EPOCH)
            member.create_system = _UNIX
            member.external_attr = _FILE_MODE
            member.file_size = len(header) + tensor.nbytes
            with archive.open(member, "w") as stream:
                stream.write(header)
                for chunk in tensor.chunks():
                    stream.write(chunk)
                    advance(len(chunk))


def _header(tensor: LazyTensor) -> bytes:
    """Return the magic and the header of a .npy file, as NumPy writes them."""
    import numpy as np

    buffer = io.BytesIO()
    fields = {
        "descr": np.lib.format.dtype_to_descr(numpy_dtype(tensor.dtype)),
        "fortran_order": False,
        "shape": tensor.shape,
    }
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()
