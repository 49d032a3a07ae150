"""The JSON documents that reports become, held against the schemas of the package."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING

import jsonschema

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM = {"tool": "gpt2-convert", "version": "0.1.0", "duration": 0.25}
"""What the program adds to the document of a report."""


def validator(name: str) -> jsonschema.Draft202012Validator:
    """Return what holds a document against ``schemas/<name>.schema.json``."""
    text = files("gpt2_convert.schemas").joinpath(f"{name}.schema.json").read_text("utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


def assert_valid(document: Mapping[str, object], name: str) -> None:
    """Whether the document of a report is plain JSON, and with the program's part as described."""
    text = json.dumps({**PROGRAM, **document}, allow_nan=False)
    validator(name).validate(json.loads(text))
