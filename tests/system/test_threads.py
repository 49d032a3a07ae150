"""Each thread of a job is ended in the middle of its work: the caller is told, and nothing is left.

No thread is left either, and no caller waits for one that is gone.
"""

from __future__ import annotations

import gc
import os
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
from support.descriptors import list_descriptors
from support.threads import ENDS, ended, promptly, threads_of

import gpt2_convert
from gpt2_convert.io import write_behind
from gpt2_convert.tensors import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Job = Callable[[Path, Path], object]


def convert(name: str, source: Path, folder: Path, **options: object) -> object:
    return gpt2_convert.convert(source, folder / name, **options)  # type: ignore[arg-type]


JOBS: dict[str, tuple[str, Job]] = {
    "write-behind": ("gpt2-convert write-behind", partial(convert, "out.npz")),
    "read-ahead": ("gpt2-convert read-ahead", partial(convert, "out.safetensors")),
    "digest": ("gpt2-convert read-ahead", lambda source, folder: gpt2_convert.digest(source)),
    "compare": ("gpt2-convert compare", partial(convert, "out.npz")),
    "load": ("gpt2-convert reading", lambda source, folder: gpt2_convert.open(source).tree()),
    "deflate": ("ThreadPoolExecutor", partial(convert, "out.h5", compress="gzip")),
}
"""The threads: a name, and a job in which there is one."""


@pytest.fixture(autouse=True)
def threads_even_for_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "SHARE", 1)
    monkeypatch.setattr(write_behind, "LARGE", 1)
    monkeypatch.setattr(side_by_side, "count_processors", lambda: 2)


def run(thread: str, line: int, error: BaseException, source: Path, folder: Path) -> None:
    """Do the job, of which a thread is ended at that line of its own."""
    name, job = JOBS[thread]
    folder.mkdir()
    before = set(threading.enumerate())
    with ended(name, line, error) as ending, pytest.raises(BaseException) as caught:  # noqa: PT011
        promptly(lambda: job(source, folder))
    assert ending.place is not None
    if isinstance(error, OSError):
        assert os.strerror(error.errno or 0).lower() in str(caught.value).lower()
    else:
        assert caught.value is error
    assert os.listdir(folder) == []
    assert threads_of(before) == []


@pytest.mark.parametrize("thread", JOBS)
@pytest.mark.parametrize("end", ENDS)
def test_whatever_ends_a_thread_reaches_the_caller(
    end: str, thread: str, tiny: Path, tmp_path: Path
) -> None:
    run(thread, 6, ENDS[end](), tiny, tmp_path / "place")


@pytest.mark.slow
@pytest.mark.parametrize("thread", JOBS)
@pytest.mark.parametrize("line", [2, 3, 4, 5, 7, 9, 12, 16, 23, 36, 60, 100, 120])
def test_wherever_a_thread_ends_the_caller_is_told(
    line: int, thread: str, tiny: Path, tmp_path: Path
) -> None:
    run(thread, line, MemoryError(), tiny, tmp_path / "place")


@pytest.mark.parametrize("thread", JOBS)
def test_a_thread_that_cannot_be_started_leaves_nothing(
    thread: str, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, job = JOBS[thread]
    start = threading.Thread.start
    folder = tmp_path / "place"
    folder.mkdir()
    before = set(threading.enumerate())
    gc.collect()  # what earlier tests have left open
    descriptors = list_descriptors()

    def refuse(new: threading.Thread) -> None:
        if new.name.startswith(name):
            raise RuntimeError("can't start new thread")
        start(new)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        promptly(lambda: job(tiny, folder))
    assert os.listdir(folder) == []
    assert threads_of(before) == []
    assert list_descriptors() == descriptors
