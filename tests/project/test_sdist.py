"""The source archive holds what testing it needs, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = {
    "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "Makefile", "README.md",
    "SECURITY.md", "action.yml", "pyproject.toml",
}  # fmt: skip
FOLDERS = ("convert", "schemas", "tests")
MADE = {"PKG-INFO", "setup.cfg"}
"""Beside its egg-info, all that setuptools adds of its own."""
LEFT_BEHIND = (
    "build/lib/gpt2_convert/old.py",
    "convert/__pycache__/errors.cpython-311.pyc",
    "dist/gpt2_convert-0.0.1.tar.gz",
    "tests/out.npz.0123abcd.partial",
)
"""What work in a clone leaves in it."""


def tracked() -> set[str]:
    """Return the files that are in the repository, or will be with the next commit."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone of the repository")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The files of an archive that is built from a copy: building leaves files in its folder."""
    clone = tmp_path_factory.mktemp("clone")
    for name in tracked():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, clone / name)
    for name in LEFT_BEHIND:
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).touch()
    program = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    out = tmp_path_factory.mktemp("out")
    command = [sys.executable, "-c", program, str(out)]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (archive,) = out.iterdir()
    with tarfile.open(archive) as opened:
        files = [member.name for member in opened if not member.isdir()]
    top = archive.name.removesuffix(".tar.gz")
    assert all(name.startswith(f"{top}/") for name in files)
    return {name.removeprefix(f"{top}/") for name in files}


def test_it_holds_every_file_of_the_named_folders_and_no_other(contents: set[str]) -> None:
    expected = {name for name in tracked() if name in NAMED or name.partition("/")[0] in FOLDERS}
    assert expected >= NAMED
    found = {name for name in contents if ".egg-info/" not in name} - MADE
    assert found == expected


def test_it_can_be_tested(contents: set[str]) -> None:
    # Data that no import names, and so nobody would miss before the tests run.
    assert any("/regressions/" in name for name in contents)
    assert {"Makefile", "schemas/gpt2.toml", "convert/py.typed"} <= contents
