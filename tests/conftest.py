"""Checkpoints that the tests share, and the conditions under which a test cannot run."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from support import bundles, mirrors
from support.forked import forking
from support.tf_writers import import_tensorflow
from support.web import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from support.forked import Program
    from support.web import Server

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Some services that run tests set one of them, and every pipe would get colours.
for _name in ("FORCE_COLOR", "NO_COLOR"):
    os.environ.pop(_name, None)

# How long an example takes depends on what else the machine does.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# A shell without job control starts what it puts in the background with these ignored, and the
# programs that the tests interrupt would inherit that.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGTERM, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

SHARED = Path(__file__).parents[2] / "shared" / "data"
"""Checkpoints found in the world; on most machines they are absent."""


def pytest_collection_finish() -> None:
    """Leave the tests themselves, a million objects, out of every look at what is garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder with a small GPT-2 as OpenAI lays it out."""
    return bundles.write_gpt2(tmp_path / "models" / "tiny")


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of this machine, which is asked again without much of a wait."""
    for name in mirrors.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("gpt2_convert.download.client.BACKOFF_SECONDS", 0.001)
    with serving() as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing for 0.3 s has stalled."""
    monkeypatch.setattr("gpt2_convert.download.client.STALL_SECONDS", 0.3)


@pytest.fixture(scope="session")
def program() -> Iterator[Program]:
    """The program, of which a run takes milliseconds."""
    with forking() as ready:
        yield ready


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"no real checkpoints at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def tf() -> ModuleType:
    """TensorFlow, the oracle. Its wheels stop at Python 3.13."""
    return import_tensorflow()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what needs TensorFlow last: it makes this process large, and each fork of it slow."""
    for item in items:
        values = item.callspec.params.values() if hasattr(item, "callspec") else ()
        # A line of the table of writers, whose target TensorFlow loads.
        through_it = any(getattr(each, "to", None) == "tensorflow" for each in values)
        if through_it or "tf" in getattr(item, "fixturenames", ()):
            item.add_marker("tensorflow")
    items.sort(key=lambda item: item.get_closest_marker("tensorflow") is not None)
