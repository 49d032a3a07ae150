"""Matrices come as GPT-2 has them, whether the file has them so or as nn.Linear does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from support import bundles, raws

import gpt2_convert
from gpt2_convert.errors import SchemaError, UnsupportedError
from gpt2_convert.model.adopt import adopt
from gpt2_convert.model.layout import is_linear
from gpt2_convert.model.names import match
from gpt2_convert.model.schema import load_family

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    Array = np.ndarray[Any, Any]

NOTE = "read transposed: nn.Linear's layout [out, in]"
SIZES = {"n_embd": 32, "n_inner": 128}


def flip(arrays: Mapping[str, Array], *names: str) -> dict[str, Array]:
    return {
        name: np.ascontiguousarray(array.T) if name in names else array
        for name, array in arrays.items()
    }


def assert_canonical(checkpoint: gpt2_convert.Checkpoint) -> None:
    expected = raws.canonical()
    assert list(checkpoint) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(checkpoint[name].array(), array, strict=True)


@pytest.mark.parametrize("stated", [None, bundles.TINY])
def test_a_file_of_linear_layers_is_read_transposed(stated: dict[str, int] | None) -> None:
    checkpoint = adopt(raws.raw(raws.linear(raws.canonical()), stated))
    assert_canonical(checkpoint)
    assert checkpoint.notes == (NOTE,)
    assert checkpoint.config.n_inner == 128


def test_any_width_between_the_maps_of_the_mlp_will_do() -> None:
    for width in (32, 7, 200):
        arrays = raws.canonical()
        for layer in range(3):
            arrays[f"blocks[{layer}].mlp.c_fc.w"] = np.ones((32, width), np.float32)
            arrays[f"blocks[{layer}].mlp.c_fc.b"] = np.ones(width, np.float32)
            arrays[f"blocks[{layer}].mlp.c_proj.w"] = np.ones((width, 32), np.float32)
        checkpoint = adopt(raws.raw(raws.linear(arrays)))
        assert checkpoint.config.n_inner == width
        assert {name: tensor.shape for name, tensor in checkpoint.items()} == {
            name: array.shape for name, array in arrays.items()
        }


def test_layers_with_and_without_a_unit_axis_are_the_same() -> None:
    arrays = bundles.gpt2_arrays()
    squeezed = {name: array.squeeze() for name, array in arrays.items()}
    assert_canonical(adopt(raws.raw(squeezed, bundles.TINY)))
    assert_canonical(adopt(raws.raw(squeezed)))
    assert_canonical(adopt(raws.raw({**arrays, **dict(list(squeezed.items())[:20])})))
    turned = {
        name: each.swapaxes(-1, -2) if each.ndim == 3 else each for name, each in arrays.items()
    }
    checkpoint = adopt(raws.raw(turned))
    assert_canonical(checkpoint)
    assert checkpoint.notes == (NOTE,)


@given(st.sets(st.sampled_from([n for n in raws.canonical() if ".c_" in n and n.endswith("w")])))
@settings(max_examples=40)
def test_a_mixed_layout_is_refused_as_a_source(flipped: set[str]) -> None:
    arrays = flip(raws.canonical(), *flipped)
    oblong = {name for name in arrays if ".c_" in name and name.endswith("w")}
    oblong = {name for name in oblong if "attn.c_proj" not in name}
    found = match(raws.raw(arrays), load_family())
    assert is_linear(found, SIZES) is (oblong <= flipped)
    if not flipped & oblong or oblong <= flipped:
        adopt(raws.raw(arrays))
        return
    with pytest.raises(SchemaError) as caught:
        adopt(raws.raw(arrays, bundles.TINY))
    assert len(caught.value.problems) == len(flipped & oblong)
    for problem in caught.value.problems:
        assert problem.endswith("it is transposed as nn.Linear's are, and other matrices are not")


def test_a_model_without_biases_is_refused_by_name() -> None:
    arrays = {
        name: array
        for name, array in raws.linear(raws.huggingface()).items()
        if not name.endswith(".bias")
    }
    for stated in (None, bundles.TINY):
        with pytest.raises(UnsupportedError) as caught:
            adopt(raws.raw(arrays, stated))
        assert str(caught.value) == (
            "memory: a nanoGPT model without biases (bias=False), and GPT-2 has them: add a bias "
            "of zeros for every layer norm and linear map, which changes nothing that it computes"
        )


def test_without_the_linear_layout_missing_biases_are_missing_tensors() -> None:
    arrays = {n: each for n, each in raws.huggingface().items() if not n.endswith(".bias")}
    with pytest.raises(SchemaError, match=r"'h\.0\.ln_1\.bias' is missing"):
        adopt(raws.raw(arrays))


def test_a_linear_target_equals_and_a_mixed_one_is_transposed(tmp_path: Path) -> None:
    source, turned = tmp_path / "source.safetensors", tmp_path / "turned.safetensors"
    save_file(raws.huggingface(), source)
    save_file(raws.linear(raws.huggingface()), turned)
    for first, second in ((source, turned), (turned, source), (turned, turned)):
        report = gpt2_convert.verify(first, second)
        assert report.ok
        assert any(NOTE in note for note in report.notes)
    mixed = tmp_path / "mixed.safetensors"
    save_file(flip(raws.huggingface(), "h.1.mlp.c_fc.weight"), mixed)
    for first in (source, turned):
        (finding,) = gpt2_convert.verify(first, mixed).findings
        assert (finding.tensor, finding.hint) == ("blocks[1].mlp.c_fc.w", "transposed")
    almost = flip(raws.linear(raws.huggingface()), "h.1.attn.c_proj.weight")
    save_file(almost, mixed)
    (finding,) = gpt2_convert.verify(source, mixed).findings
    assert (finding.tensor, finding.hint) == ("blocks[1].attn.c_proj.w", "transposed")


def test_what_comes_after_sees_the_canonical_layout(tmp_path: Path) -> None:
    source, turned = tmp_path / "source.safetensors", tmp_path / "turned.safetensors"
    save_file(raws.huggingface(), source)
    save_file(raws.linear(raws.huggingface()), turned)
    assert gpt2_convert.digest(turned).lines == gpt2_convert.digest(source).lines
    found, expected = (gpt2_convert.inspect(each, stats=True) for each in (turned, source))
    assert [each.shape for each in found.tensors] == [each.shape for each in expected.tensors]
    # The sum that a mean is made of depends on the order of the elements, in its last digits.
    for one, other in zip(found.stats or (), expected.stats or (), strict=True):
        assert one is not None
        assert other is not None
        assert (one.min, one.max) == (other.min, other.max)
    report = gpt2_convert.convert(turned, tmp_path / "out.npz", dtype="float16")
    assert report.notes[0] == NOTE
    with np.load(tmp_path / "out.npz") as archive:
        for name, array in raws.canonical().items():
            np.testing.assert_array_equal(archive[name], array.astype(np.float16), strict=True)
