"""The program as a person or a script meets it: what it says, and where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
from support import bundles
from support.console import (
    is_one_error_line,
    run,
)

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from support.forked import Program


COMMANDS = {"tf2npz": 2, "verify": 2, "inspect": 1}
"""The commands, and how many paths each takes."""


def test_conversion_ends_with_0_and_speaks_on_stdout_only(tiny: Path, tmp_path: Path) -> None:
    done = run("tf2npz", tiny, tmp_path / "out.npz")
    assert (done.code, done.err) == (0, "")
    assert "verified  every bit equals the source" in done.out
    assert "40 tensors" in done.out


def test_leftovers_have_a_line_a_reason_and_scopes_are_chosen(
    program: Program, tmp_path: Path
) -> None:
    arrays: dict[str, np.ndarray[Any, Any]] = {"global_step": np.ones((), np.int64)}
    for name, array in bundles.gpt2_arrays().items():
        arrays |= {f"policy/{name}": array, f"ref_policy/{name}": array + 1}
        arrays |= {f"policy/{name}/Adam": array, f"policy/{name}/Adam_1": array}
    source = bundles.write_gpt2(tmp_path / "model", arrays=arrays)
    refused = program.run("tf2npz", source, tmp_path / "none.npz")
    assert (refused.code, refused.out) == (2, "")
    assert is_one_error_line(refused.err)
    assert "'policy/', 'ref_policy/'; choose one with --scope" in refused.err
    done = program.run("tf2npz", source, tmp_path / "out.npz", "--scope", "policy")
    assert (done.code, done.err) == (0, "")
    shown = program.run("inspect", source, "--scope", "policy/")
    for text in (done.out, shown.out):
        lines = [line for line in text.splitlines() if line.startswith(("  dropped", "  note"))]
        assert lines == [
            "  dropped   global_step: the training step",
            "  dropped   40 tensors: Adam's first moment",
            "  dropped   40 tensors: Adam's second moment",
            "  dropped   40 tensors: outside the scope policy/",
            "  note      read from the scope policy/",
        ]
    verified = program.run(
        "verify", source, tmp_path / "out.npz", "--scope", "ref_policy", "--json"
    )
    assert verified.code == 1
    assert {finding["kind"] for finding in json.loads(verified.out)["findings"]} == {"values"}
    digests = [
        program.run("digest", source, "--scope", name).out for name in ("policy", "ref_policy")
    ]
    assert digests[0] == program.run("digest", tmp_path / "out.npz").out != digests[1]


def test_waived_proof_is_named(program: Program, tiny: Path, tmp_path: Path) -> None:
    done = program.run("tf2npz", "--no-verify", tiny, tmp_path / "out.npz")
    assert done.code == 0
    assert "not verified" in done.out


def test_hint_comes_before_the_numbers_that_it_explains(
    program: Program, npz: Path, tiny: Path, tmp_path: Path
) -> None:
    with np.load(npz) as archive:
        arrays = dict(archive)
    arrays["blocks[1].attn.c_proj.w"] = arrays["blocks[1].attn.c_proj.w"].T.copy()
    np.savez(tmp_path / "other.npz", **arrays)
    done = program.run("verify", tiny, tmp_path / "other.npz")
    assert "values    blocks[1].attn.c_proj.w: transposed; " in done.out


def test_text_stops_after_twenty_findings_and_says_so(
    program: Program, npz: Path, tiny: Path, tmp_path: Path
) -> None:
    with np.load(npz) as archive:
        np.savez(tmp_path / "other.npz", **{name: archive[name] + 1 for name in archive})
    done = program.run("verify", tiny, tmp_path / "other.npz")
    assert done.code == 1
    assert done.out.count("elements differ") == 20
    assert "and 20 more findings; the JSON document has them all" in done.out


def test_inspect_shows_the_tree_and_merges_equal_blocks(program: Program, tiny: Path) -> None:
    done = program.run("inspect", tiny)
    assert (done.code, done.err) == (0, "")
    lines = [line.split() for line in done.out.splitlines()]
    assert ["blocks[0-2]", "3", "alike"] in lines
    assert ["wte", "[61,", "32]", "float32"] in lines
    assert ["w", "[32,", "96]", "float32"] in lines
    weights = bundles.gpt2_arrays().values()
    assert f"{sum(array.size for array in weights):,} parameters" in done.out


def test_flat_inspection_has_a_row_for_each_tensor(program: Program, tiny: Path) -> None:
    done = program.run("inspect", "--flat", tiny)
    rows = {line.split()[-1]: line.split() for line in done.out.splitlines() if "model/" in line}
    assert rows.keys() == bundles.gpt2_shapes().keys()
    assert rows["model/h1/mlp/c_fc/b"] == [
        "blocks[1].mlp.c_fc.b", "[128]", "float32", "512", "model/h1/mlp/c_fc/b",
    ]  # fmt: skip


def test_readable_checkpoint_that_is_no_gpt2_is_listed_all_the_same(
    program: Program, tmp_path: Path
) -> None:
    np.savez(tmp_path / "other.npz", weights=np.zeros((3, 5), np.int16))
    done = program.run("inspect", tmp_path / "other.npz")
    assert (done.code, done.err) == (0, "")
    assert "not a GPT-2 checkpoint" in done.out
    assert "weights  [3, 5]  int16  30" in done.out


def test_quiet_prints_nothing_whatever_the_outcome(
    program: Program, tiny: Path, npz: Path, changed: Path, tmp_path: Path
) -> None:
    runs: tuple[tuple[list[str | Path], int], ...] = (
        (["tf2npz", "-q", tiny, tmp_path / "new.npz"], 0),
        (["verify", "-q", tiny, npz], 0),
        (["verify", "--quiet", tiny, changed], 1),
        (["inspect", "-q", tiny], 0),
    )
    for arguments, code in runs:
        done = program.run(*arguments)
        assert (done.code, done.out, done.err) == (code, "", "")
    for command, paths in COMMANDS.items():
        done = program.run(command, "-q", *[tmp_path / "absent"] * paths)
        assert (done.code, done.out) == (2, "")
        assert is_one_error_line(done.err)


def test_corrupt_source_is_one_line_and_exit_code_2(
    program: Program, tiny: Path, tmp_path: Path
) -> None:
    data = tiny / "model.ckpt.data-00000-of-00001"
    broken = bytearray(data.read_bytes())
    broken[len(broken) // 2] ^= 1
    data.write_bytes(broken)
    done = program.run("tf2npz", tiny, tmp_path / "out.npz")
    assert (done.code, done.out) == (2, "")
    assert is_one_error_line(done.err)
    assert "crc32c" in done.err
    assert os.listdir(tmp_path) == ["models"]


def test_unexpected_error_is_one_line_too(tiny: Path) -> None:
    code = (
        "import gpt2_convert, gpt2_convert.cli\n"
        "def fail(*arguments, **options): raise LookupError('no\\nsuch thing')\n"
        "gpt2_convert.inspect = fail\n"
        "gpt2_convert.cli.main()"
    )
    command = [sys.executable, "-c", code, "inspect", str(tiny)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert is_one_error_line(done.stderr)
    assert "internal error: LookupError: no\\nsuch thing" in done.stderr
    environment = {**os.environ, "GPT2_CONVERT_TRACEBACK": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "Traceback (most recent call last)" in done.stderr


def test_every_reason_against_a_model_is_listed(program: Program, tmp_path: Path) -> None:
    arrays = {
        f"model/x{number}": array for number, array in enumerate([np.ones(1, np.float32)] * 25)
    }
    source = bundles.write_gpt2(tmp_path / "x", arrays=bundles.gpt2_arrays() | arrays)
    done = program.run("inspect", source)
    assert done.code == 0
    assert (
        "'model/x0' [1] is in no row of gpt2.toml; if it is no part of the model, --drop leaves it "
        "out (and 24 more)" in done.out
    )
    assert all(f"'model/x{number}' [1] is in no row" in done.out for number in (1, 10, 24))
    assert "\n            ... and 5 more; the JSON document has them all\n" in done.out


SHOW_THREADS = """
import os, sys
import gpt2_convert.cli.program
gpt2_convert.cli.program.run = lambda arguments: print(
    os.environ.get("OPENBLAS_NUM_THREADS"), flush=True
) or 0
gpt2_convert.cli.main()
"""
"""The program, which prints how many threads linear algebra may have, in place of its job."""


def test_only_what_computes_has_threads_for_it() -> None:
    environment = {key: value for key, value in os.environ.items() if "THREADS" not in key}

    def threads(*arguments: str, **more: str) -> str:
        command = [sys.executable, "-c", SHOW_THREADS, *arguments]
        done = subprocess.run(
            command, env={**environment, **more}, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    for words in (["tf2npz", "generate", "out.npz"], ["verify", "a", "b"], []):
        assert threads(*words) == "1"
    assert threads("generate", "model", "text") == "None"
    assert threads("verify", "a", "b", "--logits") == "None"
    assert threads("generate", "a", "b", OPENBLAS_NUM_THREADS="3") == "3"
    assert threads("verify", "a", "b", OPENBLAS_NUM_THREADS="3") == "1"
