"""A converted model is the whole model: transformers computes the same, and tokenizes the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from interop.test_transformers import load, logits
from support import bundles

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
SIZES = {"vocab_size": 101, "n_positions": 32, "n_embd": 48, "n_layer": 3, "n_head": 4}
BEHAVIOURS: dict[str, dict[str, Any]] = {
    "relu": {"activation_function": "relu"},
    "gelu": {"activation_function": "gelu"},
    "another epsilon": {"layer_norm_epsilon": 1e-3},
    "unscaled attention": {"scale_attn_weights": False},
    "inverse layers": {"scale_attn_by_inverse_layer_idx": True},
    "another n_inner": {"n_inner": 40},
    "an untied head": {"tie_word_embeddings": False},
}
TEXTS = ["Not all heroes wear capes.", "unbelievable naïve façades", "a b  c\n\td", "日本 1,024 €"]


def make_model(folder: Path, **fields: object) -> Any:  # noqa: ANN401
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(**SIZES, **fields)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.2)
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_every_container_keeps_the_logits(name: str, tmp_path: Path) -> None:
    original = make_model(tmp_path / "source", **BEHAVIOURS[name])
    tokens = np.random.default_rng(0).integers(0, 101, (2, 32))
    expected = logits(original, tokens)
    for container in ("a.npz", "b.safetensors", "c.h5", "d/"):
        gpt2_convert.convert(tmp_path / "source", f"{tmp_path}/{container}")
        back = tmp_path / f"from-{container.rstrip('/')}"
        gpt2_convert.convert(tmp_path / container, back, to="hf")
        np.testing.assert_allclose(logits(load(back), tokens), expected, rtol=0, atol=1e-5)
    # The behaviour decides: GPT-2's own would have said something else.
    if not {"n_inner", "tie_word_embeddings"} & BEHAVIOURS[name].keys():
        plain = make_model(tmp_path / "plain")
        assert np.abs(logits(plain, tokens) - expected).max() > 1e-4


def test_a_tensorflow_checkpoint_behaves_as_the_config_json_beside_it_says(tmp_path: Path) -> None:
    from support import raws

    config = {
        "model_type": "gpt2", "vocab_size": 61, "n_positions": 16, "n_embd": 32, "n_head": 4,
        "n_layer": 3, "activation_function": "gelu", "layer_norm_epsilon": 1e-6,
    }  # fmt: skip
    source = bundles.write_gpt2(tmp_path / "tf")
    (source / "hparams.json").unlink()
    (source / "config.json").write_text(json.dumps(config))
    gpt2_convert.convert(source, tmp_path / "hf", to="hf")
    # The judge: the same weights as transformers itself would have them beside that config.
    from safetensors.numpy import save_file

    judge = tmp_path / "judge"
    judge.mkdir()
    names = {f"transformer.{name}": array for name, array in raws.huggingface().items()}
    save_file(names, judge / "model.safetensors", {"format": "pt"})
    (judge / "config.json").write_text(json.dumps(config))
    tokens = np.random.default_rng(0).integers(0, 61, (2, 16))
    expected = logits(load(judge), tokens)
    np.testing.assert_allclose(logits(load(tmp_path / "hf"), tokens), expected, rtol=0, atol=1e-5)


# Tokenizers.


def train(kind: str, folder: Path) -> None:
    """Put the files of a small tokenizer of that kind into ``folder``, and no tokenizer.json."""
    config: dict[str, object]
    if kind == "byte-level BPE":
        from tokenizers import ByteLevelBPETokenizer

        bpe = ByteLevelBPETokenizer()
        bpe.train_from_iterator(TEXTS * 10, vocab_size=320, show_progress=False)
        bpe.save_model(str(folder))
        config = {"tokenizer_class": "GPT2Tokenizer"}
    elif kind == "WordPiece":
        from tokenizers import BertWordPieceTokenizer

        pieces = BertWordPieceTokenizer(lowercase=False)
        pieces.train_from_iterator(TEXTS * 10, vocab_size=200, show_progress=False)
        pieces.save_model(str(folder))
        config = {"tokenizer_class": "BertTokenizer", "do_lower_case": False}
    else:
        import sentencepiece

        with (folder / "spiece.model").open("wb") as model:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(TEXTS * 10),
                model_writer=model,
                vocab_size=38,
                pad_id=0,
                unk_id=1,
                bos_id=2,
                eos_id=3,
                minloglevel=2,
            )
        config = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("kind", ["byte-level BPE", "WordPiece", "sentencepiece"])
def test_the_tokenizer_of_the_target_gives_the_ids_of_the_source_s(
    kind: str, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    make_model(tmp_path / "source")
    train(kind, tmp_path / "source")
    report = gpt2_convert.convert(tmp_path / "source", tmp_path / "hf", to="hf")
    assert len(report.companions) >= 2
    first, second = (AutoTokenizer.from_pretrained(tmp_path / each) for each in ("source", "hf"))
    assert type(first) is type(second)
    for text in TEXTS:
        ids = first(text)["input_ids"]
        assert len(ids) > 2
        assert second(text)["input_ids"] == ids


def test_openai_s_tokenizer_is_known_by_its_ids(openai_folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(openai_folder)
    assert tokenizer("Not all heroes wear capes.")["input_ids"] == [
        3673, 477, 10281, 5806, 1451, 274, 13,
    ]  # fmt: skip
