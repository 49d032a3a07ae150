"""Checkpoints read by TensorFlow: what the native reader declines, and the witness."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, contracts
from support.contracts import contents_of, open_descriptors
from support.tf_contracts import BundleContract, EngineContract
from support.tf_v1 import save_v1

from gpt2_convert import ChecksumError, FormatError, Gpt2ConvertError, UnsupportedError, UsageError
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.readers import READERS
from gpt2_convert.formats.tensorflow import table
from gpt2_convert.formats.tensorflow.engine import process
from gpt2_convert.formats.tensorflow.engine import reader as tf_engine
from gpt2_convert.formats.tensorflow.engine.process import Connection
from gpt2_convert.io.source import CHUNK

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType
    from typing import Any

INSTALL = "TensorFlow is not installed: pip install 'gpt2-convert[tensorflow]'"


# What every reader promises.


class TestWitness(EngineContract, BundleContract):
    """The promises of the native reader, kept by TensorFlow in its place."""

    @pytest.fixture(autouse=True)
    def read_by_tensorflow(self, started: None, monkeypatch: pytest.MonkeyPatch) -> None:
        reader = replace(READERS["tensorflow"], open=tf_engine.open_through_tensorflow)
        monkeypatch.setitem(READERS, "tensorflow", reader)

    def test_all_chunks_of_a_damaged_tensor_come_before_the_error(self, folder: Path) -> None:
        """None comes: TensorFlow compares the checksum before it gives anything."""
        array = np.random.default_rng(3).standard_normal(CHUNK // 2)
        path = self.write(folder, {"x": array})
        file, start = contracts.find_bytes(folder, array.tobytes())
        contracts.flip_bit(file, 8 * (start + array.nbytes - 1))
        found: list[bytes] = []
        with open_raw(path) as raw, pytest.raises(ChecksumError, match="'x'"):
            found.extend(raw.tensors[0].chunks())
        assert not found


@pytest.mark.usefixtures("started")
def test_a_big_endian_bundle_is_read(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    swapped = array.astype(">f4").tobytes()
    bundle = bundles.Bundle(header=bundles.header(endianness=1), shards=[bytearray(swapped)])
    bundle.entries["x"] = bundles.Entry(1, (2, 3), 24, bundles.masked_crc(swapped))
    with open_raw(bundle.write(tmp_path / "m"), engine="tensorflow") as raw:
        np.testing.assert_array_equal(raw.tensors[0].array(), array)


# Whether it is there.


def test_a_python_without_wheels_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "tensorflow", None)
        patched.setattr(sys, "version_info", (3, 15, 0))
        with pytest.raises(UnsupportedError) as caught:
            tf_engine.require()
    assert str(caught.value) == f"{INSTALL}, with a Python up to 3.13, as this is 3.15"


def test_an_empty_folder_is_no_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorflow").mkdir()
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(UnsupportedError, match=re.escape(INSTALL)):
        tf_engine.require()


# What never reaches it.


@pytest.fixture
def never(stand_in_tensorflow: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow must not be asked."""

    def ask(self: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(Connection, "__init__", ask)


def test_a_damaged_block_never_reaches_tensorflow(
    tf: ModuleType, never: None, tmp_path: Path
) -> None:
    path = save_v1(tf, tmp_path / "m", {"a": np.arange(200_000.0), "b": np.ones(3)})
    contracts.flip_bit(path, 8 * 800_000)
    with pytest.raises(ChecksumError, match="data block at byte 58: crc32c"):
        open_raw(path)


@pytest.mark.parametrize("stranger", ["00007", "junk5", "j\u00fcnk", "j\u00fcnk5"])
def test_what_tensorflow_would_take_for_a_shard_is_refused(
    tf: ModuleType, never: None, tmp_path: Path, stranger: str
) -> None:
    save_v1(tf, tmp_path / "m-00000-of-00002", {"a": np.arange(3.0)})
    save_v1(tf, tmp_path / "m-00001-of-00002", {"b": np.arange(4.0)})
    for other in ("m-5-00000-of-00002", "m-00000-of-00001", "l-00000-of-00002"):
        save_v1(tf, tmp_path / other, {"c": np.arange(5.0)})
    os.mkfifo(tmp_path / f"m-{stranger}-of-00002")
    with pytest.raises(UsageError, match=f"m-{stranger}-of-00002: none of the checkpoint's shards"):
        open_raw(tmp_path / "m-?????-of-00002")


@pytest.mark.usefixtures("never")
@pytest.mark.parametrize(
    ("num_shards", "shard_id", "message"),
    [(1, -1, "'x': shard -1 of a bundle with 1"), (100_000, 0, "header: 1 to 99,999 shards")],
)
def test_no_data_file_is_opened_that_was_not_looked_at(
    tmp_path: Path, num_shards: int, shard_id: int, message: str
) -> None:
    bundle = bundles.Bundle(header=bundles.header(num_shards))
    bundle.entries["x"] = bundles.Entry(1, (1,), 4, b"1234", shard_id=shard_id)
    bundle.write(tmp_path / "m")
    with pytest.raises(FormatError, match=message):
        open_raw(tmp_path / "m", engine="tensorflow")


@pytest.mark.usefixtures("never")
def test_names_that_share_their_beginnings_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "MAX_KEYS", 10_000)
    bundle = bundles.Bundle()
    for number in range(11):
        bundle.entries["a" * 999 + chr(ord("a") + number)] = bundles.Entry(1, (0,), 0, b"")
    bundle.write(tmp_path / "m")
    assert (tmp_path / "m.index").stat().st_size < 2_000
    with pytest.raises(FormatError, match="bytes of keys"):
        open_raw(tmp_path / "m", engine="tensorflow")


@pytest.mark.usefixtures("never")
def test_a_folder_of_the_prefix_s_name_is_refused(tiny: Path) -> None:
    shutil.copytree(tiny, tiny / "model.ckpt")
    with pytest.raises(UsageError, match="a folder as well as a checkpoint's prefix"):
        open_raw(tiny / "model.ckpt.index", engine="tensorflow")


# What goes wrong there.


def test_the_last_checkpoint_that_is_closed_ends_the_process(readable: Path) -> None:
    before = open_descriptors()
    first, second = (open_raw(readable, engine="tensorflow") for _ in range(2))
    running = process._shared[0]
    first.close()
    assert running._popen.poll() is None
    assert open_descriptors() > before
    second.close()
    assert running._popen.poll() == 0
    assert open_descriptors() == before


def test_the_end_of_the_process_is_an_error_and_the_next_checkpoint_gets_another(
    readable: Path,
) -> None:
    with open_raw(readable, engine="tensorflow") as raw:
        process._shared[0]._popen.kill()
        for _ in range(2):
            with pytest.raises(FormatError, match=r"'model/h0/attn/c_attn/b'.*ended by SIGKILL"):
                list(raw.tensors[0].chunks())
        with open_raw(readable, engine="tensorflow") as another:
            assert contents_of(bundles.gpt2_arrays()) == {
                tensor.name: (tensor.dtype.value, tensor.shape, b"".join(tensor.chunks()))
                for tensor in another.tensors
            }


def test_an_interruption_ends_the_process(readable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_raw(readable, engine="tensorflow") as raw:
        running = process._shared[0]

        def interrupt() -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(running, "_receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            list(raw.tensors[0].chunks())
        assert running._popen.poll() is not None


def test_a_tensor_of_another_size_than_was_listed_is_refused(
    readable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Connection.ask

    def one_less(self: Connection, **request: object) -> tuple[dict[str, Any], bytes]:
        answer, data = ask(self, **request)
        for tensor in answer.get("tensors", ()):
            tensor[2] = [size - 1 for size in tensor[2]]
        return answer, data

    monkeypatch.setattr(Connection, "ask", one_less)
    with (
        open_raw(readable, engine="tensorflow") as raw,
        pytest.raises(FormatError, match="c_attn/b': TensorFlow announced 380 bytes and gives 384"),
    ):
        list(raw.tensors[0].chunks())


@pytest.mark.usefixtures("started")
def test_names_that_are_no_utf8_are_refused(tmp_path: Path) -> None:
    table = [(b"", bundles.header()), (b"\xff", bundles.Entry(1, (0,), 0, b"").encode())]
    (tmp_path / "m.index").write_bytes(bundles.encode_table(table))
    (tmp_path / "m.data-00000-of-00001").touch()
    with pytest.raises(Gpt2ConvertError, match="TensorFlow refuses it"):
        open_raw(tmp_path / "m", engine="tensorflow")


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_tensorflow_leaves_signals_to_the_program(tiny: Path, number: int) -> None:
    with open_raw(tiny, engine="tensorflow") as raw:
        process._shared[0]._popen.send_signal(number)
        assert raw.tensors[0].array().shape == raw.tensors[0].shape
