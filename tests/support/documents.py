"""The JSON documents that reports become, held against the schemas of the package."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING

import jsonschema

if TYPE_CHECKING:
    from collections.abc import Mapping


def validator(name: str) -> jsonschema.Draft202012Validator:
    """Return what holds a document against ``schemas/<name>.schema.json``."""
    text = files("gpt2_convert.schemas").joinpath(f"{name}.schema.json").read_text("utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


def assert_valid(document: Mapping[str, object], name: str) -> None:
    """Whether a document is plain JSON, and the schema describes it."""
    text = json.dumps(document, allow_nan=False)
    validator(name).validate(json.loads(text))
