"""The HDF5 library in one process: late, without plugins, and one thread at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import h5py
import pytest
from h5py import h5d, h5p, h5s, h5t
from support import bundles
from support.console import PATIENCE, SCRIPT
from support.hdf5_files import make, write_canonical

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path

    from gpt2_convert.formats.writers import Compression


@pytest.mark.slow
def test_threads_read_and_compare_side_by_side(tmp_path: Path) -> None:
    sizes = {**bundles.TINY, "n_vocab": 30_000}
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    make(paths[0], lambda file: write_canonical(file, sizes))
    make(paths[1], lambda file: write_canonical(file, sizes, compression="gzip"))
    program = (
        "import sys, threading, gpt2_convert\n"
        "def verify():\n"
        "    print(gpt2_convert.verify(*sys.argv[1:]).ok)\n"
        "    print(gpt2_convert.verify(*sys.argv[:0:-1]).ok)\n"
        "threads = [threading.Thread(target=verify) for _ in range(4)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
    )
    # A process of its own: where the library is entered twice, it crashes.
    command: list[str | Path] = [sys.executable, "-c", program, *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.count("True") == 8, done.stdout + done.stderr


def test_h5py_is_not_imported_before_a_file_needs_it(tiny: Path) -> None:
    program = (
        "import sys, gpt2_convert\n"
        "gpt2_convert.inspect(sys.argv[1])\n"
        "print('h5py' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tiny], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


SETTINGS: dict[str, dict[str, str]] = {
    "a driver that writes when it closes": {"HDF5_DRIVER": "core"},
    "a driver that writes other files": {"HDF5_DRIVER": "split"},
    "a driver that nobody has": {"HDF5_DRIVER": "nonsense", "HDF5_DRIVER_CONFIG": "x"},
    "a connector that nobody has": {"HDF5_VOL_CONNECTOR": "nonsense under_vol=0"},
    "locks": {"HDF5_USE_FILE_LOCKING": "TRUE"},
    "debugging": {"HDF5_DEBUG": "all", "HDF5_DISABLE_VERSION_CHECK": "0"},
    "prefixes": {"HDF5_EXT_PREFIX": "/etc", "HDF5_VDS_PREFIX": "/etc", "HDF5_EXTFILE_PREFIX": "/"},
    "plugins": {"HDF5_PLUGIN_PATH": "/usr/lib", "HDF5_PLUGIN_PRELOAD": ""},
}
"""Variables that the library reads when it is loaded."""
SETTINGS["all of them"] = {
    name: value for settings in SETTINGS.values() for name, value in settings.items()
}


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(settings, id=name, marks=[] if name == "all of them" else [pytest.mark.slow])
        for name, settings in SETTINGS.items()
    ],
)
def test_the_environment_changes_nothing(
    settings: dict[str, str], tiny: Path, tmp_path: Path
) -> None:
    for command in (
        f"convert {tiny} out.h5",
        f"convert {tiny} packed.h5 --compress gzip",
        "verify out.h5 packed.h5",
    ):
        done = subprocess.run(
            [SCRIPT, *command.split()],
            cwd=tmp_path,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), command
    expected: dict[str, Compression | None] = {"out.h5": None, "packed.h5": "gzip"}
    for name, compress in expected.items():
        gpt2_convert.convert(tiny, tmp_path / "expected.h5", compress=compress, force=True)
        assert (tmp_path / name).read_bytes() == (tmp_path / "expected.h5").read_bytes()


def test_the_environment_is_given_back(tmp_path: Path) -> None:
    settings = {
        "HDF5_DRIVER": "core",
        "HDF5_VOL_CONNECTOR": "nonsense",
        "HDF5_X": "1",
        "H5FD_Y": "",
    }
    program = (
        "import json, os\n"
        "from gpt2_convert.formats.hdf5.library import load_h5py\n"
        "before = dict(os.environ)\n"
        "assert load_h5py().version\n"
        "print(json.dumps([before, dict(os.environ)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = json.loads(done.stdout)
    assert before == after
    assert settings.items() <= before.items()


def test_a_program_that_has_loaded_the_library_for_another_driver_is_served(
    tiny: Path, tmp_path: Path
) -> None:
    program = (
        "import sys, h5py, gpt2_convert\n"
        "assert h5py.h5p.create(h5py.h5p.FILE_ACCESS).get_driver() != h5py.h5fd.SEC2\n"
        "for target, compress in ((sys.argv[2], None), (sys.argv[3], 'gzip')):\n"
        "    assert gpt2_convert.convert(sys.argv[1], target, compress=compress).ok\n"
        "print(gpt2_convert.verify(*sys.argv[2:]).ok)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tiny, tmp_path / "a.h5", tmp_path / "b.h5"],
        env={**os.environ, "HDF5_DRIVER": "split"},  # a file in two
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "True\n", done.stderr


def test_a_library_that_cannot_be_loaded_is_an_error(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", lambda file: write_canonical(file))
    (tmp_path / "h5py").mkdir()
    (tmp_path / "h5py" / "__init__.py").write_text("raise ImportError('libhdf5.so:\\n too large')")
    program = "import sys, gpt2_convert; gpt2_convert.open(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", program, path],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (
        "UnsupportedError: h5py, which reads and writes HDF5, cannot be loaded: libhdf5.so: too"
        in (done.stderr)
    )


def test_no_plugin_is_loaded(tmp_path: Path) -> None:
    # The library opens each file of this folder to ask it for a filter, and would wait for this.
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    os.mkfifo(plugins / "libany.so")
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_chunk((10,))
    plist.set_filter(258, h5py.h5z.FLAG_OPTIONAL, ())

    def fill(file: h5py.File) -> None:
        h5d.create(file.id, b"a", h5t.IEEE_F32LE, h5s.create_simple((10,)), plist)

    path = make(tmp_path / "m.h5", fill)
    program = (
        "import sys, gpt2_convert\n"
        "from gpt2_convert.formats.hdf5.confined import confine\n"
        "from gpt2_convert.formats.hdf5.library import load_h5py, take_settings\n"
        "try:\n"
        "    gpt2_convert.open(sys.argv[1])\n"
        "except gpt2_convert.UnsupportedError as error:\n"
        "    print(error)\n"
        "def ask():\n"
        "    take_settings()\n"
        "    yield b'it knows it' if load_h5py().h5z.filter_avail(258) else b'it does not'\n"
        "print(*confine(ask, 'm.h5'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path],
        env={**os.environ, "HDF5_PLUGIN_PATH": str(plugins)},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    refused, known = done.stdout.splitlines()
    assert refused.startswith(f"{path}: 'a': filter 258; ")
    assert known == "b'it does not'"
