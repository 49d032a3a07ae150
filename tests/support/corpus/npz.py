"""NumPy archives: zip files, members and headers that lie, and things to unpickle."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
from support import raws

from .case import CUTS, SIZES, Case, cut_at, flip, flip_at, patch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .case import Write

FAMILY = "npz"
FILE = "x.npz"
LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED


def arrays() -> dict[str, np.ndarray[Any, Any]]:
    return raws.canonical(SIZES)


def save(members: Mapping[str, bytes], method: int = STORED, **more: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in {**members, **more}.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return stream.getvalue()


def members() -> dict[str, bytes]:
    """Return every member of the good archive as NumPy writes it; wte is the first."""
    found = {}
    for name, array in arrays().items():
        stream = io.BytesIO()
        np.lib.format.write_array(stream, array)
        found[f"{name}.npy"] = stream.getvalue()
    return found


def file_of(content: Callable[[], bytes]) -> Write:
    return lambda folder: (folder / FILE).write_bytes(content())


def changed(change: Callable[[bytes], bytes], method: int = STORED) -> Write:
    return file_of(lambda: change(save(members(), method)))


def wte(data: bytes | Callable[[bytes], bytes], method: int = STORED) -> Write:
    """Write an archive whose first member is other bytes, its CRC-32 right."""

    def content() -> bytes:
        all_ = members()
        all_["wte.npy"] = data if isinstance(data, bytes) else data(all_["wte.npy"])
        return save(all_, method)

    return file_of(content)


def array(change: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> Write:
    """Write an archive whose wte NumPy saves as something else."""

    def content() -> bytes:
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **{**arrays(), "wte": change(arrays()["wte"])})
        return stream.getvalue()

    return file_of(content)


def npy(text: bytes, version: bytes = b"\1\0", data: bytes | None = None) -> bytes:
    """Return a member whose header is any text."""
    size = struct.pack("<H" if version == b"\1\0" else "<I", len(text))
    return (
        b"\x93NUMPY" + version + size + text + (arrays()["wte"].tobytes() if data is None else data)
    )


def header(descr: str = "'<f4'", order: str = "False", shape: str = "(11, 4)") -> bytes:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()


def headed(**fields: str) -> Write:
    return wte(npy(header(**fields)))


def record(magic: bytes, offset: int, new: bytes, method: int = STORED) -> Write:
    """Overwrite bytes of the first record of a kind."""
    return changed(lambda data: patch(data, data.index(magic) + offset, new), method)


def number(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "little")


def end(offset: int, new: bytes) -> Write:
    return changed(lambda data: patch(data, data.rindex(END) + offset, new))


def second_as_first(data: bytes) -> bytes:
    """Have the second entry of the directory lead to the first member, with its name and sizes."""
    first = data.index(CENTRAL)
    second = data.index(CENTRAL, first + 4)
    return patch(data, second + 42, data[first + 42 : first + 46])


def overlapping() -> bytes:
    """Return a deflated archive in which every member holds all that follow, as a quine bomb does.

    The kernel of zeros is stored once; each entry of the directory claims it for itself.
    """
    kernel = npy(header("'|u1'", shape=f"({64 << 20},)"), data=bytes(64 << 20))
    data = save({"wte.npy": kernel}, DEFLATED)
    first, last = data.index(CENTRAL), data.rindex(END)
    entry = data[first:last]
    entries = b"".join(entry.replace(b"wte.npy", b"w%02d.npy" % turn) for turn in range(40))
    ends = patch(data[last:], 8, number(40, 2) * 2 + number(len(entries)) + number(first))
    return data[:first] + entries + ends


def bomb(size: int) -> bytes:
    """Return an archive whose wte inflates to zeros, and says so."""
    return save(
        {**members(), "wte.npy": npy(header(shape=f"({size // 4},)"), data=bytes(size))}, DEFLATED
    )


def lying_bomb() -> bytes:
    """Return the same for a member that claims to be small."""
    data = bomb(64 << 20)
    size = number(len(npy(header(shape="(11, 4)"))))
    for magic, offset in ((LOCAL, 22), (CENTRAL, 24)):
        data = patch(data, data.index(magic) + offset, size)
    return data


class Trap:
    """Its pickle would create a file, where anybody loaded it."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return (open, ("trapped", "w"))


def pickled() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([Trap(), None], object), allow_pickle=True)
    return stream.getvalue()


def case(write: Write, says: str, *, legal: bool = False) -> Case:
    return Case(FAMILY, write, FILE, FILE, says, legal)


WTE = r"'wte\.npy'"
NAME = "'wte'"
BROKEN = f"{WTE}: a broken .npy header"

CASES: dict[str, Case] = {
    # The file as a whole.
    **{f"npz cut at {cut:.0%}": case(changed(cut_at(cut)), "not a readable zip") for cut in CUTS},
    "npz of four bytes": case(changed(lambda data: data[:4]), "not a readable zip"),
    "npz without its last byte": case(changed(lambda data: data[:-1]), "not a readable zip"),
    "npz with a byte more": case(changed(lambda data: data + b"\0"), "zip"),
    "npz without its directory": case(
        changed(lambda data: data[: data.index(CENTRAL)] + data[data.rindex(END) :]), "zip"
    ),
    "zip file of a document": case(
        file_of(lambda: save({"word/document.xml": b"<w/>"})), "no NumPy archive; unpack it first"
    ),
    # The directory.
    "directory that starts beyond the file": case(end(16, number(1 << 31)), "before the file"),
    "directory that starts at zero": case(end(16, number(0)), "zip|'"),
    "directory of gigabytes": case(end(12, number(1 << 31)), "zip"),
    "directory with a member less": case(end(10, number(15, 2)), "its directory has 16 members"),
    "directory with a member more": case(end(10, number(17, 2)), "its directory has 16 members"),
    "directory with no members": case(end(8, bytes(4)), "its directory has 16 members"),
    "comment longer than the file": case(end(20, number(500, 2)), "comment of 500 bytes"),
    "comment cut short": case(
        file_of(lambda: patch(save(members()), -2, number(9, 2)) + b"12345678"), "comment of 9"
    ),
    "zip64 record that is not there": case(end(16, b"\xff" * 4), "before the file"),
    "two members with one name": case(
        changed(
            lambda data: data.replace(b"wpe.npy", b"wte.npy"),
        ),
        "'wte' stands twice",
    ),
    "member that climbs out": case(
        file_of(lambda: save({**members(), "../wte.npy": members()["wte.npy"]})), r"'\.\./wte'"
    ),
    "more members than a model has tensors": case(
        file_of(lambda: save({f"{turn}.npy": b"" for turn in range(21_000)})), "16,000 tensors"
    ),
    # The records of a member.
    "encrypted member": case(record(CENTRAL, 8, number(1, 2)), f"{WTE}: encrypted", legal=True),
    "patched member": case(record(CENTRAL, 8, number(0x20, 2)), WTE, legal=True),
    "member in bzip2": case(record(CENTRAL, 10, number(12, 2)), f"{WTE}: zip compression 12"),
    "member in Zstandard": case(record(CENTRAL, 10, number(93, 2)), f"{WTE}: zip compression 93"),
    "member of unknown compression": case(record(CENTRAL, 10, b"\xff\xff"), f"{WTE}: zip comp"),
    "stored member that says deflated": case(record(CENTRAL, 10, number(8, 2)), WTE),
    "deflated member that says stored": case(record(CENTRAL, 10, number(0, 2), DEFLATED), WTE),
    "member larger than the file": case(record(CENTRAL, 20, number(1 << 30) * 2), "bytes cannot"),
    "member that claims gigabytes": case(
        record(CENTRAL, 24, number(0xFFFFFFF0), DEFLATED), f"{WTE}: .* cannot be stored"
    ),
    "member that claims a byte more": case(record(CENTRAL, 24, number(305)), f"{WTE}: "),
    "member that claims a byte less": case(record(CENTRAL, 24, number(303)), f"{WTE}: "),
    "deflated member that claims a byte more": case(
        record(CENTRAL, 24, number(305), DEFLATED), f"{WTE}: "
    ),
    "member that starts beyond the file": case(record(CENTRAL, 42, number(1 << 30)), WTE),
    "member that starts amid another": case(record(CENTRAL, 42, number(30)), WTE),
    "member that starts in the directory": case(record(CENTRAL, 42, number(5000)), WTE),
    "member that is another": case(changed(second_as_first), r"'wpe\.npy'"),
    "members over one run of bytes": case(file_of(overlapping), "overlap|zip|'w"),
    "wrong CRC-32": case(record(CENTRAL, 16, b"\1\2\3\4"), f"{WTE}: CRC-32 0x04030201"),
    "wrong CRC-32 of a deflated member": case(
        record(CENTRAL, 16, b"\1\2\3\4", DEFLATED), f"{WTE}: CRC-32 0x04030201"
    ),
    "local header with another name": case(record(LOCAL, 30, b"abc"), WTE),
    "local header that is none": case(record(LOCAL, 0, b"PK\x03\x05"), "zip|starts with"),
    "local name that runs over the member": case(record(LOCAL, 26, b"\xff\xff"), WTE),
    "local extra field that runs over the member": case(record(LOCAL, 28, b"\xff\xff"), WTE),
    **{
        f"flipped bit in the {what} of wte": case(
            changed(flip_at(place, after=b"\x93NUMPY"), STORED),
            says,
        )
        for what, place, says in (
            ("magic", 1, WTE),
            ("version", 6, f"{WTE}: .npy version"),
            ("length", 9, WTE),
            ("header", 20, WTE),
            ("first element", 128, f"{WTE}: CRC-32"),
            ("last element", 303, f"{WTE}: CRC-32"),
        )
    },
    "flipped bit amid deflated elements": case(
        changed(lambda data: flip(data, 30 + 7 + 120, 0x10), DEFLATED), WTE
    ),
    # Bombs.
    "bomb that says so": case(file_of(lambda: bomb(256 << 20)), "bytes of elements in"),
    "bomb that says it is small": case(file_of(lying_bomb), f"{WTE}: "),
    # What is in a member.
    "member that is empty": case(wte(b""), WTE),
    "member that is a pickle": case(wte(pickle.dumps(Trap())), WTE),
    "member that is text": case(wte(b"wte = [[1, 2]]"), WTE),
    "pickled objects": case(wte(pickled()), f"{NAME}: pickled Python objects"),
    "pickled objects in a field": case(
        headed(descr="[('a', '<f4'), ('b', '|O')]", shape="(11,)"), f"{NAME}: pickled"
    ),
    "objects that say they are numbers": case(
        wte(pickled().replace(b"'|O'", b"'<f8'").replace(b"(2,), }  ", b"(2,), } ")), WTE
    ),
    "elements that are strings": case(
        array(lambda good: good.astype("U")), f"{NAME}: dtype", legal=True
    ),
    "elements that are dates": case(
        array(lambda good: good.astype("i8").astype("M8[s]")), f"{NAME}: dtype", legal=True
    ),
    "elements that are structures": case(
        array(lambda good: good.view([("a", "<f4")])), f"{NAME}: dtype", legal=True
    ),
    "elements of no size": case(headed(descr="'|V0'", shape=f"({10**18},)"), NAME),
    "weights that are whole numbers": case(
        array(lambda good: good.astype("i4")), "'wte' is int32", legal=True
    ),
    "header of version 4": case(wte(npy(header(), b"\4\0")), f"{WTE}: .npy version"),
    "header of version 3 that is no UTF-8": case(
        wte(npy(header(descr="[('\xe4', '<f4')]").decode().encode("latin-1"), b"\3\0")), BROKEN
    ),
    "Fortran order of a row too long": case(
        wte(npy(header(order="True", shape=f"(2, {5 << 20})"), data=bytes(40 << 20))),
        f"{WTE}: Fortran order",
        legal=True,
    ),
    "a layer of objects": case(
        file_of(
            lambda: save(
                {
                    name: pickled() if name.startswith("blocks") else data
                    for name, data in members().items()
                }
            )
        ),
        r"'blocks\[0\]\.[a-z_1]*\.[a-z_.]*': pickled",
        legal=True,
    ),
    "what is skipped and damaged": case(
        file_of(lambda: save({**members(), "a": b"hello"}).replace(b"hello", b"hallo")),
        "'a': CRC-32",
    ),
    "header of version 9": case(wte(npy(header(), b"\x09\0")), WTE),
    "header of four gigabytes": case(
        wte(b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(300)), "4,294,967,295 bytes"
    ),
    "header of 65,535 bytes": case(wte(npy(header()[:-1].ljust(65_535))), "65,535 bytes"),
    "header longer than its member": case(wte(b"\x93NUMPY\1\0\x10\x27" + header()), WTE),
    "shape of exabytes": case(headed(shape=f"({1 << 31}, {1 << 31})"), f"{WTE}: shape"),
    "shape that wraps": case(headed(shape=f"({(1 << 62) + 11}, 4)"), f"{WTE}: shape"),
    "shape of 3,000 axes": case(headed(shape=str((9,) * 3000)), f"{WTE}: 3,000 axes"),
    "shape of 4,000 digits": case(headed(shape=f"({'9' * 4000},)"), f"{WTE}: "),
    "negative shape": case(headed(shape="(-11, -4)"), f"{WTE}: shape"),
    "shape of truths": case(headed(shape="(True, 44)"), f"{WTE}: shape"),
    "shape of floats": case(headed(shape="(11.0, 4)"), BROKEN),
    "shape that is a list": case(headed(shape="[11, 4]"), BROKEN),
    "shape a row larger": case(headed(shape="(12, 4)"), f"{WTE}: shape"),
    "shape a row smaller": case(headed(shape="(10, 4)"), f"{WTE}: shape"),
    "dtype of another width in npz": case(headed(descr="'<f8'"), f"{WTE}: shape"),
    "dtype that is none": case(headed(descr="'<q9'"), BROKEN),
    "dtype that is a number in npz": case(headed(descr="4"), BROKEN),
    "order that is a number": case(headed(order="0"), BROKEN),
    "header that calls": case(headed(descr="__import__('os').abort()"), BROKEN),
    "header of open brackets": case(wte(npy(b"(" * 9000)), BROKEN),
    "header of signs": case(wte(npy(b"-" * 9000 + b"1")), BROKEN),
    "header of zeros": case(wte(npy(bytes(118))), BROKEN),
    "header without a shape": case(wte(npy(b"{'descr': '<f4', 'fortran_order': False}\n")), BROKEN),
    "header with another key": case(wte(npy(header().replace(b", }", b", 'more': 1}"))), BROKEN),
}
