"""With --json stdout holds one document, of ASCII alone, whatever was to be said."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from support.console import run_in_terminal
from support.reports import inspection

import gpt2_convert
from gpt2_convert.cli import last_words
from gpt2_convert.cli.documents import make_document, print_error_document
from gpt2_convert.errors import Advice
from gpt2_convert.reports.outcome import Failure, Outcome

if TYPE_CHECKING:
    from pathlib import Path

    Capture = pytest.CaptureFixture[str]

FIRST = Failure("MemoryError", "first")
SECOND = Failure("MemoryError", "second")


@pytest.fixture
def in_charge(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is the program's own, and owes a document."""
    monkeypatch.setattr(last_words, "_process", None)
    monkeypatch.setattr(last_words, "_owes_document", False)
    last_words.take_charge(True)


def test_an_error_has_its_option_and_what_that_would_be_set_to(capsys: Capture) -> None:
    advice = Advice("say it with {}", "step", 7)
    print_error_document(Failure("UsageError", "which?", ("a", "b"), advice))
    document = json.loads(capsys.readouterr().out)
    assert document.pop("duration") >= 0
    assert document == {
        "kind": "error",
        "ok": False,
        "tool": "gpt2-convert",
        "version": gpt2_convert.__version__,
        "findings": [],
        "error": {
            "type": "UsageError",
            "message": "which?",
            "problems": ["a", "b"],
            "option": "step",
            "value": 7,
        },
    }


@pytest.mark.usefixtures("in_charge")
def test_an_error_after_a_document_has_none(capsys: Capture) -> None:
    make_document(Outcome("inspect", "0.1.0", 0.5, inspection()))()
    print_error_document(FIRST)
    assert json.loads(capsys.readouterr().out)["kind"] == "inspection"


@pytest.mark.usefixtures("in_charge")
def test_the_document_of_an_error_is_the_only_one(capfd: Capture) -> None:
    print_error_document(FIRST)
    print_error_document(SECOND)
    assert last_words.say_last_words(last_words.NO_MEMORY) == 2
    assert json.loads(capfd.readouterr().out)["error"]["message"] == "first"


@pytest.mark.usefixtures("in_charge")
def test_last_words_are_the_same_kind_of_document(capfd: Capture) -> None:
    last_words.say_last_words(last_words.NO_MEMORY)
    last = capfd.readouterr()
    last_words.take_charge(True)
    print_error_document(Failure(*last_words.NO_MEMORY))
    plain, said = (
        re.sub('"duration": [0-9.]+', '"duration": 0', text)
        for text in (capfd.readouterr().out, last.out)
    )
    assert plain == said
    assert last.err == f"gpt2-convert: {last_words.NO_MEMORY[1]}\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("tf2npz tiny new.npz --digest", 0),
        ("convert tiny.npz new.h5", 0),
        ("verify tiny tiny.npz", 0),
        ("verify tiny changed.npz", 1),
        ("verify tiny tiny.npz --logits --tokens 8", 0),
        ("inspect tiny --stats", 0),
        ("digest tiny", 0),
        ("generate tiny.npz 1 --ids -n 20", 0),
    ],
)
def test_quiet_and_json_print_the_document_alone(
    arguments: str, code: int, changed: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(changed.parent)
    tiny.rename("tiny")
    with open("document", "w+", encoding="ascii") as document:
        # On a terminal, which would get a bar and notes otherwise.
        done = run_in_terminal(*arguments.split(), "-q", "--json", out=document.fileno())
        document.seek(0)
        assert json.load(document)["ok"] == (code == 0)
    assert (done.code, done.err) == (code, "")
