"""How much a checkpoint may list, whatever does it: what is usual passes, one more does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import gpt2_convert
from gpt2_convert import UnsupportedError
from gpt2_convert.formats import limits
from gpt2_convert.formats.limits import (
    Listing,
    check_count,
    check_expansion,
    check_measured,
    check_rank,
    check_shards,
)
from gpt2_convert.io.source import SourceFile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("count", [0, 580, 16_000])
def test_as_many_tensors_as_there_may_be_are_fine(count: int) -> None:
    check_count(count, "x.index")


@pytest.mark.parametrize("count", [40_001, 1 << 63])
def test_one_more_is_refused_where_they_are_listed(count: int) -> None:
    with pytest.raises(gpt2_convert.UnsupportedError) as caught:
        check_count(count, "x.index")
    assert str(caught.value).startswith("x.index: more than 16,000 tensors, ")


def test_a_tensor_may_have_as_many_axes_as_numpy_can_handle() -> None:
    check_rank(32, "x.npz: 'w'")
    with pytest.raises(UnsupportedError, match=r"^x\.npz: 'w': 4,900 axes, where at most 32 are"):
        check_rank(4_900, "x.npz: 'w'")


def test_a_checkpoint_may_have_ten_thousand_shards() -> None:
    check_shards(10_000, "m.index")
    with pytest.raises(UnsupportedError, match=r"^m\.index: more than 10,000 shards, "):
        check_shards(10_001, "m.index")


def test_five_thousand_tensors_are_measured_and_more_are_listed() -> None:
    check_measured(5_000, "x.npz")
    with pytest.raises(UnsupportedError) as caught:
        check_measured(5_001, "x.npz")
    assert str(caught.value) == (
        "x.npz: 5,001 tensors, where the statistics of at most 5,000 are computed; they are "
        "listed without stats=True"
    )


def test_what_is_compressed_may_be_small_or_so_many_times_as_large() -> None:
    check_expansion(64 << 20, 1, "x.npz")
    check_expansion(100 * 5_000_000, 5_000_000, "x.npz")
    for nbytes, stored in (((64 << 20) + 1, 1), (100 * 5_000_000 + 1, 5_000_000)):
        with pytest.raises(UnsupportedError, match=rf"^x\.npz: {nbytes:,} bytes .* {stored:,} com"):
            check_expansion(nbytes, stored, "x.npz")


def test_sixteen_thousand_tensors_of_four_axes_and_two_hundred_characters_are_listed() -> None:
    listing = Listing("x")
    for _ in range(16_000):
        listing.add_header(240)
        listing.add("model/h11/attn/c_attn/w/Adam_1".ljust(200, "/"), 4)


@pytest.mark.parametrize(
    ("name", "rank", "says"),
    [
        ("w" * 400, 1, "x.index: more than 4,194,304 bytes of names, "),
        ("w", 32, "x.index: more than 64,000 axes of all tensors together, "),
        ("w", 0, "x.index: more than 16,000 tensors, "),
    ],
)
def test_more_of_anything_is_refused_by_what_it_is(name: str, rank: int, says: str) -> None:
    def list_all() -> None:
        listing = Listing("x.index")
        for _ in range(16_001):
            listing.add(name, rank)

    with pytest.raises(UnsupportedError) as caught:
        list_all()
    assert str(caught.value).startswith(says)


def test_headers_count_together_and_before_they_are_read() -> None:
    listing = Listing("x.index.json")
    listing.add_header(limits.MAX_HEADERS - 1)
    listing.add_header(1)
    with pytest.raises(UnsupportedError, match=r"^x\.index\.json: more than 5,242,880 bytes of"):
        listing.add_header(1)


def test_a_shard_counts_once_whatever_its_names_are(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"weights")
    (tmp_path / "b").write_bytes(b"weights")
    (tmp_path / "link").hardlink_to(tmp_path / "a")
    (tmp_path / "symlink").symlink_to("b")
    listing = Listing("x")
    files = [SourceFile(tmp_path / name) for name in ("a", "b")]
    for file in files:
        listing.add_shard(file)
    for name, other in (("link", "a"), ("symlink", "b")):
        again = SourceFile(tmp_path / name)
        with pytest.raises(gpt2_convert.FormatError, match=rf"/{name}: the same file as {other}, "):
            listing.add_shard(again)


def test_empty_shards_may_be_one_file(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    listing = Listing("x")
    first, second = SourceFile(tmp_path / "a"), SourceFile(tmp_path / "b")
    listing.add_shard(first)
    listing.add_shard(second)
