"""How many tensors a checkpoint may list, whatever its container.

Each costs some microseconds and hundreds of bytes before anyone can tell that it is no GPT-2, and a
compressed TensorFlow index of 60 KB can name 50,000.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UnsupportedError

if TYPE_CHECKING:
    from typing import Final

MAX_TENSORS: Final = 40_000
"""What fits into the longest header of a safetensors file. The largest GPT-2 has 580 tensors, and
three times as many with its optimizer's."""


def check_count(count: int, where: str) -> None:
    """Refuse a checkpoint of more than MAX_TENSORS; ``where`` is the file that lists them.

    Raises:
        UnsupportedError: it has more.
    """
    if count > MAX_TENSORS:
        raise UnsupportedError(
            f"{where}: more than {MAX_TENSORS:,} tensors, where the largest GPT-2 has some hundreds"
        )
