"""Nothing but a fetch opens a connection, and only one room of the code could."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import bundles

import gpt2_convert
from gpt2_convert.cli.commands import MODULES

ROOT = Path(__file__).parents[2]
CONVERT = ROOT / "convert"
NETWORK = {
    "aiohttp", "asyncio", "ftplib", "http", "httpx", "requests", "smtplib", "socket",
    "socketserver", "ssl", "telnetlib", "urllib.request", "urllib3", "xmlrpc",
}  # fmt: skip
"""Modules that can open a connection."""

FORBID = """
import sys

def forbid(event, arguments):
    if event.startswith("socket."):
        raise OSError(f"{event}: the network is forbidden")

sys.addaudithook(forbid)
"""
"""What Python runs at the start of every process of these tests: sockets of any kind fail."""

LIBRARY = """
import sys
import gpt2_convert

source, target = sys.argv[1:]
gpt2_convert.convert(source, f"{target}.npz", digest=True)
gpt2_convert.convert(source, f"{target}.h5")
gpt2_convert.convert(source, f"{target}.safetensors")
gpt2_convert.convert(source, target, to="hf")
gpt2_convert.convert(source, f"{target}-tf", to="tensorflow")
assert gpt2_convert.verify(source, target).ok
assert gpt2_convert.digest(f"{target}.h5").ok
assert gpt2_convert.inspect(target, stats=True).ok
with gpt2_convert.open(f"{target}.npz") as checkpoint:
    checkpoint.params()
gpt2_convert.load_gpt2_params_from_tf_ckpt(source, {})
assert gpt2_convert.load(f"{target}.npz").logits([1]).shape[0] == 1
for name in gpt2_convert.__all__:
    getattr(gpt2_convert, name)
print(sorted({"socket", "ssl", "http.client", "urllib3", "requests"} & sys.modules.keys()))
"""
"""Every verb but one, and every public name."""

COMMANDS = {
    "tf2npz": "tf2npz tiny a.npz",
    "tf2safetensors": "tf2safetensors tiny a.safetensors",
    "tf2hdf5": "tf2hdf5 tiny a.h5",
    "tf2hf": "tf2hf tiny hf",
    "hf2npz": "hf2npz hf b.npz",
    "hf2safetensors": "hf2safetensors hf b.safetensors",
    "hf2hdf5": "hf2hdf5 hf b.h5",
    "hf2tf": "hf2tf hf tf",
    "convert": "convert a.h5 c.npz",
    "verify": "verify tiny b.h5",
    "inspect": "inspect a.h5 --stats",
    "digest": "digest a.h5",
    "generate": "generate a.npz 1 --ids -n 2 -q",
    "completion": "completion bash",
}
"""Each command but the one that fetches, in an order in which they can follow each other."""


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports, and what it imports of them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def can_connect(path: Path) -> bool:
    names = imports(path)
    return any(name == each or name.startswith(f"{each}.") for name in names for each in NETWORK)


def test_only_one_room_imports_what_can_open_a_connection() -> None:
    files = {path.relative_to(CONVERT) for path in CONVERT.rglob("*.py") if can_connect(path)}
    assert {path.parts[0] for path in files} == {"download"}
    assert Path("download/client.py") in files


@pytest.fixture
def offline(tmp_path: Path) -> dict[str, str]:
    """An environment in which no process of Python can make a socket."""
    (tmp_path / "offline").mkdir()
    (tmp_path / "offline" / "sitecustomize.py").write_text(FORBID)
    return {**os.environ, "PYTHONPATH": str(tmp_path / "offline")}


def run(offline: dict[str, str], place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env=offline, cwd=place, capture_output=True, text=True, check=False
    )


def test_the_network_is_really_forbidden(offline: dict[str, str], tmp_path: Path) -> None:
    program = "import socket; socket.getaddrinfo('localhost', 80)"
    assert "the network is forbidden" in run(offline, tmp_path, "-c", program).stderr
    program = "import socket; socket.socket()"
    assert "the network is forbidden" in run(offline, tmp_path, "-c", program).stderr
    fetched = run(
        offline,
        tmp_path,
        "-m",
        "gpt2_convert",
        "fetch",
        "774M",
        "x",
        "--mirror",
        "http://127.0.0.1",
    )
    assert (fetched.returncode, fetched.stdout) == (2, "")
    assert fetched.stderr.startswith("gpt2-convert: http://127.0.0.1/774M/checkpoint: ")
    assert fetched.stderr.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_the_whole_library_works_without_it(offline: dict[str, str], tmp_path: Path) -> None:
    bundles.write_gpt2(tmp_path / "tiny")
    done = run(offline, tmp_path, "-c", LIBRARY, "tiny", "out")
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_every_other_command_works_without_it(offline: dict[str, str], tmp_path: Path) -> None:
    assert list(COMMANDS) == [name for name in MODULES if name != "fetch"]
    bundles.write_gpt2(tmp_path / "tiny")
    for command in COMMANDS.values():
        done = run(offline, tmp_path, "-m", "gpt2_convert", *command.split())
        assert (done.returncode, done.stderr) == (0, ""), command


def test_a_fetch_of_what_is_there_imports_nothing_that_could_connect(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "import gpt2_convert\n"
        "try:\n"
        "    gpt2_convert.fetch('345M')\n"
        "except gpt2_convert.UsageError:\n"
        "    print(sorted({'socket', 'ssl', 'http.client', 'urllib3'} & sys.modules.keys()))\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert gpt2_convert.FetchError.__mro__[2] is ConnectionError
