"""While a file is written and proven, others write it too, damage it, or interrupt."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.archives import OLD, assert_complete, spoil
from support.mishaps import at

import gpt2_convert
from gpt2_convert.cli.program import run
from gpt2_convert.formats.writers import WRITERS
from gpt2_convert.io import private_folder

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


@pytest.mark.parametrize("phase", ["writing", "verifying"])
def test_file_that_appears_meanwhile_is_not_overwritten(
    phase: str, tiny: Path, place: Path
) -> None:
    target = place / "out.npz"
    with pytest.raises(gpt2_convert.TargetExistsError, match="force=True replaces it"):
        gpt2_convert.convert(tiny, target, progress=at(phase, lambda: target.write_bytes(OLD)))
    assert target.read_bytes() == OLD
    assert os.listdir(place) == ["out.npz"]


def test_file_that_appears_meanwhile_is_replaced_with_force(tiny: Path, place: Path) -> None:
    target = place / "out.npz"
    appear = at("verifying", lambda: target.write_bytes(OLD))
    gpt2_convert.convert(tiny, target, force=True, progress=appear)
    assert_complete(target)
    assert os.listdir(place) == ["out.npz"]


@pytest.mark.parametrize("force", [False, True])
def test_second_conversion_to_one_target_disturbs_neither(
    force: bool, tiny: Path, place: Path
) -> None:
    target = place / "out.npz"
    inner = at("verifying", lambda: gpt2_convert.convert(tiny, target))
    if force:
        gpt2_convert.convert(tiny, target, force=True, progress=inner)
    else:
        with pytest.raises(gpt2_convert.TargetExistsError):
            gpt2_convert.convert(tiny, target, progress=inner)
    assert_complete(target)
    assert os.listdir(place) == ["out.npz"]


def test_of_many_conversions_at_once_without_force_exactly_one_wins(
    tiny: Path, place: Path
) -> None:
    target = place / "out.npz"
    together = threading.Barrier(4)
    outcomes: list[str] = []

    def convert() -> None:
        try:
            wait = at("verifying", together.wait)
            gpt2_convert.convert(tiny, target, progress=wait)
        except gpt2_convert.TargetExistsError:
            outcomes.append("refused")
        else:
            outcomes.append("done")

    threads = [threading.Thread(target=convert) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done", "refused", "refused", "refused"]
    assert_complete(target)
    assert os.listdir(place) == ["out.npz"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fails", [False, True])
def test_interruption_amid_the_clean_up_leaves_no_partial_file(
    fails: bool, when: str, tiny: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = os.unlink

    def interrupted(name: str, *, dir_fd: int) -> None:
        if when == "before":
            os.kill(os.getpid(), signal.SIGINT)
        unlink(name, dir_fd=dir_fd)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(os, "unlink", interrupted)
    if fails:
        spoil(tiny)
    with pytest.raises(KeyboardInterrupt):
        gpt2_convert.convert(tiny, place / "out.npz")
    assert os.listdir(place) == ([] if fails else ["out.npz"])
    if not fails:
        assert_complete(place / "out.npz")


def test_interruption_right_before_the_clean_up_leaves_no_partial_file(
    tiny: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    later = at(
        "verifying", lambda: monkeypatch.setattr(private_folder, "hold_signals", interrupted)
    )
    with pytest.raises(KeyboardInterrupt):
        gpt2_convert.convert(tiny, place / "out.npz", progress=later)
    assert os.listdir(place) == ["out.npz"]


def flip_a_byte(place: Path) -> None:
    """Damage what has been written, in the middle of a tensor's elements."""
    (partial,) = place.glob("*.partial/out.npz")
    content = bytearray(partial.read_bytes())
    at = content.index(b"blocks[1].mlp.c_fc.w.npy") + 1000
    content[at] ^= 0x10
    partial.write_bytes(content)


def test_target_damaged_after_it_was_written_is_discarded(tiny: Path, place: Path) -> None:
    target = place / "out.npz"
    target.write_bytes(OLD)
    damage = at("verifying", lambda: flip_a_byte(place))
    with pytest.raises(gpt2_convert.VerificationError, match="discarded") as caught:
        gpt2_convert.convert(tiny, target, force=True, progress=damage)
    (finding,) = caught.value.report.findings
    assert not caught.value.report.ok
    assert (finding.tensor, finding.kind) == ("blocks[1].mlp.c_fc.w", gpt2_convert.Kind.VALUES)
    assert (finding.differing, finding.elements) == (1, 32 * 128)
    assert target.read_bytes() == OLD
    assert os.listdir(place) == ["out.npz"]


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.98, 0.999])
def test_target_that_lacks_its_end_is_discarded(
    share: float, tiny: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npz = WRITERS["npz"]

    def write(checkpoint: gpt2_convert.Checkpoint, path: Path, advance: Any) -> None:  # noqa: ANN401
        npz.write(checkpoint, path, advance)
        os.truncate(path, int(share * path.stat().st_size))

    monkeypatch.setitem(WRITERS, "npz", replace(npz, write=write))
    with pytest.raises(gpt2_convert.Gpt2ConvertError):
        gpt2_convert.convert(tiny, place / "out.npz")
    assert os.listdir(place) == []


def test_damaged_target_is_reported_with_exit_code_1(
    tiny: Path,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    convert = gpt2_convert.convert

    def damaging(*arguments: Path, **options: object) -> gpt2_convert.ConversionReport:
        options["progress"] = at("verifying", lambda: flip_a_byte(place))
        return convert(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(gpt2_convert, "convert", damaging)
    assert run(["tf2npz", str(tiny), str(place / "out.npz")]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("different ")
    assert "blocks[1].mlp.c_fc.w: " in printed.out
    assert "1 of 4,096 elements differ" in printed.out
    assert printed.err.startswith("gpt2-convert: ")
    assert printed.err.count("\n") == 1
    assert "discarded" in printed.err
    assert os.listdir(place) == []


def test_error_of_the_watcher_is_passed_on_and_leaves_nothing(tiny: Path, place: Path) -> None:
    def fail() -> None:
        raise LookupError("of the caller's own")

    for phase in ("writing", "verifying"):
        with pytest.raises(LookupError, match="of the caller's own"):
            gpt2_convert.convert(tiny, place / "out.npz", progress=at(phase, fail))
        assert os.listdir(place) == []
