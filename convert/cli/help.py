"""What a command says of itself: options in groups, tables below them, at any width.

An option names its group when it is declared: ``option("--force", group=Group.TARGET, …)``. The
help lists the groups in the order of :class:`Group`, those that a command has options of.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Final, TypeVar

    Decorated = TypeVar("Decorated", bound=Callable[..., Any])

WIDEST: Final = 96
"""Columns of a line of help, however wide the terminal."""
_NARROWEST: Final = 24
_NARROW: Final = 60
"""Columns below which the text of an option stands under its name, and no longer beside it."""
_NAMES: Final = 22
"""Columns of the names of options; what is longer has a line of its own."""
_WHOLE: Final = 1000
"""Characters of a summary: more than any has, so that none is cut off."""
_STACKED: Final = 2
"""Columns of names that puts all texts under their names, six columns in."""


class Group(StrEnum):
    """What the options of a command are about, in the order of the help."""

    SOURCE = "Source"
    PROMPT = "Prompt"
    SAMPLING = "Sampling"
    CAST = "Cast"
    TARGET = "Target"
    PROOF = "Proof"
    COMPARISON = "Comparison"
    LOGITS = "Logits"
    REPORTS = "Reports"
    OUTPUT = "Output"


class Table(NamedTuple):
    """A table below the options: a title, and rows of what is explained and the explanation."""

    title: str
    rows: Sequence[tuple[str, str]]


class Context(click.Context):
    """What click knows of a command line, with lines as wide as the terminal."""

    def make_formatter(self) -> click.HelpFormatter:
        """Return what lays out the help; click's own is never narrower than 50 columns."""
        from shutil import get_terminal_size

        columns = get_terminal_size().columns
        return self.formatter_class(width=max(min(columns, WIDEST), _NARROWEST))


class Option(click.Option):
    """An option of a group.

    Without one of the parameters ``needs``, and with one of ``idle_with``, it would have no effect,
    and to give it is an error; with one of ``unless`` it has one again. All are names of
    parameters, of ``idle_with`` also one with a value, as in "dtype=float64"; those that a command
    does not have do not count.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - click's own
        group: Group,
        needs: tuple[str, ...] = (),
        idle_with: tuple[str, ...] = (),
        unless: tuple[str, ...] = (),
        **attributes: Any,  # noqa: ANN401 - click's own
    ) -> None:
        super().__init__(*args, **attributes)
        self.group = group
        self.needs = needs
        self.idle_with = idle_with
        self.unless = unless

    def refuse_if_idle(self, context: click.Context) -> None:
        """Raise if it was given and the others leave it without effect.

        Raises:
            click.UsageError: they do.
        """
        if context.get_parameter_source(self.name or "") is not ParameterSource.COMMANDLINE:
            return
        flags = {param.name: param.opts[-1] for param in context.command.params}
        if any(context.params.get(name) for name in self.unless):
            return
        idle = f"{self.opts[-1]} has no effect"
        for each in self.idle_with:
            name, _, value = each.partition("=")
            found = context.params.get(name)
            if found == value if value else found:
                raise click.UsageError(f"{idle} with {f'{flags[name]} {value}'.rstrip()}", context)
        if self.needs and not any(context.params.get(name) for name in self.needs):
            names = " or ".join(flags[name] for name in self.needs if name in flags)
            raise click.UsageError(f"{idle} without {names}", context)


def option(*names: str, group: Group, **attributes: Any) -> Callable[[Decorated], Decorated]:  # noqa: ANN401
    """Return click's decorator for an :class:`Option`; ``attributes`` are its and click's."""
    return click.option(*names, cls=Option, group=group, **attributes)


class Command(click.Command):
    """A command whose help has groups of options, and tables in the place of an epilog."""

    context_class = Context

    def __init__(self, *args: Any, tables: Sequence[Table] = (), **attributes: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **attributes)
        self.tables = tables

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return the summary, whole, for lists of commands and for shells."""
        return super().get_short_help_str(_WHOLE)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what follows the command, and refuse options that would have no effect."""
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            for param in self.params:
                if isinstance(param, Option):
                    param.refuse_if_idle(ctx)
        return rest

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the groups, with their texts at the same column."""
        groups: dict[Group, list[tuple[str, str]]] = {group: [] for group in Group}
        for param in self.get_params(ctx):
            row = param.get_help_record(ctx)
            if isinstance(param, click.Option) and row is not None:
                groups[getattr(param, "group", Group.OUTPUT)].append(row)
        stacked = formatter.width < _NARROW
        longest = max(len(name) for rows in groups.values() for name, _ in rows)
        names = _STACKED if stacked else min(longest, _NAMES)
        for group, rows in groups.items():
            if rows:
                with formatter.section(group):
                    padded = [(f"{name:<{names}}", text) for name, text in rows]
                    formatter.write_dl(padded, col_max=names)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the tables."""
        for table in self.tables:
            write_table(formatter, table)


def write_table(formatter: click.HelpFormatter, table: Table) -> None:
    """Write a table in two columns, or with one below the other where they have no room."""
    first, second = (max(map(len, column)) for column in zip(*table.rows, strict=True))
    fits = 2 + first + 2 + second <= formatter.width or first <= formatter.width * 2 // 5
    with formatter.section(table.title):
        formatter.write_dl(table.rows, col_max=first if fits else _STACKED)


def add_options(command: Decorated, *options: Callable[[Decorated], Decorated]) -> Decorated:
    """Add options so that the help lists them in this order."""
    for each in reversed(options):
        command = each(command)
    return command


def list_values(values: Sequence[str]) -> str:
    """Return the values of an option as its help has them: a, b or c."""
    return f"{', '.join(values[:-1])} or {values[-1]}"
