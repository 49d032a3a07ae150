"""The text goes to stdout as it comes, and what is to be said of it to stderr."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest
from support import bundles
from support.console import is_one_error_line, run_in_terminal

import gpt2_convert
from gpt2_convert.cli.program import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from support.forked import Program

SPEED = re.compile(r"gpt2-convert: [0-9,]+ tokens in [0-9.]+ s, [0-9.]+ tokens per second\n")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz .,!?\n\t\x1b"
"""A character for each of the 61 tokens of the small model, but the last."""
INTERRUPTED = """
import os, signal
import gpt2_convert.cli
from gpt2_convert.cli.commands import generate

write, left = generate.write_at_once, 3

def interrupting(text):
    global left
    write(text)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGINT)

generate.write_at_once = interrupting
gpt2_convert.cli.main()
"""
"""The program, which is interrupted when it has printed its third piece."""


def generated(prompt: list[int], n: int, **keywords: float) -> list[int]:
    return list(gpt2_convert.load("tiny").generate(prompt, n, **keywords))  # type: ignore[arg-type]


def as_text(ids: Iterable[int]) -> str:
    return " ".join(map(str, ids))


@pytest.mark.parametrize("source", ["tiny", "tiny/model.ckpt", "model", "a.npz", "a.st", "a.h5"])
def test_any_container_goes_on_with_the_same_ids(
    source: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for target, to in (("a.npz", "npz"), ("a.st", "safetensors"), ("a.h5", "hdf5")):
        if source == target:
            gpt2_convert.convert("tiny", target, to=to)  # type: ignore[arg-type]
    assert run(["generate", source, "3 1 4", "--ids", "-n", "5"]) == 0
    printed = capsys.readouterr()
    assert printed.out == as_text(generated([3, 1, 4], 5)) + "\n"
    assert SPEED.fullmatch(printed.err)


def test_quiet_prints_the_ids_alone(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate", "tiny", "3", "--ids", "-n", "2", "-q"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (as_text(generated([3], 2)) + "\n", "")
    assert run(["generate", "tiny", "3", "--ids", "-n", "0", "-q"]) == 0
    assert capsys.readouterr().out == "\n"


def test_options_are_those_of_the_library(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--temperature", "50", "--top-k", "30", "--top-p", "0.9", "--seed", "5"]
    assert run(["generate", "tiny", "3 1", "--ids", "-n", "9", "-q", *options]) == 0
    expected = generated([3, 1], 9, temperature=50, top_k=30, top_p=0.9, seed=5)
    assert capsys.readouterr().out == as_text(expected) + "\n"
    assert expected != generated([3, 1], 9)


def test_forty_tokens_are_the_default_and_the_context_is_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = bundles.write_gpt2(tmp_path / "wide", {**bundles.TINY, "n_ctx": 64})
    assert run(["generate", str(source), "1 2", "--ids"]) == 0
    assert len(capsys.readouterr().out.split()) == 40
    small = bundles.write_gpt2(tmp_path / "small")
    assert run(["generate", str(small), "1 2", "--ids"]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.split()) == 14
    note, speed = printed.err.splitlines(keepends=True)
    assert note == (
        "gpt2-convert: the text fills the context of the model, n_ctx 16, and ends there\n"
    )
    assert SPEED.fullmatch(speed)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tiny", " ".join("1" * 16)], "the prompt is 16 tokens long, and n_ctx 16 has no room"),
        (["tiny", ""], "the prompt is empty"),
        (["tiny", "61"], "id 61 at place 0 is not in the vocabulary"),
        (["tiny", "one"], "an id is a whole number, found 'one'"),
        (["absent", "1"], "absent"),
        (["tiny", "1", "--temperature", "-1"], "'--temperature'"),
        (["tiny", "1", "--temperature", "nan"], "temperature: a number that is not negative"),
        (["tiny", "1", "--top-p", "0"], "'--top-p'"),
        (["tiny", "1", "--top-p", "1.1"], "'--top-p'"),
        (["tiny", "1", "--top-k", "0"], "'--top-k'"),
        (["tiny", "1", "-n", "-1"], "'-n'"),
        (["tiny", "1", "--seed", "-1"], "'--seed'"),
        (["tiny", "1", "--n-head", "8"], "n_head 8 was asked for"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_no_text(
    arguments: list[str], says: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["generate", "--ids", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert is_one_error_line(printed.err)
    assert says in printed.err


def test_heads_that_nothing_states_are_asked_for_and_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = bundles.write_gpt2(tmp_path / "bare", hparams=False)
    assert run(["generate", str(bare), "1", "--ids"]) == 2
    assert capsys.readouterr().err.endswith("say it with --n-head\n")
    assert run(["generate", str(bare), "1", "--ids", "--n-head", "4", "-q"]) == 0


def test_a_model_of_nans_is_an_error_after_whatever_was_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = bundles.gpt2_arrays()
    arrays["model/wpe"][3, 0] = float("nan")
    source = bundles.write_gpt2(tmp_path / "nan", arrays=arrays)
    assert run(["generate", str(source), "1 2", "--ids"]) == 2
    printed = capsys.readouterr()
    assert len(printed.out.split()) == 2
    assert printed.out.endswith("\n")
    assert is_one_error_line(printed.err)
    assert "its logits are not finite" in printed.err
    assert run(["generate", str(source), "1 2", "--ids", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "ComputationError"


def test_the_prompt_may_come_from_stdin(program: Program, tiny: Path) -> None:
    running = program.start("generate", tiny, "-", "--ids", "-n", "3", "-q")
    done = running.finish(b"3 1\n4\n")
    assert (done.code, done.err) == (0, "")
    expected = gpt2_convert.load(tiny).generate([3, 1, 4], 3)
    assert done.out == as_text(expected) + "\n"


def test_the_document_has_ids_and_reasons(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate", "tiny", "3 1", "--ids", "-n", "20", "--json"]) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert printed.err == ""
    assert document["prompt"] == [3, 1]
    assert document["ids"] == generated([3, 1], 14)
    assert (document["text"], document["ended_by"]) == (None, "n_ctx")


def test_a_reader_that_leaves_early_has_seen_enough(program: Program, tiny: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = program.run("generate", tiny, "3", "--ids", out=writing)
    os.close(writing)
    assert (done.code, done.err) == (0, "")


def test_an_interruption_ends_the_text(program: Program, tiny: Path) -> None:
    done = program.run("generate", tiny, "3", "--ids", code=INTERRUPTED)
    assert done.code == 130
    assert len(done.out.split()) == 3
    assert done.err == "gpt2-convert: interrupted; the text is not at its end\n"


# With a tokenizer: a stand-in here, of a letter a token; tests/system has a real one.


class Letters:
    """A tokenizer with the face of gpt2_convert.Encoder."""

    end_of_text: int | None = None

    def encode(self, text: str) -> list[int]:
        return [LETTERS.index(letter) for letter in text]

    def decode_each(self, ids: Iterable[int]) -> Iterator[str]:
        for each in ids:
            yield LETTERS[each % len(LETTERS)]


@pytest.fixture
def asked(place: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths at which tokenizers were looked for."""
    paths: list[str] = []

    def load_encoder(path: str) -> Letters:
        paths.append(path)
        if path == "." or path == "nowhere":
            raise gpt2_convert.SourceNotFoundError(f"{path}: no tokenizer in it")
        return Letters()

    monkeypatch.setattr(gpt2_convert, "load_encoder", load_encoder)
    return paths


def test_a_text_goes_on_and_nothing_is_added(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["generate", "tiny", "Hello", "-n", "7"]) == 0
    printed = capsys.readouterr()
    ids = generated(Letters().encode("Hello"), 7)
    assert printed.out == "".join(Letters().decode_each(ids))
    assert SPEED.fullmatch(printed.err)
    assert run(["generate", "tiny", "Hello", "-n", "7", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["text"], document["ids"]) == (printed.out, ids)


def test_a_text_ends_at_its_end(
    asked: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = generated(Letters().encode("Hello"), 7)
    monkeypatch.setattr(Letters, "end_of_text", ids[4])
    assert run(["generate", "tiny", "Hello", "-q"]) == 0
    assert capsys.readouterr().out == "".join(Letters().decode_each(ids[: ids.index(ids[4])]))


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["tiny"], "tiny"),
        (["tiny/model.ckpt"], "tiny"),
        (["model/model.safetensors"], "model"),
        (["a.npz", "--tokenizer", "model"], "model"),
        (["tiny", "--tokenizer", "model/tokenizer.json"], "model/tokenizer.json"),
    ],
)
def test_the_tokenizer_is_the_one_that_is_named_or_beside_the_model(
    arguments: list[str], path: str, asked: list[str]
) -> None:
    gpt2_convert.convert("tiny", "a.npz")
    assert run(["generate", arguments[0], "Hello", *arguments[1:], "-q"]) == 0
    assert asked == [path]


def test_where_there_is_no_tokenizer_the_option_is_named(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    gpt2_convert.convert("tiny", "a.npz")
    assert run(["generate", "a.npz", "Hello"]) == 2
    assert capsys.readouterr().err == (
        "gpt2-convert: .: no tokenizer in it; name one with --tokenizer\n"
    )
    assert run(["generate", "a.npz", "Hello", "--tokenizer", "nowhere"]) == 2
    assert capsys.readouterr().err == "gpt2-convert: nowhere: no tokenizer in it\n"
    assert run(["generate", "b.npz", "Hello"]) == 2
    assert "b.npz: no such file" in capsys.readouterr().err


def test_ids_need_no_tokenizer(asked: list[str]) -> None:
    assert run(["generate", "tiny", "1", "--ids", "-q"]) == 0
    assert asked == []


def test_on_a_terminal_the_line_is_ended_and_the_speed_is_below_it(tiny: Path) -> None:
    done = run_in_terminal("generate", tiny, "3", "--ids", "-n", "2")
    assert done.code == 0
    text, _, speed = done.err.replace("\r", "").rpartition("gpt2-convert: ")
    assert text.endswith(as_text(gpt2_convert.load(tiny).generate([3], 2)) + "\n")
    assert speed.endswith(" tokens per second\n")
