"""Models of nn.Linear, as nanoGPT is made: torch's own logits, from what torch itself saved."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("default::DeprecationWarning"),
    pytest.mark.filterwarnings("default::FutureWarning"),
]

TOKENS = np.random.default_rng(3).integers(0, bundles.TINY["n_vocab"], 16)


def make_model(*, bias: bool = True, approximate: str = "tanh") -> Any:  # noqa: ANN401
    """A GPT-2 under the names of nanoGPT's model.py, in its layout, and with its mask buffers.

    ``approximate`` is torch's word for the GELU.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    vocabulary, context, width, heads, layers = bundles.TINY.values()

    class Attention(nn.Module):  # type: ignore[misc]  # torch is absent where types are checked
        def __init__(self) -> None:
            super().__init__()
            self.c_attn = nn.Linear(width, 3 * width, bias=bias)
            self.c_proj = nn.Linear(width, width, bias=bias)
            mask = torch.tril(torch.ones(context, context)).view(1, 1, context, context)
            self.register_buffer("bias", mask)

        def forward(self, x: Any) -> Any:  # noqa: ANN401
            parts = self.c_attn(x).split(width, dim=2)
            query, key, value = (
                part.view(1, -1, heads, width // heads).transpose(1, 2) for part in parts
            )
            y = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            return self.c_proj(y.transpose(1, 2).reshape(1, -1, width))

    class MLP(nn.Module):  # type: ignore[misc]  # torch is absent where types are checked
        def __init__(self) -> None:
            super().__init__()
            self.c_fc = nn.Linear(width, 4 * width, bias=bias)
            self.c_proj = nn.Linear(4 * width, width, bias=bias)

        def forward(self, x: Any) -> Any:  # noqa: ANN401
            return self.c_proj(functional.gelu(self.c_fc(x), approximate=approximate))

    class Block(nn.Module):  # type: ignore[misc]  # torch is absent where types are checked
        def __init__(self) -> None:
            super().__init__()
            self.ln_1 = nn.LayerNorm(width, bias=bias)
            self.attn = Attention()
            self.ln_2 = nn.LayerNorm(width, bias=bias)
            self.mlp = MLP()

        def forward(self, x: Any) -> Any:  # noqa: ANN401
            x = x + self.attn(self.ln_1(x))
            return x + self.mlp(self.ln_2(x))

    class GPT(nn.Module):  # type: ignore[misc]  # torch is absent where types are checked
        def __init__(self) -> None:
            super().__init__()
            self.transformer = nn.ModuleDict(
                {
                    "wte": nn.Embedding(vocabulary, width),
                    "wpe": nn.Embedding(context, width),
                    "h": nn.ModuleList([Block() for _ in range(layers)]),
                    "ln_f": nn.LayerNorm(width, bias=bias),
                }
            )
            self.lm_head = nn.Linear(width, vocabulary, bias=False)
            self.transformer["wte"].weight = self.lm_head.weight

        def forward(self, ids: Any) -> Any:  # noqa: ANN401
            parts = self.transformer
            x = parts["wte"](ids) + parts["wpe"](torch.arange(len(ids[0])))
            for block in parts["h"]:
                x = block(x)
            return self.lm_head(parts["ln_f"](x))

    torch.manual_seed(0)
    return GPT().eval()


def save(model: Any, path: Path, prefix: str = "") -> Path:  # noqa: ANN401
    from safetensors.torch import save_file

    state = {prefix + name: each.clone() for name, each in model.state_dict().items()}
    save_file(state, path)
    (path.parent / "hparams.json").write_text(json.dumps(bundles.TINY))
    return path


@pytest.mark.parametrize("prefix", ["", "_orig_mod."])
def test_a_model_of_linear_layers_says_what_torch_says(prefix: str, tmp_path: Path) -> None:
    import torch

    model = make_model()
    source = save(model, tmp_path / "model.safetensors", prefix)
    with torch.no_grad():
        expected = model(torch.from_numpy(TOKENS)[None])[0].numpy()
    np.testing.assert_allclose(gpt2_convert.load(source).logits(TOKENS), expected, atol=1e-5)
    report = gpt2_convert.convert(source, tmp_path / "hf", to="hf")
    assert "read transposed: nn.Linear's layout [out, in]" in report.notes
    from transformers import AutoModelForCausalLM

    loaded, info = AutoModelForCausalLM.from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    with torch.no_grad():
        found = loaded.eval()(torch.from_numpy(TOKENS)[None]).logits[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_save_model_keeps_of_two_names_is_both(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_model

    model = make_model()
    save_model(model, str(tmp_path / "kept.safetensors"))
    assert "transformer.wte.weight" not in load_file(tmp_path / "kept.safetensors")
    whole = save(model, tmp_path / "whole.safetensors")
    assert gpt2_convert.verify(whole, tmp_path / "kept.safetensors").ok
    digests = gpt2_convert.digest(tmp_path / "kept.safetensors")
    assert digests.lines == gpt2_convert.digest(whole).lines
    with gpt2_convert.open(tmp_path / "kept.safetensors") as checkpoint:
        np.testing.assert_array_equal(
            checkpoint["wte"].array(), model.lm_head.weight.detach().numpy(), strict=True
        )
        for name, tensor in checkpoint.items():
            stored = model.state_dict().get(f"transformer.{raws.huggingface_name(name)}")
            if ".c_" in name and name.endswith(".w"):
                np.testing.assert_array_equal(tensor.array(), stored.numpy().T, strict=True)


def test_a_model_without_biases_is_refused_by_name(tmp_path: Path) -> None:
    source = save(make_model(bias=False), tmp_path / "model.safetensors")
    with pytest.raises(gpt2_convert.UnsupportedError, match=r"without biases \(bias=False\)"):
        gpt2_convert.open(source)
