"""What came of a job: its report, or the error that ended it, with the program and the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..errors import Gpt2ConvertError, SchemaError, spell_keyword

if TYPE_CHECKING:
    from typing import Final

    from ..errors import Advice, Spell
    from .summary import Json
    from .sums import WrittenFile

TOOL: Final = "gpt2-convert"


class Report(Protocol):
    """Any report."""

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against what the report is of."""

    def as_json(self, spell: Spell = ...) -> Json:
        """Return its document."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error in words: its kind and text, all that speaks against a model, what would help."""

    kind: str
    message: str
    problems: tuple[str, ...] = ()
    advice: Advice | None = None

    def as_json(self) -> Json:
        """Return the document; schemas/report.schema.json describes it."""
        return {
            "kind": "error",
            "ok": False,
            "findings": [],
            "error": {
                "type": self.kind,
                "message": self.message,
                "problems": list(self.problems),
                "option": self.advice.option if self.advice else None,
                "value": self.advice.value if self.advice else None,
            },
        }


def describe_error(error: Gpt2ConvertError, spell: Spell = spell_keyword) -> Failure:
    """Put an error of this package into words."""
    problems = error.disagreements if isinstance(error, SchemaError) else ()
    spelled = tuple(problem.spell(spell) for problem in problems)
    return Failure(type(error).__name__, error.spell(spell), spelled, error.advice)


def list_written(report: Report | None) -> tuple[WrittenFile, ...]:
    """Return the files of which sums were taken; none of a job that writes no model."""
    written: tuple[WrittenFile, ...] = getattr(report, "written", ())
    return written


@dataclass(frozen=True, slots=True)
class Outcome:
    """A job that has ended.

    ``command`` is its name, ``version`` that of this package, ``seconds`` how long it took. There
    is a ``report`` unless an error ended the job; of a failed proof there are both, of an
    inspection that found what would stop any conversion, too.
    """

    command: str
    version: str
    seconds: float
    report: Report | None = None
    failure: Failure | None = None

    @property
    def written(self) -> tuple[WrittenFile, ...]:
        """The files of which sums were taken, if the job writes any."""
        return list_written(self.report)

    @property
    def ok(self) -> bool:
        """Whether the job was done, and nothing speaks against its result."""
        return self.failure is None and self.report is not None and self.report.ok

    def as_json(self, spell: Spell = spell_keyword) -> Json:
        """Return the document of the report, or else of the error, with program and duration."""
        told = None if self.report is None else self.report.as_json(spell)
        if told is None:
            told = (self.failure or Failure("InternalError", "nothing was reported")).as_json()
        made: Json = {"kind": told.pop("kind"), "ok": told.pop("ok")}
        made |= {"tool": TOOL, "version": self.version, "duration": round(self.seconds, 3)}
        return {**made, **told}
