"""A schema file with a mistake in it is not loaded."""

from __future__ import annotations

from importlib.resources import files

import pytest
from support import bundles

from gpt2_convert.model.schema import load_family, parse_family

SCHEMA = files("gpt2_convert.schemas").joinpath("gpt2.toml").read_text(encoding="utf-8")


BROKEN_SCHEMAS = {
    "an unknown key in a row": ("conv1d = true }", "conv2d = true }"),
    "an unknown key at the top": ('family = "gpt2"', 'family = "gpt2"\nversion = 2'),
    "a name that stands twice": ('tf = "model/wpe"', 'tf = "model/wte"'),
    "a size that is not declared": ('["n_ctx", "n_embd"]', '["n_context", "n_embd"]'),
    "an expression": ('["3*n_embd"]', '["n_embd+n_embd"]'),
    "a spelling without the layer": ("model/h{layer}/ln_1/g", "model/h/ln_1/g"),
    "a column that is missing": ('name = "ln_f.b", tf = "model/ln_f/b"', 'name = "ln_f.b"'),
    "a spelling from one that is not there": ('from = "hf"', 'from = "keras_2021"'),
    "an unknown key in a spelling": ("scopes = true }", "scope = true }"),
    "a replacement without an origin": (
        "spellings.name = {}", "spellings.name = { replace = { a = 'b' } }",
    ),
    "wrappers and scopes": ('"model."], ', '"model."], scopes = true, '),
    "two names that become one": ('"wpe/embeddings" = "wpe"', '"wpe/embeddings" = "wte/weight"'),
    "a rule in no column": ('{ tf = "global_step"', '{ openai = "global_step"'),
    "a rule without a name": ('{ tf = "global_step", reason', "{ reason"),
    "a rule without a reason": (
        'tf = "global_step", reason = "the training step"', 'tf = "global_step", reason = ""',
    ),
    "a rule with a pattern": ('"{tensor}/Adam"', '"{tensor}/Adam*"'),
    "a rule with an unknown placeholder": ('"{tensor}/Adam"', '"{tensors}/Adam"'),
    "a rule for everything": ('graph = "opt/*"', 'graph = "/*"'),
    "a rule for every tensor": ('tf = "{tensor}/Adam"', 'tf = "{tensor}"'),
    "layers torn apart": ('name = "wte", tf = "model/wte"', 'name = "x{layer}", tf = "y{layer}"'),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN_SCHEMAS)
def test_a_schema_file_with_a_mistake_is_not_loaded(case: str) -> None:
    old, new = BROKEN_SCHEMAS[case]
    assert old in SCHEMA
    parse_family(SCHEMA, "gpt2.toml")
    with pytest.raises(ValueError, match=r"^gpt2\.toml"):
        parse_family(SCHEMA.replace(old, new), "gpt2.toml")


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("scale_attn_weights = true", "scale_attn_weights = [1]", "behaviour.scale_attn_weights"),
        ('n_inner = "4*n_embd"', 'n_inner = "4*n_inner"', "defaults.n_inner: 'n_inner'"),
        ('n_ctx = "n_ctx" }\n\n', 'n_ctx = "n_cxt" }\n\n', "constants.n_ctx: 'n_cxt'"),
        ("add_cross_attention = false", "add_cross_attention = 0.5", "constants.add_cross"),
        ("behaviour = {", "conduct = {", "keys missing ['behaviour'], unknown ['conduct']"),
    ],
)
def test_a_schema_with_a_mistake_in_a_field_is_not_loaded(old: str, new: str, place: str) -> None:
    text = files("gpt2_convert.schemas").joinpath("gpt2.toml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(ValueError, match=r"^gpt2\.toml: ") as caught:
        parse_family(text.replace(old, new), "gpt2.toml")
    assert place in str(caught.value)


def test_the_schema_of_the_package_is_read_once_and_is_gpt2_s() -> None:
    family = load_family()
    assert family is load_family()
    assert (family.name, family.file) == ("gpt2", "gpt2.toml")
    # OpenAI's hparams.json, and the config.json of gpt2 on Hugging Face's hub.
    sizes = {*bundles.TINY, "n_inner"}
    assert set(family.configs["openai"].values()) == sizes
    assert set(family.required_sizes) == set(bundles.TINY) - {"n_head"}
    assert set(family.optional_sizes) == {"n_head", "n_inner"}
    assert family.defaults == {"n_inner": ("4", "n_embd")}
    assert family.configs["hf"]["n_vocab"] == "vocab_size"
    assert family.configs["hf"]["n_ctx"] == "n_positions"
    assert family.behaviour == {
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "tie_word_embeddings": True,
    }
    # attribute_map of transformers' GPT2Config.
    assert family.aliases == {
        "hidden_size": "n_embd",
        "max_position_embeddings": "n_ctx",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    }


def test_derived_names_follow_from_their_column() -> None:
    rows = {row.spellings["name"]: row.spellings for row in load_family().rows}
    assert rows["blocks[{layer}].attn.c_attn.w"] == {
        "name": "blocks[{layer}].attn.c_attn.w",
        "tf": "model/h{layer}/attn/c_attn/w",
        "hf": "h.{layer}.attn.c_attn.weight",
        "slashed": "blocks/{layer}/attn/c_attn/w",
        "dotted": "blocks.{layer}.attn.c_attn.w",
        "tf_bare": "h{layer}/attn/c_attn/w",
        "hf_slashed": "h/{layer}/attn/c_attn/weight",
        "graph": "blocks/{layer}/attn/c_attn/w/.ATTRIBUTES/VARIABLE_VALUE",
        "keras": "h/{layer}/attn/c_attn/weight/.ATTRIBUTES/VARIABLE_VALUE",
        "keras_2021": "h/{layer}/attn/c_attn/weight/.ATTRIBUTES/VARIABLE_VALUE",
        "keras_2023": "h/{layer}/attn/c_attn/weight/.ATTRIBUTES/VARIABLE_VALUE",
        "keras_variables": "h_._{layer}/attn/c_attn/weight",
        "keras_variables_2023": "h_._{layer}/attn/c_attn/weight",
    }
    assert "tf" not in rows["lm_head.w"]
    assert rows["wpe"]["keras_2021"] == "wpe/.ATTRIBUTES/VARIABLE_VALUE"
    assert rows["wte"]["keras_2023"] == "wte/embeddings/.ATTRIBUTES/VARIABLE_VALUE"
