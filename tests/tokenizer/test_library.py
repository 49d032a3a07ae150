"""The tokenizers library: absent, it is told what to install; failing, it fails as this package."""

from __future__ import annotations

import sys

import pytest
import tokenizers

from gpt2_convert.errors import FormatError, UnsupportedError, UsageError
from gpt2_convert.tokenizer.library import failures_as_errors, load_library

INSTALL = "tokenizers is not installed: pip install 'gpt2-convert[tokenizer]'"


def test_the_library_is_the_library() -> None:
    assert load_library() is tokenizers


def test_without_the_library_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UnsupportedError) as caught:
        load_library()
    assert str(caught.value) == INSTALL


def test_what_the_library_raises_becomes_one_line() -> None:
    with pytest.raises(FormatError) as caught, failures_as_errors("a.json"):
        raise Exception("two\nlines\x1b[31m")
    assert str(caught.value) == (r"a.json: the tokenizers library says 'two\nlines\x1b[31m'")
    with pytest.raises(FormatError) as caught, failures_as_errors("a.json"):
        raise TypeError("x" * 10**6)
    assert len(str(caught.value)) < 300


def test_a_panic_of_rust_becomes_an_error() -> None:
    # Its class is made by PyO3 and can be imported from nowhere.
    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
    with pytest.raises(FormatError) as caught, failures_as_errors("a.json"):
        raise panic("index out of bounds: the len is 2 but the index is 7")
    assert str(caught.value) == (
        "a.json: the tokenizers library fails: "
        "'index out of bounds: the len is 2 but the index is 7'"
    )


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(3), MemoryError(), GeneratorExit(), UsageError("no")]
)
def test_what_is_not_the_library_s_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, failures_as_errors("a.json"):
        raise error
    assert caught.value is error
