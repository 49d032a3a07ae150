"""HDF5 files: links and datasets that lead elsewhere, cycles, lies in headers, damaged trees."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t
from support import raws

from .case import CUTS, SIZES, Case, cut_at, flip, flip_at, patch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .case import Write

    Make = Callable[[h5py.File], object]

FAMILY = "HDF5"
FILE = "x.h5"
SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNKNOWN = 32_999
"""A filter that nobody has registered."""
DEFLATE = bytes.fromhex("0100 0800 0100")
"""In a message of filters: deflate's number, the length of its name, its flags."""


def fill(file: h5py.File, **options: Any) -> None:  # noqa: ANN401
    for name, array in raws.canonical(SIZES).items():
        path = name.replace("[", "/").replace("]", "").replace(".", "/")
        file.create_dataset(path, data=array, **(options if array.ndim == 2 else {}))


def made(change: Make, libver: str = "v108", **options: Any) -> Write:  # noqa: ANN401
    """Write a good file and do something to it."""

    def write(folder: Path) -> None:
        with h5py.File(folder / FILE, "w", libver=libver) as file:
            fill(file, **options)
            change(file)

    return write


def bytes_of(
    change: Callable[[bytes], bytes],
    libver: str = "v108",
    **options: Any,  # noqa: ANN401
) -> Write:
    """Write a good file and change its bytes. Before version 1.8 no part of it has a checksum."""

    def write(folder: Path) -> None:
        made(lambda _: None, libver, **options)(folder)
        (folder / FILE).write_bytes(change((folder / FILE).read_bytes()))

    return write


def replaced(name: str, make: Make) -> Write:
    def change(file: h5py.File) -> None:
        del file[name]
        make(file)

    return made(change)


def wte(data: object = None, **options: Any) -> Write:  # noqa: ANN401
    return replaced("wte", lambda file: file.create_dataset("wte", data=data, **options))


def weights() -> np.ndarray[Any, Any]:
    return raws.canonical(SIZES)["wte"]


def link(value: object) -> Write:
    def change(file: h5py.File) -> None:
        del file["wte"]
        file["wte"] = value

    return made(change)


def cycle(file: h5py.File) -> None:
    file["blocks/0/again"] = file["blocks"]


def exponential(file: h5py.File) -> None:
    group = file.create_group("many")
    for _ in range(20):
        below = group.create_group("a")
        group["b"] = below
        group = below


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((11, 4), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "a", (11, 4))
    file.create_virtual_dataset("wte", layout)


def virtual_itself(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((11, 4), "f4")
    layout[:] = h5py.VirtualSource(".", "wte", (11, 4))
    file.create_virtual_dataset("wte", layout)


def null(file: h5py.File) -> None:
    file["wte"] = h5py.Empty("f4")


def many_links(file: h5py.File) -> None:
    group = file.create_group("many")
    below = group.create_dataset("0", data=np.float32(1))
    for number in range(1, 21_000):
        group[str(number)] = below


def deep(file: h5py.File) -> None:
    file.create_group("/".join(["g"] * 500))


def long_names(file: h5py.File) -> None:
    file.create_group("/".join(["n" * 60_000] * 30))
    for number in range(20):
        file["/".join([*["n" * 60_000] * 30, str(number)])] = np.float32(1)


def chunk_of(data: bytes, mask: int = 0) -> Make:
    """Return what stores wte as one chunk of any bytes, which are said to be deflated."""

    def change(file: h5py.File) -> None:
        dataset = file.create_dataset("wte", (11, 4), "f4", chunks=(11, 4), compression="gzip")
        dataset.id.write_direct_chunk((0, 0), data, mask)

    return change


def unwritten(**options: Any) -> Write:  # noqa: ANN401
    return wte(None, shape=(11, 4), dtype="f4", **options)


def huge(file: h5py.File) -> None:
    file.create_dataset("wte", (1 << 40, 1 << 20), "f4", chunks=(1 << 10, 1 << 10))


def huge_chunk(file: h5py.File) -> None:
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_chunk((1 << 14, 1 << 14))
    plist.set_deflate(1)
    space = h5s.create_simple((1 << 14, 1 << 14))
    dataset = h5d.create(file.id, b"wte", h5t.IEEE_F32LE, space, plist)
    dataset.write_direct_chunk((0, 0), zlib.compress(bytes(256 << 20), 1) * 5)


def swapped(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Return what replaces some bytes that stand in a file once."""

    def change(data: bytes) -> bytes:
        assert data.count(old) == 1, data.count(old)
        return data.replace(old, new)

    return change


def dataspace(shape: tuple[int, ...], old: tuple[int, ...] = (11, 4)) -> Write:
    """Write a shape that the stored bytes do not have; the dataspace message of version 1."""
    pack = struct.Struct(f"<{len(old)}Q").pack
    # The dimensions and then the largest ones.
    return bytes_of(swapped(pack(*old) * 2, pack(*shape) * 2), "earliest")


def undefined(data: bytes) -> bytes:
    """Have wte's layout message lead to nowhere."""
    place = data.index(struct.pack("<Q", 176))
    return patch(data, place - 8, b"\xff" * 8)


def after(magic: bytes, offset: int, new: bytes, last: bool = False) -> Write:
    """Overwrite bytes behind a structure's signature, where nothing has a checksum."""

    def change(data: bytes) -> bytes:
        start = data.rindex(magic) if last else data.index(magic)
        return patch(data, start + offset, new)

    return bytes_of(change, "earliest")


def tree_in_itself(data: bytes) -> bytes:
    """Have the B-tree of the root's links be its own child, one level higher."""
    start = data.index(b"TREE")
    data = patch(data, start + 5, b"\1")
    return patch(data, start + 32, struct.pack("<Q", start))


def sibling_itself(data: bytes) -> bytes:
    start = data.index(b"TREE")
    return patch(data, start + 16, struct.pack("<Q", start))


def chunks_in_themselves(data: bytes) -> bytes:
    """Have a B-tree of chunks in two dimensions be its own child, one level higher."""
    start = data.index(b"TREE\1")
    data = patch(data, start + 5, b"\1")
    # The first key is a chunk's size, its mask and three offsets.
    return patch(data, start + 24 + 32, struct.pack("<Q", start))


GIGABYTES = 3 << 29
"""What a list of links, or a heap of texts, takes in the files below, which are as long as that and
hold nothing there: on disk they take a few kilobytes."""
END = 40
"""In the superblock of before 1.8, where the end of the file stands."""


def sparse(change: Callable[[bytes], tuple[bytes, int]], make: Make = lambda _: None) -> Write:
    """Write a good file, change its bytes and make it longer, without writing anything there."""

    def write(folder: Path) -> None:
        made(make, "earliest")(folder)
        data, size = change((folder / FILE).read_bytes())
        with (folder / FILE).open("wb") as file:
            file.write(patch(data, END, struct.pack("<Q", size)))
            file.truncate(size)

    return write


def heap_of_gigabytes(data: bytes) -> tuple[bytes, int]:
    """Have a group's list of names lie behind the end, and take as much; nothing in it is free."""
    heap = data.rindex(b"HEAP")
    new = struct.pack("<QQQ", GIGABYTES, 1, len(data))
    return patch(data, heap + 8, new), len(data) + GIGABYTES


def texts_of_gigabytes(data: bytes) -> tuple[bytes, int]:
    """Have the global heap, where attributes of variable length lie, take as much."""
    heap = data.index(b"GCOL")
    return patch(data, heap + 8, struct.pack("<Q", GIGABYTES)), heap + GIGABYTES


def header_of_gigabytes(data: bytes) -> tuple[bytes, int]:
    """Have the first object's header go on behind the end, for as long."""
    message = data.index(struct.pack("<HH", 0x10, 16))  # what says where it goes on, and how long
    return patch(data, message + 8, struct.pack("<QQ", len(data), GIGABYTES)), len(data) + GIGABYTES


def many_attributes(file: h5py.File) -> None:
    """Give the root so many attributes that its header goes on elsewhere."""
    file.attrs["hparams"] = "{}"
    for number in range(20):
        file.attrs[f"{number}"] = np.float32(number)


def many_objects(file: h5py.File) -> None:
    for number in range(8_000):
        file.create_group(f"many/{number}")


def axes(count: int) -> Callable[[bytes], bytes]:
    """Have the dataspace of a shape, which begins with its version and its rank, have more axes."""

    def change(data: bytes) -> bytes:
        shape = data.index(struct.pack("<QQ", 11, 4) * 2)
        assert data[shape - 8 : shape - 5] == b"\1\2\1"
        return patch(data, shape - 7, bytes([count]))

    return change


def chunks_of_one_place(data: bytes) -> bytes:
    """Have the second chunk of wte, at 0 and 2, be at 0 and 0, as the first one."""
    old = struct.pack("<IQQQ", 0, 0, 2, 0)
    place = data.index(old)
    return patch(data, place, struct.pack("<IQQQ", 0, 0, 0, 0))


def twins(data: bytes) -> bytes:
    """Have two names in the heap of the root's links be one."""
    return swapped(b"wpe\0\0\0\0\0", b"wte\0\0\0\0\0")(data)


def attribute(value: object) -> Write:
    return made(lambda file: file.attrs.__setitem__("hparams", value))


def case(write: Write, says: str, *, legal: bool = False) -> Case:
    return Case(FAMILY, write, FILE, FILE, says, legal)


ANY = FILE
"""The library's own words tell the place, and they differ from release to release."""

CASES: dict[str, Case] = {
    # Links.
    "soft link": case(link(h5py.SoftLink("/wpe")), "'wte': a soft link", legal=True),
    "soft link to nothing": case(link(h5py.SoftLink("/nowhere")), "'wte': a soft link"),
    "soft link to itself": case(link(h5py.SoftLink("/wte")), "'wte': a soft link"),
    "external link": case(
        link(h5py.ExternalLink("/etc/passwd", "/a")), "'wte': an external link"
    ),
    "external link to the file itself": case(
        link(h5py.ExternalLink(FILE, "/wpe")), "'wte': an external link", legal=True
    ),
    "cycle": case(made(cycle), "'blocks/0/again': a second link"),
    "cycle to the root": case(
        made(lambda file: file.__setitem__("blocks/up", file["/"])), "'blocks/up': a second link"
    ),
    "a million paths": case(made(exponential), "a second link"),
    "500 groups deep": case(made(deep), "more than 32 groups"),
    "names of megabytes": case(made(long_names), "bytes of names"),
    "more links than a model has tensors": case(made(many_links), "16,000 tensors"),
    "tensor that is a group": case(
        replaced("wte", lambda file: file.create_group("wte")), "'wte' is missing"
    ),
    "tensor that is a type": case(
        replaced("wte", lambda file: file.__setitem__("wte", np.dtype("f4"))), "'wte': neither"
    ),
    # Storage elsewhere, and filters.
    "virtual dataset": case(replaced("wte", virtual), "'wte': a virtual dataset"),
    "virtual dataset of itself": case(replaced("wte", virtual_itself), "'wte': a virtual"),
    "external storage": case(
        wte(shape=(11, 4), dtype="f4", external=[("/etc/passwd", 0, 176)]),
        "'wte': its elements lie in another file",
    ),
    "external storage of a device": case(
        wte(shape=(11, 4), dtype="f4", external=[("/dev/zero", 0, 176)]),
        "'wte': its elements lie in another file",
    ),
    "filter that nobody has": case(
        bytes_of(
            lambda data: data.replace(DEFLATE, struct.pack("<H", UNKNOWN) + DEFLATE[2:]),
            "earliest", chunks=(2, 2), compression="gzip",
        ),
        f"filter {UNKNOWN}",
    ),
    # Chunks.
    "chunk that was never written": case(unwritten(chunks=(2, 2)), "chunk at .0, 0.: was never"),
    "dataset that was never written": case(unwritten(), "'wte': was never written"),
    "chunk that is not deflated": case(
        replaced("wte", chunk_of(b"not deflated at all")), "chunk at .0, 0.: cannot be inflated"
    ),
    "chunk that ends early": case(
        replaced("wte", chunk_of(zlib.compress(weights().tobytes())[:-20])), "end too early"
    ),
    "chunk that inflates to less": case(
        replaced("wte", chunk_of(zlib.compress(bytes(175)))), "176 bytes expected, found 175"
    ),
    "chunk that inflates to more": case(
        replaced("wte", chunk_of(zlib.compress(bytes(177)))), "176 bytes expected, found more"
    ),
    "chunk that is a bomb": case(
        replaced("wte", chunk_of(zlib.compress(bytes(200_000), 9))), "found more"
    ),
    "chunk that leaves its filter out and is short": case(
        replaced("wte", chunk_of(bytes(100), 1)), "176 bytes expected, found 100"
    ),
    "chunks of 256 MB": case(replaced("wte", huge_chunk), "'wte'"),
    "shape of exabytes in chunks": case(replaced("wte", huge), "'wte': .* can hold"),
    # Elements.
    "strings": case(wte(["a"] * 11), "'wte': .*string", legal=True),
    "variable lengths": case(
        wte(shape=(11,), dtype=h5py.vlen_dtype("f4")), "'wte': .*variable-length", legal=True
    ),
    "references": case(wte(shape=(11, 4), dtype=h5py.ref_dtype), "'wte': .*reference", legal=True),
    "compounds": case(
        wte(weights().view([("a", "<f4")])), "'wte': .*compound", legal=True
    ),
    "opaque bytes": case(wte(weights().view("V4")), "'wte': .*opaque", legal=True),
    "whole numbers": case(wte(weights().astype("i4")), "'wte' is int32", legal=True),
    "no dataspace": case(replaced("wte", null), "'wte': an empty dataspace", legal=True),
    # Numbers that lie. The dataset of this shape alone is stored contiguously.
    "shape with a row more": case(dataspace((12, 4)), "'wte': shape"),
    "shape of exabytes": case(dataspace((1 << 40, 1 << 20)), "'wte'"),
    "shape that wraps": case(dataspace(((1 << 62) + 11, 4)), "'wte'"),
    "shape of all ones": case(dataspace(((1 << 64) - 1, (1 << 64) - 1)), "'wte'"),
    "layout that leads nowhere": case(bytes_of(undefined, "earliest"), ANY),
    # Parts of the tree.
    "signature alone": case(bytes_of(lambda _: SIGNATURE), ANY),
    "signature and zeros": case(bytes_of(lambda _: SIGNATURE + bytes(4096)), ANY),
    "signature and ones": case(bytes_of(lambda _: SIGNATURE + b"\xff" * 4096), ANY),
    **{
        f"HDF5 cut at {cut:.0%}": case(
            bytes_of(cut_at(cut), libver), ANY
        )
        for cut in CUTS
        for libver in ("v108",)
    },
    **{
        f"HDF5 of before 1.8 cut at {cut:.0%}": case(
            bytes_of(cut_at(cut), "earliest"), ANY
        )
        for cut in CUTS
    },
    "HDF5 without its last byte": case(bytes_of(lambda data: data[:-1]), ANY),
    "superblock of version 255": case(bytes_of(lambda data: patch(data, 8, b"\xff")), ANY),
    "offsets of three bytes": case(bytes_of(lambda data: patch(data, 13, b"\3"), "earliest"), ANY),
    "end of the file beyond it": case(
        bytes_of(lambda data: patch(data, 40, struct.pack("<Q", 1 << 62)), "earliest"), ANY
    ),
    "root group beyond the file": case(
        bytes_of(lambda data: patch(data, 64, struct.pack("<Q", 1 << 40)), "earliest"), ANY
    ),
    "root group in the superblock": case(
        bytes_of(lambda data: patch(data, 64, bytes(8)), "earliest"), ANY
    ),
    "tree that is its own child": case(bytes_of(tree_in_itself, "earliest"), ANY),
    "tree of chunks that is its own child": case(
        bytes_of(chunks_in_themselves, "earliest", chunks=(4, 4)), ANY
    ),
    "tree with too many entries": case(after(b"TREE", 6, b"\xff\xff"), ANY),
    "tree of many levels": case(after(b"TREE", 5, b"\xff"), ANY),
    "tree of chunks among groups": case(after(b"TREE", 4, b"\1"), ANY),
    "node with too many links": case(after(b"SNOD", 6, b"\xff\xff"), ANY),
    "node whose link leads nowhere": case(after(b"SNOD", 16, b"\xff" * 8), ANY),
    "node whose name lies elsewhere": case(after(b"SNOD", 8, struct.pack("<Q", 1 << 30)), ANY),
    "two links with one name": case(bytes_of(twins, "earliest"), "two links are named b'wte'"),
    "heap of gigabytes": case(sparse(heap_of_gigabytes), "the HDF5 library wants"),
    "texts of gigabytes": case(
        sparse(texts_of_gigabytes, many_attributes), "the HDF5 library wants"
    ),
    "header of gigabytes": case(
        sparse(header_of_gigabytes, many_attributes), "the HDF5 library wants"
    ),
    "more objects than a model has": case(made(many_objects), "8,000 groups and datasets"),
    "33 axes": case(bytes_of(axes(33), "earliest"), ANY),
    "255 axes": case(bytes_of(axes(255), "earliest"), ANY),
    "two chunks at one place": case(
        bytes_of(chunks_of_one_place, "earliest", chunks=(2, 2)), "two chunks at .0, 0."
    ),
    "heap of exabytes": case(after(b"HEAP", 8, struct.pack("<Q", 1 << 60)), ANY),
    "heap that lies elsewhere": case(after(b"HEAP", 24, struct.pack("<Q", 1 << 50)), ANY),
    "heap without its signature": case(after(b"HEAP", 0, b"PEAH"), ANY),
    **{
        f"flipped bit in byte {place} of HDF5": case(
            bytes_of(flip_at(place)), ANY
        )
        for place in (12, 20, 44, 52, 100, 200)
    },
    "flipped bit in Fletcher-32 data": case(
        bytes_of(
            lambda data: flip(data, data.index(weights().tobytes()[:16]) + 3),
            chunks=(4, 4), fletcher32=True,
        ),
        "'wte'",
    ),
    "attribute of 10^18": case(
        attribute(np.bytes_(b'{"n_vocab": 1000000000000000000}')), "attributes: "
    ),
}  # fmt: skip
