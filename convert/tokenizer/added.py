"""What a Hugging Face folder states of its tokenizer beside the vocabulary and the merges.

``added_tokens.json`` has tokens with their ids; ``added_tokens_decoder`` in
``tokenizer_config.json`` has ids with their tokens and how each is matched. The roles there and in
``special_tokens_map.json``, ``eos_token`` for example, say which tokens are special. In OpenAI's
folders there is none of these files, and ``<|endoftext|>`` is the one special token.

A token that has a role and no id on disk is left out: programs that load it append it, and a model
has no weights for it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import FormatError
from ..io.strict_json import describe, parse_object
from ..quoting import quote
from .vocabulary import check_vocabulary, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Final

END_OF_TEXT: Final = "<|endoftext|>"
"""GPT-2's one special token, which stands between documents."""
_CONFIG: Final = "tokenizer_config.json"
_ROLES: Final = "special_tokens_map.json"
_ADDED: Final = "added_tokens.json"
_ROLE_NAMES: Final = (
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
    "additional_special_tokens", "extra_special_tokens",
)  # fmt: skip
_TRAITS: Final = ("single_word", "lstrip", "rstrip", "normalized")


@dataclass(frozen=True, slots=True)
class Added:
    """A token that is matched in the text before anything else is.

    ``single_word`` wants no letter beside it; ``lstrip`` and ``rstrip`` take the white space beside
    it along; ``normalized`` ones come after the others.
    """

    content: str
    id: int
    special: bool
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False


@dataclass(frozen=True, slots=True)
class Beside:
    """What is stated beside a vocabulary; ``prefix_space`` goes in front of every text."""

    added: tuple[Added, ...]
    prefix_space: bool


def read_beside(folder: Path, vocabulary: Mapping[str, int]) -> Beside:
    """Return the added tokens, sorted by id, and the settings.

    Raises:
        UnreadableError: a file cannot be read.
        FormatError: a file is damaged, or two statements contradict each other.
    """
    config, roles = _read(folder / _CONFIG), _read(folder / _ROLES)
    found = _read(folder / _ADDED)
    ids = check_vocabulary(found, str(folder / _ADDED)) if found else {}
    traits: dict[str, Mapping[str, object]] = {}
    where = str(folder / _CONFIG)
    for key, node in _expect_object(config.get("added_tokens_decoder"), where).items():
        content, traits[content] = _read_token(node, where)
        if not (key.isascii() and key.isdigit() and len(key) <= 10):
            raise FormatError(f"{where}: {quote(key)} is no id")
        if ids.setdefault(content, int(key)) != int(key):
            raise FormatError(
                f"{where}: {quote(content)} has the id {key}, but {ids[content]:,} in {_ADDED}"
            )
    special = {END_OF_TEXT}
    for statement, name in ((roles, _ROLES), (config, _CONFIG)):
        for role in _ROLE_NAMES:
            listed = statement.get(role)
            if isinstance(listed, dict) and role in _ROLE_NAMES[-2:]:
                listed = list(listed.values())
            for node in listed if isinstance(listed, list) else [listed]:
                if node is not None:
                    content, stated = _read_token(node, str(folder / name))
                    special.add(content)
                    traits.setdefault(content, stated)
    for content, number in ids.items():
        if vocabulary.get(content, number) != number:
            raise FormatError(
                f"{folder}: the id of {quote(content)} is {number:,} among the added tokens, but "
                f"{vocabulary[content]:,} in the vocabulary"
            )
    ids |= {content: vocabulary[content] for content in special if content in vocabulary}
    return Beside(
        tuple(
            _build(content, number, traits.get(content, {}), special=content in special)
            for content, number in sorted(ids.items(), key=lambda item: item[1])
        ),
        prefix_space=config.get("add_prefix_space") is True,
    )


def _read(path: Path) -> dict[str, object]:
    return parse_object(read_text(path), str(path)) if os.path.lexists(path) else {}


def _expect_object(value: object, where: str) -> Mapping[str, object]:
    if value is not None and not isinstance(value, dict):
        raise FormatError(f"{where}: a JSON object of tokens expected, found {describe(value)}")
    return value or {}


def _read_token(node: object, where: str) -> tuple[str, Mapping[str, object]]:
    """Return the text of a token, and what else is stated of it."""
    traits = node if isinstance(node, dict) else {"content": node}
    content = traits.get("content")
    if not isinstance(content, str) or not content:
        raise FormatError(f"{where}: a token expected, found {describe(node)}")
    return content, traits


def _build(content: str, number: int, traits: Mapping[str, object], *, special: bool) -> Added:
    special = special or traits.get("special") is True
    stated = {name: traits[name] is True for name in _TRAITS if name in traits}
    return Added(content, number, special, **{"normalized": not special, **stated})
