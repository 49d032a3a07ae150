"""Arguments and options that several commands share."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from .results import Output
from .streams import JSON_OPTION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Final, TypeVar

    from .report_files import ReportFile

    Command = TypeVar("Command", bound=Callable[..., Any])

PATHS: Final = ("source", "target", "folder", "model", "check", "text", "tokenizer")
"""Parameters that name what a job reads or writes."""
DTYPES: Final = ("float32", "float16", "bfloat16", "float64")
SOURCE_HELP: Final = """\
\b
SOURCE may be
  a folder with a TensorFlow checkpoint   models/124M
  its prefix                              models/124M/model.ckpt
  its .index or a .data-00000-of-00001    models/124M/model.ckpt.index
  its 'checkpoint' file                   models/124M/checkpoint
  a Hugging Face model folder             gpt2/
  a safetensors file or a shards' index   model.safetensors.index.json
  a PyTorch file or a shards' index       pytorch_model.bin
  a NumPy archive                         out.npz
  an HDF5 file                            out.h5
"""
EITHER_HELP: Final = SOURCE_HELP.replace("SOURCE", "SOURCE and TARGET")


def path_argument(name: str) -> Callable[[Command], Command]:
    """Return an argument that shells complete to file names; whether it fits is not click's say."""
    return click.argument(name, type=click.Path(readable=False))


def output_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that say how a job tells what comes of it, which the command gets as one.

    They become the keyword ``output``, an :class:`.results.Output`.
    """

    @functools.wraps(command)
    def with_output(
        *,
        as_json: bool,
        quiet: bool,
        report: tuple[str, ...],
        **options: Any,  # noqa: ANN401 - each is the command's own
    ) -> int:
        output = Output(
            command=click.get_current_context().info_name or "",
            as_json=as_json,
            quiet=quiet,
            reports=tuple(_parse_reports(report)),
            paths=tuple(str(options[name]) for name in PATHS if options.get(name) is not None),
        )
        done: int = command(output=output, **options)
        return done

    return _add(
        with_output,
        click.option(JSON_OPTION, "as_json", is_flag=True, help="Print one JSON document."),
        click.option(
            "--report",
            multiple=True,
            metavar="[FORMAT:]FILE",
            help="Write a report, of a failure too: json, markdown, html, junit or github. The "
            "suffix tells the format if none is named; '-' is stdout. May be repeated.",
        ),
        click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors."),
    )


def _parse_reports(texts: tuple[str, ...]) -> Iterator[ReportFile]:
    if not texts:
        return
    from ..errors import UsageError
    from .report_files import parse_report

    for text in texts:
        try:
            yield parse_report(text)
        except UsageError as error:
            raise click.BadParameter(str(error), param_hint="--report") from None


def common_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that every command has that reads a checkpoint."""
    return _add(
        output_options(command),
        click.option(
            "--step",
            type=click.IntRange(0),
            metavar="N",
            help="Where SOURCE is a folder of several checkpoints: the one of step N.",
        ),
        click.option(
            "--scope",
            metavar="NAME",
            help="Where SOURCE holds several models: the one in this scope, such as 'policy'; '.' "
            "is the one in none.",
        ),
        click.option(
            "--drop",
            multiple=True,
            metavar="PATTERN",
            help="Leave out tensors that GPT-2 does not know, such as 'score.*'. May be repeated.",
        ),
        click.option(
            "--engine",
            type=click.Choice(["native", "tensorflow"]),
            help="Who reads SOURCE. A conversion uses TensorFlow for the proof, as a witness. By "
            "default it reads only what the native reader declines.",
        ),
    )


def as_is_option(command: Command) -> Command:
    """Add the option that takes a checkpoint of any model."""
    return click.option(
        "--as-is",
        is_flag=True,
        help="Take a checkpoint of any model: every tensor of numbers under its own name, but for "
        "those that --drop names, and no configuration or tokenizer.",
    )(command)


def weights_option(command: Command) -> Command:
    """Add the option that leaves the files beside the weights out of account."""
    return click.option(
        "--weights-only",
        is_flag=True,
        help="Leave out the files beside the weights, such as the tokenizer's.",
    )(command)


def heads_option(command: Command) -> Command:
    """Add the option that states what shows in no tensor."""
    return click.option(
        "--n-head",
        type=click.IntRange(1),
        metavar="N",
        help="The number of heads, where SOURCE does not state it.",
    )(command)


def cast_options(command: Command) -> Command:
    """Add the options that cast the source's weights."""
    return _add(
        command,
        click.option(
            "--dtype",
            type=click.Choice(DTYPES),
            help="Cast the weights, rounding to the nearest. By default they stay as they are.",
        ),
        click.option(
            "--allow-overflow",
            is_flag=True,
            help="With --dtype: let numbers that are too large become infinite.",
        ),
    )


def conversion_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that every conversion has."""
    return _add(
        cast_options(common_options(as_is_option(weights_option(command)))),
        click.option("-f", "--force", is_flag=True, help="Replace TARGET if it exists."),
        click.option("--no-verify", is_flag=True, help="Do not compare TARGET with SOURCE."),
        click.option(
            "--compress", type=click.Choice(["gzip"]), help="Compress the weights (HDF5 only)."
        ),
        heads_option,
        click.option("--digest", is_flag=True, help="Report the SHA-256 of the contents too."),
    )


def _add(command: Command, *options: Callable[[Command], Command]) -> Command:
    """Add options so that the help lists them in this order."""
    for option in reversed(options):
        command = option(command)
    return command
