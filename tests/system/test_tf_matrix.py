"""One set of weights, in every form that TensorFlow gives a checkpoint."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws
from support.tf_writers import CASTS, WRITERS, load

import gpt2_convert
from gpt2_convert import UnsupportedError
from gpt2_convert.formats.opening import open_raw

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType
    from typing import Literal

    from support.tf_writers import Array, Writer

TARGETS: dict[str, Literal["npz", "safetensors", "hdf5", "hf", "tensorflow"]] = {
    "out.npz": "npz",
    "out.safetensors": "safetensors",
    "out.h5": "hdf5",
    "out": "hf",
    "again": "tensorflow",
}


def write(tf: ModuleType, writer: Writer, tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    writer(tf, folder, bundles.gpt2_arrays())
    (folder / "hparams.json").write_text(json.dumps(bundles.TINY))
    return folder


def prefix_of(folder: Path) -> Path:
    (index,) = folder.glob("*.index")
    return index.with_suffix("")


def digest_of(arrays: Mapping[str, Array], dtype: str) -> str:
    """Compute the content digest as README says it is made."""
    lines = "".join(
        f"{hashlib.sha256(array.tobytes()).hexdigest()}  {name} {dtype} {list(array.shape)}\n"
        for name, array in arrays.items()
    )
    return hashlib.sha256(lines.encode()).hexdigest()


def canonical(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """TensorFlow's arrays under canonical names, in canonical order and shape."""
    found: dict[str, Array] = {}
    for name, expected in raws.canonical().items():
        layer, _, leaf = name.removeprefix("blocks[").partition("].")
        path = leaf.replace(".", "/")
        key = f"model/h{layer}/{path}" if path else f"model/{name.replace('.', '/')}"
        found[name] = arrays[key].reshape(expected.shape)
    return found


@pytest.mark.parametrize("name", WRITERS)
def test_every_form_converts_to_the_same_contents(
    tf: ModuleType, tmp_path: Path, name: str
) -> None:
    source = write(tf, WRITERS[name], tmp_path)
    listed = dict(tf.train.list_variables(str(prefix_of(source))))
    assert {each: listed[each] for each in bundles.gpt2_shapes()} == {
        each: list(shape) for each, shape in bundles.gpt2_shapes().items()
    }
    assert len(listed) == (3 * 40 + 3 if "Adam" in name else 40)
    expected = digest_of(raws.canonical(), "float32")
    assert digest_of(canonical(load(tf, prefix_of(source))), "float32") == expected
    assert gpt2_convert.digest(source).weights_sha256 == expected
    for target, to in TARGETS.items():
        report = gpt2_convert.convert(source, tmp_path / target, to=to)
        assert report.verification is not None
        assert report.verification.ok
        assert gpt2_convert.digest(tmp_path / target).weights_sha256 == expected
        assert gpt2_convert.verify(source, tmp_path / target).ok


@pytest.mark.parametrize("dtype", CASTS)
def test_a_narrower_or_wider_dtype_converts_as_it_is_stored(
    tf: ModuleType, tmp_path: Path, dtype: str
) -> None:
    source = write(tf, CASTS[dtype], tmp_path)
    stored = canonical(load(tf, prefix_of(source)))
    assert {array.dtype.name for array in stored.values()} == {dtype}
    expected = digest_of(stored, dtype)
    for target, to in TARGETS.items():
        if dtype == "bfloat16" and to in ("npz", "hdf5"):
            with pytest.raises(UnsupportedError, match="bfloat16"):
                gpt2_convert.convert(source, tmp_path / target, to=to)
            continue
        gpt2_convert.convert(source, tmp_path / target, to=to)
        assert gpt2_convert.digest(tmp_path / target).weights_sha256 == expected
        assert gpt2_convert.verify(source, tmp_path / target).ok


@pytest.mark.parametrize("name", [*WRITERS, *CASTS])
def test_every_form_is_what_its_name_says(tf: ModuleType, tmp_path: Path, name: str) -> None:
    # Otherwise a form could be another one in disguise, and show nothing.
    source = write(tf, (WRITERS | CASTS)[name], tmp_path)
    prefix = prefix_of(source)
    index = prefix.with_name(f"{prefix.name}.index").read_bytes()
    slice_keys = index.count(b"\0model/")
    with open_raw(source) as raw:
        shards = len(raw.files) - 2 - any("checkpoint" in file.path for file in raw.files)
        dtypes = {tensor.dtype.value for tensor in raw.tensors}
    assert dtypes - {"int64"} == {name if name in CASTS else "float32"}
    assert ("int64" in dtypes) == ("Adam" in name)
    assert shards == {"3 shards": 3, "Snappy": 2}.get(name, 1)
    assert (slice_keys > 0) == ("cut" in name or name == "partitioner")
    # The header's entry stands there as it is, or behind a decompressed length.
    assert index.startswith(bytes([0, 0, 6, 8])) == (name != "Snappy")
    if name == "Snappy":
        assert bundles.data_blocks(index) > 1


def test_the_digest_of_the_tests_is_the_one_that_is_documented() -> None:
    one = {"x": np.zeros(1, np.float32)}
    line = hashlib.sha256(bytes(4)).hexdigest() + "  x float32 [1]\n"
    assert digest_of(one, "float32") == hashlib.sha256(line.encode()).hexdigest()
