"""The action, its scripts run as GitHub runs them: what a job sees of it, and what it fails by."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, ci

import gpt2_convert

if TYPE_CHECKING:
    from typing import Any

    from support.ci import Ran

WORKFLOWS = ci.ROOT / ".github" / "workflows"


@pytest.fixture
def place(tiny: Path, tmp_path: Path) -> Path:
    """The workspace of a job, with a model in models/tiny."""
    return tmp_path


def act(place: Path, **inputs: str) -> Ran:
    """Run the action in the workspace; the name of an input may be spelt with underscores."""
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    return ci.run_action(given, place, place / "temporary")


def read_commands(log: str) -> list[str]:
    """Return the lines that the runner takes for commands, as it reads a log."""
    commands: list[str] = []
    token = None
    for line in log.splitlines():
        if token is not None:
            token = None if line == f"::{token}::" else token
        elif line.startswith("::stop-commands::"):
            token = line.removeprefix("::stop-commands::")
        elif line.lstrip().startswith("::") or "##[" in line:
            commands.append(line)
    assert token is None, "the runner would read no more commands"
    return commands


def test_a_conversion_leaves_sums_a_digest_and_reports(place: Path) -> None:
    ran = act(place, source="models/tiny", target="out.npz")
    assert ran.code == 0, ran.log
    digest = hashlib.sha256((place / "out.npz").read_bytes()).hexdigest()
    assert Path(ran.outputs["sums"]).read_text() == f"{digest}  out.npz\n"
    assert ran.outputs["digest"] == gpt2_convert.digest(place / "models/tiny").sha256
    assert json.loads(Path(ran.outputs["report"]).read_text())["verified"] is True
    assert Path(ran.outputs["junit"]).read_text().startswith("<?xml")
    assert ran.summary.startswith("### ✅ `gpt2-convert convert` verified: `out.npz`")
    notices = read_commands(ran.log)
    assert [line.partition(" ")[0] for line in notices] == ["::notice", "::notice"]
    assert "verified  every bit equals the source" in ran.log


def test_what_is_written_is_checked_later(place: Path) -> None:
    assert act(place, source="models/tiny", target="out", command="tf2hf").code == 0
    checked = act(place, command="verify", source="models/tiny", target="out")
    assert (checked.code, checked.outputs["sums"], checked.outputs["digest"]) == (0, "", "")
    digested = act(place, command="digest", source="out")
    assert digested.code == 0
    assert digested.outputs["digest"] == gpt2_convert.digest(place / "models/tiny").sha256


def test_a_difference_is_exit_code_1_and_an_error_a_tensor(place: Path) -> None:
    arrays = bundles.gpt2_arrays()
    arrays["model/ln_f/g"] = arrays["model/ln_f/g"] + np.float32(1)
    bundles.write_gpt2(place / "models" / "other", arrays=arrays)
    ran = act(place, command="verify", source="models/tiny", target="models/other")
    assert ran.code == 1
    first, second = read_commands(ran.log)
    assert first.startswith("::error title=gpt2-convert verify::different")
    assert second.startswith("::error title=gpt2-convert verify::values: ln_f.g")
    assert ran.summary.startswith("### ❌ `gpt2-convert verify` different")
    assert json.loads(Path(ran.outputs["report"]).read_text())["ok"] is False


def test_what_cannot_be_done_is_exit_code_2_and_one_error(place: Path) -> None:
    ran = act(place, source="absent", target="out.npz")
    assert ran.code == 2
    (error,) = read_commands(ran.log)
    assert error.startswith("::error title=gpt2-convert convert::could not")
    assert "❌" in ran.summary
    assert (ran.outputs["sums"], ran.outputs["digest"]) == ("", "")
    document = json.loads(Path(ran.outputs["report"]).read_text())
    assert document["error"]["type"] == "SourceNotFoundError"


@pytest.mark.parametrize("options", ["--no-such-option", "--report absent/r.json", "'unbalanced"])
def test_a_job_that_does_not_begin_is_an_error_too(options: str, place: Path) -> None:
    ran = act(place, source="models/tiny", target="out.npz", options=options)
    assert ran.code != 0
    assert not (place / "out.npz").exists()
    if options[0] != "'":
        (error,) = read_commands(ran.log)
        assert error == (
            "::error title=gpt2-convert::the job did not begin, or was stopped; the log says why"
        )


def test_options_are_quoted_as_for_a_shell_that_does_not_see_them(place: Path) -> None:
    (place / "a b").mkdir()
    options = "--dtype float16 --report 'a b/$(touch made).json'\n--report \"a b/`id`.md\""
    ran = act(place, source="models/tiny", target="out.npz", options=options)
    assert ran.code == 0, ran.log
    assert sorted(os.listdir(place / "a b")) == ["$(touch made).json", "`id`.md"]
    assert not (place / "made").exists()
    assert np.load(place / "out.npz")["wte"].dtype == np.float16


@pytest.mark.parametrize("name", ["$(touch made)", "`touch made`", "; touch made", "a b", "--help"])
def test_no_input_is_a_program(name: str, place: Path) -> None:
    shutil.copytree(place / "models/tiny", place / name)
    ran = act(place, source=name, target=f"{name}.npz")
    assert ran.code == 0, ran.log
    assert (place / f"{name}.npz").exists()
    assert not (place / "made").exists()
    commanded = act(place, command="convert; touch made", source=name)
    assert commanded.code == 2
    assert not (place / "made").exists()


@pytest.mark.parametrize(
    "name", ["::error::x", "##[error]x", "a\n::error::x", "::stop-commands::x"]
)
def test_no_name_in_a_file_is_a_command_to_the_runner(name: str, place: Path) -> None:
    zeros: dict[str, Any] = {name: np.zeros(3, np.float32)}
    ones: dict[str, Any] = {name: np.ones(3, np.float32)}
    np.savez(place / "source.npz", **zeros)
    np.savez(place / "target.npz", **ones)
    for command in ("verify", "inspect", "digest"):
        target = "target.npz" if command == "verify" else ""
        ran = act(place, command=command, source="source.npz", target=target, options="--as-is")
        assert ran.code == (command == "verify"), ran.log
        for line in read_commands(ran.log):
            assert re.match(r"::(error|notice|warning) title=gpt2-convert \w+::", line)


def test_each_input_reaches_a_script_through_its_environment() -> None:
    for step in ci.load_action()["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        assert step.get("shell", "bash") == "bash"


def test_actions_are_pinned_as_in_the_workflows() -> None:
    pins = re.findall(r"uses: ([\w/-]+@[0-9a-f]{40}) # v", ci.ACTION.read_text())
    used = [step["uses"] for step in ci.load_action()["runs"]["steps"] if "uses" in step]
    assert pins == used
    if WORKFLOWS.is_dir():  # the source archive has none
        workflows = "".join(path.read_text() for path in WORKFLOWS.glob("*.yml"))
        assert all(pin in workflows for pin in pins)


def test_the_action_is_what_github_s_schema_says() -> None:
    assert ci.find_fault(ci.ACTION.read_text(), "github-actions") == ""
    assert "is not valid under" in ci.find_fault("name: x\nruns: {using: y}\n", "github-actions")


RECORDER = """#!{python}
import json, os, sys
from pathlib import Path
with open({log!r}, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1:3] == ["-m", "venv"]:
    program = Path(sys.argv[3], "bin", "python")
    program.parent.mkdir(parents=True)
    program.symlink_to(__file__)
"""
"""A Python that makes environments of itself, and writes down what it is told."""


@pytest.mark.parametrize(
    ("extras", "expected"), [("", ""), ("fetch,report", "[fetch,report]"), ("$(id)", "[$(id)]")]
)
def test_the_package_is_installed_from_the_action_s_own_folder(
    extras: str, expected: str, place: Path
) -> None:
    (step,) = (each for each in ci.load_action()["runs"]["steps"] if each.get("id") == "install")
    programs, log = place / "programs", place / "log"
    programs.mkdir()
    (programs / "python3").write_text(RECORDER.format(python=sys.executable, log=str(log)))
    (programs / "python3").chmod(0o755)
    ran = ci.run_step(
        step,
        {"inputs.extras": extras},
        place,
        place / "temporary",
        PATH=f"{programs}:{os.environ['PATH']}",
    )
    assert ran.code == 0, ran.log
    made, installed = map(json.loads, log.read_text().splitlines())
    assert made[:2] == ["-m", "venv"]
    program = f"{made[2]}/bin/gpt2-convert"
    assert ran.outputs == {"programs": f"{made[2]}/bin", "program": program}
    assert Path(made[2]).parent == place / "temporary"
    assert installed[-1] == f"{ci.ROOT}{expected}"
    assert installed[:2] == ["-m", "pip"]
