"""Pages as a real browser has them: Chromium, without a window."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
OWN = ".google.com"
"""What it asks for itself, whatever the page and the flags are; none of it leaves this machine."""
SECONDS = 120
"""Until it is given up."""


@dataclass(frozen=True)
class Visit:
    """What came of a page: its text as HTML again, the console's lines, and what was asked for."""

    dom: str
    console: list[str]
    requests: set[str]


def chromium() -> str:
    """Return the program; where there is none, the test is skipped."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    pytest.skip(f"there is no browser here: none of {', '.join(NAMES)}")


def visit(page: Path, *flags: str) -> Visit:
    """Open a page, let it be drawn, and return what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "net.json")
        done = _run(page, folder, "--dump-dom", f"--log-net-log={log}", *flags)
        events = json.loads(log.read_text(encoding="utf-8"))["events"]
    found = {event["params"]["url"] for event in events if "url" in event.get("params", {})}
    urls = {url for url in found if not (urlsplit(url).hostname or "").endswith(OWN)}
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return Visit(done.stdout, console, urls)


def shoot(page: Path, picture: Path, width: int, *flags: str) -> bytes:
    """Draw a page to a PNG file of that width, and return its bytes."""
    with tempfile.TemporaryDirectory() as folder:
        _run(page, folder, f"--screenshot={picture}", f"--window-size={width},900", *flags)
    return picture.read_bytes()


def print_page(page: Path, document: Path) -> bytes:
    """Print a page to a PDF file, and return its bytes."""
    with tempfile.TemporaryDirectory() as folder:
        _run(page, folder, f"--print-to-pdf={document}", "--no-pdf-header-footer")
    return document.read_bytes()


def _run(page: Path, folder: str, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [chromium(), *FLAGS, f"--user-data-dir={folder}/profile", *flags, page.as_uri()]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", check=True, timeout=SECONDS
    )
