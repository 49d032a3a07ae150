"""How what the verbs return shows itself: one line at a prompt, a harmless table in a notebook."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save_file
from support import bundles
from support.notebook import read_tables

import gpt2_convert
from gpt2_convert.errors import FormatError
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.reports.fetch import FetchedFile, FetchReport, Proof
from gpt2_convert.reports.generation import GenerationReport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTILE = "<script>alert('1')</script> \x1b[31m \u202e \n \u2028 &amp; $x$ `x` |"
SHOWN = r"<script>alert('1')</script> \x1b[31m \u202e \n \u2028 &amp; $x$ `x` |"


@pytest.fixture
def things(tiny: Path, tmp_path: Path) -> Iterator[dict[str, object]]:
    """One of everything that a verb returns and that a program finds in it."""
    target = tmp_path / "out.npz"
    with gpt2_convert.open(tiny) as checkpoint, open_raw(tiny) as raw:
        params = checkpoint.params()
        agreement = gpt2_convert.verify(tiny, tiny, logits=True, tokens=8)
        converted = gpt2_convert.convert(tiny, target, dtype="float16", digest=True)
        different = gpt2_convert.verify(tiny, target)
        inspection = gpt2_convert.inspect(tiny, stats=True)
        assert converted.loss
        assert inspection.stats
        yield {
            "checkpoint": checkpoint,
            "as is": gpt2_convert.open(tiny, as_is=True),
            "raw": raw,
            "config": checkpoint.config,
            "hparams": checkpoint.hparams,
            "keys": checkpoint.keys(),
            "values": checkpoint.values(),
            "items": checkpoint.items(),
            "tensor": checkpoint["wte"],
            "tree": checkpoint.tree(),
            "params": params,
            "block": params.blocks[0],
            "linear": params.blocks[0].mlp.c_fc,
            "converted": converted,
            "loss": converted.loss,
            "different": different,
            "finding": different.findings[0],
            "agreement": agreement,
            "logits": agreement.logits,
            "inspection": inspection,
            "taken": gpt2_convert.inspect(tiny, as_is=True),
            "stats": inspection.stats[0],
            "digest": gpt2_convert.digest(tiny),
            "model": gpt2_convert.load(tiny),
            "fetch": FetchReport(
                "124M", "models/124M", "tensorflow", "https://example.org", None,
                (FetchedFile("a", 1, "0" * 64, Proof.SIZE, fetched=True),), 1, converted.totals,
            ),
            "generation": GenerationReport("x", (1,) * 1000, tuple(range(900)), None, "n", 1),
        }  # fmt: skip


def test_everything_is_one_line_that_can_be_read(things: dict[str, object]) -> None:
    for name, thing in things.items():
        for text in (repr(thing), str(thing)):
            assert text.isprintable(), name
            assert 10 < len(text) < 500, (name, text)


def test_what_stands_in_the_line(things: dict[str, object], tiny: Path, tmp_path: Path) -> None:
    source, target = f"'{tiny}/model.ckpt' (tensorflow)", f"'{tmp_path}/out.npz' (npz)"
    assert repr(things["converted"]) == (
        f"<ConversionReport {source} to {target}: 40 tensors, verified>"
    )
    assert repr(things["different"]) == (
        f"<VerificationReport {source} and {target}: 40 tensors, different (40 findings)>"
    )
    assert repr(things["agreement"]) == (
        f"<VerificationReport {source} and {source}: 40 tensors, agree in what they say>"
    )
    assert repr(things["inspection"]) == (
        f"<InspectionReport '{tiny}' (tensorflow): gpt2, 40 tensors>"
    )
    digest = gpt2_convert.digest(tiny).sha256
    assert repr(things["digest"]) == f"<DigestReport {source}: 40 tensors, sha256 {digest}>"
    assert repr(things["fetch"]) == (
        "<FetchReport '124M' in 'models/124M' (tensorflow): 1 file, the origin of 1 not proven>"
    )
    assert repr(things["generation"]) == (
        "<GenerationReport 'x': 1,000 tokens and 900 more, 900.0 a second>"
    )
    other = tmp_path / "other.npz"
    np.savez(other, a=np.ones(3))
    assert repr(gpt2_convert.inspect(other)) == (
        f"<InspectionReport '{other}' (npz): not a GPT-2, 1 tensor>"
    )
    assert repr(gpt2_convert.inspect(other, as_is=True)) == (
        f"<InspectionReport '{other}' (npz): taken as it is, 1 tensor>"
    )
    loss = things["loss"]
    assert isinstance(loss, gpt2_convert.CastLoss)
    assert repr(loss) == (
        f"<CastLoss of 40 tensors to float16: max_abs_error={loss.max_abs_error}, "
        f"max_rel_error={loss.max_rel_error}, zeroed={loss.zeroed}, overflows=0>"
    )
    within = gpt2_convert.verify(tiny, tiny, atol=1.0)
    assert repr(within).endswith(": 40 tensors, equal within the tolerance>")
    assert repr(gpt2_convert.verify(tiny, tiny)).endswith(": 40 tensors, equal>")
    unproven = gpt2_convert.convert(tiny, tmp_path / "b.npz", verify=False)
    assert repr(unproven).endswith(": 40 tensors, not verified>")


def test_a_notebook_s_tables_hold_what_the_objects_do(
    things: dict[str, object], tiny: Path
) -> None:
    tables = {
        name: read_tables(thing._repr_html_())
        for name, thing in things.items()
        if hasattr(thing, "_repr_html_")
    }
    assert tables.keys() == {
        "checkpoint", "as is", "converted", "different", "agreement", "inspection", "taken",
        "digest", "fetch", "generation",
    }  # fmt: skip
    facts, tensors = tables["checkpoint"]
    assert facts.caption == f"Checkpoint {tiny}/model.ckpt (tensorflow)"
    expected = bundles.gpt2_arrays()
    parameters = sum(array.size for array in expected.values())
    assert facts.facts["parameters"] == f"{parameters:,}"
    assert facts.facts["bytes"] == f"{4 * parameters:,}"
    assert tensors.rows[0] == ["name", "shape", "dtype", "bytes"]
    assert tensors.rows[1] == ["wte", "[61, 32]", "float32", "7,808"]
    assert len(tensors.rows) == 41
    _, findings = tables["different"]
    assert findings.rows[1][:3] == ["dtype", "wte", "float32 in the source, float16 in the target"]
    assert len(findings.rows) == 41
    _, listed = tables["inspection"]
    wte = expected["model/wte"]
    assert listed.rows[1][:6] == [
        "wte", "[61, 32]", "float32", "7,808", f"{wte.min():.4g}", f"{wte.max():.4g}"
    ]  # fmt: skip
    facts, files = tables["fetch"]
    assert facts.facts["from"] == "https://example.org"
    assert files.rows[1] == ["a", "1", "size", "0" * 64]
    assert tables["digest"][0].facts["sha256"] == gpt2_convert.digest(tiny).sha256


def test_a_hostile_name_is_harmless_in_every_face(tmp_path: Path) -> None:
    folder = tmp_path / "<b> \x1b[31m \u202e\n"
    folder.mkdir()
    arrays = {HOSTILE: np.ones(3, np.float32), "x" * 10_000: np.zeros(2, np.float32)}
    save_file(arrays, folder / "a.safetensors")
    save_file({**arrays, HOSTILE: np.zeros(3, np.float32)}, folder / "b.safetensors")
    source = folder / "a.safetensors"
    collection = gpt2_convert.open(source, as_is=True)
    faces: list[object] = [
        collection,
        gpt2_convert.inspect(source, stats=True),
        gpt2_convert.inspect(source, as_is=True),
        gpt2_convert.digest(source, as_is=True),
        gpt2_convert.convert(source, folder / "c.npz", as_is=True),
        gpt2_convert.verify(source, folder / "b.safetensors", as_is=True),
        dataclasses.replace(
            gpt2_convert.inspect(source),
            notes=(HOSTILE,),
            errors=(FormatError(HOSTILE),),
            path=HOSTILE,
        ),
        GenerationReport(HOSTILE, (1,), (2,), HOSTILE, None, 1, (HOSTILE,)),
    ]
    cells: set[str] = set()
    for face in faces:
        assert repr(face).isprintable()
        assert len(repr(face)) < 900
        assert hasattr(face, "_repr_html_")
        for table in read_tables(face._repr_html_()):
            cells.update(cell for row in table.rows for cell in row)
    assert SHOWN in cells
    for shown in (collection.keys(), collection.values(), collection.items(), collection[HOSTILE]):
        assert repr(shown).isprintable()
    with pytest.raises(KeyError) as caught:
        collection[HOSTILE[:-2]]
    assert str(caught.value).isprintable()
