"""Companions: which files travel, under which names, and what each is looked at for."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support import raws

from gpt2_convert.checkpoint.raw import FileInfo
from gpt2_convert.errors import FormatError, UnsupportedError
from gpt2_convert.formats.companion_kinds import is_replaceable
from gpt2_convert.formats.companions import (
    Beside,
    Companion,
    check_companion,
    compare_companion,
    copy_companion,
    list_beside,
)
from gpt2_convert.io.json_scan import Allowance
from gpt2_convert.io.source import CHUNK

if TYPE_CHECKING:
    from pathlib import Path


def beside(folder: Path, *own: str) -> Beside:
    files = tuple(FileInfo(str(folder / name), 0) for name in own)
    return list_beside(replace(raws.raw({}), folder=folder, folder_named=True, files=files))


def names(found: Beside) -> dict[str, str]:
    return {each.path.name: each.name for each in found.companions}


def test_openai_s_names_become_hugging_face_s(tmp_path: Path) -> None:
    for name in ("encoder.json", "vocab.bpe", "notes.md"):
        (tmp_path / name).touch()
    assert names(beside(tmp_path)) == {
        "encoder.json": "vocab.json",
        "notes.md": "notes.md",
        "vocab.bpe": "merges.txt",
    }
    (tmp_path / "vocab.json").touch()
    found = beside(tmp_path)
    assert "encoder.json" not in names(found)
    assert [(each.name, each.reason) for each in found.left] == [
        ("encoder.json", "vocab.json goes in its place")
    ]


def test_the_checkpoint_s_own_files_and_its_configuration_are_no_companions(tmp_path: Path) -> None:
    own = ["model.ckpt.index", "model.ckpt.data-00000-of-00001", "checkpoint"]
    for name in (*own, "hparams.json", "config.json", ".cache", "model.ckpt.meta"):
        (tmp_path / name).touch()
    (tmp_path / "model-2.index").touch()
    found = beside(tmp_path, *own)
    assert not found.companions
    assert {each.name for each in found.left} == {"model.ckpt.meta", "model-2.index"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pytorch_model-00001-of-00002.bin", "weights in another container"),
        ("pytorch_model.bin.index.json", "weights in another container"),
        ("model-00001-of-00002.safetensors", "weights in another container"),
        ("tf_model.h5", "weights in another container"),
        ("flax_model.msgpack", "weights in another container"),
        ("model.onnx", "weights in another container"),
        ("ggml-model.gguf", "weights in another container"),
        ("model-5.data-00000-of-00001", "weights in another container"),
        ("optimizer.pt", "a trainer's state"),
        ("rng_state_0.pth", "a trainer's state"),
        ("training_args.bin", "a trainer's state"),
        ("events.out.tfevents.1572.host", "a trainer's state"),
    ],
)
def test_what_stays_behind_says_why(name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    (left,) = beside(tmp_path).left
    assert (left.name, left.reason) == (name, reason)


def test_beside_a_file_that_was_named_only_the_model_s_own_names_count(tmp_path: Path) -> None:
    theirs = ("id_rsa", "secrets.txt", "train.py", "modeling_x.py", "optimizer.pt", "data.json")
    for name in ("vocab.json", "merges.txt", "README.md", "tokenizer.json", *theirs):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/etc/hostname")
    found = list_beside(replace(raws.raw({}), folder=tmp_path))
    assert set(names(found)) == {"vocab.json", "merges.txt", "README.md", "tokenizer.json"}
    assert found.left == ()


def test_a_link_out_of_the_folder_is_left_unless_a_tokenizer_would_be_missing(
    tmp_path: Path,
) -> None:
    (tmp_path / "elsewhere").touch()
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("data", "gone", "vocab.json"):
        (folder / name).symlink_to("../elsewhere" if name != "gone" else "nowhere")
    found = beside(folder)
    assert set(names(found)) == {"vocab.json"}
    assert {each.name: each.reason for each in found.left} == {
        "data": "a link that leads out of its folder",
        "gone": "a link that leads nowhere",
    }
    with pytest.raises(UnsupportedError) as caught:
        check_companion(found.companions[0], 9)
    assert str(caught.value) == (
        f"{folder / 'vocab.json'}: a link that leads out of its folder, which is not followed; put "
        "the file itself there; or leave them behind with weights_only=True"
    )


def test_a_single_file_has_nothing_beside_it() -> None:
    assert list_beside(raws.raw({})) == Beside()


def test_a_folder_of_a_stranger_is_not_replaced() -> None:
    for name in ("vocab.json", "merges.txt", "tokenizer.json", "README.md", "LICENSE.txt"):
        assert is_replaceable(name)
    for name in ("encoder.json", "vocab.bpe"):
        assert is_replaceable(name)
    for name in ("thesis.tex", "train.py", "data.json", "notes.txt", "model.ckpt.index", ".git"):
        assert not is_replaceable(name)


def test_copies_and_comparisons_report_the_bytes_by_their_digest(tmp_path: Path) -> None:
    data = json.dumps({f"token {number}": number for number in range(90_000)}).encode()
    assert len(data) > CHUNK
    (tmp_path / "encoder.json").write_bytes(data)
    companion = Companion(tmp_path / "encoder.json", "vocab.json")
    (tmp_path / "out").mkdir()
    copied = copy_companion(companion, tmp_path / "out", 90_000)
    assert (tmp_path / "out" / "vocab.json").read_bytes() == data
    assert (copied.name, copied.source_name, copied.nbytes, copied.sha256) == (
        "vocab.json",
        "encoder.json",
        len(data),
        hashlib.sha256(data).hexdigest(),
    )
    assert compare_companion(companion, tmp_path / "out" / "vocab.json") == copied
    for other in (data[:-1], data + b"\0", data[:-1] + b"\0", b""):
        (tmp_path / "other").write_bytes(other)
        assert compare_companion(companion, tmp_path / "other") is None


def test_a_copy_never_replaces_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("new")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "LICENSE").write_text("old")
    with pytest.raises(FileExistsError):
        copy_companion(Companion(tmp_path / "LICENSE", "LICENSE"), tmp_path / "out", 10)
    assert (tmp_path / "out" / "LICENSE").read_text() == "old"


def test_json_of_any_kind_and_size_is_taken_for_what_it_is(tmp_path: Path) -> None:
    for name, text in {
        "tokenizer_config.json": '{"a": NaN, "a": 1}',
        "added_tokens.json": "[]",
        "large.json": json.dumps({"x": "y" * (5 << 20)}) + "\n",
    }.items():
        (tmp_path / name).write_text(text)
        assert check_companion(Companion(tmp_path / name, name), 90_000) == []
    (tmp_path / "large.json").write_text('{"x": "' + "y" * (5 << 20))
    with pytest.raises(FormatError, match=r"not JSON: it starts with b'\{' and ends with b'y'"):
        check_companion(Companion(tmp_path / "large.json", "large.json"), 10)


def test_a_vocabulary_is_no_larger_than_makes_sense(tmp_path: Path) -> None:
    path = tmp_path / "vocab.json"
    path.write_bytes(b'{"a": 0}' + b" " * (16 << 20))
    with pytest.raises(FormatError, match=r"16,777,224 bytes, where at most 16,777,216 make sense"):
        check_companion(Companion(path, "vocab.json"), 10)


def test_memory_stays_flat_with_a_companion_of_100_mb(tmp_path: Path) -> None:
    path = tmp_path / "merges.txt"
    with path.open("wb") as file:
        for _ in range(100):
            file.write(b"a b\n" * 250_000)
    companion = Companion(path, "merges.txt")
    (tmp_path / "out").mkdir()
    tracemalloc.start()
    check_companion(companion, 10)
    copied = copy_companion(companion, tmp_path / "out", 10)
    assert compare_companion(companion, tmp_path / "out" / "merges.txt") == copied
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert copied.nbytes == 100_000_000
    assert peak < 40_000_000


# Folders that would cost much.


def test_more_files_than_a_model_has_are_refused_where_they_would_travel(tmp_path: Path) -> None:
    for number in range(1_000):
        (tmp_path / f"{number}.md").touch()
    # Names that tell, folders and weights do not count.
    for number in range(100):
        (tmp_path / f"events.out.tfevents.{number}").touch()
        (tmp_path / f"folder{number}").mkdir()
    assert len(beside(tmp_path).companions) == 1_000
    (tmp_path / "one more").touch()
    with pytest.raises(UnsupportedError) as caught:
        beside(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: more than 1,000 files beside the weights; put the model into a folder of its "
        "own; or leave them behind with weights_only=True"
    )
    raw = replace(raws.raw({}), folder=tmp_path, folder_named=True)
    assert len(list_beside(raw, travel=False).companions) == 1_001


def test_a_file_under_many_names_is_not_copied_as_often(tmp_path: Path) -> None:
    (tmp_path / "00.md").write_text("text")
    for number in range(1, 16):
        (tmp_path / f"{number:02d}.md").hardlink_to(tmp_path / "00.md")
    (tmp_path / "other.md").write_text("text")
    (tmp_path / "nowhere.md").symlink_to("nothing")
    assert len(beside(tmp_path).companions) == 17
    (tmp_path / "16.md").symlink_to("00.md")
    with pytest.raises(UnsupportedError, match=r"/16\.md: a file that has more than 16 names"):
        beside(tmp_path)


def test_so_much_json_is_looked_at_in_all_files_together(tmp_path: Path) -> None:
    for name, tokens in (("a.json", 5), ("b.json", 7)):
        (tmp_path / name).write_text(f"[{','.join('1' * (tokens // 2))}]")
    (tmp_path / "c.json").write_text("[broken]")
    paths = [Companion(tmp_path / f"{name}.json", name) for name in "abc"]
    allowance = Allowance(5 + 7)
    for path in paths:
        assert check_companion(path, 10, allowance) == []
    assert allowance.tokens == 0
    with pytest.raises(FormatError, match=r"c\.json: not JSON at byte 1"):
        check_companion(paths[2], 10, Allowance(5 + 7))
