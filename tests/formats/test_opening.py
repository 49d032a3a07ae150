"""From a path to a raw checkpoint: by the container's reader, or by the engine it is left to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import raws

import gpt2_convert
from gpt2_convert.formats.engines import DeclinedError, Engine
from gpt2_convert.formats.opening import find_engine, open_raw
from gpt2_convert.formats.readers import READERS

if TYPE_CHECKING:
    from pathlib import Path

    from gpt2_convert.checkpoint.raw import RawCheckpoint


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    np.savez(tmp_path / "x.npz", allow_pickle=False, **raws.canonical())
    return tmp_path / "x.npz"


def decline(path: Path, step: int | None) -> RawCheckpoint:
    raise DeclinedError(f"{path}: of another age")


def take(path: Path, step: int | None) -> RawCheckpoint:
    return replace(raws.raw({}), engine="Oracle 1.0", notes=("slow",))


def miss() -> None:
    raise gpt2_convert.UnsupportedError("it is not installed: pip install oracle")


def use(monkeypatch: pytest.MonkeyPatch, **engines: Engine) -> None:
    """Have the reader of archives decline everything, and give it these engines."""
    monkeypatch.setitem(READERS, "npz", replace(READERS["npz"], open=decline, engines=engines))


ORACLE = Engine("Oracle", lambda: None, take)


def test_the_native_reader_goes_first(archive: Path) -> None:
    for engine in (None, "native"):
        with open_raw(archive, engine=engine) as raw:
            assert (raw.format, raw.engine, raw.notes) == ("npz", "native", ())
            assert [tensor.name for tensor in raw.tensors] == list(raws.canonical())


def test_what_is_beside_is_read_unless_nobody_wants_it(archive: Path) -> None:
    archive.with_name("hparams.json").write_text("{")
    with open_raw(archive) as raw:
        assert [config.where for config in raw.configs] == [str(archive.with_name("hparams.json"))]
    with open_raw(archive, beside=False) as raw:
        assert raw.configs == ()


def test_a_step_needs_a_folder_of_checkpoints(archive: Path) -> None:
    with pytest.raises(gpt2_convert.UsageError, match=r"x\.npz: a step chooses within a folder"):
        open_raw(archive, step=3)


def test_what_is_declined_goes_to_the_engine_and_a_note_says_so(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, oracle=ORACLE)
    raw = open_raw(archive)
    assert raw.engine == "Oracle 1.0"
    assert raw.notes == ("slow", f"{archive}: of another age: read by Oracle 1.0")


def test_no_engine_is_used_against_the_user_s_will(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, oracle=ORACLE)
    with pytest.raises(gpt2_convert.UnsupportedError) as caught:
        open_raw(archive, engine="native")
    assert str(caught.value) == (
        f"{archive}: of another age, which Oracle alone reads; allow it with engine='oracle'"
    )
    assert caught.value.advice is not None
    assert (caught.value.advice.option, caught.value.advice.value) == ("engine", "oracle")


def test_an_engine_that_is_missing_is_said_with_what_to_install(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, oracle=Engine("Oracle", miss, take))
    with pytest.raises(gpt2_convert.UnsupportedError) as caught:
        open_raw(archive)
    assert str(caught.value) == (
        f"{archive}: of another age, which Oracle alone reads; "
        "it is not installed: pip install oracle"
    )
    with pytest.raises(gpt2_convert.UnsupportedError) as caught:
        open_raw(archive, engine="oracle")
    assert str(caught.value) == f"{archive}: it is not installed: pip install oracle"


def test_what_is_declined_and_has_no_engine_is_unsupported(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    with pytest.raises(gpt2_convert.UnsupportedError) as caught:
        open_raw(archive)
    assert str(caught.value) == f"{archive}: of another age"
    assert not isinstance(caught.value, DeclinedError)


def test_an_engine_that_is_asked_for_reads_what_the_native_reader_would(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(READERS, "npz", replace(READERS["npz"], engines={"oracle": ORACLE}))
    raw = open_raw(archive, engine="oracle")
    assert (raw.engine, raw.notes) == ("Oracle 1.0", ("slow",))


def test_an_engine_that_nobody_has_is_named_with_those_that_there_are() -> None:
    with pytest.raises(gpt2_convert.UsageError) as caught:
        find_engine("npz", "jax", "x.npz")
    assert str(caught.value) == "no such engine: 'jax'; there are: native, tensorflow"


def test_an_engine_of_another_container_is_a_mistake() -> None:
    with pytest.raises(gpt2_convert.UsageError) as caught:
        find_engine("npz", "tensorflow", "x.npz")
    assert str(caught.value) == "x.npz: TensorFlow does not read a NumPy archive (.npz)"


def test_what_the_system_refuses_is_an_error_of_ours(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setitem(READERS, "npz", replace(READERS["npz"], recognises=refuse))
    with pytest.raises(gpt2_convert.UnreadableError, match=r"x\.npz: .*permission denied"):
        open_raw(archive)
