"""HDF5 files: a tree of groups whose leaves, the datasets, are the tensors.

A tensor's name is its dataset's path without the leading slash, in the order of creation where the
file tracks it and by name elsewhere. The layout of this tool is ``blocks/0/attn/c_attn/w``, ``wte``
and ``ln_f/g`` (:mod:`.writer`); root attributes state the model's configuration
(:mod:`..provenance`), as strings of fixed length or, rewritten by h5py, of variable length.

The official library reads everything, through h5py, from a descriptor that was checked to be a
regular file: :mod:`.library`; in a child process first, since some files bring the library down:
:mod:`.rehearsal`. Contiguous, compact and chunked datasets are read, shuffled, deflated
or with Fletcher-32 checksums: :mod:`.datasets`. Refused: soft and external links, groups that are
linked twice (which may be a cycle), external and virtual datasets, all other filters, and elements
that are not little-endian numbers.

Format: The HDF Group, HDF5 File Format Specification 3.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ...checkpoint.raw import FileInfo, RawCheckpoint
from ...errors import FormatError, Gpt2ConvertError, UnsupportedError
from ...io.source import SourceFile
from ...quoting import quote
from ...tensors.tensor import LazyTensor
from ..limits import check_count
from ..provenance import FIELDS, MAX_ATTRIBUTE, read_attributes
from .datasets import describe, find_chunks, read
from .file import HDF5File, translate_errors
from .library import load_h5py
from .rehearsal import rehearse
from .signature import NAME

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, Final

    from ...checkpoint.raw import RawConfig
    from .datasets import Layout

    _Link = tuple[Any, bytes, bytes, int]
    """The group that a link is in, its name, its path from the root, and its kind."""

_MAX_TEXT_SECONDS: Final = 1
"""For attributes of variable length, which lie in a heap: the library (1.14.6) searches a damaged
one for ever."""
_MAX_DEPTH: Final = 32
"""Groups within groups: a GPT-2 needs four."""
_MAX_NAMES: Final = 16 << 20
"""Bytes of all paths together: 400 for each of as many tensors as there may be. A path repeats the
names of the groups above it, so the file need not be as long."""


def open_hdf5(path: Path, step: int | None = None) -> RawCheckpoint:
    """Open a file and list its datasets, without reading elements.

    ``step`` has no meaning here.

    Raises:
        SourceNotFoundError, UnreadableError: the file cannot be opened.
        FormatError: the library or a check of ours finds it malformed.
        UnsupportedError: it uses what the module's docstring says is refused.
    """
    source = SourceFile(path)
    try:
        load_h5py()  # here, so that no child has to
        rehearse(partial(_visit, source), str(path))
    except BaseException:
        source.close()
        raise
    file = HDF5File(source)
    try:
        tensors = tuple(_open_tensor(file, names, layout) for names, layout in _walk(file))
        if _states_variable_text(file):
            rehearse(partial(_read_config, file), str(path), seconds=_MAX_TEXT_SECONDS)
        stated = _read_config(file)
    except BaseException:
        file.close()
        raise
    return RawCheckpoint(
        format=NAME,
        where=str(path),
        tensors=tensors,
        files=(FileInfo(str(path), file.source.size),),
        open_files=(file,),
        configs=(stated,) if stated else (),
    )


def _visit(source: SourceFile) -> None:
    """Have the library do all that a later reading asks of it, but for the elements."""
    file = HDF5File(source)
    for path, layout in _walk(file):
        find_chunks(file, path, layout)
    if not _states_variable_text(file):
        _read_config(file)


def _walk(file: HDF5File) -> list[tuple[bytes, Layout]]:
    """Return the path and the layout of every dataset, depth first, in the order of the links."""
    from h5py import h5d, h5g, h5l, h5o

    found: list[tuple[bytes, Layout]] = []
    seen: set[int] = set()
    tally = _Tally(str(file.source.path))
    # A stack of what is still to be visited: the depth is the file's, so no recursion.
    pending: list[_Link] = [(file.root(), b".", b"", h5l.TYPE_HARD)]
    while pending:
        parent, name, path, kind = pending.pop()
        place = file.place(path)
        if kind != h5l.TYPE_HARD:
            text = {h5l.TYPE_SOFT: "a soft", h5l.TYPE_EXTERNAL: "an external"}.get(kind)
            raise UnsupportedError(
                f"{place}: {text or 'a user-defined'} link; only hard links are followed, "
                "others may lead anywhere"
            )
        with translate_errors(place):
            node = h5o.open(parent, name)
            if isinstance(node, h5d.DatasetID):
                found.append((path, describe(node, place, file.source.size)))
            elif isinstance(node, h5g.GroupID):
                _enter(node, place, path, seen)
                pending += reversed(_links(node, place, path, tally))
            else:
                raise UnsupportedError(f"{place}: neither a group nor a dataset")
    return found


def _enter(group: Any, place: str, path: bytes, seen: set[int]) -> None:  # noqa: ANN401
    from h5py import h5o

    address = h5o.get_info(group).addr
    if address in seen:
        raise UnsupportedError(f"{place}: a second link to one group, perhaps a cycle")
    seen.add(address)
    if path.count(b"/") >= _MAX_DEPTH:
        raise UnsupportedError(f"{place}: more than {_MAX_DEPTH} groups within each other")


@dataclass(slots=True)
class _Tally:
    """What was listed so far. Groups count as well: each costs as much as a dataset."""

    where: str
    links: int = 0
    names: int = 0

    def add(self, path: bytes) -> None:
        self.links += 1
        self.names += len(path)
        check_count(self.links, self.where)
        if self.names > _MAX_NAMES:
            raise UnsupportedError(f"{self.where}: more than {_MAX_NAMES:,} bytes of names")


def _links(group: Any, place: str, path: bytes, tally: _Tally) -> list[_Link]:  # noqa: ANN401
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
            tally.add(below)
        except Gpt2ConvertError as error:
            errors.append(error)
            return True
        links.append((group, name, below, info.type))
        return None

    tracked = group.get_create_plist().get_link_creation_order() & h5p.CRT_ORDER_TRACKED
    order = h5.INDEX_CRT_ORDER if tracked else h5.INDEX_NAME
    group.links.iterate(add, idx_type=order, order=h5.ITER_INC, info=True)
    for error in errors:
        raise error
    return links


def _open_tensor(file: HDF5File, path: bytes, layout: Layout) -> LazyTensor:
    name = path.decode("utf-8", "surrogateescape")
    return LazyTensor(
        name=name,
        shape=layout.shape,
        dtype=layout.dtype,
        nbytes=layout.nbytes,
        read=partial(read, file, path, layout),
        source_name=name,
    )


def _read_config(file: HDF5File) -> RawConfig | None:
    """Return what the root's attributes state of the model; None if they are another program's."""
    from h5py import h5a

    root = file.root()
    with translate_errors(f"{file.source.path}: attributes"):
        found = {
            name: _read_attribute(root, name) for name in FIELDS if h5a.exists(root, name.encode())
        }
    return read_attributes(found, str(file.source.path))


def _states_variable_text(file: HDF5File) -> bool:
    """Whether one of the attributes is a text of variable length, as h5py itself writes them."""
    from h5py import h5a, h5t

    root = file.root()
    with translate_errors(f"{file.source.path}: attributes"):
        kinds = [
            h5a.open(root, name.encode()).get_type()
            for name in FIELDS
            if h5a.exists(root, name.encode())
        ]
        return any(isinstance(kind, h5t.TypeStringID) and kind.is_variable_str() for kind in kinds)


def _read_attribute(root: Any, name: str) -> bytes | None:  # noqa: ANN401
    """Return the text of an attribute; None where it is none, or a longer one than ours."""
    import h5py

    attribute = h5py.h5a.open(root, name.encode())
    text = isinstance(attribute.get_type(), h5py.h5t.TypeStringID)
    if not text or attribute.shape != () or attribute.get_storage_size() > MAX_ATTRIBUTE:
        return None
    value = h5py.Group(root).attrs[name]
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
    return data if len(data) <= MAX_ATTRIBUTE else None
