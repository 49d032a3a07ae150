"""Let a model go on with a text."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import click

import gpt2_convert

from ...errors import Advice
from ..exit_codes import EQUAL
from ..help import Command, Group, Table, option
from ..options import SOURCES, common_options, heads_option, path_argument
from ..paths import PathType
from ..prompt import parse_ids, read_prompt
from ..results import print_report, reporting_failures, working
from ..streams import print_error, print_result, write_at_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

    from ...inference.continuation import Continuation
    from ...reports.generation import GenerationReport
    from ...tokenizer.encoder import Encoder
    from ..results import Output

_OPENAI_VOCAB: Final = 50257
"""Size of OpenAI's vocabulary, which ends with its one special token, <|endoftext|>."""


@click.command(cls=Command, tables=[Table("MODEL may be", SOURCES)])
@path_argument("model")
@click.argument("prompt")
@option(
    "-n",
    type=click.IntRange(0),
    default=40,
    metavar="N",
    group=Group.SAMPLING,
    help="Tokens to add; by default 40.",
)
@option(
    "--temperature",
    type=click.FloatRange(0),
    default=0.0,
    metavar="X",
    group=Group.SAMPLING,
    help="How evenly tokens are drawn: 1 is as the model has it. By default it is 0: always the "
    "likeliest one.",
)
@option(
    "--top-k",
    type=click.IntRange(1),
    metavar="K",
    group=Group.SAMPLING,
    needs=("temperature",),
    help="Draw among the K likeliest tokens.",
)
@option(
    "--top-p",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="P",
    group=Group.SAMPLING,
    needs=("temperature",),
    help="Draw among the likeliest tokens, as many as reach the probability P.",
)
@option(
    "--seed",
    type=click.IntRange(0),
    metavar="N",
    group=Group.SAMPLING,
    needs=("temperature",),
    help="Draw the same tokens each time.",
)
@option(
    "--ids",
    "as_ids",
    is_flag=True,
    group=Group.PROMPT,
    help="PROMPT and output are ids, not text.",
)
@option(
    "--tokenizer",
    type=PathType("tokenizer"),
    metavar="PATH",
    group=Group.PROMPT,
    idle_with=("as_ids",),
    help="A folder with a tokenizer, or its file. By default it is the one beside SOURCE.",
)
@heads_option
@common_options
def generate(
    model: str,
    prompt: str,
    n: int,
    as_ids: bool,
    tokenizer: str | None,
    output: Output,
    **options: Any,  # noqa: ANN401 - keywords of Model.generate, and of gpt2_convert.load
) -> int:
    """Print how MODEL goes on after PROMPT, as it comes, with up to N tokens.

    It ends at <|endoftext|>. A PROMPT of '-' is read from stdin, less a newline at its end.
    """
    # The list of all commands has no need of them.
    from ...inference.continuation import Continuation
    from ...reports.generation import GenerationReport

    sampling = {name: options.pop(name) for name in ("temperature", "top_k", "top_p", "seed")}
    with working(output) as progress:
        text = read_prompt(prompt)
        encoder = None if as_ids else _load_encoder(model, tokenizer, options)
        ids = parse_ids(text) if encoder is None else encoder.encode(text)
        loaded = gpt2_convert.load(model, progress=progress, **options)
        end = _find_end(loaded) if encoder is None else encoder.end_of_text
        continuation = Continuation(loaded, ids, n, end_of_text=end, **sampling)
    started = time.monotonic()
    pieces: list[str] = []
    code = EQUAL
    with reporting_failures(output):
        if output.replaces_text:
            pieces += _spell(continuation, encoder)
        else:
            code = print_result(EQUAL, lambda: _stream(continuation, encoder, pieces))
    report = GenerationReport(
        path=loaded.where,
        prompt=tuple(ids),
        ids=tuple(continuation.ids),
        text="".join(pieces) if encoder else None,
        ended_by=continuation.ended_by,
        seconds=time.monotonic() - started,
        notes=loaded.notes,
    )
    if not (output.quiet or output.replaces_text) and report.ended_by is not None:
        _tell(report, loaded.config.n_ctx)
    return print_report(output, code, report, lambda: None)


def _load_encoder(model: str, tokenizer: str | None, options: dict[str, Any]) -> Encoder:
    """Load the tokenizer that was named, or else the one beside the model."""
    if tokenizer is not None:
        return gpt2_convert.load_encoder(tokenizer)
    try:
        folder = model if os.path.isdir(model) else os.path.dirname(model) or "."
        return gpt2_convert.load_encoder(folder)
    except gpt2_convert.SourceNotFoundError as error:
        gpt2_convert.open(model, **options).close()  # where there is no model, that is what to say
        advice = Advice("name one with {}", "tokenizer")
        raise gpt2_convert.SourceNotFoundError(str(error), advice) from None


def _find_end(model: gpt2_convert.Model) -> int | None:
    """Return the id of <|endoftext|>, if the size of the vocabulary tells without a tokenizer."""
    return _OPENAI_VOCAB - 1 if model.config.n_vocab == _OPENAI_VOCAB else None


def _spell(continuation: Continuation, encoder: Encoder | None) -> Iterator[str]:
    """Yield what is printed of each token."""
    if encoder is not None:
        yield from encoder.decode_each(continuation)
        return
    for number, each in enumerate(continuation):
        yield f" {each}" if number else str(each)


def _stream(continuation: Continuation, encoder: Encoder | None, pieces: list[str]) -> None:
    """Print the tokens as they come; on a terminal, and after ids, the line is ended.

    ``pieces`` gets all that was printed of them.
    """
    piece = ""
    try:
        for piece in _spell(continuation, encoder):
            pieces.append(piece)
            write_at_once(piece)
    except KeyboardInterrupt as interruption:
        interruption.add_note("the text is not at its end")
        raise
    finally:
        if (encoder is None or sys.stdout.isatty()) and not piece.endswith("\n"):
            write_at_once("\n")


def _tell(report: GenerationReport, n_ctx: int) -> None:
    """Print beside the text what should be known of it."""
    from ...inference.continuation import EndedBy

    for note in report.notes:
        print_error(note)
    if report.ended_by == EndedBy.CONTEXT:
        print_error(f"the text fills the context of the model, n_ctx {n_ctx:,}, and ends there")
    print_error(
        f"{len(report.ids):,} tokens in {report.seconds:.2f} s, {report.rate:.1f} tokens per second"
    )


for _param in generate.params:
    if isinstance(_param, click.Option):
        _param.help = (_param.help or "").replace("SOURCE", "MODEL")
        if _param.name == "quiet":
            _param.help = "Print nothing but the text and errors."
COMMANDS: Final = {"generate": generate}
