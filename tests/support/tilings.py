"""Tensors cut into slices: any tiling of any shape, and bundles of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import strategies as st
from support import bundles
from support.tf_writers import WHOLE

if TYPE_CHECKING:
    from pathlib import Path

    from support.bundles import Extents
    from support.contracts import Array


HALVES: tuple[Extents, ...] = (((0, 2), WHOLE), ((2, 2), WHOLE))


def numbers(*shape: int, dtype: str = "float32") -> Array:
    highest = 2 if dtype == "bool" else 100
    return np.random.default_rng(len(shape)).integers(0, highest, shape).astype(dtype)


@st.composite
def tilings(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Extents]]:
    """Boxes cut in two, again and again, or into a pinwheel, which no straight cut divides."""
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)))
    boxes: list[Extents] = [tuple((0, dim) for dim in shape)]
    for _ in range(draw(st.integers(0, 8))):
        box = boxes.pop(draw(st.integers(0, len(boxes) - 1)))
        wide = [axis for axis, (_, length) in enumerate(box) if length > 2]
        long = [axis for axis, (_, length) in enumerate(box) if length > 1]
        if len(wide) > 1 and draw(st.booleans()):
            one, other = draw(st.permutations(wide))[:2]
            (a, m), (b, n) = box[one], box[other]
            i = draw(st.integers(1, m - 2))
            j = draw(st.integers(i + 1, m - 1))
            k = draw(st.integers(1, n - 2))
            q = draw(st.integers(k + 1, n - 1))
            for first, second in (
                ((a, i), (b, q)), ((a, j), (b + q, n - q)), ((a + i, m - i), (b, k)),
                ((a + j, m - j), (b + k, n - k)), ((a + i, j - i), (b + k, q - k)),
            ):  # fmt: skip
                new = list(box)
                new[one], new[other] = first, second
                boxes.append(tuple(new))
        elif long:
            axis = draw(st.sampled_from(long))
            start, length = box[axis]
            at = draw(st.integers(1, length - 1))
            boxes += (
                (*box[:axis], span, *box[axis + 1 :])
                for span in ((start, at), (start + at, length - at))
            )
        else:
            boxes.append(box)
    return shape, draw(st.permutations(boxes))


def write_tiling(
    folder: Path, array: Array, slices: list[Extents], shards: int = 1
) -> tuple[bundles.Bundle, Path]:
    bundle = bundles.Bundle(shards=[bytearray() for _ in range(shards)])
    bundle.add_slices("w", array, slices)
    return bundle, bundle.write(folder / "m")
