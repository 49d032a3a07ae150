"""From a name to a folder with the model: fetched, proven, and only then there."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..download.connect import open_client
from ..download.content import VERIFYING
from ..download.delivery import deliver
from ..download.hub import find_hub, plan_hub
from ..download.names import HubModel, parse_name
from ..download.openai import DATA, plan_openai
from ..errors import FormatError, UsageError
from ..formats.companion_kinds import check_contents
from ..formats.engines import NATIVE
from ..io.source import SourceFile, check_path
from ..progress import ignore_progress
from ..reports.fetch import FetchedFile, FetchReport, Proof
from ..reports.summary import sum_up
from .open import open  # noqa: A004 - a checkpoint, not a file

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import Final

    from ..checkpoint.canonical import Checkpoint
    from ..download.client import Client
    from ..download.names import OpenAIModel
    from ..download.plan import Plan
    from ..progress import Progress
    from ..reports.summary import Totals

MODELS: Final = "models"
"""The folder in which a model has its own where none is named."""


def fetch(
    name: str,
    folder: str | os.PathLike[str] | None = None,
    *,
    mirror: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> FetchReport:
    """Fetch a published model into ``folder``, and prove it.

    ``name`` is one of OpenAI's models, 124M, 355M, 774M or 1558M, or OWNER/MODEL or
    OWNER/MODEL@REVISION on the Hugging Face Hub. ``folder`` is ``models/124M``, or
    ``models/OWNER/MODEL``, where none is named. ``mirror`` is an address at which OpenAI's files
    lie in folders of that name. The environment names another Hub with HF_ENDPOINT, a token for it
    with HF_TOKEN, proxies with http_proxy and its like, and certificates with SSL_CERT_FILE.

    A file that is there and right is not fetched again; one that is something else is an error, or
    replaced with ``force``. No file is under its name in ``folder`` before all of them have come
    and are proven. What has come when a fetch breaks off is kept in a hidden folder there, and the
    next fetch of the same model goes on with it. Where another fetch is at work in the folder, this
    one waits until it has ended. Needs urllib3, which ``gpt2-convert[fetch]`` installs, unless all
    is there.

    Raises:
        UsageError: nothing has that name, or an address makes no sense.
        SourceNotFoundError: the server has no such model or file.
        FetchError: the server cannot be reached, breaks off time and again, or is misleading.
        ChecksumError, FormatError: what came is not what it should be; it was discarded.
        UnsupportedError: it is no GPT-2, or urllib3 is not installed.
        TargetExistsError, TargetError: the folder may not or cannot be written, or has no room.
    """
    model = parse_name(name)
    if folder is None:
        target = Path(MODELS, *model.name.split("/"))
    else:
        target = check_path(folder, "folder")
    plan, connect = _plan(model, mirror)
    proven: list[tuple[Totals, tuple[str, ...]]] = []
    delivery = deliver(
        plan,
        target,
        connect,
        lambda path, progress: proven.append(_prove(path, plan, progress)),
        force=force,
        progress=progress or ignore_progress,
    )
    with _open(target, plan):
        pass  # the folder is what others will open
    totals, notes = proven[-1]
    return FetchReport(
        name=plan.name,
        folder=str(target),
        format=plan.format,
        address=str(plan.address),
        commit=plan.commit,
        files=tuple(
            FetchedFile(
                each.wanted.name,
                each.content.nbytes,
                each.content.sha256,
                each.wanted.proof,
                each.fetched,
            )
            for each in delivery.files
        ),
        fetched_nbytes=delivery.nbytes,
        totals=totals,
        notes=notes,
    )


def _plan(model: OpenAIModel | HubModel, mirror: str | None) -> tuple[Plan, Callable[[], Client]]:
    """Return what is to be fetched, and what makes a connection when it is needed first."""
    if not isinstance(model, HubModel):
        plan = plan_openai(model, mirror)
        return plan, cache(lambda: open_client(plan.site))
    if mirror is not None:
        raise UsageError(
            f"{model.name}: a mirror has OpenAI's files; HF_ENDPOINT names another Hugging Face Hub"
        )
    client = open_client(find_hub(model))
    return plan_hub(client, model), lambda: client


def _prove(path: Path, plan: Plan, progress: Progress) -> tuple[Totals, tuple[str, ...]]:
    """Show that ``path`` holds the model; return what is in it, and notes.

    Raises:
        Gpt2ConvertError: it does not.
    """
    with _open(path, plan) as checkpoint:
        notes = list(checkpoint.notes)
        for each in plan.wanted:
            file = SourceFile(path / each.name)
            try:
                notes += check_contents(file, checkpoint.config.n_vocab)
            finally:
                file.close()
        if any(each.proof is Proof.CHECKSUMS for each in plan.wanted):
            _read_tensors(checkpoint, path, progress)
        return sum_up(list(checkpoint.values())), tuple(notes)


def _open(path: Path, plan: Plan) -> Checkpoint:
    return open(path, format=plan.format, engine=NATIVE)


def _read_tensors(checkpoint: Checkpoint, path: Path, progress: Progress) -> None:
    """Read every tensor of a TensorFlow checkpoint, which compares each with its checksum.

    Raises:
        ChecksumError: one does not match.
        FormatError: bytes of the data file are no tensor's.
    """
    tensors = checkpoint.raw.tensors
    total, done = sum(tensor.nbytes for tensor in tensors), 0
    file = SourceFile(path / DATA)
    file.close()
    if file.size != total:
        raise FormatError(
            f"{file.path}: has {file.size:,} bytes, and the tensors of the index have {total:,}"
        )
    for tensor in tensors:
        for chunk in tensor.chunks():
            done += len(chunk)
            progress(VERIFYING, done, total)
