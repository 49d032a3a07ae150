"""Compare two checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

import gpt2_convert

from ..options import EITHER_HELP, cast_options, common_options, path_argument, weights_option
from ..results import show_verification, working

if TYPE_CHECKING:
    from typing import Any, Final


@click.command(epilog=EITHER_HELP)
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


COMMANDS: Final = {"verify": verify}
