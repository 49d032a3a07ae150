"""The activations of the MLP, under the names that transformers has for them.

Each works in place on a float32 array. Source: huggingface/transformers, activations.py (ACT2FN),
and the functions of torch that it names. Left out are prelu and xielu, which have weights of their
own that no GPT-2 checkpoint has.

The error function is computed as ``erfc(t) = exp(-t * P(t))`` for t >= 0. P is a polynomial of
degree 7, fitted to minimise the largest error on [0, 4.2], which is 2e-8; float32 adds 1e-7. Beyond
that range it falls to zero, as erfc does. In this form a GELU needs no case for negative numbers
and loses no digits where it is small: ``gelu(x) = max(x, 0) - |x| * erfc(|x| / sqrt(2)) / 2``.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UnsupportedError
from ..quoting import quote

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, TypeAlias

    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.float32]
    Activation: TypeAlias = Callable[[Array], None]

_BLOCK: Final = 1 << 14
"""Elements worked on at a time: with their intermediates they stay in the processor's cache."""
_LARGE: Final = 20.0
"""From here on softplus(x) is x in float32; torch has the same threshold."""
_ERFC: Final = (
    1.12838006, 0.636600673, 0.102907076, -0.0195583161, 0.00050903979, 0.00104884524,
    -0.000313735101, 3.20273684e-05,
)  # fmt: skip
"""The coefficients of P, that of the constant first."""


def find_activation(name: str, where: str) -> Activation:
    """Return the activation that a configuration names; ``where`` is the model, for the error.

    Raises:
        UnsupportedError: there is none of that name.
    """
    if name not in ACTIVATIONS:
        raise UnsupportedError(
            f"{where}: no such activation_function: {quote(name)}; "
            f"there are: {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]


def activate(activation: Activation, x: Array) -> None:
    """Apply an activation to a C-ordered array in place, a part at a time."""
    flat = x.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        activation(flat[start : start + _BLOCK])


def _gelu(x: Array) -> None:
    # exp(-t * P(t)) of t = |x| / sqrt(2), which is erfc(t).
    t = np.abs(x)
    half = t * 0.5
    t *= math.sqrt(0.5)
    half *= _erfc(t)
    np.maximum(x, 0, out=x)
    x -= half


def _erfc(t: Array) -> Array:
    """Return erfc of numbers that are not negative."""
    power = np.full_like(t, _ERFC[-1])
    for coefficient in reversed(_ERFC[:-1]):
        power *= t
        power += coefficient
    power *= t
    np.negative(power, out=power)
    found: Array = np.exp(power, out=power)
    return found


def _gelu_tanh(x: Array, factor: float = math.sqrt(2 / math.pi)) -> None:
    # (1 + tanh(z)) / 2 is 1 / (1 + exp(-2 z)).
    inner = x * x
    inner *= -2 * factor * 0.044715
    inner -= 2 * factor
    inner *= x
    np.exp(inner, out=inner)
    inner += 1
    x /= inner


def _gelu_clipped(x: Array) -> None:
    _gelu(x)
    np.clip(x, -10, 10, out=x)


def _quick_gelu(x: Array) -> None:
    gate = x * 1.702
    _sigmoid(gate)
    x *= gate


def _sigmoid(x: Array) -> None:
    np.negative(x, out=x)
    np.exp(x, out=x)
    x += 1
    np.reciprocal(x, out=x)


def _silu(x: Array) -> None:
    gate = x.copy()
    _sigmoid(gate)
    x *= gate


def _mish(x: Array) -> None:
    # tanh(log(1 + n)) of n = exp(x) is (n * n + 2 * n) / (n * n + 2 * n + 2), and 1 for large x.
    n = np.exp(np.minimum(x, _LARGE))
    n *= n + 2
    n /= n + 2
    x *= n


def _sqrt_softplus(x: Array) -> None:
    np.copyto(x, np.log1p(np.exp(np.minimum(x, _LARGE))), where=x <= _LARGE)
    np.sqrt(x, out=x)


def _relu(x: Array) -> None:
    np.maximum(x, 0, out=x)


def _relu6(x: Array) -> None:
    np.clip(x, 0, 6, out=x)


def _relu_squared(x: Array) -> None:
    _relu(x)
    x *= x


def _leaky_relu(x: Array) -> None:
    np.maximum(x, x * 0.01, out=x)


def _hardswish(x: Array) -> None:
    gate = x + 3
    _relu6(gate)
    gate /= 6
    x *= gate


def _laplace(x: Array) -> None:
    x -= 0.707107
    x /= 0.282095 * math.sqrt(2)
    half = _erfc(np.abs(x))
    half *= 0.5
    np.copyto(half, 1 - half, where=x > 0)
    np.copyto(x, half)


def _tanh(x: Array) -> None:
    np.tanh(x, out=x)


def _linear(x: Array) -> None:
    """Leave everything as it is."""


ACTIVATIONS: Final[dict[str, Activation]] = {
    "gelu": _gelu,
    "gelu_10": _gelu_clipped,
    "gelu_accurate": _gelu_tanh,
    "gelu_fast": partial(_gelu_tanh, factor=0.7978845608),
    "gelu_new": _gelu_tanh,
    "gelu_python": _gelu,
    "gelu_python_tanh": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "hardswish": _hardswish,
    "laplace": _laplace,
    "leaky_relu": _leaky_relu,
    "linear": _linear,
    "mish": _mish,
    "quick_gelu": _quick_gelu,
    "relu": _relu,
    "relu2": _relu_squared,
    "relu6": _relu6,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "sqrtsoftplus": _sqrt_softplus,
    "swish": _silu,
    "tanh": _tanh,
}
