"""Compare two checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

import gpt2_convert

from ..options import (
    EITHER_HELP,
    as_is_option,
    cast_options,
    common_options,
    heads_option,
    path_argument,
    weights_option,
)
from ..results import show_verification, working

if TYPE_CHECKING:
    from typing import Any, Final

    from ..results import Output


@click.command(epilog=EITHER_HELP)
@path_argument("source")
@path_argument("target")
@click.option(
    "--atol", type=click.FloatRange(0), default=0.0, metavar="X", help="Absolute tolerance."
)
@click.option(
    "--rtol", type=click.FloatRange(0), default=0.0, metavar="X", help="Relative tolerance."
)
@click.option(
    "--logits",
    is_flag=True,
    help="Run both models and compare what they say, not how they are stored. With --dtype: what "
    "that cast of SOURCE costs.",
)
@click.option(
    "--text",
    type=click.Path(readable=False),
    metavar="FILE",
    help="With --logits: the text to run them over. By default it is tokens at random.",
)
@click.option(
    "--tokenizer",
    type=click.Path(readable=False),
    metavar="PATH",
    help="With --text: a folder with a tokenizer, or its file, if not the one beside SOURCE.",
)
@click.option(
    "--tokens",
    type=click.IntRange(1),
    metavar="N",
    help="With --logits: how many tokens, by default 1024.",
)
@click.option(
    "--max-kl",
    type=click.FloatRange(0),
    metavar="X",
    help="With --logits: exit with 1 if the divergence after any token is larger.",
)
@click.option(
    "--min-agreement",
    type=click.FloatRange(0, 1),
    metavar="Y",
    help="With --logits: exit with 1 if a smaller share of tokens, 0 to 1, has the same first "
    "choice.",
)
@heads_option
@cast_options
@common_options
@as_is_option
@weights_option
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
