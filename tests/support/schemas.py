"""The package's own schemas of what --json prints, as jsonschema checks them."""

from __future__ import annotations

import json
from importlib.resources import files

import jsonschema


def validator(name: str) -> jsonschema.Draft202012Validator:
    text = files("gpt2_convert.schemas").joinpath(f"{name}.schema.json").read_text()
    return jsonschema.Draft202012Validator(json.loads(text))
