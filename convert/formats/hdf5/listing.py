"""A walk through the tree of an HDF5 file: what is in it, and what its root states of the model.

This is all that the library has to do with a file that is read, and it is done in a child process,
which the file may bring down: :mod:`.confined`. What is found comes from there as messages.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from ...checkpoint.raw import Skipped
from ...errors import FormatError, Gpt2ConvertError, UnsupportedError
from ...quoting import quote
from ..limits import Listing
from ..provenance import FIELDS, MAX_ATTRIBUTE
from .confined import confine
from .datasets import Describer
from .file import HDF5File, translate_errors
from .layout import decode, encode, encode_again, encode_attributes, encode_skipped
from .library import load_h5py, take_settings
from .paths import MAX_DEPTH, MAX_OBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ...io.source import SourceFile
    from .layout import Dataset

    _Link = tuple[Any, bytes, bytes, int, int]
    """The group that a link is in, its name, its path from the root, its kind, and the address that
    a hard one leads to."""


def list_file(
    source: SourceFile, base: int
) -> tuple[list[Dataset], list[Skipped], dict[str, bytes | None]]:
    """Return the datasets of a file whose signature is at ``base``, and the root's attributes.

    In between is what is not read: links that are not hard, and what is no dataset of numbers. The
    datasets come depth first, in the order of the links. Of the attributes only those of FIELDS
    count; one that is no text, or too long, is None.

    Raises:
        FormatError: the library or a check of ours finds the file malformed.
        UnsupportedError: it uses what is refused.
        UnreadableError: the disk fails, or there can be no process for the library.
    """
    # Here, so that no child has to: it is slow, and a thread that is not there might hold a lock.
    load_h5py()
    work = partial(_list, source, base)
    with closing(confine(work, str(source.path), (source.fd,))) as messages:
        datasets, skipped, attributes = decode(messages)
    return (
        datasets,
        skipped,
        {
            name: None if text is None else text.encode("utf-8", "surrogateescape")
            for name, text in attributes.items()
        },
    )


def _list(source: SourceFile, base: int) -> Iterator[bytes]:
    """Yield a message for each dataset, and one of the attributes; an empty one for a group."""
    take_settings()
    file = HDF5File(source, base)
    yield from _Walk(file, Listing(str(source.path))).messages()
    yield encode_attributes(_read_attributes(file))


@dataclass(slots=True)
class _Walk:
    """A walk and what was seen on it.

    Each link counts in ``listing``, and with all of its path: that repeats the names of the groups
    above it, so the file need not be as long. ``groups`` are the addresses of those that were
    entered, ``datasets`` the numbers of those that were told, and ``skipped`` what is not read, by
    their addresses.
    """

    file: HDF5File
    listing: Listing
    groups: set[int] = field(default_factory=set)
    datasets: dict[int, int] = field(default_factory=dict)
    skipped: dict[int, Skipped] = field(default_factory=dict)

    def messages(self) -> Iterator[bytes]:
        """Yield a message for each dataset and an empty one for each group, depth first."""
        from h5py import h5d, h5g, h5l, h5o

        told = 0
        describer = Describer(self.file.size, self.file.base)
        # A stack of what is still to be visited: the depth is the file's, so no recursion.
        root = self.file.root()
        with translate_errors(self.file.place(b"/")):
            start = h5o.get_info(root).addr
        pending: list[_Link] = [(root, b".", b"", h5l.TYPE_HARD, start)]
        while pending:
            parent, name, path, kind, address = pending.pop()
            place = self.file.place(path)
            text = path.decode("utf-8", "surrogateescape")
            if kind != h5l.TYPE_HARD:
                yield encode_skipped(Skipped(text, _describe_link(kind), is_folder=True))
                continue
            if address in self.skipped:
                yield encode_skipped(replace(self.skipped[address], name=text))
                continue
            if address in self.datasets:
                yield encode_again(text, self.datasets[address])
                told += 1
                continue
            if len(self.groups) + len(self.datasets) + len(self.skipped) >= MAX_OBJECTS:
                raise UnsupportedError(
                    f"{self.file.source.path}: more than {MAX_OBJECTS:,} groups and datasets, "
                    "where the largest GPT-2 has some hundreds"
                )
            with translate_errors(place):
                node = h5o.open(parent, name)
                if isinstance(node, h5d.DatasetID):
                    described = describer.describe(node, text, place)
                    if isinstance(described, Skipped):
                        self.skipped[address] = described
                        message = encode_skipped(described)
                    else:
                        message = encode(described)
                        self.datasets[address] = told
                        told += 1
                elif isinstance(node, h5g.GroupID):
                    self._enter(address, place, path)
                    pending += reversed(self._links(node, place, path))
                    message = b""
                else:
                    self.skipped[address] = Skipped(text, "neither a group nor a dataset")
                    message = encode_skipped(self.skipped[address])
            yield message
        describer.finish(str(self.file.source.path))

    def _enter(self, address: int, place: str, path: bytes) -> None:
        if address in self.groups:
            raise UnsupportedError(f"{place}: a second link to one group, perhaps a cycle")
        self.groups.add(address)
        if path.count(b"/") >= MAX_DEPTH:
            raise UnsupportedError(f"{place}: more than {MAX_DEPTH} groups within each other")

    def _links(self, group: Any, place: str, path: bytes) -> list[_Link]:  # noqa: ANN401
        """Return the links of a group, in the order of creation where that is tracked."""
        from h5py import h5, h5p

        links: list[_Link] = []
        names: set[bytes] = set()
        errors: list[Gpt2ConvertError] = []

        # True ends the iteration. h5py (3.14) makes a SystemError of an exception that does.
        def add(name: bytes, info: Any) -> bool | None:  # noqa: ANN401
            below = b"/".join((path, name)) if path else name
            try:
                if not name or b"/" in name or name == b".":
                    raise FormatError(
                        f"{place}: a link is named {quote(name)}, which no path can spell"
                    )
                if name in names:
                    raise FormatError(f"{place}: two links are named {quote(name)}")
                names.add(name)
                self.listing.add(below, 0)
            except Gpt2ConvertError as error:
                errors.append(error)
                return True
            links.append((group, name, below, info.type, info.u))
            return None

        tracked = group.get_create_plist().get_link_creation_order() & h5p.CRT_ORDER_TRACKED
        order = h5.INDEX_CRT_ORDER if tracked else h5.INDEX_NAME
        group.links.iterate(add, idx_type=order, order=h5.ITER_INC, info=True)
        for error in errors:
            raise error
        return links


def _describe_link(kind: int) -> str:
    from h5py import h5l

    text = {h5l.TYPE_SOFT: "a soft", h5l.TYPE_EXTERNAL: "an external"}.get(kind)
    return (
        f"{text or 'a user-defined'} link; only hard links are followed, others may lead anywhere"
    )


def _read_attributes(file: HDF5File) -> dict[str, str | None]:
    from h5py import h5a

    root = file.root()
    with translate_errors(f"{file.source.path}: attributes"):
        return {
            name: _read_attribute(root, name) for name in FIELDS if h5a.exists(root, name.encode())
        }


def _read_attribute(root: Any, name: str) -> str | None:  # noqa: ANN401
    """Return the text of an attribute; None where it is none, or a longer one than ours."""
    import h5py

    attribute = h5py.h5a.open(root, name.encode())
    text = isinstance(attribute.get_type(), h5py.h5t.TypeStringID)
    if not text or attribute.shape != () or attribute.get_storage_size() > MAX_ATTRIBUTE:
        return None
    value = h5py.Group(root).attrs[name]
    if not isinstance(value, str):
        value = bytes(value).decode("utf-8", "surrogateescape")
    return value if len(value) <= MAX_ATTRIBUTE else None
