"""Every command and program that the README shows, run in the order in which it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml
from support import bundles, ci, mirrors

import gpt2_convert

if TYPE_CHECKING:
    from support.web import Server

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
MEASURED = re.compile(r"in [0-9.]+ s, [0-9,]+ MB/s|(?<=TensorFlow )[0-9.]+")


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models/124M in OpenAI's layout, of random weights."""
    folder = tmp_path_factory.mktemp("readme")
    random = np.random.default_rng(0)

    def weights(
        _: str, shape: tuple[int, ...]
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return random.standard_normal(shape, np.float32)

    bundles.stream_gpt2(folder / "models" / "124M", bundles.OPENAI["124M"], weights)
    return folder


def put_tokenizer(place: Path) -> bool:
    """Put OpenAI's tokenizer beside the weights, where it is on this machine."""
    for name in ("encoder.json", "vocab.bpe"):
        source = SHARED / "openai-124M-index" / name
        if not source.is_file():
            return False
        shutil.copy(source, place / "models" / "124M")
    return True


FETCHING = """#!{python}
import sys
from pathlib import Path

sys.path.insert(0, {tests!r})
from support import mirrors

import gpt2_convert.cli

files = {{path.name: path.read_bytes() for path in Path({origin!r}).iterdir()}}
with mirrors.publishing(mirrors.know(files), url={url!r}):
    gpt2_convert.cli.main()
"""
"""The program, for which a small model at a server of this machine is the published one."""


@pytest.fixture
def elsewhere(web: Server, tmp_path: Path) -> Path:
    """An empty folder, beside a program that fetches from this machine what others fetch."""
    files = mirrors.make_openai(tmp_path / "origin" / "openai")
    mirrors.give_openai(web, files)
    hf = mirrors.make_hf(tmp_path / "origin" / "hf")
    mirrors.Hub(web, hf, ("model.safetensors",), "openai-community/gpt2")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "gpt2-convert"
    origin, tests = str(tmp_path / "origin" / "openai"), str(ROOT / "tests")
    text = FETCHING.format(python=sys.executable, tests=tests, origin=origin, url=web.url)
    program.write_text(text)
    program.chmod(0o755)
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def run(script: str, place: Path, programs: str = "") -> str:
    beside = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{programs}{beside}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-ec", script],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stderr}"
    assert done.stderr == ""
    return done.stdout


OURS = "OWNER/gpt2-convert@"
INSTALLS = "pip install"


def run_pipeline(text: str, place: Path, temporary: Path) -> None:
    """Run what a pipeline runs of ours and of the shell's, in one folder; others move files."""
    pipeline = yaml.safe_load(text)
    if "jobs" not in pipeline:
        assert ci.find_fault(text, "gitlab-ci") == ""
        for job in pipeline.values():
            commands = [line for line in job["script"] if not line.startswith(INSTALLS)]
            run("\n".join(commands), place)
            kept = [*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"]]
            assert all((place / path).is_file() for path in kept)
        return
    assert ci.find_fault(text, "github-workflows") == ""
    known: dict[str, str] = {}
    for job in pipeline["jobs"].values():
        for step in job["steps"]:
            if step.get("uses", "").startswith(OURS):
                ran = ci.run_action(step["with"], place, temporary / "runner")
                prefix = f"steps.{step['id']}.outputs"
                known |= {f"{prefix}.{name}": value for name, value in ran.outputs.items()}
            elif "run" in step:
                ran = ci.run_step(step, known, place, temporary / "runner")
            else:
                continue
            assert ran.code == 0, ran.log


def clear(place: Path, texts: list[str]) -> None:
    """Remove what none of the texts names: each of a dozen targets has half a gigabyte."""
    for path in place.iterdir():
        if not any(path.name in text for text in texts):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.slow
def test_commands_and_programs_do_what_is_shown(place: Path, elsewhere: Path) -> None:
    shown = 0
    for number, (language, text) in enumerate(BLOCKS):
        clear(place, [later for _, later in BLOCKS[number:]])
        if "--engine tensorflow" in text and find_spec("tensorflow") is None:
            pass  # this Python is newer than TensorFlow's wheels
        elif "gpt2-convert fetch" in text:
            run(text, elsewhere, f"{elsewhere.with_name('bin')}:")
            assert gpt2_convert.verify(elsewhere / "models" / "124M", elsewhere / "gpt2").ok
        elif re.search("load_encoder|convert generate", text) and not put_tokenizer(place):
            pass  # OpenAI's tokenizer is nothing that a test can make
        elif language == "console":
            first, _, expected = text.partition("\n")
            assert first.startswith("$ gpt2-convert ")
            found = run(first.removeprefix("$ "), place)
            assert MEASURED.sub("", found) == MEASURED.sub("", expected), first
        elif language == "sh" and "gpt2-convert" in text:
            run(text, place)
        elif language == "yaml":
            run_pipeline(text, place, elsewhere)
        elif language == "python":
            (place / "program.py").write_text(text)
            found = run(f"{sys.executable} program.py", place)
            printed = re.findall(r"^print\(.*\) *# (.*)$", text, re.MULTILINE)
            assert found == "".join(f"{line}\n" for line in printed)
        else:
            continue
        shown += 1
    assert shown == len(BLOCKS) - 1  # all but the two make commands


def test_make_has_the_targets_that_are_named() -> None:
    help_text = subprocess.run(
        ["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True
    ).stdout
    listed = re.findall(r"^  make ([a-z-]+)", help_text, re.MULTILINE)
    named = set(re.findall(r"\bmake ([a-z]+)\b", README))
    assert {"demo", "test", "bench", "wheel"} <= named - {"and"}
    assert named <= set(listed)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
