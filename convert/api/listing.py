"""A listing of digests that was printed earlier, read again and compared.

Each line is ``<64 hexadecimal digits>  <what it is of>``: a tensor with its dtype and shape, then
``weights``, ``config {…}`` and ``model``, as :mod:`..reports.digest` says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import FormatError
from ..io.source import check_path, read_small
from ..io.strict_json import parse_object
from ..quoting import clip, quote
from ..reports.verification import Finding, Kind

if TYPE_CHECKING:
    import os
    from typing import Final

    from ..reports.digest import DigestReport

MAX_BYTES: Final = 8 << 20
"""Of a listing: 200 for each of as many tensors as there may be."""
_LINE: Final = re.compile(r"([0-9a-f]{64})  (.+)")
_CONFIG: Final = "config "
_LAST: Final = ("weights", _CONFIG, "model")


def read_listing(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the digest of each thing in the listing at ``path``.

    Raises:
        SourceNotFoundError, UnreadableError: it cannot be read.
        FormatError: it is no such listing, or not a whole one.
    """
    file = check_path(path, "listing")
    try:
        lines = read_small(file, MAX_BYTES).decode("utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError:
        raise FormatError(f"{file}: no listing of digests: it is no text") from None
    listing: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        parts = _LINE.fullmatch(line)
        if parts is None or parts[2] in listing:
            raise FormatError(
                f"{file}: line {number}: 64 hexadecimal digits, two spaces and a new name "
                f"expected, found {quote(line)}"
            )
        listing[parts[2]] = parts[1]
    ends = [name for name in listing if name.startswith(_LAST)][-len(_LAST) :]
    if [name.startswith(last) for name, last in zip(ends, _LAST, strict=False)] != [True] * 3:
        raise FormatError(
            f"{file}: no listing of a model's digests: its last lines should be weights, config "
            "and model"
        )
    return listing


def compare_listing(report: DigestReport, listing: dict[str, str]) -> tuple[Finding, ...]:
    """Return what differs between the listing and what was digested now."""
    now = {name: digest for digest, _, name in (line.partition("  ") for line in report.lines)}
    if now == listing:
        return ()
    findings: list[Finding] = []
    then_config, now_config = _find_config(listing), dict(report.config)
    # Tensors by name alone: one may have another dtype or shape.
    ours = {name.split(" ")[0]: (name, digest) for name, digest in now.items() if _is_tensor(name)}
    theirs = {
        name.split(" ")[0]: (name, digest) for name, digest in listing.items() if _is_tensor(name)
    }
    for name in dict.fromkeys([*theirs, *ours]):
        if name not in ours:
            findings.append(Finding(Kind.MISSING, clip(name), "is in the listing and not here"))
        elif name not in theirs:
            findings.append(Finding(Kind.EXTRA, name, "is not in the listing"))
        elif ours[name] != theirs[name]:
            findings.append(_describe(name, theirs[name], ours[name]))
    for key in dict.fromkeys([*then_config, *now_config]):
        then, found = then_config.get(key), now_config.get(key)
        if then != found:
            text = f"{clip(repr(then))} in the listing, {clip(repr(found))} here"
            findings.append(Finding(Kind.CONFIG, clip(key), text))
    if not findings:
        text = "its digests do not agree with its own lines; it was changed after it was printed"
        findings.append(Finding(Kind.CONFIG, "listing", text))
    return tuple(findings)


def _is_tensor(name: str) -> bool:
    return not name.startswith(_LAST)


def _find_config(listing: dict[str, str]) -> dict[str, object]:
    text = next(name for name in listing if name.startswith(_CONFIG)).removeprefix(_CONFIG)
    return parse_object(text.encode(), "the configuration in the listing")


def _describe(name: str, then: tuple[str, str], now: tuple[str, str]) -> Finding:
    before, after = (each[0].removeprefix(f"{name} ") for each in (then, now))
    if before != after:
        same_shape = before.partition(" ")[2] == after.partition(" ")[2]
        kind = Kind.DTYPE if same_shape else Kind.SHAPE
        return Finding(kind, name, f"{clip(before)} in the listing, {after} here")
    return Finding(Kind.VALUES, name, "its values differ from those of the listing")
