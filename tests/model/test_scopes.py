"""Folders in front of names: found by exact names alone, whatever else a file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import bundles, raws

import gpt2_convert
from gpt2_convert.errors import SchemaError, UsageError
from gpt2_convert.model.adopt import adopt
from gpt2_convert.model.schema import load_family
from gpt2_convert.model.scopes import find_scopes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    Array = np.ndarray[Any, Any]

ONE = np.ones(3, np.float32)


def scoped(scope: str, seed: int = 0, sizes: Mapping[str, int] = bundles.TINY) -> dict[str, Array]:
    return {f"{scope}{name}": each for name, each in bundles.gpt2_arrays(sizes, seed).items()}


def test_no_scope_changes_nothing() -> None:
    checkpoint = adopt(raws.raw(scoped("")))
    assert checkpoint.notes == ()
    assert list(adopt(raws.raw(scoped("")), scope=".")) == list(checkpoint)
    assert adopt(raws.raw(scoped("")), scope="").notes == ()


@pytest.mark.parametrize("scope", ["policy/", "a/b/c/d/e/f/g/h/", "model/", "/", "h1/", "./"])
def test_the_only_scope_is_used_and_said(scope: str) -> None:
    checkpoint = adopt(raws.raw(scoped(scope)))
    assert list(checkpoint) == list(raws.canonical())
    assert checkpoint.notes == (f"read from the scope {scope}",)
    assert checkpoint["wte"].source_name == f"{scope}model/wte"
    assert list(adopt(raws.raw(scoped(scope)), scope=scope)) == list(checkpoint)


def test_several_scopes_are_listed_and_one_is_chosen() -> None:
    file = raws.raw({**scoped("policy/", 1), **scoped("", 2), **scoped("policy/ref/", 3)})
    with pytest.raises(SchemaError) as caught:
        adopt(file)
    assert str(caught.value) == (
        "memory: holds 3 models, in the scopes '.', 'policy/', 'policy/ref/'; choose one with "
        "scope=...; . is the one outside of the others"
    )
    for scope, seed in (("policy", 1), ("policy/", 1), (".", 2), ("policy/ref", 3)):
        checkpoint = adopt(file, scope=scope)
        np.testing.assert_array_equal(checkpoint["wte"].array(), raws.canonical(seed=seed)["wte"])
        assert len(checkpoint.dropped) == 2 * len(bundles.gpt2_shapes())
        shown = scope if scope == "." else scope.rstrip("/") + "/"
        assert {drop.reason for drop in checkpoint.dropped} == {f"outside the scope {shown}"}


def test_a_scope_that_is_not_there_is_a_mistake() -> None:
    file = raws.raw({**scoped("policy/"), **scoped("ref/")})
    with pytest.raises(UsageError) as caught:
        adopt(file, scope="polcy")
    assert str(caught.value) == (
        "memory: no GPT-2 in the scope 'polcy/'; there is one in 'policy/', 'ref/'"
    )
    with pytest.raises(UsageError, match=r"no GPT-2 in the scope '\.'"):
        adopt(file, scope=".")
    with pytest.raises(UsageError, match=r"in the scope 'policy/'; there is one in '\.'"):
        adopt(raws.raw(raws.canonical()), scope="policy")
    with pytest.raises(UsageError, match=r"in the scope 'policy/'$"):
        adopt(raws.raw({"w": ONE}), scope="policy")


def test_what_is_outside_of_the_only_scope_is_refused_until_it_is_chosen() -> None:
    file = raws.raw({**scoped("policy/"), "lm_head/w": ONE, "policy/heads/w": ONE})
    with pytest.raises(SchemaError) as caught:
        adopt(file)
    assert caught.value.problems == (
        (
            "'lm_head/w' [3] is in no row of gpt2.toml, and outside the scope policy/; "
            "scope='policy/' leaves it out"
        ),
        (
            "'policy/heads/w' [3] is in no row of gpt2.toml; "
            "if it is no part of the model, drop=... leaves it out"
        ),
    )
    with pytest.raises(SchemaError) as caught:
        adopt(file, scope="policy")
    assert caught.value.problems == (
        (
            "'policy/heads/w' [3] is in no row of gpt2.toml; "
            "if it is no part of the model, drop=... leaves it out"
        ),
    )
    checkpoint = adopt(file, ["policy/heads/*"], "policy")
    assert [drop.reason for drop in checkpoint.dropped] == [
        "outside the scope policy/",
        "asked for by the pattern 'policy/heads/*'",
    ]


def test_choosing_the_root_leaves_its_own_strangers_unknown() -> None:
    file = raws.raw({**scoped(""), **scoped("ema/"), "score/w": ONE, "ema/score/w": ONE})
    with pytest.raises(SchemaError) as caught:
        adopt(file, scope=".")
    (problem,) = caught.value.problems
    assert problem.startswith("'score/w' [3] is in no row")


def test_a_scope_that_is_dropped_is_no_choice() -> None:
    file = raws.raw({**scoped("policy/"), **scoped("ref/")})
    checkpoint = adopt(file, ["ref/*"])
    assert checkpoint.notes == ("read from the scope policy/",)
    assert len(checkpoint.dropped) == len(bundles.gpt2_shapes())
    for patterns in (["*"], ["policy/*"]):
        whole = adopt(raws.raw({**scoped("policy/"), "policy/x": ONE}), patterns)
        assert [drop.source_name for drop in whole.dropped] == ["policy/x"]


@pytest.mark.parametrize(("one", "other"), [("h1", "h11"), ("h1", "h2"), ("h11", "h1")])
def test_layers_of_two_scopes_do_not_mix(one: str, other: str) -> None:
    sizes = {**bundles.TINY, "n_layer": 12, "n_embd": 4, "n_head": 2}
    small = {**sizes, "n_layer": 2}
    file = raws.raw({**scoped(f"{one}/", 1, small), **scoped(f"{other}/", 2, sizes)})
    first, second = adopt(file, scope=one), adopt(file, scope=other)
    assert (first.hparams.n_layer, second.hparams.n_layer) == (2, 12)
    name = "blocks[1].ln_1.g"
    np.testing.assert_array_equal(first[name].array(), raws.canonical(small, 1)[name])
    np.testing.assert_array_equal(second[name].array(), raws.canonical(sizes, 2)[name])


def test_missing_tensors_are_named_with_their_scope() -> None:
    arrays = scoped("policy/")
    del arrays["policy/model/h1/ln_2/b"]
    arrays["policy/model/h1/ln_2/bb"] = np.ones(32, np.float32)
    with pytest.raises(SchemaError) as caught:
        adopt(raws.raw(arrays))
    assert caught.value.problems == (
        (
            "'policy/model/h1/ln_2/bb' [32] is in no row of gpt2.toml; "
            "did you mean 'policy/model/h1/ln_2/b'?"
        ),
        "'policy/model/h1/ln_2/b' is missing; its shape would be [n_embd] = [32]",
    )


def bare(scope: str, seed: int = 0) -> dict[str, Array]:
    """OpenAI's names in another scope than their own."""
    return {name.replace("model/", scope): each for name, each in scoped("", seed).items()}


@pytest.mark.parametrize("scope", ["", "gpt2/", "a/b/", "wte/", "h0/"])
def test_openai_s_names_may_be_in_another_scope_than_their_own(scope: str) -> None:
    checkpoint = adopt(raws.raw(bare(scope)))
    assert list(checkpoint) == list(raws.canonical())
    assert checkpoint.notes == ((f"read from the scope {scope}",) if scope else ())
    assert list(adopt(raws.raw(bare(scope)), scope=scope)) == list(checkpoint)
    for wrong in ("x", "gpt2/model"):
        with pytest.raises(UsageError, match="there is one in"):
            adopt(raws.raw(bare(scope)), scope=wrong)


def test_of_openai_s_own_scope_and_others_like_it_one_is_chosen() -> None:
    file = raws.raw({**bare("model/", 1), **bare("model_ema/", 2), **bare("", 3)})
    with pytest.raises(SchemaError, match=r"holds 3 models, in the scopes '\.', 'model/', 'model_"):
        adopt(file)
    for scope, seed in (("model", 1), ("model_ema", 2)):
        checkpoint = adopt(file, scope=scope)
        np.testing.assert_array_equal(checkpoint["wte"].array(), raws.canonical(seed=seed)["wte"])
        assert {drop.reason for drop in checkpoint.dropped} == {f"outside the scope {scope}/"}


def test_names_that_any_model_may_have_show_no_scope() -> None:
    for names in (["x/wte", "x/wpe", "x/w"], ["x/wte/weight", "x/ln_f/bias", "x/lm_head/weight"]):
        with pytest.raises(SchemaError, match="not a GPT-2 checkpoint: none of its 3 tensors"):
            adopt(raws.raw(dict.fromkeys(names, ONE)))


def test_a_head_beside_the_only_scope_is_no_model_of_its_own() -> None:
    file = raws.raw({**raws.keras("transformer/"), "lm_head/weight:0": ONE})
    with pytest.raises(SchemaError) as caught:
        adopt(file)
    assert caught.value.problems == (
        (
            "'lm_head/weight:0' [3] is in no row of gpt2.toml, and outside the scope transformer/; "
            "scope='transformer/' leaves it out"
        ),
    )


def test_a_stray_name_does_not_outvote_a_whole_model() -> None:
    file = raws.raw({**raws.canonical(), "x/model/wte": ONE})
    with pytest.raises(SchemaError, match=r"'x/model/wte' \[3\] is in no row"):
        adopt(file)


def test_names_without_folders_have_no_scopes() -> None:
    file = raws.raw({f"policy/{name}": array for name, array in raws.canonical().items()})
    with pytest.raises(SchemaError, match="not a GPT-2"):
        adopt(file)


def test_a_target_is_never_asked_for_a_scope(tmp_path: Path) -> None:
    source = bundles.write_gpt2(tmp_path / "plain", hparams=False)
    alone = bundles.write_gpt2(tmp_path / "alone", arrays=scoped("policy/"), hparams=False)
    assert gpt2_convert.verify(source, alone).ok
    arrays = {**scoped(""), **scoped("policy/")}
    both = bundles.write_gpt2(tmp_path / "both", arrays=arrays, hparams=False)
    report = gpt2_convert.verify(source, both)
    assert {finding.kind for finding in report.findings} == {"extra"}
    assert {finding.tensor for finding in report.findings} == scoped("policy/").keys()
    arrays = {**scoped("policy/"), **scoped("ref/", 1)}
    neither = bundles.write_gpt2(tmp_path / "neither", arrays=arrays, hparams=False)
    with pytest.raises(
        SchemaError, match=r"holds 2 models, in the scopes 'policy/', 'ref/'.*first"
    ):
        gpt2_convert.verify(source, neither)


def test_slots_in_a_target_are_no_difference_and_strangers_are(tmp_path: Path) -> None:
    source = bundles.write_gpt2(tmp_path / "plain", hparams=False)
    slots = {f"train/{name}/Adam": each for name, each in scoped("").items()}
    target = bundles.write_gpt2(tmp_path / "a", arrays={**scoped(""), **slots}, hparams=False)
    assert gpt2_convert.verify(source, target).ok
    arrays = {**scoped(""), **slots, "train/model/h3/ln_1/g/Adam": ONE, "model/wte/Eve": ONE}
    target = bundles.write_gpt2(tmp_path / "b", arrays=arrays, hparams=False)
    report = gpt2_convert.verify(source, target)
    assert [(finding.kind.value, finding.tensor) for finding in report.findings] == [
        ("extra", "model/wte/Eve"),
        ("extra", "train/model/h3/ln_1/g/Adam"),
    ]


def test_a_policy_trained_on_preferences_is_one_of_three_models() -> None:
    """The variables of lm-human-preferences' train_policy.py, whose Saver keeps all of them."""
    arrays = {**scoped("policy/", 1), **scoped("ref_policy/", 2), **scoped("reward_model/", 3)}
    arrays |= {f"{name}/adam": each for name, each in scoped("policy/", 4).items()}
    arrays |= {f"{name}/adam_1": each for name, each in scoped("policy/", 5).items()}
    scalars = ["global_step", "ppo_opt/beta1_power", "ppo_opt/beta2_power", "start_time"]
    heads = ["policy/model/heads/value/w", "policy/model/heads/value/w/adam"]
    others = ["ref_policy/model/heads/value/w", "reward_model/reward_norm/gain"]
    others += ["ref_policy/model/wte/adam", "x/ref_policy/model/wte/adam"]
    file = raws.raw({**arrays, **dict.fromkeys([*scalars, *heads, *others], ONE)})
    with pytest.raises(SchemaError, match="holds 3 models"):
        adopt(file)
    with pytest.raises(SchemaError) as caught:
        adopt(file, scope="policy")
    assert [problem.split("'")[1] for problem in caught.value.problems] == heads
    checkpoint = adopt(file, ["policy/model/heads/*"], "policy")
    np.testing.assert_array_equal(checkpoint["wte"].array(), raws.canonical(seed=1)["wte"])
    reasons = [drop.reason for drop in checkpoint.dropped]
    assert {reason: reasons.count(reason) for reason in reasons} == {
        "outside the scope policy/": 84,
        "Adam's first moment": 40,
        "Adam's second moment": 40,
        "the training step": 1,
        "Adam's state": 2,
        "the trainer's clock": 1,
        "asked for by the pattern 'policy/model/heads/*'": 2,
    }


FOLDERS = st.lists(
    st.sampled_from(["model", "h1", "h11", "wte", "policy", "wte.", "", "Adam", "optimizer", "é"]),
    max_size=6,
).map(lambda parts: "".join(f"{part}/" for part in parts))


@given(st.lists(FOLDERS, min_size=1, max_size=3, unique=True))
@example(["", "model/"])
@settings(max_examples=60, deadline=None)
def test_any_folders_are_scopes_and_each_is_found(scopes: list[str]) -> None:
    arrays: dict[str, Array] = {}
    for seed, scope in enumerate(scopes):
        arrays |= scoped(scope, seed)
    counts = find_scopes(arrays, load_family())["tf"]
    assert set(counts) == set(scopes)
    for seed, scope in enumerate(scopes):
        checkpoint = adopt(raws.raw(arrays), scope=scope)
        expected = raws.canonical(seed=seed)
        assert list(checkpoint) == list(expected)
        np.testing.assert_array_equal(checkpoint["wte"].array(), expected["wte"])
        accounted = {tensor.source_name for tensor in checkpoint.values()}
        accounted |= {drop.source_name for drop in checkpoint.dropped}
        assert accounted == arrays.keys()


def test_a_multitude_of_scopes_makes_one_short_line() -> None:
    file = raws.raw({f"{'x' * 50}{number}/model/wte": ONE for number in range(5000)})
    with pytest.raises(SchemaError, match="holds 5,000 models, in the scopes") as caught:
        adopt(file)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def test_what_is_too_deep_is_no_scope_and_costs_no_more_than_its_length() -> None:
    class Name(str):
        looked_at = 0

        def __getitem__(self, key: Any) -> str:  # noqa: ANN401
            part = super().__getitem__(key)
            Name.looked_at += len(part)
            return part

    deep = Name("x/" * 50_000 + "model/wte")
    assert find_scopes([deep], load_family()) == {}
    assert Name.looked_at <= 20 * len(deep)


def test_a_long_scope_makes_no_long_message() -> None:
    scope = "x" * 100_000 + "/"
    arrays = {**scoped(scope), "score/w": ONE, f"{scope}score/w": ONE}
    del arrays[f"{scope}model/ln_f/g"]
    with pytest.raises(SchemaError) as caught:
        adopt(raws.raw(arrays))
    assert len(caught.value.problems) == 3
    assert max(map(len, caught.value.problems)) < 1000
    with pytest.raises(UsageError) as misused:
        adopt(raws.raw(arrays), scope="policy" * 10_000)
    assert len(str(misused.value)) < 1000
