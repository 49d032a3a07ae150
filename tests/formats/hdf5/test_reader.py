"""HDF5 files made by h5py, by others and by people who mean harm, as the reader sees them."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import h5py
import ml_dtypes
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t, h5z
from support import bundles, contracts, raws
from support.descriptors import list_descriptors
from support.hdf5_files import Make, make, one, random, read_all, write_canonical

import gpt2_convert
from gpt2_convert.formats.hdf5.reader import open_hdf5
from gpt2_convert.formats.hdf5.signature import recognises
from gpt2_convert.io.source import SourceFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any


class Hdf5Contract(contracts.ReaderContract):
    format = "hdf5"
    # Each file that is opened costs a process.
    flip_stride = 613
    cut_stride = 151
    options: Mapping[str, Any] = {}
    libver = "v108"

    def write(self, folder: Path, arrays: Mapping[str, contracts.Array]) -> Path:
        with h5py.File(folder / "x.h5", "w", libver=self.libver) as file:
            for name, array in arrays.items():
                chunked = self.options if array.size and array.shape else {}
                file.create_dataset(name, data=array, **chunked)
        return folder / "x.h5"

    def oracle(self, path: Path) -> dict[str, contracts.Array]:
        found: dict[str, contracts.Array] = {}

        def take(name: str, node: h5py.Group | h5py.Dataset) -> None:
            if isinstance(node, h5py.Dataset):
                found[name] = np.asarray(node[()])

        with h5py.File(path) as file:
            file.visititems(take)
        return found

    def extra_arrays(self) -> dict[str, contracts.Array]:
        return {
            "complex64": np.array([1 + 2j, -3j], np.complex64),
            "complex128": np.array([[1 + 2j, np.nan]], np.complex128),
        }


class TestContiguous(Hdf5Contract):
    direct = True


@pytest.mark.slow
class TestWithoutChecksumsOfTheTree(Hdf5Contract):
    libver = "earliest"


class TestDeflated(Hdf5Contract):
    options: Mapping[str, Any] = {"compression": "gzip", "shuffle": True}


STORAGE: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunked": {"chunks": True},
    "gzip": {"compression": "gzip"},
    "best gzip, shuffled": {"compression": "gzip", "compression_opts": 9, "shuffle": True},
    "checked": {"fletcher32": True},
    "everything": {"compression": "gzip", "shuffle": True, "fletcher32": True},
}


@pytest.mark.parametrize("options", STORAGE.values(), ids=STORAGE)
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_models_written_by_h5py_are_read(
    options: dict[str, Any], libver: str, tmp_path: Path
) -> None:
    path = make(tmp_path / "m.h5", lambda file: write_canonical(file, **options), libver=libver)
    with gpt2_convert.open(path) as checkpoint:
        assert checkpoint.format == "hdf5"
        assert checkpoint.hparams_from == "the shapes"
        expected = raws.canonical()
        assert list(checkpoint) == list(expected)
        for name, weights in expected.items():
            np.testing.assert_array_equal(checkpoint[name].array(), weights, strict=True)
    assert gpt2_convert.verify(path, bundles.write_gpt2(tmp_path / "tf")).ok


def test_names_of_tensorflow_in_nested_groups_are_known(tmp_path: Path) -> None:
    arrays = bundles.gpt2_arrays()

    def fill(file: h5py.File) -> None:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
        file.create_dataset("global_step", data=np.int64(7))

    path = make(tmp_path / "m.h5", fill)
    assert gpt2_convert.verify(path, bundles.write_gpt2(tmp_path / "tf")).ok
    report = gpt2_convert.convert(path, tmp_path / "out.npz")
    assert dict(report.mapped)["model/h2/attn/c_attn/w"] == "blocks[2].attn.c_attn.w"
    assert report.dropped == (gpt2_convert.Dropped("global_step", "the training step"),)


def test_order_is_that_of_creation_where_it_is_tracked_and_of_names_elsewhere(
    tmp_path: Path,
) -> None:
    names = ["b", "g/10", "g/9", "g/9a", "a"]

    def fill(file: h5py.File) -> None:
        for name in names:
            file[name] = np.ones(2, "f4")

    with open_hdf5(make(tmp_path / "plain.h5", fill)) as raw:
        assert [tensor.name for tensor in raw.tensors] == ["a", "b", "g/10", "g/9", "g/9a"]

    def fill_tracked(file: h5py.File) -> None:
        file.create_group("g", track_order=True)
        fill(file)

    # The group is older than its siblings.
    with open_hdf5(make(tmp_path / "tracked.h5", fill_tracked, track_order=True)) as raw:
        assert [tensor.name for tensor in raw.tensors] == ["g/10", "g/9", "g/9a", "b", "a"]


@pytest.mark.parametrize("options", [{}, {"chunks": (3, 5), "compression": "gzip"}], ids=str)
@pytest.mark.parametrize("size", [512, 4096])
def test_a_file_may_start_with_a_user_block(
    size: int, options: dict[str, Any], tmp_path: Path
) -> None:
    array = random((5, 7))
    path = make(tmp_path / "m.h5", one("a", array, **options), userblock_size=size)
    with path.open("r+b") as file:
        file.write(b"#!/bin/sh\n".ljust(size, b"#"))
    assert recognises(path)
    with open_hdf5(path) as raw:
        np.testing.assert_array_equal(raw.tensors[0].array(), array, strict=True)


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("options", [{}, {"chunks": (3, 5), "compression": "gzip"}], ids=str)
def test_a_file_may_be_moved_behind_what_it_does_not_know_of(
    options: dict[str, Any], libver: str, tmp_path: Path
) -> None:
    array = random((5, 7))
    path = make(tmp_path / "m.h5", one("a", array, **options), libver=libver)
    path.write_bytes(b"#!/bin/sh\n".ljust(1024, b"#") + path.read_bytes())
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["a"][...], array)
    with open_hdf5(path) as raw:
        np.testing.assert_array_equal(raw.tensors[0].array(), array, strict=True)


def test_names_that_are_not_utf_8_survive(tmp_path: Path) -> None:
    with open_hdf5(make(tmp_path / "m.h5", one(b"g/\xff", random((2,))))) as raw:  # type: ignore[arg-type]
        assert os.fsencode(raw.tensors[0].name) == b"g/\xff"
        assert len(list(raw.tensors[0].chunks())) == 1


def test_one_dataset_under_two_names_is_two_tensors(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["a"] = random((5,))
        file["b"] = file["a"]

    with open_hdf5(make(tmp_path / "m.h5", fill)) as raw:
        assert read_all(raw) == {"a": random((5,)).tobytes(), "b": random((5,)).tobytes()}


def test_hparams_are_an_attribute_of_the_root(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        write_canonical(file)
        file.attrs["hparams"] = np.bytes_(json.dumps(bundles.TINY))

    path = make(tmp_path / "m.h5", fill)
    with gpt2_convert.open(path) as checkpoint:
        assert checkpoint.hparams.known() == bundles.TINY
        assert checkpoint.hparams_from == f"{path}: attributes"


@pytest.mark.parametrize("value", [7, np.ones(3), [b"{}", b"{}"], h5py.Empty("S5")], ids=repr)
def test_an_attribute_of_our_name_that_is_no_text_is_an_error(
    value: object, tmp_path: Path
) -> None:
    def fill(file: h5py.File) -> None:
        write_canonical(file)
        file.attrs["hparams"] = value

    path = make(tmp_path / "m.h5", fill)
    with pytest.raises(gpt2_convert.FormatError) as caught:
        gpt2_convert.open(path)
    assert str(caught.value).startswith(f"{path}: attributes: hparams: a text expected; ")


def test_a_text_of_variable_length_is_read_as_h5py_writes_it(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        write_canonical(file)
        file.attrs["hparams"] = json.dumps(bundles.TINY)
        file.attrs["source_format"] = "tensorflow"

    path = make(tmp_path / "m.h5", fill)
    with gpt2_convert.open(path) as checkpoint:
        assert checkpoint.hparams.known() == bundles.TINY
        assert checkpoint.hparams_from == f"{path}: attributes"


@pytest.mark.parametrize("name", ["source_format", "checksum", "title"])
def test_without_hparams_attributes_are_damaged_or_another_program_s(
    name: str, tmp_path: Path
) -> None:
    def fill(file: h5py.File) -> None:
        write_canonical(file)
        file.attrs[name] = np.bytes_(b"npz")

    path = make(tmp_path / "m.h5", fill)
    if name == "source_format":
        with pytest.raises(gpt2_convert.FormatError, match="damaged: no attribute 'hparams'"):
            gpt2_convert.open(path)
        return
    with gpt2_convert.open(path) as checkpoint:
        assert checkpoint.hparams_from == "the shapes"


def test_hparams_that_are_not_json_are_refused(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        write_canonical(file)
        file.attrs["hparams"] = np.bytes_(b"n_layer: 3")

    path = make(tmp_path / "m.h5", fill)
    with pytest.raises(gpt2_convert.FormatError, match="attributes: not JSON"):
        gpt2_convert.open(path)


def test_inspection_reads_no_elements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {**bundles.TINY, "n_vocab": 30_000}
    path = make(tmp_path / "m.h5", lambda file: write_canonical(file, sizes))
    with h5py.File(path) as file:
        first = file["wte"].id.get_offset()
        last = first + file["wte"].id.get_storage_size()
    read_into = SourceFile.read_into
    log = tmp_path / "log"  # what reads is another process

    def spy(source: SourceFile, buffer: memoryview, offset: int, what: str) -> None:
        with log.open("a") as lines:
            lines.write(f"{offset} {offset + len(buffer)}\n")
        read_into(source, buffer, offset, what)

    monkeypatch.setattr(SourceFile, "read_into", spy)
    assert gpt2_convert.inspect(path).totals.tensors == 40
    reads = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    assert reads
    # The library reads 512 bytes where it expects a header, which is shorter as a rule.
    assert not [span for span in reads if first + 512 < span[1] and span[0] < last]


# Files that are refused.


def soft(file: h5py.File) -> None:
    file["a"] = np.ones(3, "f4")
    file["b"] = h5py.SoftLink("/a")


def soft_to_nowhere(file: h5py.File) -> None:
    file["b"] = h5py.SoftLink("/nowhere")


def soft_to_a_group(file: h5py.File) -> None:
    file["g/a"] = np.ones(3, "f4")
    file["latest"] = h5py.SoftLink("/g")


def foreign_filter(file: h5py.File) -> None:
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_chunk((10,))
    plist.set_filter(258, h5py.h5z.FLAG_OPTIONAL, ())
    h5d.create(file.id, b"a", h5t.IEEE_F32LE, h5s.create_simple((10,)), plist)


def external_link(file: h5py.File) -> None:
    file["g/b"] = h5py.ExternalLink("/etc/passwd", "/a")


def cycle_to_the_root(file: h5py.File) -> None:
    file.create_group("g")["again"] = file["/"]


def cycle_to_itself(file: h5py.File) -> None:
    group = file.create_group("a/b")
    group["c"] = group


def exponential(file: h5py.File) -> None:
    group = file.create_group("0")
    for _ in range(30):
        below = group.create_group("a")
        group["b"] = below
        group = below


def deep(file: h5py.File) -> None:
    file.create_group("/".join(["g"] * 40))


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "a", (3,))
    file.create_virtual_dataset("a", layout)


def variable_length(file: h5py.File) -> None:
    file.create_dataset("a", (3,), h5py.vlen_dtype("f4"))


def strings(file: h5py.File) -> None:
    file["a"] = ["one", "two"]


def references(file: h5py.File) -> None:
    file.create_dataset("a", (3,), h5py.ref_dtype)


def named_type(file: h5py.File) -> None:
    file["a"] = np.dtype("f4")


def twice_deflated(file: h5py.File) -> None:
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_chunk((10,))
    plist.set_deflate(1)
    plist.set_deflate(1)
    h5d.create(file.id, b"a", h5t.IEEE_F32LE, h5s.create_simple((10,)), plist)


UNSUPPORTED: dict[str, tuple[Make, str]] = {
    "cycle to the root": (cycle_to_the_root, "'g/again': a second link to one group"),
    "cycle to itself": (cycle_to_itself, "'a/b/c': a second link to one group"),
    "2^30 paths": (exponential, "a second link to one group"),
    "deep": (deep, "more than 32 groups within each other"),
    "twice deflated": (twice_deflated, "one filter is applied twice"),
    "wide chunks": (
        one("a", dtype="f4", shape=(5000, 5000), chunks=(5000, 1), compression="gzip"),
        r"5,000 chunks of \[5000, 1\] cannot be read in order within 16,777,216 bytes",
    ),
}


@pytest.mark.parametrize(("fill", "message"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_is_legal_but_not_handled_is_refused(fill: Make, message: str, tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", padded(fill))
    with pytest.raises(gpt2_convert.UnsupportedError, match=message) as caught:
        open_hdf5(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def padded(fill: Make) -> Make:
    """Add zeros, so that no file is too small for its shapes."""

    def pad(file: h5py.File) -> None:
        fill(file)
        file["z"] = np.zeros(1 << 20, "u1")

    return pad


SKIPPED: dict[str, tuple[Make, str, str]] = {
    "soft link": (soft, "b", "a soft link"),
    "soft link to nowhere": (soft_to_nowhere, "b", "a soft link"),
    "soft link to a group": (soft_to_a_group, "latest", "a soft link"),
    "external link": (external_link, "g/b", "an external link"),
    "virtual": (virtual, "a", "a virtual dataset"),
    "external": (
        one("a", dtype="f4", shape=(4,), external=[("/etc/passwd", 0, 16)]),
        "a",
        "its elements lie in another file",
    ),
    "variable length": (variable_length, "a", "type variable-length"),
    "strings": (strings, "a", "elements of 8 bytes and type string"),
    "references": (references, "a", "type reference"),
    "compound": (one("a", np.zeros(3, [("x", "f4"), ("y", "f4")])), "a", "type compound"),
    "opaque": (one("a", np.zeros(3, "V5")), "a", "type opaque"),
    "enum": (one("a", dtype=h5py.enum_dtype({"NO": 0, "YES": 1}), shape=(3,)), "a", "type enum"),
    "bfloat16": (one("a", np.zeros(3, ml_dtypes.bfloat16)), "a", "elements of 2 bytes"),
    "array elements": (one("a", dtype=np.dtype(("f4", (2, 2))), shape=(3,)), "a", "type array"),
    "null dataspace": (one("a", h5py.Empty("f4")), "a", "an empty dataspace"),
    "named type": (named_type, "a", "neither a group nor a dataset"),
    "foreign filter": (foreign_filter, "a", "filter 258; gzip"),
}


@pytest.mark.parametrize(("fill", "name", "reason"), SKIPPED.values(), ids=SKIPPED)
def test_what_is_no_tensor_is_skipped_with_a_note(
    fill: Make, name: str, reason: str, tmp_path: Path
) -> None:
    with open_hdf5(make(tmp_path / "m.h5", padded(fill))) as raw:
        assert "z" in [tensor.name for tensor in raw.tensors]
        assert [skipped.name for skipped in raw.skipped] == [name]
        (note,) = raw.notes
    assert note.startswith(f"skipped '{name}': ")
    assert reason in note
    assert "\n" not in note


@pytest.mark.parametrize("drop", [[], ["a", "b", "latest", "g/*"]], ids=["", "dropped"])
def test_a_model_beside_such_things_is_converted(drop: list[str], tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        write_canonical(file)
        file["a"] = "GPT-2"
        file["b"] = h5py.SoftLink("/wte")
        file["latest"] = h5py.SoftLink("/blocks")
        file["g/empty"] = h5py.Empty("f4")

    path = make(tmp_path / "m.h5", fill)
    report = gpt2_convert.convert(path, tmp_path / "out.npz", drop=drop)
    assert all(f"'{name}'" in "".join(report.notes) for name in ("a", "b", "latest", "g/empty"))
    plain = make(tmp_path / "plain.h5", write_canonical)
    assert gpt2_convert.verify(plain, tmp_path / "out.npz").ok
    with pytest.raises(gpt2_convert.UsageError, match="matches no tensor that can be left out"):
        gpt2_convert.open(path, drop=["c"])


LINKS = {
    "": ["wte", "blocks/2/ln_1/g", "blocks/2", "blocks/2/attn", "blocks", "lm_head/w"],
    "model/": ["wte", "h2/ln_1/g", "h2", "h2/attn"],
    "policy/model/": ["wte", "h2/ln_1/g", "h2", "h2/attn"],
}


@pytest.mark.parametrize("kind", ["soft", "external"])
@pytest.mark.parametrize(
    ("scope", "name"), [(scope, name) for scope, names in LINKS.items() for name in names]
)
def test_a_weight_or_a_folder_of_weights_that_is_a_link_is_refused(
    scope: str, name: str, kind: str, tmp_path: Path
) -> None:
    def fill(file: h5py.File) -> None:
        if scope:
            for each, array in bundles.gpt2_arrays().items():
                file[scope.removesuffix("model/") + each] = array
        else:
            write_canonical(file)
        if scope + name in file:
            file.move(scope + name, "elsewhere")
        link = h5py.SoftLink("/elsewhere")
        file[scope + name] = link if kind == "soft" else h5py.ExternalLink("/etc/passwd", "/a")

    path = make(tmp_path / "m.h5", fill)
    with pytest.raises(gpt2_convert.UnsupportedError, match=f"{kind} link; only hard links are"):
        gpt2_convert.open(path)


@pytest.mark.parametrize(("fill", "name", "reason"), SKIPPED.values(), ids=SKIPPED)
def test_what_cannot_be_read_is_refused_where_it_is_all_that_there_is(
    fill: Make, name: str, reason: str, tmp_path: Path
) -> None:
    def alone(file: h5py.File) -> None:
        fill(file)
        for each in list(file):
            if each != name.split("/")[0]:
                del file[each]

    path = make(tmp_path / "m.h5", alone)
    with pytest.raises(gpt2_convert.UnsupportedError, match=reason) as caught:
        gpt2_convert.open(path)
    assert str(caught.value).startswith(f"{path}: '{name}': ")


BY_THE_LIBRARY: dict[str, dict[str, Any]] = {
    "lzf": {"compression": "lzf"},
    "lzf, shuffled": {"compression": "lzf", "shuffle": True, "fletcher32": True},
    "lzf in small chunks": {"compression": "lzf", "chunks": (5, 7)},
    "scale-offset": {"scaleoffset": 3},
    "scale-offset, gzip": {"scaleoffset": 3, "compression": "gzip", "shuffle": True},
}
if h5z.filter_avail(h5z.FILTER_SZIP) and (
    h5z.get_filter_info(h5z.FILTER_SZIP) & h5z.FILTER_CONFIG_ENCODE_ENABLED
):  # which a library may be built without
    BY_THE_LIBRARY |= {
        "szip": {"compression": "szip", "compression_opts": ("nn", 16)},
        "szip by entropy": {"compression": "szip", "compression_opts": ("ec", 8), "shuffle": True},
    }


@pytest.mark.parametrize("options", BY_THE_LIBRARY.values(), ids=BY_THE_LIBRARY)
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<i8", ">i2"])
def test_filters_of_the_library_s_own_are_undone_by_it(
    options: dict[str, Any], dtype: str, tmp_path: Path
) -> None:
    if dtype[1] == "i":
        options = {key: 0 if key == "scaleoffset" else value for key, value in options.items()}
    array = (1000 * random((603, 517))).astype(dtype)
    path = make(tmp_path / "m.h5", one("a", array, **options))
    with h5py.File(path) as file:
        expected = file["a"][...]
    expected = expected.astype(expected.dtype.newbyteorder("<"))
    with open_hdf5(path) as raw:
        np.testing.assert_array_equal(raw.tensors[0].array(), expected, strict=True)
    with pytest.raises(gpt2_convert.UsageError, match="read after the checkpoint was closed"):
        raw.tensors[0].array()


def write_nbit(path: Path, array: np.ndarray[Any, Any], stored: h5t.TypeID) -> None:
    """Write a dataset whose elements are packed to the bits that count, for which h5py has no word.

    The filter takes no parameters: the library finds them in the type.
    """
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_chunk((10, array.shape[1]))
    plist.set_filter(h5z.FILTER_NBIT, h5z.FLAG_OPTIONAL, ())
    with h5py.File(path, "w") as file:
        space = h5s.create_simple(array.shape)
        h5d.create(file.id, b"a", stored, space, plist).write(h5s.ALL, h5s.ALL, array)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f8", "<i2", ">i8", "|u1"])
def test_n_bit_of_whole_numbers_is_undone_by_the_library(dtype: str, tmp_path: Path) -> None:
    array = (100 * random((53, 17))).astype(dtype)
    write_nbit(tmp_path / "m.h5", array, h5t.py_create(array.dtype))
    with h5py.File(tmp_path / "m.h5") as file:
        assert [*file["a"]._filters] == [str(h5z.FILTER_NBIT)]
    with open_hdf5(tmp_path / "m.h5") as raw:
        expected = array.astype(array.dtype.newbyteorder("<"))
        np.testing.assert_array_equal(raw.tensors[0].array(), expected, strict=True)


def test_numbers_of_fewer_bits_than_their_bytes_are_told_as_such(tmp_path: Path) -> None:
    array = (100 * random((53, 17))).astype("<i4")
    stored = h5t.STD_I32LE.copy()
    stored.set_precision(17)
    stored.set_offset(3)
    write_nbit(tmp_path / "m.h5", array, stored)
    with pytest.raises(gpt2_convert.UnsupportedError) as caught:
        gpt2_convert.convert(tmp_path / "m.h5", tmp_path / "out.npz", as_is=True)
    assert str(caught.value) == (
        f"{tmp_path / 'm.h5'}: 'a': elements of 4 bytes and type integer, of which 17 bits count; "
        "NumPy's numbers are read; drop='a' leaves it out"
    )


def test_models_in_lzf_are_converted(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", lambda file: write_canonical(file, compression="lzf"))
    gpt2_convert.convert(path, tmp_path / "out.npz")
    assert gpt2_convert.verify(bundles.write_gpt2(tmp_path / "tf"), tmp_path / "out.npz").ok


@pytest.mark.parametrize("options", BY_THE_LIBRARY.values(), ids=BY_THE_LIBRARY)
def test_a_damaged_chunk_of_the_library_s_filters_brings_nothing_down(
    options: dict[str, Any], tmp_path: Path
) -> None:
    # Without a checksum nobody can tell what the numbers were.
    path = make(tmp_path / "m.h5", one("a", random((60, 70)), **options))
    with h5py.File(path) as file:
        chunk = file["a"].id.get_chunk_info(0)
    good = path.read_bytes()
    messages: list[str] = []
    for place in range(0, chunk.size, max(1, chunk.size // 20)):
        damaged = bytearray(good)
        damaged[chunk.byte_offset + place] ^= 0xFF
        path.write_bytes(damaged)
        with open_hdf5(path) as raw:
            try:
                assert raw.tensors[0].array().shape == (60, 70)
            except gpt2_convert.FormatError as error:
                messages.append(str(error))
    assert not [each for each in messages if not each.startswith(f"{path}: ") or "\n" in each]


def test_a_chunk_that_was_never_written_is_not_made_up_by_the_library(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        dataset = file.create_dataset("a", (40,), "f4", chunks=(10,), compression="lzf")
        dataset[:10] = 1

    with (
        open_hdf5(make(tmp_path / "m.h5", fill)) as raw,
        pytest.raises(gpt2_convert.FormatError, match="never written; the file is incomplete"),
    ):
        raw.tensors[0].array()


@pytest.mark.parametrize("options", [{}, {"chunks": (13, 17)}, STORAGE["everything"]], ids=str)
@pytest.mark.parametrize("dtype", [">f2", ">f4", ">f8", ">i2", ">u8", ">c8", ">c16"])
def test_big_endian_numbers_are_read_as_the_numbers_they_are(
    options: dict[str, Any], dtype: str, tmp_path: Path
) -> None:
    array = random((603, 517)).astype(dtype)
    path = make(tmp_path / "m.h5", one("a", array, **options))
    with open_hdf5(path) as raw:
        expected = array.astype(array.dtype.newbyteorder("<"))
        np.testing.assert_array_equal(raw.tensors[0].array(), expected, strict=True)


def test_a_compact_dataset_may_be_big_endian(tmp_path: Path) -> None:
    array = random((5, 7)).astype(">f4")

    def fill(file: h5py.File) -> None:
        plist = h5p.create(h5p.DATASET_CREATE)
        plist.set_layout(h5d.COMPACT)
        space = h5s.create_simple(array.shape)
        h5d.create(file.id, b"a", h5t.IEEE_F32BE, space, plist).write(h5s.ALL, h5s.ALL, array)

    with open_hdf5(make(tmp_path / "m.h5", fill)) as raw:
        np.testing.assert_array_equal(raw.tensors[0].array(), array.astype("<f4"), strict=True)


@pytest.mark.slow
def test_more_links_than_a_model_has_tensors_are_refused(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        group = file.create_group("g")
        group["0"] = np.ones(1, "f4")
        for number in range(1, 16_000):
            group[str(number)] = group["0"]

    path = make(tmp_path / "m.h5", fill)
    with pytest.raises(gpt2_convert.UnsupportedError, match=r"m\.h5: more than 16,000 tensors"):
        open_hdf5(path)


def test_long_names_of_groups_do_not_multiply(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        group = file.create_group("/".join(["g" * 60_000] * 10))
        group["0"] = np.ones(1, "f4")
        for number in range(1, 30):
            group[str(number)] = group["0"]

    path = make(tmp_path / "m.h5", fill)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(gpt2_convert.UnsupportedError, match="4,194,304 bytes of names"):
        open_hdf5(path)


def test_a_long_name_is_cut_in_messages(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("x" * 60_000, np.zeros(3, "V5")))
    with pytest.raises(gpt2_convert.UnsupportedError, match=r"'xxx.*xxx\.\.\.: elements") as caught:
        gpt2_convert.open(path)
    assert len(str(caught.value)) < 1_000
    with open_hdf5(path) as raw:
        assert max(map(len, raw.notes)) < 1_000


def test_a_link_that_no_path_can_spell_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("a-link", np.ones(3, "f4")), libver="earliest")
    data = path.read_bytes()
    assert data.count(b"a-link") == 1
    path.write_bytes(data.replace(b"a-link", b"a/link"))
    with pytest.raises(gpt2_convert.FormatError, match="a link is named b'a/link'"):
        open_hdf5(path)


@pytest.mark.parametrize("kept", [8, 40, 200, 1000, -4, -1])
def test_a_file_that_was_cut_is_refused(kept: int, tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", lambda file: write_canonical(file))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(gpt2_convert.FormatError, match=r"m\.h5: "):
        gpt2_convert.open(path)


@pytest.mark.slow
def test_a_damaged_global_heap_cannot_catch_the_library_and_is_an_error(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        write_canonical(file)
        file.attrs["hparams"] = json.dumps(bundles.TINY)

    path = make(tmp_path / "m.h5", fill)
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL")
    # Object 1, 8 bytes of length at its byte 8; then the free space, whose length becomes zero.
    size = int.from_bytes(data[heap + 24 : heap + 32], "little")
    free = heap + 32 + -(-size // 8) * 8
    assert data[free : free + 2] == b"\0\0"
    data[free + 8 : free + 16] = bytes(8)
    path.write_bytes(data)
    program = "import sys, gpt2_convert; gpt2_convert.open(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, timeout=30
    )
    assert f"FormatError: {path}: the HDF5 library comes to no end with it" in done.stderr


# The file beneath the library.


def test_a_signature_and_nothing_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(gpt2_convert.FormatError, match=r"m\.h5: "):
        gpt2_convert.inspect(path)


def test_a_refused_file_is_closed(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", cycle_to_itself)
    before = list_descriptors()
    with pytest.raises(gpt2_convert.UnsupportedError):
        open_hdf5(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(gpt2_convert.FormatError):
        open_hdf5(path)
    gc.collect()
    assert list_descriptors() == before
