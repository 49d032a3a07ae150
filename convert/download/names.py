"""What a NAME means: one of OpenAI's models, or OWNER/MODEL[@REVISION] on the Hugging Face Hub.

What is neither is refused for what it is: a path, an address, an older name, a name without its
owner. Nothing is asked for on a guess.
"""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..quoting import quote
from .published import load_published

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

DEFAULT_REVISION: Final = "main"
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_MAX_REPOSITORY: Final = 96
"""Characters; the Hub's own limit, as is what a name may hold."""
_REVISION: Final = re.compile(r"[^\s~^:?*\[\\\x00-\x1f\x7f]{1,255}")
"""What git takes for the name of a branch, a tag or a commit (git-check-ref-format)."""


@dataclass(frozen=True, slots=True)
class OpenAIModel:
    """One of OpenAI's models, by the number of its parameters."""

    name: str


@dataclass(frozen=True, slots=True)
class HubModel:
    """A repository of the Hub, and the branch, tag or commit of it that is meant."""

    name: str
    revision: str = DEFAULT_REVISION


def parse_name(name: str) -> OpenAIModel | HubModel:
    """Return what ``name`` means.

    Raises:
        UsageError: nothing that can be fetched.
    """
    published = load_published()
    models = published.openai.known
    if name in models:
        return OpenAIModel(name)
    if name in published.openai.renamed:
        new = published.openai.renamed[name]
        raise UsageError(f"{name}: an older name of {new}, which is to be fetched as {new}")
    if name in published.hub.owned:
        raise UsageError(
            f"{name}: a model of the Hugging Face Hub is named with its owner: "
            f"{published.hub.owned[name]}"
        )
    if "://" in name:
        raise UsageError(
            "the name of a model expected, found an address; a mirror of OpenAI's files is named "
            "with the option, another Hub with HF_ENDPOINT"
        )
    repository, at, revision = name.partition("@")
    last = repository.rpartition("/")[2]
    if repository != last and last in models:
        raise UsageError(
            f"{quote(name)}: a path; name the model first, {last}, and then the folder"
        )
    if name.startswith((".", "/", "~")) or name.endswith("/") or os.path.exists(name):
        raise UsageError(
            f"{quote(name)}: a path; name the model first, and then the folder; {_describe(models)}"
        )
    if "/" not in repository:
        close = difflib.get_close_matches(
            name.upper(), [*models, *published.openai.renamed], 1, cutoff=0.7
        )
        meant = [published.openai.renamed.get(each, each) for each in close]
        hint = f"did you mean {meant[0]}?" if meant else _describe(models)
        raise UsageError(f"{quote(name)}: no such model; {hint}")
    if (
        not _REPOSITORY.fullmatch(repository)
        or len(repository) > _MAX_REPOSITORY
        or ".." in repository
        or "--" in repository
    ):
        raise UsageError(
            f"{quote(name)}: no name of a model on the Hugging Face Hub, which is OWNER/MODEL in "
            "letters, digits, '-', '_' and '.'"
        )
    if not at:
        return HubModel(repository)
    if not _REVISION.fullmatch(revision) or ".." in revision or revision.startswith(("/", "-")):
        raise UsageError(f"{quote(name)}: {quote(revision)} is no branch, tag or commit")
    return HubModel(repository, revision)


def _describe(models: Iterable[str]) -> str:
    return f"there are {', '.join(models)}, and OWNER/MODEL[@REVISION] of the Hugging Face Hub"
