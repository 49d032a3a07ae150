"""What a file holds is found by reading it: sizes and digests as coreutils and git give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpt2_convert.download.content import (
    GIT_SHA1,
    SHA256,
    VERIFYING,
    Content,
    Digest,
    Known,
    compare_content,
    hash_bytes,
    parse_digest,
    read_content,
)
from gpt2_convert.progress import ignore_progress

if TYPE_CHECKING:
    from pathlib import Path

# printf 'hello\n' | sha256sum; printf 'hello\n' | git hash-object --stdin
HELLO = b"hello\n"
HELLO_SHA256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
HELLO_GIT = "ce013625030ba8dba906f756967f9e9ca394464a"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(HELLO)
    return path


def test_digests_are_those_of_sha256sum_and_git(file: Path) -> None:
    assert hash_bytes(HELLO, SHA256) == Digest(SHA256, HELLO_SHA256)
    assert hash_bytes(HELLO, GIT_SHA1) == Digest(GIT_SHA1, HELLO_GIT)
    for kind, value in ((SHA256, HELLO_SHA256), (GIT_SHA1, HELLO_GIT)):
        known = Known(None, Digest(kind, "0"))
        found = read_content(file, known, ignore_progress)
        assert found == Content(6, HELLO_SHA256, Digest(kind, value))


def test_progress_is_of_one_phase_and_of_all_bytes(file: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    read_content(file, Known(), lambda *step: seen.append(step))
    assert seen == [(VERIFYING, 0, 6), (VERIFYING, 6, 6)]


@pytest.mark.parametrize(
    ("known", "difference"),
    [
        (Known(), ""),
        (Known(6, Digest(SHA256, HELLO_SHA256)), ""),
        (Known(6, Digest(GIT_SHA1, HELLO_GIT)), ""),
        (Known(7), "6 bytes, where 7 are expected"),
        (
            Known(6, Digest(GIT_SHA1, "0" * 40)),
            f"git SHA-1 {HELLO_GIT}, where git SHA-1 {'0' * 40} is expected",
        ),
        (
            Known(None, Digest(SHA256, "0" * 64)),
            f"SHA-256 {HELLO_SHA256}, where SHA-256 {'0' * 64} is expected",
        ),
    ],
)
def test_a_difference_says_what_was_found_and_expected(
    known: Known, difference: str, file: Path
) -> None:
    assert compare_content(file, known, ignore_progress)[1] == difference


def test_a_file_of_another_size_is_not_read(file: Path) -> None:
    seen: list[object] = []
    content, _ = compare_content(file, Known(7), lambda *step: seen.append(step))
    assert content is None
    assert not seen


@pytest.mark.parametrize(
    ("tag", "digest"),
    [
        (f'"{HELLO_GIT}"', Digest(GIT_SHA1, HELLO_GIT)),
        (f'W/"{HELLO_SHA256}"', Digest(SHA256, HELLO_SHA256)),
        (HELLO_SHA256, Digest(SHA256, HELLO_SHA256)),
        ('"0x8D7B1DE2E8FB20A"', None),
        ('"d41d8cd98f00b204e9800998ecf8427e"', None),  # an MD5, as storages have it
        (f'"{HELLO_GIT.upper()}"', None),
        (f'"{HELLO_GIT[:-1]}g"', None),
        ("", None),
        (None, None),
    ],
)
def test_an_entity_tag_is_a_digest_or_none(tag: str | None, digest: Digest | None) -> None:
    assert parse_digest(tag) == digest
