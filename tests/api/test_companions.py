"""What travels beside the weights of a conversion, and what a verification finds there."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import h5py
import pytest
from safetensors.numpy import save_file
from support import bundles, raws, torch_files

import gpt2_convert
from gpt2_convert import (
    FormatError,
    Kind,
    SourceNotFoundError,
    UnreadableError,
    UnsupportedError,
)
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
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any, Literal

    import numpy as np

    from gpt2_convert import Checkpoint

    Save = Callable[[Path, dict[str, np.ndarray[Any, Any]]], object]


def save_torch(path: Path, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    torch_files.write(path, torch_files.state_dict(arrays))


def save_safetensors(path: Path, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    save_file(arrays, path)


def write_file(folder: Path, name: str, save: Save) -> None:
    save(folder / name, raws.huggingface())


def write_shards(folder: Path, index: str, save: Save) -> None:
    """Write every second tensor into either of two files."""
    weights = raws.huggingface()
    stem, suffix = ("model", ".safetensors") if "safe" in index else ("pytorch_model", ".bin")
    shards = [f"{stem}-{number:05d}-of-00002{suffix}" for number in (1, 2)]
    for first, shard in enumerate(shards):
        save(folder / shard, {name: weights[name] for name in list(weights)[first::2]})
    places = {name: shards[number % 2] for number, name in enumerate(weights)}
    (folder / index).write_text(json.dumps({"metadata": {}, "weight_map": places}))


def write_bundle(folder: Path, name: str, save: Save) -> None:
    bundles.write_gpt2(folder, hparams=False)
    (folder / "checkpoint").write_text('model_checkpoint_path: "model.ckpt"\n')


def write_keras(folder: Path, name: str, save: Save) -> None:
    with h5py.File(folder / name, "w") as file:
        for variable, array in raws.keras("transformer/tfgpt2lm_head_model/transformer/").items():
            file[variable] = array


WRITTEN: list[tuple[str, Callable[[Path, str, Save], None], Save]] = [
    ("model.safetensors", write_file, save_safetensors),
    ("model.safetensors.index.json", write_shards, save_safetensors),
    ("ckpt.pt", write_file, save_torch),
    ("pytorch_model.bin", write_file, save_torch),
    ("pytorch_model.bin.index.json", write_shards, save_torch),
    ("model.ckpt", write_bundle, save_torch),
    ("model.ckpt.index", write_bundle, save_torch),
    ("model.ckpt.data-00000-of-00001", write_bundle, save_torch),
    ("checkpoint", write_bundle, save_torch),
    ("tf_model.h5", write_keras, save_torch),
]
"""What a user names, and how it and what belongs to it are written."""
STRANGE = ("data.json", "id_rsa", "secrets.txt", "tokenization_own.py", "train.py")
TOKENIZER = {"hf": {"merges.txt", "vocab.json"}, "tensorflow": {"encoder.json", "vocab.bpe"}}


def fill(folder: Path) -> None:
    """Put a tokenizer, a configuration and what has nothing to do with a model into ``folder``."""
    config = {**raws.CONFIG, "layer_norm_epsilon": 0.001}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.json").write_text('{"a": 0, "b": 1}')
    (folder / "merges.txt").write_text("a b\n")
    for name in (*STRANGE, ".env"):
        (folder / name).write_text("{}")
    (folder / "runs").mkdir()
    (folder / "datasets").symlink_to("/etc")
    (folder / "notes.txt").symlink_to("../elsewhere")
    (folder / "gone").symlink_to("nowhere")
    (folder.parent / "elsewhere").write_text("elsewhere")


def make_project(
    folder: Path, name: str, write: Callable[[Path, str, Save], None], save: Save
) -> None:
    """Make a folder in which a checkpoint lies beside all of that."""
    folder.mkdir()
    write(folder, name, save)
    fill(folder)


def test_a_file_that_cannot_be_opened_says_how_to_do_without(tiny: Path, tmp_path: Path) -> None:
    os.mkfifo(tiny / "merges.txt")
    target = tmp_path / "target"
    with pytest.raises(
        UnreadableError,
        match=r"merges\.txt: not a regular file; weights_only=True leaves all files",
    ):
        gpt2_convert.convert(tiny, target, to="hf")
    (tiny / "merges.txt").unlink()
    (tiny / "merges.txt").symlink_to("nowhere")
    with pytest.raises(SourceNotFoundError, match=r"leads nowhere; weights_only=True leaves all"):
        gpt2_convert.convert(tiny, target, to="hf")
    assert gpt2_convert.convert(tiny, target, to="hf", weights_only=True).verification


@pytest.mark.parametrize("to", ["hf", "tensorflow", "npz"])
@pytest.mark.parametrize(("name", "write", "save"), WRITTEN, ids=[each[0] for each in WRITTEN])
def test_with_a_file_that_was_named_goes_the_tokenizer_and_nothing_strange(
    name: str,
    write: Callable[[Path, str, Save], None],
    save: Save,
    to: Literal["hf", "tensorflow", "npz"],
    tmp_path: Path,
) -> None:
    folder, target = tmp_path / "project", tmp_path / "target"
    make_project(folder, name, write, save)
    report = gpt2_convert.convert(folder / name, target, to=to)
    assert report.config
    assert report.config.layer_norm_epsilon == 0.001
    listed = {each.source_name for each in report.companions} | {each.name for each in report.left}
    assert listed == {"merges.txt", "vocab.json"}  # of the rest, nothing is said
    if to == "npz":
        return
    found = set(os.listdir(target))
    assert found >= TOKENIZER[to]
    assert not found & {*STRANGE, ".env", "runs", "datasets", "notes.txt", "gone"}
    compared = gpt2_convert.verify(folder / name, target)
    assert compared.ok
    assert set(compared.companions) == TOKENIZER["hf"]
    assert not set(STRANGE) & set(compared.not_compared)


@pytest.mark.parametrize("to", ["hf", "tensorflow"])
@pytest.mark.parametrize(
    ("name", "write", "save"),
    [each for each in WRITTEN if each[0] != "ckpt.pt"],
    ids=[each[0] for each in WRITTEN if each[0] != "ckpt.pt"],
)
def test_of_a_folder_that_was_named_every_file_goes_but_no_link_out_of_it(
    name: str,
    write: Callable[[Path, str, Save], None],
    save: Save,
    to: Literal["hf", "tensorflow"],
    tmp_path: Path,
) -> None:
    folder, target = tmp_path / "project", tmp_path / "target"
    make_project(folder, name, write, save)
    report = gpt2_convert.convert(folder, target, to=to)
    assert {each.source_name for each in report.companions} == {
        *STRANGE,
        "merges.txt",
        "vocab.json",
    }
    reasons = {each.name: each.reason for each in report.left}
    assert reasons["notes.txt"] == "a link that leads out of its folder"
    assert reasons["gone"] == "a link that leads nowhere"
    assert reasons["runs"] == reasons["datasets"] == "a folder"
    assert not set(os.listdir(target)) & {".env", "runs", "datasets", "notes.txt", "gone"}


@pytest.mark.parametrize("name", ["weights.npz", "weights.h5", "tf_model.h5", "model.safetensors"])
def test_beside_a_file_of_this_tool_there_is_nothing(name: str, tiny: Path, tmp_path: Path) -> None:
    folder, target = tmp_path / "project", tmp_path / "target"
    folder.mkdir()
    gpt2_convert.convert(tiny, folder / name)
    fill(folder)
    report = gpt2_convert.convert(folder / name, target, to="hf")
    assert (report.companions, report.left) == ((), ())
    assert report.config
    assert report.config.layer_norm_epsilon == 1e-5
    assert set(os.listdir(target)) == {"config.json", "model.safetensors"}


def test_verify_reads_no_more_of_what_lies_elsewhere_than_convert(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        write_file(folder, "model.safetensors", save_safetensors)
        (folder / "config.json").write_text(json.dumps(raws.CONFIG))
        (folder / "vocab.json").write_text('{"a": 0}')
    (second / "vocab.json").rename(tmp_path / "vocab.json")
    (second / "vocab.json").symlink_to("../vocab.json")
    for pair in ((first, second), (second, first)):
        with pytest.raises(UnsupportedError, match=r"second/vocab\.json: .*weights_only=True"):
            gpt2_convert.verify(*pair)
        assert gpt2_convert.verify(*pair, weights_only=True).ok


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
