"""A model in several safetensors files, and the index that says which tensor is in which.

``<name>.safetensors.index.json`` is a JSON object, written by transformers and huggingface_hub::

    {"metadata": {"total_size": 548090880},
     "weight_map": {"wte.weight": "model-00001-of-00002.safetensors", …}}

Only ``weight_map`` is read: ``total_size`` is wrong in many files, and nothing depends on it. It
has no shapes, so the tensors of a missing shard cannot be listed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import FormatError, Gpt2ConvertError, SourceNotFoundError
from ...io.source import SourceFile
from ...io.strict_json import describe, parse_object
from ..foreign import explain_file, explain_missing
from ..limits import Listing, check_shards
from .header import MAX_HEADER_BYTES, read_header

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

    from .header import Header

INDEX: Final = ".safetensors.index.json"
MAX_NAME: Final = 255
"""Characters of a file name: what any file system takes."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A file of the model. ``file`` and ``header`` are None where it cannot be opened or read."""

    path: Path
    file: SourceFile | None
    header: Header | None


def read_index(path: Path) -> dict[str, str]:
    """Return the file name of the shard of each tensor.

    Raises:
        SourceNotFoundError, UnreadableError: the index cannot be read.
        FormatError: it is no such index, or names a shard that is not a plain file name.
        UnsupportedError: it names too many shards.
    """
    file = SourceFile(path)
    try:
        if file.size > MAX_HEADER_BYTES:
            raise FormatError(
                f"{path}: {file.size:,} bytes, where at most {MAX_HEADER_BYTES:,} make sense"
            )
        text = file.read(0, file.size, "the index")
        if not text.lstrip().startswith(b"{"):
            raise explain_file(file) or FormatError(f"{path}: a JSON object expected")
    finally:
        file.close()
    return parse_index(text, str(path))


def parse_index(text: bytes, place: str) -> dict[str, str]:
    """Return the file name of the shard of each tensor; ``place`` is where the index is.

    Raises:
        FormatError: it is no such index, or names a shard that is not a plain file name.
    """
    weight_map = parse_object(text, place).get("weight_map")
    if not isinstance(weight_map, dict):
        raise FormatError(
            f"{place}: weight_map: an object expected, found {describe(weight_map)}; "
            "fetch the index again"
        )
    for name, shard in weight_map.items():
        if not _is_plain_name(shard):
            raise FormatError(
                f"{place}: {describe(name)}: the name of a file beside the index expected, found "
                f"{describe(shard)}; nothing else is opened"
            )
    check_shards(len(set(weight_map.values())), place)
    return weight_map


def _is_plain_name(shard: object) -> bool:
    return (
        isinstance(shard, str)
        and len(shard) <= MAX_NAME
        and shard not in ("", os.curdir, os.pardir)
        and not any(char in shard for char in "/\\:")
        and shard.isprintable()
    )


def open_shards(
    path: Path, weight_map: dict[str, str]
) -> tuple[list[Shard], list[Gpt2ConvertError]]:
    """Open the shards beside the index at ``path``, in the order of their names.

    What is wrong with a shard, or between it and the index, is a fault and no exception, so that
    the rest can be listed.

    Raises:
        UnsupportedError: they list more together than any model has.
    """
    named = group_names(weight_map)
    shards: list[Shard] = []
    faults: list[Gpt2ConvertError] = []
    listing = Listing(str(path))
    for shard_name in sorted(named):
        shard_path = path.with_name(shard_name)
        file = header = None
        try:
            file = SourceFile(shard_path)
            listing.add_shard(file)
            header = read_header(file, listing)
        except SourceNotFoundError:
            faults.append(describe_missing(shard_path, len(named[shard_name])))
        except Gpt2ConvertError as error:
            if listing.exceeded:
                raise
            faults.append(error)
        else:
            stored = {entry.name for entry in header.entries}
            faults += [header.fault] if header.fault else []
            faults += compare_names(path, shard_path, named[shard_name], stored)
        shards.append(Shard(shard_path, file, header))
    return shards, faults


def group_names(weight_map: dict[str, str]) -> dict[str, set[str]]:
    """Return the names of the tensors that the index has in each shard."""
    named: dict[str, set[str]] = {shard: set() for shard in weight_map.values()}
    for name, shard_name in weight_map.items():
        named[shard_name].add(name)
    return named


def describe_missing(shard: Path, tensors: int) -> SourceNotFoundError:
    """Return the error of a shard that is not there."""
    count = "1 tensor" if tensors == 1 else f"{tensors:,} tensors"
    return explain_missing(shard) or SourceNotFoundError(
        f"{shard}: missing: the index has {count} in it; put it beside the index"
    )


def compare_names(index: Path, shard: Path, named: set[str], stored: set[str]) -> list[FormatError]:
    """Return what the index says of a shard and the shard does not, and the reverse."""
    faults: list[FormatError] = []
    if absent := sorted(named - stored):
        faults.append(
            FormatError(
                f"{shard}: has no {describe(absent[0])}, which {index.name} puts there"
                f"{_more(absent)}; fetch both again"
            )
        )
    if stray := sorted(stored - named):
        faults.append(
            FormatError(
                f"{shard}: has {describe(stray[0])}, which {index.name} does not put there"
                f"{_more(stray)}; fetch both again"
            )
        )
    return faults


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1:,} more)" if len(names) > 1 else ""
