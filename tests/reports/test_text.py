"""Reports as lines: what stands in each, word by word."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import raws
from support.page import Page
from support.reports import (
    AGREEMENT,
    COPIED,
    DIGESTS,
    FINDINGS,
    LEFT,
    LOSS,
    STATS,
    TOTALS,
    UNUSUAL,
    conversion,
    inspection,
    refusal,
    tolerant,
    verification,
)

from gpt2_convert.checkpoint.collection import Dropped
from gpt2_convert.cli.printer import spell_flag
from gpt2_convert.errors import Advice, spell_keyword
from gpt2_convert.reports.conversion import LeftFile
from gpt2_convert.reports.findings import Finding, Kind
from gpt2_convert.reports.text import (
    MOST_FINDINGS,
    write_check,
    write_conversion,
    write_digests,
    write_findings,
    write_inspection,
    write_verification,
)
from gpt2_convert.tensors.dtype import DType
from gpt2_convert.tensors.loss import CastLoss, TensorLoss

if TYPE_CHECKING:
    from gpt2_convert.errors import Spell


BOTH = "models/124M/model.ckpt (tensorflow) and out.npz (npz)"
SIZES = "148 tensors, 124,439,808 parameters, 497,759,232 bytes, float32"
HEADS = "n_vocab 50257, n_ctx 1024, n_embd 768, n_head 12, n_layer 12"
HEADLESS = "n_vocab 50257, n_ctx 1024, n_embd 768, n_layer 12"
UNUSUAL_LINE = (
    "  config    activation_function relu, scale_attn_weights false, tie_word_embeddings false "
    "(from a/config.json and hparams.json by default and the weights)"
)


def test_a_conversion_says_what_was_written_and_that_it_was_proven() -> None:
    page = Page()
    write_conversion(page, conversion(), 2.0)
    assert page.lines == [
        "out.npz  from models/124M/model.ckpt (tensorflow)",
        f"  {SIZES}",
        f"  hparams   {HEADS} (from hparams.json)",
        "  verified  every bit equals the source; so does the configuration",
        "  497,800,000 bytes written in 2.0 s, 249 MB/s",
    ]
    assert "green" in page.styles


def test_a_conversion_says_what_else_happened() -> None:
    page = Page()
    report = conversion(
        totals=replace(TOTALS, dtype="float16"),
        config=replace(UNUSUAL, n_head=None),
        hparams_from="the shapes",
        verification=verification(loss=LOSS, engine="TensorFlow 2.16.1"),
        dropped=(
            Dropped("a/Adam", "Adam's first moment"),
            Dropped("global_step", "the training step"),
            Dropped("b/Adam", "Adam's first moment"),
        ),
        notes=("read from the scope policy/",),
        digests=DIGESTS,
        companions=(COPIED, replace(COPIED, name="a.py", source_name="a.py", nbytes=7)),
        left=(*LEFT, LeftFile("trainer_state.json", "a trainer's state")),
    )
    write_conversion(page, report, 0.0)
    assert page.lines[2:] == [
        f"  hparams   {HEADLESS} (from the shapes; n_head is unknown)",
        UNUSUAL_LINE,
        "  dropped   2 tensors: Adam's first moment",
        "  dropped   global_step: the training step",
        "  note      read from the scope policy/",
        f"  copied    vocab.json from encoder.json, 1,042,301 bytes, {'1' * 64}",
        f"  copied    a.py, 7 bytes, {'1' * 64}",
        "  left      'optimizer.pt', 'trainer_state.json': a trainer's state",
        "  left      'logs': a folder",
        (
            "  verified  every bit equals the source, cast to float16, as TensorFlow 2.16.1 reads "
            "it; so do the configuration and 2 files beside it"
        ),
        (
            "  cast      3 numbers rounded to zero; largest relative error of the others 0.5 "
            "(in wpe); largest absolute error 0.25; 1,234 numbers made infinite"
        ),
        f"  sha256    {DIGESTS.sha256}",
        "  497,800,000 bytes written in 0.0 s, 497,759 MB/s",
    ]


@pytest.mark.parametrize(
    ("spell", "option"), [(spell_keyword, "verify=False"), (spell_flag, "--no-verify")]
)
def test_a_waived_proof_is_said_as_it_was_waived(spell: Spell, option: str) -> None:
    page = Page()
    write_conversion(page, conversion(verification=None), 1.0, spell)
    assert page.lines[3] == f"  not verified  ({option})"
    assert not any("verified  every" in line for line in page.lines)
    assert page.styles == {"bold", "yellow"}


def test_a_cast_of_no_finite_number_says_so() -> None:
    page = Page()
    write_conversion(page, conversion(verification=verification(loss=CastLoss())), 1.0)
    assert "  cast      no finite number was cast" in page.lines
    page = Page()
    exact = CastLoss({"wte": TensorLoss(0.0, 0.0)})
    write_conversion(page, conversion(verification=verification(loss=exact)), 1)
    assert "  cast      every number is what it was" in page.lines


def test_equal_checkpoints_are_equal_in_every_bit_and_in_their_configuration() -> None:
    page = Page()
    write_verification(page, verification(notes=("a note",)))
    assert page.lines == [
        f"equal  {BOTH}",
        f"  every bit of {SIZES}",
        "  and the configuration",
        "  note      a note",
    ]


def test_what_is_taken_as_it_is_has_no_configuration_to_speak_of() -> None:
    page = Page()
    write_verification(page, verification(as_is=True))
    assert page.lines == [f"equal  {BOTH}", f"  every bit of {SIZES}"]
    page = Page()
    report = conversion(config=None, hparams_from=None, verification=verification(loss=CAST))
    write_conversion(page, report, 2.0)
    assert page.lines == [
        "out.npz  from models/124M/model.ckpt (tensorflow)",
        f"  {SIZES}",
        "  verified  every bit equals the source, cast to float16",
        "  cast      no finite number was cast",
        "  497,800,000 bytes written in 2.0 s, 249 MB/s",
    ]
    page = Page()
    write_check(page, replace(DIGESTS, config={}))
    assert page.lines == [
        "equal  models/124M/model.ckpt (tensorflow) and the listing",
        f"  {DIGESTS.weights_sha256}  weights",
    ]


CAST = CastLoss(dtype=DType.FLOAT16)
"""Of tensors that are not all of that dtype, since integers are never cast."""


@pytest.mark.parametrize(
    ("largest", "said"), [(0.0, "0"), (0.0004882812, "0.000488"), (None, "not finite")]
)
def test_within_a_tolerance_the_largest_difference_is_said(
    largest: float | None, said: str
) -> None:
    page = Page()
    write_verification(page, replace(tolerant(), max_abs_diff=largest))
    assert page.lines == [
        f"equal  {BOTH}",
        f"  {SIZES}, within 1e-06 + 0.001 * |source|; largest difference {said}",
        "  and the configuration",
    ]


@pytest.mark.parametrize("findings", [(), FINDINGS], ids=["equal", "different"])
def test_what_was_compared_beside_the_weights_is_named_and_what_was_not(
    findings: tuple[Finding, ...],
) -> None:
    page = Page()
    report = verification(
        *findings, companions=("merges.txt", "vocab.json"), not_compared=("n_head", "a\n.txt")
    )
    write_verification(page, report)
    last = "  note      not compared, because one side alone has it: 'n_head', 'a\\n.txt'"
    assert page.lines[-1] == last
    also = "  and what both state of the configuration, 'merges.txt', 'vocab.json'"
    assert (also in page.lines) == (not findings)


def test_what_was_read_otherwise_or_cast_is_said_beside_the_paths() -> None:
    page = Page()
    write_verification(page, verification(loss=LOSS, engine="TensorFlow 2.16.1"))
    assert page.lines[0] == (
        f"equal  {BOTH}, the source cast to float32, the source read by TensorFlow 2.16.1"
    )


def test_two_models_that_were_run_are_told_by_what_they_said() -> None:
    page = Page()
    write_verification(page, verification(logits=AGREEMENT, loss=LOSS, notes=("a note",)))
    assert page.lines == [
        f"compared  {BOTH}, the source cast to float32",
        "  tokens      1,024 at random",
        "  logits      0.0123 mean difference, 0.5 largest",
        "  KL          1.5e-06 mean, 2.5e-05 99th percentile, 0.00123 largest",
        "  agreement   first choice 99.90%, first five 98.76%",
        "  note      a note",
    ]
    page = Page()
    missed = Finding(Kind.LOGITS, "kl", "0.00123 after one token, where 0.001 is allowed")
    write_verification(page, verification(missed, logits=AGREEMENT))
    assert page.lines[0] == f"different  {BOTH}"
    assert page.lines[-1] == ("  logits    kl: 0.00123 after one token, where 0.001 is allowed")


@pytest.mark.parametrize(
    ("spell", "option"), [(spell_keyword, "drop='*/Eve'"), (spell_flag, "--drop '*/Eve'")]
)
def test_each_finding_is_a_line_with_its_hint_first_and_its_advice_last(
    spell: Spell, option: str
) -> None:
    page = Page()
    write_verification(page, verification(*FINDINGS, notes=("n",)), spell)
    assert page.lines == [
        f"different  {BOTH}",
        "  values    wte: transposed; 3 of 10 elements differ",
        f"  extra     wte/Eve: not in the source; {option} would leave it out",
        "  missing   wpe: not in the target",
        "  note      n",
    ]
    assert "bold red" in page.styles


@pytest.mark.parametrize("more", [0, 1, 3, 1000])
def test_of_many_findings_the_first_are_lines_and_the_others_a_number(more: int) -> None:
    findings = [Finding(Kind.EXTRA, f"x{n}", "extra") for n in range(MOST_FINDINGS + more)]
    page = Page()
    write_verification(page, verification(*findings))
    listed = [line for line in page.lines if line.startswith("  extra ")]
    assert listed == [f"  extra     x{n}: extra" for n in range(MOST_FINDINGS)]
    last = f"  ... and {more:,} more findings; the JSON document has them all"
    assert page.lines[1 + MOST_FINDINGS :] == ([last] if more else [])


def test_a_dtype_that_differs_everywhere_is_one_line_with_a_count() -> None:
    advice = Advice("{} compares with the source cast to it", "dtype", "float16")
    said = "float32 in the source, float16 in the target"
    alike = [Finding(Kind.DTYPE, f"x{n}", said, advice=advice) for n in range(1500)]
    other = Finding(Kind.DTYPE, "y", "float64 in the source, float16 in the target", advice=advice)
    page = Page()
    write_verification(page, verification(alike[0], other, *alike[1:]), spell_flag)
    assert page.lines == [
        f"different  {BOTH}",
        f"  dtype     1,500 tensors: {said}; --dtype float16 compares with the source cast to it",
        f"  dtype     y: {other.message}; --dtype float16 compares with the source cast to it",
    ]


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.DTYPE])
def test_findings_of_another_kind_stand_each_by_itself(kind: Kind) -> None:
    page = Page()
    write_verification(page, verification(Finding(kind, "a", "so"), Finding(kind, "b", "so")))
    assert page.lines[1:] == [f"  {kind.value:<9} a: so", f"  {kind.value:<9} b: so"]


def test_findings_by_themselves_are_written_as_those_of_a_verification() -> None:
    page = Page()
    write_findings(page, [Finding(Kind.MISSING, f"x{n}", "gone") for n in range(50)])
    assert page.lines == [
        *(f"  missing   x{n}: gone" for n in range(20)),
        "  ... and 30 more findings; the JSON document has them all",
    ]


def test_an_inspection_is_a_tree_in_which_equal_blocks_stand_once() -> None:
    tensors = [
        raws.lazy(name, array)
        for name, array in raws.canonical().items()
        if ".mlp." not in name and not name.endswith(".b")
    ]
    odd = raws.lazy("blocks[2].ln_1.g", np.zeros(7, np.float64))
    tensors = [odd if tensor.name == odd.name else tensor for tensor in tensors]
    page = Page()
    write_inspection(page, inspection(tensors=tuple(tensors)), flat=False)
    assert page.lines == [
        "model  safetensors  gpt2",
        "  file      model/model.safetensors  1,234 bytes",
        "  file      model/b                  missing",
        f"  hparams   {HEADS} (from hparams.json)",
        "  dropped   h.0.attn.bias: causal mask buffer",
        "  total     3 tensors, 18 parameters, 72 bytes, float32",
        "",
        "wte             [61, 32]        float32",
        "wpe             [16, 32]        float32",
        "blocks[0-1]  2 alike",
        "  ln_1",
        "    g           [32]            float32",
        "  attn",
        "    c_attn",
        "      w         [32, 96]        float32",
        "    c_proj",
        "      w         [32, 32]        float32",
        "  ln_2",
        "    g           [32]            float32",
        "blocks[2]",
        "  ln_1",
        "    g           [7]             float64",
        "  attn",
        "    c_attn",
        "      w         [32, 96]        float32",
        "    c_proj",
        "      w         [32, 32]        float32",
        "  ln_2",
        "    g           [32]            float32",
        "ln_f",
        "  g             [32]            float32",
    ]


def test_a_flat_inspection_is_a_table_with_the_names_of_the_file_where_they_are_others() -> None:
    tensors = (
        replace(raws.lazy("wte", np.zeros((2, 3), np.float32)), source_name="model/wte"),
        raws.lazy("blocks[0].attn.c_attn.b", np.zeros(900, np.float16)),
    )
    page = Page()
    write_inspection(page, inspection(tensors=tensors), flat=True)
    assert page.lines[page.lines.index("") + 1 :] == [
        "wte                      [2, 3]  float32     24  model/wte",
        "blocks[0].attn.c_attn.b  [900]   float16  1,800",
    ]
    page = Page()
    write_inspection(page, inspection(tensors=()), flat=True)
    assert page.lines[-1] == ""


def test_statistics_are_a_table_with_a_drawing() -> None:
    page = Page()
    stats = (STATS, None, replace(STATS, min=None, max=None, mean=None, std=None, histogram=()))
    write_inspection(page, inspection(stats=stats), flat=False)
    header, *rows = page.lines[page.lines.index("") + 1 :]
    assert header.split() == ["min", "max", "mean", "std", "NaN", "inf"]
    assert [row.split(maxsplit=3) for row in rows] == [
        ["wte", "[2,", "3]", "float32  -1.5    2  0.25    1    1    2  |+ @|"],
        ["blocks[0].attn.c_attn.b", "[9]", "float32", "-    -     -    -    -    -"],
        ["ln_f.g", "[3]", "float32", "-    -     -    -    1    2  ||"],
    ]
    assert len({row.index("float32") for row in rows}) == 1


@pytest.mark.parametrize(("count", "more"), [(1, 0), (20, 0), (21, 1), (1500, 1480)])
def test_what_is_no_gpt2_says_why_and_lists_names_as_the_file_has_them(
    count: int, more: int
) -> None:
    page = Page()
    report = inspection(
        refusal=refusal(count), faults=("model/b: gone",), engine="TensorFlow 2.16.1"
    )
    write_inspection(page, report, flat=False, spell=spell_flag)
    left = f" (and {count - 1} more)" if count > 1 else ""
    assert page.lines[0] == "model  safetensors"
    assert page.lines[3:6] == [
        "  engine    TensorFlow 2.16.1",
        "  fault     model/b: gone",
        f"  refused   model: 'x' is unknown; --drop '*/Eve' would leave it out{left}",
    ]
    listed = min(count, 20)
    assert page.lines[6 : 5 + listed] == [
        f"            'x{n}' is missing" for n in range(1, listed)
    ]
    rest = page.lines[5 + listed :]
    if more:
        said = rest.pop(0)
        assert said == f"            ... and {more:,} more; the JSON document has them all"
    assert rest[0] == "  total     3 tensors, 18 parameters, 72 bytes, float32"
    assert rest[2:] == [
        "wte                      [2, 3]  float32  24",
        "blocks[0].attn.c_attn.b  [9]     float32  36",
        "ln_f.g                   [3]     float32  12",
    ]


def test_an_inspection_says_what_is_not_gpt2_s_own_and_nothing_of_what_is() -> None:
    page = Page()
    write_inspection(page, inspection(), flat=True)
    assert not any("config " in line for line in page.lines)
    page = Page()
    report = inspection()
    assert report.checkpoint is not None
    unusual = replace(report.checkpoint, config=UNUSUAL)
    write_inspection(page, replace(report, checkpoint=unusual), flat=True)
    assert page.lines[4] == UNUSUAL_LINE
    assert "yellow" in page.styles


def test_digests_are_the_lines_of_tensors_weights_configuration_and_model() -> None:
    page = Page()
    write_digests(page, DIGESTS)
    assert page.lines == [
        f"{'0' * 64}  wte float32 [2, 3]",
        f"{'f' * 63}1  ln_f.g bfloat16 [2]",
        f"{'a' * 64}  scalar float16 []",
        f"{DIGESTS.weights_sha256}  weights",
        f"{DIGESTS.config_sha256}  config {DIGESTS.config_text}",
        f"{DIGESTS.sha256}  model",
    ]


def test_a_check_says_that_it_is_the_model_of_the_listing_or_what_changed() -> None:
    page = Page()
    write_check(page, DIGESTS)
    assert page.lines == [
        "equal  models/124M/model.ckpt (tensorflow) and the listing",
        f"  {DIGESTS.sha256}  model",
    ]
    page = Page()
    write_check(page, replace(DIGESTS, findings=FINDINGS[2:]))
    assert page.lines == [
        "different  models/124M/model.ckpt (tensorflow) and the listing",
        "  missing   wpe: not in the target",
    ]
    assert "bold red" in page.styles


def test_a_long_name_that_was_dropped_makes_no_long_line() -> None:
    page = Page()
    dropped = (Dropped("x" * 100_000, "the training step"),)
    write_conversion(page, conversion(dropped=dropped), 1.0)
    assert max(map(len, page.lines)) < 300
