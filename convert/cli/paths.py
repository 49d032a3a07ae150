"""Paths on a command line: what can be no file or folder here is refused for what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..errors import UsageError

if TYPE_CHECKING:
    import os
    from typing import Any, Final

_STREAM: Final = "-"
"""What stands for stdin or stdout with other programs."""


class PathType(click.Path):
    """A path, which shells complete to names of files; what is there others will see.

    ``what`` is "source", "target" for what is written there, or another name for what is read. With
    ``stream`` it may be what stands for stdout, too.
    """

    def __init__(self, what: str, *, stream: bool = False) -> None:
        super().__init__(readable=False)
        self.what = what
        self.stream = stream

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - as click has it
        """Return the path.

        Raises:
            UsageError: it is an address of the network, or stands for stdin or stdout.
        """
        if value == _STREAM and not self.stream:
            stream, why = (
                ("stdout", "what is written is read again, to prove it")
                if self.what == "target"
                else ("stdin", "files are read at many places, and more than once")
            )
            raise UsageError(
                f"{_STREAM}: a path expected, and not {stream}: {why}; "
                f"a file of that name is ./{_STREAM}"
            )
        if "://" in str(value):
            from ..io.source import check_path

            check_path(value, self.what)
        return super().convert(value, param, ctx)
