"""Every way in which a job can fail, one class a kind.

Each class is also the standard library's kind that a caller would expect, so that
``except FileNotFoundError`` works without knowing this package::

    Gpt2ConvertError
    ├── UsageError           (ValueError)         the arguments make no sense together
    ├── SourceNotFoundError  (FileNotFoundError)  nothing to read at that path
    ├── UnreadableError      (OSError)            the operating system will not let it be read
    ├── FetchError           (ConnectionError)    a server, or the way to it, will not give it
    ├── FormatError          (ValueError)         the bytes break the rules of their own format
    │   └── ChecksumError                         … by not matching the checksum stored beside them
    ├── UnsupportedError     (ValueError)         legal, but this tool does not handle it
    ├── CastError            (ValueError)         a number does not fit the type it is cast to
    ├── ComputationError     (ArithmeticError)    a model's output is not made of finite numbers
    ├── SchemaError          (ValueError)         readable, but not the model it should be
    ├── TargetError          (OSError)            the target cannot be written
    │   └── TargetExistsError (FileExistsError)   … because something is there already
    └── VerificationError    (ValueError)         target and source differ; carries the report

The last one is defined beside the report that it carries (:mod:`.reports.verification`).

A message is one line: where, what, expected and found, what to do. Where an option of the verbs
would help, the advice names it in the voice of whoever reads it: ``str(error)`` says ``force=True``
to a Python program, and the command line spells a flag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Spell: TypeAlias = Callable[[str, object], str]
    """How a voice names an option with a value; None stands for one that the reader chooses."""


def spell_keyword(option: str, value: object) -> str:
    """Name an option as Python programs do: ``force=True``, ``step=...``."""
    return f"{option}={'...' if value is None else repr(value)}"


@dataclass(frozen=True, slots=True)
class Advice:
    """An option that would help: ``text`` is a clause in which ``{}`` stands for its name.

    ``option`` is the keyword of the verbs; ``value`` is what it would be set to, None where that is
    for the reader to choose.
    """

    text: str
    option: str
    value: object = None

    def spell(self, spell: Spell) -> str:
        """Return the clause in that voice."""
        return self.text.replace("{}", spell(self.option, self.value), 1)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that speaks against a checkpoint, and what would help."""

    text: str
    advice: Advice | None = None

    def spell(self, spell: Spell) -> str:
        """Return the sentence in that voice."""
        return self.text if self.advice is None else f"{self.text}; {self.advice.spell(spell)}"

    def __str__(self) -> str:
        return self.spell(spell_keyword)


class Gpt2ConvertError(Exception):
    """The base of all errors that this package raises on purpose.

    ``advice`` is the option that would help, if one would.
    """

    def __init__(self, message: str, advice: Advice | None = None) -> None:
        self._told = Problem(message, advice)
        super().__init__(str(self._told))

    @property
    def advice(self) -> Advice | None:
        """The option that would help; None where none would."""
        return self._told.advice

    def spell(self, spell: Spell) -> str:
        """Return the message in that voice, with what was noted of its consequences."""
        return "; ".join((self._told.spell(spell), *getattr(self, "__notes__", ())))

    def replace(self, old: str, new: str) -> None:
        """Have the message say ``new`` where it says ``old``."""
        self._told = Problem(self._told.text.replace(old, new), self._told.advice)
        self.args = (self.spell(spell_keyword),)

    def __reduce__(self) -> tuple[object, ...]:
        # An exception is pickled as a call of its class with args, the message alone. Where that
        # fails, as it would for classes that are made of more, a pool of processes hangs.
        return _remake, (type(self),), {**vars(self), "args": self.args}


def _remake(kind: type[Gpt2ConvertError]) -> Gpt2ConvertError:
    """Return an error of that class; what it says is still to come."""
    return kind.__new__(kind)


class UsageError(Gpt2ConvertError, ValueError):
    """The arguments make no sense together."""


class SourceNotFoundError(Gpt2ConvertError, FileNotFoundError):
    """There is nothing to read at the path, or one of its files is missing."""


class UnreadableError(Gpt2ConvertError, OSError):
    """The operating system refuses to open or read a file."""


class FetchError(Gpt2ConvertError, ConnectionError):
    """A server, or the way to it, will not give a file: refused, broken, stalled or misleading."""


class FormatError(Gpt2ConvertError, ValueError):
    """The bytes break the rules of their own format: corrupt, truncated or hostile."""


class ChecksumError(FormatError):
    """The bytes do not match the checksum that is stored with them."""


class UnsupportedError(Gpt2ConvertError, ValueError):
    """The file is legal in its format, but uses something this tool does not handle."""


class CastError(Gpt2ConvertError, ValueError):
    """A finite number would become infinite in the type that it is to be cast to."""


class ComputationError(Gpt2ConvertError, ArithmeticError):
    """A model's logits are NaN or infinite: its weights are, or too large for float32."""


class SchemaError(Gpt2ConvertError, ValueError):
    """The checkpoint can be read, but its names, shapes or hparams are not the model's.

    ``disagreements`` holds every one of them; the message is the first. It is ``contradictory``
    where the tensors would be a GPT-2's but for what is stated of them, or for a mixture of the
    ways in which its matrices may lie.
    """

    def __init__(
        self, where: str, disagreements: tuple[Problem, ...], *, contradictory: bool = False
    ) -> None:
        self.disagreements = disagreements
        self.contradictory = contradictory
        first = disagreements[0]
        super().__init__(f"{where}: {first.text}", first.advice)
        self.args = (self.spell(spell_keyword),)

    @property
    def problems(self) -> tuple[str, ...]:
        """Every disagreement, a sentence each."""
        return tuple(map(str, self.disagreements))

    def spell(self, spell: Spell) -> str:
        """Return the first problem in that voice, and how many more there are."""
        left = len(self.disagreements) - 1
        return super().spell(spell) + (f" (and {left} more)" if left else "")


class TargetError(Gpt2ConvertError, OSError):
    """The target cannot be written where it was asked for."""


class TargetExistsError(TargetError, FileExistsError):
    """Something is at the target already, and may not be replaced."""
