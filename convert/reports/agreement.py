"""How far two models agree, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..inference.agreement import Agreement


def describe_agreement(found: Agreement) -> Iterator[tuple[str, str]]:
    """Yield what each line is of, and what it says, from the logits to what follows from them."""
    origin = "at random" if found.text is None else f"of {found.text}"
    yield "tokens", f"{found.tokens:,} {origin}"
    yield "logits", f"{found.mean_abs_diff:.3g} mean difference, {found.max_abs_diff:.3g} largest"
    divergences = f"{found.kl_mean:.3g} mean, {found.kl_p99:.3g} 99th percentile"
    yield "KL", f"{divergences}, {found.kl_max:.3g} largest"
    yield "agreement", f"first choice {found.top1:.2%}, first five {found.top5:.2%}"
    if found.text is not None:
        first, second = (
            "unknown" if each is None else f"{each:.5g}"
            for each in (found.perplexity_source, found.perplexity_target)
        )
        yield "perplexity", f"{first} and {second}"
