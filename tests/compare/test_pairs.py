"""What two tensors of one name differ in before any value of them is read."""

from __future__ import annotations

from gpt2_convert import DType, Kind
from gpt2_convert.compare.pairs import describe_dtype, describe_shape


def test_another_shape_is_told_and_a_transposed_one_is_called_that() -> None:
    finding = describe_shape("w", (2, 3), (3, 2))
    assert (finding.kind, finding.tensor, finding.hint) == (Kind.SHAPE, "w", "transposed")
    assert finding.message == "[2, 3] in the source, [3, 2] in the target"
    assert describe_shape("w", (2, 3), (2, 4)).hint is None


def test_another_dtype_is_told_with_the_cast_that_would_make_them_equal() -> None:
    finding = describe_dtype("w", DType.FLOAT32, DType.FLOAT16)
    assert (finding.kind, finding.message) == (
        Kind.DTYPE,
        "float32 in the source, float16 in the target",
    )
    assert finding.advice is not None
    assert (finding.advice.option, finding.advice.value) == ("dtype", "float16")


def test_integers_are_never_cast_so_nothing_is_advised() -> None:
    assert describe_dtype("w", DType.INT64, DType.FLOAT32).advice is None
    assert describe_dtype("w", DType.FLOAT32, DType.INT32).advice is None
