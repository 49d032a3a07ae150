"""The HDF5 library in one process: late, without plugins, and one thread at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import h5py
import pytest
from h5py import h5d, h5p, h5s, h5t
from support import bundles
from support.hdf5_files import make, write_canonical

if TYPE_CHECKING:
    from pathlib import Path


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


def test_no_plugin_is_loaded(tmp_path: Path) -> None:
    # The library would load each file of this folder to ask it for the filter.
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_chunk((10,))
    plist.set_filter(258, h5py.h5z.FLAG_OPTIONAL, ())

    def fill(file: h5py.File) -> None:
        h5d.create(file.id, b"a", h5t.IEEE_F32LE, h5s.create_simple((10,)), plist)

    path = make(tmp_path / "m.h5", fill)
    program = (
        "import os, sys, gpt2_convert\n"
        "try:\n"
        "    gpt2_convert.open(sys.argv[1])\n"
        "except gpt2_convert.UnsupportedError as error:\n"
        "    print(os.environ['HDF5_PLUGIN_PRELOAD'], error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path],
        env={**os.environ, "HDF5_PLUGIN_PATH": str(plugins)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f":: {path}: 'a': filter 258; ")
