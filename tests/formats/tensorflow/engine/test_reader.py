"""Checkpoints read by TensorFlow: what the native reader declines, and the witness."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from cli.test_results import validator
from formats.tensorflow.test_reader import TestBundle as BundleContract
from support import bundles, contracts
from support.console import PATIENCE
from support.contracts import contents, contents_of
from support.tf_writers import CASTS, WRITERS, load
from system.test_trained import build_modules, graph_arrays, save_session

import gpt2_convert
from gpt2_convert import (
    ChecksumError,
    FormatError,
    Gpt2ConvertError,
    UnsupportedError,
    UsageError,
    VerificationError,
)
from gpt2_convert.cli.commands import run
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.readers import READERS
from gpt2_convert.formats.tensorflow import reader as tf_bundle
from gpt2_convert.formats.tensorflow import table
from gpt2_convert.formats.tensorflow.engine import process
from gpt2_convert.formats.tensorflow.engine import reader as tf_engine
from gpt2_convert.formats.tensorflow.engine.process import Connection
from gpt2_convert.io.source import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType
    from typing import Any

    from support.contracts import Array
    from support.tf_writers import Writer

    from gpt2_convert.formats.tensorflow.index import Variable

INSTALL = "TensorFlow is not installed: pip install 'gpt2-convert[tensorflow]'"

FAILED_CHECK = (
    b"I0000 00:00:1 2 port.cc:153] oneDNN custom operations are on.\n"
    b"F0000 00:00:1 2 tensor.cc:3] Check failed: a == b (1 vs. 2)\n"
    b"*** Check failure stack trace: ***\n" + 500 * b"    @     0x7f0000000000  cfunction_call\n"
)
"""What absl prints before it aborts."""

STALLED = """
import os, sys, threading
import gpt2_convert.cli
from gpt2_convert.formats.tensorflow.engine import reader as tf_engine

def stall(connection, place, **request):
    with lock:
        if request["do"] == "read" and data:
            path = data.pop()
            os.unlink(path)
            os.mkfifo(path)
            os.write(1, b"%d\\n" % connection._process._popen.pid)
    return ask(connection, place, **request)

lock, data = threading.Lock(), [sys.argv.pop(1)]
ask, tf_engine._ask = tf_engine._ask, stall
gpt2_convert.cli.main()
"""
"""The program, which puts a named pipe in the place of a data file before TensorFlow is to read it,
and prints the number of the process that will wait there for ever."""


@pytest.fixture(scope="module", autouse=True)
def started(tf: ModuleType) -> Iterator[None]:
    """One process for all tests here: each start takes seconds."""
    connection = Connection()
    yield
    connection.close()


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the process of the other tests."""
    monkeypatch.setattr(process, "_shared", [])


def save_v1(tf: ModuleType, path: Path, arrays: Mapping[str, Array]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tf.raw_ops.SaveSlices(
        filename=str(path),
        tensor_names=list(arrays),
        shapes_and_slices=[""] * len(arrays),
        data=[tf.constant(array) for array in arrays.values()],
    )
    return path


def save_v1_as_a_trainer(tf: ModuleType, folder: Path, *, sharded: bool = False) -> str:
    """Let the saver of TensorFlow 1 write a GPT-2, step 7, and return what it calls it."""
    v1 = tf.compat.v1
    folder.mkdir(parents=True, exist_ok=True)
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")  # the format is deprecated, it says
    try:
        with tf.Graph().as_default(), v1.Session() as session:
            for name, array in bundles.gpt2_arrays().items():
                v1.get_variable(name, initializer=array)
            v1.get_variable("global_step", initializer=np.int64(7))
            session.run(v1.global_variables_initializer())
            saver = v1.train.Saver(write_version=v1.train.SaverDef.V1, sharded=sharded)
            saved: str = saver.save(session, str(folder / "model.ckpt"), 7)
    finally:
        logger.setLevel(level)
    (folder / "hparams.json").write_text(json.dumps(bundles.TINY))
    return saved


# What every reader promises.


class TestV1(contracts.ReaderContract):
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

    @pytest.mark.usefixtures("alone")
    def test_closing_gives_the_descriptors_back(self, folder: Path) -> None:
        """They are those of the process, which the last checkpoint ends."""
        super().test_closing_gives_the_descriptors_back(folder)


class TestWitness(BundleContract):
    """The promises of the native reader, kept by TensorFlow in its place."""

    @pytest.fixture(autouse=True)
    def read_by_tensorflow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        reader = replace(READERS["tensorflow"], open=tf_engine.open_through_tensorflow)
        monkeypatch.setitem(READERS, "tensorflow", reader)

    @pytest.mark.usefixtures("alone")
    def test_closing_gives_the_descriptors_back(self, folder: Path) -> None:
        super().test_closing_gives_the_descriptors_back(folder)

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


# V1.


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


@pytest.mark.usefixtures("alone")
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


def test_a_big_endian_bundle_is_read(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    swapped = array.astype(">f4").tobytes()
    bundle = bundles.Bundle(header=bundles.header(endianness=1), shards=[bytearray(swapped)])
    bundle.entries["x"] = bundles.Entry(1, (2, 3), 24, bundles.masked_crc(swapped))
    with open_raw(bundle.write(tmp_path / "m"), engine="tensorflow") as raw:
        np.testing.assert_array_equal(raw.tensors[0].array(), array)


# Interruptions.


@pytest.fixture
def stalled(tiny: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Any, int]]:
    """The program, in a job of TensorFlow's (its arguments are the parameter), and its worker.

    The worker waits for ever.
    """
    data = tiny / "model.ckpt.data-00000-of-00001"
    arguments = [str(tiny) if each == "TINY" else each for each in request.param]
    program = subprocess.Popen(
        [sys.executable, "-c", STALLED, data, *arguments, "--engine", "tensorflow"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert program.stdout is not None
    worker = int(program.stdout.readline())
    time.sleep(0.5)  # until the request has reached it
    try:
        yield program, worker
    finally:
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
        program.kill()
        program.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "stalled",
    [("digest", "TINY"), ("verify", "TINY", "TINY")],
    ids=["digest", "verify"],
    indirect=True,
)
def test_an_interruption_ends_what_tensorflow_never_answers(
    stalled: tuple[Any, int], number: int
) -> None:
    program, worker = stalled
    program.send_signal(number)
    out, err = program.communicate(timeout=PATIENCE)
    assert (program.returncode, out) == (130, b"")
    assert err == b"gpt2-convert: interrupted; nothing half-written was left behind\n"
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="the signal ends a process there alone")
@pytest.mark.parametrize("stalled", [("digest", "TINY")], ids=["digest"], indirect=True)
def test_a_kill_leaves_no_process_that_waits_for_ever(stalled: tuple[Any, int]) -> None:
    program, worker = stalled
    program.kill()
    program.wait()
    deadline = time.monotonic() + PATIENCE
    while is_running(worker):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(number: int) -> bool:
    """Whether there is such a process, and not only its exit code that nobody has asked for."""
    try:
        status = Path(f"/proc/{number}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.usefixtures("alone")
def test_closing_a_checkpoint_ends_its_request_though_others_are_open(
    tiny: Path, tmp_path: Path
) -> None:
    other = open_raw(bundles.write_gpt2(tmp_path / "other"), engine="tensorflow")
    raw = open_raw(tiny, engine="tensorflow")
    data = tiny / "model.ckpt.data-00000-of-00001"
    data.unlink()
    os.mkfifo(data)
    errors: list[Exception] = []

    def read() -> None:
        try:
            list(raw.tensors[0].chunks())
        except Gpt2ConvertError as error:
            errors.append(error)

    running = process._shared[0]
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    time.sleep(0.5)  # until the request has reached TensorFlow
    try:
        raw.close()
        reader.join(PATIENCE)
        assert not reader.is_alive()
        assert [type(error) for error in errors] == [FormatError]
    finally:
        running._popen.kill()
        other.close()


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_all_processes_of_a_job_is_the_program_s_alone(tiny: Path, number: int) -> None:
    with open_raw(tiny, engine="tensorflow") as raw:
        process._shared[0]._popen.send_signal(number)
        assert raw.tensors[0].array().shape == raw.tensors[0].shape


# The witness.


def write_bundle(tf: ModuleType, folder: Path, arrays: Mapping[str, Array]) -> None:
    bundles.write_gpt2(folder, arrays=arrays)


def write_v1(tf: ModuleType, folder: Path, arrays: Mapping[str, Array]) -> None:
    save_v1_as_a_trainer(tf, folder)


def write_training(tf: ModuleType, folder: Path, arrays: Mapping[str, Array]) -> None:
    save_session(tf, folder / "model.ckpt", [""], "", "Adam")


def write_object_graph(tf: ModuleType, folder: Path, arrays: Mapping[str, Array]) -> None:
    model = build_modules(tf, graph_arrays())
    tf.train.Checkpoint(model).save(str(folder / "model.ckpt"))


FIXTURES: dict[str, Writer] = {
    **WRITERS,
    **CASTS,
    "bundle": write_bundle,
    "V1": write_v1,
    "Adam's slots": write_training,
    "object graph": write_object_graph,
}
"""All that the native reader reads, and V1; the same weights in each, but for the casts."""


@pytest.mark.parametrize("fixture", FIXTURES)
def test_the_witness_confirms_every_kind_of_checkpoint(
    tf: ModuleType, tmp_path: Path, fixture: str
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    FIXTURES[fixture](tf, source, bundles.gpt2_arrays())
    target = tmp_path / "x.safetensors"
    report = gpt2_convert.convert(source, target, engine="tensorflow")
    assert report.verification is not None
    assert report.verification.engine == f"TensorFlow {tf.__version__}"
    assert report.engine == ("native" if fixture != "V1" else report.verification.engine)
    again = gpt2_convert.verify(source, target, engine="tensorflow")
    assert again.ok
    assert again.engine == f"TensorFlow {tf.__version__}"
    assert gpt2_convert.digest(source, engine="tensorflow").sha256 == (
        gpt2_convert.digest(target).sha256
    )
    if fixture not in CASTS:
        plain = bundles.write_gpt2(tmp_path / "plain")
        assert gpt2_convert.digest(plain).sha256 == gpt2_convert.digest(target).sha256


def test_both_readers_list_the_same(tiny: Path) -> None:
    found = gpt2_convert.inspect(tiny, engine="tensorflow")
    expected = gpt2_convert.inspect(tiny)
    assert found.engine.startswith("TensorFlow ")
    assert replace(found, engine="native", checkpoint=None) == replace(expected, checkpoint=None)
    assert found.checkpoint is not None
    assert expected.checkpoint is not None
    assert found.checkpoint.provenance == expected.checkpoint.provenance


@pytest.fixture
def mistaken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the native reader give one wrong bit of one tensor, always the same."""
    right = tf_bundle._read_tensor

    def wrong(variable: Variable, *rest: Any) -> Iterator[bytes]:  # noqa: ANN401
        for number, chunk in enumerate(right(variable, *rest)):
            spoilt = variable.name == "model/wte" and number == 0
            yield bytes([chunk[0] ^ 1]) + chunk[1:] if spoilt else chunk

    monkeypatch.setattr(tf_bundle, "_read_tensor", wrong)


@pytest.mark.usefixtures("mistaken")
def test_the_witness_sees_a_mistake_of_the_native_reader_that_it_cannot_see_itself(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "wrong.npz"
    assert gpt2_convert.convert(tiny, target).ok
    assert gpt2_convert.verify(tiny, target).ok
    (finding,) = gpt2_convert.verify(tiny, target, engine="tensorflow").findings
    assert (finding.tensor, finding.differing) == ("wte", 1)
    with pytest.raises(VerificationError) as caught:
        gpt2_convert.convert(tiny, tmp_path / "new.npz", engine="tensorflow")
    assert caught.value.report.engine.startswith("TensorFlow ")
    assert not (tmp_path / "new.npz").exists()

    assert run(["verify", str(tiny), str(target)]) == 0
    assert run(["verify", str(tiny), str(target), "--engine", "tensorflow"]) == 1
    assert "wte: 1 of" in capsys.readouterr().out
    assert run(["tf2npz", str(tiny), str(tmp_path / "new.npz"), "--engine", "tensorflow"]) == 1
    assert not (tmp_path / "new.npz").exists()


def test_reports_name_the_engine_as_the_schemas_describe(
    tf: ModuleType, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    v1 = save_v1_as_a_trainer(tf, tmp_path / "v1")
    target = str(tmp_path / "x.npz")
    engine = f"TensorFlow {tf.__version__}"
    witness = ["--engine", "tensorflow", "--json"]
    for arguments, schema, expected in (
        (["tf2npz", str(tiny), target, *witness], "report", ("native", engine, 0)),
        (["verify", str(tiny), target, *witness], "report", (engine, None, 0)),
        (["verify", v1, target, "--json"], "report", (engine, None, 1)),
        (["digest", v1, "--json"], "report", (engine, None, 1)),
        (["inspect", v1, "--json"], "inspect", (engine, None, 1)),
        (["inspect", str(tiny), *witness], "inspect", (engine, None, 0)),
    ):
        assert run(arguments) == 0
        document = json.loads(capsys.readouterr().out)
        validator(schema).validate(document)
        notes = len(document["notes"])
        assert (document["engine"], document.get("proof_engine"), notes) == expected


def test_text_names_the_engine(
    tf: ModuleType, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    v1 = save_v1_as_a_trainer(tf, tmp_path / "v1")
    target = str(tmp_path / "x.npz")
    note = f"{v1}: a TensorFlow checkpoint in the V1 format (no .index): read by TensorFlow "
    note += tf.__version__

    def lines(*arguments: str) -> list[str]:
        assert run(list(arguments)) == 0
        return capsys.readouterr().out.splitlines()

    found = lines("convert", str(tiny), target, "--engine", "tensorflow")
    assert f"  verified  every bit equals the source, as TensorFlow {tf.__version__} reads it" in (
        found
    )
    found = lines("verify", str(tiny), target, "--engine", "tensorflow")
    assert found[0].endswith(f"(npz), the source read by TensorFlow {tf.__version__}")
    assert f"  note      {note}" in lines("verify", v1, target)
    assert f"  note      {note}" in lines("inspect", v1)
    assert f"  engine    TensorFlow {tf.__version__}" in lines("inspect", v1)
    assert f"  note      {note}" in lines("tf2npz", v1, str(tmp_path / "y.npz"))
    assert run(["digest", v1]) == 0
    captured = capsys.readouterr()
    assert captured.err == f"gpt2-convert: {note}\n"
    assert captured.out == "\n".join(lines("digest", str(tiny))) + "\n"


def test_tensorflow_does_not_chatter(tf: ModuleType, tiny: Path) -> None:
    """In a shell, with no setting of TensorFlow's own."""
    environment = {key: os.environ[key] for key in os.environ if not key.startswith("TF_")}
    command = [Path(sys.executable).with_name("gpt2-convert"), "verify", tiny, tiny]
    done = subprocess.run(
        [*command, "--engine", "tensorflow"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("equal  ")
    assert done.stderr == ""


# Which engine.


def test_a_source_that_tensorflow_does_not_read_is_a_usage_error(
    tiny: Path, tmp_path: Path
) -> None:
    target = tmp_path / "x.npz"
    gpt2_convert.convert(tiny, target)
    wrong = r"x\.npz: TensorFlow does not read a NumPy archive \(\.npz\)"
    for job in (gpt2_convert.inspect, gpt2_convert.digest, gpt2_convert.open):
        with pytest.raises(UsageError, match=wrong):
            job(target, engine="tensorflow")
    with pytest.raises(UsageError, match=wrong):
        gpt2_convert.verify(target, tiny, engine="tensorflow")
    with pytest.raises(UsageError, match=wrong):
        gpt2_convert.convert(target, tmp_path / "y.npz", engine="tensorflow")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "models", target]


def test_an_unknown_engine_is_a_usage_error(tiny: Path, tmp_path: Path) -> None:
    wrong = "no such engine: 'torch'; there are: native, tensorflow"
    with pytest.raises(UsageError, match=wrong):
        gpt2_convert.inspect(tiny, engine="torch")
    with pytest.raises(UsageError, match=wrong):
        gpt2_convert.convert(tiny, tmp_path / "x.npz", engine="torch")


def test_a_witness_without_a_proof_is_a_usage_error(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which is waived"):
        gpt2_convert.convert(tiny, tmp_path / "x.npz", engine="tensorflow", verify=False)


def test_without_an_engine_no_other_process_is_started(tiny: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "started = []\n"
        "def watch(event, arguments):\n"
        "    if event in ('subprocess.Popen', 'os.fork', 'os.posix_spawn'):\n"
        "        started.append(event)\n"
        "sys.addaudithook(watch)\n"
        "import gpt2_convert\n"
        "gpt2_convert.convert(sys.argv[1], sys.argv[2])\n"
        "gpt2_convert.verify(sys.argv[1], sys.argv[2], engine='native')\n"
        "print(started, 'tensorflow' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program, tiny, tmp_path / "out.npz"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[] False\n", "")


@pytest.mark.usefixtures("alone")
def test_without_tensorflow_the_error_says_what_to_install(
    tf: ModuleType,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    v1 = save_v1_as_a_trainer(tf, tmp_path / "v1")
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    install = INSTALL
    if sys.version_info >= (3, 14):
        install += f", with a Python up to 3.13, as this is 3.{sys.version_info[1]}"
    target = str(tmp_path / "x.npz")
    format = "a TensorFlow checkpoint in the V1 format (no .index), which TensorFlow alone reads"
    for arguments, message in (
        (["tf2npz", v1, target], f"{v1}: {format}; {install}"),
        (["inspect", v1], f"{v1}: {format}; {install}"),
        (["convert", str(tiny), target, "--engine", "tensorflow"], f"{install}"),
        (["verify", str(tiny), str(tiny), "--engine", "tensorflow"], f"{install}"),
    ):
        assert run(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        assert captured.err.endswith(f"{message}\n")
        assert not os.path.exists(target)


@pytest.mark.usefixtures("alone")
def test_a_python_without_wheels_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "tensorflow", None)
        patched.setattr(sys, "version_info", (3, 15, 0))
        with pytest.raises(UnsupportedError) as caught:
            tf_engine.require()
    assert str(caught.value) == f"{INSTALL}, with a Python up to 3.13, as this is 3.15"


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("raise ImportError('no such\\nlibrary')", "cannot be imported: library"),
        ("import os; os.abort()", "cannot be started: it was ended by SIGABRT"),
        ("import os; os.write(2, b'needs AVX'); os._exit(3)", r"with exit code 3 \(needs AVX\)"),
        ("", "cannot be imported: .*__version__"),
        (
            f"import os; os.write(2, {FAILED_CHECK!r}); os.abort()",
            r"SIGABRT \(F0000 00:00:1 2 tensor\.cc:3\] Check failed: a == b \(1 vs\. 2\)\)",
        ),
    ],
)
def test_a_tensorflow_that_does_not_start_is_an_error(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, message: str
) -> None:
    (tmp_path / "tensorflow.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UnsupportedError, match=f"TensorFlow .*{message}") as caught:
        open_raw(tiny, engine="tensorflow")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("alone")
def test_what_python_prints_at_its_start_is_no_answer(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('welcome', end='', flush=True)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with open_raw(tiny, engine="tensorflow") as raw:
        assert len(raw.tensors) == len(bundles.gpt2_arrays())


def test_an_empty_folder_is_no_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorflow").mkdir()
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(UnsupportedError, match=re.escape(INSTALL)):
        tf_engine.require()


# Damage that only TensorFlow could see.


def saved_slices(
    name: bytes, shape: tuple[int, ...], dtype: int = 1, version: bytes = b"\x08\x01"
) -> bytes:
    """The SavedTensorSlices of a V1 file of one tensor in one slice (saved_tensor_slice.proto)."""
    whole = bundles.proto_bytes(1, b"") * len(shape)
    tensor = bundles.proto_bytes(1, name) + bundles.proto_bytes(2, bundles.shape_proto(shape))
    tensor += bundles.proto_int(3, dtype) + bundles.proto_bytes(4, whole)
    versions = bundles.proto_bytes(2, version)
    return bundles.proto_bytes(1, bundles.proto_bytes(1, tensor) + versions)


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


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow must not be asked."""

    def ask(self: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(Connection, "__init__", ask)


@pytest.mark.usefixtures("never")
def test_a_damaged_block_never_reaches_tensorflow(tf: ModuleType, tmp_path: Path) -> None:
    path = save_v1(tf, tmp_path / "m", {"a": np.arange(200_000.0), "b": np.ones(3)})
    contracts.flip_bit(path, 8 * 800_000)
    with pytest.raises(ChecksumError, match="data block at byte 58: crc32c"):
        open_raw(path)


@pytest.mark.usefixtures("never")
@pytest.mark.parametrize("stranger", ["00007", "junk5", "j\u00fcnk", "j\u00fcnk5"])
def test_what_tensorflow_would_take_for_a_shard_is_refused(
    tf: ModuleType, tmp_path: Path, stranger: str
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


@pytest.mark.usefixtures("alone")
def test_the_end_of_the_process_is_an_error_and_the_next_checkpoint_gets_another(
    tiny: Path,
) -> None:
    with open_raw(tiny, engine="tensorflow") as raw:
        process._shared[0]._popen.kill()
        for _ in range(2):
            with pytest.raises(FormatError, match=r"'model/h0/attn/c_attn/b'.*ended by SIGKILL"):
                list(raw.tensors[0].chunks())
        assert contents_of(bundles.gpt2_arrays()) == {
            tensor.name: (tensor.dtype.value, tensor.shape, b"".join(tensor.chunks()))
            for tensor in open_raw(tiny, engine="tensorflow").tensors
        }


@pytest.mark.usefixtures("alone")
def test_an_interruption_ends_the_process(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_raw(tiny, engine="tensorflow") as raw:
        running = process._shared[0]

        def interrupt() -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(running, "_receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            list(raw.tensors[0].chunks())
        assert running._popen.poll() is not None


def test_a_folder_of_the_prefix_s_name_is_refused(tiny: Path) -> None:
    shutil.copytree(tiny, tiny / "model.ckpt")
    with pytest.raises(UsageError, match="a folder as well as a checkpoint's prefix"):
        open_raw(tiny / "model.ckpt.index", engine="tensorflow")


def test_names_that_are_no_utf8_are_refused(tmp_path: Path) -> None:
    table = [(b"", bundles.header()), (b"\xff", bundles.Entry(1, (0,), 0, b"").encode())]
    (tmp_path / "m.index").write_bytes(bundles.encode_table(table))
    (tmp_path / "m.data-00000-of-00001").touch()
    with pytest.raises(Gpt2ConvertError, match="TensorFlow refuses it"):
        open_raw(tmp_path / "m", engine="tensorflow")
