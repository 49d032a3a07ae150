"""The command line: the only place that prints, colours, shows progress or exits."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from .last_words import NO_MEMORY, release_memory, say_last_words, take_charge

if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit, whatever happens."""
    try:
        try:
            code = _run(sys.argv[1:])
        except KeyboardInterrupt as interruption:  # also amid words of another error
            code = _stop(interruption, sys.argv[1:])
    except BaseException:  # noqa: BLE001 - no error of any kind may end with Python's exit code, 1
        code = say_last_words(NO_MEMORY)
    # Everything was flushed. Skipping the interpreter's own shutdown keeps it from trying again on
    # a pipe that is no longer read, and from complaining about it.
    os._exit(code)


def _run(arguments: list[str]) -> int:
    # Imported here, since even that fails where memory is short.
    from .exit_codes import EQUAL
    from .interruption import catch_signals, received
    from .limits import describe_lack, may_have_threads
    from .streams import ask_for_json, open_standard_streams

    as_json = ask_for_json(arguments)
    take_charge(as_json)
    open_standard_streams()
    catch_signals()
    try:
        if lack := describe_lack():
            from ..reports.outcome import Failure
            from .failures import print_failure

            return print_failure(Failure("MemoryError", lack), as_json)
        # NumPy starts a thread a core for linear algebra, and few commands have any. Where it
        # cannot, it says so in lines of its own and interrupts the program.
        if not (_computes(arguments) and may_have_threads()):
            os.environ["OPENBLAS_NUM_THREADS"] = "1"
        from .program import run

        return run(arguments)
    except KeyboardInterrupt:
        raise
    except BrokenPipeError:
        return EQUAL  # whoever read the help has seen enough of it
    except BaseException as error:  # noqa: BLE001 - the last line of defence against a traceback
        if received():
            return _stop(error, arguments)  # what is being unwound may fail in its own ways
        release_memory(error)
        from .failures import report_failure

        return report_failure(error, as_json, "the output")


def _computes(arguments: list[str]) -> bool:
    """Whether a command line asks for a model to be run; NumPy must know before it is imported."""
    return arguments[:1] == ["generate"] or "--logits" in arguments


def _stop(ended: BaseException, arguments: list[str]) -> int:
    """Say what has ended the job, and what is left of it, as was noted on the way."""
    import signal

    from .exit_codes import stopped_by
    from .interruption import describe_interruption, is_out_of_time, received
    from .streams import ask_for_json, print_error

    left = getattr(ended, "__notes__", ["nothing half-written was left behind"])
    message = "; ".join((describe_interruption(), *left))
    if is_out_of_time():
        from ..reports.outcome import Failure
        from .failures import print_failure

        return print_failure(Failure("TimeError", message), ask_for_json(arguments))
    print_error(message)
    return stopped_by(received() or signal.SIGINT)
