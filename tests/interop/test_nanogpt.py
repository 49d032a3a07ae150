"""nanoGPT's checkpoints, as its train.py saves them: the model, and all that is beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from interop.test_linear import TOKENS, make_model
from interop.test_linear import save as save_safetensors
from interop.test_transformers import load, logits
from support import bundles
from support.writers import Writer, every_writer

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

pytestmark = [
    pytest.mark.interop,
    # torch and transformers warn of their own affairs.
    pytest.mark.filterwarnings("default::DeprecationWarning"),
    pytest.mark.filterwarnings("default::FutureWarning"),
]
TINY = bundles.TINY


def save(path: Path, model: Any, prefix: str = "", *, bias: bool = True) -> Path:  # noqa: ANN401
    """Save a checkpoint after a step of its optimizer, which leaves the weights as they were."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)
    model(torch.from_numpy(TOKENS)[None]).sum().backward()
    optimizer.step()
    checkpoint = {
        "model": {f"{prefix}{name}": tensor for name, tensor in model.state_dict().items()},
        "optimizer": optimizer.state_dict(),
        "model_args": {
            "n_layer": TINY["n_layer"], "n_head": TINY["n_head"], "n_embd": TINY["n_embd"],
            "block_size": TINY["n_ctx"], "bias": bias, "vocab_size": TINY["n_vocab"],
            "dropout": 0.0,
        },
        "iter_num": 250,
        "best_val_loss": torch.tensor(1.75),
        "config": {"out_dir": "out", "compile": True, "learning_rate": 1e-3, "init_from": "gpt2"},
    }  # fmt: skip
    torch.save(checkpoint, path)
    return path


@pytest.mark.parametrize("prefix", ["", "_orig_mod."])
@every_writer
def test_a_checkpoint_becomes_every_target_with_its_logits(
    writer: Writer, prefix: str, tmp_path: Path
) -> None:
    import torch

    model = make_model(approximate="none")
    path = save(tmp_path / "ckpt.pt", model, prefix)
    written = tmp_path / writer.name
    report = writer.convert(path, written)
    assert report.ok
    assert any("left out beside it: 'optimizer'" in note for note in report.notes)
    assert any("taken is 'gelu'" in note for note in report.notes)
    assert gpt2_convert.digest(written).sha256 == gpt2_convert.digest(path).sha256
    gpt2_convert.convert(written, tmp_path / "folder", to="hf")
    with torch.no_grad():
        expected = model(torch.from_numpy(TOKENS)[None]).numpy()
    found = logits(load(tmp_path / "folder"), TOKENS[None])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        gpt2_convert.load(path).logits(TOKENS), expected[0], rtol=0, atol=1e-5
    )


def test_it_has_the_weights_of_its_twins_in_other_containers(tmp_path: Path) -> None:
    model = make_model()
    expected = gpt2_convert.digest(save(tmp_path / "ckpt.pt", model)).weights_sha256
    save_safetensors(model, tmp_path / "x.safetensors")
    state = {name: each.numpy() for name, each in model.state_dict().items()}
    np.savez(tmp_path / "x.npz", **state)
    for name in ("x.safetensors", "x.npz"):
        assert gpt2_convert.digest(tmp_path / name).weights_sha256 == expected


def test_a_model_without_biases_is_refused_by_that_name(tmp_path: Path) -> None:
    path = save(tmp_path / "ckpt.pt", make_model(bias=False), bias=False)
    with pytest.raises(gpt2_convert.UnsupportedError, match="a nanoGPT model without biases"):
        gpt2_convert.open(path)
