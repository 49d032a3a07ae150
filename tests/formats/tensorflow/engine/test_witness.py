"""The witness: every kind of checkpoint read a second time, by TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support import bundles
from support.tf_trainers import build_modules, graph_arrays, save_session
from support.tf_v1 import save_v1_as_a_trainer
from support.tf_writers import CASTS, WRITERS

import gpt2_convert
from gpt2_convert import UsageError, VerificationError
from gpt2_convert.cli.program import run
from gpt2_convert.formats.provenance import state
from gpt2_convert.formats.tensorflow import reader as tf_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import ModuleType
    from typing import Any

    from support.contracts import Array
    from support.tf_writers import Writer

    from gpt2_convert.formats.tensorflow.index import Variable


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


@pytest.mark.usefixtures("started")
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
        plain = gpt2_convert.digest(bundles.write_gpt2(tmp_path / "plain"))
        assert gpt2_convert.digest(target).weights_sha256 == plain.weights_sha256
        # No hparams.json of these checkpoints says how many heads there are.
        assert gpt2_convert.digest(target, n_head=4).sha256 == plain.sha256


@pytest.mark.usefixtures("started")
def test_both_readers_list_the_same(tiny: Path) -> None:
    found = gpt2_convert.inspect(tiny, engine="tensorflow")
    expected = gpt2_convert.inspect(tiny)
    assert found.engine.startswith("TensorFlow ")
    assert replace(found, engine="native", checkpoint=None) == replace(expected, checkpoint=None)
    assert found.checkpoint is not None
    assert expected.checkpoint is not None
    assert state(found.checkpoint) == state(expected.checkpoint)


@pytest.fixture
def mistaken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the native reader give one wrong bit of one tensor, always the same."""
    right = tf_bundle._read_tensor

    def wrong(variable: Variable, *rest: Any) -> Iterator[bytes]:  # noqa: ANN401
        for number, chunk in enumerate(right(variable, *rest)):
            spoilt = variable.name == "model/wte" and number == 0
            yield bytes([chunk[0] ^ 1]) + chunk[1:] if spoilt else chunk

    monkeypatch.setattr(tf_bundle, "_read_tensor", wrong)


@pytest.mark.usefixtures("started", "mistaken")
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
        gpt2_convert.inspect(tiny, engine="torch")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=wrong):
        gpt2_convert.convert(tiny, tmp_path / "x.npz", engine="torch")  # type: ignore[arg-type]


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
    command: list[str | Path] = [sys.executable, "-c", program, tiny, tmp_path / "out.npz"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[] False\n", "")
