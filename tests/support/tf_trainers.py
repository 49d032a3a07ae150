"""Checkpoints as programs that train save them, with all that they hold beside the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support import bundles, raws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import ModuleType
    from typing import Any

    from support.contracts import Array


def save_session(
    tf: ModuleType,
    prefix: Path,
    models: Iterable[str],
    around: str,
    optimizer: str,
    sizes: Mapping[str, int] = bundles.TINY,
) -> None:
    """Train models in these scopes for no step, and save all variables, as TF1 programs do."""
    v1 = tf.compat.v1
    optimizers: dict[str, Callable[[Any], Any]] = {
        "two Adams": lambda step: v1.train.AdamOptimizer(),
        "Adam": lambda step: v1.train.AdamOptimizer(),
        "adam": lambda step: v1.train.AdamOptimizer(name="adam"),
        "Momentum": lambda step: v1.train.MomentumOptimizer(0.1, 0.9),
        "RMSProp": lambda step: v1.train.RMSPropOptimizer(0.1, centered=True),
        "Adagrad": lambda step: v1.train.AdagradOptimizer(0.1),
        "ProximalAdagrad": lambda step: v1.train.ProximalAdagradOptimizer(0.1),
        "AdagradDA": lambda step: v1.train.AdagradDAOptimizer(0.1, step),
        "Adadelta": lambda step: v1.train.AdadeltaOptimizer(),
        "Ftrl": lambda step: v1.train.FtrlOptimizer(0.1),
    }
    with tf.Graph().as_default(), v1.Session() as session:
        variables = [
            v1.get_variable(scope + name, initializer=array, use_resource=True)
            for seed, scope in enumerate(models)
            for name, array in bundles.gpt2_arrays(sizes, seed).items()
        ]
        with v1.variable_scope(around):
            step = v1.train.get_or_create_global_step()
            loss = tf.add_n([tf.reduce_sum(each * each) for each in variables])
            for _ in range(2 if optimizer.startswith("two") else 1):
                optimizers[optimizer](step).minimize(loss, step, variables)
        tf.train.ExponentialMovingAverage(0.9).apply(variables)
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(prefix))


def build_modules(tf: ModuleType, arrays: Mapping[str, Array]) -> Any:  # noqa: ANN401
    """A tree of tf.Module whose attributes, and lists of them, are the parts of the names."""
    root = tf.Module()
    for name, array in arrays.items():
        *folders, leaf = name.split("/")
        place = root
        for folder, following in zip(folders, [*folders[1:], leaf], strict=False):
            if isinstance(place, list):
                while len(place) <= int(folder):
                    place.append(tf.Module())
                place = place[int(folder)]
                continue
            if not hasattr(place, folder):
                setattr(place, folder, [] if following.isdigit() else tf.Module())
            place = getattr(place, folder)
        setattr(place, leaf, tf.Variable(array))
    return root


def graph_arrays(seed: int = 0) -> dict[str, Array]:
    """The weights under the attributes of the canonical tree."""
    return {
        name.replace("[", "/").replace("]", "").replace(".", "/"): array
        for name, array in raws.canonical(seed=seed).items()
    }
