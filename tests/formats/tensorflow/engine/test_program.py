"""The program with TensorFlow beside it: what it prints, and what ends both."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.children import is_running
from support.console import PATIENCE, tell_interruption
from support.documents import validator
from support.tf_v1 import save_v1_as_a_trainer

from gpt2_convert.cli.program import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    Stalled = tuple[subprocess.Popen[bytes], int]

INSTALL = "TensorFlow is not installed: pip install 'gpt2-convert[tensorflow]'"


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


@pytest.fixture
def stalled(tiny: Path, request: pytest.FixtureRequest) -> Iterator[Stalled]:
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


def interrupt(program: subprocess.Popen[bytes], worker: int, number: int) -> None:
    """Interrupt the program, and see it and its worker end as they should."""
    program.send_signal(number)
    out, err = program.communicate(timeout=PATIENCE)
    assert (program.returncode, out) == (128 + number, b"")
    assert err.decode() == tell_interruption(number)
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


@pytest.mark.slow
@pytest.mark.usefixtures("readable")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "stalled",
    [("digest", "TINY"), ("verify", "TINY", "TINY")],
    ids=["digest", "verify"],
    indirect=True,
)
def test_an_interruption_ends_what_is_never_answered(stalled: Stalled, number: int) -> None:
    interrupt(*stalled, number)


@pytest.mark.parametrize("stalled", [("verify", "TINY", "TINY")], ids=["verify"], indirect=True)
def test_an_interruption_ends_what_tensorflow_never_answers(
    tf: ModuleType, stalled: Stalled
) -> None:
    interrupt(*stalled, signal.SIGINT)


@pytest.mark.skipif(sys.platform != "linux", reason="the signal ends a process there alone")
@pytest.mark.parametrize("stalled", [("digest", "TINY")], ids=["digest"], indirect=True)
def test_a_kill_leaves_no_process_that_waits_for_ever(tf: ModuleType, stalled: Stalled) -> None:
    program, worker = stalled
    program.kill()
    program.wait()
    deadline = time.monotonic() + PATIENCE
    while is_running(worker):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.usefixtures("started")
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


@pytest.mark.usefixtures("started")
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
    proven = f"every bit equals the source, as TensorFlow {tf.__version__} reads it"
    assert f"  verified  {proven}; so does the configuration" in found
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
    command: list[str | Path] = [
        Path(sys.executable).with_name("gpt2-convert"),
        "verify",
        tiny,
        tiny,
    ]
    done = subprocess.run(
        [*command, "--engine", "tensorflow"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("equal  ")
    assert done.stderr == ""


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
