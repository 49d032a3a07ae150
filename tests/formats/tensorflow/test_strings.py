"""String tensors: TensorFlow writes them and says what is in them; every byte is checked."""

from __future__ import annotations

import struct
import tracemalloc
from types import SimpleNamespace
from typing import TYPE_CHECKING

import google_crc32c
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import bundles
from support.contracts import find_tensor, flip_bit, split_strings
from support.tf_writers import save

from gpt2_convert import ChecksumError, FormatError, UnsupportedError
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.tensorflow.strings import read_strings
from gpt2_convert.io.source import CHUNK

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType
    from typing import Literal

DATA = "m.data-00000-of-00001"


def elements(path: Path, name: str = "s") -> list[bytes]:
    with open_raw(path) as raw:
        assert not raw.faults
        return split_strings(find_tensor(raw, name))


def write(folder: Path, strings: list[bytes], order: Literal["little", "big"] = "little") -> Path:
    """Write a string tensor by hand, in the layout of tensor_bundle.cc."""
    lengths = b"".join(len(each).to_bytes(4, order) for each in strings)
    checksum = bundles.masked_crc(lengths)[:: 1 if order == "little" else -1]
    joined = b"".join(strings)
    stored = b"".join(bundles.varint(len(each)) for each in strings) + checksum + joined
    bundle = bundles.Bundle(header=bundles.header(endianness=order == "big"))
    bundle.shards[0] += stored
    bundle.entries["s"] = bundles.Entry(
        bundles.STRING,
        (len(strings),),
        len(stored),
        bundles.masked_crc(lengths + checksum + joined),
    )
    return bundle.write(folder / "m")


@pytest.mark.parametrize(
    "strings",
    [
        [],
        [b""],
        [b"ab", b"", b"hello"],
        [b"\0", b"trailing zeros\0\0", b"\xff" * 300, b"x" * 127, b"y" * 128, b"z" * 20_000],
        [b""] * 1_000 + [b"a"],
    ],
)
def test_elements_are_those_that_tensorflow_reads(
    tf: ModuleType, tmp_path: Path, strings: list[bytes]
) -> None:
    save(tf, tmp_path / "m", {"s": tf.constant(strings, tf.string), "t": 1.0})
    assert tf.train.load_variable(str(tmp_path / "m"), "s").tolist() == strings
    assert elements(tmp_path) == strings


def test_scalars_and_arrays_are_read_in_their_order(tf: ModuleType, tmp_path: Path) -> None:
    save(tf, tmp_path / "m", {"one": b"scalar", "two": [[b"a", b"bb"], [b"ccc", b""]]})
    assert elements(tmp_path, "one") == [tf.train.load_variable(str(tmp_path / "m"), "one")]
    expected = tf.train.load_variable(str(tmp_path / "m"), "two")
    assert elements(tmp_path, "two") == expected.ravel().tolist()
    with open_raw(tmp_path) as raw:
        assert [tensor.shape for tensor in raw.tensors] == [(), (2, 2)]


def test_strings_are_listed_with_what_they_take(tf: ModuleType, tmp_path: Path) -> None:
    save(tf, tmp_path / "m", {"s": [b"ab", b"", b"hello"]})
    with open_raw(tmp_path) as raw:
        (tensor,) = raw.tensors
        assert (tensor.dtype, tensor.shape, tensor.nbytes) == ("string", (3,), 3 + 4 + 7)
        with pytest.raises(UnsupportedError, match="s: NumPy has no string"):
            tensor.array()


@pytest.mark.parametrize("order", ["little", "big"])
def test_strings_written_by_hand_are_those_of_tensorflow(
    tf: ModuleType, tmp_path: Path, order: Literal["little", "big"]
) -> None:
    strings = [b"ab", b"", b"hello", b"l" * 1_000]
    prefix = write(tmp_path, strings, order)
    assert tf.train.load_variable(str(prefix), "s").tolist() == strings
    assert elements(tmp_path) == strings
    if order == "little":
        save(tf, tmp_path / "theirs" / "m", {"s": strings})
        for name in (DATA, "m.index"):
            assert (tmp_path / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()


@pytest.mark.parametrize(
    ("count", "length"),
    [
        (1, 3 * CHUNK),
        pytest.param(CHUNK + 5, 0, marks=pytest.mark.slow),
        (200_000, 9),
        (3, CHUNK - 6),
    ],
)
def test_chunks_are_what_is_stored_in_pieces_of_a_chunk(
    tmp_path: Path, count: int, length: int
) -> None:
    write(tmp_path, [b"x" * length] * count)
    data = (tmp_path / DATA).read_bytes()
    with open_raw(tmp_path) as raw:
        chunks = list(raw.tensors[0].chunks())
    assert chunks == [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]


@settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(strings=st.lists(st.binary(max_size=300), max_size=20))
def test_any_strings_read_back(tmp_path: Path, strings: list[bytes]) -> None:
    write(tmp_path, strings)
    assert elements(tmp_path) == strings


def test_every_flipped_bit_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, [b"ab", b"", b"hello", b"l" * 130])
    kinds = set()
    for bit in range(8 * (tmp_path / DATA).stat().st_size):
        flip_bit(tmp_path / DATA, bit)
        with pytest.raises(FormatError, match="'s'") as caught:
            elements(tmp_path)
        kinds.add(type(caught.value))
        assert "\n" not in str(caught.value)
        assert str(tmp_path / DATA) in str(caught.value)
        flip_bit(tmp_path / DATA, bit)
    assert kinds == {FormatError, ChecksumError}


def change(folder: Path, old: bytes, new: bytes, *, shape: tuple[int, ...] = (3,)) -> None:
    """Write three strings, then change the data so that every checksum but the lengths' holds."""
    write(folder, [b"ab", b"", b"hello"])
    data = (folder / DATA).read_bytes().replace(old, new)
    bundle = bundles.Bundle(shards=[bytearray(data)])
    bundle.entries["s"] = bundles.Entry(bundles.STRING, shape, len(data), bytes(4))
    bundle.write(folder / "m")


LAYOUTS = {
    "a length more than the bytes": (b"\2\0\5", b"\2\0\6", (3,), "11 bytes follow .* need 12"),
    "a length less": (b"\2\0\5", b"\2\0\4", (3,), "11 bytes follow .* need 10"),
    "a length of exabytes": (
        b"\2\0\5", b"\2\0" + b"\xff" * 8 + b"\x7f", (3,), "need 9,223,372,036,854,775,813",
    ),
    "a length of more": (b"\2\0\5", b"\2\0" + b"\xff" * 9 + b"\1", (3,), "more than 2.63 bytes"),
    "lengths without an end": (b"\2\0\5", b"\xff" * 30, (3,), "more than 2.63 bytes"),
    "more strings than bytes": (b"", b"", (15,), "15 strings do not fit into 14 bytes"),
    "as many strings as bytes": (b"", b"", (11,), "11 strings do not fit into 14 bytes"),
    "a string more": (b"", b"", (4,), "bytes follow the lengths"),
    "a string less": (b"", b"", (2,), "bytes follow the lengths"),
    "exabytes of strings": (b"", b"", (1 << 62,), "strings do not fit into 14 bytes"),
    "no strings at all": (b"", b"", (0,), "14 bytes follow .* need 4"),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lengths_that_do_not_fit_are_refused_before_they_are_used(
    tmp_path: Path, layout: str
) -> None:
    old, new, shape, says = LAYOUTS[layout]
    change(tmp_path, old, new, shape=shape)
    with pytest.raises(FormatError, match=says) as caught:
        elements(tmp_path)
    assert type(caught.value) is FormatError
    assert str(caught.value).startswith(f"{tmp_path / DATA}: 's': ")


def test_both_checksums_are_compared_after_the_last_chunk(tmp_path: Path) -> None:
    strings = [b"x" * (CHUNK + 7), b"y"]
    prefix = write(tmp_path, strings)
    good = (tmp_path / DATA).read_bytes()
    lengths = struct.pack("<II", CHUNK + 7, 1)
    crc = bundles.masked_crc(lengths)
    at = good.index(crc)
    wrong = bytes([crc[0] ^ 1]) + crc[1:]
    for name, data, covered in (
        ("of the lengths", good[:at] + wrong + good[at + 4 :], wrong),
        ("expected from the index", good[:-1] + b"z", crc),
    ):
        bundle = bundles.Bundle(shards=[bytearray(data)])
        # The entry's own checksum holds in the first case, so that only the other one does not.
        entry_crc = bundles.masked_crc(lengths + covered + b"".join(strings))
        bundle.entries["s"] = bundles.Entry(bundles.STRING, (2,), len(data), entry_crc)
        bundle.write(prefix)
        found: list[bytes] = []
        with open_raw(prefix) as raw, pytest.raises(ChecksumError, match=name):
            found.extend(raw.tensors[0].chunks())
        assert b"".join(found) == data


class LengthsOnly:
    """A cursor over one string of more than 4 GiB that leaves out the bytes of the string."""

    place = "x"

    def __init__(self, length: int, lengths: bytes) -> None:
        self.stored = bundles.varint(length) + bundles.masked_crc(lengths)
        self.part = SimpleNamespace(entry=SimpleNamespace(size=len(self.stored) + length))
        self.position = 0
        self.compared = 0

    def read(self, size: int) -> bytes:
        self.position += size
        return self.stored[self.position - size : self.position]

    def chunks(self, size: int) -> list[bytes]:
        return []

    def compare(self, crc: int) -> None:
        self.compared = crc


@pytest.mark.parametrize(("length", "code"), [((1 << 32) - 1, "<I"), (1 << 32, "<Q")])
def test_a_length_of_4_gib_and_more_counts_as_a_longer_number(length: int, code: str) -> None:
    lengths = struct.pack(code, length)
    cursor = LengthsOnly(length, lengths)
    assert b"".join(read_strings(cursor, 1, "little")) == cursor.stored  # type: ignore[arg-type]
    assert cursor.compared == google_crc32c.value(lengths + bundles.masked_crc(lengths))
    wrong = LengthsOnly(length, lengths + b"x")
    with pytest.raises(ChecksumError, match="of the lengths"):
        list(read_strings(wrong, 1, "little"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "strings",
    [[b"x" * (40 << 20)], pytest.param([b""] * (1 << 20), marks=pytest.mark.slow)],
    ids=["long", "many"],
)
def test_what_is_held_does_not_grow_with_the_tensor(tmp_path: Path, strings: list[bytes]) -> None:
    write(tmp_path, strings)
    with open_raw(tmp_path) as raw:
        tracemalloc.start()
        try:
            for _ in raw.tensors[0].chunks():
                pass
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 6 * CHUNK


@pytest.mark.parametrize(("number", "dtype"), [(20, "resource"), (21, "variant")])
def test_what_has_no_known_layout_is_listed_but_not_read(
    tmp_path: Path, number: int, dtype: str
) -> None:
    bundle = bundles.Bundle(shards=[bytearray(b"abc")])
    bundle.entries["s"] = bundles.Entry(number, (), 3, b"")
    bundle.write(tmp_path / "m")
    with open_raw(tmp_path) as raw:
        (tensor,) = raw.tensors
        assert (tensor.dtype, tensor.nbytes) == (dtype, 3)
        with pytest.raises(UnsupportedError, match=f"'s' holds {dtype} elements"):
            list(tensor.chunks())


def test_a_string_tensor_of_numpys_keeps_its_trailing_zeros(tf: ModuleType, tmp_path: Path) -> None:
    # NumPy's own type for bytes drops them; object arrays do not.
    strings = np.array([b"a\0", b"\0\0"], object)
    save(tf, tmp_path / "m", {"s": strings})
    assert elements(tmp_path) == list(strings)
