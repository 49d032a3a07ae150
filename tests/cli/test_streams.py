"""Output that is closed, full, no longer read or of few letters; and names of any bytes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles
from support.console import (
    SCRIPT,
    is_one_error_line,
    run,
)

import gpt2_convert
from gpt2_convert.cli.streams import escape, write_at_once

if TYPE_CHECKING:
    from pathlib import Path

    from support.forked import Program


WEIRD_NAMES = {
    "spaces": (b"a b  c", "a b  c"),
    "newline": (b"a\nb", "a\\nb"),
    "escape sequence": (b"a\x1b[31mb\x07", "a\\x1b[31mb\\x07"),
    "right to left": ("a\u202eb\u2066".encode(), "a\\u202eb\\u2066"),
    "not UTF-8": (b"a\xff\xfeb", "a\\udcff\\udcfeb"),
    "looks like an option": (b"--json", "--json"),
    "letters": ("Gewichte-äß-重み".encode(), "Gewichte-äß-重み"),
}


@pytest.mark.parametrize("name", WEIRD_NAMES)
def test_any_name_is_converted_and_printed_harmlessly(
    program: Program, name: str, tmp_path: Path
) -> None:
    raw, shown = WEIRD_NAMES[name]
    folder = tmp_path / os.fsdecode(raw)
    bundles.write_gpt2(folder)
    target = tmp_path / os.fsdecode(raw + b".npz")
    done = program.run("tf2npz", "--", raw, raw + b".npz", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{shown}.npz  from {shown}/model.ckpt ")
    with open(target, "rb") as stream, np.load(stream) as archive:
        assert len(archive.files) == 40
    again = program.run("tf2npz", "--", raw, raw + b".npz", cwd=tmp_path)
    assert again.code == 2
    assert is_one_error_line(again.err)
    assert shown in again.err


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_encoding_of_the_terminal_breaks_nothing(locale: dict[str, str], tmp_path: Path) -> None:
    folder = bundles.write_gpt2(tmp_path / "重み")
    environment = {**os.environ, **locale}
    done = run("tf2npz", folder, tmp_path / "重み.npz", env=environment)
    assert (done.code, done.err) == (0, "")
    assert done.out.isascii()
    assert (tmp_path / "重み.npz").stat().st_size > 0
    done = run("inspect", tmp_path / "読", env=environment)
    assert done.code == 2
    assert is_one_error_line(done.err)


def test_reader_that_leaves_early_changes_no_exit_code(
    program: Program, tiny: Path, npz: Path, changed: Path, tmp_path: Path
) -> None:
    for arguments, code in (
        (["--help"], 0),
        (["inspect", "--flat", tiny], 0),
        (["verify", tiny, npz], 0),
        (["verify", tiny, changed], 1),
        (["verify", "--json", tiny, changed], 1),
        (["tf2npz", tiny, tmp_path / "new.npz"], 0),
        (["inspect", "--json", tmp_path / "absent"], 2),
    ):
        reading, writing = os.pipe()
        os.close(reading)
        done = program.run(*arguments, out=writing)
        os.close(writing)
        assert done.code == code
        assert is_one_error_line(done.err) if code == 2 else done.err == ""
    assert (tmp_path / "new.npz").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["inspect"], ["inspect", "--json"]])
def test_full_disk_behind_stdout_is_an_error(tiny: Path, arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = run(*arguments, tiny, stdout=full)
    assert done.code == 2
    assert is_one_error_line(done.err)
    assert "no space left on device" in done.err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_target_that_is_complete_is_said_to_be_where_the_report_is_lost(
    program: Program, form: list[str], tiny: Path, tmp_path: Path
) -> None:
    with open("/dev/full", "wb") as full:
        done = program.run("tf2npz", *form, tiny, tmp_path / "out.npz", out=full.fileno())
    assert done.code == 2
    assert is_one_error_line(done.err)
    assert done.err.endswith(f"; {tmp_path / 'out.npz'} is complete and verified\n")
    assert gpt2_convert.verify(tiny, tmp_path / "out.npz").ok


def close_descriptor(number: int) -> list[str]:
    """A shell command that runs the program with one of its standard streams closed."""
    return ["sh", "-c", f'exec "$0" "$@" {number}>&-', str(SCRIPT)]


def test_closed_stdout_is_an_error_only_where_there_is_something_to_print(
    tiny: Path, tmp_path: Path
) -> None:
    command = [*close_descriptor(1), "tf2npz", str(tiny), str(tmp_path / "out.npz")]
    done = subprocess.run([*command, "-q"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run([*command, "-f"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert is_one_error_line(done.stderr)
    assert "bad file descriptor" in done.stderr


@pytest.mark.parametrize("number", [0, 1, 2])
def test_checkpoint_never_takes_the_place_of_a_closed_stream(
    program: Program, number: int, tiny: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.npz"
    command = [*close_descriptor(number), "tf2npz", str(tiny), str(target)]
    subprocess.run(command, capture_output=True, check=False)
    assert program.run("verify", "-q", tiny, target).code == 0


def test_an_error_that_nobody_can_be_told_of_is_an_exit_code(tmp_path: Path) -> None:
    command = [*close_descriptor(2), "inspect", str(tmp_path / "absent")]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")


CONTROLS = {
    "a\nb": "a\\nb",
    "\x1b[31m\x07": "\\x1b[31m\\x07",
    "\u202eabc": "\\u202eabc",
    "\udcff": "\\udcff",
    "a \\ b": "a \\ b",
}


@pytest.mark.parametrize("text", CONTROLS)
def test_what_could_move_a_cursor_hide_or_fail_is_spelled_out(text: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    assert escape(text, stream) == CONTROLS[text]


def test_letters_that_the_stream_cannot_have_are_spelled_out() -> None:
    assert escape("Käse 重", io.TextIOWrapper(io.BytesIO(), encoding="latin-1")) == "Käse \\u91cd"
    assert escape("Käse 重", io.TextIOWrapper(io.BytesIO(), encoding="ascii")) == "K\\xe4se \\u91cd"


PLAIN = "naïve\xa0重 \U0001f469\u200d\U0001f680 co\xadop"
"""What people write: a space that does not break, a joined emoji, a soft hyphen."""


class Screen(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n\tb", "a\n\tb"),
        ("\x1b[2J\x07\r\x7f\x9b\x00", "\\x1b[2J\\x07\\r\\x7f\\x9b\\x00"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        (
            "naïve\xa0重 \U0001f469\u200d\U0001f680 co\xadop",
            "naïve\xa0重 \U0001f469\u200d\U0001f680 co\xadop",
        ),
    ],
)
def test_a_text_is_a_text_on_a_terminal_and_moves_no_cursor(
    text: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, expected in ((Screen, shown), (io.TextIOWrapper, text)):
        under = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", kind(under, encoding="utf-8", newline=""))
        write_at_once(text)
        assert under.getvalue().decode() == expected, "at once, and in a pipe as it is"


def test_a_text_of_letters_that_a_stream_cannot_have_is_spelled_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    under = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(under, encoding="latin-1"))
    write_at_once("Käse 重")
    assert under.getvalue() == b"K\xe4se \\u91cd"


def test_what_is_escaped_is_each_character_that_cannot_be_seen() -> None:
    class Ascii(io.StringIO):
        encoding = "utf-8"

    for text in ("", "plain", "a\x00\x01b\n\n", "\u202e\ue000\U000e0001x\udcff", "\\n", "\xad\xa0"):
        expected = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
        assert escape(text, Ascii()) == expected
