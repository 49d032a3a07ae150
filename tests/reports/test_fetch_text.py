"""A fetch as text says what came, and what proves it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.page import Page
from support.reports import (
    FETCHED,
)

from gpt2_convert.reports.fetch import Proof
from gpt2_convert.reports.fetch_text import write_fetch


def test_a_fetch_says_what_came_and_what_proves_it() -> None:
    page = Page()
    write_fetch(page, FETCHED, 2.0)
    assert page.lines == [
        f"models/gpt2  from https://huggingface.co/openai-community/gpt2 at {'6' * 40}",
        f"  there     config.json        665 bytes, {'1' * 64}",
        f"  fetched   model.safetensors  548,105,171 bytes, {'2' * 64}",
        "  proven    'model.safetensors': the SHA-256 is the published one",
        "  proven    'config.json': the hash is the one that the Hub states for the commit",
        "  note      'vocab.json' numbers tokens up to 60,000, but n_vocab is 50,257",
        "  148 tensors, 124,439,808 parameters, 497,759,232 bytes, float32",
        "  548,105,171 bytes fetched and proven in 2.0 s, 274 MB/s",
    ]


def test_a_fetch_says_whose_origin_is_not_proven() -> None:
    page = Page()
    proofs = (Proof.CHECKSUMS, Proof.SIZE)
    files = tuple(
        replace(file, proof=proof) for file, proof in zip(FETCHED.files, proofs, strict=True)
    )
    write_fetch(page, replace(FETCHED, files=files, commit=None, notes=()), 2.0)
    assert page.lines[0] == "models/gpt2  from https://huggingface.co/openai-community/gpt2"
    assert page.lines[3:6] == [
        "  proven    'config.json': every tensor matches its checksum",
        "  proven    'model.safetensors': by the size alone",
        (
            "  note      the origin is not proven, since no SHA-256 is published, of "
            "'config.json', 'model.safetensors'"
        ),
    ]
    assert "yellow" in page.styles


@pytest.mark.parametrize("proof", Proof)
def test_a_fetch_of_files_that_are_proven_alike_says_it_once(proof: Proof) -> None:
    page = Page()
    files = tuple(replace(file, proof=proof) for file in FETCHED.files)
    write_fetch(page, replace(FETCHED, files=files), 2.0)
    (line,) = (line for line in page.lines if line.startswith("  proven"))
    assert line.startswith("  proven    all files: ")
