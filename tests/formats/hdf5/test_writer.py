"""What is written as HDF5, as h5py sees it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from support import bundles, contracts, raws
from support.measure import measure
from support.statements import statement
from support.writers import WRITERS

import gpt2_convert
from gpt2_convert.formats.hdf5 import writer as hdf5

if TYPE_CHECKING:
    from pathlib import Path

    from gpt2_convert.formats.writers import Compression


class TestHdf5(contracts.WriterContract):
    writer = WRITERS["hdf5"]

    def hparams(self, path: Path) -> dict[str, object]:
        with h5py.File(path) as file:
            stated: dict[str, object] = json.loads(file.attrs["hparams"])
        return stated


class TestGzip(TestHdf5):
    writer = WRITERS["hdf5 gzip"]


MODES: list[Compression | None] = [None, "gzip"]
TWELVE = {**bundles.TINY, "n_layer": 12}
WIDE = {**bundles.TINY, "n_vocab": 5003, "n_embd": 160}
"""Here wte takes 3.2 MB, several chunks, and the last is not full."""

_CONVERT = """
import sys, gpt2_convert
source, target, compress = sys.argv[1:]
report = gpt2_convert.convert(source, target, to="hdf5", compress=compress or None)
assert report.verification.ok
"""


def path_of(name: str) -> str:
    return "/" + WRITERS["hdf5"].spell(name)


@pytest.mark.parametrize("compress", MODES)
def test_h5py_finds_every_weight(compress: Compression | None, tmp_path: Path) -> None:
    source = bundles.write_gpt2(tmp_path / "source", WIDE)
    target = tmp_path / "out.h5"
    report = gpt2_convert.convert(source, target, to="hdf5", compress=compress)
    assert report.verification is not None
    assert report.verification.ok
    expected = raws.canonical(WIDE)
    found: dict[str, h5py.Dataset] = {}
    with h5py.File(target) as file:
        file.visititems(
            lambda name, node: found.update({f"/{name}": node} if hasattr(node, "shape") else {})
        )
        assert set(found) == {path_of(name) for name in expected}
        for name, weights in expected.items():
            dataset = found[path_of(name)]
            np.testing.assert_array_equal(dataset[...], weights, strict=True)
            assert dataset.compression == compress
            assert (dataset.chunks is None) == (compress is None)


@pytest.mark.parametrize("compress", MODES)
def test_groups_and_attributes_list_in_the_order_of_creation(
    compress: Compression | None, tmp_path: Path
) -> None:
    source = bundles.write_gpt2(tmp_path / "source", TWELVE)
    gpt2_convert.convert(source, tmp_path / "out.h5", to="hdf5", compress=compress)
    with h5py.File(tmp_path / "out.h5") as file:
        assert list(file) == ["wte", "wpe", "blocks", "ln_f"]
        assert list(file["blocks"]) == [str(layer) for layer in range(12)]
        assert list(file["blocks/11"]) == ["ln_1", "attn", "ln_2", "mlp"]
        assert list(file["blocks/11/attn/c_attn"]) == ["w", "b"]
        assert list(file.attrs) == ["hparams", "checksum"]
        assert json.loads(file.attrs["hparams"]) == TWELVE
        checksum = statement(TWELVE)["checksum"]
        assert file.attrs["checksum"].decode() == checksum


@pytest.mark.parametrize("compress", MODES)
def test_no_object_has_a_time(compress: Compression | None, tiny: Path, tmp_path: Path) -> None:
    gpt2_convert.convert(tiny, tmp_path / "out.h5", to="hdf5", compress=compress)
    with h5py.File(tmp_path / "out.h5") as file:
        names = [b"/"]
        file.visit(lambda name: names.append(name.encode()))
        assert {h5py.h5g.get_objinfo(file.id, name).mtime for name in names} == {0}
        assert len(names) == 1 + 40 + 1 + 3 * 9 + 1


@pytest.mark.parametrize("compress", MODES)
def test_bytes_depend_on_the_tensors_alone(
    compress: Compression | None, tiny: Path, tmp_path: Path
) -> None:
    elsewhere = shutil.copytree(tiny, tmp_path / "else where" / "gpt2")
    targets = [tmp_path / f"{number}.h5" for number in range(3)]
    gpt2_convert.convert(tiny, targets[0], to="hdf5", compress=compress)
    gpt2_convert.convert(elsewhere, targets[1], to="hdf5", compress=compress)
    # glibc fills fresh memory with this byte: none of it may reach the file.
    environment = {**os.environ, "MALLOC_PERTURB_": "85", "TZ": "UTC8"}
    command: list[str | Path] = [sys.executable, "-c", _CONVERT, tiny, targets[2], compress or ""]
    subprocess.run(command, env=environment, check=True)
    assert len({target.read_bytes() for target in targets}) == 1


@pytest.mark.parametrize("compress", MODES)
def test_nothing_but_the_tensors_takes_room(compress: Compression | None, tmp_path: Path) -> None:
    source = bundles.write_gpt2(tmp_path / "source", WIDE)
    report = gpt2_convert.convert(source, tmp_path / "out.h5", to="hdf5", compress=compress)
    assert report.target_nbytes == (tmp_path / "out.h5").stat().st_size
    assert report.target_nbytes < report.totals.nbytes + 3000 * report.totals.tensors


def test_chunks_that_cut_rows_hold_every_weight(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5, "_CHUNK", 5 * 4)  # five elements: no size is a multiple of it
    gpt2_convert.convert(tiny, tmp_path / "out.h5", to="hdf5", compress="gzip")
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["blocks/0/attn/c_attn/w"].chunks == (1, 5)
        for name, weights in raws.canonical().items():
            np.testing.assert_array_equal(file[path_of(name)][...], weights, strict=True)


def test_small_rows_share_a_chunk(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5, "_CHUNK", 100 * 4)
    gpt2_convert.convert(tiny, tmp_path / "out.h5", to="hdf5", compress="gzip")
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["wte"].chunks == (3, 32)
        for name, weights in raws.canonical().items():
            np.testing.assert_array_equal(file[path_of(name)][...], weights, strict=True)


@pytest.mark.parametrize("compress", MODES)
def test_bfloat16_is_refused_with_the_choices(compress: Compression | None, tmp_path: Path) -> None:
    bundle = bundles.Bundle()
    for name, array in bundles.gpt2_arrays(dtype="float16").items():
        bundle.add(name, array)
        bundle.entries[name].dtype = bundles.BFLOAT16
    bundle.write(tmp_path / "source" / "model.ckpt")
    with pytest.raises(
        gpt2_convert.UnsupportedError,
        match=r"'model/wte': HDF5 has no native bfloat16; safetensors holds it",
    ):
        gpt2_convert.convert(tmp_path / "source", tmp_path / "out.h5", to="hdf5", compress=compress)
    assert not list(tmp_path.glob("out*"))


def test_formats_refuse_a_compression_that_they_do_not_offer(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(
        gpt2_convert.UsageError, match=r"NumPy archive .* cannot be compressed with 'gzip'"
    ):
        gpt2_convert.convert(tiny, tmp_path / "out.npz", to="npz", compress="gzip")
    with pytest.raises(gpt2_convert.UsageError, match="HDF5 cannot be compressed with 'lzf'"):
        gpt2_convert.convert(tiny, tmp_path / "out.h5", to="hdf5", compress="lzf")  # type: ignore[arg-type]
    assert not list(tmp_path.glob("out*"))


@pytest.mark.slow
@pytest.mark.parametrize("compress", MODES)
def test_one_flipped_bit_is_found_and_its_tensor_named(
    compress: Compression | None, tiny: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.h5"
    gpt2_convert.convert(tiny, target, to="hdf5", compress=compress)
    with h5py.File(target) as file:
        dataset = file["blocks/1/mlp/c_fc/w"].id
        chunk = dataset.get_chunk_info(0) if compress else None
        offset = chunk.byte_offset if chunk else dataset.get_offset()
        nbytes = chunk.size if chunk else dataset.get_storage_size()
    sound = target.read_bytes()
    for position in (0, nbytes // 2, nbytes - 1):
        for bit in (0x01, 0x80):
            damaged = bytearray(sound)
            damaged[offset + position] ^= bit
            target.write_bytes(damaged)
            (finding,) = gpt2_convert.verify(tiny, target).findings
            assert (finding.kind, finding.tensor) == ("values", "blocks[1].mlp.c_fc.w")
            if compress:
                assert "damaged after it was written" in (finding.hint or "")


@pytest.mark.slow
def test_one_thread_reads_hdf5_while_another_writes_it(tmp_path: Path) -> None:
    source = bundles.write_gpt2(tmp_path / "source", WIDE)
    first, second = tmp_path / "first.h5", tmp_path / "second.h5"
    gpt2_convert.convert(source, first, to="hdf5", compress="gzip")
    program = _CONVERT.replace("report =", "for again in range(8):\n    report =").replace(
        "compress or None", "compress or None, force=True"
    )
    # A process of its own: where the library is entered twice, it crashes.
    subprocess.run([sys.executable, "-c", program, first, second, "gzip"], check=True, timeout=300)
    assert gpt2_convert.verify(source, second).ok


@pytest.mark.slow
@pytest.mark.parametrize("compress", MODES)
def test_memory_does_not_grow_with_the_model(compress: Compression | None, tmp_path: Path) -> None:
    pattern = np.arange(1 << 16, dtype=np.float32)
    source = bundles.stream_gpt2(
        tmp_path / "124M",
        bundles.OPENAI["124M"],
        lambda _, shape: np.resize(pattern, shape),
    )
    target = tmp_path / "out.h5"
    try:
        command: list[str | Path] = [sys.executable, "-c", _CONVERT, source, target, compress or ""]
        done = measure(command, tmp_path)
        assert done.code == 0, done.stderr
        assert done.peak <= 100_000_000
        with h5py.File(target) as file:
            assert sum(len(file[f"blocks/{layer}"]) for layer in range(12)) == 48
            np.testing.assert_array_equal(
                file["wte"][50256], np.resize(pattern, (50257, 768))[50256]
            )
    finally:
        shutil.rmtree(source)
        target.unlink(missing_ok=True)
