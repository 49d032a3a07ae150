"""The texts beside the weights, and within them: `checkpoint`, hparams.json, config.json."""

from __future__ import annotations

import json
import os
import re
import zipfile
from typing import TYPE_CHECKING

import h5py
import numpy as np
from support import bundles, raws

from .case import HPARAMS, SIZES, Case, nested
from .safetensors import encode

if TYPE_CHECKING:
    from pathlib import Path

    from .case import Write

CHECKPOINT = "checkpoint"
HPARAMS_FILE = "hparams.json"
CONFIG_FILE = "config.json"
MEBIBYTE = 1 << 20


def beside_bundle(name: str, text: bytes) -> Write:
    def write(folder: Path) -> None:
        bundles.write_gpt2(folder, SIZES)
        (folder / name).write_bytes(text)

    return write


def named(path: bytes) -> bytes:
    return b'model_checkpoint_path: "' + path + b'"\n'


def outside(folder: Path) -> None:
    """Write a `checkpoint` that names a whole bundle, and a good one, outside its folder."""
    bundles.write_gpt2(folder / "inside", SIZES)
    bundles.write_gpt2(folder / "outside", SIZES)
    (folder / "inside" / CHECKPOINT).write_bytes(named(b"../outside/model.ckpt"))


def linked(folder: Path) -> None:
    bundles.write_gpt2(folder, SIZES)
    (folder / CHECKPOINT).unlink()
    (folder / CHECKPOINT).symlink_to(CHECKPOINT)


def piped(folder: Path) -> None:
    bundles.write_gpt2(folder, SIZES)
    (folder / CHECKPOINT).unlink()
    os.mkfifo(folder / CHECKPOINT)


def checkpoint(text: bytes, says: str) -> Case:
    return Case("checkpoint file", beside_bundle(CHECKPOINT, text), "", CHECKPOINT, says)


NO_LINE = "no line 'model_checkpoint_path"

CHECKPOINTS: dict[str, Case] = {
    "path that climbs out": checkpoint(named(b"../m"), "outside its folder"),
    "path that climbs out to a bundle": Case(
        "checkpoint file", outside, "inside", CHECKPOINT, "outside its folder"
    ),
    "path that climbs out by a detour": checkpoint(named(b"a/../../m"), "outside its folder"),
    "path that climbs out in escapes": checkpoint(named(b"\\056\\x2e/m"), "outside its folder"),
    "path that climbs to the root": checkpoint(named(b"../" * 99 + b"etc/passwd"), "outside"),
    "path to the parent": checkpoint(named(b".."), "outside its folder"),
    "path to a system file": checkpoint(named(b"/etc/passwd"), "'/etc/passwd', which is not here"),
    "path to the folder": checkpoint(named(b"."), "which is not here"),
    "path to the root": checkpoint(named(b"/"), "which is not here"),
    "path into another folder": checkpoint(named(b"sub/model.ckpt"), "which is not here"),
    "path to nothing": checkpoint(named(b"model.ckpt-7"), "'model.ckpt-7', which is not here"),
    "path that is empty": checkpoint(named(b""), NO_LINE),
    "path with a zero byte": checkpoint(named(b"model\\000.ckpt"), NO_LINE),
    "path with a raw zero byte": checkpoint(named(b"model\0.ckpt"), NO_LINE),
    "path with a newline": checkpoint(named(b"model\\n.ckpt"), "which is not here"),
    "path that is too long": checkpoint(named(b"m" * 300), "which is not here"),
    "path of a megabyte": checkpoint(named(b"m" * 900_000), "which is not here"),
    "path that is not UTF-8": checkpoint(named(b"\xff\xfe"), "which is not here"),
    "path without quotes": checkpoint(b"model_checkpoint_path: model.ckpt\n", "line 1: a quoted"),
    "path without its last quote": checkpoint(named(b"model.ckpt")[:-2], "line 1: a quoted"),
    "path with an unknown escape": checkpoint(named(b"\\q"), "line 1: unknown escape"),
    "path that ends in a backslash": checkpoint(named(b"model.ckpt\\"), "line 1: "),
    "line without a path": checkpoint(b"model_checkpoint_path:\n", "line 1: a quoted"),
    "checkpoint file without the line": checkpoint(b"all_model_checkpoint_paths: 'm'\n", NO_LINE),
    "empty checkpoint file": checkpoint(b"", NO_LINE),
    "checkpoint file of zeros": checkpoint(bytes(4096), NO_LINE),
    "checkpoint file that is a pickle": checkpoint(b"\x80\x04\x95" + bytes(40), NO_LINE),
    "checkpoint file in UTF-16": checkpoint(
        named(b"model.ckpt").decode().encode("utf-16"), NO_LINE
    ),
    "checkpoint file with a BOM": checkpoint(b"\xef\xbb\xbf" + named(b"model.ckpt"), NO_LINE),
    "checkpoint file of two megabytes": checkpoint(
        named(b"model.ckpt") + b"#" * (2 * MEBIBYTE), "2,097,"
    ),
    "checkpoint file that is a link to itself": Case(
        "checkpoint file", linked, "", CHECKPOINT, "symbolic links"
    ),
    "checkpoint file that is a pipe": Case("checkpoint file", piped, "", CHECKPOINT, "regular"),
}


def hparams(text: bytes, says: str) -> Case:
    return Case("configuration", beside_bundle(HPARAMS_FILE, text), "", HPARAMS_FILE, says)


def with_value(key: str, text: bytes) -> bytes:
    """Return hparams in which one value is spelt otherwise."""
    return re.sub(rb'("' + key.encode() + rb'": )\d+', rb"\g<1>" + text, HPARAMS)


VALUES = {
    "a float": b"4.0", "a fraction": b"4.5", "a float with an exponent": b"4e0", "negative": b"-4",
    "zero": b"0", "minus zero": b"-0", "10^18": b"1000000000000000000", "2^31": b"2147483648",
    "2^64 + 4": b"18446744073709551620", "of 4,000 digits": b"9" * 4000,
    "of 100,000 digits": b"9" * 100_000, "beyond floats": b"1e400", "not a number": b"NaN",
    "infinite": b"Infinity", "a string": b'"4"', "true": b"true", "null": b"null", "a list": b"[4]",
    "an object": b'{"n_embd": 4}', "missing its digits": b"", "hexadecimal": b"0x4",
    "octal": b"04", "signed": b"+4",
}  # fmt: skip

HPARAMS_CASES: dict[str, Case] = {
    **{
        f"n_embd {what}": hparams(with_value("n_embd", text), "'n_embd'|not JSON")
        for what, text in VALUES.items()
    },
    "a layer too many": hparams(with_value("n_layer", b"2"), "n_layer 2"),
    "a milliard layers": hparams(with_value("n_layer", b"1000000000"), "n_layer 1000000000"),
    "another vocabulary": hparams(with_value("n_vocab", b"12"), "'model/wte' is"),
    "heads that do not divide": hparams(with_value("n_head", b"3"), "n_head 3"),
    "more heads than columns": hparams(with_value("n_head", b"8"), "n_head 8"),
    "hparams without n_embd": hparams(HPARAMS.replace(b"n_embd", b"n_emb"), "'n_embd' is missing"),
    "hparams with a key twice": hparams(HPARAMS[:-1] + b', "n_embd": 4}', "stands twice"),
    "hparams 100 levels deep": hparams(b'{"a": ' + nested(100) + b"}", "nested too deeply"),
    "hparams 100,000 levels deep": hparams(nested(100_000), "nested too deeply"),
    "hparams of open brackets": hparams(b"[" * 500_000, "nested too deeply"),
    "empty hparams": hparams(b"", "not JSON"),
    "hparams that are a list": hparams(b"[1, 2]", "a JSON object expected"),
    "hparams that are a number": hparams(b"4", "a JSON object expected"),
    "hparams cut short": hparams(HPARAMS[:-9], "not JSON"),
    "hparams with a tail": hparams(HPARAMS + b"}", "not JSON"),
    "hparams that are a BOM": hparams(b"\xef\xbb\xbf", "not JSON"),
    "hparams with two BOMs": hparams(b"\xef\xbb\xbf" * 2 + HPARAMS, "not JSON"),
    "hparams that are not UTF-8": hparams(HPARAMS[:-1] + b', "\xff": 1}', "not JSON"),
    "hparams of zeros": hparams(bytes(64), "not JSON"),
    "hparams of two megabytes": hparams(HPARAMS + b" " * (2 * MEBIBYTE), "2,097,"),
}

CONFIG = {
    "model_type": "gpt2", "vocab_size": 11, "n_positions": 5, "n_embd": 4, "n_head": 2,
    "n_layer": 1,
}  # fmt: skip


def config(says: str, **fields: object) -> Case:
    return config_text(json.dumps({**CONFIG, **fields}).encode(), says)


def config_text(text: bytes, says: str) -> Case:
    def write(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(encode(raws.huggingface(SIZES)))
        (folder / CONFIG_FILE).write_bytes(text)

    return Case("configuration", write, "", CONFIG_FILE, says)


CONFIG_CASES: dict[str, Case] = {
    "config of another model": config("model_type is 'bert'", model_type="bert"),
    "config whose type is a list": config("model_type is", model_type=["gpt2"]),
    "config whose epsilon is a string": config("layer_norm_epsilon", layer_norm_epsilon="1e-5"),
    "config whose epsilon is infinite": config(
        "layer_norm_epsilon", layer_norm_epsilon=float("inf")
    ),
    "config whose epsilon is no number": config(
        "layer_norm_epsilon", layer_norm_epsilon=float("nan")
    ),
    "config whose activation is a list": config("activation_function", activation_function=[]),
    "config that scales by a number": config("scale_attn_weights", scale_attn_weights=1),
    "config of another inner width": config("n_inner", n_inner=17),
    "config with a huge inner width": config("n_inner", n_inner=10**18),
    "config with a negative vocabulary": config("vocab_size", vocab_size=-11),
    "config with another context": config("wpe", n_positions=6, n_ctx=6),
    "config with a key twice": config_text(
        json.dumps(CONFIG).encode()[:-1] + b', "n_head": 1}', "stands twice"
    ),
    "config that is too deep": config_text(
        json.dumps(CONFIG).encode()[:-1] + b', "x": ' + nested(5000) + b"}", "nested too deeply"
    ),
    "empty config": config_text(b"", "not JSON"),
}


def in_comment(text: bytes) -> Write:
    def write(folder: Path) -> None:
        np.savez(folder / "x.npz", allow_pickle=False, **raws.canonical(SIZES))
        with zipfile.ZipFile(folder / "x.npz", "a") as archive:
            archive.comment = text

    return write


def in_metadata(text: str) -> Write:
    arrays = raws.canonical(SIZES)
    return lambda folder: (folder / "x.safetensors").write_bytes(
        encode(arrays, **{"gpt2-convert": text})
    )


def in_attribute(text: bytes) -> Write:
    def write(folder: Path) -> None:
        with h5py.File(folder / "x.h5", "w") as file:
            for name, array in raws.canonical(SIZES).items():
                file[name.replace("[", "/").replace("]", "").replace(".", "/")] = array
            file.attrs["hparams"] = np.bytes_(text)

    return write


def provenance(**changes: object) -> bytes:
    return json.dumps({"hparams": {**SIZES, **changes}, "source_format": "npz"}).encode()


INNER_CASES: dict[str, Case] = {
    "zip comment with a negative size": Case(
        "configuration", in_comment(provenance(n_embd=-4)), "x.npz", "x.npz", "comment: 'n_embd'"
    ),
    "zip comment with 10^18 layers": Case(
        "configuration", in_comment(provenance(n_layer=10**18)), "x.npz", "x.npz", "'n_layer'"
    ),
    "zip comment with a float": Case(
        "configuration", in_comment(provenance(n_head=2.0)), "x.npz", "x.npz", "'n_head'"
    ),
    "zip comment whose hparams are a list": Case(
        "configuration", in_comment(b'{"hparams": []}'), "x.npz", "x.npz", "an? .*object expected"
    ),
    "metadata with 10^18 columns": Case(
        "configuration", in_metadata(provenance(n_embd=10**18).decode()), "x.safetensors",
        "x.safetensors", "metadata: 'n_embd'",
    ),
    "metadata cut short": Case(
        "configuration", in_metadata('{"hparams": {'), "x.safetensors", "x.safetensors",
        "metadata: not JSON",
    ),
    "metadata that is too deep": Case(
        "configuration", in_metadata(nested(5000).decode()), "x.safetensors", "x.safetensors",
        "metadata: ",
    ),
    "attribute with a string": Case(
        "configuration", in_attribute(json.dumps({**SIZES, "n_ctx": "5"}).encode()), "x.h5",
        "x.h5", "attributes: 'n_ctx'",
    ),
    "attribute that is not JSON": Case(
        "configuration", in_attribute(b"n_layer: 1"), "x.h5", "x.h5", "attributes: not JSON"
    ),
    "attribute that is too deep": Case(
        "configuration", in_attribute(nested(5000)), "x.h5", "x.h5", "attributes: .*too deeply"
    ),
}  # fmt: skip

CASES = CHECKPOINTS | HPARAMS_CASES | CONFIG_CASES | INNER_CASES
