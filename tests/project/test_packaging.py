"""What is built, and what it needs: the traps that stay silent until a user falls into them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points, requires
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_folder_with_code_is_a_listed_package() -> None:
    # One that is not listed drops out of the wheel without a word.
    folders = {path.parent for top in ("convert", "schemas") for path in (ROOT / top).rglob("*.py")}
    names = {
        ".".join(folder.relative_to(ROOT).parts).replace("convert", "gpt2_convert", 1)
        for folder in folders
    }
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    assert {name.replace("schemas", "gpt2_convert.schemas") for name in names} == listed


def test_data_files_ship() -> None:
    for name in ("gpt2.toml", "published.toml", "report.schema.json", "inspect.schema.json"):
        assert files("gpt2_convert.schemas").joinpath(name).is_file()
    assert files("gpt2_convert").joinpath("py.typed").is_file()
    assert files("gpt2_convert.reports.renderers").joinpath("page.html.j2").is_file()


def test_the_program_is_installed() -> None:
    (script,) = entry_points(group="console_scripts", name="gpt2-convert")
    assert script.value == "gpt2_convert.cli:main"


def test_what_few_need_is_in_an_extra_and_nowhere_else() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    assert {"fetch", "tensorflow", "tokenizer"} <= extras.keys()
    lines = requires("gpt2-convert") or []
    needed = " ".join(line for line in lines if "extra ==" not in line)
    for extra, requirements in extras.items():
        for requirement in requirements:
            name = re.split(r"[^\w-]", requirement)[0]
            assert name not in needed
            assert any(name in line and f'extra == "{extra}"' in line for line in lines)


def test_a_conversion_imports_neither_tensorflow_nor_torch(tiny: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "import gpt2_convert\n"
        "gpt2_convert.convert(sys.argv[1], sys.argv[2])\n"
        "gpt2_convert.inspect(sys.argv[2])\n"
        "unwanted = {'tensorflow', 'torch', 'transformers', 'ml_dtypes', 'tokenizers'}\n"
        "print(sorted(unwanted & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", program, str(tiny), str(tmp_path / "out.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert done.stderr == ""


def test_the_library_stays_silent(tiny: Path, tmp_path: Path) -> None:
    program = (
        "import sys, logging\n"
        "import gpt2_convert\n"
        "try:\n"
        "    gpt2_convert.convert(sys.argv[1], sys.argv[2])\n"
        "    gpt2_convert.convert(sys.argv[1], sys.argv[2])\n"
        "except FileExistsError:\n"
        "    assert not logging.getLogger().handlers\n"
    )
    command = [sys.executable, "-c", program, str(tiny), str(tmp_path / "out.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
