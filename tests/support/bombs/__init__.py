"""Checkpoints that would cost far more time or memory than their bytes, of every container.

Some are refused and some are sound; either is done in two seconds and 300 MB, whatever is asked of
them. `test_bombs.py` asks.
"""

from __future__ import annotations

from . import beside, npz, pytorch, safetensors, tensorflow
from .bomb import LISTINGS, Bomb

__all__ = ["BOMBS", "LISTINGS", "Bomb"]

BOMBS: dict[str, Bomb] = {
    f"{family}: {name}": bomb
    for family, module in {
        "npz": npz,
        "safetensors": safetensors,
        "PyTorch": pytorch,
        "TensorFlow": tensorflow,
        "beside": beside,
    }.items()
    for name, bomb in module.BOMBS.items()
}
