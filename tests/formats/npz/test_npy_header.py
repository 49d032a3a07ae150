"""The headers of .npy members: every version that NumPy writes, and nothing that it would not."""

from __future__ import annotations

import io
import warnings
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.contracts import contents
from support.npz_files import FLOATS, archive, header, raw_header, refusal

from gpt2_convert import FormatError, Gpt2ConvertError, UnsupportedError
from gpt2_convert.formats import limits
from gpt2_convert.formats.limits import Listing
from gpt2_convert.formats.npz.npy_header import Headers
from gpt2_convert.formats.opening import open_raw

if TYPE_CHECKING:
    from pathlib import Path

    from support.contracts import Array


@pytest.mark.parametrize("version", [1, 2, 3])
def test_all_versions_of_the_header_are_read(tmp_path: Path, version: int) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, FLOATS, version=(version, 0))
    assert stream.getvalue()[6] == version
    path = archive(tmp_path / "x.npz", {"x.npy": stream.getvalue()})
    assert contents(path) == {"x": ("float32", (2, 3), FLOATS.tobytes())}


def test_a_header_without_padding_is_read(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": header() + FLOATS.tobytes()})
    assert contents(path) == {"x": ("float32", (2, 3), FLOATS.tobytes())}


def test_fortran_order_makes_no_difference_to_one_axis(tmp_path: Path) -> None:
    data = header(fortran_order=True, shape=(6,)) + FLOATS.tobytes()
    path = archive(tmp_path / "x.npz", {"x.npy": data})
    assert contents(path) == {"x": ("float32", (6,), FLOATS.tobytes())}


def test_a_header_with_the_longs_of_python_2_is_read_without_a_warning(tmp_path: Path) -> None:
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }"
    path = archive(tmp_path / "x.npz", {"x.npy": raw_header(text) + FLOATS.tobytes()})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert contents(path) == {"x": ("float32", (2, 3), FLOATS.tobytes())}
    assert not caught


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.array([{}, None], object), "pickled Python objects"),
        (np.array([(1, {})], [("a", "i4"), ("b", "O")]), "pickled Python objects"),
        (np.array(["abc"]), "dtype '<U3'"),
        (np.array([b"abc"]), "dtype '|S3'"),
        (np.array(["2019-02-14"], "M8[D]"), "dtype '<M8[D]'"),
        (np.array([(1, 2)], [("a", "i4"), ("b", "f4")]), "dtype '|V8'"),
        (np.array([1, 2], np.longdouble), "dtype '<f16'"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_skipped_with_a_note(tmp_path: Path, array: Array, says: str) -> None:
    np.savez(tmp_path / "x.npz", fine=FLOATS, odd=array)
    with open_raw(tmp_path / "x.npz") as raw:
        assert [tensor.name for tensor in raw.tensors] == ["fine"]
        assert [skipped.name for skipped in raw.skipped] == ["odd"]
        (note,) = raw.notes
    assert note.startswith("skipped 'odd': ")
    assert says in note


def test_a_version_of_the_future_is_refused_by_name(tmp_path: Path) -> None:
    data = header(version=4) + FLOATS.tobytes()
    path = archive(tmp_path / "x.npz", {"x.npy": data})
    assert "version (4, 0)" in refusal(path, UnsupportedError)


def test_a_header_of_version_3_is_utf_8(tmp_path: Path) -> None:
    array = np.zeros(2, [("\u00e4\U0001f600", "<f4")])
    with pytest.warns(UserWarning, match="format 3.0"):
        np.savez(tmp_path / "x.npz", fine=FLOATS, odd=array)
    with open_raw(tmp_path / "x.npz") as raw:
        assert [skipped.name for skipped in raw.skipped] == ["odd"]
    text = b"{'descr': [('\xe4', '<f4')], 'fortran_order': False, 'shape': (2,), }"
    path = archive(tmp_path / "y.npz", {"x.npy": raw_header(text, 3) + bytes(8)})
    assert "a broken .npy header" in refusal(path, FormatError)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((2, 3), 23), ((2, 3), 25), ((2, 3), 0), ((), 0), ((1,), 0), ((0,), 4), ((1 << 62,), 24),
        ((1 << 63, 0), 0), ((10**4000, 10**4000), 24),
        ((-2, -3), 24), ((-1,), 24), ((True,), 4), ((2, 3.0), 24),
    ],
)  # fmt: skip
def test_a_shape_that_lies_about_the_size_is_refused(
    tmp_path: Path, shape: tuple[int, ...], size: int
) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": header(shape=shape) + bytes(size)})
    assert "'x.npy'" in refusal(path, FormatError)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_header_that_is_too_long_is_refused_before_it_is_read(
    tmp_path: Path, method: int
) -> None:
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }".ljust(10_000)
    path = archive(tmp_path / "x.npz", {"x.npy": raw_header(text) + FLOATS.tobytes()})
    assert "10,001 bytes" in refusal(path, FormatError)
    path = archive(tmp_path / "y.npz", {"x.npy": raw_header(text[:-1]) + FLOATS.tobytes()})
    assert contents(path) == {"x": ("float32", (2, 3), FLOATS.tobytes())}
    # Four gigabytes announced, and nearly none there.
    data = b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(100)
    path = archive(tmp_path / "z.npz", {"x.npy": data}, method=method)
    assert "4,294,967,295 bytes" in refusal(path, FormatError)


BROKEN_HEADERS = [
    b"", b"{", b"{'descr': (", b"(" * 300, b"-" * 9000 + b"1", b"[]\n  x\n y", b"\0", b"\xff",
    b"{[]: 1}", b"9" * 6000, b"'\\d'", b"1if 2else 3", b"[" * 9000, b"None", b"{}",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 1: 2}",
    b"{'descr': '<f4', 'fortran_order': False}",
    b"{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': [2, 3]}",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': 6}",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (2.0, 3)}",
    b"{'descr': '<q9', 'fortran_order': False, 'shape': (2, 3)}",
    b"{'descr': '', 'fortran_order': False, 'shape': (2, 3)}",
    b"{'descr': None, 'fortran_order': False, 'shape': (2, 3)}",
    b"{'descr': (), 'fortran_order': False, 'shape': (2, 3)}",
    b"{'descr': [()], 'fortran_order': False, 'shape': (2, 3)}",
    b"{'descr': [[]], 'fortran_order': False, 'shape': (2, 3)}",
    b"{'descr': __import__('os').getpid(), 'fortran_order': False, 'shape': (2, 3)}",
]  # fmt: skip


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("text", BROKEN_HEADERS, ids=range(len(BROKEN_HEADERS)))
def test_a_broken_header_is_refused(tmp_path: Path, text: bytes, version: int) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": raw_header(text, version) + FLOATS.tobytes()})
    assert "'x.npy': a broken .npy header" in refusal(path, FormatError)


WORDS = [
    b"{", b"}", b"(", b")", b"[", b"]", b",", b":", b"'", b'"', b"\\", b"\n", b" ", b"-", b"L",
    b"'descr'", b"'fortran_order'", b"'shape'", b"'<f4'", b"'>f4'", b"'|O'", b"False", b"True",
    b"None", b"2", b"3", b"6", b"9" * 5000, b"1e9", b"'f4,(2,3)i4'", b"\0", b"\xe9", b"#", b"j",
]  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    before=st.lists(st.sampled_from(WORDS), max_size=8),
    keep=st.slices(60),
    after=st.lists(st.sampled_from(WORDS), max_size=8),
    version=st.sampled_from([1, 2]),
)
@example([], slice(0, 60), [], 1)
def test_no_header_raises_anything_but_our_errors(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[bytes],
    keep: slice,
    after: list[bytes],
    version: int,
) -> None:
    whole = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
    text = b"".join(before) + whole[keep] + b"".join(after)
    path = tmp_path_factory.getbasetemp() / "header.npz"
    archive(path, {"x.npy": raw_header(text[:60_000], version) + FLOATS.tobytes()})
    try:
        found = contents(path)
    except Gpt2ConvertError as error:
        message = str(error)
    else:
        message = ""
        (array,) = found.values()
        # NumPy reads the same array from it.
        with np.load(path) as file:
            assert array == ("float32", file["x"].shape, file["x"].tobytes())
    assert "\n" not in message


def test_an_npy_without_its_magic_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": b"\x93NUMPZ" + header()[6:] + FLOATS.tobytes()})
    assert "'x.npy'" in refusal(path, FormatError)


def test_a_deflated_header_that_ends_early_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"\x93NUMPY\1", header()[:9], header()[:-9]):
        path = archive(tmp_path / "x.npz", {"x.npy": data}, method=zipfile.ZIP_DEFLATED)
        assert "'x.npy'" in refusal(path, FormatError)


# What is not handed to NumPy.

SHAPES = st.lists(st.integers(0, (1 << 63) - 1), max_size=32).map(tuple)
KINDS = ["<f4", "<f8", "|b1", "<i8", "|u1", "<c16", ">f4", "<U3", "|S7", "<M8[s]", "|V0"]


@settings(derandomize=True, deadline=None)
@given(shape=SHAPES, kind=st.sampled_from(KINDS), fortran=st.booleans())
def test_what_numpy_writes_is_parsed_as_numpy_parses_it(
    shape: tuple[int, ...], kind: str, fortran: bool
) -> None:
    stream = io.BytesIO()
    fields = {"descr": kind, "fortran_order": fortran, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, fields)
    stream.write(b"elements")
    stream.seek(8)
    expected = np.lib.format.read_array_header_1_0(stream)
    start = stream.tell()
    stream.seek(0)
    found = Headers(Listing("x.npz")).read(stream, "x.npz")
    assert found == (*expected, stream.getvalue()[:start])
    assert stream.read() == b"elements"


def test_a_number_in_brackets_is_no_shape(tmp_path: Path) -> None:
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (6), }"
    path = archive(tmp_path / "x.npz", {"x.npy": raw_header(text) + FLOATS.tobytes()})
    assert "'x.npy': a broken .npy header" in refusal(path, FormatError)


def test_thousands_of_headers_that_numpy_would_not_write_are_refused(tmp_path: Path) -> None:
    # As programs of Python 2 wrote them, and with the keys in another order.
    for text in (
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }",
        b"{'shape': (2, 3), 'fortran_order': False, 'descr': '<f4'}",
    ):
        data = raw_header(text) + FLOATS.tobytes()
        members = {f"{number}.npy": data for number in range(1_001)}
        path = archive(tmp_path / "x.npz", members)
        assert "'1000.npy': more than 1,000 headers" in refusal(path, UnsupportedError)
        members.popitem()
        assert len(contents(archive(path, members))) == 1_000


def test_a_header_draws_on_the_budget_before_it_is_read() -> None:
    listing = Listing("x.npz")
    listing.add_header(limits.MAX_HEADERS)
    stream = io.BytesIO(header())
    with pytest.raises(UnsupportedError, match=r"^x\.npz: more than 5,242,880 bytes of headers"):
        Headers(listing).read(stream, "x.npz")
    assert stream.tell() == 10


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_more_axes_than_numpy_handles_are_refused_by_name(tmp_path: Path, method: int) -> None:
    for axes in (32, 33, 4_900):
        shape = b"(" + b"1," * axes + b")"
        text = b"{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + b"}"
        path = archive(tmp_path / "x.npz", {"x.npy": raw_header(text) + bytes(4)}, method=method)
        if axes == 32:
            assert contents(path) == {"x": ("float32", (1,) * 32, bytes(4))}
            continue
        says = f"'x.npy': {axes:,} axes, where at most 32"
        assert says in refusal(path, UnsupportedError)
