"""A GPT-2 under its canonical names: what writers receive. It knows names and not bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .params import build_params

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Self

    from ..tensors.tensor import LazyTensor
    from .hparams import HParams
    from .params import ModelParams
    from .raw import RawCheckpoint


@dataclass(frozen=True, slots=True)
class Dropped:
    """A source tensor that is not carried over, and why."""

    source_name: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint(Mapping[str, "LazyTensor"]):
    """A GPT-2 checkpoint: a mapping of canonical name to lazy tensor, in canonical order.

    Every tensor of the source is either in the mapping or in ``dropped``; ``notes`` are what else a
    user should know of them. ``hparams_from`` says where the hparams were stated: a file, or "the
    shapes". ``config`` is the whole config.json where the source is a Hugging Face model, or was
    once made from one, else None. It is a context manager; without ``with``, its files are closed
    when the last reference goes.
    """

    raw: RawCheckpoint
    hparams: HParams
    hparams_from: str
    tensors: Mapping[str, LazyTensor]
    dropped: tuple[Dropped, ...]
    notes: tuple[str, ...] = ()
    config: Mapping[str, object] | None = None

    @property
    def format(self) -> str:
        """The source's container, a key of READERS."""
        return self.raw.format

    def __repr__(self) -> str:
        return (
            f"<Checkpoint {self.raw.where!r} ({self.format}): "
            f"{len(self.tensors)} tensors, {self.hparams}>"
        )

    def __getitem__(self, name: str) -> LazyTensor:
        return self.tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def tree(self) -> dict[str, Any]:
        """Read everything into nested dicts and lists of NumPy arrays.

        ``tree()["blocks"][0]["attn"]["c_attn"]["w"]`` is the array that ``self`` calls
        ``blocks[0].attn.c_attn.w``, of shape (n_embd, 3 * n_embd). Needs memory for all tensors.

        Raises:
            ChecksumError, FormatError, UnreadableError, UnsupportedError: as LazyTensor.array.
        """
        root: dict[str, Any] = {"blocks": [{} for _ in range(self.hparams.n_layer)]}
        for name, tensor in self.tensors.items():
            place = root
            *parents, leaf = name.split(".")
            for key in parents:
                if key.startswith("blocks["):
                    place = root["blocks"][int(key[len("blocks[") : -1])]
                else:
                    place = place.setdefault(key, {})
            place[leaf] = tensor.array()
        return root

    def params(self) -> ModelParams:
        """Read everything into frozen dataclasses of NumPy arrays.

        ``params().blocks[0].attn.c_attn.w`` is the array that ``self`` calls
        ``blocks[0].attn.c_attn.w``. Needs memory for all tensors; raises as :meth:`tree`.
        """
        return build_params(self.tree(), self.hparams)

    def close(self) -> None:
        """Close the files; tensors cannot be read any more."""
        self.raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
