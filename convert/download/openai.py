"""OpenAI's files: where they are, and what is known of each.

``<address>/<model>/<file>``, at OpenAI's public storage or a mirror of it. Of some files the
SHA-256 is published, and of some the size; of the others a server states the size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..formats.tensorflow.reader import NAME as FORMAT
from ..reports.fetch import Proof
from .address import Site, parse_site
from .plan import Plan, Wanted
from .published import load_published

if TYPE_CHECKING:
    from typing import Final

    from .names import OpenAIModel

INDEX: Final = "model.ckpt.index"
DATA: Final = "model.ckpt.data-00000-of-00001"
META: Final = "model.ckpt.meta"
_BINARY: Final = (INDEX, DATA, META)
_PROOFS: Final = {INDEX: Proof.CHECKSUMS, DATA: Proof.CHECKSUMS, META: Proof.SIZE}
"""What proves a file without a published digest. Nothing reads the .meta, a graph of TensorFlow."""


def plan_openai(model: OpenAIModel, mirror: str | None) -> Plan:
    """Return the files of a model, at ``mirror`` if one is named.

    Raises:
        UsageError: the mirror is no address.
    """
    published = load_published().openai
    site = parse_site(published.address if mirror is None else mirror, "the mirror")
    if mirror is not None:
        layout = f"a mirror has its files at {site.address}/{model.name}/"
        site = Site(site.address, site.authorization, f"{layout}; check the address")
    else:
        site = Site(
            site.address, None, "it may have moved; name a mirror", "name a mirror of the files"
        )
    address = site.address.below(model.name)
    known = published.known[model.name]
    wanted = tuple(
        Wanted(
            name,
            address.below(name),
            known[name],
            _PROOFS.get(name, Proof.CONTENTS) if known[name].digest is None else Proof.PUBLISHED,
            binary=name in _BINARY,
        )
        for name in published.files
    )
    return Plan(model.name, site, address, FORMAT, wanted)
