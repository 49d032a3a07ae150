"""Convert GPT-2 checkpoints without TensorFlow, and prove the result bit for bit.

    >>> import gpt2_convert
    >>> gpt2_convert.convert("models/124M", "out.npz").ok
    True
    >>> with gpt2_convert.open("models/124M") as checkpoint:
    ...     checkpoint["blocks[0].attn.c_attn.w"].shape
    (768, 2304)

Everything raises subclasses of Gpt2ConvertError; nothing prints, logs or exits. Each name is
imported when it is first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .api.convert import convert
    from .api.digest import DigestReport, TensorDigest, digest
    from .api.inspect import inspect
    from .api.open import open  # noqa: A004 - gpt2_convert.open, as gzip.open
    from .api.picogpt import load_gpt2_params_from_tf_ckpt
    from .checkpoint.canonical import Checkpoint, Dropped, FileInfo, HParams
    from .checkpoint.params import (
        AttentionParams,
        BlockParams,
        LayerNormParams,
        LinearParams,
        MLPParams,
        ModelParams,
    )
    from .compare.checkpoints import verify
    from .errors import (
        CastError,
        ChecksumError,
        FormatError,
        Gpt2ConvertError,
        SchemaError,
        SourceNotFoundError,
        TargetError,
        TargetExistsError,
        UnreadableError,
        UnsupportedError,
        UsageError,
        VerificationError,
    )
    from .reports.verification import (
        ConversionReport,
        Finding,
        InspectionReport,
        Kind,
        VerificationReport,
    )
    from .tensors.casting import CastLoss
    from .tensors.stats import TensorStats
    from .tensors.tensor import DType, LazyTensor
    from .tensors.tolerance import Tolerance

_HOMES = {
    "api.convert": "convert",
    "api.digest": "DigestReport TensorDigest digest",
    "api.inspect": "inspect",
    "api.open": "open",
    "api.picogpt": "load_gpt2_params_from_tf_ckpt",
    "checkpoint.canonical": "Checkpoint Dropped FileInfo HParams",
    "checkpoint.params": "AttentionParams BlockParams LayerNormParams LinearParams MLPParams"
    " ModelParams",
    "compare.checkpoints": "verify",
    "errors": "CastError ChecksumError FormatError Gpt2ConvertError SchemaError SourceNotFoundError"
    " TargetError TargetExistsError UnreadableError UnsupportedError UsageError VerificationError",
    "reports.verification": "ConversionReport Finding InspectionReport Kind VerificationReport",
    "tensors.casting": "CastLoss",
    "tensors.stats": "TensorStats",
    "tensors.tensor": "DType LazyTensor",
    "tensors.tolerance": "Tolerance",
}
"""The modules, and the names that each gives to this one."""

__all__ = [
    "AttentionParams",
    "BlockParams",
    "CastError",
    "CastLoss",
    "Checkpoint",
    "ChecksumError",
    "ConversionReport",
    "DType",
    "DigestReport",
    "Dropped",
    "FileInfo",
    "Finding",
    "FormatError",
    "Gpt2ConvertError",
    "HParams",
    "InspectionReport",
    "Kind",
    "LayerNormParams",
    "LazyTensor",
    "LinearParams",
    "MLPParams",
    "ModelParams",
    "SchemaError",
    "SourceNotFoundError",
    "TargetError",
    "TargetExistsError",
    "TensorDigest",
    "TensorStats",
    "Tolerance",
    "UnreadableError",
    "UnsupportedError",
    "UsageError",
    "VerificationError",
    "VerificationReport",
    "convert",
    "digest",
    "inspect",
    "load_gpt2_params_from_tf_ckpt",
    "open",
    "verify",
]


if TYPE_CHECKING:
    __version__: str
else:
    # Hidden from type checkers, to which any misspelt name would otherwise be an object.
    def __getattr__(name):  # noqa: ANN001, ANN202
        from importlib import import_module

        if name == "__version__":
            return import_module("importlib.metadata").version("gpt2-convert")
        for module, names in _HOMES.items():
            if name in names.split():
                value = getattr(import_module(f".{module}", __name__), name)
                globals()[name] = value
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
