"""The files of a plan, brought to a folder: looked for there, fetched, proven, and only then put.

Nothing gets its name in the folder before every file of the model has come and the model that they
make is proven. What is there and right stays; what is there and is something else is refused, or
replaced with ``force``, but not before all the new files are proven.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from ..errors import (
    Advice,
    ChecksumError,
    FormatError,
    SchemaError,
    SourceNotFoundError,
    TargetError,
    TargetExistsError,
    UnsupportedError,
    UsageError,
)
from ..io.free_space import check_free_space
from ..io.os_errors import os_errors_as
from ..reports.fetch import Proof
from .content import compare_content
from .lock import show_life
from .stage import open_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import Final

    from ..errors import Gpt2ConvertError
    from ..progress import Progress
    from .client import Client
    from .content import Content
    from .plan import Plan, Wanted
    from .stage import Stage

    Prove = Callable[[Path, Progress], None]
    """Shows that the folder at a path holds the model, whole and sound, or raises."""

_WRONG: Final = (FormatError, SchemaError, UnsupportedError, SourceNotFoundError, UsageError)
"""What speaks against files, and not against the disk that they are on."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A file that is in the folder and right; it was ``fetched``, or there already."""

    wanted: Wanted
    content: Content
    fetched: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was delivered, in the order of the plan, and how many bytes had to come for it."""

    files: tuple[Delivered, ...]
    nbytes: int


def deliver(
    plan: Plan,
    folder: Path,
    connect: Callable[[], Client],
    prove: Prove,
    *,
    force: bool,
    progress: Progress,
) -> Delivery:
    """Bring the files of a plan to ``folder``.

    Raises:
        TargetExistsError: a file is there that is something else, and ``force`` is off.
        TargetError: it cannot be written, or has no room.
        Gpt2ConvertError: a file cannot be fetched, or is not what it should be.
    """
    with os_errors_as(TargetError, f"{folder}: cannot be written"):
        if os.path.lexists(folder) and not folder.is_dir():
            raise TargetError(f"{folder}: is no folder; name one")
    wanted = [_measure(connect, each, folder) for each in plan.wanted]
    found = _look(wanted, folder, force=force, progress=progress)
    missing = [each for each in wanted if each.name not in found]
    if not missing:
        try:
            prove(folder, progress)
        except _WRONG as error:
            if not force:
                raise _cannot_be_proven(folder, error) from None
            missing = [each for each in wanted if each.known.digest is None]
    elif force:
        # Of a file without a digest nobody can tell whether it is the right one.
        missing += [each for each in wanted if each.name in found and each.known.digest is None]
    if not missing:
        return Delivery(tuple(Delivered(each, found[each.name], False) for each in wanted), 0)
    client = connect()
    with open_stage(folder, progress) as stage:
        watch = show_life(stage.held, progress)
        if not force:  # another fetch may have brought them meanwhile
            found |= _look(missing, folder, force=False, progress=watch)
            missing = [each for each in missing if each.name not in found]
        before = _check_room(missing, stage)
        fetched = {each.name: _fetch(client, each, stage, watch) for each in missing}
        for each in wanted:
            if each.name not in fetched:
                stage.link(each.name)
        try:
            prove(stage.path, watch)
        except _WRONG as error:
            stage.discard()
            raise _is_no_model(plan, error, stage.path) from None
        stage.land(fetched, force=force)
    files = tuple(
        Delivered(each, {**found, **fetched}[each.name], each.name in fetched) for each in wanted
    )
    return Delivery(files, sum(content.nbytes for content in fetched.values()) - before)


def _measure(connect: Callable[[], Client], wanted: Wanted, folder: Path) -> Wanted:
    """Return the file with its size, as its server states it where it is not known and is needed.

    Raises:
        SourceNotFoundError, FetchError: the server has no such file, or does not give it.
    """
    # What is there already is proven otherwise, unless the size is all that can be compared.
    there = wanted.proof is not Proof.SIZE and os.path.lexists(folder / wanted.name)
    if wanted.known.nbytes is not None or there:
        return wanted
    client = connect()
    answer = client.describe(wanted.address)
    if answer.status != HTTPStatus.OK:
        raise client.refuse(answer)
    return replace(wanted, known=replace(wanted.known, nbytes=answer.length))


def _look(
    wanted: Iterable[Wanted], folder: Path, *, force: bool, progress: Progress
) -> dict[str, Content]:
    """Return what the files hold that are there and right.

    Raises:
        TargetExistsError: one is something else, and ``force`` is off.
        UnreadableError: one cannot be read.
    """
    found: dict[str, Content] = {}
    for each in wanted:
        path = folder / each.name
        if not os.path.lexists(path):
            continue
        try:
            content, difference = compare_content(path, each.known, progress)
        except SourceNotFoundError:
            content, difference = None, "a link that leads nowhere"
        if content is not None and not difference:
            found[each.name] = content
        elif not force:
            raise TargetExistsError(
                f"{path}: is there already, and is another file than at {each.address}: "
                f"{difference}",
                Advice("{} replaces it", "force", True),
            )
    return found


def _check_room(missing: Iterable[Wanted], stage: Stage) -> int:
    """Return how many bytes have come in an earlier run.

    Raises:
        TargetError: the disk has no room for the rest.
    """
    needed = before = 0
    for each in missing:
        origin = stage.origin(each.name)
        come = stage.size(each.name) if origin and origin.identity == each.identity else 0
        before += come
        needed += max(0, (each.known.nbytes or 0) - come)
    check_free_space(stage.path, needed, str(stage.folder))
    return before


def _fetch(client: Client, wanted: Wanted, stage: Stage, progress: Progress) -> Content:
    """Bring a file to the stage and compare it with what is known; what is wrong is discarded.

    Raises:
        ChecksumError: it is another file.
        Gpt2ConvertError: it cannot be fetched.
    """
    from .transfer import transfer

    difference = ""
    for _ in range(2):
        in_one_answer = transfer(client, wanted, stage, progress)
        content, difference = compare_content(stage.path / wanted.name, wanted.known, progress)
        if content is not None and not difference:
            return content
        stage.forget(wanted.name)
        if in_one_answer:
            break
        # The pieces may have been of several files, or a power cut took some: once more, at once.
    raise ChecksumError(
        f"{wanted.address}: {difference}; it was discarded; the server has another file, or "
        "something on the way changes it: check the address, or try again"
    )


def _cannot_be_proven(folder: Path, error: Gpt2ConvertError) -> Gpt2ConvertError:
    """Return the error for files that were there and do not make up the model."""
    return TargetExistsError(
        f"{folder}: what is there already cannot be proven: {error}",
        Advice("{} fetches what has no published SHA-256 again", "force", True),
    )


def _is_no_model(plan: Plan, error: Gpt2ConvertError, stage: Path) -> Gpt2ConvertError:
    """Return the error for files that were fetched and do not make up a model; they are gone."""
    kind = FormatError if isinstance(error, FormatError) else UnsupportedError
    told = str(error).replace(f"{stage}{os.sep}", "")
    return kind(f"{plan.address}: cannot be proven, and was discarded: {told}")
