"""With --json stdout holds one document, of ASCII alone, whatever was to be said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gpt2_convert.cli import last_words
from gpt2_convert.cli.documents import print_document, print_error_document
from gpt2_convert.errors import Advice

if TYPE_CHECKING:
    from typing import Any

    Capture = pytest.CaptureFixture[str]


@pytest.fixture
def in_charge(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is the program's own, and owes a document."""
    monkeypatch.setattr(last_words, "_process", None)
    monkeypatch.setattr(last_words, "_owes_document", False)
    last_words.take_charge(True)


def test_a_document_is_ascii_and_its_numbers_are_numbers(capsys: Capture) -> None:
    assert print_document({"name": "重み\udcff", "count": 3}, 1) == 1
    text = capsys.readouterr().out
    assert text.isascii()
    assert json.loads(text) == {"name": "重み\udcff", "count": 3}
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_document({"odd": float("nan")}, 0)
    assert capsys.readouterr().out == ""


def test_an_error_has_its_option_and_what_that_would_be_set_to(capsys: Capture) -> None:
    print_error_document("UsageError", "which?", ("a", "b"), Advice("say it with {}", "step", 7))
    assert json.loads(capsys.readouterr().out) == {
        "kind": "error",
        "ok": False,
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
    print_document({"kind": "inspection"}, 0)
    print_error_document("MemoryError", "too late")
    assert json.loads(capsys.readouterr().out) == {"kind": "inspection"}


@pytest.mark.usefixtures("in_charge")
def test_the_document_of_an_error_is_the_only_one(capfd: pytest.CaptureFixture[str]) -> None:
    print_error_document("MemoryError", "first")
    print_error_document("MemoryError", "second")
    assert last_words.say_last_words(last_words.NO_MEMORY) == 2
    assert json.loads(capfd.readouterr().out)["error"]["message"] == "first"


@pytest.mark.usefixtures("in_charge")
def test_last_words_are_the_same_kind_of_document(capfd: pytest.CaptureFixture[str]) -> None:
    last_words.say_last_words(last_words.NO_MEMORY)
    last = capfd.readouterr()
    last_words.take_charge(True)
    print_error_document(*last_words.NO_MEMORY)
    assert capfd.readouterr().out == last.out
    assert last.err == f"gpt2-convert: {last_words.NO_MEMORY[1]}\n"


def test_a_document_is_written_piece_by_piece_and_is_what_python_would_write(
    capsys: pytest.CaptureFixture[str],
) -> None:
    document: dict[str, Any] = {
        "kind": "inspection",
        "none": None,
        "tensors": [
            {"name": f"t\u00e9{number}", "shape": [number, 2], "bytes": 1 << 70, "mean": 0.1}
            for number in range(1_000)
        ],
        "empty": [{}, []],
    }
    assert print_document(document, 0) == 0
    assert capsys.readouterr().out == json.dumps(document, indent=2) + "\n"
