"""What is published stands as data: whole, checked when it is read, and true where it can be held
against the files themselves.
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest
from support import bundles, mirrors

from gpt2_convert.download.content import SHA256, Digest, Known
from gpt2_convert.download.published import load_published, parse_published

if TYPE_CHECKING:
    from pathlib import Path

TEXT = files("gpt2_convert.schemas").joinpath("published.toml").read_text("utf-8")
NAMES = (
    "checkpoint", "encoder.json", "hparams.json", "model.ckpt.data-00000-of-00001",
    "model.ckpt.index", "model.ckpt.meta", "vocab.bpe",
)  # fmt: skip
"""What download_model.py of openai/gpt-2 fetches."""


def test_every_model_has_the_files_that_openai_s_own_program_fetches() -> None:
    openai = load_published().openai
    assert sorted(openai.files) == sorted(NAMES)
    assert list(openai.known) == ["124M", "355M", "774M", "1558M"]
    assert all(sorted(known) == sorted(NAMES) for known in openai.known.values())
    assert openai.files[-1] == mirrors.DATA  # the weights last: what is wrong shows early


def test_sizes_are_those_of_the_models() -> None:
    # Float32 weights and nothing else, packed.
    known = load_published().openai.known
    for model, sizes in bundles.OPENAI.items():
        count = 0
        for shape in bundles.gpt2_shapes(sizes).values():
            product = 1
            for size in shape:
                product *= size
            count += product
        assert known[model][mirrors.DATA].nbytes == 4 * count


def test_the_published_digests_are_those_of_the_files(shared_data: Path) -> None:
    folder = shared_data / "openai-124M-index"
    known = load_published().openai.known["124M"]
    for name in ("checkpoint", "encoder.json", "model.ckpt.index", "model.ckpt.meta", "vocab.bpe"):
        body = (folder / name).read_bytes()
        assert known[name] == Known(len(body), Digest(SHA256, hashlib.sha256(body).hexdigest()))


def test_tokenizer_files_are_the_same_at_all_sizes() -> None:
    known = load_published().openai.known
    for name in ("encoder.json", "vocab.bpe"):
        assert len({each[name] for each in known.values()}) == 1
    assert known["1558M"]["vocab.bpe"].digest is not None
    assert known["774M"]["model.ckpt.index"] == Known()


def test_an_older_name_leads_to_a_model() -> None:
    openai = load_published().openai
    assert openai.renamed == {"117M": "124M", "345M": "355M", "762M": "774M", "1542M": "1558M"}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('address = "https://huggingface.co"', 'adress = "x"', "hub: missing ['address']"),
        ("[openai.known.355M]", "[openai.known.345M]", "unknown ['345M']"),
        ('"vocab.bpe" = { bytes', '"vocab.bqe" = { bytes', "unknown ['vocab.bqe']"),
        ("bytes = 77", "size = 77", "unknown ['size']"),
        ("dd1b025d", "DD1B025D", "is no SHA-256"),
        ('117M = "124M"', '117M = "125M"', "renamed.117M"),
        ('file = "model.safetensors"', "", "missing ['file']"),
    ],
)
def test_a_mistake_in_the_data_is_an_error(before: str, after: str, message: str) -> None:
    assert before in TEXT
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_published(TEXT.replace(before, after, 1), "published.toml")
