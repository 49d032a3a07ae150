"""What travels beside the weights of a conversion, and what a verification finds there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support import raws

from gpt2_convert import FormatError, Kind
from gpt2_convert.api.companions import (
    check_companions,
    choose_companions,
    compare_companions,
    prove_companions,
)
from gpt2_convert.formats.companions import Companion
from gpt2_convert.formats.writers import WRITERS
from gpt2_convert.model.adopt import adopt

if TYPE_CHECKING:
    from pathlib import Path

    from gpt2_convert import Checkpoint


def checkpoint_in(folder: Path) -> Checkpoint:
    return adopt(replace(raws.raw(raws.huggingface()), folder=folder, folder_named=True))


@pytest.mark.parametrize(
    ("to", "weights_only", "reason"),
    [
        ("npz", False, "one file has no room for it"),
        ("hf", True, "only the weights were asked for"),
    ],
)
def test_what_does_not_travel_is_named_with_the_reason(
    to: str, weights_only: bool, reason: str, tmp_path: Path
) -> None:
    for name in ("merges.txt", "a.md", "optimizer.pt"):
        (tmp_path / name).touch()
    source = checkpoint_in(tmp_path)
    found = choose_companions(source, WRITERS[to], weights_only=weights_only)
    assert not found.companions
    assert [(each.name, each.reason) for each in found.left] == [
        ("a.md", reason),
        ("merges.txt", reason),
        ("optimizer.pt", "a trainer's state"),
    ]
    everything = choose_companions(source, WRITERS["hf"], weights_only=False)
    assert [each.name for each in everything.companions] == ["a.md", "merges.txt"]


def test_a_target_in_openai_s_layout_has_openai_s_names_for_the_tokenizer(tmp_path: Path) -> None:
    for name in ("merges.txt", "vocab.json", "a.md"):
        (tmp_path / name).touch()
    found = choose_companions(checkpoint_in(tmp_path), WRITERS["tensorflow"], weights_only=False)
    assert {each.path.name: each.name for each in found.companions} == {
        "a.md": "a.md",
        "merges.txt": "vocab.bpe",
        "vocab.json": "encoder.json",
    }


def test_notes_of_all_are_gathered_and_the_first_fault_is_raised(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text('{"a": 9}')
    vocabulary = Companion(tmp_path / "vocab.json", "vocab.json")
    assert check_companions([vocabulary], 9) == [
        "'vocab.json' numbers tokens up to 9, but n_vocab is 9"
    ]
    assert check_companions([vocabulary], 10) == []
    (tmp_path / "merges.txt").write_text("<html>")
    with pytest.raises(FormatError, match=r"merges\.txt: an HTML or XML page"):
        check_companions([vocabulary, Companion(tmp_path / "merges.txt", "merges.txt")], 10)


def test_a_proof_reads_both_sides_and_finds_the_copy_that_differs(tmp_path: Path) -> None:
    (tmp_path / "copies").mkdir()
    companions = [Companion(tmp_path / name, name) for name in ("a", "b")]
    for each in companions:
        each.path.write_text("text")
        (tmp_path / "copies" / each.name).write_text("text")
    copied, findings = prove_companions(companions, tmp_path / "copies")
    assert [each.name for each in copied] == ["a", "b"]
    assert not findings
    (tmp_path / "copies" / "b").write_text("tex")
    copied, (finding,) = prove_companions(companions, tmp_path / "copies")
    assert [each.name for each in copied] == ["a"]
    assert (finding.kind, finding.tensor) == (Kind.COMPANION, "b")


def test_only_files_that_both_have_are_compared_under_hugging_face_s_names(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, files in {
        first: {"encoder.json": "{}", "vocab.bpe": "a b", "LICENSE": "MIT"},
        second: {"vocab.json": "{}", "merges.txt": "a c", "README.md": "x"},
    }.items():
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    source, target = (replace(raws.raw({}), folder=folder) for folder in (first, second))
    compared, (finding,), alone = compare_companions(source, target)
    assert compared == ("merges.txt", "vocab.json")
    assert (finding.kind, finding.tensor) == (Kind.COMPANION, "merges.txt")
    assert alone == ("LICENSE", "README.md")
    assert compare_companions(source, raws.raw({})) == ((), (), ())
