"""The conversions: one command for each pair that people ask for by name, and one for any."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import click

import gpt2_convert

from ..exit_codes import EQUAL
from ..help import Command, Group, Table, list_values, option
from ..options import (
    HUGGING_FACE_SOURCES,
    SOURCES,
    TENSORFLOW_SOURCES,
    conversion_options,
    path_argument,
)
from ..printer import Printer, spell_flag
from ..results import print_report, working

if TYPE_CHECKING:
    from typing import Any, Final

    from ...formats.readers import SourceFormat
    from ...formats.writers import TargetFormat
    from ..results import Output


class Conversion(NamedTuple):
    """What a conversion command is bound to: keys of READERS and WRITERS, or any."""

    source_format: SourceFormat | None
    to: TargetFormat | None
    summary: str


CONVERSIONS: Final = {
    "tf2npz": Conversion("tensorflow", "npz", "a TensorFlow checkpoint into a NumPy archive"),
    "tf2safetensors": Conversion(
        "tensorflow", "safetensors", "a TensorFlow checkpoint into a safetensors file"
    ),
    "tf2hdf5": Conversion("tensorflow", "hdf5", "a TensorFlow checkpoint into an HDF5 file"),
    "tf2hf": Conversion("tensorflow", "hf", "a TensorFlow checkpoint into a Hugging Face folder"),
    "hf2npz": Conversion("safetensors", "npz", "a Hugging Face model into a NumPy archive"),
    "hf2safetensors": Conversion(
        "safetensors", "safetensors", "a Hugging Face model into one file of canonical names"
    ),
    "hf2hdf5": Conversion("safetensors", "hdf5", "a Hugging Face model into an HDF5 file"),
    "hf2tf": Conversion(
        "safetensors", "tensorflow", "a Hugging Face model into a TensorFlow checkpoint"
    ),
    "convert": Conversion(None, None, "any checkpoint into the format of TARGET's suffix"),
}
TARGETS: Final = ("npz", "safetensors", "hdf5", "hf", "tensorflow")
_SOURCES: Final = {
    "tensorflow": TENSORFLOW_SOURCES,
    "safetensors": HUGGING_FACE_SOURCES,
    None: SOURCES,
}
"""What the help says of each format of a source."""
_READ_ONLY: Final = (".pt", ".pth", ".bin")
"""Ends of the names of PyTorch files."""


def build_command(name: str, conversion: Conversion) -> click.Command:
    """Return the command of a conversion."""

    def command(
        source: str,
        target: str,
        no_verify: bool,
        output: Output,
        to: TargetFormat | None = conversion.to,
        **options: Any,  # noqa: ANN401 - each is a keyword of gpt2_convert.convert
    ) -> int:
        output = output.making(target)
        with working(output) as progress:
            if conversion.to is not None:
                _check_name(name, conversion, target)
            elif options["weights_only"]:
                _check_folder(target, to)
            started = time.monotonic()
            report = gpt2_convert.convert(
                source,
                target,
                to=to,
                format=conversion.source_format,
                verify=not no_verify,
                sums=output.sums is not None,
                progress=progress,
                **options,
            )
            seconds = time.monotonic() - started

        def show() -> None:
            from ...reports.text import write_conversion

            write_conversion(Printer(), report, seconds, spell_flag)

        done = f"; {report.target.path} is complete{'' if no_verify else ' and verified'}"
        return print_report(output, EQUAL, report, show, done)

    command.__doc__ = f"""Convert {conversion.summary}.

    TARGET appears only when it is complete and was found equal to SOURCE in every bit.
    """
    decorated = conversion_options(
        command,
        of_tensorflow=conversion.source_format in ("tensorflow", None),
        into_folder=conversion.to in ("hf", "tensorflow", None),
        into_file=conversion.to not in ("hf", "tensorflow"),
        compress=conversion.to in ("hdf5", None),
    )
    if conversion.to is None:
        decorated = option(
            "--to",
            type=click.Choice(TARGETS),
            metavar="FORMAT",
            group=Group.TARGET,
            help=f"The format, whatever TARGET's suffix: {list_values(TARGETS)}. By default a "
            "folder is hf.",
        )(decorated)
    decorated = path_argument("source")(path_argument("target", "target")(decorated))
    sources = _SOURCES[conversion.source_format]
    return click.command(name, cls=Command, tables=[Table("SOURCE may be", sources)])(decorated)


def _check_name(command: str, conversion: Conversion, target: str) -> None:
    """Refuse a target whose name is one of another format than a command writes.

    Raises:
        UsageError: it is; the error says which command writes that.
    """
    from ...formats.writers import WRITERS

    into = conversion.to or ""
    end = target.lower()
    if end.endswith(_READ_ONLY):
        raise gpt2_convert.UsageError(
            f"{target}: the name of a PyTorch file, which this tool reads and does not write; "
            f"{command} writes {into}"
        )
    named = next((key for key, writer in WRITERS.items() if end.endswith(writer.suffixes)), into)
    if named == into or (end.endswith("/") and WRITERS[into].folder_of):
        return
    others = (
        name
        for name, each in CONVERSIONS.items()
        if (each.source_format, each.to) == (conversion.source_format, named)
    )
    names = "names a folder" if end.endswith("/") else f"the name is one of {named}"
    raise gpt2_convert.UsageError(
        f"{target}: {names}, and {command} writes {into}; use "
        + "".join(f"'{name}' or " for name in others)
        + "'convert', which goes by the name"
    )


def _check_folder(target: str, to: TargetFormat | None) -> None:
    """Refuse to leave behind what stays behind anyway, because the target is one file.

    Raises:
        UsageError: it is.
    """
    from ...api.target import choose_format
    from ...formats.writers import WRITERS

    into = choose_format(target, to, None)
    if not WRITERS[into].folder_of:
        raise gpt2_convert.UsageError(
            f"--weights-only has no effect: {target} is one file ({into}), with nothing beside it"
        )


class _Commands(dict[str, click.Command]):
    """The commands, each built when it is asked for: a program runs one of them."""

    def __missing__(self, name: str) -> click.Command:
        command = self[name] = build_command(name, CONVERSIONS[name])
        return command


COMMANDS: Final = _Commands()
