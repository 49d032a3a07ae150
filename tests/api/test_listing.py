"""A listing of digests printed earlier: read whole or refused, and compared name by name."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import gpt2_convert
from gpt2_convert import FormatError, Kind, SourceNotFoundError
from gpt2_convert.api.listing import compare_listing, read_listing

if TYPE_CHECKING:
    from pathlib import Path

    from gpt2_convert import DigestReport


@pytest.fixture
def report(tiny: Path) -> DigestReport:
    return gpt2_convert.digest(tiny)


def write(report: DigestReport, path: Path) -> Path:
    path.write_text("".join(f"{line}\n" for line in report.lines))
    return path


def test_a_listing_is_equal_to_what_it_lists(report: DigestReport, tmp_path: Path) -> None:
    listing = read_listing(write(report, tmp_path / "listing"))
    assert len(listing) == 40 + 3
    assert compare_listing(report, listing) == ()


def test_each_difference_is_named_with_its_kind(report: DigestReport, tmp_path: Path) -> None:
    listing = read_listing(write(report, tmp_path / "listing"))
    first, second, third, fourth, *rest = report.tensors
    changed = replace(
        report,
        tensors=(
            replace(first, sha256="0" * 64),
            replace(second, dtype="float16"),
            replace(third, shape=(3, 5)),
            replace(fourth, name="another"),
            *rest,
        ),
        config={**report.config, "n_head": 8},
    )
    found = compare_listing(changed, listing)
    assert [(each.kind, each.tensor) for each in found] == [
        (Kind.VALUES, "wte"),
        (Kind.DTYPE, "wpe"),
        (Kind.SHAPE, "blocks[0].ln_1.g"),
        (Kind.MISSING, "blocks[0].ln_1.b"),
        (Kind.EXTRA, "another"),
        (Kind.CONFIG, "n_head"),
    ]
    assert found[-1].message == "4 in the listing, 8 here"


def test_a_listing_whose_own_digests_were_changed_is_not_equal(
    report: DigestReport, tmp_path: Path
) -> None:
    path = write(report, tmp_path / "listing")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:-1], "0" * 64 + "  model\n"]))
    (finding,) = compare_listing(report, read_listing(path))
    assert "do not agree with its own lines" in finding.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "no listing of a model's digests"),
        (b"hello\n", "line 1: 64 hexadecimal digits"),
        (b"0" * 64 + b"  wte float32 [1]\n", "no listing of a model's digests"),
        (b"0" * 64 + b"  a\n" + b"1" * 64 + b"  a\n", "line 2: .* a new name expected"),
        (b"\xff\xfe", "it is no text"),
        (b"0" * 64 + b"  all\n", "no listing of a model's digests"),
    ],
)
def test_what_is_no_whole_listing_is_refused(text: bytes, expected: str, tmp_path: Path) -> None:
    (tmp_path / "listing").write_bytes(text)
    with pytest.raises(FormatError, match=expected) as caught:
        read_listing(tmp_path / "listing")
    assert str(caught.value).startswith(f"{tmp_path / 'listing'}: ")
    with pytest.raises(SourceNotFoundError):
        read_listing(tmp_path / "missing")


def test_the_listing_is_read_before_the_checkpoint_is(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="missing: no such file"):
        gpt2_convert.digest(tmp_path / "nothing", check=tmp_path / "missing")
    text = "".join(f"{line}\n" for line in gpt2_convert.digest(tiny).lines)
    (tmp_path / "listing").write_text(text)
    assert gpt2_convert.digest(tiny, check=tmp_path / "listing")
    assert hashlib.sha256(text.encode()).hexdigest()
