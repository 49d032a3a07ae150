"""``python -m gpt2_convert`` is ``gpt2-convert``."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    main()
