"""What `make bench` measures: jobs of this program, each beside the peer that sets its limit.

A stage is what lies on the RAM disk at a time: with targets, never more than four times the model.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from .timing import Row, remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Words = list[str | Path]
    Convert = Callable[[Path, Path, str], Path]

PROGRAM = Path(sys.executable).with_name("gpt2-convert")
SHARD = "model.ckpt.data-00000-of-00001"

FROMFILE = "import sys, numpy; numpy.fromfile(sys.argv[1], numpy.float32)"
LOAD_NPZ = """
import sys, numpy
with numpy.load(sys.argv[1]) as file:
    arrays = {name: file[name] for name in file.files}
"""
LOAD_FILE = "import sys, safetensors.numpy; safetensors.numpy.load_file(sys.argv[1])"
TREE = "import sys, gpt2_convert; gpt2_convert.open(sys.argv[1]).tree()"
PARAMS = "import sys, gpt2_convert; gpt2_convert.open(sys.argv[1]).params()"
PICOGPT = "import sys, gpt2_convert; gpt2_convert.load_gpt2_params_from_tf_ckpt(sys.argv[1], {})"
MODEL = "import sys, gpt2_convert; gpt2_convert.load(sys.argv[1])"
CAST = f"""{LOAD_NPZ}
numpy.savez(sys.argv[2], **{{name: array.astype("f2") for name, array in arrays.items()}})
"""
TENSORFLOW = """
import sys, numpy, tensorflow as tf
reader = tf.train.load_checkpoint(sys.argv[1])
numpy.savez(sys.argv[2], **{n: reader.get_tensor(n) for n in reader.get_variable_to_shape_map()})
"""


def python(code: str, *arguments: str | Path) -> Words:
    """Return the command that runs ``code``."""
    return [sys.executable, "-c", code, *arguments]


def list_stages(source: Path, convert: Convert) -> Iterator[list[Row]]:
    """Yield the rows of each stage, when what they need has been made of ``source``.

    ``convert`` makes a target of a source, in a format.
    """
    folder = source.parent
    yield from_tensorflow(source, folder)
    npz = convert(source, folder / "source.npz", "npz")
    yield from_npz(source, npz, folder)
    hdf5 = convert(source, folder / "source.h5", "hdf5")
    yield from_hdf5(npz, hdf5)
    remove(npz)
    remove(hdf5)
    model = convert(source, folder / "source-hf", "hf")
    yield from_huggingface(source, model, folder)
    remove(model)


def from_tensorflow(source: Path, folder: Path) -> list[Row]:
    """Return what is done with a TensorFlow checkpoint: converted, loaded and digested."""
    shard, target, copy = source / SHARD, folder / "target", folder / "copy"
    tf2npz: Words = [PROGRAM, "tf2npz", source, target]
    rows = [
        Row("cp, cmp", (["cp", shard, copy], ["cmp", shard, copy]), makes=(copy,)),
        Row("tf2npz", (tf2npz,), ("cp, cmp",), (target,)),
        Row("tf2npz --no-verify", ([*tf2npz, "--no-verify"],), ("cp, cmp",), (target,)),
        Row(
            "tf2safetensors, bfloat16",  # which no NumPy archive can hold
            ([PROGRAM, "tf2safetensors", source, target, "--dtype", "bfloat16"],),
            ("tf2npz",),
            (target,),
        ),
        # As many bytes as the weights have in float64, written and read.
        Row(
            "cat twice, dd",
            (
                ["sh", "-c", 'cat "$0" "$0" > "$1"', shard, copy],
                ["dd", f"if={copy}", "of=/dev/null", "bs=1M", "status=none"],
            ),
            makes=(copy,),
        ),
        Row(
            "tf2npz --dtype float64",
            ([*tf2npz, "--dtype", "float64"],),
            ("tf2npz", "cat twice, dd"),
            (target,),
        ),
        Row("tf2hdf5", ([PROGRAM, "tf2hdf5", source, target],), ("tf2npz",), (target,)),
        Row(
            "tf2hdf5 --compress gzip",
            ([PROGRAM, "tf2hdf5", source, target, "--compress", "gzip"],),
            ("tf2hdf5",),
            (target,),
            rounds=1,
        ),
        Row("np.fromfile", (python(FROMFILE, shard),)),
        Row("open().tree()", (python(TREE, source),), ("np.fromfile",)),
        Row("open().params()", (python(PARAMS, source),), ("np.fromfile",)),
        Row("picoGPT's function", (python(PICOGPT, source),), ("np.fromfile",)),
        Row("load()", (python(MODEL, source),), ("np.fromfile",)),
        Row("sha256sum", (["sha256sum", shard],)),
        Row("digest", ([PROGRAM, "digest", source],), ("sha256sum",)),
        Row("python", ([sys.executable, "-c", "pass"],)),
        Row("--help", ([PROGRAM, "--help"],), ("python",)),
        Row("inspect", ([PROGRAM, "inspect", source],), ("--help",)),
    ]
    if find_spec("tensorflow"):
        prefix = source / "model.ckpt"
        command = python(TENSORFLOW, prefix, folder / "tf.npz")
        rows.append(
            Row("TensorFlow, np.savez", (command,), ("tf2npz",), (folder / "tf.npz",), rounds=1)
        )
    return rows


def from_npz(source: Path, npz: Path, folder: Path) -> list[Row]:
    """Return what is done with an archive, and with two files of the same weights."""
    target, cast = folder / "target", folder / "cast.npz"
    return [
        Row("np.load, each array", (python(LOAD_NPZ, npz),)),
        Row("open(npz).tree()", (python(TREE, npz),), ("np.load, each array",)),
        Row("np.load, astype, savez", (python(CAST, npz, cast),), makes=(cast,)),
        Row("tf2npz (again)", ([PROGRAM, "tf2npz", source, target],), makes=(target,)),
        Row(
            "tf2npz --dtype float16",
            ([PROGRAM, "tf2npz", source, target, "--dtype", "float16"],),
            ("tf2npz (again)", "np.load, astype, savez"),
            (target,),
        ),
        Row("verify", ([PROGRAM, "verify", source, npz],)),
        Row("inspect --stats", ([PROGRAM, "inspect", source, "--stats"],), ("verify",)),
        Row("inspect --stats of npz", ([PROGRAM, "inspect", npz, "--stats"],), ("verify",)),
    ]


def from_hdf5(npz: Path, hdf5: Path) -> list[Row]:
    """Return what is done with an HDF5 file."""
    return [
        Row("inspect npz", ([PROGRAM, "inspect", npz],)),
        Row("inspect HDF5", ([PROGRAM, "inspect", hdf5],), ("inspect npz",)),
        Row("np.fromfile of HDF5", (python(FROMFILE, hdf5),)),
        Row("open(HDF5).tree()", (python(TREE, hdf5),), ("np.fromfile of HDF5",)),
    ]


def from_huggingface(source: Path, model: Path, folder: Path) -> list[Row]:
    """Return what is done with a Hugging Face folder."""
    target, weights = folder / "target", model / "model.safetensors"
    return [
        Row("load_file of safetensors", (python(LOAD_FILE, weights),)),
        Row("np.fromfile of the same", (python(FROMFILE, weights),)),
        Row(
            "open(safetensors).tree()",
            (python(TREE, weights),),
            ("load_file of safetensors", "np.fromfile of the same"),
        ),
        Row("tf2npz (once more)", ([PROGRAM, "tf2npz", source, target],), makes=(target,)),
        Row(
            "hf2hdf5",
            ([PROGRAM, "hf2hdf5", model, target],),
            ("tf2npz (once more)",),
            (target,),
        ),
    ]
