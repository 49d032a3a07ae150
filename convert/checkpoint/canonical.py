"""What flows through the house: raw checkpoints from readers, adopted ones to writers.

A :class:`RawCheckpoint` knows bytes and not GPT-2; a :class:`Checkpoint` knows names and not
bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ..errors import FormatError, Gpt2ConvertError
from ..model.config import read_huggingface_config
from .params import build_params

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any, Final, Protocol, Self

    from ..tensors.tensor import LazyTensor
    from .params import ModelParams

    class OpenFile(Protocol):
        """What a checkpoint keeps open: a SourceFile, or a library's file."""

        def close(self) -> None:
            """Close the file; a second call does nothing."""


_MAX_DEPTH: Final = 64
"""Objects within objects: config.json has two or three. Many more would exhaust the stack."""
_MAX_DIGITS: Final = 100
"""Of a whole number: Python's int() takes time with the square of their number."""


@dataclass(frozen=True, slots=True)
class RawConfig:
    """What the source states of its model: ``text`` is JSON that nobody has read yet."""

    where: str
    text: bytes

    def fields(self) -> dict[str, object]:
        """Parse the text into a JSON object.

        Raises:
            FormatError: it is not JSON, not an object, says the same key twice, or is too deep.
        """

        def refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
            fields = dict(pairs)
            if len(fields) != len(pairs):
                raise ValueError("a key stands twice")
            return fields

        def parse_whole(digits: str) -> int:
            if len(digits) > _MAX_DIGITS:
                raise ValueError(f"a number of {len(digits):,} digits")
            return int(digits)

        try:
            value = json.loads(
                self.text, object_pairs_hook=refuse_duplicates, parse_int=parse_whole
            )
            if _is_deeper(value, _MAX_DEPTH):
                raise RecursionError
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else error
            start = self.text[:40].decode("utf-8", "replace")
            raise FormatError(
                f"{self.where}: not JSON ({reason}); it starts with {start!r}; "
                "mend it, or remove it to take the sizes from the tensors"
            ) from None
        if not isinstance(value, dict):
            raise FormatError(f"{self.where}: a JSON object expected, found {type(value).__name__}")
        return value


def _is_deeper(value: object, limit: int) -> bool:
    """Whether arrays and objects are nested more than ``limit`` levels deep."""
    level = [value]
    for _ in range(limit + 1):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return bool(level)


@dataclass(frozen=True, slots=True)
class HParams:
    """The sizes of a GPT-2: vocabulary, context, width, heads, layers.

    ``n_head`` is None where nothing states it: no shape depends on it.
    """

    n_vocab: int
    n_ctx: int
    n_embd: int
    n_head: int | None
    n_layer: int

    def known(self) -> dict[str, int]:
        """Return what is known, in OpenAI's order and with OpenAI's keys."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file that belongs to a checkpoint; ``nbytes`` is None where it is missing."""

    path: str
    nbytes: int | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A source tensor that is not carried over, and why."""

    source_name: str
    reason: str


@dataclass(frozen=True, slots=True)
class RawCheckpoint:
    """A checkpoint as its container spells it.

    ``tensors`` keeps the container's order and may repeat a name. ``faults`` are the errors that
    stand in the way of reading tensors but not of listing them, such as a missing shard.
    ``open_files`` are closed with the checkpoint. ``folder`` is where files beside the weights lie,
    a tokenizer for example; None where the container is one file that holds all there is.
    ``engine`` is what reads it: "native" or another program and its version; ``notes`` are what
    should be known of how it is read.
    """

    format: str
    where: str
    tensors: tuple[LazyTensor, ...]
    files: tuple[FileInfo, ...]
    open_files: tuple[OpenFile, ...]
    config: RawConfig | None = None
    faults: tuple[Gpt2ConvertError, ...] = ()
    folder: Path | None = None
    engine: str = "native"
    notes: tuple[str, ...] = ()

    def close(self) -> None:
        """Close the files; tensors cannot be read any more."""
        for file in self.open_files:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint(Mapping[str, "LazyTensor"]):
    """A GPT-2 checkpoint: a mapping of canonical name to lazy tensor, in canonical order.

    Every tensor of the source is either in the mapping or in ``dropped``; ``notes`` are what else a
    user should know of them. ``hparams_from`` says
    where the hparams were stated: a file, or "the shapes". It is a context manager; without
    ``with``, its files are closed when the last reference goes.
    """

    raw: RawCheckpoint
    hparams: HParams
    hparams_from: str
    tensors: Mapping[str, LazyTensor]
    dropped: tuple[Dropped, ...]
    notes: tuple[str, ...] = ()

    @property
    def format(self) -> str:
        """The source's container, a key of READERS."""
        return self.raw.format

    @property
    def provenance(self) -> dict[str, object]:
        """What a target states beside its tensors: nothing that depends on clock, host or path.

        ``config`` is there only if the source is a Hugging Face model, or was once made from one,
        and has a config.json: all of that.
        """
        provenance: dict[str, object] = {
            "hparams": self.hparams.known(),
            "source_format": self.format,
        }
        config = read_huggingface_config(self)
        return provenance if config is None else {**provenance, "config": config}

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
