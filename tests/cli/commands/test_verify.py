"""What a comparison refuses to be asked, and what it advises."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.console import is_one_error_line

from gpt2_convert.cli.program import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("value", ["-1", "x"])
def test_a_tolerance_is_no_negative_number(
    value: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", "tiny", "model", "--atol", value]) == 2
    assert "--atol" in capsys.readouterr().err


def test_a_difference_in_dtype_says_how_to_compare(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["convert", "tiny", "half.npz", "--dtype", "float16", "--quiet"]) == 0
    assert run(["verify", "tiny", "half.npz"]) == 1
    assert "--dtype float16" in capsys.readouterr().out
    assert run(["verify", "tiny", "half.npz", "--dtype", "float16", "-q"]) == 0


def test_what_models_say_is_compared_and_only_bounds_decide(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["convert", "tiny", "half.npz", "--dtype", "float16", "--quiet"]) == 0
    assert run(["verify", "tiny", "half.npz", "--logits", "--tokens", "50"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    first, *lines = shown.out.splitlines()
    assert first == "compared  tiny/model.ckpt (tensorflow) and half.npz (npz)"
    assert [line.split()[0] for line in lines] == ["tokens", "logits", "KL", "agreement"]
    assert lines[0] == "  tokens      50 at random"
    bounds = ["--max-kl", "1e-12", "--min-agreement", "0"]
    assert run(["verify", "tiny", "half.npz", "--logits", *bounds, "-q"]) == 1
    assert run(["verify", "tiny", "half.npz", "--logits", "--json", *bounds]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [finding["tensor"] for finding in document["findings"]] == ["kl"]
    assert document["logits"]["kl"]["max"] > 1e-12
    assert run(["verify", "tiny", "tiny", "--logits", "--max-kl", "0", "--min-agreement", "1"]) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--tokens", "5"], "tokens is for a comparison of logits; ask for one with --logits"),
        (["--logits", "--tokens", "0"], "'--tokens'"),
        (["--logits", "--max-kl", "-1"], "'--max-kl'"),
        (["--logits", "--max-kl", "nan"], "max_kl: a number that is not negative"),
        (["--logits", "--min-agreement", "1.5"], "'--min-agreement'"),
        (["--logits", "--tokenizer", "x"], "name one with --text"),
        (["--logits", "--text", "absent.txt", "--tokenizer", "x"], "absent.txt"),
    ],
)
def test_options_of_logits_are_refused_where_they_make_no_sense(
    arguments: list[str], says: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", "tiny", "model", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert is_one_error_line(printed.err)
    assert says in printed.err
