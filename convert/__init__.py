"""Convert GPT-2 checkpoints without TensorFlow, and prove the result bit for bit.

    >>> import gpt2_convert
    >>> gpt2_convert.convert("models/124M", "out.npz").ok
    True
    >>> with gpt2_convert.open("models/124M") as checkpoint:
    ...     checkpoint["blocks[0].attn.c_attn.w"].shape
    (768, 2304)

Everything raises subclasses of Gpt2ConvertError; nothing prints, logs or exits. The public names
stand in :mod:`.public`. Each is imported when it is first used, with its module and no other, so
that importing the package costs nothing and a command no more than it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"  # looking it up in the metadata would take 20 ms; a test compares the two

if TYPE_CHECKING:
    from .public import *  # noqa: F403

    __all__: list[str]
else:
    from functools import cache

    # Hidden from type checkers, to which any misspelt name would otherwise be an object.
    def __getattr__(name):  # noqa: ANN001, ANN202
        from importlib import import_module

        if name == "__all__":
            return sorted(_find_homes())
        if name.startswith("_") or name not in (homes := _find_homes()):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(homes[name], __name__), name)
        globals()[name] = value
        return value

    def __dir__():  # noqa: ANN202
        return sorted({*globals(), *_find_homes()})

    @cache
    def _find_homes():  # noqa: ANN202
        """Return the module of each public name, as the list of them says."""
        import re
        from importlib import import_module
        from importlib.util import find_spec

        spec = find_spec(".public", __name__)
        source = spec.loader.get_source(spec.name)
        if source is None:  # a program that was packed without sources
            names = vars(import_module(".public", __name__))
            return {name: ".public" for name in names if name[0] != "_" and name != "annotations"}
        found = re.findall(r"^from (\S+) import (\w+) as \w+", source, re.MULTILINE)
        return {name: module for module, name in found}
