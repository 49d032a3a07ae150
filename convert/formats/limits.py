"""The budget: how much a checkpoint may list, in all its files together, whatever its container.

Whatever is listed costs time and memory before anyone can tell that it is no GPT-2, and more of
both than the bytes show: a compressed TensorFlow index of 60 KB can name 50,000 tensors, names that
share their start take no room at all, and a folder can hold one file under hundreds of names. The
figures leave room for several times what was ever trained as a GPT-2, with all that its optimizer
and its trainer keep beside it; within them any file is opened, or refused, in less than two seconds
and 300 MB. Elements take the time of their bytes, of which compressed ones have a limit, too.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import Advice, FormatError, UnsupportedError

if TYPE_CHECKING:
    from typing import Final

    from ..io.source import SourceFile

MAX_TENSORS: Final = 16_000
"""The largest GPT-2 has 580 tensors, and three times as many with its optimizer's."""
MAX_RANK: Final = 32
"""The axes that every NumPy can handle. A GPT-2's tensors have three or less, its masks four."""
MAX_AXES: Final = 4 * MAX_TENSORS
"""Axes of all tensors together."""
MAX_NAMES: Final = 4 << 20
"""Characters of all names together: 250 for each of as many tensors as there may be. OpenAI's have
20, and those of an object graph 110."""
MAX_HEADERS: Final = 5 << 20
"""Bytes of the headers or entries that describe the tensors: 320 for each of as many as there may
be. NumPy writes 118, safetensors 80 and TensorFlow 30."""
MAX_SHARDS: Final = 10_000
"""Files of weights, each of which stays open. The largest models that there are have hundreds."""
MAX_ENTRIES: Final = 100_000
"""Names in a folder. Reading them takes a tenth of a second."""
MAX_LOOKUPS: Final = 1_000
"""Files of a folder that are opened to see what they are, where their names do not tell. The folder
of a model has some tens."""
MAX_MEASURED: Final = 5_000
"""Tensors of which statistics are computed: a tenth of a millisecond each, however small it is."""
MAX_EXPANSION: Final = 100
"""Bytes of elements for a compressed one. Weights gain less than 2, those of a pruned and quantised
network 50; an archive of zeros 1000."""
FREE_EXPANSION: Final = 64 << 20
"""Bytes of elements up to which it does not matter how well they are compressed."""


def check_count(count: int, where: str) -> None:
    """Refuse a checkpoint of more than MAX_TENSORS; ``where`` is the file that lists them.

    Raises:
        UnsupportedError: it has more.
    """
    if count > MAX_TENSORS:
        raise UnsupportedError(
            f"{where}: more than {MAX_TENSORS:,} tensors, where the largest GPT-2 has some hundreds"
        )


def check_rank(rank: int, where: str) -> None:
    """Refuse a tensor of more than MAX_RANK axes; ``where`` is the file and the tensor.

    Raises:
        UnsupportedError: it has more.
    """
    if rank > MAX_RANK:
        raise UnsupportedError(f"{where}: {rank:,} axes, where at most {MAX_RANK} are handled")


def check_shards(count: int, where: str) -> None:
    """Refuse a checkpoint of more than MAX_SHARDS files; ``where`` is the file that names them.

    Raises:
        UnsupportedError: it has more.
    """
    if count > MAX_SHARDS:
        raise UnsupportedError(
            f"{where}: more than {MAX_SHARDS:,} shards, where the largest models have some hundreds"
        )


def check_measured(count: int, where: str) -> None:
    """Refuse to compute statistics of more than MAX_MEASURED tensors.

    Raises:
        UnsupportedError: there are more.
    """
    if count > MAX_MEASURED:
        raise UnsupportedError(
            f"{where}: {count:,} tensors, where the statistics of at most {MAX_MEASURED:,} are "
            "computed",
            Advice("they are listed without {}", "stats", True),
        )


def check_expansion(nbytes: int, stored: int, where: str) -> None:
    """Refuse elements of ``nbytes`` that are compressed into ``stored`` where weights cannot be.

    Raises:
        UnsupportedError: they are more than MAX_EXPANSION times as many, and not few.
    """
    if nbytes > max(MAX_EXPANSION * stored, FREE_EXPANSION):
        raise UnsupportedError(
            f"{where}: {nbytes:,} bytes of elements in {stored:,} compressed ones, where at most "
            f"{MAX_EXPANSION} times as many are inflated; save them uncompressed"
        )


class Listing:
    """What one checkpoint has listed so far, in whatever number of files.

    ``where`` is the file that stands for all of it in an error. ``exceeded`` says that there was
    too much, so that to go on with other files would not help.
    """

    __slots__ = ("_axes", "_files", "_headers", "_names", "_tensors", "_where", "exceeded")

    def __init__(self, where: str) -> None:
        self.exceeded = False
        self._where = where
        self._tensors = self._axes = self._names = self._headers = 0
        self._files: dict[tuple[int, int], SourceFile] = {}

    def add(self, name: str | bytes, rank: int) -> None:
        """Take in a tensor, whose rank alone is :func:`check_rank`'s matter.

        Raises:
            UnsupportedError: there are too many tensors, axes or names.
        """
        self._tensors += 1
        if self._tensors > MAX_TENSORS:
            self.exceeded = True
            check_count(self._tensors, self._where)
        self.add_axes(rank)
        self.add_name(name)

    def add_axes(self, count: int) -> None:
        """Take in the axes of a tensor, or of the slices that one is made of.

        Raises:
            UnsupportedError: they are too many.
        """
        self._axes += count
        if self._axes > MAX_AXES:
            raise self._refuse(f"{MAX_AXES:,} axes of all tensors together", "a thousand")

    def add_name(self, name: str | bytes) -> None:
        """Take in a name that stands for no tensor, or for one that is taken in elsewhere.

        Raises:
            UnsupportedError: there are too long ones.
        """
        self._names += len(name)
        if self._names > MAX_NAMES:
            raise self._refuse(f"{MAX_NAMES:,} bytes of names", "some thousands")

    def add_header(self, nbytes: int) -> None:
        """Take in the size of a header, or of an entry, before it is read.

        Raises:
            UnsupportedError: they are too long together.
        """
        self._headers += nbytes
        if self._headers > MAX_HEADERS:
            raise self._refuse(f"{MAX_HEADERS:,} bytes of headers", "some tens of thousands")

    def _refuse(self, what: str, usual: str) -> UnsupportedError:
        self.exceeded = True
        return UnsupportedError(
            f"{self._where}: more than {what}, where the largest GPT-2 has {usual}"
        )

    def add_shard(self, file: SourceFile) -> None:
        """Take in a file of weights that was opened.

        Raises:
            FormatError: it is one that was taken in before, under another name.
        """
        status = os.fstat(file.fd)
        before = self._files.setdefault((status.st_dev, status.st_ino), file)
        if before is not file and file.size:
            raise FormatError(
                f"{file.path}: the same file as {before.path.name}, under another name; each shard "
                "has tensors of its own: fetch it again"
            )
