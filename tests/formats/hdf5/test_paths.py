"""Names as paths: where each tensor goes, and which names have no place in an HDF5 file."""

from __future__ import annotations

import h5py
import pytest
from support import raws

from gpt2_convert import UnsupportedError
from gpt2_convert.formats.hdf5 import paths
from gpt2_convert.formats.hdf5.paths import MAX_DEPTH, split_canonical, split_own_names


def test_a_canonical_name_has_a_group_a_layer_and_a_part() -> None:
    assert split_canonical("blocks[10].attn.c_attn.w") == ("blocks", "10", "attn", "c_attn", "w")
    assert split_canonical("wte") == ("wte",)
    assert len({split_canonical(name) for name in raws.canonical()}) == len(raws.canonical())


def test_an_own_name_has_a_group_for_each_part_before_a_slash() -> None:
    expected = {
        "bert/layer_0/kernel:0": ("bert", "layer_0", "kernel:0"),
        "bert/layer_0/bias": ("bert", "layer_0", "bias"),
        "step": ("step",),
        "blocks[0].w": ("blocks[0].w",),
        "a b/ü": ("a b", "ü"),
        "..x/...": ("..x", "..."),
    }
    assert split_own_names(expected, "x") == expected


@pytest.mark.parametrize("names", [["a", "a/Adam"], ["a/Adam", "a"], ["a/b/c", "x", "a", "a/b"]])
def test_a_tensor_that_would_be_a_group_is_named_with_one_that_would_be_in_it(
    names: list[str],
) -> None:
    with pytest.raises(UnsupportedError) as caught:
        split_own_names(names, "x.ckpt")
    message = str(caught.value)
    assert message.startswith("x.ckpt: 'a' and 'a/")
    assert message.endswith("so HDF5 cannot hold both; npz and safetensors can")


def test_the_library_cannot_hold_both_either() -> None:
    with h5py.File.in_memory() as file:
        file["a"] = 1.0
        with pytest.raises(OSError, match="Unable to create link"):
            file["a/Adam"] = 1.0


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", "a part of it is empty"),
        ("/a", "a part of it is empty"),
        ("a/", "a part of it is empty"),
        ("a//b", "a part of it is empty"),
        ("./a", r"a part of it is '\.'"),
        ("a/../b", r"a part of it is '\.\.'"),
        ("a\0b", "there is a NUL in it"),
        ("/".join("a" * (MAX_DEPTH + 1)), f"{MAX_DEPTH} groups within each other"),
    ],
)
def test_a_name_without_a_place_is_refused(name: str, fault: str) -> None:
    with pytest.raises(UnsupportedError, match=rf"^x: '.*': {fault}, so HDF5 cannot hold it$"):
        split_own_names(["b", name], "x")


def test_more_than_are_read_again_are_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "MAX_OBJECTS", 6)
    names = ["a/b/c", "a/b/d", "e"]  # and the groups a and a/b
    assert len(split_own_names(names, "x")) == 3
    with pytest.raises(UnsupportedError, match=r"^x: 6 groups and datasets, where fewer"):
        split_own_names([*names, "f"], "x")
