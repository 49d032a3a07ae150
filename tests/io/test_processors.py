"""As many threads as the system lets this process run at the same time, and no more."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gpt2_convert.io.processors import count_processors

COUNT = "from gpt2_convert.io.processors import count_processors; print(count_processors())"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no such call")
def test_a_process_that_may_use_one_processor_counts_one() -> None:
    one = min(os.sched_getaffinity(0))
    restrict = f"import os; os.sched_setaffinity(0, [{one}]); "
    done = subprocess.run([sys.executable, "-c", restrict + COUNT], capture_output=True, check=True)
    assert done.stdout == b"1\n"


@pytest.mark.parametrize(("known", "count"), [(3, 3), (None, 1)])
def test_a_system_without_such_restrictions_says_how_many_there_are(
    known: int | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: known)
    assert count_processors() == count
