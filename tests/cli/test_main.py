"""The program as a person or a script meets it: exit codes, streams, one-line errors, a bar."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles
from support.console import SCRIPT, held_command, run, run_in_terminal

import gpt2_convert
from gpt2_convert.cli.commands import run as run_here

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

ESCAPE = "\x1b"
ERROR = "gpt2-convert: "
STYLE = "(\x1b\\[[0-9;]*m)*"
BAR = re.compile(
    f"35\\.7/35\\.7 MB{STYLE} {STYLE}[0-9.]+ [kMG]B/s{STYLE} {STYLE}[0-9]:[0-9][0-9]:[0-9][0-9]"
)
"""Bytes, rate and time left, at the end of the larger checkpoint."""
COMMANDS = {"tf2npz": 2, "verify": 2, "inspect": 1}
"""The commands, and how many paths each takes."""


@pytest.fixture
def npz(tiny: Path, tmp_path: Path) -> Path:
    """The small checkpoint, converted."""
    target = tmp_path / "tiny.npz"
    assert run_here(["tf2npz", "-q", str(tiny), str(target)]) == 0
    return target


@pytest.fixture
def changed(npz: Path, tmp_path: Path) -> Path:
    """An archive like ``npz`` in which one weight is another."""
    with np.load(npz) as archive:
        arrays = dict(archive)
    arrays["ln_f.g"][7] += 1
    np.savez(tmp_path / "changed.npz", **arrays)
    return tmp_path / "changed.npz"


def is_one_error_line(text: str) -> bool:
    return text.startswith(ERROR) and text.count("\n") == 1 and text.endswith("\n")


def test_conversion_ends_with_0_and_speaks_on_stdout_only(tiny: Path, tmp_path: Path) -> None:
    done = run("tf2npz", tiny, tmp_path / "out.npz")
    assert (done.code, done.err) == (0, "")
    assert "verified  every bit equals the source" in done.out
    assert "40 tensors" in done.out


def test_leftovers_have_a_line_a_reason_and_scopes_are_chosen(tmp_path: Path) -> None:
    arrays: dict[str, np.ndarray[Any, Any]] = {"global_step": np.ones((), np.int64)}
    for name, array in bundles.gpt2_arrays().items():
        arrays |= {f"policy/{name}": array, f"ref_policy/{name}": array + 1}
        arrays |= {f"policy/{name}/Adam": array, f"policy/{name}/Adam_1": array}
    source = bundles.write_gpt2(tmp_path / "model", arrays=arrays)
    refused = run("tf2npz", source, tmp_path / "none.npz")
    assert (refused.code, refused.out) == (2, "")
    assert is_one_error_line(refused.err)
    assert "'policy/', 'ref_policy/'; choose one with --scope" in refused.err
    done = run("tf2npz", source, tmp_path / "out.npz", "--scope", "policy")
    assert (done.code, done.err) == (0, "")
    shown = run("inspect", source, "--scope", "policy/")
    for text in (done.out, shown.out):
        lines = [line for line in text.splitlines() if line.startswith(("  dropped", "  note"))]
        assert lines == [
            "  dropped   global_step: the training step",
            "  dropped   40 tensors: Adam's first moment",
            "  dropped   40 tensors: Adam's second moment",
            "  dropped   40 tensors: outside the scope policy/",
            "  note      read from the scope policy/",
        ]
    verified = run("verify", source, tmp_path / "out.npz", "--scope", "ref_policy", "--json")
    assert verified.code == 1
    assert {finding["kind"] for finding in json.loads(verified.out)["findings"]} == {"values"}
    digests = [run("digest", source, "--scope", name).out for name in ("policy", "ref_policy")]
    assert digests[0] == run("digest", tmp_path / "out.npz").out != digests[1]


def test_waived_proof_is_named(tiny: Path, tmp_path: Path) -> None:
    done = run("tf2npz", "--no-verify", tiny, tmp_path / "out.npz")
    assert done.code == 0
    assert "not verified" in done.out


def test_verify_tells_equal_from_different_by_its_exit_code(
    tiny: Path, npz: Path, changed: Path
) -> None:
    equal = run("verify", tiny, npz)
    assert (equal.code, equal.err) == (0, "")
    assert equal.out.startswith("equal ")
    different = run("verify", tiny, changed)
    assert (different.code, different.err) == (1, "")
    assert different.out.startswith("different ")
    assert "ln_f.g: 1 of 32 elements differ" in different.out


def test_hint_comes_before_the_numbers_that_it_explains(
    npz: Path, tiny: Path, tmp_path: Path
) -> None:
    with np.load(npz) as archive:
        arrays = dict(archive)
    arrays["blocks[1].attn.c_proj.w"] = arrays["blocks[1].attn.c_proj.w"].T.copy()
    np.savez(tmp_path / "other.npz", **arrays)
    done = run("verify", tiny, tmp_path / "other.npz")
    assert "values    blocks[1].attn.c_proj.w: transposed; " in done.out


def test_text_stops_after_twenty_findings_and_says_so(
    npz: Path, tiny: Path, tmp_path: Path
) -> None:
    with np.load(npz) as archive:
        np.savez(tmp_path / "other.npz", **{name: archive[name] + 1 for name in archive})
    done = run("verify", tiny, tmp_path / "other.npz")
    assert done.code == 1
    assert done.out.count("elements differ") == 20
    assert "and 20 more findings; --json has them all" in done.out


def test_inspect_shows_the_tree_and_merges_equal_blocks(tiny: Path) -> None:
    done = run("inspect", tiny)
    assert (done.code, done.err) == (0, "")
    lines = [line.split() for line in done.out.splitlines()]
    assert ["blocks[0-2]", "3", "alike"] in lines
    assert ["wte", "[61,", "32]", "float32"] in lines
    assert ["w", "[32,", "96]", "float32"] in lines
    weights = bundles.gpt2_arrays().values()
    assert f"{sum(array.size for array in weights):,} parameters" in done.out


def test_flat_inspection_has_a_row_for_each_tensor(tiny: Path) -> None:
    done = run("inspect", "--flat", tiny)
    rows = {line.split()[-1]: line.split() for line in done.out.splitlines() if "model/" in line}
    assert rows.keys() == bundles.gpt2_shapes().keys()
    assert rows["model/h1/mlp/c_fc/b"] == [
        "blocks[1].mlp.c_fc.b", "[128]", "float32", "512", "model/h1/mlp/c_fc/b",
    ]  # fmt: skip


def test_readable_checkpoint_that_is_no_gpt2_is_listed_all_the_same(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", weights=np.zeros((3, 5), np.int16))
    done = run("inspect", tmp_path / "other.npz")
    assert (done.code, done.err) == (0, "")
    assert "not a GPT-2 checkpoint" in done.out
    assert "weights  [3, 5]  int16  30" in done.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tf2npz"], "missing argument 'SOURCE'"),
        (["tf2npz", "a"], "missing argument 'TARGET'"),
        (["verify", "a", "b", "c"], "unexpected extra argument"),
        (["inspect", "--falt", "a"], "no such option"),
        (["inspect", "--step", "x", "a"], "invalid value for '--step'"),
        (["inspect", "--step", "-1", "a"], "invalid value for '--step'"),
        (["--wrong"], "no such option"),
        (["tf2nzp", "a", "b"], "no such command: 'tf2nzp'; did you mean 'tf2npz'?"),
        (["qqq"], "no such command: 'qqq'; there are: "),
        (["inspect", ""], "empty path"),
    ],
)
def test_misuse_is_one_line_that_says_what_to_do(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert is_one_error_line(printed.err)
    assert says in printed.err


def test_no_arguments_print_the_help_as_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Usage: gpt2-convert ")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_command_explains_itself(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here([option]) == 0
    overview = capsys.readouterr().out
    assert "\n    130  interrupted\n" in overview
    assert "\b" not in overview
    for command in COMMANDS:
        assert f"\n  {command} " in overview
        assert run_here([command, option]) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        assert printed.out.startswith(f"Usage: gpt2-convert {command} ")
        assert all(shared in printed.out for shared in ("--quiet", "--json", "--step", "SOURCE"))


def test_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert run_here(["--version"]) == 0
    assert capsys.readouterr().out == f"gpt2-convert {version('gpt2-convert')}\n"


def test_shells_are_told_how_a_command_line_goes_on() -> None:
    asked = {
        **os.environ,
        "_GPT2_CONVERT_COMPLETE": "bash_complete",
        "COMP_WORDS": "gpt2-convert v",
    }
    done = run(env={**asked, "COMP_CWORD": "1"})
    assert (done.code, done.out) == (0, "plain,verify\n")
    done = run(env={**asked, "COMP_WORDS": "gpt2-convert verify a", "COMP_CWORD": "2"})
    assert (done.code, done.out) == (0, "file,a\n")


def test_quiet_prints_nothing_whatever_the_outcome(
    tiny: Path, npz: Path, changed: Path, tmp_path: Path
) -> None:
    for arguments, code in (
        (["tf2npz", "-q", tiny, tmp_path / "new.npz"], 0),
        (["verify", "-q", tiny, npz], 0),
        (["verify", "--quiet", tiny, changed], 1),
        (["inspect", "-q", tiny], 0),
    ):
        done = run(*arguments)
        assert (done.code, done.out, done.err) == (code, "", "")
    for command, paths in COMMANDS.items():
        done = run(command, "-q", *[tmp_path / "absent"] * paths)
        assert (done.code, done.out) == (2, "")
        assert is_one_error_line(done.err)


def test_corrupt_source_is_one_line_and_exit_code_2(tiny: Path, tmp_path: Path) -> None:
    data = tiny / "model.ckpt.data-00000-of-00001"
    broken = bytearray(data.read_bytes())
    broken[len(broken) // 2] ^= 1
    data.write_bytes(broken)
    done = run("tf2npz", tiny, tmp_path / "out.npz")
    assert (done.code, done.out) == (2, "")
    assert is_one_error_line(done.err)
    assert "crc32c" in done.err
    assert os.listdir(tmp_path) == ["models"]


def test_unexpected_error_is_one_line_too(tiny: Path) -> None:
    program = (
        "import gpt2_convert, gpt2_convert.cli\n"
        "def fail(*arguments, **options): raise LookupError('no\\nsuch thing')\n"
        "gpt2_convert.inspect = fail\n"
        "gpt2_convert.cli.main()"
    )
    command = [sys.executable, "-c", program, "inspect", tiny]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert is_one_error_line(done.stderr)
    assert "internal error: LookupError: no\\nsuch thing" in done.stderr
    environment = {**os.environ, "GPT2_CONVERT_TRACEBACK": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "Traceback (most recent call last)" in done.stderr


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
def test_any_name_is_converted_and_printed_harmlessly(name: str, tmp_path: Path) -> None:
    raw, shown = WEIRD_NAMES[name]
    folder = tmp_path / os.fsdecode(raw)
    bundles.write_gpt2(folder)
    target = tmp_path / os.fsdecode(raw + b".npz")
    options = {"cwd": tmp_path, "env": {**os.environ, "PYTHONUTF8": "1"}}
    done = run("tf2npz", "--", raw, raw + b".npz", **options)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{shown}.npz  from {shown}/model.ckpt ")
    with open(target, "rb") as stream, np.load(stream) as archive:
        assert len(archive.files) == 40
    again = run("tf2npz", "--", raw, raw + b".npz", **options)
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
    tiny: Path, npz: Path, changed: Path, tmp_path: Path
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
        done = run(*arguments, stdout=writing)
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
    form: list[str], tiny: Path, tmp_path: Path
) -> None:
    with open("/dev/full", "wb") as full:
        done = run("tf2npz", *form, tiny, tmp_path / "out.npz", stdout=full)
    assert done.code == 2
    assert is_one_error_line(done.err)
    assert done.err.endswith(f"; {tmp_path / 'out.npz'} is complete and verified\n")
    assert gpt2_convert.verify(tiny, tmp_path / "out.npz").ok


def test_every_reason_against_a_model_is_listed(tmp_path: Path) -> None:
    arrays = {
        f"model/x{number}": array for number, array in enumerate([np.ones(1, np.float32)] * 25)
    }
    source = bundles.write_gpt2(tmp_path / "x", arrays=bundles.gpt2_arrays() | arrays)
    done = run("inspect", source)
    assert done.code == 0
    assert (
        "'model/x0' [1] is in no row of gpt2.toml; --drop leaves it out (and 24 more)" in done.out
    )
    assert all(f"'model/x{number}' [1] is in no row" in done.out for number in (1, 10, 24))
    assert "\n            ... and 5 more; --json has them all\n" in done.out


def close_descriptor(number: int) -> list[str]:
    """A shell command that runs the program with one of its standard streams closed."""
    return ["sh", "-c", f'exec "$0" "$@" {number}>&-', str(SCRIPT)]


def test_closed_stdout_is_an_error_only_where_there_is_something_to_print(
    tiny: Path, tmp_path: Path
) -> None:
    command = [*close_descriptor(1), "tf2npz", tiny, tmp_path / "out.npz"]
    done = subprocess.run([*command, "-q"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run([*command, "-f"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert is_one_error_line(done.stderr)
    assert "bad file descriptor" in done.stderr


@pytest.mark.parametrize("number", [0, 1, 2])
def test_checkpoint_never_takes_the_place_of_a_closed_stream(
    number: int, tiny: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.npz"
    command = [*close_descriptor(number), "tf2npz", tiny, target]
    subprocess.run(command, capture_output=True, check=False)
    assert run("verify", "-q", tiny, target).code == 0
    done = subprocess.run(
        [*close_descriptor(2), "inspect", tmp_path / "absent"], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, b"")


def test_pipes_get_neither_colour_nor_bar(tiny: Path, npz: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "TERM": "xterm-256color", "FORCE_COLOR": "1"}
    for arguments in (
        ["tf2npz", tiny, tmp_path / "new.npz"],
        ["verify", tiny, npz],
        ["inspect", tiny],
        ["inspect", tmp_path / "absent"],
    ):
        done = run(*arguments, env=environment)
        assert ESCAPE not in done.out + done.err
        assert "\r" not in done.out + done.err


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of some 30 MB, which takes long enough for a bar to be drawn."""
    sizes = {"n_vocab": 5000, "n_ctx": 128, "n_embd": 512, "n_head": 8, "n_layer": 2}
    return bundles.write_gpt2(tmp_path_factory.mktemp("models") / "larger", sizes)


def test_terminal_gets_colour_and_a_bar_with_bytes_rate_and_time_left(
    larger: Path, tmp_path: Path
) -> None:
    done = run_in_terminal("tf2npz", larger, tmp_path / "out.npz")
    assert done.code == 0
    assert "writing" in done.err
    assert "verifying" in done.err
    assert BAR.search(done.err)
    assert f"{ESCAPE}[32mverified" in done.err
    assert done.err.count(f"{ESCAPE}[?25l") == done.err.count(f"{ESCAPE}[?25h") == 1  # the cursor


def test_bar_is_on_stderr_while_stdout_goes_elsewhere(larger: Path, tmp_path: Path) -> None:
    with open(tmp_path / "report", "wb") as report:
        done = run_in_terminal("verify", larger, larger, out=report.fileno())
    assert done.code == 0
    assert BAR.search(done.err)
    text = (tmp_path / "report").read_text()
    assert text.startswith("equal ")
    assert ESCAPE not in text


def test_quiet_and_dumb_terminals_get_no_bar(larger: Path, tmp_path: Path) -> None:
    quiet = run_in_terminal("tf2npz", "-q", larger, tmp_path / "out.npz")
    assert (quiet.code, quiet.err) == (0, "")
    dumb = run_in_terminal("verify", larger, tmp_path / "out.npz", env={"TERM": "dumb"})
    assert dumb.code == 0
    assert ESCAPE not in dumb.err


def test_terminal_wishes_for_no_colour_are_kept(tiny: Path) -> None:
    done = run_in_terminal("inspect", tiny, env={"NO_COLOR": "1"})
    assert done.code == 0
    assert f"{ESCAPE}[3" not in done.err


def test_narrow_terminal_still_shows_all_of_the_bar_on_one_line(
    larger: Path, tmp_path: Path
) -> None:
    done = run_in_terminal("tf2npz", larger, tmp_path / "out.npz", columns=50)
    assert done.code == 0
    assert BAR.search(done.err)


def test_narrow_terminal_cuts_no_line_of_the_report(tiny: Path) -> None:
    narrow = run_in_terminal("inspect", "--flat", tiny, columns=20, env={"TERM": "dumb"})
    assert narrow.err.replace("\r\n", "\n") == run("inspect", "--flat", tiny).out


def test_program_in_the_background_draws_nothing_over_the_prompt(
    larger: Path, tmp_path: Path
) -> None:
    job = ["bash", "-c", 'set -m; "$0" "$@" & wait $!', SCRIPT]
    done = run_in_terminal("tf2npz", larger, tmp_path / "out.npz", command=job)
    assert done.code == 0
    assert "verified" in done.err
    assert "writing" not in done.err


def test_ctrl_c_in_a_terminal_takes_the_bar_away(tiny: Path, tmp_path: Path) -> None:
    done = run_in_terminal(
        "tf2npz",
        tiny,
        tmp_path / "out.npz",
        command=held_command("writing", 0.5),
        typed=(b"held", b"\x03"),
    )
    assert done.code == 130
    assert done.err.endswith(f"{ERROR}interrupted; nothing half-written was left behind\r\n")
    assert done.err.count(f"{ESCAPE}[?25l") == done.err.count(f"{ESCAPE}[?25h") == 1  # the cursor
    assert os.listdir(tmp_path) == ["models"]
