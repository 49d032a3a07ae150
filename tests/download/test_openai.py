"""OpenAI's files are where its own program looks for them, or at a mirror of the same layout."""

from __future__ import annotations

import pytest

from gpt2_convert.download.content import Digest
from gpt2_convert.download.names import OpenAIModel
from gpt2_convert.download.openai import DATA, INDEX, META, plan_openai
from gpt2_convert.errors import UsageError
from gpt2_convert.reports.fetch import Proof


def test_files_are_at_openai_s_public_storage() -> None:
    plan = plan_openai(OpenAIModel("124M"), None)
    base = "https://openaipublic.blob.core.windows.net/gpt-2/models/124M"
    assert (plan.name, plan.format, plan.commit, str(plan.address)) == (
        "124M", "tensorflow", None, base,
    )  # fmt: skip
    assert {str(each.address) for each in plan.wanted} == {
        f"{base}/{name}"
        for name in ("checkpoint", "encoder.json", "hparams.json", "vocab.bpe", DATA, INDEX, META)
    }
    assert plan.site.authorization is None


def test_all_of_124m_is_published() -> None:
    plan = plan_openai(OpenAIModel("124M"), None)
    assert {each.proof for each in plan.wanted} == {Proof.PUBLISHED}
    assert all(each.known.nbytes for each in plan.wanted)
    data = plan.wanted[-1]
    assert data.known.digest == Digest(
        "SHA-256", "2060c885360cc0cf41d7a6dbc4d24b5127aae20260c8b5ae521b5a6578407118"
    )


@pytest.mark.parametrize("model", ["355M", "774M", "1558M"])
def test_of_larger_models_the_data_is_proven_by_the_index(model: str) -> None:
    proofs = {each.name: each.proof for each in plan_openai(OpenAIModel(model), None).wanted}
    assert proofs == {
        "checkpoint": Proof.CONTENTS,
        "hparams.json": Proof.CONTENTS,
        "encoder.json": Proof.PUBLISHED,
        "vocab.bpe": Proof.PUBLISHED,
        INDEX: Proof.CHECKSUMS,
        META: Proof.SIZE,
        DATA: Proof.CHECKSUMS,
    }


def test_a_mirror_has_the_same_layout_and_may_want_a_password() -> None:
    plan = plan_openai(OpenAIModel("355M"), "https://me:secret@mirror.example/gpt-2/")
    assert str(plan.wanted[-1].address) == f"https://mirror.example/gpt-2/355M/{DATA}"
    assert (plan.site.authorization or "").startswith("Basic ")
    assert "a mirror has its files at https://mirror.example/gpt-2/355M/" in plan.site.missing
    assert "secret" not in repr(plan)


def test_a_mirror_is_an_address() -> None:
    with pytest.raises(UsageError, match="the mirror: an address such as"):
        plan_openai(OpenAIModel("124M"), "/srv/models")
