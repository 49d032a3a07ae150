"""What a job writes beside its target never damages a source, a target or anything else."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.console import SCRIPT, is_one_error_line
from support.console import run as run_program
from support.mishaps import keep_permissions

from gpt2_convert.cli.places import Places
from gpt2_convert.cli.program import run
from gpt2_convert.cli.side_files import SideFile
from gpt2_convert.errors import Gpt2ConvertError, TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Capture = pytest.CaptureFixture[str]

KIND = '{\n  "kind": "'
"""What a document starts with."""
OURS = "### gpt2-convert\n"


@pytest.fixture
def place(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a model in models/tiny, beside which a text lies."""
    monkeypatch.chdir(tmp_path)
    (tiny / "notes.txt").write_text("of the model\n")
    (tiny / "empty.py").write_text("")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def link_in(place: Path) -> str:
    """Return a file outside of the model's folder that is one of the model's by a link there."""
    outside = place / "blob"
    (place / "models/tiny/notes.txt").rename(outside)
    (place / "models/tiny/notes.txt").symlink_to(outside)
    return "blob"


def link_out(place: Path) -> str:
    (place / "by-another-name").symlink_to("models/tiny/hparams.json")
    return "by-another-name"


def hard_link(place: Path) -> str:
    os.link(place / "models/tiny/hparams.json", place / "hard")
    return "hard"


@pytest.mark.parametrize("format", ["json", "markdown", "junit"])
@pytest.mark.parametrize("source", ["models/tiny", "models/tiny/model.ckpt"])
@pytest.mark.parametrize(
    "path",
    [
        "models/tiny/model.ckpt.index",
        "models/tiny/hparams.json",
        "models/tiny/config.json",
        "models/tiny/HPARAMS.json",
        "models/tiny/checkpoint",
        "models/tiny/other.safetensors",
        "models/../models/tiny/merges.txt",
        "out.npz",
        link_out,
        hard_link,
    ],
)
def test_no_report_is_or_becomes_a_file_of_the_source_or_the_target(
    path: str | Callable[[Path], str], source: str, format: str, place: Path, capsys: Capture
) -> None:
    name = path if isinstance(path, str) else path(place)
    before = contents(place)
    assert run(["convert", source, "out.npz", "--report", f"{format}:{name}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert contents(place) == before


@pytest.mark.parametrize("path", ["models/tiny/notes.txt", "models/tiny/empty.py", link_in])
def test_a_text_of_a_folder_that_is_the_source_is_not_even_added_to(
    path: str | Callable[[Path], str], place: Path
) -> None:
    name = path if isinstance(path, str) else path(place)
    before = contents(place)
    assert run(["inspect", "models/tiny", "--report", f"markdown:{name}"]) == 2
    assert contents(place) == before


@pytest.mark.parametrize("path", ["out/r.json", "out/sub/r.json", "out/model.safetensors"])
@pytest.mark.parametrize("exists", [False, True])
def test_nothing_lies_in_a_folder_that_is_the_target(
    path: str, exists: bool, place: Path, capsys: Capture
) -> None:
    if exists:
        assert run(["tf2hf", "models/tiny", "out", "-q"]) == 0
    before = contents(place)
    assert run(["tf2hf", "models/tiny", "out", "-f", "--report", f"json:{path}"]) == 2
    assert "lies in the target" in capsys.readouterr().err
    assert contents(place) == before


def test_a_new_report_may_lie_in_the_folder_of_the_source_and_be_replaced_there(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place / "models/tiny")
    for _ in range(2):
        for source in (".", "model.ckpt"):
            assert run(["inspect", source, "-q", "--report", "r.json", "--report", "r.md"]) == 0
            assert run(["inspect", source, "-q", "--report", "model.ckpt.xml"]) == 0
    assert Path("r.md").read_text().count("**program**") == 4


def test_a_link_is_followed_and_stays(place: Path) -> None:
    (place / "link.json").symlink_to("real.json")
    for _ in range(2):
        assert run(["inspect", "models/tiny", "-q", "--report", "link.json"]) == 0
    assert (place / "link.json").is_symlink()
    assert json.loads((place / "real.json").read_text())["ok"] is True


@pytest.mark.parametrize("report", ["json:shut/r", "markdown:shut/r", "markdown:shut.md"])
def test_what_may_not_be_written_is_refused_before_the_job(report: str, place: Path) -> None:
    (place / "shut").mkdir(0o500)
    (place / "shut.md").touch(0o400)
    arguments = ["tf2npz", "models/tiny", "out.npz", "--report", report]
    done = run_program(*arguments, preexec_fn=keep_permissions)
    assert done.code == 2
    assert "permission denied" in done.err
    assert is_one_error_line(done.err)
    assert not (place / "out.npz").exists()


@pytest.mark.parametrize("path", ["", "https://a.example/r", "models", "models/x/y"])
def test_what_no_file_can_be_is_refused_before_the_job(
    path: str, place: Path, capsys: Capture
) -> None:
    arguments = ["tf2npz", "models/tiny", "out.npz", "--sums", path]
    assert run(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (place / "out.npz").exists()


def read_in_background(path: str, into: list[bytes]) -> threading.Thread:
    def read() -> None:
        with open(path, "rb") as file:
            into.append(file.read())

    thread = threading.Thread(target=read)
    thread.start()
    return thread


def test_a_named_pipe_gets_the_report_and_stays_one(place: Path) -> None:
    os.mkfifo("pipe")
    got: list[bytes] = []
    thread = read_in_background("pipe", got)
    assert run(["inspect", "models/tiny", "-q", "--report", "json:pipe"]) == 0
    thread.join()
    assert json.loads(got[0])["kind"] == "inspection"
    assert Path("pipe").is_fifo()


def test_a_pipe_that_nobody_reads_does_not_hold_the_job_up(place: Path, capsys: Capture) -> None:
    os.mkfifo("pipe")
    assert run(["tf2npz", "models/tiny", "out.npz", "--report", "json:pipe"]) == 2
    assert capsys.readouterr().err == (
        "gpt2-convert: pipe: cannot be written: nobody reads it; out.npz is complete and verified\n"
    )


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="this system has no /dev/fd")
@pytest.mark.parametrize(
    ("script", "code", "out"),
    [
        ("$0 inspect $1 -q --report json:>(cat > got); sleep 1; head -c 13 got", 0, KIND),
        ("$0 inspect $1 -q --report json:>(true)", 0, ""),
        ("$0 inspect $1 -q --report json:/dev/fd/3 3>&1 | head -c 13", 0, KIND),
        ("$0 inspect $1 -q --report json:/dev/fd/3 3> got; head -c 13 got", 0, KIND),
        ("$0 inspect $1 --report json:/dev/stdout | head -c 13", 0, KIND),
        ("$0 inspect $1 --report json:/dev/stdout --json; [ $? = 2 ]", 0, f'{KIND}error"'),
        ("$0 inspect $1 --report json:got > got; [ $? = 2 ]", 0, ""),
        ("$0 inspect $1 --report json:/dev/null > /dev/null", 0, ""),
    ],
)  # fmt: skip
def test_descriptors_of_a_shell_get_the_report(
    script: str, code: int, out: str, place: Path
) -> None:
    done = subprocess.run(
        ["bash", "-c", script, SCRIPT, "models/tiny"], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert done.stdout[: len(out)] == out
    assert out or not done.stdout


def pieces_that_break(error: BaseException) -> Iterator[bytes]:
    yield b"x" * (1 << 17)
    raise error


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("appends", [False, True])
def test_of_what_is_cut_short_nothing_stays(
    error: BaseException, appends: bool, place: Path
) -> None:
    (place / "r").write_text(OURS)
    file = SideFile("r", "report", lambda beginning: True, appends)
    with pytest.raises((TargetError, KeyboardInterrupt)):
        file.write(pieces_that_break(error), Places())
    assert (place / "r").read_text() == OURS
    assert sorted(os.listdir()) == ["models", "r"]


def test_what_has_taken_its_place_meanwhile_is_not_replaced(place: Path) -> None:
    file = SideFile("r", "report", lambda beginning: False)
    file.check(Places())
    (place / "r").write_text("another program's\n")
    with pytest.raises(Gpt2ConvertError, match="no report, and would be replaced"):
        file.write([b"x"], Places())
    assert (place / "r").read_text() == "another program's\n"


@pytest.mark.parametrize("appends", [False, True])
def test_of_what_the_system_cuts_short_nothing_stays(appends: bool, place: Path) -> None:
    before = OURS * 100
    (place / "r.md").write_text(before)
    report = "r.md" if appends else "r.json"
    limit = len(before) + 100

    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    arguments = ["inspect", "models/tiny", "-q", "--report", report]
    done = run_program(*arguments, preexec_fn=limit_files)
    assert done.code == 2
    assert f"{report}: cannot be written: file too large" in done.err
    assert is_one_error_line(done.err)
    assert (place / "r.md").read_text() == before
    assert sorted(os.listdir()) == ["models", "r.md"]
