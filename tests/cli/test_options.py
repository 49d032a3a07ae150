"""The options are the keywords of the verbs: the same names, values and defaults."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, get_args

import click
import pytest

import gpt2_convert
from gpt2_convert.cli.commands import find_command
from gpt2_convert.cli.commands.conversions import CONVERSIONS
from gpt2_convert.cli.options import EITHER_HELP, SOURCE_HELP
from gpt2_convert.cli.program import program, run
from gpt2_convert.formats.engines import EngineName
from gpt2_convert.formats.readers import READERS
from gpt2_convert.formats.writers import Compression, TargetFormat
from gpt2_convert.tensors.dtype import DTypeName

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

VERBS: dict[str, Callable[..., Any]] = {
    "convert": gpt2_convert.convert,
    "verify": gpt2_convert.verify,
    "inspect": gpt2_convert.inspect,
    "digest": gpt2_convert.digest,
    "fetch": gpt2_convert.fetch,
}
OF_A_SOURCE = [name for name in VERBS if name != "fetch"]
OF_THE_PROGRAM = {"as_json", "quiet", "report", "flat", "no_verify"}
"""What is for people and shells: the forms of the output, and a flag that denies a keyword."""
CHOICES = {"--to": TargetFormat, "--compress": Compression, "--dtype": DTypeName}
CHOICES |= {"--engine": EngineName}


def find(name: str) -> click.Command:
    command = find_command(name)
    assert command
    return command


def options(command: str) -> dict[str, click.Option]:
    params = find(command).params
    return {param.name or "": param for param in params if isinstance(param, click.Option)}


@pytest.mark.parametrize("command", VERBS)
def test_every_option_is_a_keyword_with_the_same_default(command: str) -> None:
    keywords = inspect.signature(VERBS[command]).parameters
    paths = ["a", "b"] if "target" in keywords else ["a"]
    # A command keeps the help option of its first context, and takes that one's from its parent's.
    parent = click.Context(program, **program.context_settings)
    with find(command).make_context(command, paths, parent=parent) as context:
        given = {name: context.params[name] for name in options(command) if name != "help"}
    for name in given.keys() - OF_THE_PROGRAM:
        assert given[name] == keywords[name].default, name
    assert not any(given[name] for name in given.keys() & OF_THE_PROGRAM)


@pytest.mark.parametrize("command", [*CONVERSIONS, *OF_A_SOURCE])
def test_every_command_has_the_options_of_a_source(command: str) -> None:
    expected = {"step", "scope", "drop", "engine", "as_is", "as_json", "quiet"}
    assert expected <= options(command).keys()


def test_nothing_runs_as_it_is() -> None:
    assert "as_is" not in options("generate")


@pytest.mark.parametrize("flag", CHOICES)
def test_the_values_of_an_option_are_those_of_the_keyword(flag: str) -> None:
    option = next(option for option in options("convert").values() if flag in option.opts)
    assert isinstance(option.type, click.Choice)
    assert set(option.type.choices) == set(get_args(CHOICES[flag]))


@pytest.mark.parametrize("command", [*CONVERSIONS, *VERBS])
def test_every_option_is_explained_and_the_help_fits_its_lines(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert all(option.help for option in options(command).values())
    assert run([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 96
    assert all(option.opts[-1] in text for option in options(command).values())


def test_the_help_shows_what_a_source_may_be() -> None:
    # The titles and ends of names, of every container that can be read.
    for words in ("TensorFlow", "Hugging Face", "safetensors", "PyTorch", "NumPy", "HDF5"):
        assert words in SOURCE_HELP
        assert words in EITHER_HELP
    assert READERS.keys() == {"tensorflow", "safetensors", "pytorch", "npz", "hdf5"}
    assert "SOURCE and TARGET may be" in EITHER_HELP
