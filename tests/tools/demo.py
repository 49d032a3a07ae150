"""Make a small GPT-2 checkpoint in OpenAI's layout and show what gpt2-convert does with it.

The weights are random and there is no TensorFlow involved: bundles.py writes the files.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from support import bundles

SIZES = {"n_vocab": 50257, "n_ctx": 1024, "n_embd": 192, "n_head": 6, "n_layer": 12}
"""OpenAI's 124M, four times narrower: 148 tensors, 61 MB."""
COMMANDS = (
    "inspect models/demo",
    "tf2npz models/demo out.npz",
    "verify models/demo out.npz",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    beside = Path(sys.executable).with_name("gpt2-convert")
    parser.add_argument("--program", type=Path, default=beside)
    program = parser.parse_args().program.absolute()
    with tempfile.TemporaryDirectory(prefix="gpt2-convert-demo-") as folder:
        os.chdir(folder)
        print("Making a GPT-2 checkpoint in OpenAI's layout at models/demo ...")
        bundles.write_gpt2(Path("models/demo"), SIZES)
        for command in COMMANDS:
            print(f"\n$ gpt2-convert {command}", flush=True)
            subprocess.run([program, *shlex.split(command)], check=True)
        python = "import numpy; print(numpy.load('out.npz')['blocks[0].attn.c_attn.w'].shape)"
        print(f'\n$ python -c "{python}"', flush=True)
        subprocess.run([sys.executable, "-c", python], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
