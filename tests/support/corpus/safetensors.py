"""safetensors files whose headers lie."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

from support import raws

from .case import CUTS, SIZES, Case, cut_at, first, flip_at, nested

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from support.raws import Array

    from .case import Write

    Header = dict[str, Any]

FAMILY = "safetensors"
FILE = "model.safetensors"
WTE = "wte.weight"


def parts(arrays: Mapping[str, Array], **metadata: str) -> tuple[Header, bytes]:
    """Return the header's fields and the data."""
    header: Header = {"__metadata__": metadata} if metadata else {}
    data = b""
    for name, array in arrays.items():
        end = len(data) + array.nbytes
        offsets = [len(data), end]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    return header, data


def join(text: bytes, data: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def encode(arrays: Mapping[str, Array], **metadata: str) -> bytes:
    header, data = parts(arrays, **metadata)
    return join(json.dumps(header).encode(), data)


def good() -> tuple[Header, bytes]:
    return parts(raws.huggingface(SIZES), format="pt")


def file_of(content: Callable[[], bytes]) -> Write:
    return lambda folder: (folder / FILE).write_bytes(content())


def changed(change: Callable[[bytes], bytes]) -> Write:
    return file_of(lambda: change(encode(raws.huggingface(SIZES))))


def length(value: int) -> Write:
    return changed(lambda data: struct.pack("<Q", value) + data[8:])


def header_text(change: Callable[[bytes], bytes]) -> Write:
    def content() -> bytes:
        header, data = good()
        return join(change(json.dumps(header).encode()), data)

    return file_of(content)


def header(change: Callable[[Header], object]) -> Write:
    """Change the header's fields in place."""

    def content() -> bytes:
        fields, data = good()
        change(fields)
        return join(json.dumps(fields).encode(), data)

    return file_of(content)


def field(key: str, value: object) -> Write:
    """Write wte's entry with another field."""
    return header(lambda fields: fields[WTE].update({key: value}))


def text_of(key: str, old: bytes, new: bytes) -> Write:
    """Write wte's entry with a field that is spelt otherwise."""

    def change(text: bytes) -> bytes:
        start = text.index(key.encode(), text.index(WTE.encode()))
        return text[:start] + text[start:].replace(old, new, 1)

    return header_text(change)


def shifted(by: int) -> Write:
    """Move the begin of all tensors but the first by some bytes, as a hole or an overlap."""

    def change(fields: Header) -> None:
        for entry in list(fields.values())[2:]:
            entry["data_offsets"] = [offset + by for offset in entry["data_offsets"]]

    return header(change)


def many() -> bytes:
    entry = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    return join(json.dumps({str(number): entry for number in range(45_000)}).encode(), b"")


def case(write: Write, says: str, *, legal: bool = False) -> Case:
    return Case(FAMILY, write, FILE, FILE, says, legal)


CASES: dict[str, Case] = {
    # The file as a whole.
    "empty file": case(changed(lambda _: b""), "an empty file"),
    **{f"file of {size} bytes": case(changed(first(size)), "safetensors") for size in (1, 7, 8)},
    "file of nine bytes": case(changed(lambda data: data[:9]), "truncated: the header"),
    **{f"safetensors cut at {cut:.0%}": case(changed(cut_at(cut)), "truncated") for cut in CUTS},
    "safetensors without its last byte": case(changed(lambda data: data[:-1]), "truncated"),
    "safetensors with a byte more": case(changed(lambda data: data + b"\0"), "1 byte"),
    "safetensors that is a pointer": case(
        changed(lambda _: b"version https://git-lfs.github.com/spec/v1\n"), "git-LFS"
    ),
    "safetensors that is a pickle": case(changed(lambda _: b"\x80\x02}q\0." * 9), "a pickle"),
    # The length.
    "header of no bytes": case(length(0), "header"),
    "header of one byte": case(length(1), "header: not valid JSON"),
    "header a byte short": case(
        changed(lambda data: struct.pack("<Q", int.from_bytes(data[:8], "little") - 1) + data[8:]),
        "header: not valid JSON",
    ),
    "header that runs into the data": case(length(2000), "header: not valid JSON|truncated"),
    "header as long as the file": case(
        changed(lambda data: struct.pack("<Q", len(data)) + data[8:]), "truncated: the header"
    ),
    "header of 99 MB": case(length(99_000_000), "99,000,000 bytes announced"),
    "header of 5 GB": case(length(5 << 30), "bytes announced"),
    "header of 2^63 bytes": case(length(1 << 63), "bytes announced"),
    "header of 2^64 - 1 bytes": case(length((1 << 64) - 1), "bytes announced"),
    "length in big-endian": case(
        changed(lambda data: data[:8][::-1] + data[8:]), "bytes announced"
    ),
    # The text.
    "header that is a list": case(header_text(lambda _: b"[]"), "starts with"),
    "header that is an open brace": case(header_text(lambda _: b"{"), "header: not valid JSON"),
    "header in UTF-16": case(
        header_text(lambda text: text.decode().encode("utf-16-le")), "header: not valid JSON"
    ),
    "header that is not UTF-8": case(
        header_text(lambda text: text.replace(b"wte", b"\xff\xfe\xfd")), "header: not valid JSON"
    ),
    "header with a zero byte": case(
        header_text(lambda text: text[:-1] + b"\0}"), "header: not valid JSON"
    ),
    "header with a tail": case(header_text(lambda text: text + b"x"), "header: not valid JSON"),
    "header with a tail of zeros": case(
        header_text(lambda text: text + bytes(8)), "header: not valid JSON"
    ),
    "header 100,000 levels deep": case(header_text(lambda _: nested(100_000)), "too deeply"),
    "header of open brackets": case(
        header_text(lambda _: b'{"a":' + b"[" * 900_000), "nested too deeply"
    ),
    "tensor twice": case(
        header_text(lambda text: text[:-1] + b', "wte.weight": ' + text[text.index(b'{"dtype') :]),
        "'wte.weight' stands twice",
    ),
    "field twice": case(text_of("shape", b"[", b'[9], "shape": ['), "the key 'shape' stands twice"),
    "half a surrogate pair": case(
        header_text(lambda text: text.replace(b"wte.weight", b"wte\\ud800")), "surrogate"
    ),
    "metadata that is a list": case(
        header(lambda fields: fields.update(__metadata__=["pt"])), "__metadata__: an object"
    ),
    "metadata that nests": case(
        header(lambda fields: fields.update(__metadata__={"a": {}})), "__metadata__: 'a'"
    ),
    "more tensors than a model has": case(file_of(many), "more than 16,000 tensors"),
    # Entries.
    "entry that is a list": case(
        header(lambda fields: fields.update({WTE: ["F32", [11, 4], [0, 176]]})),
        f"'{WTE}': an object expected",
    ),
    "entry without a shape": case(header(lambda fields: fields[WTE].pop("shape")), "'shape'"),
    "entry with another field": case(field("stride", [4, 1]), f"'{WTE}': .*'stride'"),
    "unknown dtype name": case(field("dtype", "F31"), f"'{WTE}': dtype: one of"),
    "dtype that is a number": case(field("dtype", 1), f"'{WTE}': dtype: one of"),
    "dtype of another width": case(field("dtype", "F64"), f"'{WTE}': shape"),
    "dtype of four bits": case(field("dtype", "F4"), f"'{WTE}': dtype F4", legal=True),
    "shape that is a number": case(field("shape", 44), f"'{WTE}': shape: an array"),
    "shape with a float": case(field("shape", [11.0, 4]), f"'{WTE}': shape: whole numbers"),
    "shape with a string": case(field("shape", ["11", 4]), f"'{WTE}': shape: whole numbers"),
    "shape with true": case(field("shape", [True, 44]), f"'{WTE}': shape: whole numbers"),
    "shape with a negative axis": case(field("shape", [-11, -4]), f"'{WTE}': shape: whole"),
    "shape with minus zero": case(text_of("shape", b"11", b"-0"), f"'{WTE}': shape: whole"),
    "shape with 10^18": case(field("shape", [10**18, 4]), f"'{WTE}': shape"),
    "shape whose product wraps": case(
        field("shape", [(1 << 62) + 11, 4]), f"'{WTE}': shape .* more elements"
    ),
    "shape of 4,000 digits": case(text_of("shape", b"11", b"9" * 4000), f"'{WTE}': shape: whole"),
    "shape of 33 axes": case(field("shape", [11, 4, *[1] * 31]), f"'{WTE}': 33 axes", legal=True),
    "shape with NaN": case(text_of("shape", b"11", b"NaN"), "NaN is not a JSON number"),
    "shape larger than its bytes": case(field("shape", [12, 4]), f"'{WTE}': shape .* 192 bytes"),
    "one offset": case(field("data_offsets", [0]), f"'{WTE}': data_offsets: 2 numbers"),
    "three offsets": case(field("data_offsets", [0, 4, 8]), f"'{WTE}': data_offsets: 2 numbers"),
    "negative offset": case(field("data_offsets", [-176, 0]), f"'{WTE}': data_offsets: whole"),
    "offsets that descend": case(field("data_offsets", [176, 0]), f"'{WTE}': ends at byte 0"),
    "offset of 10^18": case(field("data_offsets", [10**18, 10**18 + 176]), "hole|byte|needs"),
    "offset of 10^30": case(field("data_offsets", [10**30, 10**30]), f"'{WTE}': data_offsets"),
    "offset that is a float": case(field("data_offsets", [0.0, 176]), f"'{WTE}': data_offsets"),
    "hole in the data": case(shifted(4), "byte"),
    "overlap in the data": case(shifted(-4), "byte"),
    "two tensors over one range": case(field("data_offsets", [176, 352]), "byte|'"),
    **{
        f"flipped bit in byte {place} of the header": case(
            changed(flip_at(place, 0x80)),
            "header|announced|starts with",
        )
        for place in (1, 8, 9, 60, 200, 500)
    },
}
