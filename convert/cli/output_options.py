"""The options that say how a job tells what comes of it, which its command gets as one keyword."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from .color import CHOICES, choose_color
from .help import Group, add_options, list_values, option
from .paths import PathType
from .places import Places
from .results import Output
from .streams import JSON_OPTION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, Final, TypeVar

    from .report_files import ReportFile

    Command = TypeVar("Command", bound=Callable[..., Any])

PATHS: Final = ("source", "target", "folder", "model", "check", "text", "tokenizer")
"""Parameters that name what a job reads or writes."""


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
        sums: str | None = None,
        **options: Any,  # noqa: ANN401 - each is the command's own
    ) -> int:
        output = Output(
            command=click.get_current_context().info_name or "",
            as_json=as_json,
            quiet=quiet,
            reports=tuple(_parse_reports(report)),
            sums=sums,
            places=_find_places(options),
        )
        done: int = command(output=output, **options)
        return done

    return add_options(
        with_output,
        option(
            "--report",
            multiple=True,
            metavar="[FORMAT:]FILE",
            group=Group.REPORTS,
            help="Write a report, of a failure too: json, markdown, html, junit or github. The "
            "suffix tells the format if none is named; '-' is stdout. May be repeated.",
        ),
        option(
            JSON_OPTION,
            "as_json",
            is_flag=True,
            group=Group.OUTPUT,
            help="Print one JSON document.",
        ),
        option("-q", "--quiet", is_flag=True, group=Group.OUTPUT, help="Print nothing but errors."),
        option(
            "--color",
            type=click.Choice(list(CHOICES)),
            metavar="WHEN",
            expose_value=False,
            callback=choose_color,
            group=Group.OUTPUT,
            help=f"Print colours: {list_values(list(CHOICES))}. By default it is auto: on a "
            "terminal, if neither NO_COLOR nor FORCE_COLOR says otherwise.",
        ),
    )


def _find_places(options: Mapping[str, Any]) -> Places:
    given = {name: str(options[name]) for name in PATHS if options.get(name) is not None}
    return Places(tuple(given.values()))


def sums_option(command: Command) -> Command:
    """Add the option that every command has that writes files; they become part of the output."""
    return option(
        "--sums",
        type=PathType("target", stream=True),
        metavar="FILE",
        group=Group.REPORTS,
        help="Write the SHA-256 of every file written to FILE, for 'sha256sum -c'; '-' is stdout.",
    )(command)


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
