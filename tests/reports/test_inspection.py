"""An inspection says what is there, whether it is a GPT-2, and all that speaks against it."""

from __future__ import annotations

from support.documents import assert_valid
from support.reports import CONFIG_DOCUMENT, STATS, inspection, refusal

from gpt2_convert.cli.printer import spell_flag
from gpt2_convert.errors import Advice, FormatError


def test_the_document_of_a_gpt2() -> None:
    report = inspection(
        faults=("model/b: no such file",),
        errors=(
            FormatError("model/b: no such file"),
            FormatError("model/config.json: not JSON", Advice("see {}", "drop", "x")),
        ),
        notes=("a note",),
    )
    assert report.obstacles == (
        "model/b: no such file",
        "model/config.json: not JSON; see drop='x'",
    )
    document = report.as_json(spell_flag)
    assert_valid(document, "inspect")
    tensors = document.pop("tensors")
    assert document == {
        "kind": "inspection",
        "ok": False,
        "findings": [
            {"kind": "fault", "message": "model/b: no such file"},
            {"kind": "fault", "message": "model/config.json: not JSON; see --drop x"},
        ],
        "format": "safetensors",
        "path": "model",
        "engine": "native",
        "as_is": False,
        "family": "gpt2",
        "not_gpt2": None,
        "problems": [],
        "hparams": {"n_vocab": 50257, "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12},
        "hparams_from": "hparams.json",
        "config": CONFIG_DOCUMENT,
        "config_from": {
            **dict.fromkeys(CONFIG_DOCUMENT),
            **dict.fromkeys(("n_vocab", "n_ctx", "n_embd", "n_head", "n_layer"), "hparams.json"),
        },
        "parameters": 18,
        "bytes": 72,
        "dtype": "float32",
        "files": [
            {"path": "model/model.safetensors", "bytes": 1234},
            {"path": "model/b", "bytes": None},
        ],
        "faults": ["model/b: no such file"],
        "dropped": [{"source_name": "h.0.attn.bias", "reason": "causal mask buffer"}],
        "notes": ["a note"],
    }
    assert tensors[0] == {
        "name": "wte",
        "source_name": "wte",
        "shape": [2, 3],
        "dtype": "float32",
        "bytes": 24,
    }
    assert [tensor["name"] for tensor in tensors] == ["wte", "blocks[0].attn.c_attn.b", "ln_f.g"]


def test_what_would_stop_any_conversion_makes_it_false_and_being_no_gpt2_does_not() -> None:
    assert inspection()
    assert inspection().as_json()["findings"] == []
    other = inspection(refusal=refusal(2))
    assert other
    assert (other.as_json()["ok"], other.as_json()["findings"]) == (True, [])
    broken = inspection(errors=(FormatError("model/b: no such file"),))
    assert not broken
    assert not broken.ok
    assert broken.as_json()["ok"] is False


def test_statistics_stand_with_each_tensor_and_are_null_where_there_are_none() -> None:
    document = inspection(stats=(STATS, None, STATS)).as_json()
    assert_valid(document, "inspect")
    found = [tensor["stats"] for tensor in document["tensors"]]
    assert found[0] == found[2] == {
        "count": 6, "nan": 1, "infinite": 2, "min": -1.5, "max": 2.0, "mean": 0.25, "std": 1.0,
        "histogram": [1, 0, 2],
    }  # fmt: skip
    assert found[1] is None


def test_what_is_no_gpt2_has_every_reason_in_the_voice_of_its_reader() -> None:
    report = inspection(refusal=refusal(2))
    assert report.not_gpt2 == (
        "model: 'x' is unknown; drop='*/Eve' would leave it out (and 1 more)"
    )
    assert report.problems == (
        "'x' is unknown; drop='*/Eve' would leave it out",
        "'x1' is missing",
    )
    document = report.as_json(spell_flag)
    assert_valid(document, "inspect")
    keys = ("family", "hparams", "hparams_from", "config", "config_from")
    assert {document[key] for key in keys} == {None}
    assert document["not_gpt2"] == (
        "model: 'x' is unknown; --drop '*/Eve' would leave it out (and 1 more)"
    )
    assert document["problems"] == [
        "'x' is unknown; --drop '*/Eve' would leave it out",
        "'x1' is missing",
    ]
    assert {tensor["name"] for tensor in document["tensors"]} == {None}
    assert document["dropped"] == []


def test_another_error_than_of_the_schema_is_one_reason() -> None:
    report = inspection(refusal=FormatError("model/config.json: not JSON"))
    assert report.not_gpt2 == "model/config.json: not JSON"
    assert (report.problems, report.disagreements) == ((), ())
    document = report.as_json()
    assert_valid(document, "inspect")
    assert (document["not_gpt2"], document["problems"]) == ("model/config.json: not JSON", [])
