"""What --json prints is one document, and the schemas in the package describe it exactly."""

from __future__ import annotations

import copy
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support import bundles
from support.documents import validator

import gpt2_convert
from gpt2_convert.cli.program import run
from gpt2_convert.formats.readers import READERS
from gpt2_convert.formats.writers import WRITERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Json = dict[str, Any]
    Print = Callable[..., tuple[int, Json]]

OPTIONAL = {"n_head", "hint"}
"""Keys that may be absent."""


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Print:
    """Run a command with --json and return its exit code and its document."""

    def call(*arguments: str | Path) -> tuple[int, Json]:
        capsys.readouterr()
        code = run([*map(str, arguments), "--json"])
        captured = capsys.readouterr()
        assert captured.out.isascii()
        document: Json = json.loads(captured.out)
        if code == 2:
            assert captured.err.count("\n") == 1
        return code, document

    return call


def parts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    """Yield the path of every object in a document, of a list's items the first alone."""
    if isinstance(value, dict):
        yield path
        for key, below in value.items():
            yield from parts(below, (*path, key))
    elif isinstance(value, list):
        for below in value[:1]:
            yield from parts(below, (*path, 0))


def assert_described(document: Json, name: str) -> None:
    """The document is valid, and is not if a key is missing, unheard of, or of another type."""
    described = validator(name)
    described.validate(document)
    for path in parts(document):
        changed = copy.deepcopy(document)
        place = changed
        for step in path:
            place = place[step]
        for key, value in list(place.items()):
            if key not in OPTIONAL:
                del place[key]
                assert not described.is_valid(changed), (*path, key)
            place[key] = [[]]
            assert not described.is_valid(changed), (*path, key)
            place[key] = value
        place["unheard_of"] = 1
        assert not described.is_valid(changed), path
        del place["unheard_of"]
        assert changed == document


@pytest.fixture
def npz(tiny: Path, tmp_path: Path) -> Path:
    gpt2_convert.convert(tiny, tmp_path / "tiny.npz")
    return tmp_path / "tiny.npz"


@pytest.mark.parametrize("name", ["report", "inspect"])
def test_schemas_are_valid_and_say_what_every_key_means(name: str) -> None:
    described = validator(name)
    described.check_schema(described.schema)
    assert described.schema["description"]


def test_conversion_document_has_every_tensor_and_number(
    tiny: Path, tmp_path: Path, printed: Print
) -> None:
    target = tmp_path / "out.npz"
    code, document = printed("tf2npz", tiny, target)
    assert code == 0
    assert_described(document, "report")
    arrays = bundles.gpt2_arrays()
    assert (document["kind"], document["ok"], document["verified"]) == ("conversion", True, True)
    assert document["tensors"] == len(arrays) == len(document["mapped"])
    assert document["parameters"] == sum(array.size for array in arrays.values())
    assert document["bytes"] == sum(array.nbytes for array in arrays.values())
    assert document["hparams"] == bundles.TINY
    assert document["target"]["bytes"] == target.stat().st_size
    assert {pair["source_name"] for pair in document["mapped"]} == arrays.keys()
    assert document["mapped"][0] == {"source_name": "model/wte", "name": "wte"}


def test_waived_proof_and_dropped_tensors_are_in_the_document(
    tmp_path: Path, printed: Print
) -> None:
    arrays = {**bundles.gpt2_arrays(), "global_step": np.array(7, np.int64)}
    source = bundles.write_gpt2(tmp_path / "trained", arrays=arrays, hparams=False)
    code, document = printed("tf2npz", "--no-verify", source, tmp_path / "out.npz")
    assert code == 0
    assert_described(document, "report")
    assert document["verified"] is False
    assert [drop["source_name"] for drop in document["dropped"]] == ["global_step"]
    assert "n_head" not in document["hparams"]


def test_verification_documents_have_every_kind_of_finding(
    tiny: Path, npz: Path, tmp_path: Path, printed: Print
) -> None:
    code, document = printed("verify", tiny, npz)
    assert code == 0
    assert_described(document, "report")
    assert (document["ok"], document["findings"]) == (True, [])

    with np.load(npz) as archive:
        arrays = dict(archive)
    arrays["ln_f.g"][3] = np.nan
    arrays["blocks[0].attn.c_proj.w"] = arrays["blocks[0].attn.c_proj.w"].T.copy()
    arrays["blocks[1].mlp.c_fc.w"] = arrays["blocks[1].mlp.c_fc.w"].T.copy()
    arrays["blocks[2].ln_1.g"] = arrays["blocks[2].ln_1.g"].astype(np.float64)
    arrays["blocks[2].ln_1.q"] = arrays.pop("blocks[2].ln_1.b")
    np.savez(tmp_path / "other.npz", **arrays)
    code, document = printed("verify", tiny, tmp_path / "other.npz")
    assert code == 1
    assert_described(document, "report")
    found = {(finding["tensor"], finding["kind"]): finding for finding in document["findings"]}
    assert found.keys() == {
        ("ln_f.g", "values"),
        ("blocks[0].attn.c_proj.w", "values"),
        ("blocks[1].mlp.c_fc.w", "shape"),
        ("blocks[2].ln_1.g", "dtype"),
        ("blocks[2].ln_1.b", "missing"),
        ("blocks[2].ln_1.q", "extra"),
    }
    nan = found["ln_f.g", "values"]
    assert (nan["differing"], nan["elements"], nan["first_index"]) == (1, 32, [3])
    assert nan["max_abs_diff"] is None
    assert found["blocks[0].attn.c_proj.w", "values"]["hint"] == "transposed"


def test_comparison_of_logits_is_in_the_document(tiny: Path, npz: Path, printed: Print) -> None:
    code, document = printed("verify", tiny, npz, "--logits", "--tokens", "20")
    assert code == 0
    assert_described(document, "report")
    assert (document["kind"], document["ok"], document["findings"]) == ("verification", True, [])
    assert document["logits"]["kl"] == {"mean": 0, "p99": 0, "max": 0}
    assert (document["logits"]["top1"], document["logits"]["top5"]) == (1, 1)


def test_generation_document_has_all_ids(tiny: Path, printed: Print) -> None:
    code, document = printed("generate", tiny, "1 2 3", "--ids", "-n", "4")
    assert code == 0
    assert_described(document, "report")
    assert (document["kind"], document["ok"], document["prompt"]) == ("generation", True, [1, 2, 3])
    assert len(document["ids"]) == 4


def test_failed_proof_of_a_conversion_is_a_verification_document(
    tiny: Path, tmp_path: Path, printed: Print, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert = gpt2_convert.convert
    place = tmp_path / "place"
    place.mkdir()

    def damage(phase: str, done: int, total: int) -> None:
        if (phase, done) == ("verifying", 0):
            (partial,) = place.glob("*.partial/out.npz")
            content = bytearray(partial.read_bytes())
            content[content.index(b"ln_f.g.npy") + 200] ^= 1
            partial.write_bytes(content)

    def damaging(*arguments: Path, **options: Any) -> gpt2_convert.ConversionReport:  # noqa: ANN401
        return convert(*arguments, **{**options, "progress": damage})

    monkeypatch.setattr(gpt2_convert, "convert", damaging)
    code, document = printed("tf2npz", tiny, place / "out.npz")
    assert code == 1
    assert_described(document, "report")
    assert (document["kind"], document["ok"]) == ("verification", False)
    assert [finding["tensor"] for finding in document["findings"]] == ["ln_f.g"]
    assert os.listdir(place) == []


@pytest.mark.parametrize("command", ["tf2npz", "verify", "inspect"])
def test_errors_are_documents_too(command: str, tmp_path: Path, printed: Print) -> None:
    paths = [tmp_path / "absent", tmp_path / "out.npz"][: 1 if command == "inspect" else 2]
    code, document = printed(command, *paths)
    assert code == 2
    assert_described(document, "report")
    assert document["error"]["type"] == "SourceNotFoundError"
    assert "absent" in document["error"]["message"]


def test_an_error_document_has_the_option_that_would_help(
    tiny: Path, npz: Path, printed: Print
) -> None:
    code, document = printed("tf2npz", tiny, npz)
    assert code == 2
    assert_described(document, "report")
    error = document["error"]
    assert (error["type"], error["option"], error["value"]) == ("TargetExistsError", "force", True)
    assert "--force" in error["message"]


def test_all_that_speaks_against_a_model_is_in_the_document(tmp_path: Path, printed: Print) -> None:
    arrays = bundles.gpt2_arrays()
    del arrays["model/wpe"], arrays["model/h2/ln_2/b"]
    source = bundles.write_gpt2(tmp_path / "part", arrays=arrays)
    code, document = printed("tf2npz", source, tmp_path / "out.npz")
    assert code == 2
    assert_described(document, "report")
    problems = document["error"]["problems"]
    assert [problem.split(" ", 1)[0] for problem in problems] == [
        "'model/wpe'",
        "'model/h2/ln_2/b'",
    ]
    code, document = printed("inspect", source)
    assert code == 0
    assert_described(document, "inspect")
    assert document["problems"] == problems


@pytest.mark.parametrize(
    "arguments",
    [
        ["tf2npz"],
        ["inspect", "--step", "x", "a"],
        ["verify", "a", "b", "c"],
        ["insect"],
        ["--wrong"],
    ],
)
def test_misuse_is_a_document_too(arguments: list[str], printed: Print) -> None:
    code, document = printed(*arguments)
    assert code == 2
    assert_described(document, "report")
    assert document["error"]["type"] == "UsageError"


def test_json_after_two_dashes_is_a_name_and_no_wish(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "--", "--json"]) == 2
    assert capsys.readouterr().out == ""


def test_inspection_documents_of_what_is_gpt2_and_what_is_not(
    tiny: Path, npz: Path, tmp_path: Path, printed: Print
) -> None:
    shapes = bundles.gpt2_shapes()
    code, document = printed("inspect", tiny)
    assert code == 0
    assert_described(document, "inspect")
    assert (document["format"], document["family"]) == ("tensorflow", "gpt2")
    assert {tensor["source_name"] for tensor in document["tensors"]} == shapes.keys()
    assert document["bytes"] == sum(tensor["bytes"] for tensor in document["tensors"])
    assert document["tensors"][0] == {
        "name": "wte", "source_name": "model/wte", "shape": [61, 32], "dtype": "float32",
        "bytes": 61 * 32 * 4,
    }  # fmt: skip

    code, archive = printed("inspect", npz)
    assert code == 0
    assert_described(archive, "inspect")
    assert archive["format"] == "npz"
    for key in ("hparams", "parameters", "bytes", "dtype"):
        assert archive[key] == document[key]

    np.savez(tmp_path / "other.npz", weights=np.zeros((3, 0), np.complex64))
    code, other = printed("inspect", tmp_path / "other.npz")
    assert code == 0
    assert_described(other, "inspect")
    assert (other["family"], other["hparams"]) == (None, None)
    assert "not a GPT-2" in other["not_gpt2"]
    assert other["tensors"] == [
        {"name": None, "source_name": "weights", "shape": [3, 0], "dtype": "complex64", "bytes": 0}
    ]


def test_inspection_of_a_damaged_checkpoint_lists_its_faults(tiny: Path, printed: Print) -> None:
    data = tiny / "model.ckpt.data-00000-of-00001"
    data.unlink()
    code, document = printed("inspect", tiny)
    assert code == 2
    assert_described(document, "inspect")
    assert (document["kind"], document["ok"]) == ("inspection", False)
    assert [str(data) in finding["message"] for finding in document["findings"]] == [True]
    assert {"path": str(data), "bytes": None} in document["files"]
    assert [str(data) in fault for fault in document["faults"]] == [True]


def test_names_that_are_not_text_survive_the_document(tmp_path: Path, printed: Print) -> None:
    folder = bundles.write_gpt2(tmp_path / os.fsdecode(b"a\xff\n\x1b"))
    code, document = printed("inspect", folder)
    assert code == 0
    assert_described(document, "inspect")
    assert os.fsencode(document["path"]) == os.fsencode(folder)


def test_schemas_know_every_format_kind_dtype_and_error() -> None:
    report, inspect = validator("report").schema, validator("inspect").schema
    definitions = report["$defs"]
    assert set(definitions["format"]["enum"]) == READERS.keys() | WRITERS.keys()
    assert set(inspect["properties"]["format"]["enum"]) == READERS.keys()
    assert set(definitions["finding"]["properties"]["kind"]["enum"]) == set(gpt2_convert.Kind)
    assert set(inspect["$defs"]["dtype"]["enum"]) == set(gpt2_convert.DType)
    numbers = {dtype.value for dtype in gpt2_convert.DType if dtype.itemsize}
    assert set(definitions["dtype"]["enum"]) == numbers | {"mixed"}
    kinds = [getattr(gpt2_convert, name) for name in gpt2_convert.__all__ if name.endswith("Error")]
    raised = {kind.__name__ for kind in kinds} - {"Gpt2ConvertError", "VerificationError"}
    others = {
        "ImportError", "InternalError", "MemoryError", "OSError", "ThreadError", "TimeError",
    }  # fmt: skip
    types = definitions["error"]["properties"]["error"]["properties"]["type"]
    assert set(types["enum"]) == raised | others
