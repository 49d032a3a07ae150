"""Convert GPT-2 checkpoints without TensorFlow, and prove the result bit for bit.

    >>> import gpt2_convert
    >>> gpt2_convert.convert("models/124M", "out.npz").ok
    True
    >>> with gpt2_convert.open("models/124M") as checkpoint:
    ...     checkpoint["blocks[0].attn.c_attn.w"].shape
    (768, 2304)

Everything raises subclasses of Gpt2ConvertError; nothing prints, logs or exits. The public names
stand in :mod:`.public`, and are imported when the first of them is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .public import *  # noqa: F403

    __all__: list[str]
    __version__: str
else:
    # Hidden from type checkers, to which any misspelt name would otherwise be an object.
    def __getattr__(name):  # noqa: ANN001, ANN202
        from importlib import import_module

        if name == "__version__":
            return import_module("importlib.metadata").version("gpt2-convert")
        if name == "__all__" or not name.startswith("_"):
            public = _load_public()
            if name == "__all__":
                return sorted(public)
            if name in public:
                return public[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():  # noqa: ANN202
        return sorted({*globals(), *_load_public()})

    def _load_public():  # noqa: ANN202
        from importlib import import_module

        names = vars(import_module(".public", __name__))
        public = {key: names[key] for key in names if not key.startswith("_")}
        del public["annotations"]
        globals().update(public)
        return public
