"""The scripts for shells: each shell can read its own, and bash really completes by it."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.console import SCRIPT, is_one_error_line, run_in_terminal

from gpt2_convert.cli.program import run

if TYPE_CHECKING:
    from pathlib import Path

SHELLS = ("bash", "zsh", "fish")


def write_script(shell: str, path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert run(["completion", shell]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    path.write_text(printed.out)
    return path


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_of_this_program(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = write_script(shell, tmp_path / "script", capsys).read_text()
    assert f"_GPT2_CONVERT_COMPLETE={shell}_complete" in text
    assert "gpt2-convert" in text
    if shell == "zsh":  # the first line is what has the file loaded when it is needed
        assert text.startswith("#compdef gpt2-convert\n")
    if shell == "fish":  # descriptions have commas, too
        assert 'string split -m 1 ","' in text


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_can_read_its_script(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = write_script(shell, tmp_path / "script", capsys)
    done = subprocess.run([shell, "-n", script], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_bash_completes_by_it(
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_script("bash", tmp_path / "script", capsys)
    tiny.rename(tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    # Each tab ends a word: a command, an option, a value of it, a path.
    keys = b"source ./script\ngpt2-conv\tinsp\t--engi\tnat\tweig\t\nexit\n"
    done = run_in_terminal(
        command=["bash", "--norc", "--noprofile", "-i"],
        typed=(b"READY", keys),
        env={"PS1": "READY ", "PATH": f"{SCRIPT.parent}:/usr/bin:/bin", "HISTFILE": ""},
    )
    assert done.code == 0
    assert "gpt2-convert inspect --engine native weights/" in done.err
    assert "tensorflow  gpt2" in done.err


@pytest.mark.parametrize("arguments", [[], ["tcsh"], ["bash", "zsh"]])
def test_another_shell_is_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["completion", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert is_one_error_line(printed.err)
    assert "\\n" not in printed.err
