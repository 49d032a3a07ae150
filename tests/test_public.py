"""The public names: one list, whole and true, that costs nothing until one of them is used."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import gpt2_convert

ROOT = Path(__file__).parents[1]
LIST = ROOT / "convert" / "public.py"


def listed() -> dict[str, str]:
    """Return the names that public.py imports, each with the module that it is from."""
    found: dict[str, str] = {}
    for node in ast.parse(LIST.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            for alias in node.names:
                assert alias.asname == alias.name, "a type checker takes it for private otherwise"
                assert alias.name not in found
                found[alias.name] = f"gpt2_convert.{node.module}"
    return found


def run(program: str) -> str:
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def test_the_public_names_are_those_of_the_list_and_sorted() -> None:
    assert gpt2_convert.__all__ == sorted(listed())
    assert len(gpt2_convert.__all__) == 56


@pytest.mark.parametrize("name", listed())
def test_a_public_name_is_what_its_module_defines(name: str) -> None:
    module = listed()[name]
    __import__(module)
    public = getattr(gpt2_convert, name)
    assert public is getattr(sys.modules[module], name)
    # An alias of a type is of where the type is from.
    assert getattr(public, "__module__", module) in (module, "collections.abc", "typing")


def test_public_names_are_shown_and_others_are_not_there() -> None:
    assert set(gpt2_convert.__all__) <= set(dir(gpt2_convert))
    assert dir(gpt2_convert) == sorted(dir(gpt2_convert))
    assert "annotations" not in gpt2_convert.__all__
    for name in ("nothing", "Convert", "_load", "__path_", "numpy"):
        with pytest.raises(AttributeError) as caught:
            getattr(gpt2_convert, name)
        assert str(caught.value) == f"module 'gpt2_convert' has no attribute {name!r}"
        assert not hasattr(gpt2_convert, name)


def test_the_version_is_the_project_s() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert gpt2_convert.__version__ == project["version"] == version("gpt2-convert")


def test_importing_the_package_imports_nothing_else_of_it() -> None:
    program = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import gpt2_convert\n"
        "gpt2_convert.__version__, hasattr(gpt2_convert, '_nothing')\n"
        "print(sorted(name for name in sys.modules if name.startswith('gpt2_convert')))\n"
        "print(sorted({'numpy', 'h5py', 'click', 'rich', 'ctypes'} & set(sys.modules) - before))\n"
    )
    assert run(program) == "['gpt2_convert']\n[]\n"


def test_using_a_name_imports_no_library_that_only_some_formats_need() -> None:
    program = (
        "import sys\n"
        "import gpt2_convert\n"
        "gpt2_convert.open, gpt2_convert.Checkpoint\n"
        "print(sorted({'numpy', 'h5py', 'safetensors', 'click', 'rich'} & set(sys.modules)))\n"
    )
    assert run(program) == "[]\n"


def test_a_star_import_brings_the_public_names_and_no_other() -> None:
    program = (
        "before = set(globals())\n"
        "from gpt2_convert import *\n"
        "print(*sorted(set(globals()) - before - {'before'}))\n"
        "import gpt2_convert, builtins\n"
        "assert open is gpt2_convert.open is not builtins.open\n"
    )
    assert run(program).split() == sorted(listed())


def test_the_first_use_may_be_of_any_name() -> None:
    for use in ("gpt2_convert.Kind", "gpt2_convert.__all__", "dir(gpt2_convert)"):
        program = f"import gpt2_convert; {use}; print(gpt2_convert.Kind.EXTRA)"
        assert run(program) == "extra\n"


def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "gpt2_convert", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"gpt2-convert {version('gpt2-convert')}\n"
