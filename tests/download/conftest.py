"""What the tests of a transfer share: a file at a server, and a stage for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpt2_convert.download.address import Site, parse_site
from gpt2_convert.download.client import Client
from gpt2_convert.download.stage import Stage, open_stage
from gpt2_convert.progress import ignore_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.web import Server


@pytest.fixture
def site(web: Server) -> Site:
    return parse_site(web.url, "the server")


@pytest.fixture
def client(site: Site) -> Client:
    return Client(site)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with open_stage(tmp_path / "folder", ignore_progress) as opened:
        yield opened
