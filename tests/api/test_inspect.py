"""A listing: what it says of a model, of what is none, and of what is damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws
from support.asides import TRIES, let_forks_work

import gpt2_convert
from gpt2_convert.formats import limits

if TYPE_CHECKING:
    from pathlib import Path

    from gpt2_convert.tensors.dtype import DTypeName

SHARD = "model.ckpt.data-00000-of-00001"


def test_a_model_is_listed_by_its_canonical_names_without_reading_weights(tiny: Path) -> None:
    # With no data to read, whoever reads them fails; the sizes are the index's.
    (tiny / SHARD).write_bytes(bytes((tiny / SHARD).stat().st_size))
    report = gpt2_convert.inspect(tiny)
    shapes = {name: array.shape for name, array in raws.canonical().items()}
    assert {tensor.name: tensor.shape for tensor in report.tensors} == shapes
    assert report.checkpoint is not None
    assert report.checkpoint.hparams.known() == bundles.TINY
    assert (report.refusal, report.faults, report.stats) == (None, (), None)
    assert report.totals.nbytes == sum(array.nbytes for array in raws.canonical().values())
    assert {file.path for file in report.files} >= {str(tiny / SHARD), str(tiny / "hparams.json")}


def test_more_tensors_than_are_measured_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, a=np.zeros(1), b=np.zeros(1), c=np.zeros(1))
    monkeypatch.setattr(limits, "MAX_MEASURED", 3)
    stats = gpt2_convert.inspect(path, stats=True).stats
    assert stats is not None
    assert len(stats) == 3
    monkeypatch.setattr(limits, "MAX_MEASURED", 2)
    with pytest.raises(
        gpt2_convert.UnsupportedError, match=r"x\.npz: 3 tensors, where the statistics"
    ):
        gpt2_convert.inspect(path, stats=True)
    assert len(gpt2_convert.inspect(path).tensors) == 3


def test_a_folder_of_more_files_than_travel_is_told_and_stops_nothing(tiny: Path) -> None:
    for number in range(1_001):
        (tiny / f"{number}.txt").touch()
    report = gpt2_convert.inspect(tiny)
    assert report.ok
    (fault,) = report.faults
    assert fault.startswith(f"{tiny}: more than 1,000 files beside the weights; ")
    assert gpt2_convert.convert(tiny, tiny.parent / "out.npz").ok
    with pytest.raises(gpt2_convert.UnsupportedError, match=r"more than 1,000 files"):
        gpt2_convert.convert(tiny, tiny.parent / "out", to="hf")
    done = gpt2_convert.convert(tiny, tiny.parent / "out", to="hf", weights_only=True)
    assert done.ok
    assert {"0.txt", "1000.txt"} <= {each.name for each in done.left}


def test_what_is_no_gpt2_is_listed_under_its_own_names_with_the_reason(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.zeros((2, 3), np.int16), b=np.ones(4, np.float64))
    report = gpt2_convert.inspect(tmp_path / "x.npz")
    assert {(tensor.name, tensor.shape) for tensor in report.tensors} == {
        ("a", (2, 3)),
        ("b", (4,)),
    }
    assert report.checkpoint is None
    assert isinstance(report.refusal, gpt2_convert.SchemaError)


def test_statistics_are_those_of_numpy(tiny: Path) -> None:
    report = gpt2_convert.inspect(tiny, stats=True)
    assert report.stats is not None
    for tensor, stats in zip(report.tensors, report.stats, strict=True):
        weights = raws.canonical()[tensor.name].astype(np.float64)
        assert stats is not None
        assert (stats.min, stats.max) == (weights.min(), weights.max())
        assert stats.mean is not None
        np.testing.assert_allclose(stats.mean, weights.mean(), rtol=0, atol=1e-12)


def test_with_a_dtype_it_is_the_cast_model_that_is_measured(tiny: Path) -> None:
    report = gpt2_convert.inspect(tiny, dtype="float16", stats=True)
    assert report.stats is not None
    assert {str(tensor.dtype.value) for tensor in report.tensors} == {"float16"}
    position = [tensor.name for tensor in report.tensors].index("wte")
    stats = report.stats[position]
    assert stats is not None
    assert stats.max == float(raws.canonical()["wte"].astype(np.float16).max())


@pytest.mark.parametrize("dtype", [None, "float16"])
def test_statistics_are_the_same_whoever_takes_them(
    dtype: DTypeName | None, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = gpt2_convert.inspect(tiny, stats=True, dtype=dtype)
    done = let_forks_work(monkeypatch)
    told: list[tuple[int, int]] = []
    for _ in range(TRIES):
        report = gpt2_convert.inspect(
            tiny, stats=True, dtype=dtype, progress=lambda _, *numbers: told.append(numbers)
        )
        assert repr(report.stats) == repr(expected.stats)
        assert told[-1] == (report.totals.nbytes, report.totals.nbytes)
        if done:
            break
    assert done


def test_damage_that_a_fork_finds_is_the_error_that_it_is(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray((tiny / SHARD).read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    (tiny / SHARD).write_bytes(data)
    errors = []
    for _ in range(2):
        with pytest.raises(gpt2_convert.ChecksumError) as caught:
            gpt2_convert.inspect(tiny, stats=True)
        errors.append(str(caught.value))
        let_forks_work(monkeypatch)
    assert errors[0] == errors[1]


def test_progress_ends_at_the_bytes_of_all_tensors(tiny: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    gpt2_convert.inspect(tiny, stats=True, progress=lambda *event: seen.append(event))
    total = sum(array.nbytes for array in raws.canonical().values())
    assert (seen[0], seen[-1]) == (("measuring", 0, total), ("measuring", total, total))


def test_a_damaged_tensor_has_no_statistics_but_an_error(tiny: Path) -> None:
    (tiny / SHARD).write_bytes(bytes((tiny / SHARD).stat().st_size))
    with pytest.raises(gpt2_convert.ChecksumError):
        gpt2_convert.inspect(tiny, stats=True)


def test_a_lost_shard_is_a_fault_of_the_listing_and_its_tensors_are_not_measured(
    tiny: Path,
) -> None:
    (tiny / SHARD).unlink()
    report = gpt2_convert.inspect(tiny, stats=True)
    (fault,) = report.faults
    assert SHARD in fault
    assert report.stats is not None
    assert set(report.stats) == {None}
    assert len(report.stats) == len(report.tensors) == len(raws.canonical())
