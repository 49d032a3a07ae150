"""A GPT-2 under its canonical names: what writers receive. It knows names and not bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..tensors.side_by_side import read_arrays
from .collection import Dropped, TensorCollection
from .params import build_params
from .tree import build_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..tensors.tensor import LazyTensor
    from .config import Config
    from .hparams import HParams
    from .params import ModelParams
    from .tree import Tree

__all__ = ["Checkpoint", "Dropped"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Checkpoint(TensorCollection):
    """A GPT-2 checkpoint: a mapping of canonical name to lazy tensor, in canonical order.

    Every tensor of the source is either in the mapping or in ``dropped``; ``notes`` are what else a
    user should know of them. ``config`` has the sizes and what else the output depends on.
    ``buffers`` are the dropped tensors that count as what GPT-2 computes itself, with their kind: a
    matter of their values. It is a context manager; without ``with``, its files are closed when the
    last reference goes.
    """

    config: Config
    buffers: tuple[tuple[LazyTensor, str], ...] = ()

    @property
    def hparams(self) -> HParams:
        """The sizes that OpenAI's hparams.json has."""
        return self.config.hparams

    @property
    def hparams_from(self) -> str:
        """Where the hparams were stated: the files, or "the shapes"."""
        stated = self.config.stated_in
        places = dict.fromkeys(stated[size] for size in self.hparams.known() if size in stated)
        return " and ".join(places) or "the shapes"

    def _describe(self) -> str:
        return f"{TensorCollection._describe(self)}, {self.hparams}"

    def _list_facts(self) -> Iterator[tuple[str, str]]:
        sizes = ", ".join(f"{key} {value}" for key, value in self.hparams.known().items())
        yield "hparams", f"{sizes} (from {self.hparams_from})"
        for key, value in self.config.unusual().items():
            yield key, str(value)
        yield from TensorCollection._list_facts(self)

    def tree(self) -> Tree:
        """Read everything into nested dicts and lists of NumPy arrays, which print in a line.

        ``tree()["blocks"][0]["attn"]["c_attn"]["w"]`` is the array that ``self`` calls
        ``blocks[0].attn.c_attn.w``, of shape (n_embd, 3 * n_embd). Needs memory for all tensors.

        Raises:
            ChecksumError, FormatError, UnreadableError, UnsupportedError: as LazyTensor.array.
        """
        arrays = read_arrays(tuple(self.tensors.values()))
        return build_tree(dict(zip(self.tensors, arrays, strict=True)), self.hparams.n_layer)

    def params(self) -> ModelParams:
        """Read everything into frozen dataclasses of NumPy arrays.

        ``params().blocks[0].attn.c_attn.w`` is the array that ``self`` calls
        ``blocks[0].attn.c_attn.w``. Needs memory for all tensors; raises as :meth:`tree`.
        """
        return build_params(self.tree(), self.hparams)
