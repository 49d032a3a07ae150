"""Fetch a published model."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

import gpt2_convert

from ..exit_codes import EQUAL
from ..help import Command, Group, Table, option
from ..output_options import output_options, sums_option
from ..paths import PathType
from ..printer import Printer
from ..results import print_report, working

if TYPE_CHECKING:
    from typing import Any, Final

    from ..results import Output

TABLES: Final = (
    Table(
        "NAME may be",
        (
            ("a model of OpenAI's", "124M, 355M, 774M or 1558M"),
            ("a model of the Hugging Face Hub", "openai-community/gpt2"),
            ("a branch, tag or commit of it", "openai-community/gpt2@607a30d783df"),
        ),
    ),
    Table(
        "The environment may name",
        (
            ("a token for the Hub, sent to it alone", "HF_TOKEN"),
            ("another Hub", "HF_ENDPOINT"),
            ("proxies", "https_proxy, http_proxy, no_proxy"),
            ("certificates", "SSL_CERT_FILE, REQUESTS_CA_BUNDLE"),
        ),
    ),
)


@click.command(cls=Command, tables=TABLES)
@click.argument("name")
@click.argument("folder", type=PathType("target"), required=False)
@option(
    "--mirror",
    metavar="URL",
    group=Group.SOURCE,
    help="Where OpenAI's files lie elsewhere, as URL/124M/hparams.json.",
)
@option(
    "-f",
    "--force",
    is_flag=True,
    group=Group.TARGET,
    help="Replace files in FOLDER that are something else.",
)
@sums_option
@output_options
def fetch(name: str, folder: str | None, output: Output, **options: Any) -> int:  # noqa: ANN401
    """Fetch a model into FOLDER, models/NAME by default, and prove it.

    No file is there before all have come and are proven. What is there and right is not fetched
    again, and what came before a break is not either.
    """
    from ...api.fetch import MODELS  # the list of all commands has no need of it

    output = output.making(folder or os.path.join(MODELS, *name.partition("@")[0].split("/")))
    with working(output, one_by_one=True) as progress:
        started = time.monotonic()
        report = gpt2_convert.fetch(name, folder, progress=progress, **options)
        seconds = time.monotonic() - started

    def show() -> None:
        from ...reports.fetch_text import write_fetch

        write_fetch(Printer(), report, seconds)

    return print_report(output, EQUAL, report, show, f"; {report.folder} is complete")


COMMANDS: Final = {"fetch": fetch}
