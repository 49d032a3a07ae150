"""What decides a model's output beside its weights is carried, proven and shown, or refused."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file
from support import bundles, raws

import gpt2_convert
from gpt2_convert import FormatError, Kind, SchemaError, UnsupportedError, UsageError
from gpt2_convert.cli.program import run
from gpt2_convert.errors import SourceNotFoundError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    Array = np.ndarray[Any, Any]

CONFIG: dict[str, Any] = dict(raws.CONFIG)
OTHERWISE: dict[str, Any] = {
    "activation_function": "relu",
    "layer_norm_epsilon": 1e-6,
    "scale_attn_weights": False,
    "scale_attn_by_inverse_layer_idx": True,
}
"""Another value than GPT-2's for all that config.json says of how a model computes."""
CONTAINERS = ("out.npz", "out.safetensors", "out.h5", "out/")


def write_huggingface(
    folder: Path,
    config: Mapping[str, object] | None = CONFIG,
    more: Mapping[str, Array] | None = None,
) -> Path:
    folder.mkdir(parents=True)
    save_file({**raws.huggingface(), **(more or {})}, folder / "model.safetensors")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def read_config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return config


# Configuration.


def test_a_config_json_beside_a_tensorflow_checkpoint_is_its_configuration(tmp_path: Path) -> None:
    source = bundles.write_gpt2(tmp_path / "tf")
    (source / "hparams.json").unlink()
    (source / "config.json").write_text(json.dumps({**CONFIG, **OTHERWISE}))
    gpt2_convert.convert(source, tmp_path / "hf", to="hf")
    written = read_config(tmp_path / "hf")
    assert {key: written[key] for key in (*CONFIG, *OTHERWISE)} == {**CONFIG, **OTHERWISE}
    with pytest.raises(UsageError, match=r"n_head 2 was asked for, but .*config\.json says 4"):
        gpt2_convert.convert(source, tmp_path / "other", to="hf", n_head=2)


@pytest.mark.parametrize("field", OTHERWISE)
def test_behaviour_is_shown_and_changes_the_model_s_digest_alone(
    field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_huggingface(tmp_path / "model", {**CONFIG, field: OTHERWISE[field]})
    plain = write_huggingface(tmp_path / "plain")
    with gpt2_convert.open(source) as checkpoint:
        assert getattr(checkpoint.config, field) == OTHERWISE[field]
        assert checkpoint.config.stated_in[field] == str(source / "config.json")
    report = gpt2_convert.convert(source, tmp_path / "out.npz")
    for document in (report.as_json(), gpt2_convert.inspect(source).as_json()):
        assert document["config"][field] == OTHERWISE[field]
        assert document["config_from"][field] == str(source / "config.json")
        assert document["config_from"]["n_inner"] is None
    assert run(["inspect", str(source)]) == 0
    shown = capsys.readouterr().out
    assert f"config    {field} {json.dumps(OTHERWISE[field]).strip(chr(34))} (from " in shown
    assert run(["inspect", str(plain)]) == 0
    assert "  config " not in capsys.readouterr().out
    ours, theirs = (gpt2_convert.digest(each) for each in (tmp_path / "out.npz", plain))
    assert ours.weights_sha256 == theirs.weights_sha256
    assert ours.config_sha256 != theirs.config_sha256
    assert ours.sha256 != theirs.sha256
    (finding,) = gpt2_convert.verify(tmp_path / "out.npz", plain).findings
    assert (finding.kind, finding.tensor) == (Kind.CONFIG, field)


def test_another_n_inner_goes_through_every_container(tmp_path: Path) -> None:
    weights = raws.huggingface()
    random = np.random.default_rng(1)
    for name, array in weights.items():
        if ".mlp.c_fc." in name:
            weights[name] = random.random((*array.shape[:-1], 40), np.float32)
        elif ".mlp.c_proj.weight" in name:
            weights[name] = random.random((40, array.shape[-1]), np.float32)
    source = write_huggingface(tmp_path / "model", {**CONFIG, "n_inner": 40}, weights)
    # Without a configuration the shapes tell.
    alone = write_huggingface(tmp_path / "alone", None, weights)
    with gpt2_convert.open(alone) as checkpoint:
        assert checkpoint.config.n_inner == 40
    listing = gpt2_convert.digest(source).lines
    for start in (source, tmp_path / "out.npz"):
        for name in CONTAINERS[1:] if start != source else CONTAINERS:
            gpt2_convert.convert(start, f"{tmp_path}/{name}", force=True)
            assert gpt2_convert.digest(tmp_path / name).lines == listing
            with gpt2_convert.open(tmp_path / name) as checkpoint:
                assert checkpoint.config.n_inner == 40
    assert read_config(tmp_path / "out")["n_inner"] == 40


def test_heads_that_a_config_json_leaves_out_are_what_transformers_assumes(tmp_path: Path) -> None:
    sizes = {**bundles.TINY, "n_embd": 48}
    stated = {**CONFIG, "n_embd": 48}
    del stated["n_head"]
    source = write_huggingface(tmp_path / "model", stated, raws.huggingface(sizes))
    with gpt2_convert.open(source) as checkpoint:
        assert checkpoint.config.n_head == 12
    with pytest.raises(UsageError, match=r"n_head 4 was asked for, but .* by default means 12"):
        gpt2_convert.convert(source, tmp_path / "out", to="hf", n_head=4)
    # Where it cannot be, nothing states it.
    stated = {key: value for key, value in CONFIG.items() if key != "n_head"}
    source = write_huggingface(tmp_path / "other", stated)
    with gpt2_convert.open(source) as checkpoint:
        assert checkpoint.config.n_head is None


def test_what_loads_other_code_or_numbers_is_a_note(tmp_path: Path) -> None:
    more = {"auto_map": {"AutoModel": "own.Model"}, "quantization_config": {"bits": 4}}
    source = write_huggingface(tmp_path / "model", {**CONFIG, **more, "architectures": ["Own"]})
    notes = gpt2_convert.convert(source, tmp_path / "out.npz").notes
    for key in ("auto_map", "quantization_config", "architectures"):
        assert any(f"states {key} " in note for note in notes)


def test_what_is_said_of_config_json_names_it_where_another_file_has_the_sizes(
    tmp_path: Path,
) -> None:
    source = bundles.write_gpt2(tmp_path / "tf")
    more = {"auto_map": {"AutoModel": "own.Model"}, "tie_word_embeddings": False}
    config = source / "config.json"
    config.write_text(json.dumps({**CONFIG, **more}))
    with gpt2_convert.open(source) as checkpoint:
        assert checkpoint.hparams_from == str(source / "hparams.json")
        notes = checkpoint.notes
    for said in ("states auto_map ", "says tie_word_embeddings false, "):
        assert any(note.startswith(f"{config} {said}") for note in notes)
    config.write_text(json.dumps({**CONFIG, "own": "x" * 70_000}))
    with pytest.raises(UnsupportedError, match=f"^{re.escape(str(config))}: takes 70,"):
        gpt2_convert.convert(source, tmp_path / "out.npz")


def test_two_documents_of_a_folder_have_to_agree_in_every_field(tmp_path: Path) -> None:
    plain = write_huggingface(tmp_path / "plain", {**CONFIG, "bos_token_id": 3, "dtype": "float32"})
    folder = tmp_path / "model"
    folder.mkdir()
    gpt2_convert.convert(plain, folder / "own.safetensors")
    for other in ({"bos_token_id": 5}, {"dtype": "float16"}):
        (folder / "config.json").write_text(json.dumps({**CONFIG, **other}))
        with pytest.raises(FormatError, match=f"'{next(iter(other))}' is .*, but .*config.json: "):
            gpt2_convert.open(folder)
    (folder / "config.json").write_text(json.dumps({**CONFIG, "torch_dtype": "float32"}))
    with gpt2_convert.open(folder) as checkpoint:
        assert checkpoint.config.dtype == "float32"


def test_an_inspection_says_what_it_has_not_looked_at(tmp_path: Path) -> None:
    more = {"h.0.attn.bias": causal(16), "lm_head.weight": raws.huggingface()["wte.weight"]}
    report = gpt2_convert.inspect(write_huggingface(tmp_path / "model", CONFIG, more))
    assert report.notes == (
        "whether 'lm_head.weight' is tied to wte shows in its values, which were not looked at",
        "1 mask buffer was dropped by name; the values were not looked at",
    )
    assert report.as_json()["config"]["tie_word_embeddings"] is None


def test_a_key_of_a_target_that_no_gpt2_has_is_a_difference(tmp_path: Path) -> None:
    source = write_huggingface(tmp_path / "model")
    gpt2_convert.convert(source, tmp_path / "out", to="hf")
    path = tmp_path / "out" / "config.json"
    path.write_text(path.read_text().replace('"n_head"', '"n_heae"'))
    assert [each.tensor for each in gpt2_convert.verify(source, tmp_path / "out").findings] == [
        "n_heae"
    ]


def test_a_head_left_out_of_a_comparison_is_said(tmp_path: Path) -> None:
    head = {"lm_head.weight": raws.huggingface()["wte.weight"] + 1}
    source = write_huggingface(tmp_path / "model", CONFIG, head)
    tied = write_huggingface(tmp_path / "tied")
    for report in (
        gpt2_convert.verify(source, tied, drop=["lm_head.weight"]),
        gpt2_convert.digest(source, drop=["lm_head.weight"]),
    ):
        assert any(note.startswith("the model was changed") for note in report.notes)


def test_a_loop_of_links_is_an_error_of_ours(tmp_path: Path) -> None:
    source = write_huggingface(tmp_path / "model")
    (source / "vocab.json").symlink_to("vocab.json")
    with pytest.raises(SourceNotFoundError, match="a link that leads nowhere"):
        gpt2_convert.convert(source, tmp_path / "out", to="hf")
    assert gpt2_convert.convert(source, tmp_path / "out.npz")
    assert gpt2_convert.convert(source, tmp_path / "out", to="hf", weights_only=True)


def test_transformers_aliases_are_accepted_alone(tmp_path: Path) -> None:
    aliased = {
        "model_type": "gpt2",
        "vocab_size": 61,
        "max_position_embeddings": 16,
        "hidden_size": 32,
        "num_attention_heads": 4,
        "num_hidden_layers": 3,
    }
    source = write_huggingface(tmp_path / "model", aliased)
    with gpt2_convert.open(source) as checkpoint:
        assert checkpoint.hparams.known() == bundles.TINY
    (source / "config.json").write_text(json.dumps({**aliased, "n_embd": 64}))
    with pytest.raises(FormatError, match=r"'n_embd' is 64, but 'hidden_size' is 32; mend one"):
        gpt2_convert.open(source)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [("activation_function", "relu", "'gelu_new' by default"), ("n_head", 8, "'n_head' is 4")],
)
def test_a_folder_whose_files_contradict_each_other_is_refused_with_both(
    field: str, value: object, told: str, tmp_path: Path
) -> None:
    plain = write_huggingface(tmp_path / "plain")
    folder = tmp_path / "model"
    folder.mkdir()
    gpt2_convert.convert(plain, folder / "own.safetensors")
    (folder / "config.json").write_text(json.dumps({**CONFIG, field: value}))
    with pytest.raises(FormatError) as caught:
        gpt2_convert.convert(folder, tmp_path / "out.npz")
    message = str(caught.value)
    assert f"own.safetensors: metadata: '{field}' is " in message
    assert told in message
    assert f"config.json: '{field}' is {value!r}" in message
    assert gpt2_convert.inspect(folder).obstacles == (message,)
    # What a file states itself counts for it, where the file is what was named.
    assert gpt2_convert.verify(plain, folder / "own.safetensors")


def test_hparams_json_and_config_json_have_to_agree(tiny: Path, tmp_path: Path) -> None:
    (tiny / "config.json").write_text(json.dumps({**CONFIG, "n_head": 8}))
    with pytest.raises(FormatError, match=r"hparams\.json: 'n_head' is 4, but .*'n_head' is 8"):
        gpt2_convert.convert(tiny, tmp_path / "out.npz")
    (tiny / "config.json").write_text(json.dumps({**CONFIG, **OTHERWISE}))
    gpt2_convert.convert(tiny, tmp_path / "out.npz")
    with gpt2_convert.open(tmp_path / "out.npz") as checkpoint:
        assert checkpoint.config.activation_function == "relu"


def test_a_config_json_is_known_without_its_model_type(tmp_path: Path) -> None:
    stated = {key: value for key, value in CONFIG.items() if key != "model_type"}
    source = write_huggingface(tmp_path / "model", {**stated, "n_ctx": 16, **OTHERWISE})
    with gpt2_convert.open(source) as checkpoint:
        assert checkpoint.config.activation_function == "relu"


def test_a_file_beside_a_single_one_counts_where_that_states_nothing(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", allow_pickle=False, **raws.canonical())
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, **OTHERWISE}))
    with gpt2_convert.open(tmp_path / "x.npz") as checkpoint:
        assert checkpoint.config.activation_function == "relu"
        assert checkpoint.config.n_head == 4


@pytest.mark.parametrize("name", ["config.json", "hparams.json"])
@pytest.mark.parametrize("kind", ["dangling", "to itself", "pipe", "folder"])
def test_a_configuration_that_cannot_be_read_is_an_error(
    kind: str, name: str, tmp_path: Path
) -> None:
    source = write_huggingface(tmp_path / "model", None)
    path = source / name
    match kind:
        case "dangling":
            path.symlink_to("nowhere")
        case "to itself":
            path.symlink_to(name)
        case "pipe":
            os.mkfifo(path)
        case _:
            path.mkdir()
    with pytest.raises((SourceNotFoundError, UnreadableError)) as caught:
        gpt2_convert.convert(source, tmp_path / "out.npz")
    assert str(caught.value).startswith(f"{path}: ")
    assert not (tmp_path / "out.npz").exists()


def test_attributes_that_h5py_wrote_again_as_str_are_read(tmp_path: Path) -> None:
    source = write_huggingface(tmp_path / "model", {**CONFIG, **OTHERWISE})
    gpt2_convert.convert(source, tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "a") as file:
        texts = {key: bytes(file.attrs[key]).decode() for key in file.attrs}
        for key, text in texts.items():
            del file.attrs[key]
            file.attrs[key] = text
    with gpt2_convert.open(tmp_path / "x.h5") as checkpoint:
        assert checkpoint.config.activation_function == "relu"
    assert gpt2_convert.verify(source, tmp_path / "x.h5")


@pytest.mark.parametrize("name", CONTAINERS[:3])
def test_no_changed_byte_of_what_a_target_states_goes_unnoticed(name: str, tmp_path: Path) -> None:
    source = write_huggingface(tmp_path / "model", {**CONFIG, **OTHERWISE})
    target = tmp_path / name
    gpt2_convert.convert(source, target)
    whole = target.read_bytes()
    # The statement begins with its first field and ends with the last; HDF5 keeps them apart.
    places = [
        place + offset
        for text in (b"hparams", b"checksum", b"relu", b'"n_head": 4', b"n_head")
        for place in [whole.rfind(text)]
        if place >= 0
        for offset in range(len(text))
    ]
    assert len(places) > 20
    damaged = target.with_name(f"damaged-{name}")
    for place in places:
        data = bytearray(whole)
        data[place] ^= 0x01
        damaged.write_bytes(data)
        with suppress(FormatError):
            assert not gpt2_convert.verify(source, damaged), f"byte {place} was not noticed"


def test_no_changed_byte_of_a_config_json_goes_unnoticed(tmp_path: Path) -> None:
    source = write_huggingface(tmp_path / "model", {**CONFIG, **OTHERWISE, "_name_or_path": "x"})
    gpt2_convert.convert(source, tmp_path / "out", to="hf")
    # Every field of the target is stated by both, so that each of them is compared.
    gpt2_convert.convert(tmp_path / "out", tmp_path / "again", to="hf")
    path = tmp_path / "again" / "config.json"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            report = gpt2_convert.verify(tmp_path / "out", tmp_path / "again")
        except FormatError:
            continue
        # A changed key is two fields that one side alone has.
        assert not report or report.not_compared, f"byte {place} was not noticed"


def test_a_statement_of_before_the_checksum_is_read(tmp_path: Path) -> None:
    import zipfile

    np.savez(tmp_path / "x.npz", allow_pickle=False, **raws.canonical())
    stated = {"hparams": bundles.TINY, "source_format": "safetensors", "config": CONFIG}
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive:
        archive.comment = json.dumps(stated).encode()
    save_file(raws.canonical(), tmp_path / "x.safetensors", {"gpt2-convert": json.dumps(stated)})
    for name in ("x.npz", "x.safetensors"):
        with gpt2_convert.open(tmp_path / name) as checkpoint:
            assert checkpoint.hparams.n_head == 4


# The types of the weights, and the head.


def test_a_stated_dtype_stays_with_a_note_and_a_cast_says_what_is_stored(tmp_path: Path) -> None:
    half = {name: array.astype(np.float16) for name, array in raws.huggingface().items()}
    source = write_huggingface(tmp_path / "model", {**CONFIG, "torch_dtype": "float32"}, half)
    report = gpt2_convert.convert(source, tmp_path / "same", to="hf")
    (note,) = report.notes
    assert note == f"{source / 'config.json'} says dtype float32, but the weights are float16"
    assert read_config(tmp_path / "same")["torch_dtype"] == "float32"
    gpt2_convert.convert(source, tmp_path / "cast", to="hf", dtype="bfloat16")
    written = read_config(tmp_path / "cast")
    assert (written["dtype"], "torch_dtype" in written) == ("bfloat16", False)
    gpt2_convert.convert(source, tmp_path / "x.npz", dtype="float64")
    with gpt2_convert.open(tmp_path / "x.npz") as checkpoint:
        assert checkpoint.config.dtype == "float64"


def test_a_changed_tie_is_a_note_and_verify_compares_it(tmp_path: Path) -> None:
    plain = write_huggingface(tmp_path / "plain")
    says_untied = write_huggingface(tmp_path / "model", {**CONFIG, "tie_word_embeddings": False})
    report = gpt2_convert.convert(says_untied, tmp_path / "out", to="hf")
    (note,) = report.notes
    assert note.endswith(
        "says tie_word_embeddings false, but the output goes through wte: it becomes true"
    )
    assert read_config(tmp_path / "out")["tie_word_embeddings"] is True
    (finding,) = gpt2_convert.verify(plain, says_untied).findings
    assert (finding.kind, finding.tensor) == (Kind.CONFIG, "tie_word_embeddings")


def test_an_untied_head_goes_only_by_its_full_name(tmp_path: Path) -> None:
    head = {"lm_head.weight": raws.huggingface()["wte.weight"] + 1}
    source = write_huggingface(tmp_path / "model", CONFIG, head)
    with pytest.raises(UsageError, match=r"only its full name leaves it out"):
        gpt2_convert.convert(source, tmp_path / "out.npz", drop=["*head*"])
    report = gpt2_convert.convert(source, tmp_path / "out.npz", drop=["lm_head.weight"])
    assert any(note.startswith("the model was changed: 'lm_head.weight'") for note in report.notes)
    with gpt2_convert.open(tmp_path / "out.npz") as checkpoint:
        assert "lm_head.w" not in checkpoint


# Masks.


def masks(mask: Array, bias: float = -1e4) -> dict[str, Array]:
    return {f"h.{layer}.attn.bias": mask for layer in range(3)} | {
        f"h.{layer}.attn.masked_bias": np.array(bias, np.float32) for layer in range(3)
    }


def causal(size: int, dtype: str = "uint8") -> Array:
    return np.tril(np.ones((size, size))).astype(dtype).reshape(1, 1, size, size)


@pytest.mark.parametrize("size", [1, 16, 1024])
@pytest.mark.parametrize("dtype", ["uint8", "bool", "float32"])
def test_a_causal_mask_of_any_size_is_dropped(size: int, dtype: str, tmp_path: Path) -> None:
    source = write_huggingface(tmp_path / "model", CONFIG, masks(causal(size, dtype), -1e9))
    report = gpt2_convert.convert(source, tmp_path / "out.npz")
    assert len(report.dropped) == 6


@pytest.mark.parametrize(
    ("mask", "bias", "fault"),
    [
        (np.ones((1, 1, 16, 16), np.uint8), -1e4, "'h.0.attn.bias' is no causal mask: 1 at [0, 1]"),
        (causal(16) * 2, -1e4, "'h.0.attn.bias' is no causal mask: 2 at [0, 0]"),
        (np.zeros((1, 1, 16, 15), np.uint8), -1e4, "not square"),
        (np.zeros((2, 16, 16), np.uint8), -1e4, "not square"),
        (causal(16), 0.0, "'h.0.attn.masked_bias' is no masked bias: 0.0"),
        (causal(16), -9999.0, "'h.0.attn.masked_bias' is no masked bias: -9999.0"),
        (causal(16), np.nan, "'h.0.attn.masked_bias' is no masked bias: nan"),
    ],
)
def test_what_only_has_the_name_of_a_mask_is_refused_by_it(
    mask: Array, bias: float, fault: str, tmp_path: Path
) -> None:
    source = write_huggingface(tmp_path / "model", CONFIG, masks(mask, bias))
    for job in (
        lambda: gpt2_convert.convert(source, tmp_path / "out.npz"),
        lambda: gpt2_convert.digest(source),
        lambda: gpt2_convert.verify(source, source),
    ):
        with pytest.raises(SchemaError) as caught:
            job()
        assert fault in str(caught.value)
    sound = write_huggingface(tmp_path / "sound", CONFIG, masks(causal(16)))
    findings = gpt2_convert.verify(sound, source).findings
    assert findings
    assert all(finding.kind is Kind.EXTRA for finding in findings)
    with gpt2_convert.open(source) as checkpoint:
        assert checkpoint.notes == (
            "6 mask buffers were dropped by name; the values were not looked at",
        )
    assert gpt2_convert.convert(source, tmp_path / "out.npz", drop=["h.*.attn.*bias"])


# Digests.


def test_the_digests_can_be_recomputed_from_the_listing(tiny: Path) -> None:
    lines = gpt2_convert.digest(tiny).lines
    *tensors, weights, config, model = lines
    listing = "".join(f"{line}\n" for line in tensors)
    assert weights == f"{hashlib.sha256(listing.encode()).hexdigest()}  weights"
    digest, _, text = config.partition("  config ")
    assert digest == hashlib.sha256(text.encode()).hexdigest()
    assert json.loads(text) == {
        **bundles.TINY,
        "n_inner": 128,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-05,
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "tie_word_embeddings": True,
    }
    both = f"{weights}\n{config}\n"
    assert model == f"{hashlib.sha256(both.encode()).hexdigest()}  model"


def test_a_digest_is_that_of_the_model_whatever_the_container(tmp_path: Path) -> None:
    source = write_huggingface(tmp_path / "model", {**CONFIG, **OTHERWISE, "n_head": 8})
    listing = gpt2_convert.digest(source).lines
    for name in CONTAINERS:
        report = gpt2_convert.convert(source, f"{tmp_path}/{name}", digest=True)
        assert report.digests is not None
        assert report.digests.lines == listing
        assert gpt2_convert.digest(tmp_path / name).lines == listing


def test_checking_a_listing_names_what_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_huggingface(tmp_path / "model")
    assert run(["digest", str(source)]) == 0
    (tmp_path / "listing").write_text(capsys.readouterr().out)
    check = ["--check", str(tmp_path / "listing")]
    assert run(["digest", str(source), *check]) == 0
    capsys.readouterr()
    weights = raws.huggingface()
    weights["ln_f.bias"] = weights["ln_f.bias"] + 1
    other = write_huggingface(tmp_path / "other", {**CONFIG, "n_head": 8}, weights)
    assert run(["digest", str(other), *check]) == 1
    shown = capsys.readouterr().out
    assert "values    ln_f.b: its values differ" in shown
    assert "config    n_head: 4 in the listing, 8 here" in shown


# No false green.


def test_inspect_says_no_to_what_would_stop_any_conversion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_huggingface(tmp_path / "model")
    whole = (source / "model.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-1])
    save_file({"x": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    contradictory = write_huggingface(tmp_path / "contradictory", {**CONFIG, "vocab_size": 62})
    dangling = write_huggingface(tmp_path / "dangling")
    (dangling / "merges.txt").symlink_to("nowhere")
    bad = (tmp_path / "cut.safetensors", contradictory, dangling)
    for path, code in ((source, 0), *((path, 2) for path in bad)):
        assert run(["inspect", str(path)]) == code
        document = gpt2_convert.inspect(path).as_json()
        assert (document["kind"], document["ok"]) == ("inspection", code == 0)
        assert bool(document["findings"]) is (code == 2)
    # Sound, and no GPT-2: that is what it is asked for.
    assert run(["inspect", str(tmp_path / "other.safetensors")]) == 0
    capsys.readouterr()


def test_a_report_is_true_if_it_is_ok(tmp_path: Path) -> None:
    source = write_huggingface(tmp_path / "model")
    other = write_huggingface(tmp_path / "other", {**CONFIG, "n_head": 8})
    assert gpt2_convert.convert(source, tmp_path / "out.npz")
    assert gpt2_convert.verify(source, tmp_path / "out.npz")
    assert not gpt2_convert.verify(source, other)
    assert gpt2_convert.digest(source)
    assert gpt2_convert.inspect(source)


def test_a_pass_with_a_tolerance_states_the_largest_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = raws.huggingface()
    changed = {**weights, "ln_f.bias": weights["ln_f.bias"].copy()}
    changed["ln_f.bias"][3] += np.float32(0.25)
    expected = abs(float(changed["ln_f.bias"][3]) - float(weights["ln_f.bias"][3]))
    first = write_huggingface(tmp_path / "first")
    second = write_huggingface(tmp_path / "second", CONFIG, changed)
    report = gpt2_convert.verify(first, second, atol=0.5)
    assert report
    assert report.max_abs_diff == expected
    assert run(["verify", str(first), str(second), "--atol", "0.5"]) == 0
    assert f"largest difference {expected:.3g}" in capsys.readouterr().out


def test_a_dtype_that_differs_everywhere_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = {name: array.astype(np.float16) for name, array in raws.huggingface().items()}
    first = write_huggingface(tmp_path / "first")
    second = write_huggingface(tmp_path / "second", CONFIG, half)
    assert len(gpt2_convert.verify(first, second).findings) == 40
    assert run(["verify", str(first), str(second)]) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "  dtype " in line]
    assert line.split("dtype", 1)[1].strip() == (
        "40 tensors: float32 in the source, float16 in the target; "
        "--dtype float16 compares with the source cast to it"
    )


def test_what_one_side_alone_states_is_named_as_not_compared(tmp_path: Path) -> None:
    first = write_huggingface(tmp_path / "first", {**CONFIG, "bos_token_id": 1, "x": [1]})
    second = write_huggingface(tmp_path / "second", {**CONFIG, "bos_token_id": 2})
    report = gpt2_convert.verify(first, second)
    (finding,) = report.findings
    assert (finding.kind, finding.tensor) == (Kind.CONFIG, "bos_token_id")
    assert report.not_compared == ("x",)
    assert gpt2_convert.verify(tmp_path / "first", tmp_path / "first").not_compared == ()


# Companions.

TOKENIZER = {
    "vocab.txt": b"[PAD]\n[UNK]\n",
    "spiece.model": b"\n" + bytes(range(256)),
    "chat_template.jinja": b"{{ messages }}",
    "modeling_own.py": b"raise SystemExit('never run')\n",
    "tokenizer_config.json": b'{"tokenizer_class": "BertTokenizer"}',
    "generation_config.json": b"{}",
    "README.md": b"---\nlicense: mit\n---\n",
    "LICENSE": b"MIT",
}


def write_companions(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def test_every_file_beside_the_weights_travels_or_is_named(tmp_path: Path) -> None:
    source = write_companions(write_huggingface(tmp_path / "model"), TOKENIZER)
    left = {
        "pytorch_model.bin": "weights in another container",
        "tf_model.h5": "weights in another container",
        "flax_model.msgpack": "weights in another container",
        "optimizer.pt": "a trainer's state",
        "trainer_state.json": "a trainer's state",
        "events.out.tfevents.1": "a trainer's state",
        "runs": "a folder",
    }
    write_companions(source, dict.fromkeys(list(left)[:-1], b"x") | {".hidden": b"x"})
    (source / "runs").mkdir()
    report = gpt2_convert.convert(source, tmp_path / "out", to="hf")
    assert {each.name: each.reason for each in report.left} == left
    assert [each.name for each in report.companions] == sorted(TOKENIZER)
    for each in report.companions:
        data = TOKENIZER[each.name]
        assert (tmp_path / "out" / each.name).read_bytes() == data
        assert (each.nbytes, each.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert sorted(os.listdir(tmp_path / "out")) == sorted(
        ["config.json", "model.safetensors", *TOKENIZER]
    )
    to_a_file = gpt2_convert.convert(source, tmp_path / "out.npz")
    assert not to_a_file.companions
    assert {each.name for each in to_a_file.left} == {*left, *TOKENIZER}
    weights_only = gpt2_convert.convert(source, tmp_path / "bare", to="hf", weights_only=True)
    assert {each.name for each in weights_only.left} == {*left, *TOKENIZER}
    assert sorted(os.listdir(tmp_path / "bare")) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("name", ["encoder.json", "vocab.bpe", "vocab.json", "tokenizer.json"])
@pytest.mark.parametrize(
    "data",
    [
        b"<?xml version='1.0'?><Error/>",
        b"<!DOCTYPE html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        b"",
    ],
    ids=["XML", "HTML", "LFS", "empty"],
)
def test_what_a_download_left_in_place_of_a_tokenizer_is_refused_by_name(
    data: bytes, name: str, tiny: Path, tmp_path: Path
) -> None:
    (tiny / name).write_bytes(data)
    with pytest.raises(FormatError) as caught:
        gpt2_convert.convert(tiny, tmp_path / "out", to="hf")
    assert str(caught.value).startswith(f"{tiny / name}: ")
    assert not (tmp_path / "out").exists()
    assert gpt2_convert.convert(tiny, tmp_path / "out", to="hf", weights_only=True)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("vocab.json", b'["a"]', "a JSON object expected"),
        ("vocab.json", b'{"a": "0"}', "a token and its number expected"),
        ("vocab.json", b'{"a": -1}', "a token and its number expected"),
        ("vocab.json", b'{"a": 0, "a": 1}', "a token stands twice"),
        ("encoder.json", b'{"a": true}', "a token and its number expected"),
        ("merges.txt", b"#version\n\xff\xfe", "no text in UTF-8"),
        ("merges.txt", b"#version\na b\nabc\n", "line 3: two pieces"),
        ("merges.txt", b"404: Not Found", "a server's answer"),
        ("VOCAB.TXT", b"\xef\xbb\xbf  <html>", "an HTML or XML page"),
        ("modeling_x.py", b"<!DOCTYPE html>", "an HTML or XML page"),
        ("spiece.model", bytes(64), "no SentencePiece model"),
        ("tokenizer.json", b"{}", "there is no 'model' in it"),
        ("tokenizer_config.json", b"null", "not JSON"),
        ("vocab.json", b"{}", "without tokens"),
        ("vocab.json", b'{"a": 1, "b": 1}', "a number 1 stands twice"),
        ("vocab.json", b'{"a": 1, "\\u0061": 2}', "a token stands twice"),
        ("vocab.bpe", b"a b\0", "a zero byte"),
        ("tokenizer_config.json", b"{", "not JSON"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(
    name: str, data: bytes, expected: str, tiny: Path, tmp_path: Path
) -> None:
    (tiny / name).write_bytes(data)
    with pytest.raises(FormatError, match=expected) as caught:
        gpt2_convert.convert(tiny, tmp_path / "out", to="hf")
    assert str(caught.value).startswith(f"{tiny / name}: ")


def test_tokens_beyond_the_vocabulary_are_a_note(tiny: Path, tmp_path: Path) -> None:
    (tiny / "encoder.json").write_text(json.dumps({"a": 0, "b": 61}))
    report = gpt2_convert.convert(tiny, tmp_path / "out", to="hf")
    assert "'encoder.json' numbers tokens up to 61, but n_vocab is 61" in report.notes


@pytest.mark.parametrize("name", ["merges.txt", "vocab.json", "README.md"])
def test_a_companion_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    source = write_huggingface(tmp_path / "model")
    (tmp_path / "secret").write_text("{}")
    (source / name).symlink_to("../secret")
    with pytest.raises(UnsupportedError, match="a link that leads out of its folder"):
        gpt2_convert.convert(source, tmp_path / "out", to="hf")
    (source / name).unlink()
    (source / name).symlink_to("nowhere")
    with pytest.raises(SourceNotFoundError, match="a link that leads nowhere"):
        gpt2_convert.convert(source, tmp_path / "out", to="hf")
    (source / name).unlink()
    os.mkfifo(source / name)
    with pytest.raises(UnreadableError, match="not a regular file"):
        gpt2_convert.convert(source, tmp_path / "out", to="hf")


def test_links_into_the_blobs_of_the_hub_s_cache_are_followed(tmp_path: Path) -> None:
    made = write_companions(write_huggingface(tmp_path / "made"), {"vocab.txt": b"a\n"})
    root = tmp_path / "models--owner--name"
    snapshot = root / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (root / "blobs").mkdir()
    for number, path in enumerate(sorted(made.iterdir())):
        shutil.copy(path, root / "blobs" / str(number))
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    report = gpt2_convert.convert(snapshot, tmp_path / "out", to="hf")
    assert [each.name for each in report.companions] == ["vocab.txt"]


def test_a_changed_byte_of_a_companion_is_a_finding(tmp_path: Path) -> None:
    source = write_companions(write_huggingface(tmp_path / "model"), TOKENIZER)
    gpt2_convert.convert(source, tmp_path / "out", to="hf")
    assert gpt2_convert.verify(source, tmp_path / "out").companions == tuple(sorted(TOKENIZER))
    for name, data in TOKENIZER.items():
        path = tmp_path / "out" / name
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        (finding,) = gpt2_convert.verify(source, tmp_path / "out").findings
        assert (finding.kind, finding.tensor) == (Kind.COMPANION, name)
        assert gpt2_convert.verify(source, tmp_path / "out", weights_only=True)
        path.write_bytes(data)
    (tmp_path / "out" / "LICENSE").unlink()
    report = gpt2_convert.verify(source, tmp_path / "out")
    assert report
    assert report.not_compared[-1:] == ("LICENSE",)


def test_force_replaces_a_model_folder_and_nothing_else(tmp_path: Path) -> None:
    source = write_companions(write_huggingface(tmp_path / "model"), TOKENIZER)
    target = tmp_path / "out"
    gpt2_convert.convert(source, target, to="hf")
    # Its own code is written again; a tokenizer of an older conversion is none of a stranger's.
    (target / "merges.txt").write_text("#version: 0.2\n")
    gpt2_convert.convert(source, target, to="hf", force=True)
    assert not (target / "merges.txt").exists()
    (target / "thesis.tex").write_text("years of work")
    with pytest.raises(gpt2_convert.TargetError, match=r"'thesis\.tex'"):
        gpt2_convert.convert(source, target, to="hf", force=True)
    assert (target / "thesis.tex").read_text() == "years of work"
