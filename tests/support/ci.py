"""The action's steps, and a pipeline's, run as GitHub and GitLab run them, without either."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
_EXPRESSION = re.compile(r"\$\{\{ *([\w.-]+) *\}\}")
_SHELL = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail")
"""What GitHub makes of ``shell: bash``."""


@dataclass(frozen=True)
class Ran:
    """A step or an action that has ended: the log, what it set, and its summary."""

    code: int
    log: str
    outputs: dict[str, str]
    summary: str


def load_action() -> Any:  # noqa: ANN401
    return yaml.safe_load(ACTION.read_text(encoding="utf-8"))


def fill_in(text: str, known: Mapping[str, str]) -> str:
    """Return the text with its expressions evaluated; one that is unknown is an error."""
    return _EXPRESSION.sub(lambda found: known[found[1]], text)


def run_step(
    step: Mapping[str, Any], known: Mapping[str, str], place: Path, temporary: Path, **more: str
) -> Ran:
    """Run a step in ``place``: its script in a file, and its environment from expressions.

    ``more`` are further variables of the environment.
    """
    temporary.mkdir(exist_ok=True)
    files = {name: temporary / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.write_text("")
    script = temporary / "script.sh"
    script.write_text(step["run"])
    environment = {
        **os.environ,
        **{name: str(file) for name, file in files.items()},
        "RUNNER_TEMP": str(temporary),
        "GITHUB_ACTION_PATH": str(ROOT),
        **{name: fill_in(str(value), known) for name, value in step.get("env", {}).items()},
        **more,
    }
    done = subprocess.run(
        [*_SHELL, script],
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    lines = files["GITHUB_OUTPUT"].read_text().splitlines()
    outputs = dict(line.split("=", 1) for line in lines)
    return Ran(done.returncode, done.stdout, outputs, files["GITHUB_STEP_SUMMARY"].read_text())


def run_action(inputs: Mapping[str, str], place: Path, temporary: Path) -> Ran:
    """Run the action with the program that is installed beside this Python."""
    action = load_action()
    given = {name: each.get("default") for name, each in action["inputs"].items()} | dict(inputs)
    assert None not in given.values(), "a required input is missing"
    known = {f"inputs.{name}": str(value) for name, value in given.items()}
    programs = Path(sys.executable).parent
    installed = {
        "steps.install.outputs.programs": str(programs),
        "steps.install.outputs.program": str(programs / "gpt2-convert"),
    }
    (step,) = (each for each in action["runs"]["steps"] if each.get("id") == "run")
    ran = run_step(step, known | installed, place, temporary)
    values = {name: each["value"] for name, each in action["outputs"].items()}
    told = installed | {f"steps.run.outputs.{name}": text for name, text in ran.outputs.items()}
    outputs = {
        name: _EXPRESSION.sub(lambda found: told.get(found[1], ""), value)
        for name, value in values.items()
    }
    return Ran(ran.code, ran.log, outputs, ran.summary)


def find_fault(text: str, schema: str) -> str:
    """Return what speaks against a file of that kind, by the schema that check-jsonschema has."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            f"vendor.{schema}",
            "--default-filetype",
            "yaml",
            "-",
        ],
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode else ""
