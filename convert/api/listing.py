"""A listing of digests that was printed earlier, read again and compared.

Each line is ``<64 hexadecimal digits>  <what it is of>``: a tensor with its dtype and shape, then
``weights``, ``config {…}`` and ``model``, or ``weights`` alone where a checkpoint was taken as it
is, as :mod:`..reports.digest` says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import Advice, FormatError
from ..io.source import check_path, read_small
from ..io.strict_json import parse_object
from ..quoting import clip, quote
from ..reports.findings import Finding, Kind

if TYPE_CHECKING:
    import os
    from typing import Final

    from ..reports.digest import DigestReport

MAX_BYTES: Final = 8 << 20
"""Of a listing: 200 for each of as many tensors as there may be."""
_LINE: Final = re.compile(r"([0-9a-f]{64})  (.+)")
_TENSOR: Final = re.compile(r"(.*) (\w+ \[[0-9, ]*\])")
"""What a line is of: a name, which may have spaces in it, and dtype and shape."""
_CONFIG: Final = "config "
_LAST: Final = ("weights", _CONFIG, "model")


def read_listing(path: str | os.PathLike[str], *, as_is: bool = False) -> dict[str, str]:
    """Return the digest of each thing in the listing at ``path``.

    ``as_is`` says that it is of a checkpoint that was taken as it is, and not of a model.

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
    ends = [name for name in listing if not _is_tensor(name)]
    if len(ends) == 1 and ends[0] == _LAST[0] and not as_is:
        raise FormatError(
            f"{file}: a listing of a checkpoint that was taken as it is",
            Advice("digest it with {}", "as_is", True),
        )
    if as_is:
        if ends != [_LAST[0]]:
            raise FormatError(
                f"{file}: no listing of the digests of what is taken as it is: its last line "
                "should be weights, and all others be of tensors"
            )
    elif len(ends) != len(_LAST) or not all(map(str.startswith, ends, _LAST)):
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
    then_config = {} if report.as_is else _find_config(listing)
    now_config = dict(report.config)
    ours, theirs = _list_tensors(now), _list_tensors(listing)
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
    return _TENSOR.fullmatch(name) is not None


def _list_tensors(listing: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Return dtype with shape, and digest, of each tensor by its name, which others may be of."""
    return {
        parts[1]: (parts[2], digest)
        for name, digest in listing.items()
        if (parts := _TENSOR.fullmatch(name))
    }


def _find_config(listing: dict[str, str]) -> dict[str, object]:
    text = next(name for name in listing if name.startswith(_CONFIG)).removeprefix(_CONFIG)
    return parse_object(text.encode(), "the configuration in the listing")


def _describe(name: str, then: tuple[str, str], now: tuple[str, str]) -> Finding:
    before, after = then[0], now[0]
    if before != after:
        same_shape = before.partition(" ")[2] == after.partition(" ")[2]
        kind = Kind.DTYPE if same_shape else Kind.SHAPE
        return Finding(kind, name, f"{clip(before)} in the listing, {after} here")
    return Finding(Kind.VALUES, name, "its values differ from those of the listing")
