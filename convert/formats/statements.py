"""The configuration in files beside the weights: OpenAI's hparams.json, Hugging Face's config.json.

They count where the container states nothing itself, and where the folder is what was named: then
whoever loads it elsewhere will read them, so all that is stated has to agree. The targets that are
folders have them.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..checkpoint.raw import FileInfo, RawConfig
from ..errors import Gpt2ConvertError, UnsupportedError
from ..io.source import read_small

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from ..checkpoint.raw import RawCheckpoint

HPARAMS: Final = "hparams.json"
CONFIG: Final = "config.json"
MAX_CONFIG_BYTES: Final = 1 << 20


def spell_config(fields: Mapping[str, object], where: str, *, sort_keys: bool = False) -> bytes:
    """Return the text of config.json; ``where`` is the checkpoint that it is of.

    Raises:
        UnsupportedError: it is larger than a reader wants it.
    """
    text = json.dumps(fields, indent=2, sort_keys=sort_keys) + "\n"
    if len(text) > MAX_CONFIG_BYTES:
        raise UnsupportedError(
            f"{where}: its configuration takes {len(text):,} bytes as {CONFIG}, "
            f"where at most {MAX_CONFIG_BYTES:,} make sense; shorten it"
        )
    return text.encode()


def read_beside(raw: RawCheckpoint) -> RawCheckpoint:
    """Return the checkpoint with what is stated beside it.

    A file that is there and cannot be read, such as a link that leads nowhere, is a fault.
    """
    if not raw.folder_named and any(not config.as_is for config in raw.configs):
        return raw
    configs, files, faults = list(raw.configs), list(raw.files), list(raw.faults)
    for name in (HPARAMS, CONFIG):
        path = Path(raw.where).with_name(name)
        if not os.path.lexists(path):
            continue
        try:
            config = RawConfig(str(path), read_small(path, MAX_CONFIG_BYTES))
        except Gpt2ConvertError as error:
            faults.append(error)
            files.append(FileInfo(str(path), None))
        else:
            configs.append(config)
            files.append(FileInfo(str(path), len(config.text)))
    return replace(raw, configs=tuple(configs), files=tuple(files), faults=tuple(faults))
