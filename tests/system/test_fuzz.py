"""The fuzzer's targets: their seeds are valid files, and what was once found stays mended."""

from __future__ import annotations

from pathlib import Path

import pytest
from tools.fuzz import targets
from tools.fuzz.targets import TARGETS, Target

from gpt2_convert.api.source import refuse_faults
from gpt2_convert.formats.opening import open_raw

REGRESSIONS = Path(targets.__file__).with_name("regressions")


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_every_seed_is_a_checkpoint_that_can_be_read(target: Target, tmp_path: Path) -> None:
    seeds = list(target.seeds(tmp_path))
    assert len(set(seeds)) == len(seeds) > 2
    for number, seed in enumerate(seeds):
        folder = tmp_path / str(number)
        folder.mkdir()
        with open_raw(target.write(seed, folder)) as raw:
            refuse_faults(raw)
            assert raw.tensors
            for tensor in raw.tensors:
                assert sum(map(len, tensor.chunks())) == tensor.nbytes
        target.run(seed, folder)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_no_truncated_seed_and_no_changed_byte_raises_anything_but_our_errors(
    target: Target, tmp_path: Path
) -> None:
    for seed in target.seeds(tmp_path):
        step = len(seed) // 25 + 1
        for place in range(0, len(seed), step):
            target.run(seed[:place], tmp_path)
            target.run(seed[:place] + bytes([seed[place] ^ 0x81]) + seed[place + 1 :], tmp_path)


@pytest.mark.parametrize("name", TARGETS)
def test_what_the_fuzzer_found_is_handled(name: str, tmp_path: Path) -> None:
    found = sorted((REGRESSIONS / name).iterdir())
    assert found
    for path in found:
        try:
            TARGETS[name].run(path.read_bytes(), tmp_path)
        except Exception as error:
            raise AssertionError(path.name) from error
