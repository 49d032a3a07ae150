"""What the tests with torch and transformers share."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from support import bundles

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def openai_folder(shared_data: Path, tmp_path: Path) -> Path:
    """A small model with the tokenizer that OpenAI published, as tf2hf writes both."""
    source = bundles.write_gpt2(tmp_path / "124M")
    for name in ("encoder.json", "vocab.bpe"):
        shutil.copy(shared_data / "openai-124M-index" / name, source)
    gpt2_convert.convert(source, tmp_path / "hf", to="hf")
    return tmp_path / "hf"
