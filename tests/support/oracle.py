"""A GPT-2 in float64, token by token and head by head: slow, plain, and none of the package's code.

Written after the formulas of "Language Models are Unsupervised Multitask Learners" and of
transformers' modeling_gpt2.py. Weights are a mapping of canonical names to arrays.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from support import bundles, raws

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Array = np.ndarray[Any, Any]

ACTIVATIONS: dict[str, Callable[[float], float]] = {
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "gelu_new": lambda x: (
        x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))) / 2
    ),
    "linear": lambda x: x,
    "mish": lambda x: x * math.tanh(softplus(x)),
    "quick_gelu": lambda x: x * sigmoid(1.702 * x),
    "relu": lambda x: max(x, 0.0),
    "relu2": lambda x: max(x, 0.0) ** 2,
    "sigmoid": lambda x: sigmoid(x),
    "silu": lambda x: x * sigmoid(x),
    "tanh": math.tanh,
    "gelu_10": lambda x: min(max(ACTIVATIONS["gelu"](x), -10.0), 10.0),
    "hardswish": lambda x: x * min(max(x + 3, 0.0), 6.0) / 6,
    "laplace": lambda x: (1 + math.erf((x - 0.707107) / (0.282095 * math.sqrt(2)))) / 2,
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "sqrtsoftplus": lambda x: math.sqrt(softplus(x)),
}
ACTIVATIONS |= {
    "gelu_accurate": ACTIVATIONS["gelu_new"],
    "gelu_fast": ACTIVATIONS["gelu_new"],
    "gelu_python": ACTIVATIONS["gelu"],
    "gelu_python_tanh": ACTIVATIONS["gelu_new"],
    "gelu_pytorch_tanh": ACTIVATIONS["gelu_new"],
    "swish": ACTIVATIONS["silu"],
}


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def weights(sizes: Mapping[str, int] = bundles.TINY, seed: int = 0) -> dict[str, Array]:
    """Weights as small as those of trained models are, so that no softmax is all or nothing."""
    return {name: array * np.float32(0.2) for name, array in raws.canonical(sizes, seed).items()}


def logits(
    params: Mapping[str, Array],
    ids: Sequence[int],
    *,
    n_head: int = 4,
    activation: str = "gelu_new",
    epsilon: float = 1e-5,
    scaled: bool = True,
    by_layer: bool = False,
) -> Array:
    """The logits after each of ``ids``, [len(ids), n_vocab]."""
    p = {name: array.astype(np.float64) for name, array in params.items()}
    n_layer = sum(name.endswith(".ln_1.g") for name in p)
    width = p["wte"].shape[1] // n_head

    def norm(x: Array, name: str) -> Array:
        mean = sum(x) / len(x)
        variance = sum((x - mean) ** 2) / len(x)
        return (x - mean) / math.sqrt(variance + epsilon) * p[f"{name}.g"] + p[f"{name}.b"]

    def linear(x: Array, name: str) -> Array:
        return x @ p[f"{name}.w"] + p[f"{name}.b"]

    tokens = [p["wte"][token] + p["wpe"][place] for place, token in enumerate(ids)]
    for layer in range(n_layer):
        block = f"blocks[{layer}]"
        mixed = [linear(norm(x, f"{block}.ln_1"), f"{block}.attn.c_attn") for x in tokens]
        for place in range(len(tokens)):
            taken = []
            for head in range(n_head):
                q, k, v = (
                    [row.reshape(3, n_head, width)[part, head] for row in mixed]
                    for part in range(3)
                )
                scores = [q[place] @ k[earlier] for earlier in range(place + 1)]
                if scaled:
                    scores = [score / math.sqrt(width) for score in scores]
                if by_layer:
                    scores = [score / (layer + 1) for score in scores]
                odds = [math.exp(score - max(scores)) for score in scores]
                taken.append(sum(o * v[earlier] for earlier, o in enumerate(odds)) / sum(odds))
            tokens[place] = tokens[place] + linear(np.concatenate(taken), f"{block}.attn.c_proj")
        for place, x in enumerate(tokens):
            hidden = linear(norm(x, f"{block}.ln_2"), f"{block}.mlp.c_fc")
            active = np.array([ACTIVATIONS[activation](float(each)) for each in hidden])
            tokens[place] = x + linear(active, f"{block}.mlp.c_proj")
    head_of = p.get("lm_head.w", p["wte"])
    return np.array([norm(x, "ln_f") @ head_of.T for x in tokens])


def greedy(params: Mapping[str, Array], ids: Sequence[int], n: int) -> list[int]:
    """The ids that follow where the likeliest is always taken; everything is run again for each."""
    text = list(ids)
    for _ in range(n):
        text.append(int(logits(params, text)[-1].argmax()))
    return text[len(ids) :]
