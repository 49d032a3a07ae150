"""A conversion: open, write beside the target, prove, rename. The target exists only after that."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..compare.checkpoints import compare
from ..errors import Advice, UsageError
from ..formats.companion_kinds import is_replaceable
from ..formats.companions import copy_companion
from ..formats.engines import NATIVE
from ..formats.opening import find_engine, open_written
from ..formats.writers import WRITERS
from ..io.atomic import check_target, partial_file
from ..io.atomic_folder import check_folder_target, partial_folder
from ..io.json_scan import Allowance
from ..io.source import check_path
from ..model.adopt import adopt, drop_tied
from ..progress import ignore_progress
from ..reports.conversion import ConversionReport
from ..reports.summary import Side, sum_up
from ..reports.verification import VerificationError
from ..tensors.casting import CastLoss
from .companions import check_companions, choose_companions, prove_companions
from .digest import digest_tensors, list_digests
from .source import build_source

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager

    from ..checkpoint.canonical import Checkpoint
    from ..formats.companions import Beside
    from ..formats.engines import EngineName
    from ..formats.readers import SourceFormat
    from ..formats.writers import Compression, TargetFormat, Writer
    from ..progress import Progress
    from ..reports.verification import VerificationReport
    from ..tensors.dtype import DTypeName
    from .source import Source


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    format: SourceFormat | None = None,
    step: int | None = None,
    scope: str | None = None,
    drop: Sequence[str] = (),
    n_head: int | None = None,
    dtype: DTypeName | None = None,
    allow_overflow: bool = False,
    engine: EngineName | None = None,
    to: TargetFormat | None = None,
    compress: Compression | None = None,
    digest: bool = False,
    force: bool = False,
    verify: bool = True,
    weights_only: bool = False,
    progress: Progress | None = None,
) -> ConversionReport:
    """Convert the checkpoint at ``source`` into the file or folder ``target``.

    ``to`` is a key of WRITERS; without it the suffix of ``target`` decides. ``compress`` is "gzip",
    for HDF5. ``digest`` adds SHA-256 digests to the report, of the target as it was read back.
    ``force`` allows an existing target to be replaced. ``verify=False`` waives the proof.
    ``weights_only`` leaves the files beside the weights behind, which travel otherwise from folder
    to folder, the tokenizer's for example. The other keywords are those of :func:`.open`
    and say how the source is to be read; with the ``engine`` "tensorflow" the proof re-reads it
    through TensorFlow, so that no mistake of the native reader can be in both. Memory stays within
    some tens of megabytes at any model size.

    Raises:
        TargetExistsError, TargetError: the target may not or cannot be written.
        VerificationError: what was written differs from the source; it was discarded.
        UnsupportedError: the target's format cannot hold what is asked for.
        CastError: a finite value would become infinite.
        Gpt2ConvertError: the source cannot be opened, as open() says, or read to its end. Whatever
            is raised, the target is as it was before.
    """
    named_folder = os.fspath(target).endswith("/")
    into = to or _format_of(os.fspath(target))
    target = check_path(target, "target")
    if into not in WRITERS:
        raise UsageError(f"no such format: {into!r}; there are: {', '.join(WRITERS)}")
    writer = WRITERS[into]
    if named_folder and not writer.folder_of:
        raise UsageError(f"{target}/: names a folder, and {into} is one file")
    if compress is not None and compress not in writer.compressed:
        raise UsageError(f"{writer.title} cannot be compressed with {compress!r} here")
    origin = build_source(
        source,
        format=format,
        step=step,
        scope=scope,
        drop=drop,
        n_head=n_head,
        dtype=dtype,
        allow_overflow=allow_overflow,
        engine=engine,
    )
    witness = None if engine == NATIVE else engine
    if witness and not verify:
        raise UsageError(f"the engine {witness} reads the source for the proof, which is waived")
    watch = progress or ignore_progress
    with (replace(origin, engine=None) if witness else origin).open() as checkpoint:
        if witness:
            find_engine(checkpoint.format, witness, checkpoint.raw.where)  # sooner than at the end
        totals = sum_up(list(checkpoint.values()))
        beside = choose_companions(checkpoint, writer, weights_only=weights_only)
        allowance = Allowance()
        notes = check_companions(beside.companions, checkpoint.config.n_vocab, allowance)
        written = Side(os.fspath(target), into)
        verification = None
        hashes: dict[str, str] | None = None
        names = writer.folder_of | {each.name for each in beside.companions}
        with _partial_target(target, writer, checkpoint, names, force=force) as partial:
            _write(checkpoint, partial, writer, compress, totals.nbytes, watch)
            n_vocab = checkpoint.config.n_vocab
            copied = tuple(
                copy_companion(each, partial, n_vocab, allowance) for each in beside.companions
            )
            if verify:
                hashes = {} if digest else None
                expected = writer.config(checkpoint)
                verification = _prove(origin, partial, written, expected, beside, hashes, watch)
            elif digest:
                with open_written(partial, writer.read_as) as raw:
                    tensors = drop_tied(adopt(raw)).values()
                    hashes = {each.name: each.sha256 for each in digest_tensors(tensors, watch)}
            target_nbytes = _count_bytes(partial)
        return ConversionReport(
            source=Side(checkpoint.raw.where, checkpoint.format),
            target=written,
            target_nbytes=target_nbytes,
            config=checkpoint.config,
            hparams_from=checkpoint.hparams_from,
            totals=totals,
            mapped=tuple((tensor.source_name, name) for name, tensor in checkpoint.items()),
            dropped=checkpoint.dropped,
            notes=(*checkpoint.notes, *notes),
            verification=verification,
            digests=None if hashes is None else list_digests(written, checkpoint, hashes),
            engine=checkpoint.raw.engine,
            companions=copied,
            left=beside.left,
        )


def _format_of(target: str) -> str:
    """Return the format that the end of a target's name asks for."""
    for name, writer in WRITERS.items():
        if target.lower().endswith(writer.suffixes) or (writer.folder_of and os.path.isdir(target)):
            return name
    known = ", ".join(f"{writer.suffixes[0]!r} ({name})" for name, writer in WRITERS.items())
    raise UsageError(
        f"{target}: which format? its name ends with none of {known}",
        Advice("say it with {}", "to"),
    )


def _partial_target(
    target: Path, writer: Writer, checkpoint: Checkpoint, names: Collection[str], *, force: bool
) -> AbstractContextManager[Path]:
    """Return the context that gives the target its name at the end, if it may be written.

    ``names`` are what it will hold where it is a folder.
    """
    sources = [Path(file.path) for file in checkpoint.raw.files if file.nbytes is not None]
    if writer.folder_of:

        def replaceable(name: str) -> bool:
            return name in names or is_replaceable(name)

        final = check_folder_target(target, force=force, sources=sources, replaceable=replaceable)
        return partial_folder(final, force=force, replaceable=replaceable)
    identities = set()
    for source in sources:
        with suppress(FileNotFoundError):  # gone meanwhile, so nothing can replace it
            status = os.stat(source)
            identities.add((status.st_dev, status.st_ino))
    final = check_target(target, force=force, sources=identities)
    return partial_file(final, force=force)


def _write(
    checkpoint: Checkpoint,
    partial: Path,
    writer: Writer,
    compress: str | None,
    total: int,
    progress: Progress,
) -> None:
    done = 0

    def advance(nbytes: int) -> None:
        nonlocal done
        done += nbytes
        progress("writing", done, total)

    progress("writing", 0, total)
    if compress is None:
        writer.write(checkpoint, partial, advance)
    else:
        writer.compressed[compress](checkpoint, partial, advance)


def _count_bytes(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.iterdir())
    return path.stat().st_size


def _prove(
    origin: Source,
    partial: Path,
    target: Side,
    expected_config: Mapping[str, object],
    beside: Beside,
    hashes: dict[str, str] | None,
    progress: Progress,
) -> VerificationReport:
    """Open source and target anew and compare them; ``hashes`` as in :func:`.compare`.

    Raises:
        VerificationError: they differ.
    """
    loss = CastLoss()
    read_as = WRITERS[target.format].read_as
    with origin.open(loss) as afresh, open_written(partial, read_as) as written:
        report = compare(
            afresh,
            written,
            target_side=target,
            expected_config=expected_config,
            hashes=hashes,
            loss=None if origin.dtype is None else loss,
            progress=progress,
        )
    proven, findings = prove_companions(beside.companions, partial)
    report = replace(
        report,
        findings=(*report.findings, *findings),
        companions=tuple(each.name for each in proven),
        # What the target has was written whole and proven, so nothing is left to compare.
        not_compared=(),
    )
    if not report.ok:
        first = report.findings[0]
        raise VerificationError(
            f"{target.path}: what was written differs from {os.fspath(origin.path)} in "
            f"{len(report.findings)} places, first {first.tensor}: {first.message}; "
            "it was discarded",
            report,
        )
    return report
