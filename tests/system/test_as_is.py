"""Checkpoints of any model, taken as they are: every tensor is TensorFlow's in every container."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from support import bundles, raws, tf_writers
from support.documents import assert_valid
from support.safetensors_files import encode, entry
from support.tf_v1 import save_v1
from support.writers import load_npz

import gpt2_convert
from gpt2_convert.api.target import choose_format
from gpt2_convert.formats.writers import WRITERS
from gpt2_convert.model.as_is import NOTE, take_as_is

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType
    from typing import Any

    from support.forked import Program

    Array = np.ndarray[Any, Any]

EIGHT_BITS = {
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
}
"""The names that safetensors has for them, and those of torch and ml_dtypes."""
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def load_hdf5(path: Path) -> dict[str, Array]:
    found: dict[str, Array] = {}

    def visit(name: str, node: Any) -> None:  # noqa: ANN401
        if isinstance(node, h5py.Dataset):
            found[name] = np.asarray(node[()])

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


TARGETS: dict[str, Callable[[Path], dict[str, Array]]] = {
    "out.npz": load_npz,
    "out.safetensors": load_file,
    "out.h5": load_hdf5,
}


def bert(seed: int = 0) -> dict[str, Array]:
    """Arrays under the names that BERT's trainer gives its variables, slots and all."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, Array] = {
        "bert/embeddings/word_embeddings": rng.standard_normal((30, 8), np.float32),
        "bert/embeddings/LayerNorm/gamma": rng.standard_normal(8, np.float32),
        "cls/predictions/output_bias": rng.standard_normal(30, np.float32),
        "cls/seq_relationship/output_weights": rng.standard_normal((2, 8)).astype(np.float16),
    }
    for layer in range(2):
        kernel = f"bert/encoder/layer_{layer}/attention/self/query/kernel"
        arrays[kernel] = rng.standard_normal((8, 8), np.float32)
    return arrays


def with_slots(arrays: Mapping[str, Array]) -> dict[str, Array]:
    slots = {
        f"{name}/{slot}": np.full_like(array, 0.5)
        for name, array in arrays.items()
        for slot in ("adam_m", "adam_v")
    }
    return {**arrays, **slots, "global_step": np.array(1_000_000, np.int64)}


EVERYTHING: dict[str, Array] = {
    **{f"a/{dtype}": np.arange(6).reshape(2, 3).astype(dtype) for dtype in (
        "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16",
        "uint32", "uint64", "bool", "complex64",
    )},
    "scalar:0": np.array(2.5, np.float32),
    "empty": np.zeros((0, 3), np.float32),
    "\N{GREEK SMALL LETTER LAMDA} b.c": np.ones(1, np.float32),
    "large": np.random.default_rng(1).standard_normal((700, 900)),
}  # fmt: skip


def assert_same(found: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        assert found[name].tobytes() == array.tobytes(), name


def write(path: Path, arrays: Mapping[str, Array]) -> Path:
    bundle = bundles.Bundle()
    for name, array in arrays.items():
        bundle.add(name, array)
    bundle.write(path / "model.ckpt")
    return path


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("arrays", ["bert", "everything"])
def test_every_tensor_is_carried_under_its_own_name(
    arrays: str, target: str, tmp_path: Path
) -> None:
    expected = {"bert": bert(), "everything": EVERYTHING}[arrays]
    source = write(tmp_path / "any", expected)
    report = gpt2_convert.convert(source, tmp_path / target, as_is=True)
    assert report.ok
    assert report.verification is not None
    assert report.verification.as_is
    assert (report.config, report.hparams, report.hparams_from) == (None, None, None)
    assert report.mapped == tuple((name, name) for name in sorted(expected))
    assert NOTE in report.notes
    assert_same(TARGETS[target](tmp_path / target), expected)
    assert_valid(report.as_json(), "report")


def test_a_compressed_target_is_one_too_with_scalars_and_all(tmp_path: Path) -> None:
    source = write(tmp_path / "any", EVERYTHING)
    assert gpt2_convert.convert(source, tmp_path / "a.h5", as_is=True, compress="gzip").ok
    assert_same(load_hdf5(tmp_path / "a.h5"), EVERYTHING)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["large"].compression == "gzip"


def test_the_digests_are_the_same_in_every_container(tmp_path: Path) -> None:
    source = write(tmp_path / "any", EVERYTHING)
    first = gpt2_convert.digest(source, as_is=True)
    assert [each.name for each in first.tensors] == sorted(EVERYTHING)
    assert first.as_is
    assert first.sha256 == first.weights_sha256
    for name in TARGETS:
        made = gpt2_convert.convert(source, tmp_path / name, as_is=True, digest=True)
        assert made.digests is not None
        assert gpt2_convert.digest(tmp_path / name, as_is=True).lines == first.lines
        assert made.digests.lines == first.lines
    for name in TARGETS:
        for other in TARGETS:
            assert gpt2_convert.verify(tmp_path / name, tmp_path / other, as_is=True).ok


def test_a_way_there_and_back_gives_the_same_bytes(tmp_path: Path) -> None:
    source = write(tmp_path / "any", EVERYTHING)
    for name in TARGETS:
        gpt2_convert.convert(source, tmp_path / name, as_is=True)
        for other in TARGETS:
            again = tmp_path / f"again-{name}-{other}"
            gpt2_convert.convert(tmp_path / name, again, as_is=True)
            for third in (name, other):
                back = tmp_path / f"back-{third}"
                gpt2_convert.convert(again, back, as_is=True, force=True)
                assert_same(TARGETS[third](back), EVERYTHING)


def test_what_hdf5_cannot_hold_is_named_and_left_out_on_request(tmp_path: Path) -> None:
    source = write(tmp_path / "any", with_slots(bert()))
    with pytest.raises(gpt2_convert.UnsupportedError) as caught:
        gpt2_convert.convert(source, tmp_path / "a.h5", as_is=True)
    first = "bert/embeddings/LayerNorm/gamma"
    assert f"'{first}' and '{first}/adam_m'" in str(caught.value)
    assert not list(tmp_path.glob("a.h5*"))
    report = gpt2_convert.convert(source, tmp_path / "a.h5", as_is=True, drop="*/adam_?")
    assert len(report.dropped) == 12
    step = {"global_step": np.array(1_000_000, np.int64)}
    assert_same(load_hdf5(tmp_path / "a.h5"), {**bert(), **step})
    for name in ("a.npz", "a.safetensors"):
        assert gpt2_convert.convert(source, tmp_path / name, as_is=True).totals.tensors == 19


def test_a_cast_leaves_integers_alone_and_says_so(tmp_path: Path) -> None:
    source = write(tmp_path / "any", with_slots(bert()))
    report = gpt2_convert.convert(source, tmp_path / "a.npz", as_is=True, dtype="float16")
    assert report.loss is not None
    assert report.loss.dtype is gpt2_convert.DType.FLOAT16
    assert "1 tensor is of a dtype that is never cast: int64" in report.notes
    expected = {
        name: array if name == "global_step" else array.astype(np.float16)
        for name, array in with_slots(bert()).items()
    }
    assert_same(load_npz(tmp_path / "a.npz"), expected)
    assert gpt2_convert.verify(source, tmp_path / "a.npz", as_is=True, dtype="float16").ok
    assert not gpt2_convert.verify(source, tmp_path / "a.npz", as_is=True).ok


def test_complex128_is_told_to_be_none_of_safetensors_dtypes(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", z=np.ones(2, np.complex128))
    with pytest.raises(
        gpt2_convert.UnsupportedError, match="'z': safetensors has no complex128"
    ) as caught:
        gpt2_convert.convert(tmp_path / "x.npz", tmp_path / "a.safetensors", as_is=True)
    assert str(caught.value) == (
        f"{tmp_path / 'x.npz'}: 'z': safetensors has no complex128; drop='z' leaves it out"
    )
    for name in ("a.npz", "a.h5"):
        assert gpt2_convert.convert(tmp_path / "x.npz", tmp_path / name, as_is=True).ok


@pytest.mark.parametrize("code", EIGHT_BITS)
def test_floats_of_eight_bits_are_carried_where_there_is_room_for_them(
    code: str, tmp_path: Path
) -> None:
    source, data = tmp_path / "x.safetensors", bytes(range(256))
    source.write_bytes(encode({"f8": entry(0, 256, [16, 16], code)}, data))
    with safe_open(source, "numpy") as library:
        assert library.get_slice("f8").get_dtype() == code
    dtype = EIGHT_BITS[code]
    report = gpt2_convert.convert(source, tmp_path / "a.safetensors", as_is=True, dtype="float16")
    assert f"1 tensor is of a dtype that is never cast: {dtype}" in report.notes
    with safe_open(tmp_path / "a.safetensors", "numpy") as library:
        assert library.get_slice("f8").get_dtype() == code
    assert (tmp_path / "a.safetensors").read_bytes().endswith(data)
    assert gpt2_convert.verify(source, tmp_path / "a.safetensors", as_is=True).ok
    (listed,) = gpt2_convert.digest(source, as_is=True).tensors
    assert (listed.sha256, listed.dtype) == (hashlib.sha256(data).hexdigest(), dtype)
    assert_valid(gpt2_convert.inspect(source, as_is=True).as_json(), "inspect")
    assert_valid(report.as_json(), "report")
    changed = tmp_path / "b.safetensors"
    changed.write_bytes(encode({"f8": entry(0, 256, [16, 16], code)}, data[::-1]))
    (found,) = gpt2_convert.verify(source, changed, as_is=True).findings
    assert "256" in found.message
    for name, told in (
        ("a.npz", "NumPy has no {} dtype, so npz cannot hold it"),
        ("a.h5", "HDF5 has no native {}"),
    ):
        with pytest.raises(gpt2_convert.UnsupportedError) as caught:
            gpt2_convert.convert(source, tmp_path / name, as_is=True)
        assert str(caught.value).startswith(f"{source}: 'f8': {told.format(dtype)}; safetensors ")
        assert str(caught.value).endswith("; drop='f8' leaves it out")


def test_floats_of_eight_bits_are_no_weights(tmp_path: Path) -> None:
    arrays = raws.huggingface()
    save_file(arrays, tmp_path / "x.safetensors")
    whole = (tmp_path / "x.safetensors").read_bytes()
    length = int.from_bytes(whole[:8], "little")
    fields = json.loads(whole[8 : 8 + length])
    place = fields["ln_f.bias"]
    place["shape"], place["dtype"] = [128], "F8_E4M3"
    (tmp_path / "x.safetensors").write_bytes(encode(fields, whole[8 + length :]))
    with pytest.raises(gpt2_convert.SchemaError, match=r"'ln_f\.bias' is float8_e4m3fn; weights"):
        gpt2_convert.convert(tmp_path / "x.safetensors", tmp_path / "a.npz")


@pytest.mark.parametrize("name", TARGETS)
def test_a_file_states_that_it_is_as_it_was(name: str, tmp_path: Path) -> None:
    source = write(tmp_path / "any", bert())
    target = tmp_path / name
    gpt2_convert.convert(source, target, as_is=True)
    stated: dict[str, object]
    if name.endswith("npz"):
        with zipfile.ZipFile(target) as archive:
            stated = json.loads(archive.comment)
    elif name.endswith("h5"):
        with h5py.File(target) as file:
            stated = {key: value.decode() for key, value in file.attrs.items()}
            stated["as_is"] = json.loads(str(stated["as_is"]))
    else:
        with safe_open(target, "numpy") as opened:
            stated = json.loads(opened.metadata()["gpt2-convert"])
    assert stated.pop("checksum")
    assert stated == {"as_is": True, "source_format": "tensorflow"}
    with pytest.raises(gpt2_convert.SchemaError, match="belongs to a BERT") as caught:
        gpt2_convert.open(target)
    assert caught.value.advice is not None
    assert (caught.value.advice.option, caught.value.advice.value) == ("as_is", True)
    with gpt2_convert.open(target, as_is=True) as collection:
        np.testing.assert_array_equal(
            collection["cls/predictions/output_bias"].array(), bert()["cls/predictions/output_bias"]
        )


@pytest.mark.parametrize("name", TARGETS)
def test_a_gpt2_that_was_converted_as_it_is_is_one_still(
    name: str, tiny: Path, tmp_path: Path
) -> None:
    report = gpt2_convert.convert(tiny, tmp_path / name, as_is=True)
    assert_same(TARGETS[name](tmp_path / name), bundles.gpt2_arrays())
    assert report.totals.tensors == 40
    assert gpt2_convert.verify(tiny, tmp_path / name).ok
    with gpt2_convert.open(tmp_path / name) as checkpoint:
        assert list(checkpoint) == list(raws.canonical())
        assert checkpoint.hparams.n_head is None


def test_the_files_beside_are_not_even_looked_at(tmp_path: Path) -> None:
    source = write(tmp_path / "any", bert())
    (source / "config.json").write_text('{"model_type": "bert", "n_layer": ')
    (source / "hparams.json").symlink_to("nowhere")
    (source / "vocab.txt").write_text("[PAD]\n")
    report = gpt2_convert.convert(source, tmp_path / "a.npz", as_is=True)
    assert report.ok
    assert "vocab.txt" in {each.name for each in report.left}
    assert gpt2_convert.inspect(source, as_is=True).ok
    assert gpt2_convert.verify(source, tmp_path / "a.npz", as_is=True).ok


def test_a_flipped_bit_of_the_statement_is_found(tmp_path: Path) -> None:
    source = write(tmp_path / "any", bert())
    gpt2_convert.convert(source, tmp_path / "a.npz", as_is=True)
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "b.npz").write_bytes(data.replace(b"tensorflow", b"tensorfloW"))
    with pytest.raises(gpt2_convert.FormatError, match="damaged"):
        gpt2_convert.convert(tmp_path / "b.npz", tmp_path / "c.npz", as_is=True)
    assert not gpt2_convert.verify(source, tmp_path / "b.npz", as_is=True).ok


def test_an_inspection_lists_what_would_be_carried_and_what_would_not(tmp_path: Path) -> None:
    source = write(tmp_path / "any", with_slots(bert()))
    report = gpt2_convert.inspect(source, as_is=True, drop="*/adam_?", stats=True)
    assert report.ok
    assert report.checkpoint is None
    assert report.collection is not None
    assert [each.name for each in report.tensors] == [*sorted(bert()), "global_step"]
    assert report.stats is not None
    assert report.stats[-1] is not None
    assert report.stats[-1].max == 1_000_000
    document = report.as_json()
    assert_valid(document, "inspect")
    assert (document["as_is"], document["family"], document["not_gpt2"]) == (True, None, None)
    assert len(document["dropped"]) == 12


@pytest.mark.parametrize("target", TARGETS)
def test_every_tensor_is_what_tensorflow_reads(target: str, tf: ModuleType, tmp_path: Path) -> None:
    tensors = {**bert(), **EVERYTHING, "vocab": np.array([b"a", b"bc"])}
    del tensors["scalar:0"]  # TensorFlow writes it, and reads names without the output's number
    prefix = tf_writers.save(tf, tmp_path / "any" / "model.ckpt", tensors)
    with pytest.raises(gpt2_convert.UnsupportedError, match="'vocab' is of dtype string"):
        gpt2_convert.convert(prefix, tmp_path / target, as_is=True)
    assert gpt2_convert.convert(prefix, tmp_path / target, as_is=True, drop="vocab").ok
    expected = tf_writers.load(tf, prefix)
    del expected["vocab"]
    assert_same(TARGETS[target](tmp_path / target), expected)
    assert not gpt2_convert.verify(prefix, prefix, as_is=True, drop="vocab").findings


NAMES = st.lists(
    st.lists(st.text(max_size=3) | st.sampled_from(["a", "b", ".", "..", ".npy"]), max_size=4).map(
        "/".join
    ),
    min_size=1,
    max_size=5,
    unique=True,
)


@settings(max_examples=80)
@given(NAMES, st.data())
@example(["a", "a/b"], None)
@example(["a", "a.npy"], None)
@example(["__metadata__", ""], None)
def test_any_names_are_the_library_s_or_refused_before_a_byte_is_written(
    names: list[str], data: st.DataObject | None
) -> None:
    dtypes = st.sampled_from(["float32", "int8", "bool", "complex64", "uint64", "float16"])
    shapes = st.sampled_from([(), (0,), (3,), (2, 1, 2)])
    arrays: dict[str, Array] = {}
    for number, name in enumerate(names):
        dtype, shape = ("int16", (2,)) if data is None else (data.draw(dtypes), data.draw(shapes))
        arrays[name] = np.full(shape, number, dtype)
    taken = take_as_is(raws.raw(arrays))
    refused = set()
    with TemporaryDirectory() as folder:
        for target, load in TARGETS.items():
            path = Path(folder) / target
            path.touch()
            try:
                WRITERS[choose_format(path, None, None)].write(
                    taken,  # type: ignore[arg-type]
                    path,
                    lambda nbytes: None,
                )
            except gpt2_convert.UnsupportedError:
                refused.add(target)
                assert path.stat().st_size == 0
            else:
                assert_same(load(path), arrays)
                with gpt2_convert.open(path, as_is=True) as again:
                    assert_same({name: each.array() for name, each in again.items()}, arrays)
    parts = [name.split("/") for name in names]
    paths = {tuple(each[:end]) for each in parts for end in range(1, len(each))}
    odd = any("\0" in name for name in names)
    assert ("out.npz" in refused) == (odd or any(f"{name}.npy" in names for name in names))
    assert ("out.safetensors" in refused) == ("__metadata__" in names)
    assert ("out.h5" in refused) == (
        odd
        or any({"", ".", ".."} & set(each) for each in parts)
        or any(tuple(each) in paths for each in parts)
    )


def test_checkpoints_of_before_v2_are_taken_as_tensorflow_reads_them(
    tf: ModuleType, tmp_path: Path
) -> None:
    arrays = {name: array for name, array in bert().items() if array.dtype == np.float32}
    source = save_v1(tf, tmp_path / "model.ckpt", arrays)
    report = gpt2_convert.convert(source, tmp_path / "a.npz", as_is=True)
    assert report.engine.startswith("TensorFlow")
    assert_same(load_npz(tmp_path / "a.npz"), arrays)


def test_tensorflow_is_a_witness_of_it_too(tf: ModuleType, tmp_path: Path) -> None:
    prefix = tf_writers.save(tf, tmp_path / "any" / "model.ckpt", with_slots(bert()))
    report = gpt2_convert.convert(prefix, tmp_path / "a.npz", as_is=True, engine="tensorflow")
    assert report.verification is not None
    assert report.verification.engine.startswith("TensorFlow")


def test_a_keras_model_goes_without_the_graph_of_its_objects(
    tf: ModuleType, tmp_path: Path
) -> None:
    root = tf.train.Checkpoint(
        step=tf.Variable(7, dtype=tf.int64), layer=tf.train.Checkpoint(w=tf.Variable([[1.0, 2.0]]))
    )
    prefix = root.save(str(tmp_path / "any" / "model"))
    report = gpt2_convert.convert(prefix, tmp_path / "a.h5", as_is=True)
    assert [each.source_name for each in report.dropped] == [GRAPH]
    found = load_hdf5(tmp_path / "a.h5")
    assert found["step/.ATTRIBUTES/VARIABLE_VALUE"] == 7
    assert found["layer/w/.ATTRIBUTES/VARIABLE_VALUE"].tolist() == [[1.0, 2.0]]
    assert gpt2_convert.verify(prefix, prefix, as_is=True).ok


@pytest.mark.parametrize("target", TARGETS)
def test_checkpoints_found_in_the_world_are_what_tensorflow_reads(
    target: str, shared_data: Path, tf: ModuleType, tmp_path: Path
) -> None:
    prefixes = [
        path.with_suffix("")
        for folder in ("tf1-2shard-tensor2tensor", "tf-serving-testdata")
        for path in sorted((shared_data / folder).rglob("*.index"))
    ]
    if not prefixes:
        pytest.skip(f"no checkpoints of TensorFlow's at {shared_data}")
    for prefix in prefixes:
        expected = tf_writers.load(tf, prefix)
        expected.pop(GRAPH, None)
        if not expected:
            with pytest.raises(gpt2_convert.SchemaError, match="no tensors of numbers"):
                gpt2_convert.convert(prefix, tmp_path / target, as_is=True)
            continue
        report = gpt2_convert.convert(prefix, tmp_path / target, as_is=True, force=True)
        assert report.ok
        assert_same(TARGETS[target](tmp_path / target), expected)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--to", "hf"], "names and the configuration of a GPT-2"),
        (["--n-head", "4"], "n_head is for a GPT-2"),
        (["--scope", "policy"], "scope is for a GPT-2"),
    ],
)
def test_what_says_something_of_a_gpt2_is_misuse(
    options: list[str], reason: str, program: Program, tmp_path: Path
) -> None:
    source = write(tmp_path / "any", bert())
    done = program.run("convert", "--as-is", source, tmp_path / "out.npz", *options)
    assert done.code == 2
    assert reason in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out.npz").exists()


def test_the_program_says_what_was_proven_and_what_was_not(
    program: Program, tmp_path: Path
) -> None:
    source = write(tmp_path / "any", with_slots(bert()))
    done = program.run("tf2npz", "--as-is", source, tmp_path / "a.npz", "--drop", "*/adam_*")
    assert (done.code, done.err) == (0, "")
    assert "  verified  every bit equals the source\n" in done.out
    assert f"  note      {NOTE}\n" in done.out
    assert "hparams" not in done.out
    done = program.run("verify", "--as-is", source, tmp_path / "a.npz", "--drop", "*/adam_*")
    assert done.code == 0
    assert "configuration\n" not in done.out.replace(NOTE, "")
    done = program.run("verify", "--as-is", source, tmp_path / "a.npz")
    assert done.code == 1
    assert done.out.count("is not in the target") == 12
    done = program.run("inspect", "--as-is", tmp_path / "a.npz")
    assert done.code == 0
    assert done.out.startswith(f"{tmp_path / 'a.npz'}  npz  as it is\n")
    assert "bert/embeddings/LayerNorm/gamma  " in done.out


def test_a_listing_can_be_recomputed_and_checked(program: Program, tmp_path: Path) -> None:
    import hashlib

    arrays = {"weights": np.ones(1), "model x": np.ones(2), "config {}": np.ones(3)}
    arrays |= {"a\nb": np.ones(4), '"a\\nb"': np.ones(5), "ü": np.ones(6)}
    np.savez(tmp_path / "x.npz", allow_pickle=False, **arrays)
    done = program.run("digest", "--as-is", tmp_path / "x.npz")
    *lines, last = done.out.splitlines()
    assert last == hashlib.sha256("".join(f"{each}\n" for each in lines).encode()).hexdigest() + (
        "  weights"
    )
    spelt = [line[66:].partition(" float64")[0] for line in lines]
    assert spelt == [
        json.dumps('"a\\nb"'),
        '"a\\nb"',
        "config {}",
        "model x",
        "weights",
        '"\\u00fc"',
    ]
    (tmp_path / "listing").write_text(done.out)
    check = ("digest", "--check", tmp_path / "listing", tmp_path / "x.npz")
    assert program.run(*check, "--as-is").code == 0
    done = program.run(*check)
    assert done.code == 2
    assert "taken as it is; digest it with --as-is" in done.err
    arrays["model x"] = np.zeros(2)
    np.savez(tmp_path / "x.npz", allow_pickle=False, **arrays)
    done = program.run(*check, "--as-is")
    assert done.code == 1
    assert "model x: its values differ" in done.out
