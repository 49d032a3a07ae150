"""A model on the Hugging Face Hub: which files it is made of, and what the Hub states of each.

``<endpoint>/<owner>/<model>/resolve/<revision>/<file>`` answers, or redirects to a storage, with
what huggingface_hub reads too (file_download.py): ``X-Repo-Commit`` is the commit that the revision
is now; ``X-Linked-Etag`` and ``X-Linked-Size`` are the SHA-256 and the size of a large file; the
``ETag`` of a small one is its git blob's SHA-1. They count only in answers that state the commit,
since a storage has ETags of its own. The first answer pins the commit, and every other file is
asked for at that commit and has to be of it.

HF_ENDPOINT names another Hub, and HF_TOKEN is shown to that server alone.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..checkpoint.raw import RawCheckpoint, RawConfig
from ..errors import (
    ChecksumError,
    FetchError,
    FormatError,
    SourceNotFoundError,
    UsageError,
)
from ..formats.huggingface.folder import MODEL, MODEL_INDEX, PYTORCH_INDEX, PYTORCH_MODEL
from ..formats.safetensors.reader import NAME as FORMAT
from ..formats.safetensors.reader import SUFFIX
from ..formats.safetensors.sharded import parse_index
from ..formats.statements import CONFIG, MAX_CONFIG_BYTES
from ..model.schema import load_family
from ..model.stated import read_stated
from ..quoting import clip, quote, quote_some
from ..reports.fetch import Proof
from .address import parse_site
from .answers import COMMIT
from .content import Known, hash_bytes, parse_digest
from .plan import Plan, Wanted
from .published import load_published

if TYPE_CHECKING:
    from typing import Final

    from .address import Address, Site
    from .client import Answer, Client
    from .content import Digest
    from .names import HubModel

ENDPOINT: Final = "HF_ENDPOINT"
TOKEN: Final = "HF_TOKEN"  # noqa: S105 - the name of the variable
MAX_INDEX_BYTES: Final = 16 << 20
MAX_SHARDS: Final = 1000
_COMMIT: Final = re.compile("[0-9a-f]{40}")
_TOKEN: Final = re.compile(r"[!-~]+")
_WEIGHTS: Final = ((MODEL, MODEL_INDEX, SUFFIX), (PYTORCH_MODEL, PYTORCH_INDEX, ".bin"))
"""The file of weights, the index of shards, and what ends the names of these: the better first."""
_BINARY: Final = (".model", ".bin")
_NOT_FOUND: Final = (404, 410)
_NO_FILE: Final = (None, "EntryNotFound")
"""What X-Error-Code says of a file; of a model or a revision it says something else."""
_OK: Final = 200
_REDIRECTS: Final = range(301, 309)


@dataclass(frozen=True, slots=True)
class _Stated:
    """What a Hub states of a file; None for what it does not."""

    commit: str | None = None
    digest: Digest | None = None
    nbytes: int | None = None


def find_hub(model: HubModel) -> Site:
    """Return the Hub that the environment names.

    Raises:
        UsageError: it makes no sense, or the token would be for anyone to read on the way.
    """
    endpoint = os.environ.get(ENDPOINT, "").strip() or load_published().hub.address
    token = os.environ.get(TOKEN, "").strip()
    site = parse_site(endpoint, ENDPOINT)
    if token and site.authorization:
        raise UsageError(
            f"{ENDPOINT} has a name and password, and {TOKEN} is set: unset one of the two"
        )
    if token and not _TOKEN.fullmatch(token):
        raise UsageError(f"{TOKEN}: holds a character that no token has")
    if token and site.address.scheme == "http" and not site.address.is_loopback:
        raise UsageError(
            f"{ENDPOINT} is {site.address}, to which {TOKEN} would travel for anyone to read; use "
            f"https, or unset {TOKEN}"
        )
    denied = (
        f"{TOKEN} may not read {model.name}: accept its terms on its page, or use another token"
        if token
        else f"{model.name} does not exist, or is private or gated: check the name, or set {TOKEN}"
    )
    return replace(
        site,
        authorization=f"Bearer {token}" if token else site.authorization,
        missing=f"check {model.name} and its revision {quote(model.revision)}",
        denied=denied,
    )


def plan_hub(client: Client, model: HubModel) -> Plan:
    """Ask the Hub of which files a model is made, and what each is.

    Raises:
        SourceNotFoundError: there is no such model, revision or file of weights.
        FetchError: the Hub cannot be reached, does not give it, or states nothing to prove it by.
        FormatError, UnsupportedError: it is no GPT-2, by its config.json, or its index is damaged.
    """
    home = client.site.address.below(*model.name.split("/"))
    first = home.below("resolve", model.revision, CONFIG)
    stated = _ask(client, first)
    if stated is None:
        raise SourceNotFoundError(
            f"{first}: 404 Not Found: every model of transformers has it; {client.site.missing}"
        )
    asked = model.revision if _COMMIT.fullmatch(model.revision) else None
    commit = stated.commit or asked or ""
    if not _COMMIT.fullmatch(commit):
        raise FetchError(
            f"{first}: states no commit (X-Repo-Commit), so it is no Hugging Face Hub; check "
            f"{ENDPOINT}"
        )
    if asked not in (None, commit):
        raise FetchError(f"{first}: is of the commit {commit}, where {asked} was asked for")
    repository = _Repository(client, model.name, commit, home.below("resolve", commit))
    config = repository.want(CONFIG, stated)
    _refuse_other_models(client, config)
    weights = _find_weights(client, repository)
    beside = [repository.find(name) for name in load_published().hub.files]
    wanted = (config, *(each for each in beside if each is not None), *weights)
    return Plan(model.name, client.site, home, FORMAT, wanted, commit)


@dataclass(frozen=True, slots=True)
class _Repository:
    """A repository at a commit; its files are at ``place``."""

    client: Client
    name: str
    commit: str
    place: Address

    def find(self, file: str) -> Wanted | None:
        """Return what the Hub states of a file; None if there is none of that name.

        Raises:
            FetchError, FormatError: it states nothing to prove the file by, or another commit.
        """
        stated = _ask(self.client, self.place.below(file))
        return None if stated is None else self.want(file, stated)

    def want(self, file: str, stated: _Stated) -> Wanted:
        """Return the file by what the Hub states of it, and what is published here."""
        address = self.place.below(file)
        if stated.commit not in (None, self.commit):
            raise FetchError(
                f"{address}: is of the commit {clip(stated.commit)}, and other files of "
                f"{self.commit}; try again"
            )
        if stated.digest is None:
            raise FetchError(
                f"{address}: states neither the SHA-256 nor git's SHA-1 of the file, so nothing "
                f"could prove it; check {ENDPOINT}"
            )
        known = Known(stated.nbytes, stated.digest)
        published = load_published().hub.known.get((self.name, self.commit, file))
        if published is not None:
            if stated.digest != published.digest:
                raise FormatError(
                    f"{address}: has {stated.digest}, where {published.digest} is published; check "
                    f"{ENDPOINT}"
                )
            known = published
        binary = file.endswith((SUFFIX, *_BINARY))
        proof = Proof.STATED if published is None else Proof.PUBLISHED
        return Wanted(file, address, known, proof, binary, self.commit)


def _ask(client: Client, address: Address) -> _Stated | None:
    """Return what the Hub states of a file; None if it has no such file.

    Raises:
        FetchError: it does not give it.
    """
    answer = client.describe(address, across=False)
    if answer.status in _REDIRECTS and _read(answer, client.site).digest is None:
        # To another Hub, as mirrors do, and not to a storage.
        answer = client.describe(address)
    if answer.status in _NOT_FOUND and answer.headers.get("X-Error-Code") in _NO_FILE:
        return None
    if answer.status != _OK and answer.status not in _REDIRECTS:
        raise client.refuse(answer)
    return _read(answer, client.site)


def _read(answer: Answer, site: Site) -> _Stated:
    """Read the headers of those answers that a Hub gave, and no storage."""
    commit = digest = nbytes = None
    for step in answer.steps:
        headers = step.headers
        if COMMIT not in headers and step.address.origin != site.address.origin:
            continue
        commit = commit or headers.get(COMMIT)
        size = headers.get("X-Linked-Size", "")
        linked = parse_digest(headers.get("X-Linked-Etag"))
        if step.status == _OK:  # a redirect has a length and a tag of its own
            size = size or headers.get("Content-Length", "")
            linked = linked or digest or parse_digest(headers.get("ETag"))
        digest = linked or digest
        nbytes = int(size) if size.isascii() and size.isdigit() else nbytes
    return _Stated(commit, digest, nbytes)


def _refuse_other_models(client: Client, config: Wanted) -> None:
    """Look at config.json, so that half a gigabyte of another model is not fetched in vain.

    Raises:
        UnsupportedError, FormatError: it is no GPT-2's.
    """
    place = str(config.address)
    text = _read_whole(client, config, MAX_CONFIG_BYTES)
    read_stated(RawCheckpoint(FORMAT, place, (), (), (), (RawConfig(place, text),)), load_family())


def _find_weights(client: Client, repository: _Repository) -> list[Wanted]:
    """Return the file of weights, or the index of the shards and them all."""
    for model, index, suffix in _WEIGHTS:
        if (found := repository.find(model)) is not None:
            return [found]
        if (found := repository.find(index)) is not None:
            return [found, *_find_shards(client, repository, found, suffix)]
    names = quote_some([name for model, index, _ in _WEIGHTS for name in (model, index)])
    raise SourceNotFoundError(f"{repository.place}: has none of {names}; {client.site.missing}")


def _find_shards(
    client: Client, repository: _Repository, index: Wanted, suffix: str
) -> list[Wanted]:
    """Return the shards that an index names, in files whose names end with ``suffix``."""
    text = _read_whole(client, index, MAX_INDEX_BYTES)
    names = sorted(set(parse_index(text, str(index.address)).values()))
    if len(names) > MAX_SHARDS:
        raise FormatError(
            f"{index.address}: names {len(names):,} shards, where the largest GPT-2 has a dozen"
        )
    shards: list[Wanted] = []
    for name in names:
        if name.startswith(".") or not name.endswith(suffix):
            raise FormatError(f"{index.address}: {quote(name)}: a {suffix} file expected")
        shard = repository.find(name)
        if shard is None:
            raise SourceNotFoundError(
                f"{repository.place.below(name)}: 404 Not Found, and {index.name} names it; "
                f"{client.site.missing}"
            )
        shards.append(shard)
    return shards


def _read_whole(client: Client, wanted: Wanted, most: int) -> bytes:
    from .transfer import read_whole

    text = read_whole(client, wanted, most)
    digest = wanted.known.digest
    if digest is not None and (found := hash_bytes(text, digest.kind)) != digest:
        raise ChecksumError(f"{wanted.address}: {found}, where {digest} is stated; fetch it again")
    return text
