"""The program: a command line in, an exit code out."""

from __future__ import annotations

import os

import click

import gpt2_convert

from ..errors import Gpt2ConvertError
from .commands import MODULES, find_command
from .exit_codes import COULD_NOT
from .help import Command, Context, Table, write_table
from .streams import COMPLETE, PROGRAM, ask_for_json


def run(arguments: list[str]) -> int:
    """Run the command line ``arguments`` and return the exit code."""
    if instruction := os.environ.get(COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(program, {}, PROGRAM, COMPLETE, instruction)
    if not arguments:
        bare = Context(program, info_name=PROGRAM, **program.context_settings)
        click.echo(bare.get_help(), err=True)
        return COULD_NOT
    try:
        with program.make_context(PROGRAM, list(arguments)) as context:
            code: int = program.invoke(context)
    except click.exceptions.Exit as ended:  # after --help, --version and failures that were told
        return ended.exit_code
    except click.ClickException as error:
        from ..reports.outcome import Failure
        from .failures import print_failure

        misuse = Failure("UsageError", _describe_misuse(error))
        return print_failure(misuse, ask_for_json(arguments))
    except Gpt2ConvertError as error:  # of a path, before there is any job
        from .failures import report_failure

        return report_failure(error, ask_for_json(arguments), "the command line")
    return code


def _describe_misuse(error: click.ClickException) -> str:
    """Return click's message in the manner of all others: no capital, no full stop, a way on."""
    message = " ".join(error.format_message().split())
    message = message[:1].lower() + message[1:].rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{message} (see '{context.command_path} --help')" if context else message


class Program(Command, click.Group):
    """All commands; a mistyped one is answered with the nearest."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of the help."""
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None if there is none of that name."""
        return find_command(cmd_name)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, each with its whole summary, and the options."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        summaries = [(name, each.get_short_help_str()) for name, each in found if each]
        write_table(formatter, Table("Commands", summaries))
        click.Command.format_options(self, ctx, formatter)

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
    cls=Program,
    tables=(
        Table("Example", (("gpt2-convert tf2npz models/124M a.npz", ""),)),
        Table(
            "Exit codes",
            (
                ("0", "done and equal"),
                ("1", "the verification found differences"),
                ("2", "the job could not be done"),
                ("130", "interrupted"),
            ),
        ),
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(gpt2_convert.__version__, message="%(prog)s %(version)s")
def program() -> None:
    """Convert GPT-2 checkpoints without TensorFlow, and prove the result bit for bit."""
