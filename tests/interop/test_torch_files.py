"""What torch saves is read as torch loads it, and what the tests make without torch is the same."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections import Counter, OrderedDict, defaultdict
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interop.test_transformers import load, logits
from support import bundles, raws, torch_files
from support.writers import Writer, every_writer

import gpt2_convert
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.pytorch.dtypes import DTYPES, STORAGES

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

pytestmark = [
    pytest.mark.interop,
    # torch and transformers warn of their own affairs.
    pytest.mark.filterwarnings("default::DeprecationWarning"),
    pytest.mark.filterwarnings("default::FutureWarning"),
    pytest.mark.filterwarnings("default::UserWarning"),
]
FORMATS = pytest.mark.parametrize("format", torch_files.FORMATS)
DTYPES_OF_TORCH = sorted(name.removeprefix("torch.") for name in DTYPES)
NEW = {name for name in DTYPES_OF_TORCH if name.startswith(("uint", "float8"))} - {"uint8"}
"""Dtypes of which torch reads no file of the older format, though it writes them."""


def save(path: Path, value: object, format: str = "zip", protocol: int = 2) -> Path:
    import torch

    torch.save(
        value,
        path,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=format == "zip",
    )
    return path


def bits(tensor: Tensor) -> bytes:
    """Return the elements of a tensor as torch has them, in C order."""
    import torch

    flat = torch.empty(tensor.numel(), dtype=tensor.dtype)
    flat.copy_(tensor.detach().reshape(-1))
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def assert_same(path: Path, expected: dict[str, Any]) -> None:
    with open_raw(path) as raw:
        for fault in raw.faults:
            raise fault
        assert [tensor.name for tensor in raw.tensors] == list(expected)
        for tensor in raw.tensors:
            theirs = expected[tensor.name]
            assert tensor.shape == tuple(theirs.shape)
            assert f"torch.{tensor.dtype}" == str(theirs.dtype)
            assert b"".join(tensor.chunks()) == bits(theirs)


# Any state dict.


@st.composite
def state_dicts(draw: st.DrawFn) -> dict[str, Any]:
    """Draw views of storages: shapes, strides, offsets, dtypes, sharing, parameters."""
    import torch

    state: dict[str, Any] = {}
    for _ in range(draw(st.integers(1, 3))):
        dtype = getattr(torch, draw(st.sampled_from(sorted(set(DTYPES_OF_TORCH) - NEW))))
        views: list[tuple[int, tuple[int, ...], tuple[int, ...], int]] = []
        for _ in range(draw(st.integers(1, 4))):
            shape = tuple(draw(st.lists(st.integers(0, 5), max_size=4)))
            strides = tuple(draw(st.integers(0, 12)) for _ in shape)
            offset = draw(st.integers(0, 9))
            reach = sum((dim - 1) * step for dim, step in zip(shape, strides, strict=True))
            views.append((offset, shape, strides, 0 if 0 in shape else offset + reach + 1))
        size = max(needed for *_, needed in views) + draw(st.integers(0, 3))
        seed = draw(st.integers(0, 1 << 30))
        data = bytearray(np.random.default_rng(seed).bytes(size * dtype.itemsize))
        if dtype is torch.bool:
            data = bytearray(byte & 1 for byte in data)
        whole = torch.frombuffer(data, dtype=dtype) if size else torch.empty(0, dtype=dtype)
        for offset, shape, strides, needed in views:
            offset = offset if needed else 0
            view = torch.as_strided(whole, shape, strides, offset)
            if dtype.is_floating_point and draw(st.booleans()):
                view = torch.nn.Parameter(view, requires_grad=draw(st.booleans()))
            state[draw(st.text(max_size=8)) + str(len(state))] = view
    return state


@FORMATS
@settings(max_examples=200, deadline=None)
@given(state=state_dicts(), ordered=st.booleans(), protocol=st.sampled_from([2, 2, 2, 3, 4, 5]))
def test_any_state_dict_is_what_torch_load_makes_of_it(
    format: str,
    state: dict[str, Any],
    ordered: bool,
    protocol: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    import torch

    path = tmp_path_factory.getbasetemp() / f"any-{format}.pt"
    save(path, OrderedDict(state) if ordered else state, format, protocol)
    loaded = torch.load(path, weights_only=protocol == 2)
    assert_same(path, loaded)


@pytest.mark.parametrize("dtype", DTYPES_OF_TORCH)
@FORMATS
def test_every_dtype_is_read(format: str, dtype: str, tmp_path: Path) -> None:
    import torch

    data = bytearray(np.random.default_rng(0).bytes(24 * 16))
    if dtype == "bool":
        data = bytearray(byte & 1 for byte in data)
    whole = torch.frombuffer(data, dtype=getattr(torch, dtype))
    state = {"whole": whole, "turned": torch.as_strided(whole, (3, 4), (1, 3), 2)}
    path = save(tmp_path / "x.pt", state, format)
    assert_same(path, state if format == "legacy" and dtype in NEW else torch.load(path))


def test_torch_has_the_names_of_dtypes_and_storages() -> None:
    import torch

    for name, dtype in DTYPES.items():
        assert getattr(torch, name.removeprefix("torch.")).itemsize == dtype.itemsize
    for name, dtype in STORAGES.items():
        kind = torch
        for part in name.split(".")[1:]:
            kind = getattr(kind, part)
        if name != "torch.storage.UntypedStorage":
            assert str(kind.dtype) == f"torch.{dtype}"


# What torch.save writes besides.


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@FORMATS
def test_a_training_checkpoint_is_read_for_its_model(
    format: str, protocol: int, tmp_path: Path
) -> None:
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    plain = {
        "text": "x", "bytes": b"\xff\0", "complex": 1j, "tuple": (1, 2, 3, 4), "long": 1 << 100,
        "set": {1}, "frozen": frozenset([2]), "size": torch.Size([1, 2]), "dtype": torch.bfloat16,
        "device": torch.device("cpu"), "counter": Counter("aab"), "float": 1e-9,
        "negative": -70_000,
        "default": defaultdict(list, a=[1]), "none": None, "many": list(range(3000)),
        "layout": torch.strided,
    }  # fmt: skip
    if protocol == 5:
        del plain["bytes"]
    checkpoint = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng_state": torch.get_rng_state(),
        "best_val_loss": torch.tensor(1.5),
        "config": plain,
    }
    if format == "legacy":
        del checkpoint["rng_state"]
    path = save(tmp_path / "ckpt.pt", checkpoint, format, protocol)
    assert_same(path, model.state_dict())
    with open_raw(path) as raw:
        (note,) = raw.notes
    assert note.startswith("read from model; left out beside it: 'optimizer' (")
    assert note.endswith("'config'")


def test_tensors_with_attributes_are_read(tmp_path: Path) -> None:
    import torch

    plain, parameter = torch.arange(4.0), torch.nn.Parameter(torch.ones(2))
    plain.note = parameter.note = "mine"
    path = save(tmp_path / "x.pt", {"plain": plain, "parameter": parameter})
    assert b"_rebuild_from_type_v2" in path.read_bytes()
    assert b"_rebuild_parameter_with_state" in path.read_bytes()
    assert_same(path, torch.load(path))


def test_files_without_checksums_are_read(tmp_path: Path) -> None:
    import torch

    torch.serialization.set_crc32_options(False)
    try:
        path = save(tmp_path / "x.pt", {"a": torch.arange(5)})
    finally:
        torch.serialization.set_crc32_options(True)
    assert_same(path, torch.load(path))
    with open_raw(path) as raw:
        assert raw.notes == ("the file has no checksums: torch was told so",)


def test_what_is_no_plain_tensor_is_refused_by_name(tmp_path: Path) -> None:
    import torch

    others = {
        "sparse": torch.eye(3).to_sparse(),
        "quantised": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        "'meta'": torch.ones(3, device="meta"),
        "marked 'conj'": torch.ones(3, dtype=torch.complex64).conj(),
        "marked 'neg'": torch._neg_view(torch.ones(3)),
        "torch.nn.modules.linear.Linear": torch.nn.Linear(2, 3),
        "torch.optim.sgd.SGD": torch.optim.SGD([torch.nn.Parameter(torch.ones(1))]),
    }
    for words, value in others.items():
        path = save(tmp_path / "x.pt", {"a": value})
        with pytest.raises(gpt2_convert.UnsupportedError, match=words.replace(".", r"\.")):
            open_raw(path)


def test_a_torchscript_archive_is_refused_as_what_it_is(tmp_path: Path) -> None:
    import torch

    torch.jit.trace(torch.nn.Linear(2, 3), torch.ones(1, 2)).save(tmp_path / "x.pt")
    with pytest.raises(gpt2_convert.UnsupportedError, match="a TorchScript archive"):
        open_raw(tmp_path / "x.pt")


# The tests' own files.


def twins() -> tuple[OrderedDict[str, Any], OrderedDict[str, Any]]:
    """Return the same state dict for torch and for the tests' pickler."""
    import torch

    array = np.arange(6, dtype=np.float32)
    whole = torch.from_numpy(array.copy())
    storage = torch_files.Storage(array)
    half = np.arange(3).astype(ml_dtypes.bfloat16)
    theirs = OrderedDict(
        a=whole.reshape(2, 3),
        b=whole.reshape(2, 3).t(),
        c=torch.ones((), dtype=torch.int64),
        d=torch.arange(3).to(torch.bfloat16),
        e=torch.nn.Parameter(torch.ones(2)),
    )
    ours = OrderedDict(
        a=torch_files.view(storage, (2, 3)),
        b=torch_files.view(storage, (3, 2), (1, 3)),
        c=torch_files.tensor(np.ones((), np.int64)),
        d=torch_files.tensor(half),
        e=torch_files.tensor(np.ones(2, np.float32), parameter=True),
    )
    for each in (theirs, ours):
        vars(each)["_metadata"] = OrderedDict({"": {"version": 1}})
    return theirs, ours


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_tests_pickles_are_torch_s_byte_for_byte(protocol: int, tmp_path: Path) -> None:
    theirs, ours = twins()
    path = save(tmp_path / "x.pt", {"model": theirs, "n": [1, 2.5, None]}, protocol=protocol)
    with zipfile.ZipFile(path) as archive:
        expected = archive.read("x/data.pkl")
    found, _ = torch_files.pickled({"model": ours, "n": [1, 2.5, None]}, protocol)
    assert found == expected


@FORMATS
def test_torch_loads_the_tests_files(format: str, tmp_path: Path) -> None:
    import torch

    theirs, ours = twins()
    path = torch_files.write(tmp_path / "x.pt", ours, format)
    loaded = torch.load(path, weights_only=True)
    assert list(loaded) == list(theirs)
    for name, tensor in theirs.items():
        assert torch.equal(loaded[name], tensor)
        assert loaded[name].dtype == tensor.dtype
    assert_same(path, loaded)


# Whole models.


def twin_folders(folder: Path, dtype: str) -> dict[str, Path]:
    """Write one model as safetensors, as a state dict in both formats, and in shards."""
    import torch
    from safetensors.torch import save_file

    state = {
        f"transformer.{name}": torch.from_numpy(array.copy()).to(getattr(torch, dtype))
        for name, array in raws.huggingface().items()
    }
    for layer in range(bundles.TINY["n_layer"]):
        mask = torch.tril(torch.ones(16, 16, dtype=torch.uint8)).view(1, 1, 16, 16)
        state[f"transformer.h.{layer}.attn.bias"] = mask
        state[f"transformer.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    folders = {name: folder / name for name in ("safetensors", "zip", "legacy", "shards", "views")}
    for each in folders.values():
        each.mkdir(parents=True)
        (each / "config.json").write_text(json.dumps(raws.CONFIG))
    save_file(state, folders["safetensors"] / "model.safetensors", {"format": "pt"})
    tied = {**state, "lm_head.weight": state["transformer.wte.weight"]}
    for format in torch_files.FORMATS:
        save(folders[format] / "pytorch_model.bin", OrderedDict(tied), format)
    # As transformers 4.20 did: shards in the order of the names, and their index.
    names = list(tied)
    weight_map: dict[str, str] = {}
    for number, part in enumerate((names[:20], names[20:40], names[40:])):
        shard = f"pytorch_model-{number + 1:05d}-of-00003.bin"
        save(folders["shards"] / shard, {name: tied[name] for name in part})
        weight_map |= dict.fromkeys(part, shard)
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    text = json.dumps(index, indent=2, sort_keys=True) + "\n"
    (folders["shards"] / "pytorch_model.bin.index.json").write_text(text)
    # All weights in one storage, and the matrices turned around as views of it.
    masks = (".attn.bias", ".attn.masked_bias")
    weights = {name: each for name, each in state.items() if not name.endswith(masks)}
    flat = torch.cat([each.t().reshape(-1) for each in weights.values()])
    views, at = dict(state), 0
    for name, each in weights.items():
        views[name] = flat[at : at + each.numel()].view(each.t().shape).t()
        at += each.numel()
    save(folders["views"] / "pytorch_model.bin", {"module": views, "epoch": 3})
    return folders


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_every_kind_of_file_has_the_digest_of_its_safetensors_twin(
    dtype: str, tmp_path: Path
) -> None:
    folders = twin_folders(tmp_path, dtype)
    expected = gpt2_convert.digest(folders["safetensors"])
    for name, folder in folders.items():
        found = gpt2_convert.digest(folder)
        assert (name, found.sha256) == (name, expected.sha256)
        target = tmp_path / f"{name}.safetensors"
        assert gpt2_convert.convert(folder, target).ok
        assert gpt2_convert.verify(folders["safetensors"], target).ok


@every_writer
def test_a_model_really_trained_becomes_every_target_with_its_logits(
    writer: Writer, shared_data: Path, tmp_path: Path
) -> None:
    source = shared_data / "hf-aitextgen-dangus"
    written = tmp_path / writer.name
    report = writer.convert(source, written)
    assert report.ok
    reasons = {drop.source_name: drop.reason for drop in report.dropped}
    assert reasons.pop("lm_head.weight") == "tied: equal to wte in every bit"
    assert set(reasons.values()) == {"causal mask buffer"}
    assert len(reasons) == 8
    folder = tmp_path / "folder"
    gpt2_convert.convert(written, folder, to="hf")
    texts = json.loads((source / "reference" / "texts.json").read_text())
    with np.load(source / "reference" / "logits.npz") as reference:
        expected = [reference[f"logits_{number}"] for number in range(len(texts["ids"]))]
    model = load(folder)
    for ids, values in zip(texts["ids"], expected, strict=True):
        found = logits(model, np.array([ids]))[0]
        np.testing.assert_allclose(found, values, rtol=0, atol=1e-5)


def test_torch_s_own_loading_agrees_with_a_model_really_trained(shared_data: Path) -> None:
    import torch

    path = shared_data / "hf-aitextgen-dangus" / "pytorch_model.bin"
    assert_same(path, torch.load(path, weights_only=True))


def test_a_file_that_is_read_from_a_stream_is_torch_s_too(tmp_path: Path) -> None:
    import torch

    stream = io.BytesIO()
    torch.save({"a": torch.arange(3)}, stream)
    (tmp_path / "x").write_bytes(stream.getvalue())
    assert_same(tmp_path / "x", {"a": torch.arange(3)})


# Floats of eight bits.


@pytest.mark.parametrize("dtype", sorted(each for each in DTYPES_OF_TORCH if "float8" in each))
def test_floats_of_eight_bits_go_where_safetensors_for_torch_puts_them(
    dtype: str, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    numbers = torch.arange(256, dtype=torch.uint8).view(getattr(torch, dtype)).reshape(16, 16)
    value = {"w": numbers, "t": numbers.t(), "one": torch.ones(3)}
    source = save(tmp_path / "x.pt", value)
    save_file(
        {name: each.contiguous() for name, each in value.items()}, tmp_path / "theirs.safetensors"
    )
    gpt2_convert.convert(source, tmp_path / "ours.safetensors", as_is=True)
    ours = load_file(tmp_path / "ours.safetensors")
    for name, tensor in value.items():
        assert ours[name].dtype == tensor.dtype
        assert bits(ours[name]) == bits(tensor)
    for name in ("ours", "theirs"):
        assert gpt2_convert.verify(source, tmp_path / f"{name}.safetensors", as_is=True).ok
    digests = {
        gpt2_convert.digest(path, as_is=True).sha256
        for path in (source, tmp_path / "ours.safetensors", tmp_path / "theirs.safetensors")
    }
    assert len(digests) == 1
    with pytest.raises(gpt2_convert.UnsupportedError, match=f"'t': NumPy has no {dtype}"):
        gpt2_convert.convert(source, tmp_path / "out.npz", as_is=True)


# What trainers save beside the weights.


@FORMATS
@pytest.mark.parametrize("protocol", [2, 4])
def test_plain_data_of_other_classes_beside_the_weights_are_left_out(
    format: str, protocol: int, tmp_path: Path
) -> None:
    import argparse
    import datetime
    import pathlib

    import torch

    beside: dict[str, Any] = {
        "args": argparse.Namespace(lr=3e-4, out=pathlib.PurePosixPath("out"), device="cuda"),
        "best_val_loss": np.float64(2.5),
        "steps": np.int64(7),
        "out_dir": tmp_path,
        "saved": datetime.datetime(2024, 2, 29, 12),
        "seen": Counter({"a": 2}),
        "log": defaultdict(list, loss=[1.0]),
        "version": torch.__version__,
        "shape": torch.Size([2, 3]),
        "device": torch.device("cpu"),
        "dtype": torch.bfloat16,
        "layout": torch.strided,
    }
    weights = {"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3, dtype=torch.bfloat16)}
    alone = save(tmp_path / "alone.pt", weights, format, protocol)
    whole = save(tmp_path / "whole.pt", {"model": weights, **beside}, format, protocol)
    # Torch itself refuses the whole of it, unless it may run what is there.
    with pytest.raises(pickle.UnpicklingError):
        torch.load(whole, weights_only=True)
    assert_same(whole, weights)
    digests = [gpt2_convert.digest(path, as_is=True).sha256 for path in (alone, whole)]
    assert digests[0] == digests[1]
    with open_raw(whole) as raw:
        (note,) = raw.notes
    listed = ", ".join(map(repr, beside))
    assert note == f"read from model; left out beside it: {listed}"
