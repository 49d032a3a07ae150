"""Every source becomes every target, and no damage to any target goes unnoticed."""

from __future__ import annotations

import json
import re
import shutil
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support import bundles, raws, torch_files
from support.contracts import find_bytes, flip_bit
from support.tf_writers import import_tensorflow, save
from support.writers import WRITERS, every_writer

import gpt2_convert
from gpt2_convert.reports.findings import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from support.writers import Writer

    from gpt2_convert.tensors.dtype import DTypeName

    Arrays = dict[str, np.ndarray[Any, Any]]

pytestmark = pytest.mark.slow

ARTEFACTS = {**WRITERS, "deflated npz": WRITERS["npz"], "sharded hf": WRITERS["hf"]}
"""Of each target also the kinds that other programs write, and the tool reads."""
DEFLATED = ("deflated npz", "hdf5 gzip")
SOURCES = ("tensorflow", "hf", "sharded", "pytorch", "npz", "hdf5", "safetensors")


def shard(weights: Arrays, config: str, folder: Path) -> Path:
    """Write weights as transformers does above its limit for one file."""
    folder.mkdir()
    names = sorted(weights)
    third = -(-len(names) // 3)
    weight_map: dict[str, str] = {}
    for number in range(3):
        part = names[number * third : (number + 1) * third]
        file = f"model-{number + 1:05d}-of-00003.safetensors"
        save_file({name: weights[name] for name in part}, folder / file, {"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(config)
    return folder


def spread(model: Path, folder: Path) -> dict[str, Path]:
    """Write the same weights as every kind of source. TensorFlow's is written by the tests."""
    folder.mkdir()
    weights = load_file(model / "model.safetensors")
    config = json.loads((model / "config.json").read_text())
    sizes = {
        "n_vocab": config["vocab_size"],
        "n_ctx": config["n_positions"],
        **{key: config[key] for key in ("n_embd", "n_head", "n_layer")},
    }
    arrays: Arrays = {}
    for name, shape in bundles.gpt2_shapes(sizes).items():
        layer, _, rest = name.removeprefix("model/h").partition("/")
        dotted = name.removeprefix("model/").replace("/", ".")
        canonical = f"blocks[{layer}].{rest.replace('/', '.')}" if layer.isdigit() else dotted
        arrays[name] = weights[f"transformer.{raws.huggingface_name(canonical)}"].reshape(shape)
    sources = {
        "tensorflow": bundles.write_gpt2(folder / "tensorflow", sizes, arrays=arrays),
        "hf": model,
        "sharded": shard(weights, json.dumps(config), folder / "sharded"),
        "pytorch": folder / "pytorch",
    }
    sources["pytorch"].mkdir()
    torch_files.write(sources["pytorch"] / "pytorch_model.bin", torch_files.state_dict(weights))
    (sources["pytorch"] / "config.json").write_text(json.dumps(config))
    for name in ("npz", "hdf5", "safetensors"):
        sources[name] = folder / WRITERS[name].name
        gpt2_convert.convert(model, sources[name])
    return sources


@pytest.fixture(scope="module")
def trained(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return spread(shared_data / "hf-capp-gpt", tmp_path_factory.mktemp("trained") / "sources")


@pytest.fixture(scope="module")
def random(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("random")
    model = folder / "model"
    model.mkdir()
    arrays = {f"transformer.{name}": array for name, array in raws.huggingface().items()}
    save_file(arrays, model / "model.safetensors", {"format": "pt"})
    sizes = bundles.TINY
    config = {
        "model_type": "gpt2",
        "vocab_size": sizes["n_vocab"],
        "n_positions": sizes["n_ctx"],
        **{key: sizes[key] for key in ("n_embd", "n_head", "n_layer")},
    }
    (model / "config.json").write_text(json.dumps(config))
    return spread(model, folder / "sources")


@pytest.fixture(params=["random", "trained"])
def sources(request: pytest.FixtureRequest) -> dict[str, Path]:
    """The weights of bundles.gpt2_arrays, and those of a model that was really trained."""
    found: dict[str, Path] = request.getfixturevalue(request.param)
    return found


@every_writer
@pytest.mark.parametrize("source", SOURCES)
def test_every_source_becomes_every_target(
    source: str, writer: Writer, sources: dict[str, Path], tmp_path: Path
) -> None:
    written = tmp_path / writer.name
    report = writer.convert(sources[source], written)
    assert report.verification is not None
    assert report.verification.ok
    assert gpt2_convert.digest(written).sha256 == gpt2_convert.digest(sources["hf"]).sha256
    # Each source brings another, so that every target meets every source both ways.
    other = SOURCES[(SOURCES.index(source) + 1) % len(SOURCES)]
    # OpenAI's layout has no word for the tokens that begin and end a text, which decide no logits.
    lost = {"bos_token_id", "eos_token_id"} if source == "tensorflow" else set()
    for origin in {source, other}:
        for found in (
            gpt2_convert.verify(sources[origin], written),
            gpt2_convert.verify(written, sources[origin]),
        ):
            assert {finding.tensor for finding in found.findings} <= lost
    again = tmp_path / "again" / writer.name
    again.parent.mkdir()
    writer.convert(sources[source], again)
    assert contents(again) == contents(written)


def write_huggingface(folder: Path) -> Path:
    """Write a model of the Hub: of its fields some are not GPT-2's own, and others are left out."""
    folder.mkdir()
    save_file(raws.huggingface(), folder / "model.safetensors")
    config = {"model_type": "gpt2", "n_positions": 16, "vocab_size": 61, "n_embd": 32, "n_head": 4}
    config |= {"n_layer": 3, "task_specific_params": {"z": 1, "a": [2]}, "attn_pdrop": 0.2}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("origin", [bundles.write_gpt2, write_huggingface])
@pytest.mark.parametrize("via", WRITERS)
@pytest.mark.parametrize("first", WRITERS)
def test_a_way_there_and_back_gives_the_same_bytes(
    first: str, via: str, origin: Callable[[Path], Path], tmp_path: Path
) -> None:
    places = [tmp_path / step for step in ("first", "via", "back")]
    source = origin(tmp_path / "model")
    for place, name in zip(places, (first, via, first), strict=True):
        place.mkdir()
        target = place / WRITERS[name].name
        WRITERS[name].convert(source, target)
        source = target
    assert contents(source) == contents(places[0] / WRITERS[first].name)


def contents(path: Path) -> list[bytes]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file.read_bytes() for file in files]


def store(artefact: str, path: Path, arrays: Arrays) -> None:
    """Write an artefact anew with the library of its format."""
    target = ARTEFACTS[artefact].to
    if target == "tensorflow":
        conv1d = {name for name, array in arrays.items() if name.endswith("/w") and array.ndim == 2}
        stored = {name: array[None] if name in conv1d else array for name, array in arrays.items()}
        save(import_tensorflow(), path / "model.ckpt", dict(sorted(stored.items())))
    elif target == "npz":
        savez = np.savez_compressed if artefact == "deflated npz" else np.savez
        savez(path, allow_pickle=False, **arrays)
    elif target == "hdf5":
        compression = ARTEFACTS[artefact].compress
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=array, compression=compression)
    else:
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        if artefact == "sharded hf":
            config = (path / "config.json").read_text()
            shutil.rmtree(path)
            shard(arrays, config, path)
        else:
            save_file(arrays, path / "model.safetensors" if target == "hf" else path)


PROJ = "blocks[1].attn.c_proj.w"
QKV = "blocks[0].attn.c_attn.w"
LN_1, LN_2 = "blocks[2].ln_1.g", "blocks[2].ln_2.g"


def transpose(arrays: Arrays, spell: Callable[[str], str]) -> None:
    arrays[spell(PROJ)] = np.ascontiguousarray(arrays[spell(PROJ)].T)


def swap_layers(arrays: Arrays, spell: Callable[[str], str]) -> None:
    for name in raws.canonical():
        if name.startswith("blocks[0]"):
            first, second = spell(name), spell(name.replace("[0]", "[2]"))
            arrays[first], arrays[second] = arrays[second], arrays[first]


def swap_norms(arrays: Arrays, spell: Callable[[str], str]) -> None:
    first, second = spell(LN_1), spell(LN_2)
    arrays[first], arrays[second] = arrays[second], arrays[first]


def swap_q_and_v(arrays: Arrays, spell: Callable[[str], str]) -> None:
    q, k, v = np.split(arrays[spell(QKV)], 3, axis=1)
    arrays[spell(QKV)] = np.concatenate([v, k, q], axis=1)


def zero_row(arrays: Arrays, spell: Callable[[str], str]) -> None:
    arrays[spell("wte")][7] = 0


def round_to_half(arrays: Arrays, spell: Callable[[str], str]) -> None:
    arrays[spell("wte")] = arrays[spell("wte")].astype(np.float16).astype(np.float32)


def drop(arrays: Arrays, spell: Callable[[str], str]) -> None:
    del arrays[spell(LN_1)]


def add_copy(arrays: Arrays, spell: Callable[[str], str]) -> None:
    arrays[spell("wpe") + "_copy"] = arrays[spell("wpe")].copy()


def rename(arrays: Arrays, spell: Callable[[str], str]) -> None:
    arrays[spell("ln_f.g") + "amma"] = arrays.pop(spell("ln_f.g"))


def widen(arrays: Arrays, spell: Callable[[str], str]) -> None:
    arrays[spell("wpe")] = arrays[spell("wpe")].astype(np.float64)


def reshape(arrays: Arrays, spell: Callable[[str], str]) -> None:
    arrays[spell("wpe")] = arrays[spell("wpe")].reshape(32, 16)


MUTATIONS: dict[str, tuple[Callable[[Arrays, Callable[[str], str]], None], Kind, set[str]]] = {
    "a transposed square": (transpose, Kind.VALUES, {PROJ}),
    "two layers swapped": (
        swap_layers,
        Kind.VALUES,
        {name for name in raws.canonical() if name.startswith(("blocks[0]", "blocks[2]"))},
    ),
    "ln_1 and ln_2 swapped": (swap_norms, Kind.VALUES, {LN_1, LN_2}),
    "q and v swapped": (swap_q_and_v, Kind.VALUES, {QKV}),
    "a row of zeros": (zero_row, Kind.VALUES, {"wte"}),
    "half precision and back": (round_to_half, Kind.VALUES, {"wte"}),
    "a tensor dropped": (drop, Kind.MISSING, {LN_1}),
    "a tensor copied": (add_copy, Kind.EXTRA, set()),
    "a tensor renamed": (rename, Kind.MISSING, {"ln_f.g"}),
    "another dtype": (widen, Kind.DTYPE, {"wpe"}),
    "another shape": (reshape, Kind.SHAPE, {"wpe"}),
}


def make(
    artefact: str, random: dict[str, Path], folder: Path, *, rewrite: bool
) -> tuple[Path, Arrays]:
    """Write a good artefact and return its path and its arrays.

    If ``rewrite``, the library of its format writes it anew; what this tool never writes needs it.
    """
    writer = ARTEFACTS[artefact]
    path = folder / writer.name
    writer.convert(random["tensorflow"], path)
    arrays = writer.load(path)
    if rewrite:
        store(artefact, path, arrays)
    assert gpt2_convert.verify(random["tensorflow"], path).ok
    return path, arrays


@pytest.mark.parametrize("artefact", ARTEFACTS)
@pytest.mark.parametrize("case", MUTATIONS)
def test_a_mutated_artefact_is_caught_and_named(
    case: str, artefact: str, random: dict[str, Path], tmp_path: Path
) -> None:
    mutate, kind, names = MUTATIONS[case]
    path, arrays = make(artefact, random, tmp_path, rewrite=True)
    mutate(arrays, ARTEFACTS[artefact].spell)
    store(artefact, path, arrays)
    report = gpt2_convert.verify(random["tensorflow"], path)
    assert not report.ok
    assert {finding.tensor for finding in report.findings if finding.kind is kind} >= names
    assert kind in {finding.kind for finding in report.findings}
    others = {finding.kind for finding in report.findings} - {kind}
    assert others <= ({Kind.EXTRA} if kind is Kind.MISSING else set())


@pytest.mark.parametrize("change", ["dropped", "copied"])
def test_a_shard_that_its_index_does_not_describe_is_refused(
    change: str, random: dict[str, Path], tmp_path: Path
) -> None:
    path, _ = make("sharded hf", random, tmp_path, rewrite=True)
    first, second, _ = sorted(path.glob("*.safetensors"))
    arrays = load_file(first)
    name = sorted(arrays)[3]
    if change == "dropped":
        del arrays[name]
        save_file(arrays, first)
    else:
        save_file({**load_file(second), name: arrays[name]}, second)
    with pytest.raises(gpt2_convert.FormatError, match=re.escape(repr(name))):
        gpt2_convert.verify(random["tensorflow"], path)


@pytest.mark.parametrize("artefact", sorted(ARTEFACTS.keys() - DEFLATED))
def test_one_bit_anywhere_in_the_data_is_caught_and_named(
    artefact: str, random: dict[str, Path], tmp_path: Path
) -> None:
    path, _ = make(artefact, random, tmp_path, rewrite=artefact == "sharded hf")
    picks = np.random.default_rng(0)
    arrays = raws.canonical()
    places = {
        name: find_bytes(path if path.is_dir() else tmp_path, array.tobytes())
        for name, array in arrays.items()
    }
    # A bit of one tensor, and one of each.
    for names in ([PROJ], ["wte"], ["ln_f.b"], list(arrays)):
        good = {file: file.read_bytes() for file, _ in places.values()}
        flipped = {}
        for name in names:
            file, start = places[name]
            at = int(picks.integers(arrays[name].nbytes))
            flip_bit(file, 8 * (start + at) + int(picks.integers(8)))
            flipped[name] = tuple(map(int, np.unravel_index(at // 4, arrays[name].shape)))
        findings = gpt2_convert.verify(random["tensorflow"], path).findings
        assert {finding.tensor: finding.first_index for finding in findings} == flipped
        assert len(findings) == len(flipped)
        assert {(finding.kind, finding.differing) for finding in findings} == {(Kind.VALUES, 1)}
        for file, data in good.items():
            file.write_bytes(data)


def deflated_spans(artefact: str, path: Path) -> dict[str, list[tuple[int, int]]]:
    """Return start and size of each run of deflated bytes of each tensor, by canonical name."""
    spans: dict[str, list[tuple[int, int]]] = {}
    if artefact == "deflated npz":
        data = path.read_bytes()
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                at = member.header_offset
                before = 30 + sum(struct.unpack("<HH", data[at + 26 : at + 30]))
                name = member.filename.removesuffix(".npy")
                spans[name] = [(at + before, member.compress_size)]
        return spans
    with h5py.File(path) as file:
        for name in raws.canonical():
            dataset = file[WRITERS["hdf5"].spell(name)].id
            chunks = map(dataset.get_chunk_info, range(dataset.get_num_chunks()))
            spans[name] = [(chunk.byte_offset, chunk.size) for chunk in chunks]
    return spans


def inflate(artefact: str, data: bytes, size: int = 0) -> bytes:
    """Return what deflated bytes hold, up to ``size``; nothing where they are damaged."""
    # HDF5 has them in zlib's envelope, zip has none.
    bits = -zlib.MAX_WBITS if artefact == "deflated npz" else zlib.MAX_WBITS
    try:
        return zlib.decompressobj(bits).decompress(data, size)
    except zlib.error:
        return b""


@pytest.mark.parametrize("artefact", DEFLATED)
def test_one_bit_anywhere_in_deflated_data_is_caught_and_named(
    artefact: str, random: dict[str, Path], tmp_path: Path
) -> None:
    path, _ = make(artefact, random, tmp_path, rewrite=artefact == "deflated npz")
    good = path.read_bytes()
    picks = np.random.default_rng(0)
    arrays = raws.canonical()
    runs = deflated_spans(artefact, path)
    caught: list[str] = []
    for turn in range(4 * max(map(len, runs.values()))):
        damaged = bytearray(good)
        flipped = set()
        for name, spans in runs.items():
            start, size = spans[turn % len(spans)]
            whole = inflate(artefact, good[start : start + size])
            at = start + int(picks.integers(size))
            damaged[at] ^= 1 << int(picks.integers(8))
            stored = bytes(damaged[start : start + size])
            head = whole[: -arrays[name].nbytes] if artefact == "deflated npz" else b""
            if head and inflate(artefact, stored, len(head)) != head:
                # A damaged .npy header shows when the archive is opened.
                damaged[start : start + size] = good[start : start + size]
            elif inflate(artefact, stored) != whole:
                flipped.add(name)  # and not a bit that fills up the last byte and means nothing
        path.write_bytes(damaged)
        findings = gpt2_convert.verify(random["tensorflow"], path).findings
        assert sorted(finding.tensor for finding in findings) == sorted(flipped)
        assert {finding.kind for finding in findings} == {Kind.VALUES}
        caught += flipped
    assert len(caught) > len(arrays)


def test_a_swapped_tensor_is_named_even_if_the_other_one_is_damaged(
    random: dict[str, Path], tmp_path: Path
) -> None:
    first, second = (f"blocks[{layer}].attn.c_attn.w" for layer in (0, 1))
    arrays = raws.canonical()
    arrays[first], arrays[second] = arrays[second], arrays[first]
    path = tmp_path / "out.npz"
    np.savez(path, allow_pickle=False, **arrays)
    data = bytearray(path.read_bytes())
    # The record in the directory has the CRC-32 at its byte 16, the name at 46.
    record = data.rindex(f"{second}.npy".encode()) - 46
    assert data[record : record + 4] == b"PK\1\2"
    data[record + 16] ^= 1
    path.write_bytes(data)
    findings = gpt2_convert.verify(random["tensorflow"], path).findings
    hints = {finding.tensor: finding.hint or "" for finding in findings}
    assert hints.keys() == {first, second}
    assert hints[first] == f"it holds the values of {second}"
    assert hints[second].startswith("damaged after it was written: ")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@every_writer
def test_a_cast_is_proven_too(
    writer: Writer, dtype: DTypeName, random: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / writer.name
    if dtype not in writer.dtypes:
        with pytest.raises(gpt2_convert.UnsupportedError, match="safetensors"):
            writer.convert(random["tensorflow"], path, dtype=dtype)
        assert not list(tmp_path.iterdir())
        return
    report = writer.convert(random["tensorflow"], path, dtype=dtype)
    assert report.totals.dtype == dtype
    assert report.loss is not None
    assert gpt2_convert.verify(random["tensorflow"], path, dtype=dtype).ok
    assert not gpt2_convert.verify(random["tensorflow"], path).ok
    found = writer.load(path)
    assert found.keys() == {writer.spell(name) for name in raws.canonical()}
    for name, array in raws.canonical().items():
        expected = array.astype(np.dtype(dtype))  # ml_dtypes gives NumPy its bfloat16
        np.testing.assert_array_equal(found[writer.spell(name)], expected, strict=True)


def test_a_tolerance_lets_small_errors_pass_and_no_others(
    random: dict[str, Path], tmp_path: Path
) -> None:
    arrays = raws.canonical()
    arrays["wpe"] += np.float32(1e-4)
    arrays["wte"][3, 4] = np.nan
    np.savez(tmp_path / "near.npz", allow_pickle=False, **arrays)
    source = random["tensorflow"]
    exact = gpt2_convert.verify(source, tmp_path / "near.npz")
    assert {finding.tensor for finding in exact.findings} == {"wpe", "wte"}
    (finding,) = gpt2_convert.verify(source, tmp_path / "near.npz", atol=1e-3).findings
    assert (finding.tensor, finding.differing, finding.first_index) == ("wte", 1, (3, 4))
    relative = gpt2_convert.verify(source, tmp_path / "near.npz", rtol=1e-6)
    assert {finding.tensor for finding in relative.findings} == {"wpe", "wte"}


def test_a_member_that_stands_twice_is_caught_and_named(
    random: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "out.npz"
    gpt2_convert.convert(random["tensorflow"], path)
    with zipfile.ZipFile(path, "a") as archive:
        content = archive.read("wpe.npy")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("wpe.npy", content)
    (finding,) = gpt2_convert.verify(random["tensorflow"], path).findings
    assert (finding.kind, finding.tensor) == (Kind.DUPLICATE, "wpe")
