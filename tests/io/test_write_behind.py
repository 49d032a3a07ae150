"""A file written by a thread holds what it was given, and says what went wrong."""

from __future__ import annotations

import errno
import resource
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from gpt2_convert.io.write_behind import WriteBehind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_writes_and_seeks_give_what_a_plain_file_gives(tmp_path: Path) -> None:
    for path, kind in ((tmp_path / "a", WriteBehind), (tmp_path / "b", lambda p: p.open("wb"))):
        with kind(path) as file:
            for number in range(20):
                assert file.write(bytes([number]) * 1000) == 1000
            assert file.tell() == 20_000
            assert file.seek(500) == 500
            file.write(b"patched")
            assert file.seek(-7, 1) == 500
            file.write(b"mended ")
            assert file.seek(0, 2) == 20_000
            file.write(b"end")
            file.flush()
            assert path.read_bytes().endswith(b"end")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("last", ["write", "flush", "seek", "close"])
def test_an_error_of_the_thread_is_raised_by_the_next_call(last: str, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    file = WriteBehind(tmp_path / "a")
    try:
        with pytest.raises(OSError, match="large") as caught:  # noqa: PT012 - any of them may
            file.write(bytes(1 << 20))
            if last == "write":
                for _ in range(100):
                    file.write(bytes(1 << 20))
            elif last == "flush":
                file.flush()
            elif last == "seek":
                for _ in range(10_000):
                    file.seek(0)
                    time.sleep(0.001)
            else:
                file.close()
        assert caught.value.errno == errno.EFBIG
    finally:
        if not file.closed:
            with pytest.raises(OSError, match="large"):
                file.close()
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
