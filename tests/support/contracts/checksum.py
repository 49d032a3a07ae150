"""What a reader promises besides, if its container stores a checksum of each tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from gpt2_convert import ChecksumError
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.io.source import CHUNK

from .contents import find_bytes, find_tensor, flip_bit
from .reader import ReaderContract

if TYPE_CHECKING:
    from pathlib import Path


class ChecksumContract(ReaderContract):
    """The promises of a reader whose container stores a checksum of each tensor."""

    checksums = True

    def test_every_flipped_bit_of_the_data_fails_its_checksum(self, folder: Path) -> None:
        path, _ = self.small_copies(folder)
        for name, array in self.small().items():
            file, start = find_bytes(folder, array.tobytes())
            for bit in range(8 * start, 8 * (start + array.nbytes)):
                flip_bit(file, bit)
                with open_raw(path) as raw:
                    assert not raw.faults
                    with pytest.raises(ChecksumError, match=name):
                        list(find_tensor(raw, name).chunks())
                    others = [tensor for tensor in raw.tensors if tensor.name != name]
                    for tensor in others:
                        assert b"".join(tensor.chunks()) == self.small()[tensor.name].tobytes()
                flip_bit(file, bit)

    def test_all_chunks_of_a_damaged_tensor_come_before_the_error(self, folder: Path) -> None:
        array = np.random.default_rng(3).standard_normal((2 * CHUNK + 40) // 4).astype(np.float32)
        path = self.write(folder, {"x": array})
        data = array.tobytes()
        file, start = find_bytes(folder, data)
        for byte in (0, CHUNK, len(data) - 1):
            flip_bit(file, 8 * (start + byte))
            found: list[bytes] = []
            with open_raw(path) as raw, pytest.raises(ChecksumError) as caught:
                found.extend(find_tensor(raw, "x").chunks())
            assert "'x" in str(caught.value)
            flip_bit(file, 8 * (start + byte))
            assert [len(chunk) for chunk in found] == [CHUNK, CHUNK, 40]
            damaged = b"".join(found)
            assert damaged[byte] == data[byte] ^ 1
            assert damaged[:byte] + damaged[byte + 1 :] == data[:byte] + data[byte + 1 :]
