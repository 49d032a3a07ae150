"""Make a small GPT-2 checkpoint in OpenAI's layout and show what gpt2-convert does with it.

The weights are random and there is no TensorFlow involved: bundles.py writes the files. All of it
stays in a folder, for whoever wants to try more, and a second run begins with an empty one.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from support import bundles

SIZES = {"n_vocab": 50257, "n_ctx": 1024, "n_embd": 192, "n_head": 6, "n_layer": 12}
"""OpenAI's 124M, four times narrower: 148 tensors, 61 MB."""
COMMANDS = (
    "inspect models/demo",
    "tf2npz models/demo out.npz",
    "verify models/demo out.npz",
)
NEXT = (
    "convert out.npz out.safetensors",
    "tf2hf models/demo demo-hf",
    "tf2npz models/demo half.npz --dtype float16 --force",
    "inspect models/demo --stats",
    'generate models/demo "15496 995" --ids -n 8',
)
"""What is worth a try afterwards, and works in the folder as it is then."""
MARK = "made by make demo\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    beside = Path(sys.executable).with_name("gpt2-convert")
    parser.add_argument("--program", type=Path, default=beside)
    parser.add_argument("--folder", type=Path, default=Path("build/demo"))
    options = parser.parse_args()
    program, start = options.program.absolute(), Path.cwd()
    enter(options.folder)
    print(f"Making a GPT-2 checkpoint in OpenAI's layout at {options.folder}/models/demo ...")
    bundles.write_gpt2(Path("models/demo"), SIZES)
    for command in COMMANDS:
        print(f"\n$ gpt2-convert {command}", flush=True)
        subprocess.run([program, *shlex.split(command)], check=True)
    python = "import numpy; print(numpy.load('out.npz')['blocks[0].attn.c_attn.w'].shape)"
    print(f'\n$ python -c "{python}"', flush=True)
    subprocess.run([sys.executable, "-c", python], check=True)
    path = shlex.quote(os.path.relpath(program.parent, Path.cwd()))
    print("\nAll of it is still there. To go on:\n")
    print(f"  cd {shlex.quote(os.path.relpath(Path.cwd(), start))}")
    print(f'  PATH="$PWD/{path}:$PATH"')
    for command in NEXT:
        print(f"  gpt2-convert {command}")
    return 0


def enter(folder: Path) -> None:
    """Make an empty folder and go there; only one that was made here is emptied for it."""
    mark = folder / ".demo"
    if folder.exists() and not (mark.is_file() and mark.read_text() == MARK):
        sys.exit(f"{folder}: is there and was not made by the demo; name another one")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mark.write_text(MARK)
    os.chdir(folder)


if __name__ == "__main__":
    sys.exit(main())
