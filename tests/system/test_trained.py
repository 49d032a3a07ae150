"""What trainers save: TensorFlow writes it, and it is the same model as without the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws
from support.tf_trainers import build_modules, graph_arrays, save_session
from support.tf_writers import save

import gpt2_convert

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import ModuleType
    from typing import Any

    Array = np.ndarray[Any, Any]

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
SCOPES = ["policy", "ref_policy"]


ONE_LAYER = {**bundles.TINY, "n_layer": 1}
"""TensorFlow takes its time for each variable that is trained."""


def digest_of(
    arrays: Mapping[str, Array], folder: Path, sizes: Mapping[str, int] = bundles.TINY
) -> str:
    """The digest of a plain checkpoint with these weights, under TensorFlow's names."""
    return gpt2_convert.digest(bundles.write_gpt2(folder, sizes, arrays=arrays)).weights_sha256


@pytest.mark.parametrize(
    ("optimizer", "around"),
    [
        ("Adam", ""),
        ("Adam", "OptimizeLoss"),
        ("two Adams", ""),
        ("ProximalAdagrad", ""),
        ("AdagradDA", ""),
        ("adam", "train/inner"),
        ("Momentum", ""),
        ("RMSProp", "training"),
        ("Adagrad", ""),
        ("Adadelta", ""),
        ("Ftrl", ""),
    ],
)
def test_every_optimizer_s_state_is_dropped_for_a_reason(
    optimizer: str, around: str, tf: ModuleType, tmp_path: Path
) -> None:
    prefix = tmp_path / "model.ckpt"
    save_session(tf, prefix, [""], around, optimizer, ONE_LAYER)
    report = gpt2_convert.convert(prefix, tmp_path / "out.npz", digest=True)
    assert report.digests is not None
    assert report.digests.weights_sha256 == digest_of(
        bundles.gpt2_arrays(ONE_LAYER), tmp_path / "plain", ONE_LAYER
    )
    stored = {name for name, _ in tf.train.list_variables(str(prefix))}
    weights = bundles.gpt2_shapes(ONE_LAYER)
    assert {drop.source_name for drop in report.dropped} == stored - weights.keys()
    assert len(report.dropped) >= 2 * len(weights) + 1
    assert all(drop.reason for drop in report.dropped)


@pytest.fixture(scope="module")
def two_models(tf: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix of a checkpoint of two models in scopes, with what trains them."""
    prefix = tmp_path_factory.mktemp("two") / "model.ckpt"
    save_session(tf, prefix, ["policy/", "ref_policy/"], "ppo", "adam")
    return prefix


def test_one_of_two_models_is_converted_with_its_scope(
    tf: ModuleType, two_models: Path, tmp_path: Path
) -> None:
    prefix = two_models
    with pytest.raises(gpt2_convert.SchemaError, match="'policy/', 'ref_policy/'; choose one"):
        gpt2_convert.convert(prefix, tmp_path / "none.npz")
    for seed, scope in enumerate(SCOPES):
        expected = digest_of(bundles.gpt2_arrays(seed=seed), tmp_path / scope)
        target = tmp_path / f"{scope}.npz"
        report = gpt2_convert.convert(prefix, target, scope=scope, digest=True)
        assert report.digests is not None
        assert report.digests.weights_sha256 == expected
        assert report.notes == (f"read from the scope {scope}/",)
        assert gpt2_convert.digest(prefix, scope=scope).weights_sha256 == expected
        assert gpt2_convert.verify(prefix, target, scope=f"{scope}/").ok
        other = SCOPES[1 - seed]
        assert not gpt2_convert.verify(prefix, target, scope=other).ok
        reasons = {drop.source_name: drop.reason for drop in report.dropped}
        assert reasons[f"{other}/model/wte"] == f"outside the scope {scope}/"
        assert reasons[f"ppo/{scope}/model/wte/adam"] == "Adam's first moment"
        assert reasons[f"ppo/{other}/model/wte/adam"] == f"outside the scope {scope}/"
        assert reasons["ppo/global_step"] == "the training step"
        stored = [name for name, _ in tf.train.list_variables(str(prefix))]
        assert len(reasons) + len(report.mapped) == len(stored)
        tree = gpt2_convert.load_gpt2_params_from_tf_ckpt(prefix, {}, scope=scope)
        weights = raws.canonical(seed=seed)
        np.testing.assert_array_equal(
            tree["blocks"][2]["mlp"]["c_fc"]["w"], weights["blocks[2].mlp.c_fc.w"]
        )


def test_a_checkpoint_of_several_models_is_listed_as_it_is(
    tf: ModuleType, two_models: Path
) -> None:
    prefix = two_models
    report = gpt2_convert.inspect(prefix)
    assert report.checkpoint is None
    assert report.not_gpt2 is not None
    assert "'policy/', 'ref_policy/'; choose one with scope=..." in report.not_gpt2
    stored = [name for name, _ in tf.train.list_variables(str(prefix))]
    assert [tensor.name for tensor in report.tensors] == sorted(stored)
    chosen = gpt2_convert.inspect(prefix, scope="policy")
    assert [tensor.name for tensor in chosen.tensors] == list(raws.canonical())


# As BERT's, Grover's, tensor2tensor's and NVIDIA's optimizers write them.
SLOTS: dict[str, tuple[str, ...]] = {
    "BERT": ("/adam_m", "/adam_v"),
    "weight decay": ("/AdamWeightDecayOptimizer", "/AdamWeightDecayOptimizer_1"),
    "AdamW of contrib": ("/AdamW", "/AdamW_1"),
    "LAMB": ("/lamb_m", "/lamb_v"),
    "Grover": ("/adafactor_v",),
    "tensor2tensor": ("/Adafactor", "/Adafactor_1"),
    "accumulated": ("/accum", "/Adam", "/Adam_1"),
    "an average": ("/ExponentialMovingAverage",),
}
SCALARS = ("global_step", "beta1_power", "beta2_power", "local_step", "loss_scale", "good_steps")


@pytest.mark.parametrize("trainer", SLOTS)
@pytest.mark.parametrize("scope", ["", "policy/"])
def test_slots_of_other_optimizers_are_dropped_too(
    trainer: str, scope: str, tf: ModuleType, tmp_path: Path
) -> None:
    weights = bundles.gpt2_arrays()
    saved: dict[str, Array] = {scope + name: array for name, array in weights.items()}
    left = {
        f"{scope}{name}{slot}": array + 1
        for slot in SLOTS[trainer]
        for name, array in weights.items()
    }
    left |= {name: np.ones((), np.int64) for name in SCALARS}
    if trainer == "Grover":
        for end, axis in (("r", 0), ("c", 1)):
            left[f"{scope}model/wte/adafactor_v{end}"] = np.ones(weights["model/wte"].shape[axis])
    prefix = save(tf, tmp_path / "model.ckpt", {**saved, **left})
    report = gpt2_convert.convert(prefix, tmp_path / "out.h5", digest=True)
    assert report.digests is not None
    assert report.digests.weights_sha256 == digest_of(weights, tmp_path / "plain")
    assert {drop.source_name for drop in report.dropped} == left.keys()


def test_averages_alone_are_no_model(tf: ModuleType, tmp_path: Path) -> None:
    shadows = {f"{key}/ExponentialMovingAverage": a for key, a in bundles.gpt2_arrays().items()}
    prefix = save(tf, tmp_path / "model.ckpt", shadows)
    with pytest.raises(gpt2_convert.SchemaError, match=r"none of its 40 tensors is in gpt2\.toml"):
        gpt2_convert.open(prefix)
    one = {"model/wte": bundles.gpt2_arrays()["model/wte"]}
    del shadows["model/wte/ExponentialMovingAverage"]
    prefix = save(tf, tmp_path / "other.ckpt", {**shadows, **one})
    with pytest.raises(gpt2_convert.SchemaError, match=r"is missing|would be 0"):
        gpt2_convert.open(prefix)


TRANSFORMERS = {"2019": ("wte/weight", "wpe/embeddings"), "2021": ("wte/weight", "wpe"),
                "2023": ("wte/embeddings", "wpe/embeddings")}  # fmt: skip
"""How TFGPT2MainLayer called its embeddings."""


def keras_arrays(wte: str, wpe: str) -> dict[str, Array]:
    """The weights under the attributes of transformers' TFGPT2Model, whose biases are [1, n]."""
    weights = raws.canonical()
    named = {wte: weights["wte"], wpe: weights["wpe"]}
    leaves = {"g": "gamma", "w": "weight"}
    for name, array in list(weights.items())[2:]:
        *parents, leaf = name.replace("blocks[", "h/").replace("]", "").replace(".", "/").split("/")
        norm = parents[-1].startswith("ln_")
        end = leaves.get(leaf, "beta" if norm else "bias")
        named["/".join([*parents, end])] = array[None] if end == "bias" else array
    return named


def check_graph(tf: ModuleType, prefix: str, scope: str, names: Iterable[str], out: Path) -> None:
    """Compare a conversion with what TensorFlow loads, variable by variable."""
    report = gpt2_convert.convert(prefix, out)
    assert report.notes == ((f"read from the scope {scope}",) if scope else ())
    sources = {canonical: source for source, canonical in report.mapped}
    with np.load(out) as archive:
        assert archive.keys() == raws.canonical().keys()
        assert set(sources.values()) == {f"{scope}{name}{VALUE}" for name in names}
        for canonical, array in archive.items():
            loaded = tf.train.load_variable(prefix, sources[canonical])
            np.testing.assert_array_equal(array, loaded.reshape(array.shape))
            np.testing.assert_array_equal(array, raws.canonical()[canonical])
    left = {name for name, _ in tf.train.list_variables(prefix)} - set(sources.values())
    assert {drop.source_name for drop in report.dropped} == left


def test_an_object_graph_of_the_canonical_tree_is_read(tf: ModuleType, tmp_path: Path) -> None:
    arrays = graph_arrays()
    model = build_modules(tf, arrays)
    prefix = tf.train.Checkpoint(model).save(str(tmp_path / "root"))
    check_graph(tf, prefix, "", arrays, tmp_path / "root.npz")
    checkpoint = tf.train.Checkpoint(model=model, step=tf.Variable(7, dtype=tf.int64))
    prefix = checkpoint.save(str(tmp_path / "attribute"))
    check_graph(tf, prefix, "model/", arrays, tmp_path / "attribute.npz")
    plain = digest_of(bundles.gpt2_arrays(), tmp_path / "plain")
    assert gpt2_convert.digest(prefix).weights_sha256 == plain
    assert gpt2_convert.verify(tmp_path / "plain", prefix).ok


def test_optimizer_slots_of_an_object_graph_are_dropped(tf: ModuleType, tmp_path: Path) -> None:
    arrays = graph_arrays()
    model = build_modules(tf, arrays)
    variables = model.trainable_variables
    optimizer = tf.compat.v1.train.AdamOptimizer(learning_rate=0.0)
    optimizer.apply_gradients([(tf.zeros_like(variable), variable) for variable in variables])
    for name in ("optimizer", "opt"):
        checkpoint = tf.train.Checkpoint(model=model, **{name: optimizer})
        prefix = checkpoint.save(str(tmp_path / name))
        check_graph(tf, prefix, "model/", arrays, tmp_path / f"{name}.npz")


def test_what_a_trainer_keeps_in_an_object_graph_is_dropped(tf: ModuleType, tmp_path: Path) -> None:
    arrays = graph_arrays()
    model = build_modules(tf, arrays)
    state = {
        f"{number}/{name}": np.ones((), np.float32)
        for number in range(2)
        for name in ("total", "count")
    }
    # As Keras names the metrics of a model that was compiled.
    model.keras_api = build_modules(tf, {f"metrics/{name}": each for name, each in state.items()})
    checkpoint = tf.train.Checkpoint(
        model=model,
        iterator=iter(tf.data.Dataset.range(3)),
        metrics=build_modules(tf, state),
        rng=tf.random.Generator.from_seed(1),
        step=tf.Variable(7, dtype=tf.int64),
    )
    prefix = checkpoint.save(str(tmp_path / "model"))
    check_graph(tf, prefix, "model/", arrays, tmp_path / "out.npz")


def test_the_folder_of_a_saved_model_is_read(tf: ModuleType, tmp_path: Path) -> None:
    arrays = graph_arrays()
    tf.saved_model.save(build_modules(tf, arrays), str(tmp_path / "saved"))
    plain = digest_of(bundles.gpt2_arrays(), tmp_path / "plain")
    assert gpt2_convert.digest(tmp_path / "saved").weights_sha256 == plain
    with pytest.raises(gpt2_convert.UnsupportedError, match="the graph of a SavedModel"):
        gpt2_convert.open(tmp_path / "saved" / "saved_model.pb")


@pytest.mark.parametrize("year", TRANSFORMERS)
def test_transformers_tf_models_are_read(year: str, tf: ModuleType, tmp_path: Path) -> None:
    arrays = keras_arrays(*TRANSFORMERS[year])
    model = tf.Module()
    model.transformer = build_modules(tf, arrays)
    prefix = tf.train.Checkpoint(model).write(str(tmp_path / "tf_model"))
    check_graph(tf, prefix, "transformer/", arrays, tmp_path / "out.npz")


def build_keras(keras: ModuleType) -> Any:  # noqa: ANN401
    """A Keras model with the attributes of TFGPT2Model. Keras 3 saves no layers in a list."""
    sizes = bundles.TINY
    width = sizes["n_embd"]

    def layer(**parts: Any) -> Any:  # noqa: ANN401
        made = keras.layers.Layer()
        for name, part in parts.items():
            weight = part if isinstance(part, keras.layers.Layer) else made.add_weight(shape=part)
            setattr(made, name, weight)
        return made

    def norm() -> Any:  # noqa: ANN401
        made = keras.layers.LayerNormalization()
        made.build((None, width))
        return made

    def conv(nx: int, nf: int) -> Any:  # noqa: ANN401
        return layer(weight=(nx, nf), bias=(1, nf))

    def block() -> Any:  # noqa: ANN401
        attention = layer(c_attn=conv(width, 3 * width), c_proj=conv(width, width))
        mlp = layer(c_fc=conv(width, 4 * width), c_proj=conv(4 * width, width))
        return layer(ln_1=norm(), attn=attention, ln_2=norm(), mlp=mlp)

    model = keras.Model()
    model.wte = layer(weight=(sizes["n_vocab"], width))
    model.wpe = layer(embeddings=(sizes["n_ctx"], width))
    model.h = layer(**{str(number): block() for number in range(sizes["n_layer"])})
    model.ln_f = norm()
    return model


def test_a_keras_model_is_read_unless_its_optimizer_has_the_weights(
    tf: ModuleType, tmp_path: Path
) -> None:
    import keras

    model = build_keras(keras)
    arrays = keras_arrays(*TRANSFORMERS["2019"])
    for name, array in arrays.items():
        place = model
        for part in name.split("/"):
            place = getattr(place, part)
        place.assign(array)
    prefix = tf.train.Checkpoint(model=model).write(str(tmp_path / "model"))
    check_graph(tf, prefix, "model/", arrays, tmp_path / "out.npz")
    model.compile(optimizer="adam")
    model.optimizer.build(model.trainable_variables)
    for parts in ({"model": model}, {"net": model, "adam": model.optimizer}):
        prefix = tf.train.Checkpoint(**parts).write(str(tmp_path / "compiled"))
        with pytest.raises(gpt2_convert.UnsupportedError, match="save the model without its opt"):
            gpt2_convert.open(prefix)


def test_an_unknown_object_graph_is_refused_with_its_names(tf: ModuleType, tmp_path: Path) -> None:
    model = build_modules(tf, {"encoder/w": np.ones(3, np.float32), "b": np.ones(3, np.float32)})
    prefix = tf.train.Checkpoint(model).save(str(tmp_path / "model"))
    with pytest.raises(gpt2_convert.SchemaError) as caught:
        gpt2_convert.open(prefix)
    assert f"they are 'b{VALUE}', 'encoder/w{VALUE}'" in str(caught.value)
    assert f"'wte{VALUE}' is a name that is" in str(caught.value)
    assert [tensor.dtype.value for tensor in gpt2_convert.inspect(prefix).tensors] == [
        "string", "float32", "float32", "int64",
    ]  # fmt: skip


def test_object_graphs_of_other_models_are_refused_with_their_names(shared_data: Path) -> None:
    folder = shared_data / "tf-serving-testdata" / "saved_model_half_plus_two_tf2_cpu" / "00000123"
    with pytest.raises(gpt2_convert.SchemaError, match=f"they are 'a{VALUE}', 'b{VALUE}'"):
        gpt2_convert.open(folder / "variables")
