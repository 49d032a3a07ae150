"""What the operating system refuses becomes one line of ours, and nothing else is touched."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from gpt2_convert.errors import (
    FormatError,
    TargetError,
    TargetExistsError,
    UnreadableError,
    spell_keyword,
)
from gpt2_convert.io.os_errors import os_errors_as


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EACCES, "permission denied"),
        (errno.ENOENT, "no such file or directory"),
        (errno.ENOSPC, "no space left on device"),
        (errno.EIO, "input/output error"),
    ],
)
@pytest.mark.parametrize("kind", [UnreadableError, TargetError])
def test_an_error_of_the_system_says_where_and_why_in_one_line(
    kind: type[UnreadableError | TargetError], number: int, reason: str
) -> None:
    with pytest.raises(kind) as caught, os_errors_as(kind, Path("models/x.npz")):
        raise OSError(number, os.strerror(number), "/a/path/nobody/needs")
    assert str(caught.value) == f"models/x.npz: {reason}"
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None


def test_what_was_noted_of_the_consequences_is_kept() -> None:
    error = OSError(errno.EACCES, os.strerror(errno.EACCES))
    error.add_note("y: could not be removed")
    with pytest.raises(TargetError) as caught, os_errors_as(TargetError, "x"):
        raise error
    assert caught.value.spell(spell_keyword) == "x: permission denied; y: could not be removed"


def test_an_error_without_a_number_says_what_it_has() -> None:
    with (
        pytest.raises(UnreadableError, match=r"^x\.h5: unable to open file$"),
        os_errors_as(UnreadableError, "x.h5"),
    ):
        raise OSError("Unable to open file")


@pytest.mark.parametrize(
    "error", [TargetExistsError("b: exists"), UnreadableError("c: gone"), FormatError("d: broken")]
)
def test_an_error_of_ours_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, os_errors_as(TargetError, "a"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize("error", [LookupError("of the caller's"), KeyboardInterrupt()])
def test_what_is_no_error_of_the_system_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, os_errors_as(TargetError, "a"):
        raise error
    assert caught.value is error
