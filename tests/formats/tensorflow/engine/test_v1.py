"""V1 checkpoints, which the native reader hands over to TensorFlow."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, contracts
from support.contracts import contents, contents_of
from support.tf_contracts import EngineContract
from support.tf_v1 import save_v1, save_v1_as_a_trainer, saved_slices
from support.tf_writers import load

import gpt2_convert
from gpt2_convert import FormatError, Gpt2ConvertError, UnsupportedError
from gpt2_convert.formats.opening import open_raw

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from support.contracts import Array

pytestmark = pytest.mark.usefixtures("started")


class TestV1(EngineContract, contracts.ReaderContract):
    """V1, handed over by the native reader."""

    format = "tensorflow"

    @pytest.fixture(autouse=True)
    def with_tensorflow(self, tf: ModuleType) -> None:
        self.tf = tf

    def write(self, folder: Path, arrays: Mapping[str, Array]) -> Path:
        return save_v1(self.tf, folder / "model.ckpt", arrays)

    def oracle(self, path: Path) -> dict[str, Array]:
        return load(self.tf, path)

    def arrays(self) -> dict[str, Array]:
        """Leave out what TensorFlow cannot write as V1, or not read again."""
        return {
            name: array
            for name, array in super().arrays().items()
            if array.dtype.name not in ("float16", "uint16", "uint32", "uint64")
        }


@pytest.mark.parametrize("sharded", [False, True])
def test_a_v1_checkpoint_has_the_digest_of_the_same_weights_in_v2(
    tf: ModuleType, tiny: Path, tmp_path: Path, sharded: bool
) -> None:
    saved = save_v1_as_a_trainer(tf, tmp_path / "v1", sharded=sharded)
    expected = gpt2_convert.digest(tiny, engine="native")
    assert expected.notes == ()
    for path in (saved, tmp_path / "v1", tmp_path / "v1" / "checkpoint"):
        found = gpt2_convert.digest(path)
        assert found.sha256 == expected.sha256
        assert found.engine == f"TensorFlow {tf.__version__}"
        note = f"{saved}: a TensorFlow checkpoint in the V1 format (no .index)"
        assert found.notes == (f"{note}: read by TensorFlow {tf.__version__}",)


def test_a_v1_checkpoint_converts_to_the_bytes_that_v2_converts_to(
    tf: ModuleType, tiny: Path, tmp_path: Path
) -> None:
    save_v1_as_a_trainer(tf, tmp_path / "v1", sharded=True)
    gpt2_convert.convert(tiny, tmp_path / "expected.npz")
    report = gpt2_convert.convert(tmp_path / "v1", tmp_path / "found.npz")
    assert (tmp_path / "found.npz").read_bytes() == (tmp_path / "expected.npz").read_bytes()
    (note,) = report.notes
    assert "in the V1 format" in note
    assert [drop.source_name for drop in report.dropped] == ["global_step"]
    assert report.verification is not None
    assert report.engine == report.verification.engine == f"TensorFlow {tf.__version__}"


def test_all_ways_to_name_a_v1_checkpoint_find_all_its_shards(
    tf: ModuleType, tmp_path: Path
) -> None:
    folder = tmp_path / "with [brackets]*?"
    first, second = np.arange(3.0), np.arange(4, dtype=np.int32)
    save_v1(tf, folder / "m-5-00000-of-00002", {"a": first})
    save_v1(tf, folder / "m-5-00001-of-00002", {"b": second})
    (folder / "checkpoint").write_text('model_checkpoint_path: "m-5-?????-of-00002"\n')
    expected = contents_of({"a": first, "b": second})
    for name in ("m-5-00000-of-00002", "m-5-00001-of-00002", "m-5-?????-of-00002", "checkpoint"):
        assert contents(folder / name) == expected
    assert contents(folder) == expected
    with open_raw(folder, step=5) as raw:
        assert raw.where == str(folder / "m-5-?????-of-00002")
        names = [os.path.basename(file.path) for file in raw.files]
    assert names == ["m-5-00000-of-00002", "m-5-00001-of-00002", "checkpoint"]
    (folder / "m-5-00001-of-00002").unlink()
    with pytest.raises(gpt2_convert.SourceNotFoundError, match="m-5-00001-of-00002"):
        open_raw(folder)


def test_a_step_chooses_among_v1_checkpoints(tf: ModuleType, tmp_path: Path) -> None:
    for step in (5, 10):
        save_v1(tf, tmp_path / f"m-{step}", {"a": np.array(step)})
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/gone/m-10"\n')
    for step in (5, 10):
        with open_raw(tmp_path, step) as raw:
            assert raw.tensors[0].array() == step
    with open_raw(tmp_path) as raw:
        assert raw.tensors[0].array() == 10


@pytest.mark.parametrize("name", ["model.ckpt", "m-5-00000-of-00001"])
def test_a_folder_needs_no_checkpoint_file(tf: ModuleType, tmp_path: Path, name: str) -> None:
    array = np.arange(3.0)
    save_v1(tf, tmp_path / name, {"a": array})
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert contents(tmp_path) == contents_of({"a": array})


def test_paths_that_are_no_utf8_are_read(tf: ModuleType, tmp_path: Path) -> None:
    array = np.arange(3.0)
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    save_v1(tf, tmp_path / "m", {"a": array}).rename(path)
    assert contents(path) == contents_of({"a": array})


def test_a_relative_path_is_that_of_the_current_folder(
    tf: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = np.arange(3.0)
    save_v1(tf, tmp_path / "m", {"a": array})
    monkeypatch.chdir(tmp_path)
    assert contents(Path("m")) == contents_of({"a": array})


@pytest.mark.usefixtures("alone")  # a process that starts in that folder
def test_an_absolute_path_needs_no_current_folder(
    tf: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = np.arange(3.0)
    save_v1(tf, tmp_path / "m", {"a": array})
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert contents(tmp_path / "m") == contents_of({"a": array})


def test_strings_are_listed_and_not_read(tf: ModuleType, tmp_path: Path) -> None:
    save_v1(tf, tmp_path / "m", {"s": np.array([b"ab", b"c"])})
    with open_raw(tmp_path / "m") as raw:
        (tensor,) = raw.tensors
        assert (tensor.name, tensor.shape, tensor.dtype) == ("s", (2,), "string")
        with pytest.raises(UnsupportedError, match="'s' holds string elements"):
            list(tensor.chunks())


def test_what_tensorflow_writes_as_v1_and_does_not_read_is_unsupported(
    tf: ModuleType, tmp_path: Path
) -> None:
    save_v1(tf, tmp_path / "m", {"h": np.ones(3, np.float16)})
    with (
        open_raw(tmp_path / "m") as raw,
        pytest.raises(UnsupportedError, match="'h': TensorFlow refuses it: Data type not supp"),
    ):
        list(raw.tensors[0].chunks())


@pytest.mark.parametrize(
    "path",
    [
        "bad_half_plus_two/00000123/export",
        "session_bundle/testdata/half_plus_two/00000123/export-00000-of-00001",
    ],
)
def test_v1_checkpoints_found_in_the_world_read_as_tensorflow_reads_them(
    tf: ModuleType, shared_data: Path, path: str
) -> None:
    prefix = shared_data / "tf-serving-testdata" / path
    oracle = tf.train.load_checkpoint(str(prefix))
    with open_raw(prefix) as raw:
        listed = [(tensor.name, list(tensor.shape)) for tensor in raw.tensors]
        assert listed == tf.train.list_variables(str(prefix))
        assert len(listed) == 2
        for tensor in raw.tensors:
            assert tensor.dtype.value == oracle.get_variable_to_dtype_map()[tensor.name].name
            assert b"".join(tensor.chunks()) == oracle.get_tensor(tensor.name).tobytes()


@pytest.mark.parametrize(
    "shape", [(-5,), (3, -1), (1 << 40,), (1 << 20, 1 << 20), (1 << 32, 1 << 32), (1,) * 300]
)
def test_no_shape_that_the_files_cannot_hold_is_believed(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    table = bundles.encode_table([(b"", saved_slices(b"a", shape)), (b"b", b"")])
    (tmp_path / "m").write_bytes(table)
    with pytest.raises(FormatError, match=re.escape(str(tmp_path / "m"))) as caught:
        open_raw(tmp_path / "m")
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize(
    ("meta", "error", "message"),
    [
        (saved_slices(b"a", (2,)), FormatError, "'a': TensorFlow refuses it: a not found"),
        (saved_slices(b"a", (2,), dtype=999), FormatError, "999 does not correspond"),
        (saved_slices(b"a", (2,), dtype=20), UnsupportedError, "'a' holds resource elements"),
        (saved_slices(b"a", (2,), version=b"\x10\x63"), UnsupportedError, "version 99"),
        (b"\x0a\x05abcde", FormatError, "Failed to find the saved tensor slices"),
        (saved_slices(b"a", (2,)) + saved_slices(b"a", (3,)), FormatError, "Incompatible"),
        (saved_slices(b"\xff", (2,)), FormatError, "TensorFlow refuses it"),
    ],
)
def test_tables_that_only_tensorflow_finds_wrong_are_errors_of_ours(
    tmp_path: Path, meta: bytes, error: type[Gpt2ConvertError], message: str
) -> None:
    (tmp_path / "m").write_bytes(bundles.encode_table([(b"", meta), (b"b", b"")]))
    with pytest.raises(Gpt2ConvertError, match=message) as caught:
        contents(tmp_path / "m")
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
