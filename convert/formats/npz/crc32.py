"""CRC-32, the checksum of zip files: Intel's ISA-L computes it ten times as fast as zlib does."""

from __future__ import annotations

import importlib.util
import zlib
from functools import cache
from typing import TYPE_CHECKING

try:
    from isal.isal_zlib import crc32
except ImportError:  # it has no wheel for some machines
    from zlib import crc32

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["crc32", "load_zipfile"]


@cache
def load_zipfile() -> ModuleType:
    """Return an instance of the standard library's zipfile that computes :func:`crc32`.

    zipfile calls what it has found as ``zlib.crc32`` under a global name of its own. The module
    that everybody else imports stays as it is; one that had no such name would be slow and right.
    """
    spec = importlib.util.find_spec("zipfile")
    if spec is None or spec.loader is None:
        raise ImportError("Python's own module zipfile is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if getattr(module, "crc32", None) is zlib.crc32:
        module.crc32 = crc32  # type: ignore[attr-defined]
    return module
