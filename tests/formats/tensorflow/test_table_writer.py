"""Table files, written: bytes by hand, and those of the tests' writer, which are TensorFlow's."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import bundles
from support.bundles import encode_table

from gpt2_convert.formats.tensorflow import table_writer
from gpt2_convert.formats.tensorflow.table_writer import build_table


def test_a_small_table_is_as_its_layout_says() -> None:
    found = build_table([(b"", b"\x08"), (b"h1", b"x"), (b"h10", b"yz"), (b"h2", b"")])
    block = bytes.fromhex(
        "00 00 01 08"  # nothing shared, no key, one byte of value
        "00 02 01 68 31 78"  # h1
        "02 01 02 30 79 7a"  # h1 shared, then 0
        "01 01 00 32"  # h shared, then 2
        "00 00 00 00 01 00 00 00"  # one restart, at 0
    )
    metaindex = bytes.fromhex("00 00 00 00 01 00 00 00")
    # The bound is the shortest key that is not less than h2; the handle is of 28 bytes at 0.
    index = bytes.fromhex("00 01 02 69 00 1c 00 00 00 00 01 00 00 00")
    parts = [part + b"\0" + bundles.masked_crc(part + b"\0") for part in (block, metaindex, index)]
    footer = bytes.fromhex("21 08 2e 0e") + bytes(36) + bytes.fromhex("57 fb 80 8b 24 75 47 db")
    assert found == b"".join(parts) + footer


def test_every_sixteenth_key_is_spelled_out() -> None:
    records = [(b"key%02d" % number, b"") for number in range(33)]
    assert build_table(records) == encode_table(records)
    entries = build_table(records)
    for number in range(33):
        spelled_out = b"\0\x05\0key%02d" % number in entries
        assert spelled_out == (number % 16 == 0)


KEYS = st.lists(st.binary(max_size=6), unique=True, min_size=1, max_size=60).map(sorted)


@pytest.mark.parametrize("block_size", [1, 40, 100, 256 << 10])
def test_any_records_are_the_bytes_of_a_writer_made_from_the_layout_alone(
    block_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_writer, "BLOCK_SIZE", block_size)

    @given(KEYS)
    @example([b"a", b"a\xff", b"a\xff\xff", b"b"])
    @example([b"\xff", b"\xff\xff"])
    def check(keys: list[bytes]) -> None:
        records = [(key, key * (number % 5)) for number, key in enumerate(keys)]
        assert build_table(records) == encode_table(records, block_size=block_size)

    check()


def test_a_block_is_closed_at_the_size_at_which_tensorflow_closes_it() -> None:
    assert table_writer.BLOCK_SIZE == bundles.BLOCK_SIZE == 262_144
    for more in (0, 1):
        # Five bytes of lengths, one of the key, one restart and the number of restarts.
        value = bytes(262_144 - 8 - 5 - 1 + more)
        records = [(b"a", value[1:]), (b"b", b"")]
        assert bundles.data_blocks(build_table(records)) == 1 + more
