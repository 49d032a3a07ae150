"""What the list of hashes ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gpt2_convert
from gpt2_convert.cli.program import run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_digest_ends_with_the_digests_of_weights_configuration_and_model(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["digest", "tiny"]) == 0
    *lines, weights, config, model = capsys.readouterr().out.splitlines()
    report = gpt2_convert.digest("model")
    assert lines == [tensor.line for tensor in report.tensors]
    assert weights == f"{report.weights_sha256}  weights"
    assert config == f"{report.config_sha256}  config {report.config_text}"
    assert model == f"{report.sha256}  model"
