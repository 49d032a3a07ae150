"""The cache of the Hugging Face Hub: a model's folder means the snapshot that refs/main names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from safetensors.numpy import save_file
from support import raws

import gpt2_convert
from gpt2_convert.formats.hub_cache import find_snapshot
from gpt2_convert.formats.opening import open_raw

if TYPE_CHECKING:
    from pathlib import Path

COMMITS = ("607a30d783dfa663caf39e06633721c8d4cfcd7e", "11c5a3d5811f50298f278a704980280950aedb10")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A model's folder as huggingface_hub keeps it, with two commits; main is at the first."""
    root = tmp_path / "hub" / "models--openai-community--gpt2"
    for commit in COMMITS:
        (root / "blobs").mkdir(parents=True, exist_ok=True)
        (root / "snapshots" / commit).mkdir(parents=True)
        save_file(raws.huggingface(), root / "blobs" / commit)
        link = root / "snapshots" / commit / "model.safetensors"
        link.symlink_to(f"../../blobs/{commit}")
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(COMMITS[0])
    return root


def test_the_folder_of_a_model_means_the_snapshot_of_main(cache: Path) -> None:
    with open_raw(cache) as raw:
        assert raw.where == str(cache / "snapshots" / COMMITS[0] / "model.safetensors")
    (cache / "refs" / "main").write_text(f"{COMMITS[1]}\n")
    assert find_snapshot(cache) == cache / "snapshots" / COMMITS[1]


def test_it_is_the_same_from_within(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cache)
    with gpt2_convert.open(".") as checkpoint:
        assert len(checkpoint) == len(raws.canonical())


def test_a_reference_that_names_nothing_is_said(cache: Path) -> None:
    (cache / "refs" / "main").write_text("f" * 40)
    with pytest.raises(gpt2_convert.SourceNotFoundError, match="named by refs/main, and not here"):
        open_raw(cache)
    (cache / "refs" / "main").unlink()
    with pytest.raises(gpt2_convert.SourceNotFoundError, match=f"there are: '{COMMITS[1]}'"):
        open_raw(cache)


@pytest.mark.parametrize("text", ["", "..", "../../blobs", "main", "a" * 65, "<html>"])
def test_a_reference_that_is_no_commit_is_refused(text: str, cache: Path) -> None:
    (cache / "refs" / "main").write_text(text)
    with pytest.raises(gpt2_convert.FormatError, match="the hash of a commit expected"):
        open_raw(cache)


def test_a_link_of_the_cache_that_leads_nowhere_is_called_that(cache: Path) -> None:
    (cache / "blobs" / COMMITS[0]).unlink()
    with pytest.raises(gpt2_convert.SourceNotFoundError, match="a link that leads nowhere"):
        open_raw(cache)


def test_any_other_folder_means_itself(tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir()
    assert find_snapshot(tmp_path) == tmp_path
    assert find_snapshot(tmp_path / "absent") == tmp_path / "absent"
