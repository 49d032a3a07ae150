"""The table file, byte by byte; LevelDB's own papers say how."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import bundles
from support.tables import MAGIC, assemble, block, entry, trailer

from gpt2_convert import ChecksumError, FormatError, Gpt2ConvertError, UnsupportedError
from gpt2_convert.formats import limits
from gpt2_convert.formats.tensorflow import table
from gpt2_convert.io.source import SourceFile

if TYPE_CHECKING:
    from pathlib import Path

Records = list[tuple[bytes, bytes]]


# As TensorFlow 2.21 wrote it: the header, and one float32 scalar called "a".
WRITTEN_BY_TENSORFLOW = bytes.fromhex(
    "00 00 06  08 01 1a 02 08 01"  # shares 0, adds 0, value of 6: the header under ""
    "00 01 0b 61  08 01 12 00 28 04 35 ef d6 82 c3"  # shares 0, adds 1 ("a"), value of 11
    "00 00 00 00  01 00 00 00"  # one restart, at byte 0
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.index"


def read(path: Path, data: bytes) -> Records:
    path.write_bytes(data)
    file = SourceFile(path)
    try:
        return list(table.read_table(file))
    finally:
        file.close()


def refusal(path: Path, data: bytes, kind: type[Gpt2ConvertError] = FormatError) -> str:
    with pytest.raises(Gpt2ConvertError) as caught:
        read(path, data)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


# Checksums.


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        # RFC 3720, B.4: 32 bytes of zeros, of ones, ascending, descending; and the check value.
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
        (b"123456789", 0xE3069283),
    ],
)
def test_a_block_carries_the_masked_crc32c_of_its_bytes(path: Path, data: bytes, crc: int) -> None:
    import google_crc32c

    assert google_crc32c.value(data) == crc
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    assert table.mask_crc(crc) == (rotated + 0xA282EAD8) % (1 << 32)


def test_the_mask_has_the_values_that_tensorflow_wrote() -> None:
    # The crc32c of nothing is 0; the entry of an empty tensor holds d8 ea 82 a2.
    assert table.mask_crc(0) == 0xA282EAD8
    assert table.mask_crc(0xFFFFFFFF) == 0xA282EAD7
    # LevelDB's test: masking twice is not masking once.
    assert table.mask_crc(table.mask_crc(0x8A9136AA)) != table.mask_crc(0x8A9136AA)


@pytest.mark.parametrize("which", ["data", "index"])
def test_a_block_that_does_not_match_its_checksum_is_refused(path: Path, which: str) -> None:
    whole = bytearray(assemble(WRITTEN_BY_TENSORFLOW))
    at = 5 if which == "data" else len(whole) - 48 - 5 - 6
    whole[at] ^= 0x10
    message = refusal(path, bytes(whole), ChecksumError)
    assert ("data block at byte 0" if which == "data" else "index block") in message
    assert "fetch it again" in message


def test_the_checksum_covers_the_compression_type(path: Path) -> None:
    whole = bytearray(assemble(WRITTEN_BY_TENSORFLOW))
    whole[len(WRITTEN_BY_TENSORFLOW)] = 1
    refusal(path, bytes(whole), ChecksumError)


# The footer.


def test_what_tensorflow_wrote_is_read(path: Path) -> None:
    assert read(path, assemble(WRITTEN_BY_TENSORFLOW)) == [
        (b"", bytes.fromhex("08011a020801")),
        (b"a", bytes.fromhex("08011200280435efd682c3")),
    ]


@pytest.mark.parametrize("size", [0, 1, 8, 47])
def test_a_file_shorter_than_a_footer_is_refused(path: Path, size: int) -> None:
    words = "too few for a TensorFlow index" if size else "an empty file"
    assert words in refusal(path, (bytes(40) + MAGIC)[48 - size :])


@pytest.mark.parametrize("byte", range(8))
def test_another_magic_is_refused_with_both(path: Path, byte: int) -> None:
    magic = bytearray(MAGIC)
    magic[byte] ^= 1
    message = refusal(path, assemble(WRITTEN_BY_TENSORFLOW, magic=bytes(magic)))
    assert "57fb808b247547db" in message
    assert magic.hex() in message


@pytest.mark.parametrize("which", ["metaindex", "index"])
def test_a_handle_that_leads_beyond_the_blocks_is_refused(path: Path, which: str) -> None:
    whole = assemble(WRITTEN_BY_TENSORFLOW)
    # The largest block that would fit, were it the only one.
    most = len(whole) - 48 - 5
    huge = (1 << 64) - 1
    for offset, size in [(0, most + 1), (1, most), (most, 1), (huge, 0), (0, huge), (huge, huge)]:
        good, bad = b"\0\x08", bundles.varint(offset) + bundles.varint(size)
        footer = (bad + good if which == "metaindex" else good + bad).ljust(40, b"\0") + MAGIC
        message = refusal(path, whole[:-48] + footer)
        assert f"footer: a block of {size:,} bytes at byte {offset:,} does not fit" in message


def test_the_last_handle_that_fits_is_read(path: Path) -> None:
    # The file's only block serves as index: its values are no handles, but it has been read.
    only = block(entry(0, b"k", b"\xff"), 0)
    footer = (b"\0\0" + b"\0" + bundles.varint(len(only))).ljust(40, b"\0") + MAGIC
    message = refusal(path, only + trailer(only) + footer)
    assert "index block: a varint runs past the end" in message


@pytest.mark.parametrize("handles", [b"\xff" * 40, b"\x80" * 10 + bytes(30)])
def test_a_footer_of_endless_varints_is_refused(path: Path, handles: bytes) -> None:
    whole = assemble(WRITTEN_BY_TENSORFLOW)
    assert "footer: a varint" in refusal(path, whole[:-48] + handles + MAGIC)


# The index block.


@pytest.mark.parametrize(
    ("handle", "says"),
    [
        (b"", "a varint runs past the end"),
        (b"\0", "a varint runs past the end"),
        (b"\0\x80", "a varint runs past the end"),
        (b"\0\x28\0", "1 bytes after a handle"),
        (b"\x80\x80\x80\x80\x10\x28", "does not fit"),
    ],
)
def test_an_index_entry_that_is_no_handle_is_refused(path: Path, handle: bytes, says: str) -> None:
    index = block(entry(0, b"z", handle), 0)
    message = refusal(path, assemble(WRITTEN_BY_TENSORFLOW, index=index))
    assert "index block: " in message
    assert says in message


def test_blocks_are_read_in_the_order_of_the_index(path: Path) -> None:
    first = block(entry(0, b"a", b"1") + entry(0, b"b", b"2"), 0)
    second = block(entry(0, b"c", b"3"), 0)
    whole = assemble([first, second], bounds=[b"bb", b"d"])
    assert read(path, whole) == [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")]


def test_a_block_bound_may_equal_its_last_key(path: Path) -> None:
    only = block(entry(0, b"a", b"1") + entry(0, b"b", b"2"), 0)
    assert len(read(path, assemble([only], bounds=[b"b"]))) == 2


def test_a_key_beyond_the_bound_of_its_block_is_refused(path: Path) -> None:
    only = block(entry(0, b"a", b"1") + entry(0, b"b", b"2"), 0)
    message = refusal(path, assemble([only], bounds=[b"a\xff"]))
    assert "b'b' lies beyond the block's bound b'a\\xff'" in message


def test_long_keys_are_cut_in_messages(path: Path) -> None:
    low, high = (char * 10_000 for char in (b"a", b"b"))
    data, index = bundles.Block(), bundles.Block()
    data.add(high, b"")
    index.add(low, b"\0" + bundles.varint(len(data)))
    message = refusal(path, assemble([data.encode()], index=index.encode()))
    assert "bbb... lies beyond the block's bound b'aaa" in message
    assert len(message) < 1_000
    data.add(low, b"")
    message = refusal(path, assemble([data.encode()]))
    assert "aaa... does not follow b'bbb" in message
    assert len(message) < 1_000


def test_keys_must_ascend_from_block_to_block(path: Path) -> None:
    first, second = block(entry(0, b"c"), 0), block(entry(0, b"b"), 0)
    message = refusal(path, assemble([first, second], bounds=[b"c", b"d"]))
    assert "b'b' does not follow b'c'" in message


def test_a_block_that_the_index_names_twice_is_refused(path: Path) -> None:
    only = block(entry(0, b"a"), 0)
    handle = b"\0" + bundles.varint(len(only))
    first, second = entry(0, b"x", handle), entry(0, b"y", handle)
    message = refusal(path, assemble(only, index=block(first + second, 0, len(first))))
    assert "b'a' does not follow b'a'" in message


@pytest.mark.parametrize("restarts", [(), (0,), (0, 0, 0)])
def test_an_empty_data_block_is_refused(path: Path, restarts: tuple[int, ...]) -> None:
    first = block(entry(0, b"a"), 0)
    for blocks in ([block(b"", *restarts)], [first, block(b"", *restarts)]):
        assert "it is empty" in refusal(path, assemble(blocks))


@pytest.mark.parametrize("restarts", [(), (0,)])
def test_a_table_without_data_blocks_is_empty(path: Path, restarts: tuple[int, ...]) -> None:
    assert read(path, assemble([], index=block(b"", *restarts))) == []


# Entries and restarts.


def test_keys_share_the_start_of_the_one_before(path: Path) -> None:
    entries = entry(0, b"model/h0/b", b"1") + entry(9, b"g", b"2") + entry(7, b"10", b"")
    assert read(path, assemble(block(entries, 0))) == [
        (b"model/h0/b", b"1"),
        (b"model/h0/g", b"2"),
        (b"model/h10", b""),
    ]


def test_a_restart_starts_a_key_of_its_own(path: Path) -> None:
    first, second = entry(0, b"aa", b"1"), entry(0, b"ab", b"2")
    third = entry(1, b"c", b"3")
    records = [(b"aa", b"1"), (b"ab", b"2"), (b"ac", b"3")]
    assert read(path, assemble(block(first + second + third, 0, len(first)))) == records
    # Sharing nothing without being a restart is legal as well.
    assert read(path, assemble(block(first + second + third, 0))) == records


def test_long_lengths_take_several_bytes(path: Path) -> None:
    key, value = b"k" * 300, b"v" * 70_000
    entries = b"\0" + b"\xac\x02" + b"\xf0\xa2\x04" + key + value
    assert read(path, assemble(block(entries, 0))) == [(key, value)]


@pytest.mark.parametrize(
    ("entries", "restarts", "says"),
    [
        (entry(0, b"a") + entry(1, b"b"), (0, 4), "byte 4: a restart shares 1 bytes"),
        (entry(0, b"a") + entry(0, b"b"), (0, 3), "restart offset 3 is the start of no entry"),
        (entry(0, b"a") + entry(0, b"b"), (0, 8), "restart offset 8 is the start of no entry"),
        (entry(0, b"a") + entry(0, b"b"), (0, 0), "restart offset 0 is the start of no entry"),
        (entry(0, b"a") + entry(0, b"b"), (0, 4, 4), "restart offset 4 is the start of no entry"),
        (entry(0, b"a"), (0, 0xFFFFFFFF), "restart offset 4,294,967,295 is the start of no entry"),
        (entry(0, b"a") + entry(0, b"b"), (4,), "the first entry is not where"),
        (entry(0, b"a") + entry(0, b"b"), (), "the first entry is not where"),
        (entry(1, b"a"), (0,), "byte 0: a restart shares 1 bytes"),
        (entry(0, b"a") + entry(2, b"b"), (0,), "byte 4: 2 bytes shared with a key of 1"),
        (entry(0, b"b") + entry(0, b"a"), (0,), "b'a' does not follow b'b'"),
        (entry(0, b"a") + entry(0, b"a"), (0,), "b'a' does not follow b'a'"),
        (entry(0, b"a") + entry(0, b""), (0,), "b'' does not follow b'a'"),
        (b"\0\x05\0abcd", (0,), "byte 0: an entry of 5 + 0 bytes runs past the end"),
        (b"\0\x01\x02ab", (0,), "byte 0: an entry of 1 + 2 bytes runs past the end"),
        (b"\0\x01" + b"\xff" * 9 + b"\x01a", (0,), "runs past the end of the entries at 13"),
        (b"\0" + b"\xff" * 9 + b"\x01\x01a", (0,), "runs past the end of the entries at 13"),
        (entry(0, b"a") + b"\xff" * 9 + b"\x01\x01\0b", (0,), "bytes shared with a key of 1"),
        (entry(0, b"a") + b"\x80" * 11, (0,), "longer than 64 bits"),
    ],
)  # fmt: skip
def test_a_broken_entry_is_refused_with_its_place(
    path: Path, entries: bytes, restarts: tuple[int, ...], says: str
) -> None:
    message = refusal(path, assemble(block(entries, *restarts)))
    assert "data block at byte 0: " in message
    assert says in message


def test_an_entry_may_not_run_into_the_restarts(path: Path) -> None:
    # The value's two bytes are there, but the second belongs to the restart offset.
    assert "runs past the end of the entries at 5" in refusal(
        path, assemble(block(b"\0\x01\x02ab", 0))
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "0 bytes, too few for the number of restarts"),
        (b"\0\0\0", "3 bytes, too few for the number of restarts"),
        (b"\1\0\0\0", "1 restarts do not fit into 4 bytes"),
        (bytes(4) + b"\2\0\0\0", "2 restarts do not fit into 8 bytes"),
        (bytes(8) + b"\xff\xff\xff\xff", "4,294,967,295 restarts do not fit into 12 bytes"),
    ],
)
def test_a_block_too_short_for_its_restarts_is_refused(path: Path, data: bytes, says: str) -> None:
    assert f"data block at byte 0: {says}" in refusal(path, assemble(data))
    assert f"index block: {says}" in refusal(path, assemble([], index=data))


def test_a_huge_number_of_restarts_takes_no_memory_of_its_own(path: Path) -> None:
    import tracemalloc

    entries = entry(0, b"a")
    data = entries + struct.pack("<I", 0) + bytes(4 << 20)
    data += struct.pack("<I", (len(data) - len(entries)) // 4)
    whole = assemble(data)
    tracemalloc.start()
    try:
        assert "restart offset 0 is the start of no entry" in refusal(path, whole)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * len(data)


# Limits.


def test_keys_that_shared_prefixes_blow_up_are_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "MAX_KEYS", 1000)
    long = b"k" * 100
    entries = entry(0, long) + b"".join(entry(100, bytes([number])) for number in range(10))
    assert "more than 1,000 bytes of keys" in refusal(path, assemble(block(entries, 0)))
    # In several blocks as in one, and in the index block itself.
    blocks = [block(entry(0, bytes([number]) + long), 0) for number in range(10)]
    bounds = [bytes([number, 0xFF]) for number in range(10)]
    assert "more than 1,000 bytes of keys" in refusal(path, assemble(blocks, bounds=bounds))
    nine = assemble(blocks[:9], bounds=bounds[:9])
    monkeypatch.setattr(table, "MAX_KEYS", 9 * 101)
    assert len(read(path, nine)) == 9
    monkeypatch.setattr(table, "MAX_KEYS", 9 * 101 - 1)
    assert "more than 908 bytes of keys" in refusal(path, nine)
    small = block(entry(0, b"a"), 0)
    whole = assemble(small, bounds=[b"b" * 100])
    monkeypatch.setattr(table, "MAX_KEYS", 99)
    assert "index block: more than 99 bytes of keys" in refusal(path, whole)


def test_a_block_larger_than_any_real_one_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = block(entry(0, b"a", bytes(100)), 0)
    monkeypatch.setattr(table, "MAX_BLOCK", len(only))
    assert len(read(path, assemble(only))) == 1
    monkeypatch.setattr(table, "MAX_BLOCK", len(only) - 1)
    message = refusal(path, assemble(only))
    assert f"data block at byte 0: {len(only)} bytes, where at most {len(only) - 1}" in message


# Compression.


def test_what_a_block_decompresses_to_has_the_same_limit(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = block(entry(0, b"a", bytes(100)), 0)
    stream = bytes(cramjam.snappy.compress_raw(plain))
    monkeypatch.setattr(table, "MAX_BLOCK", len(plain))
    assert len(read(path, assemble(stream, kind=1))) == 1
    monkeypatch.setattr(table, "MAX_BLOCK", len(plain) - 1)
    assert f"decompresses to {len(plain)} bytes" in refusal(path, assemble(stream, kind=1))


def snappy_literal(data: bytes) -> bytes:
    """One literal, as the Snappy format description has it; at most 60 bytes."""
    return bundles.varint(len(data)) + bytes([(len(data) - 1) << 2]) + data


def test_a_snappy_block_is_read(path: Path) -> None:
    plain = block(entry(0, b"abcd", b"12345"), 0)
    assert len(plain) == 20
    assert read(path, assemble(snappy_literal(plain), kind=1)) == [(b"abcd", b"12345")]


def test_a_snappy_copy_is_undone(path: Path) -> None:
    plain = block(entry(0, b"a", b"xyzw" * 5), 0)
    assert plain[:8] == b"\0\1\x14axyzw"
    # Literal of 8 bytes; copy of 11 and of 5 from 4 bytes back; literal of the restarts.
    stream = bytes([len(plain), 7 << 2]) + plain[:8]
    stream += bytes([(11 - 4) << 2 | 1, 4, (5 - 4) << 2 | 1, 4])
    stream += bytes([(8 - 1) << 2]) + plain[-8:]
    assert read(path, assemble(stream, kind=1)) == [(b"a", b"xyzw" * 5)]


@pytest.mark.parametrize(
    "stream",
    [
        b"",  # not even a length
        b"\x80",
        b"\x14",  # 20 bytes announced, none there
        b"\x05\x10abcd",  # a literal cut off
        b"\x06\x10abcde",  # one byte fewer than announced
        b"\x04\x10abcde",  # one byte more
        b"\x08\x00a\x01\x02\x00a",  # a copy from before the start
        b"\x04\x00a\x01\x00",  # a copy from zero bytes back
        b"\xff" * 9 + b"\x01",
    ],
)
def test_broken_snappy_data_is_refused(path: Path, stream: bytes) -> None:
    message = refusal(path, assemble(stream, kind=1))
    assert "data block at byte 0" in message


def test_a_snappy_block_that_would_decompress_to_too_much_is_refused(path: Path) -> None:
    stream = bundles.varint((64 << 20) + 1) + b"\0a"
    assert "decompresses to 67,108,865 bytes" in refusal(path, assemble(stream, kind=1))
    stream = bundles.varint(1 << 63) + b"\0a"
    assert "decompresses to 9,223,372,036,854,775,808 bytes" in refusal(
        path, assemble(stream, kind=1)
    )


@pytest.mark.parametrize("kind", [2, 4, 255])
def test_another_compression_is_refused_by_its_number(path: Path, kind: int) -> None:
    assert f"found {kind}" in refusal(path, assemble(WRITTEN_BY_TENSORFLOW, kind=kind))


# Tables that are only checked.


def check(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    file = SourceFile(path)
    try:
        table.check_blocks(file)
    finally:
        file.close()


def handles(*places: tuple[int, int]) -> bytes:
    """An index block that names those blocks, by offset and size."""
    entries = [
        entry(0, b"%d" % number, bundles.varint(offset) + bundles.varint(size))
        for number, (offset, size) in enumerate(places)
    ]
    return block(b"".join(entries), *(sum(map(len, entries[:at])) for at in range(len(entries))))


def test_no_block_is_checked_twice_under_another_name(path: Path) -> None:
    size = len(WRITTEN_BY_TENSORFLOW)
    check(path, assemble(WRITTEN_BY_TENSORFLOW, index=handles((0, size))))
    with pytest.raises(FormatError, match=f"byte 0 lies within the one before, to byte {size + 5}"):
        check(path, assemble(WRITTEN_BY_TENSORFLOW, index=handles((0, size), (0, size))))


def test_no_more_blocks_are_checked_than_there_may_be_tensors(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = [block(entry(0, b"%d" % number), 0) for number in range(4)]
    monkeypatch.setattr(limits, "MAX_TENSORS", 4)
    check(path, assemble(blocks))
    monkeypatch.setattr(limits, "MAX_TENSORS", 3)
    with pytest.raises(UnsupportedError, match="more than 3 tensors"):
        check(path, assemble(blocks))


# Any table, and any damage.

RECORDS = st.dictionaries(st.binary(max_size=20), st.binary(max_size=40), min_size=1, max_size=60)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(records=RECORDS, snappy=st.booleans(), block_size=st.sampled_from([1, 64, 1 << 18]))
def test_any_table_reads_back(
    tmp_path_factory: pytest.TempPathFactory,
    records: dict[bytes, bytes],
    snappy: bool,
    block_size: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.index"
    expected = sorted(records.items())
    whole = bundles.encode_table(expected, snappy=snappy, block_size=block_size)
    assert read(path, whole) == expected


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=300)
@given(data=st.data())
def test_no_block_raises_anything_but_our_errors_even_with_a_right_checksum(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.index"
    good = block(entry(0, b"ab", b"1") + entry(1, b"c", b"2") + entry(0, b"d", b"3"), 0, 10)
    damaged = bytearray(good)
    for at in data.draw(st.lists(st.integers(0, len(good) - 1), max_size=4)):
        damaged[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(good)))
    kind = data.draw(st.sampled_from([0, 1]))
    as_index = data.draw(st.booleans())
    if as_index:
        whole = assemble(WRITTEN_BY_TENSORFLOW, index=bytes(damaged[cut:]))
    else:
        whole = assemble(bytes(damaged[cut:]), kind=kind)
    try:
        records = read(path, whole)
    except Gpt2ConvertError as error:
        message = str(error)
    else:
        message = ""
        assert [key for key, _ in records] == sorted({key for key, _ in records})
    assert "\n" not in message
