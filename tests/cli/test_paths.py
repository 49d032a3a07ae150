"""What stands for a stream, and addresses, in the place of any path of any command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest
from support.console import is_one_error_line

from gpt2_convert.cli.commands import MODULES, find_command
from gpt2_convert.cli.commands.conversions import CONVERSIONS
from gpt2_convert.cli.paths import PathType
from gpt2_convert.cli.program import run

if TYPE_CHECKING:
    from pathlib import Path

ADDRESSES = ("https://example.org/gpt2", "s3://bucket/model.npz", "HF://openai/gpt2")


def find_paths() -> dict[str, tuple[list[str], str]]:
    """Return a command line for each path that any command takes, with {} for it, and its kind."""
    found: dict[str, tuple[list[str], str]] = {}
    for name in MODULES:
        command = find_command(name)
        assert command
        arguments = [each for each in command.params if isinstance(each, click.Argument)]
        for number, param in enumerate(command.params):
            if not isinstance(param.type, PathType):
                assert not isinstance(param.type, click.Path), f"{name} {param.name}"
                continue
            values = ["{}" if each is param else "x" for each in arguments]
            option = [] if isinstance(param, click.Argument) else [param.opts[-1], "{}"]
            key = f"{name} {number} {param.name}" + (" or stdout" if param.type.stream else "")
            found[key] = [name, *values, *option], param.type.what
    return found


PATHS = find_paths()


def test_all_commands_that_read_or_write_have_paths() -> None:
    kinds = {line[0]: set[str]() for line, _ in PATHS.values()}
    for line, what in PATHS.values():
        kinds[line[0]].add(what)
    assert kinds.keys() == MODULES.keys() - {"completion"}
    assert all(kinds[name] == {"source", "target"} for name in CONVERSIONS)
    assert kinds["verify"] == {"source", "text", "tokenizer"}
    assert kinds["digest"] == {"source", "listing"}
    assert kinds["fetch"] == {"target"}


@pytest.mark.parametrize("path", [path for path in PATHS if "or stdout" not in path])
def test_a_dash_is_no_path(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    line, what = PATHS[path]
    assert run([each.replace("{}", "-") for each in line]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert is_one_error_line(printed.err)
    stream = "stdout" if what == "target" else "stdin"
    assert f"-: a path expected, and not {stream}: " in printed.err


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("path", PATHS)
def test_an_address_is_no_path(path: str, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    line, what = PATHS[path]
    assert run([each.replace("{}", address) for each in line]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert is_one_error_line(printed.err)
    way_on = "upload what was written" if what == "target" else "download it first"
    assert f"{address}: an address" in printed.err
    assert way_on in printed.err
    assert ("'fetch' gets models" in printed.err) == (what == "source")


@pytest.mark.parametrize(
    "given", ["https://example.org/a.md", "markdown:s3://bucket/a", "S3://b/a.xml"]
)
def test_an_address_is_no_place_for_a_report(
    given: str, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(tiny), "--report", given]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert is_one_error_line(printed.err)
    address = given.removeprefix("markdown:")
    assert f"{address}: an address; name a path here, and upload what was written" in printed.err


def test_a_file_may_have_such_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("./-", "-x", "a:b", "http:"):
        assert PathType("source").convert(name, None, None) == name
