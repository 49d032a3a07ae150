"""Two partial files are parts of the same whole if they are to have the same digest."""

from __future__ import annotations

from gpt2_convert.download.address import Address
from gpt2_convert.download.content import SHA256, Digest, Known
from gpt2_convert.download.plan import Wanted
from gpt2_convert.reports.fetch import Proof

HERE = Address("https", "example.org", 443, "/a/file", "Signature=secret")
THERE = Address("https", "example.org", 443, "/b/file")


def wanted(address: Address, digest: str | None) -> Wanted:
    return Wanted(
        "file", address, Known(1, Digest(SHA256, digest) if digest else None), Proof.STATED
    )


def test_a_whole_is_known_by_its_digest_wherever_it_is() -> None:
    assert wanted(HERE, "1" * 64).identity == wanted(THERE, "1" * 64).identity
    assert wanted(HERE, "1" * 64).identity != wanted(HERE, "2" * 64).identity


def test_without_a_digest_it_is_known_by_its_address() -> None:
    assert wanted(HERE, None).identity != wanted(THERE, None).identity
    assert wanted(HERE, None).identity == "https://example.org/a/file"
