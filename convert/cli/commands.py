"""The commands: arguments in, reports out, an exit code."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

import click

import gpt2_convert

from .exit_codes import COULD_NOT, DIFFERENT, EQUAL
from .options import (
    EITHER_HELP,
    JSON_OPTION,
    SOURCE_HELP,
    cast_options,
    common_options,
    conversion_options,
    path_argument,
    weights_option,
)
from .printer import Printer, spell_flag
from .results import print_error_document, print_report, show_verification, working
from .streams import PROGRAM, print_error

if TYPE_CHECKING:
    from typing import Any, Final

    from ..formats.readers import SourceFormat
    from ..formats.writers import TargetFormat

COMPLETE: Final = "_GPT2_CONVERT_COMPLETE"
"""The environment variable through which a shell asks how a command line may go on."""


def run(arguments: list[str]) -> int:
    """Run the command line ``arguments`` and return the exit code."""
    if instruction := os.environ.get(COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(commands, {}, PROGRAM, COMPLETE, instruction)
    if not arguments:
        context = click.Context(commands, info_name=PROGRAM, **commands.context_settings)
        click.echo(context.get_help(), err=True)
        return COULD_NOT
    try:
        with commands.make_context(PROGRAM, list(arguments)) as context:
            code: int = commands.invoke(context)
    except click.exceptions.Exit as ended:  # after --help and --version
        return ended.exit_code
    except click.ClickException as error:
        message = _describe_misuse(error)
        if _ask_for_json(arguments):
            print_error_document("UsageError", message)
        print_error(message)
        return COULD_NOT
    except gpt2_convert.Gpt2ConvertError as error:
        print_error(error.spell(spell_flag))
        return DIFFERENT if isinstance(error, gpt2_convert.VerificationError) else COULD_NOT
    return code


def _describe_misuse(error: click.ClickException) -> str:
    """Return click's message in the manner of all others: no capital, no full stop, a way on."""
    message = error.format_message()
    message = message[:1].lower() + message[1:].rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{message} (see '{context.command_path} --help')" if context else message


def _ask_for_json(arguments: list[str]) -> bool:
    """Whether a command line that cannot be parsed asks for JSON."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return JSON_OPTION in options


class Suggesting(click.Group):
    """A group that answers a mistyped command with the nearest one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may have been meant."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], self.list_commands(ctx), 1)
            there_are = f"there are: {', '.join(self.list_commands(ctx))}"
            raise click.UsageError(
                f"no such command: {args[0]!r}; "
                + (f"did you mean {close[0]!r}?" if close else there_are),
                ctx,
            )
        return super().resolve_command(ctx, args)


@click.group(
    cls=Suggesting,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96},
    epilog="""\
\b
Example:
  gpt2-convert tf2npz models/124M out.npz

\b
Exit codes:
  0    done and equal
  1    the verification found differences
  2    the job could not be done
  130  interrupted
""",
)
@click.version_option(package_name="gpt2-convert", message="%(prog)s %(version)s")
def commands() -> None:
    """Convert GPT-2 checkpoints without TensorFlow, and prove the result bit for bit."""


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
    "convert": Conversion(None, None, "any checkpoint into the format of TARGET's suffix"),
}


def add_conversion(name: str, conversion: Conversion) -> None:
    """Add a conversion command to the group."""

    def command(
        source: str,
        target: str,
        no_verify: bool,
        as_json: bool,
        quiet: bool,
        to: TargetFormat | None = conversion.to,
        **options: Any,  # noqa: ANN401 - each is a keyword of gpt2_convert.convert
    ) -> int:
        with working(as_json, quiet) as progress:
            started = time.monotonic()
            report = gpt2_convert.convert(
                source,
                target,
                to=to,
                format=conversion.source_format,
                verify=not no_verify,
                progress=progress,
                **options,
            )
            seconds = time.monotonic() - started

        def show() -> None:
            from ..reports.text import write_conversion

            write_conversion(Printer(), report, seconds, spell_flag)

        done = f"; {report.target.path} is complete{'' if no_verify else ' and verified'}"
        return print_report(EQUAL, report, show, as_json, quiet, done)

    command.__doc__ = f"""Convert {conversion.summary}.

    TARGET appears only when it is complete and was found equal to SOURCE in every bit.
    """
    decorated = conversion_options(command)
    if conversion.to is None:
        choice = click.Choice(["npz", "safetensors", "hdf5", "hf"])
        help_text = "The format, whatever TARGET's suffix. A folder is hf."
        decorated = click.option("--to", type=choice, help=help_text)(decorated)
    decorated = path_argument("source")(path_argument("target")(decorated))
    commands.command(name, epilog=SOURCE_HELP)(decorated)


for _name, _conversion in CONVERSIONS.items():
    add_conversion(_name, _conversion)


@commands.command(epilog=EITHER_HELP)
@path_argument("source")
@path_argument("target")
@click.option(
    "--atol", type=click.FloatRange(0), default=0.0, metavar="X", help="Absolute tolerance."
)
@click.option(
    "--rtol", type=click.FloatRange(0), default=0.0, metavar="X", help="Relative tolerance."
)
@cast_options
@common_options
@weights_option
def verify(source: str, target: str, as_json: bool, quiet: bool, **options: Any) -> int:  # noqa: ANN401
    """Compare any two checkpoints: names, shapes, dtypes and every bit.

    With a tolerance, values count as equal where |source - target| <= atol + rtol * |source|. Exits
    with 0 if the two are equal and with 1 if they differ.
    """
    with working(as_json, quiet) as progress:
        report = gpt2_convert.verify(source, target, progress=progress, **options)
    return show_verification(report, as_json, quiet)


@commands.command(epilog=SOURCE_HELP)
@path_argument("source")
@click.option("--flat", is_flag=True, help="Print a table, one line a tensor, and no tree.")
@click.option("--stats", is_flag=True, help="Read the weights and print statistics of them.")
@common_options
def inspect(source: str, flat: bool, as_json: bool, quiet: bool, **options: Any) -> int:  # noqa: ANN401
    """Show what is in a checkpoint, without reading its weights."""
    with working(as_json, quiet, silent=not options["stats"]) as progress:
        report = gpt2_convert.inspect(source, progress=progress, **options)

    def show() -> None:
        from ..reports.text import write_inspection

        write_inspection(Printer(), report, flat=flat, spell=spell_flag)

    code = print_report(EQUAL if report.ok else COULD_NOT, report, show, as_json, quiet)
    if not report.ok:
        left = len(report.obstacles) - 1
        print_error(report.obstacles[0] + (f" (and {left:,} more)" if left else ""))
    return code


@commands.command(epilog=SOURCE_HELP)
@path_argument("source")
@click.option(
    "--check",
    type=click.Path(readable=False),
    metavar="FILE",
    help="Compare with a listing that was printed earlier; exit with 1 if something changed.",
)
@common_options
def digest(source: str, as_json: bool, quiet: bool, **options: Any) -> int:  # noqa: ANN401
    """Print a SHA-256 of each tensor, of the configuration and, last, of the whole model.

    They are equal for equal models, whatever the container.
    """
    with working(as_json, quiet) as progress:
        report = gpt2_convert.digest(source, progress=progress, **options)

    def show() -> None:
        from ..reports.text import write_check, write_digests

        if options["check"] is None:
            write_digests(Printer(), report)
        else:
            write_check(Printer(), report, spell_flag)
        for note in report.notes:
            print_error(note)  # stdout has lines for other programs

    return print_report(EQUAL if report.ok else DIFFERENT, report, show, as_json, quiet)
