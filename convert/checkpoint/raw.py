"""A checkpoint as its container spells it: what readers return. It knows bytes and not GPT-2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..display.line import count
from ..errors import FormatError
from ..io.strict_json import parse_config
from ..quoting import quote, quote_some

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Final, Protocol, Self

    from ..errors import Gpt2ConvertError
    from ..tensors.tensor import LazyTensor

    class OpenFile(Protocol):
        """What a checkpoint keeps open: a SourceFile, or a library's file."""

        def close(self) -> None:
            """Close the file; a second call does nothing."""


_MOST_REASONS: Final = 8
"""Notes of what was skipped."""


@dataclass(frozen=True, slots=True)
class RawConfig:
    """What the source states of its model: ``text`` is JSON, not parsed yet.

    ``damage`` is what speaks against believing it, where that was seen already. Where it is
    ``complete``, what it does not state is GPT-2's own, as in the files of this tool. Where it is
    ``as_is``, it states nothing of a model: a checkpoint was converted under its own names.
    ``origin`` is the format that the first source had, of which such a file was made.
    """

    where: str
    text: bytes
    damage: str | None = None
    complete: bool = False
    as_is: bool = False
    origin: str | None = None

    def fields(self) -> dict[str, object]:
        """Parse the text into a JSON object.

        Raises:
            FormatError: it is damaged, not JSON, not an object, says a key twice, or is too deep.
        """
        if self.damage is not None:
            raise FormatError(f"{self.where}: {self.damage}")
        return parse_config(self.text, self.where)


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file that belongs to a checkpoint; ``nbytes`` is None where it is missing."""

    path: str
    nbytes: int | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something in the container that is not read as a tensor, and why.

    It is nothing to refuse a file for, unless its name is that of a weight. ``is_folder`` says that
    what would be in it is not known either; ``is_member`` that it is stored as tensors are, and so
    may be one.
    """

    name: str
    reason: str
    is_folder: bool = False
    is_member: bool = True


def describe_skipped(skipped: Sequence[Skipped]) -> tuple[str, ...]:
    """Return a note for each of the first reasons, with the names, and one of how many are left."""
    reasons: dict[str, list[str]] = {}
    for each in skipped:
        reasons.setdefault(each.reason, []).append(each.name)
    shown = list(reasons.items())[:_MOST_REASONS]
    left = len(skipped) - sum(len(names) for _, names in shown)
    more = (f"skipped {left:,} more, which are no tensors either",) if left else ()
    return (*(f"skipped {quote_some(names)}: {why}" for why, names in shown), *more)


@dataclass(frozen=True, slots=True)
class RawCheckpoint:
    """A checkpoint as its container spells it.

    ``tensors`` keeps the container's order and may repeat a name. ``faults`` are the errors that
    stand in the way of reading tensors but not of listing them, such as a missing shard.
    ``no_model`` is why tensors that can be read are none of a whole model.
    ``configs`` are what is stated of the model, in the container or beside it. ``open_files`` are
    closed with the checkpoint. ``folder`` is where files beside the weights lie, a tokenizer for
    example; None where the container is one file that holds all there is. Where that folder itself
    was named (``folder_named``), all of it is the model's; beside a file may lie what is anybody's.
    ``engine`` is what reads it: "native" or another program and its version; ``notes`` are what
    should be known of how it is read. ``skipped`` is what the container holds beside tensors; the
    notes say so.
    """

    format: str
    where: str
    tensors: tuple[LazyTensor, ...]
    files: tuple[FileInfo, ...]
    open_files: tuple[OpenFile, ...]
    configs: tuple[RawConfig, ...] = ()
    faults: tuple[Gpt2ConvertError, ...] = ()
    folder: Path | None = None
    folder_named: bool = False
    engine: str = "native"
    notes: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    no_model: Gpt2ConvertError | None = None

    def __repr__(self) -> str:
        tensors = count(len(self.tensors), "tensor")
        return f"<RawCheckpoint {quote(self.where)} ({self.format}): {tensors}>"

    def close(self) -> None:
        """Close the files; tensors cannot be read any more."""
        for file in self.open_files:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
