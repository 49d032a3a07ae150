"""A file written by a thread holds what it was given, and says what went wrong."""

from __future__ import annotations

import errno
import gc
import resource
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.descriptors import list_descriptors
from support.threads import ENDS, ended, promptly, threads_of

from gpt2_convert.io.write_behind import DEPTH, LARGE, WriteBehind, open_behind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

NAME = "gpt2-convert write-behind"


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert threads_of(before) == []


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


@settings(derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(0, 3 * LARGE)),
            st.sampled_from([0, 1, 7, 300, LARGE // 2, LARGE - 1, LARGE, LARGE + 1]),
        ),
        max_size=12,
    )
)
def test_writes_of_any_sizes_anywhere_give_what_a_plain_file_gives(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[int | None, int]]
) -> None:
    folder = tmp_path_factory.mktemp("writes")
    with WriteBehind(folder / "a") as behind, (folder / "b").open("wb") as plain:
        for number, (position, size) in enumerate(writes):
            for file in (behind, plain):
                if position is not None:
                    file.seek(position)
                file.write(bytes([number + 1]) * size)
    assert (folder / "a").read_bytes() == (folder / "b").read_bytes()


@pytest.mark.parametrize("threaded", [False, True])
def test_a_file_is_written_the_same_with_and_without_a_thread(
    threaded: bool, tmp_path: Path
) -> None:
    before = set(threading.enumerate())
    with open_behind(tmp_path / "a", threaded=threaded) as file:
        file.write(b"header")
        assert len(set(threading.enumerate()) - before) == threaded
        file.seek(1)
        file.write(b"EAD")
    assert (tmp_path / "a").read_bytes() == b"hEADer"


@pytest.mark.parametrize("threaded", [False, True])
def test_what_cannot_be_written_is_raised_by_the_end(threaded: bool, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), open_behind(tmp_path, threaded=threaded) as file:
        file.write(b"header")


def test_small_writes_that_touch_each_other_wake_the_thread_up_once(tmp_path: Path) -> None:
    class Counting(Failing):
        def write(self, data: bytes) -> int:
            written.append(len(data))
            return self.file.write(data)  # type: ignore[no-any-return]

    written: list[int] = []
    with WriteBehind(tmp_path / "a") as file:
        file._file = Counting(file._file, MemoryError())  # type: ignore[assignment]
        for _ in range(100):
            file.write(b"header")
        file.seek(0)
        file.write(b"HEADER")
    assert written == [600]
    assert (tmp_path / "a").read_bytes() == b"HEADER" + b"header" * 99


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


class Failing:
    """A file of which every write fails."""

    def __init__(self, file: Any, error: BaseException) -> None:  # noqa: ANN401
        self.file = file
        self.error = error

    def write(self, data: bytes) -> int:
        raise self.error

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self.file, name)


@pytest.mark.parametrize("end", ENDS)
def test_whatever_ends_the_thread_is_raised_and_the_file_closed(end: str, tmp_path: Path) -> None:
    error = ENDS[end]()
    file = WriteBehind(tmp_path / "a")
    inner = file._file
    file._file = Failing(inner, error)  # type: ignore[assignment]

    def write() -> None:
        for _ in range(3 * DEPTH):
            file.write(b"x" * LARGE)

    for act in (write, file.flush, lambda: file.seek(0), file.close):
        with pytest.raises(type(error)) as caught:
            promptly(act)
        assert caught.value is error
    assert inner.closed
    file.close()  # a second call does nothing


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("last", ["write", "flush", "close"])
def test_a_thread_that_is_ended_before_it_can_tell_is_missed(last: str, tmp_path: Path) -> None:
    with ended(NAME, 1, MemoryError()) as ending:
        file = WriteBehind(tmp_path / "a")
        inner = file._file
        file._thread.join()
    assert ending.place is not None

    def write() -> None:
        for _ in range(3 * DEPTH):
            file.write(b"x" * LARGE)

    if last != "close":
        with pytest.raises(RuntimeError, match="ended before its work was done"):
            promptly(write if last == "write" else file.flush)
    with pytest.raises(RuntimeError, match="ended before its work was done"):
        promptly(file.close)
    assert inner.closed


@pytest.mark.parametrize("number", range(2, 40))
def test_an_end_anywhere_is_raised_by_the_time_the_file_is_closed(
    number: int, tmp_path: Path
) -> None:
    error = MemoryError()

    def write() -> None:
        with WriteBehind(tmp_path / "a") as file:
            for _ in range(2 * DEPTH):
                file.write(b"x" * LARGE)
            file.seek(500)
            file.write(b"patched")
            file.flush()

    with ended(NAME, number, error) as ending, pytest.raises(MemoryError) as caught:
        promptly(write)
    assert ending.place is not None
    assert caught.value is error


def test_a_thread_that_cannot_be_started_leaves_no_open_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    gc.collect()  # what earlier tests have left open
    before = list_descriptors()
    with pytest.raises(RuntimeError, match="can't start new thread"):
        WriteBehind(tmp_path / "a")
    assert list_descriptors() == before
