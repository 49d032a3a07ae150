"""What the program says by how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

EQUAL: Final = 0
"""Done, and equal."""
DIFFERENT: Final = 1
"""The verification found differences."""
COULD_NOT: Final = 2
"""The job could not be done."""
INTERRUPTED: Final = 130
"""As shells say it of SIGINT."""
