"""Compare two checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

import gpt2_convert

from ..help import Command, Group, option
from ..options import (
    EITHER_TABLE,
    as_is_option,
    cast_options,
    common_options,
    heads_option,
    path_argument,
    weights_option,
)
from ..paths import PathType
from ..results import show_verification, working

if TYPE_CHECKING:
    from typing import Any, Final

    from ..results import Output


@click.command(cls=Command, tables=[EITHER_TABLE])
@path_argument("source")
@path_argument("target")
@option(
    "--atol",
    type=click.FloatRange(0),
    default=0.0,
    metavar="X",
    group=Group.COMPARISON,
    help="Absolute tolerance.",
)
@option(
    "--rtol",
    type=click.FloatRange(0),
    default=0.0,
    metavar="X",
    group=Group.COMPARISON,
    help="Relative tolerance.",
)
@option(
    "--logits",
    is_flag=True,
    group=Group.LOGITS,
    help="Run both models and compare what they say, not how they are stored. With --dtype: what "
    "that cast of SOURCE costs.",
)
@option(
    "--text",
    type=PathType("text"),
    metavar="FILE",
    group=Group.LOGITS,
    help="The text to run them over. By default it is tokens at random.",
)
@option(
    "--tokenizer",
    type=PathType("tokenizer"),
    metavar="PATH",
    group=Group.LOGITS,
    help="A folder with a tokenizer for --text, or its file, if not the one beside SOURCE.",
)
@option(
    "--tokens",
    type=click.IntRange(1),
    metavar="N",
    group=Group.LOGITS,
    help="How many tokens, by default 1024.",
)
@option(
    "--max-kl",
    type=click.FloatRange(0),
    metavar="X",
    group=Group.LOGITS,
    help="Exit with 1 if the divergence after any token is larger.",
)
@option(
    "--min-agreement",
    type=click.FloatRange(0, 1),
    metavar="Y",
    group=Group.LOGITS,
    help="Exit with 1 if a smaller share of tokens, 0 to 1, has the same first choice.",
)
@heads_option
@cast_options
@common_options
@as_is_option
@weights_option(Group.COMPARISON)
def verify(source: str, target: str, output: Output, **options: Any) -> int:  # noqa: ANN401
    """Compare any two checkpoints: names, shapes, dtypes and every bit.

    With a tolerance, values count as equal where |source - target| <= atol + rtol * |source|. Exits
    with 0 if the two are equal and with 1 if they differ; with --logits with 0 unless a bound is
    missed.
    """
    with working(output) as progress:
        report = gpt2_convert.verify(source, target, progress=progress, **options)
    return show_verification(output, report)


COMMANDS: Final = {"verify": verify}
