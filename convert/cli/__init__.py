"""The command line: the only place that prints, colours, shows progress or exits."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from ..quoting import os_reason
from .exit_codes import COULD_NOT, EQUAL, stopped_by
from .interruption import catch_signals, describe_interruption, received
from .streams import open_standard_streams, print_error

if TYPE_CHECKING:
    from typing import Final, NoReturn

TRACEBACK: Final = "GPT2_CONVERT_TRACEBACK"
"""The environment variable that shows where an unexpected error came from."""


def main() -> NoReturn:
    """Run the command line and exit."""
    open_standard_streams()
    catch_signals()
    # NumPy would start a thread a core for linear algebra, of which few commands have any.
    if not _computes(sys.argv[1:]):
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    code = _run()
    # Everything was flushed. Skipping the interpreter's own shutdown keeps it from trying again on
    # a pipe that is no longer read, and from complaining about it.
    os._exit(code)


def _computes(arguments: list[str]) -> bool:
    """Whether a command line asks for a model to be run; NumPy must know before it is imported."""
    return arguments[:1] == ["generate"] or "--logits" in arguments


def _run() -> int:
    try:
        from .program import run

        return run(sys.argv[1:])
    except KeyboardInterrupt as interruption:
        return _stop(interruption)
    except BrokenPipeError:
        return EQUAL  # whoever read the help has seen enough of it
    except OSError as error:
        print_error(f"{error.filename or 'the output'}: {os_reason(error)}")
    except Exception as error:  # noqa: BLE001 - the last line of defence against a traceback
        if received():
            return _stop(error)  # what is being unwound may fail in its own ways
        if os.environ.get(TRACEBACK):
            import traceback

            traceback.print_exc()
        print_error(
            f"internal error: {type(error).__name__}: {error}; "
            f"please report it with the output of {TRACEBACK}=1"
        )
    return COULD_NOT


def _stop(ended: BaseException) -> int:
    """Say what has ended the job, and what is left of it, as was noted on the way."""
    left = getattr(ended, "__notes__", ["nothing half-written was left behind"])
    print_error("; ".join((describe_interruption(), *left)))
    return stopped_by(received() or signal.SIGINT)
