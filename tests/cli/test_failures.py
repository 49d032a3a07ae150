"""Whatever ends the program, wherever: one line that says what to do, a document, exit code 2."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from support.console import is_one_error_line
from support.documents import validator

from gpt2_convert.cli.failures import describe_failure
from gpt2_convert.errors import Advice, Problem, SchemaError, TargetExistsError
from gpt2_convert.reports.outcome import Failure

if TYPE_CHECKING:
    from pathlib import Path

    from support.forked import Program

FAILING = """
import importlib, sys

where, what = sys.argv.pop(1), sys.argv.pop(1)
module, name = where.rsplit(".", 1)

def fail(*arguments, **options):
    raise eval(what)

import gpt2_convert.cli
owner = importlib.import_module(module)
if ":" in name:  # of a class
    kind, name = name.split(":")
    owner = getattr(owner, kind)
setattr(owner, name, fail)
gpt2_convert.cli.main()
"""
"""The program, in which a function raises something."""

PLACES = {
    "finding the command": "gpt2_convert.cli.program.find_command",
    "parsing": "click.core.Command:parse_args",
    "preparing": "gpt2_convert.io.source.allow_many_files",
    "working": "gpt2_convert.api.source.open_raw",
    "printing": "gpt2_convert.cli.printer.Printer:line",
    "documenting": "gpt2_convert.reports.inspection.InspectionReport:as_json",
}
"""Functions, by what the program is at."""
ERRORS = {
    "MemoryError()": ("MemoryError", "not enough memory: about 100 MB have to be free"),
    'RuntimeError("can\'t start new thread")': ("ThreadError", "no thread can be started: allow"),
    'OSError(24, "Too many open files")': ("OSError", "too many open files (ulimit -n)"),
    'ImportError("no such thing", name="numpy")': ("ImportError", "numpy cannot be imported: "),
    "RecursionError('too deep')": ("InternalError", "internal error: RecursionError: too deep; "),
    "LookupError('two\\nlines')": ("InternalError", "internal error: LookupError: two"),
    "SystemExit(1)": ("InternalError", "internal error: SystemExit: 1; please report it"),
    "BaseException('odd')": ("InternalError", "internal error: BaseException: odd; "),
}
"""What may be raised: the document's type, and what its message holds."""


@pytest.mark.parametrize("what", ERRORS)
@pytest.mark.parametrize("place", PLACES)
def test_any_error_anywhere_is_one_line_and_exit_code_2(
    place: str, what: str, program: Program, tiny: Path
) -> None:
    form = [] if place == "printing" else ["--json"]
    done = program.run(PLACES[place], what, "inspect", tiny, *form, code=FAILING)
    assert done.code == 2
    assert is_one_error_line(done.err)
    kind, message = ERRORS[what]
    assert message in done.err
    if form:
        document = json.loads(done.out)
        validator("report").validate(document)
        assert document["error"]["type"] == kind
        assert message in document["error"]["message"]
    else:
        assert done.out == ""


@pytest.mark.parametrize("what", ["MemoryError()", "LookupError('odd')"])
def test_a_target_is_not_left_by_any_of_them(
    what: str, program: Program, tiny: Path, tmp_path: Path
) -> None:
    where = "gpt2_convert.compare.difference.Difference:compare"
    done = program.run(where, what, "tf2npz", tiny, tmp_path / "out.npz", code=FAILING)
    assert (done.code, done.out) == (2, "")
    assert is_one_error_line(done.err)
    assert ERRORS.get(what, ("", "internal error: LookupError: odd"))[1] in done.err
    assert os.listdir(tmp_path) == ["models"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_document_that_cannot_be_printed_adds_no_line(program: Program, tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = program.run("inspect", "--json", tmp_path / "absent", out=full.fileno())
    assert done.code == 2
    assert done.err == f"gpt2-convert: {tmp_path / 'absent'}: no such file\n"


def test_an_error_of_ours_keeps_its_advice_and_all_that_it_lists() -> None:
    problems = (Problem("a is missing"), Problem("b is odd", Advice("say {}", "drop", "b")))
    assert describe_failure(SchemaError("x", problems), "here") == Failure(
        "SchemaError",
        "x: a is missing (and 1 more)",
        ("a is missing", "b is odd; say --drop b"),
    )
    advice = Advice("{} replaces it", "force", True)
    assert describe_failure(TargetExistsError("x: exists", advice), "here") == Failure(
        "TargetExistsError", "x: exists; --force replaces it", advice=advice
    )


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "No such file or directory", "a"), "a: no such file or directory"),
        (OSError(5, "Input/output error"), "here: input/output error"),
        (
            ImportError("libx.so: failed to map segment from shared object", name="x"),
            "not enough memory: about 100 MB have to be free; end other programs",
        ),
        (
            ImportError("lib\nx", name="x.y"),
            "x.y cannot be imported: lib x; install gpt2-convert again",
        ),
    ],
)
def test_an_error_of_others_is_said_in_a_line_of_what_and_where(
    error: Exception, message: str
) -> None:
    assert describe_failure(error, "here").message == message


def test_what_was_noted_of_the_consequences_is_said_too() -> None:
    error = MemoryError()
    error.add_note("x.partial: could not be removed: permission denied")
    assert describe_failure(error, "here").message.endswith(
        "; end other programs; x.partial: could not be removed: permission denied"
    )
