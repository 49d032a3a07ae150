"""Errors: each is a kind of the standard library's too, speaks in two voices, and can travel."""

from __future__ import annotations

import copy
import errno
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

import pytest

import gpt2_convert
from gpt2_convert import errors
from gpt2_convert.cli.printer import spell_flag
from gpt2_convert.errors import Advice, Gpt2ConvertError, Problem, SchemaError
from gpt2_convert.reports.findings import Finding, Kind
from gpt2_convert.reports.summary import Side, Totals
from gpt2_convert.reports.verification import VerificationError, VerificationReport
from gpt2_convert.tensors.loss import CastLoss, TensorLoss

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: dict[str, type[Exception]] = {
    "UsageError": ValueError,
    "SourceNotFoundError": FileNotFoundError,
    "UnreadableError": OSError,
    "FetchError": ConnectionError,
    "FormatError": ValueError,
    "ChecksumError": ValueError,
    "UnsupportedError": ValueError,
    "CastError": ValueError,
    "ComputationError": ArithmeticError,
    "SchemaError": ValueError,
    "TargetError": OSError,
    "TargetExistsError": FileExistsError,
    "VerificationError": ValueError,
}
"""Every error, and what a caller who does not know this package would expect it to be."""

REPORT = VerificationReport(
    source=Side("a.npz", "npz"),
    target=Side("b.h5", "hdf5"),
    totals=Totals(1, 32, 128, "float32"),
    findings=(
        Finding(Kind.VALUES, "wte", "1 of 32 elements differ", 1, 32, 0.5, (3,), "transposed"),
        Finding(Kind.EXTRA, "x", "not in the source", advice=Advice("{} ignores it", "drop", "x")),
    ),
    loss=CastLoss({"wte": TensorLoss(0.25, 0.5, 1, 2)}),
    notes=("read from the scope policy/",),
)
PROBLEMS = (
    Problem("'x' is unknown", Advice("{} leaves it out", "drop", "*/x")),
    Problem("'y' is missing"),
    Problem("holds 2 models", Advice("choose one with {}", "scope")),
)

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)
"""Those that know classes with slots."""


def make(name: str) -> Gpt2ConvertError:
    """Return an error of that class with all that it can carry."""
    if name == "SchemaError":
        return SchemaError("a.npz", PROBLEMS)
    if name == "VerificationError":
        return VerificationError("b.h5: differs", REPORT)
    kind = getattr(gpt2_convert, name)
    error = kind("a.npz: wrong", Advice("{} helps", "force", True))
    assert isinstance(error, Gpt2ConvertError)
    return error


def raise_anew(name: str) -> None:
    raise make(name)


def assert_same(found: BaseException, error: Gpt2ConvertError) -> None:
    assert type(found) is type(error)
    assert isinstance(found, Gpt2ConvertError)
    assert (str(found), repr(found), found.args) == (str(error), repr(error), error.args)
    assert found.advice == error.advice
    assert found.spell(spell_flag) == error.spell(spell_flag)
    if isinstance(error, SchemaError):
        assert isinstance(found, SchemaError)
        assert (found.disagreements, found.problems) == (error.disagreements, error.problems)
    if isinstance(error, VerificationError):
        assert isinstance(found, VerificationError)
        assert found.report == error.report


def test_every_public_error_is_listed_here() -> None:
    public = {
        name
        for name in gpt2_convert.__all__
        if isinstance(getattr(gpt2_convert, name), type)
        and issubclass(getattr(gpt2_convert, name), BaseException)
    }
    assert public == {*KINDS, "Gpt2ConvertError"}
    assert {name for name in vars(errors) if name.endswith("Error")} <= public


@pytest.mark.parametrize("name", KINDS)
def test_an_error_is_caught_by_whoever_knows_the_standard_library_alone(name: str) -> None:
    with pytest.raises(KINDS[name]) as caught:
        raise_anew(name)
    assert isinstance(caught.value, Gpt2ConvertError)


@pytest.mark.parametrize("name", [*KINDS, "Gpt2ConvertError"])
@pytest.mark.parametrize(
    "way",
    [
        copy.copy,
        copy.deepcopy,
        *(
            lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol))  # noqa: S301
            for protocol in PROTOCOLS
        ),
    ],
    ids=["copy", "deepcopy", *(f"pickle {number}" for number in PROTOCOLS)],
)
def test_an_error_can_be_pickled_and_copied(
    way: Callable[[Gpt2ConvertError], BaseException], name: str
) -> None:
    error = make(name)
    error.add_note("while two models were converted")
    found = way(error)
    assert_same(found, error)
    assert found.__notes__ == ["while two models were converted"]


def test_an_error_of_another_process_arrives_whole() -> None:
    # Not forked: the threads of NumPy do not survive that.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        for name in ("SchemaError", "VerificationError", "TargetExistsError"):
            error = pool.submit(raise_anew, name).exception(60)
            assert error is not None
            assert_same(error, make(name))


@pytest.mark.parametrize(
    ("option", "value", "keyword", "flag"),
    [
        ("step", None, "step=...", "--step"),
        ("n_head", None, "n_head=...", "--n-head"),
        ("force", True, "force=True", "--force"),
        ("verify", False, "verify=False", "--no-verify"),
        ("allow_overflow", True, "allow_overflow=True", "--allow-overflow"),
        ("drop", "*/m", "drop='*/m'", "--drop '*/m'"),
        ("drop", "it's", 'drop="it\'s"', "--drop 'it'\"'\"'s'"),
        ("scope", "policy/", "scope='policy/'", "--scope policy/"),
        ("engine", "tensorflow", "engine='tensorflow'", "--engine tensorflow"),
        ("n_head", 12, "n_head=12", "--n-head 12"),
    ],
)
def test_advice_names_the_option_as_its_reader_would_write_it(
    option: str, value: object, keyword: str, flag: str
) -> None:
    error = errors.UsageError("a.npz: wrong", Advice("with {} it would do", option, value))
    assert str(error) == f"a.npz: wrong; with {keyword} it would do"
    assert error.spell(spell_flag) == f"a.npz: wrong; with {flag} it would do"
    assert (error.advice and error.advice.option, error.advice and error.advice.value) == (
        option,
        value,
    )


def test_braces_of_a_value_are_not_filled_in() -> None:
    advice = Advice("{} leaves it out", "drop", "{}/{0}")
    assert advice.spell(spell_flag) == "--drop '{}/{0}' leaves it out"


def test_without_advice_both_voices_say_the_same() -> None:
    error = errors.TargetError("out.npz: is a folder; {} is no placeholder here")
    assert error.advice is None
    assert str(error) == error.spell(spell_flag)
    assert str(error) == "out.npz: is a folder; {} is no placeholder here"


def test_a_schema_error_says_its_first_problem_and_counts_the_others() -> None:
    error = SchemaError("a.npz", PROBLEMS)
    assert str(error) == "a.npz: 'x' is unknown; drop='*/x' leaves it out (and 2 more)"
    assert error.spell(spell_flag) == (
        "a.npz: 'x' is unknown; --drop '*/x' leaves it out (and 2 more)"
    )
    assert error.advice == PROBLEMS[0].advice
    assert error.problems == (
        "'x' is unknown; drop='*/x' leaves it out",
        "'y' is missing",
        "holds 2 models; choose one with scope=...",
    )
    assert [problem.spell(spell_flag) for problem in error.disagreements] == [
        "'x' is unknown; --drop '*/x' leaves it out",
        "'y' is missing",
        "holds 2 models; choose one with --scope",
    ]


def test_a_schema_error_of_one_problem_counts_nothing() -> None:
    error = SchemaError("a.npz", PROBLEMS[1:2])
    assert str(error) == error.spell(spell_flag) == "a.npz: 'y' is missing"
    assert error.advice is None


def test_an_os_error_of_ours_has_no_number_that_could_be_taken_for_the_system_s() -> None:
    error = errors.UnreadableError("a.npz: permission denied")
    assert error.errno is None
    assert error.errno != errno.EACCES
    assert error.filename is None
