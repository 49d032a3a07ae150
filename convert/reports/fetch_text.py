"""A fetch as text: what came, from where, and what proves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..quoting import quote_some
from .fetch import Proof
from .text import write_notes
from .words import describe_totals

if TYPE_CHECKING:
    from typing import Final

    from .fetch import FetchReport
    from .text import Sink

PROOFS: Final = {
    Proof.PUBLISHED: "the SHA-256 is the published one",
    Proof.STATED: "the hash is the one that the Hub states for the commit",
    Proof.CHECKSUMS: "every tensor matches its checksum",
    Proof.CONTENTS: "sound, and what the tensors say",
    Proof.SIZE: "by the size alone",
}


def write_fetch(out: Sink, report: FetchReport, seconds: float) -> None:
    """Write which files are there, where they are from, and what proves them."""
    at = f" at {report.commit}" if report.commit else ""
    out.line((report.folder, "bold"), f"  from {report.address}{at}")
    width = max(len(file.name) for file in report.files)
    for file in report.files:
        name = f"{file.name:<{width}}"
        what = "fetched" if file.fetched else "there"
        out.line(f"  {what:<9} ", name, f"  {file.nbytes:,} bytes, {file.sha256}")
    for proof, words in PROOFS.items():
        names = [file.name for file in report.files if file.proof is proof]
        if names:
            which = "all files" if len(names) == len(report.files) else quote_some(names)
            out.line("  ", ("proven", "green"), f"    {which}: {words}")
    if names := [file.name for file in report.unproven]:
        why = "the origin is not proven, since no SHA-256 is published, of"
        out.line("  ", ("note", "yellow"), f"      {why} {quote_some(names)}")
    write_notes(out, report.notes)
    out.line("  ", describe_totals(report.totals))
    rate = report.fetched_nbytes / max(seconds, 1e-3) / 1e6
    out.line(
        f"  {report.fetched_nbytes:,} bytes fetched and proven in {seconds:.1f} s, {rate:,.0f} MB/s"
    )
