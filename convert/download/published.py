"""Where GPT-2 is published, and what is known of the files: ``schemas/published.toml``, read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from .content import SHA256, Digest, Known

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


@dataclass(frozen=True, slots=True)
class OpenAI:
    """OpenAI's storage: its files in the order in which they are fetched, and its models.

    ``renamed`` are the older names of models; ``known`` is what is known of a model's files.
    """

    address: str
    files: tuple[str, ...]
    renamed: Mapping[str, str]
    known: Mapping[str, Mapping[str, Known]]


@dataclass(frozen=True, slots=True)
class Hub:
    """The Hugging Face Hub: what is fetched where a repository has it.

    ``owned`` are the whole names of models that people name without their owner; ``known`` is what
    is known of a file, by repository, commit and name.
    """

    address: str
    files: tuple[str, ...]
    owned: Mapping[str, str]
    known: Mapping[tuple[str, str, str], Known]


@dataclass(frozen=True, slots=True)
class Published:
    """Both of them."""

    openai: OpenAI
    hub: Hub


@cache
def load_published() -> Published:
    """Return what ``schemas/published.toml`` says."""
    from importlib.resources import files

    file = "published.toml"
    text = files("gpt2_convert.schemas").joinpath(file).read_text(encoding="utf-8")
    return parse_published(text, file)


def parse_published(text: str, where: str) -> Published:
    """Read the data.

    Raises:
        ValueError: an unknown key, a digest that is none, a model or a file that is not listed.
    """
    import tomllib

    data = tomllib.loads(text)
    _expect_keys(data, {"openai", "hub"}, where)
    return Published(
        _parse_openai(data["openai"], f"{where}: openai"), _parse_hub(data["hub"], f"{where}: hub")
    )


def _parse_openai(data: Mapping[str, Any], place: str) -> OpenAI:
    _expect_keys(data, {"address", "files", "models", "renamed", "all", "known"}, place)
    models, names = data["models"], data["files"]
    for old, new in data["renamed"].items():
        if new not in models or old in models:
            raise ValueError(f"{place}: renamed.{old}: {new!r} is no model, or {old!r} is one")
    _expect_keys(data["known"], set(), f"{place}: known", optional=set(models))
    known = {}
    for model in models:
        entries = {**data["all"], **data["known"].get(model, {})}
        _expect_keys(entries, set(), f"{place}: known.{model}", optional=set(names))
        known[model] = {
            name: _parse_known(entries.get(name, {}), f"{place}: known.{model}.{name}")
            for name in names
        }
    return OpenAI(data["address"], tuple(names), data["renamed"], known)


def _parse_hub(data: Mapping[str, Any], place: str) -> Hub:
    _expect_keys(data, {"address", "files", "owned", "known"}, place)
    known = {}
    for entry in data["known"]:
        key = {"repository", "commit", "file"}
        _expect_keys(entry, key, f"{place}: known", optional={"bytes", "sha256"})
        facts = {name: value for name, value in entry.items() if name not in key}
        known[entry["repository"], entry["commit"], entry["file"]] = _parse_known(facts, place)
    return Hub(data["address"], tuple(data["files"]), data["owned"], known)


def _parse_known(entry: Mapping[str, Any], place: str) -> Known:
    _expect_keys(entry, set(), place, optional={"bytes", "sha256"})
    sha256 = entry.get("sha256")
    if sha256 is not None and (len(sha256) != 64 or set(sha256) - set("0123456789abcdef")):
        raise ValueError(f"{place}: {sha256!r} is no SHA-256")
    return Known(entry.get("bytes"), Digest(SHA256, sha256) if sha256 else None)


def _expect_keys(
    found: Mapping[str, Any], required: set[str], place: str, *, optional: set[str] | None = None
) -> None:
    missing, unknown = required - found.keys(), found.keys() - required - (optional or set())
    if missing or unknown:
        raise ValueError(f"{place}: missing {sorted(missing)}, unknown {sorted(unknown)}")
