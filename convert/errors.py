"""Every way in which a job can fail, one class a kind.

Each class is also the standard library's kind that a caller would expect, so that
``except FileNotFoundError`` works without knowing this package::

    Gpt2ConvertError
    ├── UsageError           (ValueError)         the arguments make no sense together
    ├── SourceNotFoundError  (FileNotFoundError)  nothing to read at that path
    ├── UnreadableError      (OSError)            the operating system will not let it be read
    ├── FormatError          (ValueError)         the bytes break the rules of their own format
    │   └── ChecksumError                         … by not matching the checksum stored beside them
    ├── UnsupportedError     (ValueError)         legal, but this tool does not handle it
    ├── CastError            (ValueError)         a number does not fit the type it is cast to
    ├── SchemaError          (ValueError)         readable, but not the model it should be
    ├── TargetError          (OSError)            the target cannot be written
    │   └── TargetExistsError (FileExistsError)   … because something is there already
    └── VerificationError    (ValueError)         target and source differ; carries the report

A message is one line: where, what, expected and found, what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .reports.verification import VerificationReport


class Gpt2ConvertError(Exception):
    """The base of all errors that this package raises on purpose."""


class UsageError(Gpt2ConvertError, ValueError):
    """The arguments make no sense together."""


class SourceNotFoundError(Gpt2ConvertError, FileNotFoundError):
    """There is nothing to read at the path, or one of its files is missing."""


class UnreadableError(Gpt2ConvertError, OSError):
    """The operating system refuses to open or read a file."""


class FormatError(Gpt2ConvertError, ValueError):
    """The bytes break the rules of their own format: corrupt, truncated or hostile."""


class ChecksumError(FormatError):
    """The bytes do not match the checksum that is stored with them."""


class UnsupportedError(Gpt2ConvertError, ValueError):
    """The file is legal in its format, but uses something this tool does not handle."""


class CastError(Gpt2ConvertError, ValueError):
    """A finite number would become infinite in the type that it is to be cast to."""


class SchemaError(Gpt2ConvertError, ValueError):
    """The checkpoint can be read, but its names, shapes or hparams are not the model's.

    ``problems`` holds every disagreement, a sentence each; the message is the first of them.
    """

    def __init__(self, where: str, problems: tuple[str, ...]) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{where}: {problems[0]}{more}")
        self.problems = problems


class TargetError(Gpt2ConvertError, OSError):
    """The target cannot be written where it was asked for."""


class TargetExistsError(TargetError, FileExistsError):
    """Something is at the target already, and nobody said that it may be replaced."""


class VerificationError(Gpt2ConvertError, ValueError):
    """The written target differs from its source; it was discarded. ``report`` says how."""

    def __init__(self, message: str, report: VerificationReport) -> None:
        super().__init__(message)
        self.report = report
