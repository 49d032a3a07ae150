"""What the pages for contributors say of the repository is so."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("CONTRIBUTING.md", "SECURITY.md")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
"""None in an unpacked source archive."""


def make_help() -> str:
    command = ["make", "--no-print-directory", "-C", str(ROOT), "help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def targets() -> set[str]:
    """What `make help` lists."""
    return set(re.findall(r"^  make ([a-z-]+) ", make_help(), re.MULTILINE))


def rows(title: str) -> list[str]:
    """Return the first column of the table with that title, without backticks."""
    _, _, rest = CONTRIBUTING.partition(f"| {title} |")
    table, _, _ = rest.partition("\n\n")
    return re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)


def test_what_lists_the_commands_fits_a_narrow_terminal() -> None:
    table = re.findall(r"^\| `make .*$", CONTRIBUTING, re.MULTILINE)
    assert len(table) > 5
    assert max(map(len, [*make_help().splitlines(), *table])) <= 80


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_that_a_page_names_exist(page: str, targets: set[str]) -> None:
    named = re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE)
    assert named
    assert set(named) <= targets


def test_the_commands_that_workflows_run_exist(targets: set[str]) -> None:
    if not WORKFLOWS:
        pytest.skip("this is no clone of the repository")
    named = set()
    for file in WORKFLOWS:
        for words in re.findall(r"^ *- run: make ([a-z -]+)$", file.read_text(), re.MULTILINE):
            named.update(words.split())
    assert {"check", "test", "wheel", "sdist"} <= named <= targets


def test_the_rooms_are_the_folders_of_the_package() -> None:
    rooms = {f"{folder.parent.name}/" for folder in (ROOT / "convert").glob("*/__init__.py")}
    assert len(rows("room")) == len(rooms)
    assert set(rows("room")) == rooms


def test_every_folder_and_module_that_is_named_exists() -> None:
    named = set(re.findall(r"`((?:convert|tests|schemas)/[a-z_/.]*)`", CONTRIBUTING))
    named |= {f"convert/{path}" for path in re.findall(r"`(formats/[a-z_]+\.py)`", CONTRIBUTING)}
    assert "tests/support/contracts/" in named
    for path in named:
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
        assert (ROOT / target).exists(), target


def test_every_action_is_pinned_to_a_commit_and_says_its_version() -> None:
    if not WORKFLOWS:
        pytest.skip("this is no clone of the repository")
    files = [*WORKFLOWS, ROOT / "action.yml"]
    lines = [line for file in files for line in file.read_text().split("\n")]
    uses = [line for line in lines if "uses:" in line and " ./ " not in line]  # but our own
    assert uses
    for line in uses:
        assert re.fullmatch(r" +(- )?uses: [\w./-]+@[0-9a-f]{40} # v[0-9.]+", line), line
    # One action, one commit: an update that forgets a line is no update.
    pins = {tuple(line.split("uses: ")[1].split("@")) for line in uses}
    assert len(pins) == len({action for action, _ in pins})
