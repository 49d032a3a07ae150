"""Work is shared out whole, its errors come back, and BLAS is left as it was found."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import oracle
from support.models import make_model
from support.threads import ENDS, ended, promptly

from gpt2_convert.inference import threads
from gpt2_convert.inference.threads import computing, share

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "gpt2-convert inference"


class Blas:
    """A BLAS of that many threads, which remembers what it was told."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.told: list[int] = []

    def get(self) -> int:
        return self.count

    def set(self, count: int) -> None:
        self.count = count
        self.told.append(count)


@pytest.fixture
def blas(monkeypatch: pytest.MonkeyPatch) -> Iterator[Blas]:
    """One that would use three threads."""
    found = Blas(3)
    monkeypatch.setattr(threads, "_find_blas", lambda: found)
    yield found
    threads._State.disband()


def shared(count: int, least: int = 1) -> dict[tuple[int, int], int]:
    """The parts that were made, each with the thread that it ran in."""
    ran: dict[tuple[int, int], int] = {}

    def work(part: slice) -> None:
        time.sleep(0.01)
        ran[part.start, part.stop] = threading.get_ident()

    share(count, work, least)
    return ran


def ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def test_the_parts_are_the_whole_and_each_has_a_thread(blas: Blas) -> None:
    with computing():
        ran = shared(10)
        assert sorted(ran) == [(0, 3), (3, 6), (6, 10)]
        assert len(set(ran.values())) == 3
        assert threading.get_ident() in ran.values()
        again = shared(10)
        assert again == ran, "the same threads are used each time"


@pytest.mark.parametrize(
    ("count", "least", "parts"),
    [(10, 4, 2), (10, 5, 2), (10, 6, 1), (2, 1, 2), (1, 1, 1), (0, 1, 1), (12, 4, 3)],
)
def test_too_little_work_is_parted_less(count: int, least: int, parts: int, blas: Blas) -> None:
    with computing():
        ran = shared(count, least)
    assert len(ran) == parts
    assert all(stop - start >= least for start, stop in ran) or parts == 1


def test_a_part_is_not_parted(blas: Blas) -> None:
    inner: list[list[tuple[int, int]]] = []
    with computing():
        share(9, lambda part: inner.append(list(shared(4))))
        assert inner == [[(0, 4)]] * 3
        assert len(shared(9)) == 3


def test_nothing_is_parted_where_nobody_computes(blas: Blas) -> None:
    assert list(shared(10)) == [(0, 10)]
    with computing():
        pass
    assert list(shared(10)) == [(0, 10)]


def test_blas_uses_one_thread_meanwhile_and_as_many_as_before_then(blas: Blas) -> None:
    with computing():
        assert blas.count == 1
    assert (blas.count, blas.told) == (3, [1, 3])
    with pytest.raises(ZeroDivisionError), computing():
        raise ZeroDivisionError
    assert blas.count == 3


def test_a_blas_of_one_thread_is_let_alone(blas: Blas) -> None:
    blas.count = 1
    with computing():
        assert list(shared(10)) == [(0, 10)]
    assert blas.told == []


def test_with_another_library_nothing_is_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_find_blas", lambda: None)
    with computing():
        assert list(shared(10)) == [(0, 10)]


@pytest.mark.parametrize("failing", [0, 3, 6])
def test_the_error_of_a_part_comes_when_all_have_ended(failing: int, blas: Blas) -> None:
    ended: list[int] = []

    def work(part: slice) -> None:
        if part.start == failing:
            raise ArithmeticError(part.start)
        time.sleep(0.02)
        ended.append(part.start)

    with pytest.raises(ArithmeticError, match=str(failing)), computing():
        share(9, work)
    assert sorted(ended) == sorted({0, 3, 6} - {failing})
    with computing():
        assert len(shared(9)) == 3


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("line", range(2, 16))
def test_whatever_ends_a_thread_wherever_it_is_reaches_the_caller(
    end: str, line: int, blas: Blas
) -> None:
    def compute() -> None:
        with computing():
            for _ in range(9):
                share(9, lambda part: None)

    error = ENDS[end]()
    with ended(NAME, line, error) as ending, pytest.raises(BaseException) as caught:  # noqa: PT011
        promptly(compute)
    assert ending.place is not None
    assert caught.value is error
    for thread in ours():
        thread.join(5)
    assert ours() == []
    assert blas.count == 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ends_before_it_can_say_so_is_noticed(blas: Blas) -> None:
    def compute() -> None:
        with computing():
            share(9, lambda part: None)

    with (
        ended(NAME, 1, MemoryError()),
        pytest.raises(RuntimeError, match="a thread ended before it had begun"),
    ):
        promptly(compute)
    with computing():
        assert len(shared(9)) == 3


def test_where_no_thread_can_be_started_there_is_one_part(
    blas: Blas, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse(new: threading.Thread) -> None:
        if ours():  # the second one
            raise RuntimeError("can't start new thread")
        start(new)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with computing():
        assert list(shared(9)) == [(0, 9)]
    for thread in ours():
        thread.join(5)
    assert ours() == []
    monkeypatch.undo()


def test_an_interruption_ends_the_threads_and_the_next_computation_has_others(blas: Blas) -> None:
    def work(part: slice) -> None:
        if part.start == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), computing():
        share(9, work)
    for thread in ours():
        thread.join(5)
    assert ours() == []
    with computing():
        assert len(shared(9)) == 3
    assert len(ours()) == 2


def test_another_number_of_threads_is_another_team(blas: Blas) -> None:
    with computing():
        shared(9)
    blas.count = 2
    with computing():
        assert len(shared(9)) == 2
    time.sleep(0.1)
    assert len(ours()) == 1


def test_two_computations_at_a_time_get_in_nobody_s_way(blas: Blas) -> None:
    ran: list[int] = []

    def other() -> None:
        ran.append(len(shared(9)))  # where only the first one computes
        with computing():
            ran.append(len(shared(9)))

    with computing():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert len(shared(9)) == 3
    assert ran == [1, 1]
    assert blas.told == [1, 3]


def test_numpy_complains_in_no_thread(blas: Blas) -> None:
    before = np.geterr()
    with computing():
        share(3, lambda part: np.exp(np.full(part.stop, 1e9, np.float32)))  # type: ignore[arg-type]
    assert np.geterr() == before


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a fork where there are threads
def test_a_process_that_was_forked_has_threads_of_its_own(blas: Blas) -> None:
    with computing():
        shared(9)
    child = os.fork()
    if not child:
        try:
            with computing():
                os._exit(0 if len(shared(9)) == 3 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_numpy_s_openblas_is_found_and_told() -> None:
    found = threads._find_blas()
    linked = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    if "openblas" not in linked:
        pytest.skip(f"NumPy is linked with {linked} here")
    assert found is not None
    before = found.get()
    found.set(1)
    assert found.get() == 1
    found.set(before)
    assert found.get() == before >= 1


def test_a_model_says_the_same_with_any_number_of_threads(blas: Blas) -> None:
    # So large that everything is parted: tokens, heads, rows of the weights, the vocabulary.
    sizes = {"n_vocab": 8_200, "n_ctx": 120, "n_embd": 768, "n_head": 6, "n_layer": 1}
    model = make_model(oracle.weights(sizes), **sizes, n_inner=3072)
    ids = np.random.default_rng(0).integers(0, 8_200, 100)
    found = []
    for count in (1, 2, 3):
        blas.count = count
        logits = [model.logits(ids[:length]) for length in (100, 40, 3)]
        found.append((logits, list(model.generate(ids, 15))))
    for parted, text in found[1:]:
        for one, other in zip(parted, found[0][0], strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-3)
        assert text == found[0][1]
    # To the bit, where the number is the same.
    np.testing.assert_array_equal(model.logits(ids), found[2][0][0])
