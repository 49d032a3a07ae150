"""The layer is found in any spelling of a name, and what is no layer stays in the kind."""

from __future__ import annotations

import pytest

from gpt2_convert.reports.kinds import Place, locate, name_part


@pytest.mark.parametrize(
    ("name", "kind", "layer"),
    [
        ("blocks[11].attn.c_attn.w", "attn.c_attn.w", 11),
        ("h.3.attn.c_attn.weight", "h.*.attn.c_attn.weight", 3),
        ("model/h3/attn/c_attn/w", "model/h*/attn/c_attn/w", 3),
        ("layers.0.mlp.experts.7.w", "layers.*.mlp.experts.7.w", 0),
        ("wte", "wte", None),
        ("ln_f.g", "ln_f.g", None),
        ("conv2d_1/kernel", "conv2d_1/kernel", None),
        ("x.12345678.y", "x.12345678.y", None),
        ("", "", None),
    ],
)
def test_the_layer_is_taken_out_of_a_name(name: str, kind: str, layer: int | None) -> None:
    assert locate(name) == Place(kind, layer)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("wte", "wte"),
        ("blocks[0].ln_1.g", "ln"),
        ("ln_f.b", "ln"),
        ("blocks[0].mlp.c_fc.w", "mlp"),
        ("layers.3.self_attn.q_proj.weight", "layers.*.self_attn.q_proj"),
        ("model/h3/ln_1/b", "model/h*/ln_1"),
    ],
)
def test_a_part_has_its_weights_and_biases_together(name: str, part: str) -> None:
    assert name_part(name) == part
