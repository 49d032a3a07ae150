"""Archives that other programs made: their names, their compression, their pickles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws

import gpt2_convert
from gpt2_convert.model.schema import load_family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    Save = Callable[..., None]


def dotted(name: str) -> str:
    return name.replace("[", ".").replace("]", "")


def slashed(name: str) -> str:
    return name.replace("[", "/").replace("]", "").replace(".", "/")


def flatten(node: Any, separator: str, prefix: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Yield (path, array) of nested parameters, as people flatten them before np.savez."""
    if not isinstance(node, dict | list):
        yield prefix, node
        return
    for key, child in node.items() if isinstance(node, dict) else enumerate(node):
        yield from flatten(child, separator, f"{prefix}{separator}{key}" if prefix else str(key))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("separator", [".", "/"])
def test_flattened_parameters_of_picogpt_are_read(
    separator: str, save: Save, tiny: Path, tmp_path: Path
) -> None:
    params = gpt2_convert.load_gpt2_params_from_tf_ckpt(tiny, bundles.TINY)
    arrays = dict(flatten(params, separator))
    assert separator.join(("blocks", "2", "mlp", "c_proj", "w")) in arrays
    save(tmp_path / "params.npz", **arrays)
    report = gpt2_convert.verify(tiny, tmp_path / "params.npz")
    assert report.ok
    assert report.totals.tensors == 40
    with gpt2_convert.open(tmp_path / "params.npz") as checkpoint:
        for name, weights in raws.canonical().items():
            np.testing.assert_array_equal(checkpoint[name].array(), weights, strict=True)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_names_of_tensorflow_are_read(save: Save, tiny: Path, tmp_path: Path) -> None:
    save(tmp_path / "params.npz", **bundles.gpt2_arrays())
    assert gpt2_convert.verify(tiny, tmp_path / "params.npz").ok
    assert gpt2_convert.verify(tmp_path / "params.npz", tiny).ok


def test_pickled_parameters_are_refused_by_name(tiny: Path, tmp_path: Path) -> None:
    with gpt2_convert.open(tiny) as checkpoint:
        np.savez(tmp_path / "params.npz", params=np.array(checkpoint.tree(), dtype=object))
    with pytest.raises(
        gpt2_convert.UnsupportedError, match=r"'params\.npy': pickled Python objects.*allow_pickle"
    ):
        gpt2_convert.open(tmp_path / "params.npz")


@pytest.mark.parametrize(("spelling", "spell"), [("dotted", dotted), ("slashed", slashed)])
def test_derived_spellings_are_the_canonical_name_otherwise_punctuated(
    spelling: str, spell: Callable[[str], str]
) -> None:
    slots = load_family().slots(12)
    spelled = {slot.spell("name"): slot.spell(spelling) for slot in slots}
    assert spelled == {name: spell(name) for name in spelled}
    assert "blocks[11].mlp.c_proj.b" in spelled
    assert "ln_f.g" in spelled


def test_a_mistyped_name_gets_its_suggestion_in_the_same_spelling(
    tiny: Path, tmp_path: Path
) -> None:
    params = gpt2_convert.load_gpt2_params_from_tf_ckpt(tiny, bundles.TINY)
    arrays = dict(flatten(params, "/"))
    arrays["blocks/1/attn/c_atn/w"] = arrays.pop("blocks/1/attn/c_attn/w")
    np.savez(tmp_path / "params.npz", **arrays)
    with pytest.raises(
        gpt2_convert.SchemaError, match="did you mean 'blocks/1/attn/c_attn/w'"
    ) as caught:
        gpt2_convert.open(tmp_path / "params.npz")
    assert len(caught.value.problems) == 2
