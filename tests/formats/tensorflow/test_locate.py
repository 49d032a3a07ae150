"""From what people pass to the files of a bundle."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save_file
from support import bundles

import gpt2_convert
from gpt2_convert import FormatError, SourceNotFoundError, UnreadableError, UsageError
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.tensorflow.locate import latest_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def write_bundle(prefix: Path, mark: int = 0) -> Path:
    """A bundle of one tensor that holds ``mark``, to tell it from others."""
    bundle = bundles.Bundle()
    bundle.add("mark", np.array(mark, np.int32))
    return bundle.write(prefix)


def mark(path: Path | str, step: int | None = None) -> int:
    """Open ``path`` and return the mark of the bundle that was meant by it."""
    with open_raw(path, step) as raw:
        assert raw.format == "tensorflow"
        assert not raw.faults
        (tensor,) = raw.tensors
        return int(tensor.array())


def name_in_checkpoint(folder: Path, text: str) -> None:
    (folder / "checkpoint").write_text(f"model_checkpoint_path: {text}\n")


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    """A folder with the steps 9, 10 and 100, of which ``checkpoint`` names 10."""
    folder = tmp_path / "run"
    for step in (100, 9, 10):
        write_bundle(folder / f"model-{step}", step)
    (folder / "checkpoint").write_text(
        'model_checkpoint_path: "model-10"\n'
        'all_model_checkpoint_paths: "model-9"\n'
        'all_model_checkpoint_paths: "model-100"\n'
    )
    return folder


# What people pass.

WAYS: dict[str, Callable[[Path], Path]] = {
    "directory": lambda folder: folder,
    "prefix": lambda folder: folder / "model.ckpt",
    "index": lambda folder: folder / "model.ckpt.index",
    "data": lambda folder: folder / "model.ckpt.data-00000-of-00001",
    "checkpoint": lambda folder: folder / "checkpoint",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("relative", [False, True])
def test_every_part_of_a_checkpoint_means_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, relative: bool
) -> None:
    folder = tmp_path / "models" / "124M"
    write_bundle(folder / "model.ckpt", 7)
    name_in_checkpoint(folder, '"model.ckpt"')
    path = WAYS[way](folder)
    if relative:
        monkeypatch.chdir(folder)
        path = path.relative_to(folder)
    assert mark(path) == 7
    assert mark(str(path)) == 7


@pytest.mark.parametrize("way", WAYS)
def test_every_way_converts_to_the_same_bytes(tiny: Path, tmp_path: Path, way: str) -> None:
    gpt2_convert.convert(tiny, tmp_path / "expected.npz")
    gpt2_convert.convert(WAYS[way](tiny), tmp_path / "found.npz")
    found = (tmp_path / "found.npz").read_bytes()
    assert found == (tmp_path / "expected.npz").read_bytes()


def test_any_of_several_data_files_means_the_checkpoint(tmp_path: Path) -> None:
    bundle = bundles.Bundle(shards=[bytearray(), bytearray()])
    bundle.add("mark", np.array(5, np.int32), 1)
    bundle.write(tmp_path / "m")
    for shard in range(2):
        assert mark(tmp_path / f"m.data-{shard:05d}-of-00002") == 5


def test_a_folder_of_one_checkpoint_needs_no_checkpoint_file(tmp_path: Path) -> None:
    write_bundle(tmp_path / "variables", 3)
    assert mark(tmp_path) == 3


def test_a_checkpoint_folder_inside_names_nothing(tmp_path: Path) -> None:
    # gpt-2-simple keeps its runs in a folder of that name.
    write_bundle(tmp_path / "model.ckpt", 3)
    write_bundle(tmp_path / "checkpoint" / "run1" / "model-5", 5)
    assert mark(tmp_path) == 3


def test_a_checkpoint_folder_inside_another_model_is_not_taken_for_it(tmp_path: Path) -> None:
    save_file({"mark": np.array(3, np.int32)}, tmp_path / "model.safetensors")
    write_bundle(tmp_path / "checkpoint" / "run1" / "model-5", 5)
    with open_raw(tmp_path) as raw:
        assert raw.format == "safetensors"
        assert int(raw.tensors[0].array()) == 3


def test_a_folder_of_runs_says_that_a_run_must_be_named(tmp_path: Path) -> None:
    write_bundle(tmp_path / "checkpoint" / "run1" / "model-5", 5)
    with pytest.raises(SourceNotFoundError, match="name the folder in it that has one"):
        open_raw(tmp_path)
    assert mark(tmp_path / "checkpoint" / "run1") == 5


def test_a_prefix_may_itself_be_called_checkpoint(tmp_path: Path) -> None:
    write_bundle(tmp_path / "checkpoint", 4)
    write_bundle(tmp_path / "other", 5)
    assert mark(tmp_path / "checkpoint") == 4


@pytest.mark.parametrize(
    "name",
    [
        "with spaces in it", "new\nline", "tab\tquote\"and'more", "\u00e4\u6a21\u578b", "-", "...",
        ".hidden", "model.ckpt.index", "a.data-00000-of-00001", "x.data-of-", "a.data-1-of-2",
        "a.data-abcde-of-fghij", "a.data-00000-of-000001", "a.data-00000", ".data-00000-of-00001",
        "%s{}", "1",
    ],
)  # fmt: skip
def test_names_are_taken_as_they_are(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    prefix = write_bundle(folder / name, 6)
    for path in (folder, folder / f"{name}.index", folder / f"{name}.data-00000-of-00001"):
        assert mark(path) == 6
    if not name.endswith((".index", "-00001")):
        assert mark(prefix) == 6


def test_names_that_are_no_utf8_are_taken_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        prefix = write_bundle(folder / os.fsdecode(b"mod\xe8le"), 8)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    (folder / "checkpoint").write_bytes(b'model_checkpoint_path: "mod\\350le"\n')
    for path in (folder, prefix, folder / "checkpoint"):
        assert mark(path) == 8
    (folder / "checkpoint").write_bytes(b'model_checkpoint_path: "mod\xe8le"\n')
    assert mark(folder) == 8


@pytest.mark.parametrize("name", [".index", "..index", "...index", "..data-00000-of-00001"])
def test_a_stray_file_without_a_name_before_the_suffix_is_no_checkpoint(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(gpt2_convert.Gpt2ConvertError):
        open_raw(tmp_path / name)
    (tmp_path / name).touch()
    with pytest.raises(gpt2_convert.Gpt2ConvertError):
        open_raw(tmp_path / name)
    with pytest.raises(SourceNotFoundError):
        open_raw(tmp_path)
    write_bundle(tmp_path / "model.ckpt", 2)
    assert mark(tmp_path) == 2


# Several steps.


def test_the_checkpoint_file_names_the_step(steps: Path) -> None:
    assert mark(steps) == 10
    assert mark(steps / "checkpoint") == 10


@pytest.mark.parametrize("step", [9, 10, 100])
def test_a_step_is_chosen_whatever_the_checkpoint_file_says(steps: Path, step: int) -> None:
    assert mark(steps, step) == step
    assert mark(steps / "checkpoint", step) == step
    name_in_checkpoint(steps, "not even quoted")
    assert mark(steps, step) == step
    (steps / "checkpoint").unlink()
    assert mark(steps, step) == step


@pytest.mark.parametrize("step", [0, 1, 99, 1000, -10])
def test_a_step_that_is_not_there_is_refused_with_those_that_are(steps: Path, step: int) -> None:
    with pytest.raises(SourceNotFoundError) as caught:
        open_raw(steps, step)
    assert f"no step {step}; there are: model-9, model-10, model-100" in str(caught.value)


def test_a_step_of_two_models_is_ambiguous(steps: Path) -> None:
    write_bundle(steps / "other-10")
    with pytest.raises(UsageError, match="step 10 is ambiguous: model-10, other-10"):
        open_raw(steps, 10)


def test_a_step_is_ascii_digits_behind_a_dash(steps: Path) -> None:
    for name in ("10", "model_10", "model-\u0661\u0660", "model-10b", "model-x10", "model-"):
        write_bundle(steps / name)
    assert mark(steps, 10) == 10


@pytest.mark.parametrize("name", ["model-10", "model-10.index", "model-10.data-00000-of-00001"])
def test_a_step_makes_no_sense_where_the_path_names_a_checkpoint(steps: Path, name: str) -> None:
    with pytest.raises(
        UsageError, match="a step chooses within a folder of checkpoints, and this path"
    ):
        open_raw(steps / name, 10)


def test_several_steps_that_nobody_names_are_ambiguous_and_listed_in_order(steps: Path) -> None:
    (steps / "checkpoint").unlink()
    with pytest.raises(UsageError) as caught:
        open_raw(steps)
    assert "3 checkpoints and no 'checkpoint' file" in str(caught.value)
    assert "model-9, model-10, model-100;" in str(caught.value)
    for step in range(1000, 1010):
        write_bundle(steps / f"model-{step}")
    with pytest.raises(UsageError, match=r"model-1003, model-1004, \.\.\. \(13 in all\)"):
        open_raw(steps)


def test_names_without_a_step_are_listed_in_their_order(tmp_path: Path) -> None:
    for name in ("model-10", "beta", "model-9", "model-best", "alpha"):
        write_bundle(tmp_path / name)
    with pytest.raises(UsageError, match="alpha, beta, model-9, model-10, model-best;"):
        open_raw(tmp_path)


def test_the_real_steps_of_a_finetuned_model_are_chosen(shared_data: Path) -> None:
    folder = shared_data / "gpt2-finetuned-index-oscar" / "checkpoint" / "run1"
    found = {}
    for step in (None, 301, 809, 1000, 2000, 3000, 4000, 4614):
        with open_raw(folder, step) as raw:
            found[step] = raw.where.rpartition("/")[2]
            assert len(raw.tensors) == 148
            # Only the indexes are there.
            (fault,) = raw.faults
            assert isinstance(fault, SourceNotFoundError)
            assert found[step] in str(fault)
    assert found.pop(None) == "model-4614"
    assert found == {step: f"model-{step}" for step in found}
    with pytest.raises(SourceNotFoundError, match="model-301, model-809, model-1000"):
        open_raw(folder, 302)


def test_a_folder_of_runs_is_no_checkpoint(shared_data: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"no \.index file"):
        open_raw(shared_data / "gpt2-finetuned-index-oscar")


# The checkpoint file.


@pytest.mark.parametrize(
    "text",
    [
        '"model.ckpt"', "'model.ckpt'", '"./model.ckpt"', '"x/../model.ckpt"',
        '"/content/checkpoint/run1/model.ckpt"', '"/model.ckpt"', '"/a/b/../model.ckpt"',
        r'"\155odel.ckpt"', r'"\x6dodel.ckpt"', r'"\X6Dodel\56ckpt"', ' \t"model.ckpt" \r',
    ],
)  # fmt: skip
def test_the_path_it_names_is_found_beside_it(tmp_path: Path, text: str) -> None:
    write_bundle(tmp_path / "model.ckpt", 1)
    write_bundle(tmp_path / "other.ckpt", 2)
    name_in_checkpoint(tmp_path, text)
    assert mark(tmp_path) == 1


def test_a_path_in_a_folder_below_is_found(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model.ckpt", 1)
    write_bundle(tmp_path / "best" / "model.ckpt", 2)
    name_in_checkpoint(tmp_path, '"best/model.ckpt"')
    assert mark(tmp_path) == 2


@pytest.mark.parametrize(
    "text",
    [
        '"../model.ckpt"',
        '".."',
        '"a/../../model.ckpt"',
        '"../run/model.ckpt"',
        r'"\56./model.ckpt"',
    ],
)
def test_a_path_that_climbs_out_is_refused_even_if_it_is_there(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "run"
    write_bundle(folder / "model.ckpt")
    write_bundle(tmp_path / "model.ckpt")
    name_in_checkpoint(folder, text)
    with pytest.raises(UsageError) as caught:
        open_raw(folder)
    assert "outside its folder" in str(caught.value)
    assert "there are: model.ckpt" in str(caught.value)


def test_an_absolute_path_is_not_followed_out_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write_bundle(folder / "here.ckpt")
    elsewhere = write_bundle(tmp_path / "elsewhere.ckpt")
    name_in_checkpoint(folder, f'"{elsewhere}"')
    with pytest.raises(SourceNotFoundError, match=r"which is not here; there are: here\.ckpt"):
        open_raw(folder)


@pytest.mark.parametrize(
    "text", ['"gone.ckpt"', '"/"', '"."', '"./"', '"/.."', '"best/"', '"model.ckpt.index"']
)
def test_a_path_that_is_not_there_is_refused_with_those_that_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    folder = tmp_path / "run"
    write_bundle(folder / "model.ckpt")
    write_bundle(tmp_path / "run")  # run.index, beside the folder
    name_in_checkpoint(folder, text)
    monkeypatch.chdir(folder)
    for path in (folder, ".", "checkpoint"):
        with pytest.raises(SourceNotFoundError, match=r"there are: model\.ckpt"):
            open_raw(path)


def test_a_name_longer_than_any_file_system_takes_is_not_there(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model.ckpt")
    name_in_checkpoint(tmp_path, '"' + "m" * 5000 + '"')
    with pytest.raises(SourceNotFoundError, match="names 'mmm") as caught:
        open_raw(tmp_path)
    assert len(str(caught.value)) < 1_000


def test_other_lines_and_keys_are_passed_over() -> None:
    text = b"""# written by hand
        all_model_checkpoint_paths: "a"
        model_checkpoint_path_too: "b"
        model_checkpoint_path : "c"
        all_model_checkpoint_timestamps: 1.5e9
        """
    assert latest_checkpoint(text, "x") == "c"


def test_of_two_lines_the_last_counts_as_in_protobuf(tf: object) -> None:
    from google.protobuf import text_format
    from tensorflow.python.training.checkpoint_state_pb2 import CheckpointState

    text = 'model_checkpoint_path: "a"\n'
    assert latest_checkpoint((text * 2).encode(), "x") == "a"
    message = text_format.Parse(text, CheckpointState())
    assert message.model_checkpoint_path == "a"


ESCAPED = [
    r'"plain"', r"'single'", r'"it\'s"', r'"say \"x\""', r"'say \"x\"'", r'"a\\b"', r'"\\\\"',
    r'"\a\b\f\n\r\t\v"', r'"\101\60\0601\7"', r'"\x41\x4a\x7"', r'"\303\244"', '"\u00e4"',
    r'"a\\\"b"', r'"x y"', r'"#no comment"', r'"a: \"b\""',
]  # fmt: skip


@pytest.mark.parametrize("text", ESCAPED)
def test_strings_are_unquoted_as_protobuf_does(tf: object, text: str) -> None:
    from google.protobuf import text_format
    from tensorflow.python.training.checkpoint_state_pb2 import CheckpointState

    line = f"model_checkpoint_path: {text}\n"
    expected = text_format.Parse(line, CheckpointState()).model_checkpoint_path
    assert latest_checkpoint(line.encode(), "x") == expected


def test_escapes_that_only_the_cplusplus_writer_knows_are_undone_too() -> None:
    assert latest_checkpoint(rb'model_checkpoint_path: "why\?\X41"', "x") == "why?A"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "no line 'model_checkpoint_path"),
        ("all_model_checkpoint_paths: 'a'", "no line 'model_checkpoint_path"),
        ("model_checkpoint_path", "no line 'model_checkpoint_path"),
        ("model_checkpoint_path: ''", "no line 'model_checkpoint_path"),
        (r"model_checkpoint_path: 'a\0b'", "no line 'model_checkpoint_path"),
        ("model_checkpoint_path: a", "line 1: a quoted path expected"),
        ("model_checkpoint_path:", "line 1: a quoted path expected"),
        ("\nmodel_checkpoint_path: \"a", "line 2: a quoted path expected"),
        ("model_checkpoint_path: 'a\"", "line 1: a quoted path expected"),
        ("model_checkpoint_path: '", "line 1: a quoted path expected"),
        ("model_checkpoint_path: 'a' 'b'", "line 1: a quoted path expected"),
        ("model_checkpoint_path: 'a\\'", "line 1: "),
        (r"model_checkpoint_path: 'a\q'", r"line 1: unknown escape b'\\q'"),
        (r"model_checkpoint_path: '\xg'", r"line 1: unknown escape b'\\x'"),
        (r"model_checkpoint_path: '\9'", r"line 1: unknown escape b'\\9'"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_understood_is_refused(tmp_path: Path, line: str, says: str) -> None:
    write_bundle(tmp_path / "model.ckpt")
    (tmp_path / "checkpoint").write_text(line)
    with pytest.raises(FormatError) as caught:
        open_raw(tmp_path)
    assert f"{tmp_path / 'checkpoint'}: {says}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_file_of_megabytes_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model.ckpt")
    (tmp_path / "checkpoint").write_bytes(b"\n" * ((1 << 20) + 1))
    with pytest.raises(FormatError, match="1,048,577 bytes"):
        open_raw(tmp_path)


def test_a_checkpoint_file_that_never_ends_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model.ckpt")
    (tmp_path / "checkpoint").symlink_to("/dev/zero")
    with pytest.raises(UnreadableError, match="not a regular file"):
        open_raw(tmp_path)


# What is missing.


def test_an_empty_folder_holds_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="no checkpoint in this folder"):
        open_raw(tmp_path)


def test_a_folder_with_data_and_no_index_says_which_is_missing(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model.ckpt")
    (tmp_path / "model.ckpt.index").unlink()
    with pytest.raises(SourceNotFoundError) as caught:
        open_raw(tmp_path)
    assert "'model.ckpt.data-00000-of-00001' stands alone" in str(caught.value)


def test_a_folder_with_a_checkpoint_file_alone_says_so(tmp_path: Path) -> None:
    name_in_checkpoint(tmp_path, '"model.ckpt"')
    for path in (tmp_path, tmp_path / "checkpoint"):
        with pytest.raises(SourceNotFoundError, match=r"no \.index file"):
            open_raw(path)


@pytest.mark.parametrize("way", ["prefix", "index", "data"])
def test_a_named_checkpoint_without_its_index_is_not_found(tmp_path: Path, way: str) -> None:
    write_bundle(tmp_path / "model.ckpt")
    (tmp_path / "model.ckpt.index").unlink()
    with pytest.raises(SourceNotFoundError, match=r"model\.ckpt"):
        open_raw(WAYS[way](tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        r'"C:\\training\\run1\\model.ckpt-5"',
        r'"C:\training\run1\model.ckpt-5"',
        '"D:/training/model.ckpt-5"',
        r'"\\\\server\\share\\model.ckpt-5"',
        r'"run1\\model.ckpt-5"',
        '"gs://bucket/run1/model.ckpt-5"',
        '"hdfs://host:9000/run1/model.ckpt-5"',
        '"s3://bucket/model.ckpt-5"',
        '"./model.ckpt-5"',
    ],
)
def test_a_foreign_path_means_the_bundle_of_that_name_beside(tmp_path: Path, text: str) -> None:
    for step in (4, 5, 6):
        write_bundle(tmp_path / f"model.ckpt-{step}", step)
    name_in_checkpoint(tmp_path, text)
    assert mark(tmp_path) == 5
    (tmp_path / "model.ckpt-5.index").unlink()
    with pytest.raises(SourceNotFoundError, match=r"which is not here; there are: model\.ckpt-4"):
        open_raw(tmp_path)


def test_a_relative_path_to_what_is_not_there_means_nothing_else(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model.ckpt-5", 5)
    name_in_checkpoint(tmp_path, '"run1/model.ckpt-5"')
    with pytest.raises(SourceNotFoundError, match="which is not here; there are"):
        open_raw(tmp_path)


def test_a_path_within_the_folder_goes_before_one_beside(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model", 1)
    write_bundle(tmp_path / "run" / "model", 2)
    name_in_checkpoint(tmp_path, '"run/model"')
    assert mark(tmp_path) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "HTML or XML page"),
        (b"\n<!DOCTYPE html>", "HTML or XML page"),
    ],
)
@pytest.mark.parametrize("index", [True, False])
def test_a_checkpoint_file_that_is_something_else_is_named(
    tmp_path: Path, content: bytes, says: str, index: bool
) -> None:
    if index:
        write_bundle(tmp_path / "model.ckpt")
    (tmp_path / "checkpoint").write_bytes(content)
    for path in (tmp_path, tmp_path / "checkpoint"):
        with pytest.raises(FormatError, match=says) as caught:
            open_raw(path)
        assert str(caught.value).startswith(f"{tmp_path / 'checkpoint'}: ")


def test_the_folder_of_a_saved_model_means_its_variables(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01\x12\0")
    (tmp_path / "assets").mkdir()
    write_bundle(tmp_path / "variables" / "variables", 3)
    assert mark(tmp_path) == 3
    write_bundle(tmp_path / "model.ckpt", 4)  # which is nearer
    assert mark(tmp_path) == 4


def test_the_graph_of_a_saved_model_without_variables_is_named(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01\x12\0")
    with pytest.raises(SourceNotFoundError, match="'variables' with its weights is missing"):
        open_raw(tmp_path)


def test_a_graph_alone_says_that_the_index_is_missing(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt-5.meta").touch()
    name_in_checkpoint(tmp_path, '"model.ckpt-5"')
    with pytest.raises(SourceNotFoundError, match=r"'model\.ckpt-5\.meta' stands alone"):
        open_raw(tmp_path)
