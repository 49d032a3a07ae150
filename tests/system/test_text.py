"""From text to text: a tokenizer, a model between, and nothing lost on the way."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles
from support.console import is_one_error_line
from support.tokenizer_files import END, train, write_pair

import gpt2_convert
from gpt2_convert.cli.commands import generate as command
from gpt2_convert.cli.program import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    Array = np.ndarray[Any, Any]
    Speaker = Callable[..., Path]

SIZES = {"n_vocab": 300, "n_ctx": 64, "n_embd": 64, "n_head": 4, "n_layer": 2}
PROMPT = "Not all heroes"


def speak(sizes: dict[str, int], at: int, ids: Sequence[int]) -> dict[str, Array]:
    """Weights of a model that says ``ids`` from position ``at`` on, whatever came before.

    Blocks of zeros change nothing. The position outweighs the token, and points to what comes next.
    """
    random = np.random.default_rng(0)
    arrays = {name: np.zeros_like(each) for name, each in bundles.gpt2_arrays(sizes).items()}
    wte = random.standard_normal((sizes["n_vocab"], sizes["n_embd"]), np.float32)
    wte -= wte.mean(axis=1, keepdims=True)
    wte /= np.linalg.norm(wte, axis=1, keepdims=True)
    arrays["model/wte"] = wte
    for number, each in enumerate(ids):
        arrays["model/wpe"][at + number] = 100 * wte[each]
    arrays["model/ln_f/g"] += 1
    return arrays


@pytest.fixture
def speaker(tmp_path: Path) -> Speaker:
    """Make a model with a tokenizer, which goes on after PROMPT as it is told."""

    def make(says: str, *, n_vocab: int = 300, then: Sequence[int] = ()) -> Path:
        sizes = {**SIZES, "n_vocab": n_vocab}
        folder = write_pair(tmp_path / "model", *train(), ("encoder.json", "vocab.bpe"))
        encoder = gpt2_convert.load_encoder(folder)
        ids = [*encoder.encode(says), *then]
        at = len(encoder.encode(PROMPT)) - 1
        return bundles.write_gpt2(folder, sizes, arrays=speak(sizes, at, ids))

    return make


@pytest.mark.parametrize(
    "text", [" wear capes.", "naïve 日本 🎉👩\u200d👩\n\té", "\x1b[2J\r\0", " 1,024 €"]
)
def test_a_text_comes_whole_in_every_letter(
    text: str, speaker: Speaker, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    model = speaker(text)
    n = len(gpt2_convert.load_encoder(model).encode(text))
    assert run(["generate", str(model), PROMPT, "-n", str(n), "-q"]) == 0
    printed = capfdbinary.readouterr()
    assert (printed.out, printed.err) == (text.encode(), b"")


def test_no_piece_of_a_text_is_half_a_letter(
    speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[str] = []
    monkeypatch.setattr(command, "write_at_once", pieces.append)
    text = "日本🎉"
    model = speaker(text)
    ids = gpt2_convert.load_encoder(model).encode(text)
    assert len(ids) > len(text), "a letter is of several tokens"
    assert run(["generate", str(model), PROMPT, "-n", str(len(ids)), "-q"]) == 0
    assert [piece for piece in pieces if piece] == list(text)


def test_a_text_ends_where_the_model_ends_it(
    speaker: Speaker, capsys: pytest.CaptureFixture[str]
) -> None:
    end = train()[0][END]
    model = speaker(" wear capes.", then=[end, 5, 5, 5])
    assert run(["generate", str(model), PROMPT]) == 0
    printed = capsys.readouterr()
    assert printed.out == " wear capes."
    assert re.fullmatch(r"gpt2-convert: \d+ tokens in .* tokens per second\n", printed.err)
    assert run(["generate", str(model), PROMPT, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["text"], document["ended_by"]) == (" wear capes.", "end_of_text")
    assert end not in document["ids"]


def test_ids_end_there_where_the_vocabulary_is_openai_s(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n_vocab, expected in ((50257, "7 8\n"), (50258, "7 8 50256 9\n")):
        sizes = {**SIZES, "n_vocab": n_vocab}
        arrays = speak(sizes, 1, [7, 8, 50256, 9])
        model = bundles.write_gpt2(tmp_path / str(n_vocab), sizes, arrays=arrays)
        assert run(["generate", str(model), "3 4", "--ids", "-n", "4", "-q"]) == 0
        assert capsys.readouterr().out == expected


def test_the_end_of_text_in_a_prompt_is_text(
    speaker: Speaker, capsys: pytest.CaptureFixture[str]
) -> None:
    model = speaker(" wear capes.")
    assert run(["generate", str(model), END, "-n", "1", "--json"]) == 0
    prompt = json.loads(capsys.readouterr().out)["prompt"]
    assert len(prompt) > 1
    assert train()[0][END] not in prompt


@pytest.mark.parametrize("target", ["a.npz", "a.h5", "a.safetensors"])
def test_a_single_file_speaks_with_the_tokenizer_that_is_named_or_beside_it(
    target: str, speaker: Speaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = speaker(" wear capes.")
    gpt2_convert.convert(model, tmp_path / target)
    asked = ["generate", str(tmp_path / target), PROMPT, "-n", "3", "-q"]
    assert run(asked) == 2
    refused = capsys.readouterr()
    assert refused.out == ""
    assert is_one_error_line(refused.err)
    assert refused.err.endswith("; name one with --tokenizer\n")
    assert run([*asked, "--tokenizer", str(model)]) == 0
    named = capsys.readouterr().out
    assert named
    assert " wear capes.".startswith(named)
    gpt2_convert.convert(model, model / target)
    assert run(["generate", str(model / target), *asked[2:]]) == 0
    assert capsys.readouterr().out == named


def test_an_id_beyond_the_tokenizer_is_an_error_after_the_text(
    speaker: Speaker, capsys: pytest.CaptureFixture[str]
) -> None:
    model = speaker(" wear capes.", n_vocab=320, then=[310])
    assert run(["generate", str(model), PROMPT]) == 2
    printed = capsys.readouterr()
    assert printed.out == " wear capes."
    assert is_one_error_line(printed.err)
    assert "no token has the id 310" in printed.err


def test_a_text_is_too_long_for_the_context(
    speaker: Speaker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["generate", str(speaker(" wear")), "a b c " * 40]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert is_one_error_line(printed.err)
    assert "tokens long, and n_ctx 64 has no room for more" in printed.err


def test_models_are_compared_over_a_text(
    speaker: Speaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = speaker(" wear capes.")
    text = tmp_path / "text.txt"
    text.write_text("Not all heroes wear capes. " * 30, encoding="utf-8")
    gpt2_convert.convert(model, tmp_path / "half.npz", dtype="float16")
    arguments = [str(model), str(tmp_path / "half.npz"), "--text", str(text), "--tokens", "150"]
    assert run(["verify", "--logits", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"  tokens      150 of {text}"
    assert lines[-1].startswith("  perplexity  ")
    assert run(["verify", "--logits", "--json", *arguments]) == 0
    found = json.loads(capsys.readouterr().out)["logits"]
    ids = gpt2_convert.load_encoder(model).encode(text.read_text())[:150]
    for side, path in (("source", model), ("target", tmp_path / "half.npz")):
        loaded = gpt2_convert.load(path)
        logits = np.concatenate([loaded.logits(ids[at : at + 64]) for at in range(0, 150, 64)])
        wide = logits.astype(np.float64)[:-1]
        logarithms = wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))
        mean = -logarithms[np.arange(149), ids[1:]].mean()
        assert found["perplexity"][side] == pytest.approx(math.exp(mean), rel=1e-5)


def test_a_text_needs_a_tokenizer_of_the_model(
    speaker: Speaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = speaker(" wear capes.")
    text = tmp_path / "text.txt"
    text.write_text("Not all heroes", encoding="utf-8")
    gpt2_convert.convert(model, tmp_path / "a.npz")
    asked = ["verify", "--logits", str(tmp_path / "a.npz"), str(model), "--text", str(text)]
    assert run(asked) == 2
    assert capsys.readouterr().err.endswith("; name one with --tokenizer\n")
    assert run([*asked, "--tokenizer", str(model), "-q"]) == 0
    small = bundles.write_gpt2(tmp_path / "small")
    asked = ["verify", "--logits", str(small), str(small), "--text", str(text)]
    assert run([*asked, "--tokenizer", str(model)]) == 2
    assert "is the tokenizer the model's?" in capsys.readouterr().err
