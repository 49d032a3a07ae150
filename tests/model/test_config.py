"""What is stated beside the weights: sizes, what the output depends on, and how both travel."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from support import bundles, raws
from support.raws import CONFIG
from support.statements import statement

import gpt2_convert
from gpt2_convert.compare.checkpoints import compare
from gpt2_convert.errors import FormatError, SchemaError, UnsupportedError
from gpt2_convert.model.adopt import adopt
from gpt2_convert.reports.findings import Kind

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

BEHAVIOUR = {
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
}
"""The defaults of GPT2Config in transformers, of the fields that its modules compute with."""
CHANGED = {
    "activation_function": "relu",
    "layer_norm_epsilon": 1e-3,
    "scale_attn_weights": False,
    "scale_attn_by_inverse_layer_idx": True,
}


def spell(value: object) -> str:
    """Return a value as config.json has it, texts quoted as in all messages."""
    return json.dumps(value) if isinstance(value, bool) else repr(value)


def adopted(config: dict[str, Any]) -> gpt2_convert.Checkpoint:
    return adopt(raws.raw(raws.huggingface(), config))


def findings(source: dict[str, Any], target: dict[str, Any]) -> list[gpt2_convert.Finding]:
    report = compare(adopted(source), raws.raw(raws.huggingface(), target))
    return list(report.findings)


def write_model(folder: Path, **fields: object) -> Path:
    folder.mkdir(parents=True)
    save_file(raws.huggingface(), folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps({**CONFIG, **fields}))
    return folder


# What the output depends on.


def test_absent_fields_have_gpt2_s_values() -> None:
    assert not findings(CONFIG, {**CONFIG, **BEHAVIOUR})
    assert not findings({**CONFIG, **BEHAVIOUR}, CONFIG)
    assert not findings({**CONFIG, **BEHAVIOUR}, bundles.TINY)
    assert not findings(bundles.TINY, {**CONFIG, **BEHAVIOUR})


@pytest.mark.parametrize("plain", [CONFIG, bundles.TINY], ids=["config.json", "hparams.json"])
@pytest.mark.parametrize("field", CHANGED)
def test_a_field_that_changes_the_output_is_a_difference_by_its_name(
    field: str, plain: dict[str, Any]
) -> None:
    changed = {**CONFIG, field: CHANGED[field]}
    (finding,) = findings(changed, plain)
    assert (finding.kind, finding.tensor) == (Kind.CONFIG, field)
    assert (
        finding.message
        == f"{spell(CHANGED[field])} in the source, {spell(BEHAVIOUR[field])} in the target"
    )
    (finding,) = findings(plain, changed)
    assert (finding.kind, finding.tensor) == (Kind.CONFIG, field)
    assert (
        finding.message
        == f"{spell(BEHAVIOUR[field])} in the source, {spell(CHANGED[field])} in the target"
    )
    assert not findings(changed, changed)


def test_any_other_field_is_a_difference_where_both_sides_state_it_and_named_elsewhere() -> None:
    other = {"resid_pdrop": 0.5, "eos_token_id": 3, "use_cache": False, "summary_type": "mean"}
    report = compare(adopted(CONFIG), raws.raw(raws.huggingface(), {**CONFIG, **other}))
    assert report.ok
    assert set(report.not_compared) == set(other)
    both = {**CONFIG, **dict.fromkeys(other, 7)}
    assert {each.tensor for each in findings(both, {**CONFIG, **other})} == set(other)
    assert not findings({**CONFIG, **other}, {**CONFIG, **other})


def test_a_checkpoint_that_states_nothing_computes_as_gpt2_does() -> None:
    silent = raws.raw(raws.huggingface())
    report = compare(adopted({**CONFIG, **CHANGED}), silent)
    assert [each.tensor for each in report.findings] == list(CHANGED)
    report = compare(adopt(silent), raws.raw(raws.huggingface(), {**CONFIG, **CHANGED}))
    assert [each.tensor for each in report.findings] == list(CHANGED)
    assert compare(adopt(silent), raws.raw(raws.huggingface(), {**CONFIG, **BEHAVIOUR})).ok


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("activation_function", None, "a string expected, found None"),
        ("activation_function", ["relu"], "a string expected, found ['relu']"),
        ("layer_norm_epsilon", "1e-5", "a number expected, found '1e-5'"),
        ("layer_norm_epsilon", True, "a number expected, found True"),
        ("layer_norm_epsilon", float("nan"), "a number expected, found nan"),
        ("scale_attn_weights", 1, "true or false expected, found 1"),
        ("scale_attn_by_inverse_layer_idx", "no", "true or false expected, found 'no'"),
    ],
)
def test_a_field_of_another_type_is_refused(field: str, value: object, expected: str) -> None:
    with pytest.raises(FormatError) as caught:
        adopted({**CONFIG, field: value})
    assert str(caught.value) == f"hparams.json: {field!r}: {expected}"


def test_an_epsilon_may_be_a_whole_number_and_is_the_same_as_with_a_point() -> None:
    (finding,) = findings({**CONFIG, "layer_norm_epsilon": 0}, CONFIG)
    assert finding.message == "0.0 in the source, 1e-05 in the target"
    whole, fraction = (adopted({**CONFIG, "layer_norm_epsilon": one}) for one in (1, 1.0))
    assert json.dumps(whole.config.effective()) == json.dumps(fraction.config.effective())


def test_a_config_of_other_tensors_is_refused() -> None:
    with pytest.raises(UnsupportedError) as caught:
        adopted({**CONFIG, "add_cross_attention": True})
    assert "'add_cross_attention': false expected, found True; " in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("num_attention_heads", 8, "'n_head' is 4, but 'num_attention_heads' is 8; mend one"),
        ("num_hidden_layers", 2, "'n_layer' is 3, but 'num_hidden_layers' is 2; mend one"),
        ("hidden_size", 64, "'n_embd' is 32, but 'hidden_size' is 64; mend one"),
        ("max_position_embeddings", 32, "'n_positions' is 16, but 'max_position_embeddings' is 32"),
        ("n_ctx", 32, "'n_ctx': n_ctx = 16 expected, found 32; mend one"),
    ],
)
def test_a_config_that_contradicts_itself_is_refused_with_both_keys(
    field: str, value: object, expected: str
) -> None:
    with pytest.raises(FormatError) as caught:
        adopted({**CONFIG, field: value})
    assert str(caught.value).startswith(f"hparams.json: {expected}")


def test_a_width_of_the_mlp_is_a_size_and_its_shapes_are_checked() -> None:
    with pytest.raises(SchemaError) as caught:
        adopted({**CONFIG, "n_inner": 64})
    assert caught.value.problems[0] == (
        "'h.0.mlp.c_fc.weight' is [32, 128], expected [n_embd, n_inner] = [32, 64] by hparams.json"
    )
    assert len(caught.value.problems) == 3 * 3
    arrays = {
        name: array[..., :64] if ".c_fc." in name else array[:64] if is_back(name) else array
        for name, array in raws.huggingface().items()
    }
    narrow = adopt(raws.raw(arrays, {**CONFIG, "n_inner": 64}))
    assert narrow.config.n_inner == adopt(raws.raw(arrays)).config.n_inner == 64
    assert narrow["blocks[1].mlp.c_proj.w"].shape == (64, 32)
    assert adopted(CONFIG).config.n_inner == 128


def is_back(name: str) -> bool:
    return name.endswith("mlp.c_proj.weight")


@pytest.mark.parametrize("usual", ["n_embd", "n_positions", "n_head", "n_layer"])
def test_another_name_for_a_size_may_stand_alone(usual: str) -> None:
    aliases = {
        "n_embd": "hidden_size",
        "n_positions": "max_position_embeddings",
        "n_head": "num_attention_heads",
        "n_layer": "num_hidden_layers",
    }
    config = {aliases[key] if key == usual else key: value for key, value in CONFIG.items()}
    assert adopted(config).hparams.known() == bundles.TINY


@pytest.mark.parametrize(
    ("field", "value"),
    [("n_inner", None), ("n_inner", 128), ("add_cross_attention", False), ("hidden_size", 32)],
)
def test_a_config_that_says_the_same_twice_is_accepted(field: str, value: object) -> None:
    assert adopted({**CONFIG, field: value}).hparams.known() == bundles.TINY


# How it travels.

WHOLE: dict[str, Any] = {
    **CONFIG, **CHANGED,
    "bos_token_id": 7, "eos_token_id": [3, 4], "pad_token_id": None,
    "id2label": {"0": "é", "1": "\ud800"}, "task_specific_params": {"a": [1, {"b": 0.1}]},
}  # fmt: skip


@pytest.mark.slow
def test_a_config_goes_through_every_container_and_comes_back_whole(tmp_path: Path) -> None:
    chain = [write_model(tmp_path / "model", **WHOLE)]
    for name in ("a.npz", "b.safetensors", "c.h5", "d/", "e.h5", "f.npz", "g/"):
        gpt2_convert.convert(chain[-1], f"{tmp_path}/{name}")
        chain.append(tmp_path / name.rstrip("/"))
        report = gpt2_convert.verify(chain[0], chain[-1])
        assert report.ok, report.findings
    for folder in (tmp_path / "d", tmp_path / "g"):
        written = json.loads((folder / "config.json").read_text())
        assert {key: written[key] for key in WHOLE} == WHOLE


def test_each_container_states_it_beside_the_hparams(tmp_path: Path) -> None:
    source = write_model(tmp_path / "model", **WHOLE)
    provenances = []
    gpt2_convert.convert(source, tmp_path / "out.npz")
    with zipfile.ZipFile(tmp_path / "out.npz") as archive:
        provenances.append(json.loads(archive.comment))
    gpt2_convert.convert(source, tmp_path / "out.safetensors")
    with safe_open(tmp_path / "out.safetensors", "numpy") as file:
        provenances.append(json.loads(file.metadata()["gpt2-convert"]))
    gpt2_convert.convert(source, tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        parsed = {key: json.loads(file.attrs[key]) for key in ("hparams", "config")}
        texts = {key: file.attrs[key].decode() for key in ("checksum",)}
        provenances.append({**parsed, **texts})
    whole = {**WHOLE, "architectures": ["GPT2LMHeadModel"], "tie_word_embeddings": True}
    assert provenances == [statement(config=whole)] * 3


@pytest.mark.slow
def test_the_same_config_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        source = write_model(tmp_path / folder / "model", **WHOLE)
        for name in ("out.npz", "out.safetensors", "out.h5"):
            gpt2_convert.convert(source, tmp_path / folder / name)
    for name in ("out.npz", "out.safetensors", "out.h5"):
        first, second = (tmp_path / folder / name for folder in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


def test_openai_s_hparams_are_no_config(tiny: Path, tmp_path: Path) -> None:
    (tiny / "hparams.json").write_text(json.dumps({**bundles.TINY, "dropout": 0.1}))
    gpt2_convert.convert(tiny, tmp_path / "out.npz")
    with zipfile.ZipFile(tmp_path / "out.npz") as archive:
        provenance = json.loads(archive.comment)
    assert provenance == statement()


def test_heads_that_the_user_states_travel_in_the_config(tmp_path: Path) -> None:
    config = {key: value for key, value in CONFIG.items() if key != "n_head"}
    source = write_model(tmp_path / "model")
    (source / "config.json").write_text(json.dumps(config))
    gpt2_convert.convert(source, tmp_path / "out.npz", n_head=8)
    with gpt2_convert.open(tmp_path / "out.npz") as checkpoint:
        assert checkpoint.hparams.n_head == 8


@pytest.mark.parametrize(("name", "container"), [("x.npz", "zip comment"), ("x.h5", "HDF5")])
def test_a_config_too_large_for_the_container_is_refused_with_its_largest_field(
    name: str, container: str, tmp_path: Path
) -> None:
    labels = {str(number): f"LABEL_{number}" for number in range(4000)}
    source = write_model(tmp_path / "model", id2label=labels, label2id={"LABEL_0": 0})
    with pytest.raises(UnsupportedError) as caught:
        gpt2_convert.convert(source, tmp_path / name)
    message = str(caught.value)
    assert message.startswith(f"{source / 'config.json'}: takes ")
    assert container in message
    assert f"its largest field is 'id2label' ({len(json.dumps(labels)):,} bytes)" in message
    assert "safetensors" in message
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    gpt2_convert.convert(source, tmp_path / "x.safetensors")
    gpt2_convert.convert(tmp_path / "x.safetensors", f"{tmp_path}/back/")
    assert json.loads((tmp_path / "back" / "config.json").read_text())["id2label"] == labels


def test_a_zip_comment_is_used_to_its_last_byte(tmp_path: Path) -> None:
    gpt2_convert.convert(write_model(tmp_path / "empty", note=""), tmp_path / "empty.npz")
    with zipfile.ZipFile(tmp_path / "empty.npz") as archive:
        room = 65_535 - len(archive.comment)
    full = write_model(tmp_path / "full", note="x" * room)
    gpt2_convert.convert(full, tmp_path / "full.npz")
    with gpt2_convert.open(tmp_path / "full.npz") as checkpoint:
        (config,) = checkpoint.raw.configs
        assert config.fields()["note"] == "x" * room
    over = write_model(tmp_path / "over", note="x" * (room + 1))
    with pytest.raises(UnsupportedError, match=r"takes 65,536 bytes .* holds 65,535"):
        gpt2_convert.convert(over, tmp_path / "over.npz")


@pytest.mark.parametrize("spare", [0, 1, 50, 100, 1000])
def test_an_attribute_is_used_to_its_last_byte(spare: int, tmp_path: Path) -> None:
    """Near 64 KiB, HDF5 stores an attribute apart from its object."""
    gpt2_convert.convert(write_model(tmp_path / "empty", note=""), tmp_path / "empty.h5")
    with h5py.File(tmp_path / "empty.h5") as file:
        room = 65_536 - spare - len(file.attrs["config"])
    source = write_model(tmp_path / "model", note="x" * room)
    gpt2_convert.convert(source, tmp_path / "out.h5")
    with gpt2_convert.open(tmp_path / "out.h5") as checkpoint:
        (config,) = checkpoint.raw.configs
        assert config.fields()["note"] == "x" * room
    if not spare:
        over = write_model(tmp_path / "over", note="x" * (room + 1))
        with pytest.raises(UnsupportedError, match=r"takes 65,537 bytes .* holds 65,536"):
            gpt2_convert.convert(over, tmp_path / "over.h5")


@pytest.mark.parametrize("text", ["null", "[]", "3"])
def test_a_carried_config_that_is_no_object_is_refused(text: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", allow_pickle=False, **raws.canonical())
    comment = '{"hparams": ' + json.dumps(bundles.TINY) + f', "config": {text}}}'
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive:
        archive.comment = comment.encode()
    save_file(raws.canonical(), tmp_path / "x.safetensors", {"gpt2-convert": comment})
    for name in ("x.npz", "x.safetensors"):
        with pytest.raises(FormatError, match="a JSON object expected"):
            gpt2_convert.open(tmp_path / name)


def test_an_attribute_named_config_alone_is_another_program_s(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["config"] = np.bytes_(b"{}")
        for name, array in raws.canonical().items():
            file[name.replace("[", "/").replace("]", "").replace(".", "/")] = array
    with gpt2_convert.open(tmp_path / "x.h5") as checkpoint:
        assert checkpoint.hparams_from == "the shapes"


# Sizes.


@pytest.mark.parametrize("spelling", ["hf", "name"])
@pytest.mark.parametrize("size", ["n_vocab", "n_ctx", "n_embd"])
def test_a_size_of_zero_is_refused_in_words(size: str, spelling: str) -> None:
    sizes = {**bundles.TINY, size: 0}
    arrays = raws.huggingface(sizes) if spelling == "hf" else raws.canonical(sizes)
    with pytest.raises(SchemaError, match=rf"^memory: {size} would be 0 by the shapes"):
        adopt(raws.raw(arrays))


def test_a_model_without_layers_is_refused_in_words() -> None:
    arrays = raws.canonical({**bundles.TINY, "n_layer": 0})
    with pytest.raises(SchemaError, match="n_layer would be 0 by the shapes"):
        adopt(raws.raw(arrays))


def test_a_config_is_told_by_its_model_type_before_its_keys() -> None:
    with pytest.raises(FormatError, match="'vocab_size' is missing"):
        adopted({"model_type": "gpt2", "n_ctx": 16, "n_vocab": 61, "n_embd": 32, "n_layer": 3})


@pytest.mark.parametrize(
    "field", ["n_embd", "model_type", "activation_function", "scale_attn_weights", "n_inner"]
)
@pytest.mark.parametrize("value", ["x\n\x1b" + "x" * 900_000, ["x"] * 300_000, {"x" * 900_000: 1}])
def test_a_message_never_repeats_a_long_value(field: str, value: object) -> None:
    config = {**CONFIG, field: value}
    messages: list[str] = [finding.message for finding in findings(CONFIG, config)]
    try:
        messages += [finding.message for finding in findings(config, CONFIG)]
    except (FormatError, UnsupportedError) as error:
        messages.append(str(error))
    assert len(messages) == 2
    for message in messages:
        assert "xxx" in message or "['x', " in message
        assert len(message) < 400
        assert message.isprintable()


@pytest.mark.parametrize("depth", [66, 900, 5000])
@pytest.mark.parametrize("field", ["n_embd", "note"])
def test_a_deep_config_is_an_error_of_ours(field: str, depth: int, tmp_path: Path) -> None:
    source = write_model(tmp_path / "model", **{field: "DEEP"})
    path = source / "config.json"
    path.write_text(path.read_text().replace('"DEEP"', "[" * depth + "]" * depth))
    with pytest.raises(FormatError, match="nested too deeply"):
        gpt2_convert.open(source)


@pytest.mark.slow
def test_a_config_as_deep_as_is_read_can_be_written(tmp_path: Path) -> None:
    source = write_model(tmp_path / "model", note="DEEP")
    path = source / "config.json"
    path.write_text(path.read_text().replace('"DEEP"', "[" * 63 + "1" + "]" * 63))
    chain: list[Path | str] = [source]
    for name in ("a.npz", "b.safetensors", "c.h5", "d/"):
        gpt2_convert.convert(chain[-1], f"{tmp_path}/{name}")
        chain.append(f"{tmp_path}/{name}")
    assert (
        json.loads(path.read_text())["note"]
        == (json.loads((tmp_path / "d" / "config.json").read_text())["note"])
    )
