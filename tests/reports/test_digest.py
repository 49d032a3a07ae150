"""Digests: the whole is the SHA-256 of the lines that sha256sum would be given."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from support.documents import assert_valid
from support.reports import DIGESTS, SOURCE

LINES = (
    f"{'0' * 64}  wte float32 [2, 3]\n"
    f"{'f' * 63}1  ln_f.g bfloat16 [2]\n"
    f"{'a' * 64}  scalar float16 []\n"
)


def test_the_whole_is_taken_over_the_lines() -> None:
    assert "".join(f"{tensor.line}\n" for tensor in DIGESTS.tensors) == LINES
    assert DIGESTS.sha256 == hashlib.sha256(LINES.encode()).hexdigest()


def test_the_order_counts_and_what_read_it_does_not() -> None:
    turned = replace(DIGESTS, tensors=DIGESTS.tensors[::-1])
    assert turned.sha256 != DIGESTS.sha256
    assert replace(DIGESTS, engine="native", notes=()).sha256 == DIGESTS.sha256


def test_of_no_tensors_it_is_the_digest_of_nothing() -> None:
    # As sha256sum prints it for /dev/null.
    assert replace(DIGESTS, tensors=()).sha256 == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


def test_the_document_has_it_all() -> None:
    document = DIGESTS.as_json()
    assert_valid(document, "report")
    assert document == {
        "kind": "digest",
        "ok": True,
        "findings": [],
        "path": SOURCE.path,
        "format": "tensorflow",
        "engine": "TensorFlow 2.16.1",
        "notes": ["a note"],
        "sha256": hashlib.sha256(LINES.encode()).hexdigest(),
        "tensors": [
            {"name": "wte", "dtype": "float32", "shape": [2, 3], "sha256": "0" * 64},
            {"name": "ln_f.g", "dtype": "bfloat16", "shape": [2], "sha256": "f" * 63 + "1"},
            {"name": "scalar", "dtype": "float16", "shape": [], "sha256": "a" * 64},
        ],
    }
