"""The options are the keywords of the verbs: the same names, values and defaults."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, get_args

import click
import pytest

import gpt2_convert
from gpt2_convert.cli.commands import MODULES, find_command
from gpt2_convert.cli.commands.conversions import CONVERSIONS
from gpt2_convert.cli.help import Option
from gpt2_convert.cli.options import EITHER_TABLE, SOURCE_TABLE, SOURCES
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
OF_THE_PROGRAM = {"as_json", "quiet", "report", "sums", "flat", "no_verify"}
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
        exposed = options(command).keys() - {"help", "color"}
        given = {name: context.params[name] for name in exposed}
    for name in given.keys() - OF_THE_PROGRAM:
        assert given[name] == keywords[name].default, name
    assert not any(given[name] for name in given.keys() & OF_THE_PROGRAM)


@pytest.mark.parametrize("command", [*CONVERSIONS, *OF_A_SOURCE])
def test_every_command_has_the_options_of_its_source(command: str) -> None:
    assert {"scope", "drop", "as_json", "quiet"} <= options(command).keys()
    # Steps are of TensorFlow's checkpoints, and so is the other program that may read them.
    of_tensorflow = not command.startswith("hf2")
    assert of_tensorflow == ("step" in options(command)) == ("engine" in options(command))


@pytest.mark.parametrize("command", [*CONVERSIONS, *OF_A_SOURCE])
def test_what_is_taken_as_it_is_goes_into_files(command: str) -> None:
    folders = {name for name, each in CONVERSIONS.items() if each.to in ("hf", "tensorflow")}
    assert ("as_is" in options(command)) == (command not in folders)


@pytest.mark.parametrize("command", CONVERSIONS)
def test_a_conversion_has_the_options_of_its_target(command: str) -> None:
    into = CONVERSIONS[command].to
    assert ("compress" in options(command)) == (into in ("hdf5", None))
    assert ("weights_only" in options(command)) == (into in ("hf", "tensorflow", None))
    assert ("to" in options(command)) == (into is None)


def test_nothing_runs_as_it_is() -> None:
    assert "as_is" not in options("generate")


@pytest.mark.parametrize("flag", CHOICES)
def test_the_values_of_an_option_are_those_of_the_keyword(flag: str) -> None:
    option = next(option for option in options("convert").values() if flag in option.opts)
    assert isinstance(option.type, click.Choice)
    assert set(option.type.choices) == set(get_args(CHOICES[flag]))


@pytest.mark.parametrize("command", MODULES)
def test_every_option_is_explained_and_has_a_group(command: str) -> None:
    for option in options(command).values():
        assert option.help
        assert isinstance(option, Option) or option.name == "help"


@pytest.mark.parametrize("command", [*CONVERSIONS, *OF_A_SOURCE])
def test_the_help_shows_what_a_source_may_be(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, "--help"]) == 0
    text = capsys.readouterr().out
    # The titles and ends of names, of every container that can be read.
    titles = {"TensorFlow", "Hugging Face", "safetensors", "PyTorch", "NumPy", "HDF5"}
    expected = {"tf": {"TensorFlow"}, "hf": {"Hugging Face", "safetensors"}}
    rows = text[text.index(" may be:\n") :]
    assert {title for title in titles if title in rows} == expected.get(command[:2], titles)
    assert READERS.keys() == {"tensorflow", "safetensors", "pytorch", "npz", "hdf5"}
    assert SOURCE_TABLE.rows == EITHER_TABLE.rows == SOURCES
