"""Partitioned tensors: as TensorFlow writes and reads them, any tiling, and contradictory ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import bundles, contracts
from support.contracts import contents, contents_of
from support.tf_writers import UNREADABLE, WHOLE, cut, grid, load, save, save_slices, spec
from support.tilings import HALVES, numbers, tilings, write_tiling

import gpt2_convert
from gpt2_convert import FormatError, Gpt2ConvertError, UnsupportedError
from gpt2_convert.formats.opening import open_raw

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

    from support.bundles import Extents
    from support.contracts import Array


class TestPartitioned(contracts.ChecksumContract):
    """Tensors of more than three elements are cut in two, on the first axis that has two."""

    format = "tensorflow"
    direct = True
    flip_stride = 3

    @pytest.fixture(autouse=True)
    def with_tensorflow(self, tf: ModuleType) -> None:
        self.tf = tf

    def oracle(self, path: Path) -> dict[str, Array]:
        return load(self.tf, path / "model.ckpt")

    def write(self, folder: Path, arrays: Mapping[str, Array]) -> Path:
        halved: dict[str, tuple[Array, list[Extents]]] = {}
        for name, array in arrays.items():
            edges: list[list[int]] = [[] for _ in array.shape]
            if array.size > 3 and array.dtype.name not in UNREADABLE:
                axis = next(axis for axis, dim in enumerate(array.shape) if dim > 1)
                edges[axis] = [array.shape[axis] // 2]
            halved[name] = array, grid(array.shape, edges) if any(edges) else []
        save_slices(self.tf, folder / "model.ckpt", halved)
        return folder


TILINGS: dict[str, tuple[tuple[int, ...], list[Extents]]] = {
    "rows": ((7, 5), grid((7, 5), [[1, 4], []])),
    "columns": ((7, 5), grid((7, 5), [[], [2, 3]])),
    "grid": ((7, 5), grid((7, 5), [[1, 4], [2, 3]])),
    "elements": ((3, 4), grid((3, 4), [[1, 2], [1, 2, 3]])),
    "middle axis": ((2, 6, 3), grid((2, 6, 3), [[], [2], []])),
    "last of three": ((1, 4, 6), grid((1, 4, 6), [[], [], [2, 4]])),
    "three axes": ((4, 4, 4), grid((4, 4, 4), [[1], [2], [3]])),
    "eight axes": (
        (2, 1, 2, 1, 2, 1, 2, 2),
        grid((2, 1, 2, 1, 2, 1, 2, 2), [[1], [], [1], [], [1], [], [1], [1]]),
    ),
    "vector": ((200,), grid((200,), [[63, 64, 65, 128, 199]])),
    "explicit length of a whole axis": ((4, 3), [((0, 2), (0, 3)), ((2, 2), (0, 3))]),
    "bands of other columns": (
        (4, 6),
        [((0, 1), (0, 2)), ((0, 1), (2, 4)), ((1, 3), (0, 5)), ((1, 3), (5, 1))],
    ),
    "pinwheel": (
        (5, 5),
        [((0, 2), (0, 3)), ((0, 3), (3, 2)), ((2, 3), (0, 2)), ((3, 2), (2, 3)), ((2, 1), (2, 1))],
    ),
    "of nothing": ((4, 0), [((0, 1), WHOLE), ((1, 3), WHOLE)]),
    "large coordinates": ((70_000, 2), grid((70_000, 2), [[8_191, 8_192, 65_000], [1]])),
}  # fmt: skip


@pytest.mark.parametrize("tiling", TILINGS)
def test_what_tensorflow_cuts_is_read_whole(tf: ModuleType, tmp_path: Path, tiling: str) -> None:
    shape, slices = TILINGS[tiling]
    array = numbers(*shape)
    prefix = save_slices(tf, tmp_path / "m", {"w": (array, slices), "x": (numbers(2), [])})
    expected = load(tf, prefix)
    assert contents_of(expected) == contents_of({"w": array, "x": numbers(2)})
    assert contents(prefix) == contents_of(expected)
    assert [(each.name, list(each.shape)) for each in gpt2_convert.inspect(prefix).tensors] == (
        tf.train.list_variables(str(prefix))
    )


@pytest.mark.parametrize("tiling", TILINGS)
def test_slices_written_by_hand_are_the_bytes_that_tensorflow_writes(
    tf: ModuleType, tmp_path: Path, tiling: str
) -> None:
    shape, slices = TILINGS[tiling]
    array = numbers(*shape)
    name = "a/\u00e4"
    bundle = bundles.Bundle()
    bundle.add_slices(name, array, slices)
    bundle.write(tmp_path / "ours" / "m")
    save_slices(tf, tmp_path / "theirs" / "m", {name: (array, slices)})
    ours, theirs = (
        {file.name: file.read_bytes() for file in (tmp_path / side).iterdir()}
        for side in ("ours", "theirs")
    )
    assert ours == theirs


@pytest.mark.parametrize("dtype", bundles.DTYPE_NUMBERS)
def test_slices_of_every_dtype_are_read(tf: ModuleType, tmp_path: Path, dtype: str) -> None:
    array = numbers(5, 4, dtype=dtype)
    prefix = save_slices(tf, tmp_path / "m", {"w": (array, grid((5, 4), [[2], [1, 3]]))})
    assert contents(prefix) == contents_of({"w": array})
    if dtype not in UNREADABLE:
        assert contents(prefix) == contents_of(load(tf, prefix))


def test_slices_of_bfloat16_keep_their_bits(tf: ModuleType, tmp_path: Path) -> None:
    values = tf.constant([[1.0, -2.5, float("nan")], [3e38, 0.0, 5.0]], tf.bfloat16)
    slices = grid((2, 3), [[], [1, 2]])
    save(
        tf,
        tmp_path / "m",
        {f"w#{at}": values[:, at : at + 1] for at in range(3)},
        [spec((2, 3), extents) for extents in slices],
    )
    expected = tf.train.load_variable(str(tmp_path / "m"), "w")
    assert contents(tmp_path / "m") == {"w": ("bfloat16", (2, 3), expected.tobytes())}


def test_slices_saved_by_several_workers_and_merged_are_read(
    tf: ModuleType, tmp_path: Path
) -> None:
    array = numbers(9, 4)
    slices = grid((9, 4), [[3, 6], [2]])
    parts = []
    for worker in range(3):
        tensors = {f"w#{at}": cut(array, slices[at]) for at in (worker, worker + 3)}
        specs = [spec(array.shape, slices[at]) for at in (worker, worker + 3)]
        parts.append(str(save(tf, tmp_path / "parts" / str(worker), tensors, specs)))
    prefix = tmp_path / "m"
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=str(prefix))
    assert len(list(tmp_path.glob("m.data-*-of-00003"))) == 3
    assert contents(prefix) == contents_of({"w": array}) == contents_of(load(tf, prefix))


# Any tiling of any shape.


@pytest.mark.slow
@settings(
    derandomize=True,
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(tiling=tilings(), data=st.data())
def test_a_tiling_with_a_box_elsewhere_is_refused(
    tmp_path: Path, tiling: tuple[tuple[int, ...], list[Extents]], data: st.DataObject
) -> None:
    shape, slices = tiling
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    moved = data.draw(st.integers(0, len(slices) - 1))
    starts = [data.draw(st.integers(0, dim - 1)) for dim in shape]
    box = tuple(
        (at, data.draw(st.integers(1, dim - at))) for at, dim in zip(starts, shape, strict=True)
    )
    covered = np.zeros(shape, int)
    slices = [*slices[:moved], box, *slices[moved + 1 :]]
    for extents in slices:
        cut(covered, extents)[...] += 1
    _, prefix = write_tiling(tmp_path, array, slices)
    if (covered == 1).all():
        assert contents(prefix) == contents_of({"w": array})
    else:
        with pytest.raises(FormatError, match=r"slices|stands twice"):
            contents(prefix)


# Contradictions.


def changed(folder: Path, change: str) -> Path:
    """A tensor of [4, 3] in two halves, with something wrong."""
    array = numbers(4, 3)
    bundle = bundles.Bundle()
    slices = list(HALVES)
    match change:
        case "a hole":
            slices = [HALVES[0], ((3, 1), WHOLE)]
        case "an overlap":
            slices = [HALVES[0], ((1, 3), WHOLE)]
        case "an overlap and a hole":
            slices = [HALVES[0], ((1, 2), WHOLE)]
        case "one slice twice":
            slices = [HALVES[0], HALVES[0]]
        case "one slice in two spellings":
            slices = [HALVES[0], ((0, 2), (0, 3))]
        case "beyond the shape":
            slices = [HALVES[0], ((2, 3), WHOLE)]
        case "only a part":
            slices = [HALVES[0]]
    bundle.add_slices("w", array, slices)
    key = bundles.slice_key("w", slices[-1])
    second, whole = bundle.slices[key], bundle.entries["w"]
    match change:
        case "another dtype":
            second.dtype = 3
        case "an unknown dtype":
            second.dtype = 77
        case "another shape":
            second.shape = (3, 2)
        case "stored smaller than its spec":
            second.shape, second.size = (1, 3), 12
        case "a size that its shape does not have":
            second.size = 12
        case "a shard that is not there":
            second.shard_id = 1
        case "a negative offset":
            second.offset = -4
        case "beyond the data":
            second.offset = 28
        case "slices of slices":
            second.extra = bundles.proto_bytes(7, bundles.slice_proto(((0, 1), WHOLE)))
        case "no entry":
            del bundle.slices[key]
        case "an entry more":
            bundle.slices[bundles.slice_key("w", ((1, 2), WHOLE))] = second
        case "an entry of no tensor":
            bundle.slices[bundles.slice_key("v", ((0, 2), WHOLE))] = second
        case "a key of nothing":
            bundle.slices[b"\0\xff\n\0"] = second
        case "a whole tensor with slices":
            whole.extra = b""
            whole.size = 48
    return bundle.write(folder / "m")


CHANGES = {
    "a hole": r"m\.index: 'w': its slices have 9 elements .* the shape \(4, 3\) has 12",
    "an overlap": "its slices have 15 elements",
    "an overlap and a hole": "its slices overlap and leave holes",
    "one slice twice": r"'w': slice at \(0, 0\) of \(2, 3\): it has no entry .* or stands twice",
    "one slice in two spellings": "its slices overlap",
    "beyond the shape": "a slice of 3 from 2 of an axis of 4",
    "only a part": "its slices have 6 elements",
    "another dtype": r"slice at \(2, 0\) of \(2, 3\): float32 expected, found int32",
    "an unknown dtype": "dtype number 77",
    "another shape": r"found float32 of the shape \(3, 2\)",
    "stored smaller than its spec": r"found float32 of the shape \(1, 3\)",
    "a size that its shape does not have": "takes 24 bytes, but 12 are stored",
    "a shard that is not there": "shard 1 of a bundle with 1",
    "a negative offset": "24 bytes at byte -4",
    "beyond the data": r"00001: truncated: 'w' \[2:4, 0:3\] needs bytes 28 to 52, but the file has",
    "slices of slices": "it is itself cut into slices",
    "no entry": r"slice at \(2, 0\) of \(2, 3\): it has no entry of its own",
    "an entry more": r"b'\\x00w.*: a slice that no tensor names",
    "an entry of no tensor": r"b'\\x00v.*: a slice that no tensor names",
    "a key of nothing": r"b'\\x00\\xff\\n\\x00': a slice that no tensor names",
    "a whole tensor with slices": "a slice that no tensor names",
}


@pytest.mark.parametrize("change", CHANGES)
def test_slices_that_contradict_each_other_are_refused(tmp_path: Path, change: str) -> None:
    prefix = changed(tmp_path, change)
    with pytest.raises(Gpt2ConvertError, match=CHANGES[change]) as caught:
        contents(prefix)
    kind = UnsupportedError if change == "an unknown dtype" else FormatError
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert contents(changed(tmp_path / "right", "nothing")) == contents_of({"w": numbers(4, 3)})


def test_names_with_the_bytes_that_the_code_escapes_are_found(tmp_path: Path) -> None:
    array = numbers(4, 3)
    names = [b"a\0b", b"\xff\0\xff", b"\xc3\xa4"]
    bundle = bundles.Bundle()
    records = [(b"", bundles.header())]
    for name in names:
        bundle.add_slices(name.decode("latin-1"), array, HALVES)
    # Keys of bytes that are no UTF-8, which no TensorFlow writes.
    for number, entry in enumerate(bundle.slices.values()):
        escaped = b"".join(
            bytes([byte, 255 - byte]) if byte in (0, 255) else bytes([byte])
            for byte in names[number // 2]
        )
        tail = bundles.slice_key("", HALVES[number % 2])[1:]
        records.append((b"\0" + escaped + tail, entry.encode()))
    records += [
        (name, entry.encode()) for name, entry in zip(names, bundle.entries.values(), strict=True)
    ]
    bundle.write(tmp_path / "m")
    (tmp_path / "m.index").write_bytes(bundles.encode_table(sorted(records)))
    assert contents(tmp_path) == contents_of(
        {name.decode("utf-8", "surrogateescape"): array for name in names}
    )


def test_slices_of_strings_are_listed_but_not_read(tf: ModuleType, tmp_path: Path) -> None:
    tensors = {"s#0": [b"a", b"bb"], "s#1": [b"ccc", b""]}
    prefix = save(tf, tmp_path / "m", tensors, ["4 0,2", "4 2,2"])
    assert tf.train.list_variables(str(prefix)) == [("s", [4])]
    with open_raw(prefix) as raw:
        (tensor,) = raw.tensors
        assert (tensor.name, tensor.shape, tensor.dtype) == ("s", (4,), "string")
        assert tensor.nbytes == 2 * (2 + 4 + 3)
        with pytest.raises(UnsupportedError, match="'s' holds slices of strings"):
            next(tensor.chunks())


@pytest.mark.slow
@settings(
    derandomize=True,
    deadline=None,
    max_examples=400,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_change_of_an_entry_of_slices_raises_anything_but_our_errors(
    tmp_path: Path, data: st.DataObject
) -> None:
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    bundle = bundles.Bundle(shards=[bytearray(), bytearray()])
    bundle.add_slices("w", array, grid((4, 6), [[2], [1, 3]]))
    bundle.write(tmp_path / "m")
    records = bundle.records()
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(1, len(records) - 1))
        key, value = records[at]
        where = data.draw(st.sampled_from([0, 1]))
        text = (key, value)[where]
        start = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(start, min(len(text), start + 2)))
        text = text[:start] + data.draw(st.binary(max_size=3)) + text[stop:]
        records[at] = (text, value) if where == 0 else (key, text)
    records = sorted({key: (key, value) for key, value in records}.values())
    (tmp_path / "m.index").write_bytes(bundles.encode_table(records))
    try:
        found = contents(tmp_path / "m")
    except Gpt2ConvertError as error:
        message = str(error)
    else:
        message = ""
        for dtype, shape, stored in found.values():
            assert dtype == "string" or np.frombuffer(stored, dtype).size == np.prod(shape)
        # What is still called w is still w: its bytes have a checksum each.
        assert "w" not in found or found["w"][1] != (4, 6) or found["w"][2] == array.tobytes()
    assert "\n" not in message
