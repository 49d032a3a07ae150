"""The page is valid HTML that needs nothing else, and whose text is what the report says.

html5lib reads it as the standard says, where no parse error is forgiven, and Chromium as people do.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import html5lib
import numpy as np
import pytest
from support import bundles, raws
from support.browser import print_page, shoot, visit
from support.reports import (
    COPIED,
    DIGESTS,
    FETCHED,
    FINDINGS,
    LEFT,
    LOSS,
    STATS,
    conversion,
    inspection,
    refusal,
    verification,
)

from gpt2_convert.checkpoint.collection import Dropped
from gpt2_convert.errors import FormatError, spell_keyword
from gpt2_convert.model.adopt import adopt
from gpt2_convert.reports.charts.layers import draw_layers
from gpt2_convert.reports.difference_map import DifferenceMap
from gpt2_convert.reports.findings import Finding, Kind
from gpt2_convert.reports.generation import GenerationReport
from gpt2_convert.reports.outcome import Failure, Outcome
from gpt2_convert.reports.renderers.html import MOST_PICTURES, MOST_ROWS, render
from gpt2_convert.tensors.stats import TensorStats, compute_stats

if TYPE_CHECKING:
    from pathlib import Path

    from gpt2_convert.reports.inspection import InspectionReport
    from gpt2_convert.reports.outcome import Report

HOSTILE = [
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "<img src=http://b.example/x onerror=alert(1)>",
    "\"><svg onload='alert(1)'>",
    "' onmouseover=alert(1) x='",
    "</title></table></body>",
    "<!-- -->",
    "&lt;b&gt;&amp;",
    "{{ 7 * 7 }}{% raw %}",
    "\x1b[31mred",
    "\u202egnp.exe",
    "a\nb\r\0c",
    "\udcff",
    "http://b.example/",
]
DIFFERING = Finding(
    Kind.VALUES, "wte", "6 of 48 elements differ", differing=6, elements=48, first_index=(0, 1),
    map=DifferenceMap(6, 8, 6, 8, (0, 1) + (0,) * 40 + (1,) * 5 + (0,)),
)  # fmt: skip
GENERATED = GenerationReport("model", (1, 2), (3, 4), "text", "n", 0.5)


def statistics(report: InspectionReport) -> InspectionReport:
    return replace(report, stats=tuple(compute_stats(each) for each in report.tensors))


def gpt2(**changed: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> InspectionReport:
    """An inspection of a whole small model, with its statistics."""
    weights = bundles.gpt2_arrays() | {key.replace("__", "/"): a for key, a in changed.items()}
    tensors = tuple(adopt(raws.raw(weights, bundles.TINY)).values())
    return statistics(inspection(tensors=tensors))


def text(report: Report | None, failure: Failure | None = None) -> str:
    return "".join(render(Outcome("job", "0.1.0", 1.0, report, failure), spell_keyword))


def parse(page: str) -> Element:
    """Return the document.

    Raises:
        html5lib.html5parser.ParseError: it is not valid.
    """
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    document = parser.parse(page)
    assert isinstance(document, Element)
    return document


def name_of(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def named(document: Element, *names: str) -> list[Element]:
    return [each for each in document.iter() if name_of(each) in names]


def words(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


ALL: dict[str, tuple[Report | None, Failure | None]] = {
    "conversion": (conversion(companions=(COPIED,), left=LEFT), None),
    "unverified": (conversion(verification=None), None),
    "cast": (conversion(verification=verification(loss=LOSS)), None),
    "equal": (verification(), None),
    "different": (verification(*FINDINGS, DIFFERING, not_compared=("a",)), None),
    "failed proof": (verification(DIFFERING), Failure("VerificationError", "discarded")),
    "inspection": (inspection(), None),
    "statistics": (inspection(stats=(STATS, None, STATS)), None),
    "whole model": (gpt2(), None),
    "no GPT-2": (inspection(refusal=refusal(3)), None),
    "damaged": (inspection(errors=(FormatError("a shard is missing"),)), None),
    "nothing": (inspection(tensors=(), files=(), stats=()), None),
    "digest": (DIGESTS, None),
    "fetch": (FETCHED, None),
    "generation": (GENERATED, None),
    "error": (None, Failure("SchemaError", "no", ("a", "b"))),
}


@pytest.mark.parametrize("kind", ALL)
def test_the_page_is_valid_and_needs_nothing_else(kind: str) -> None:
    page = text(*ALL[kind])
    document = parse(page)
    assert not named(document, "script", "link", "img", "iframe", "object", "base", "form", "a")
    for element in document.iter():
        assert not {"src", "href", "style", "srcset", "action"} & element.attrib.keys()
        assert not [key for key in element.attrib if key.startswith("on")]
    (style,) = named(document, "style")
    assert "url(" not in (style.text or "")
    assert "@import" not in (style.text or "")
    addresses = set(re.findall(r"\w+://[^ <\"]*", page))
    assert addresses == (
        {"https://huggingface.co/openai-community/gpt2"} & {FETCHED.address}
        if kind == "fetch"
        else set()
    )


@pytest.mark.parametrize("kind", ALL)
def test_the_page_reads_well_to_a_screen_reader(kind: str) -> None:
    document = parse(text(*ALL[kind]))
    assert document.attrib["lang"] == "en"
    assert words(named(document, "title")[0])
    assert len(named(document, "main")) == len(named(document, "h1")) == 1
    levels = [int(name_of(each)[1]) for each in named(document, "h1", "h2", "h3")]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for table in named(document, "table"):
        assert words(named(table, "caption")[0])
        assert all(each.attrib["scope"] in ("col", "row") for each in named(table, "th"))
        heads = len(named(table, "tr")[0])
        assert {len(row) for row in named(table, "tr")} == {heads}
    identities = [each.attrib["id"] for each in document.iter() if "id" in each.attrib]
    assert len(identities) == len(set(identities))
    for svg in named(document, "svg"):
        if svg.attrib.get("aria-hidden") == "true":
            continue
        assert svg.attrib["role"] == "img"
        label = svg.attrib.get("aria-labelledby")
        assert svg.attrib.get("aria-label") or label in identities


def test_the_program_is_named_where_an_old_report_is_known_by_it() -> None:
    assert b'content="gpt2-convert 0.1.0"' in text(conversion()).encode()[:1000]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_wherever_it_stands(name: str) -> None:
    tensors = tuple(raws.lazy(f"{name}.{n}", np.arange(4, dtype=np.float32)) for n in range(2))
    finding = replace(DIFFERING, tensor=name, message=name, hint=name)
    shown = name if name.isprintable() else name.encode("unicode_escape").decode()
    for report in (
        conversion(
            mapped=((name, name),), dropped=(Dropped(name, name),), notes=(name,),
            companions=(replace(COPIED, name=name),),
        ),
        verification(finding, not_compared=(name,), companions=(name,), notes=(name,)),
        statistics(inspection(path=name, tensors=tensors, faults=(name,))),
        replace(GENERATED, text=name),
    ):  # fmt: skip
        page = text(report)
        document = parse(page)
        assert not named(document, "script", "img")
        assert not [key for each in document.iter() for key in each.attrib if key[:2] == "on"]
        assert " ".join(shown.split()) in words(document)
        assert all(character.isprintable() or character == "\n" for character in page)


def test_an_inspection_shows_where_the_bytes_are_and_the_weights_over_the_layers() -> None:
    report = gpt2()
    document = parse(text(report))
    titles = [words(each) for each in named(document, "h2")]
    shown = ["Where the bytes are", "Files", "Weights over the layers"]
    assert titles == [*shown, "Left out (1)", f"Tensors ({len(report.tensors)})"]
    kinds = [words(each) for each in named(document, "h3")]
    assert len(kinds) == 12
    assert {"attn.c_attn.w", "ln_1.g", "mlp.c_proj.b"} <= set(kinds)
    histograms = [each for each in named(document, "path") if each.attrib["class"] == "outline"]
    assert len(histograms) == len(report.tensors)
    assert not [each for each in named(document, "dt") if words(each).endswith("NaN")]


def test_the_paths_of_many_layers_are_there_to_their_ends() -> None:
    count = 300
    tensors = tuple(raws.lazy(f"h.{n}.w", np.arange(3, dtype=np.float32) + n) for n in range(count))
    report = statistics(inspection(tensors=tensors))
    assert report.stats is not None
    (panel,) = draw_layers(report.tensors, report.stats)
    paths = {each.attrib["d"] for each in named(parse(text(report)), "path")}
    assert {panel.whiskers, panel.band, panel.mean, panel.bars} <= paths
    assert len(panel.band) > 10 * count


def test_nan_and_infinities_stand_first_and_name_the_tensors() -> None:
    weights = bundles.gpt2_arrays()
    weights["model/wpe"][0, :3] = np.nan
    weights["model/h1/ln_1/g"][0] = np.inf
    report = gpt2(model__wpe=weights["model/wpe"], model__h1__ln_1__g=weights["model/h1/ln_1/g"])
    document = parse(text(report))
    labels, facts = named(document, "dt"), named(document, "dd")
    assert [words(each) for each in labels[:2]] == ["✗ NaN", "✗ infinite"]
    assert words(facts[0]) == "3 elements in 1 tensor: 'wpe'"
    assert words(facts[1]) == "1 element in 1 tensor: 'blocks[1].ln_1.g'"
    assert "layer 1: 0 NaN, 1 infinite" in words(document)


def test_a_verification_draws_the_cells_in_which_elements_differ() -> None:
    document = parse(text(verification(DIFFERING)))
    (picture,) = (each for each in named(document, "svg") if each.attrib["class"] == "wide map")
    places = [
        tuple(int(each.attrib[key]) for key in ("x", "y", "width"))
        for each in named(picture, "rect")
    ]
    # One element each: all of their cell.
    assert places == [(1, 0, 1), (2, 5, 5)]
    assert {each.attrib["class"] for each in named(picture, "rect")} == {"level4"}


def test_of_many_findings_some_are_drawn_and_the_rest_is_counted() -> None:
    findings = [replace(DIFFERING, tensor=f"x{n}") for n in range(MOST_PICTURES + 7)]
    document = parse(text(verification(*findings)))
    pictures = [each for each in named(document, "svg") if each.attrib["class"] == "wide map"]
    assert len(pictures) == MOST_PICTURES
    assert "and 7 more" in words(document)


def test_a_conversion_has_what_became_of_every_source_tensor() -> None:
    report = conversion(dropped=(Dropped("h.0.attn.bias", "causal mask buffer"),))
    document = parse(text(report))
    (table,) = named(document, "table")
    assert [[words(cell) for cell in row] for row in named(table, "tr")][1:] == [
        ["model/wte", "wte", "equal in every bit"],
        ["model/wpe", "wpe", "equal in every bit"],
        ["h.0.attn.bias", "", "dropped: causal mask buffer"],
    ]


def test_a_page_of_16000_tensors_has_as_many_as_a_browser_opens_and_says_so() -> None:
    one = raws.lazy("x", np.zeros(2, np.float32))
    tensors = tuple(replace(one, name=f"h.{n}.w") for n in range(16_000))
    stats = TensorStats(2, 0, 0, -1.0, 1.0, 0.0, 1.0, tuple(range(32)))
    page = text(inspection(tensors=tensors, stats=(stats,) * 16_000))
    document = parse(page)
    assert len(named(document, "tr")) < MOST_ROWS + 50
    assert "the first 2,000 of 16,000; the JSON report has them all" in words(document)
    assert len(page) < 4 << 20


def luminance(colour: str) -> float:
    """Return the relative luminance of #rgb or #rrggbb, as WCAG 2.2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_and_pictures_have_the_contrast_that_wcag_asks_for() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    sheets = re.findall(r":root \{(.*?)\}", text(conversion()), re.DOTALL)
    assert len(sheets) == 3  # light, dark and paper
    for sheet in sheets:
        colours = dict(re.findall(r"--(\w+): (#\w+);", sheet))
        for ground in ("paper", "panel"):
            for ink in ("ink", "soft", "good", "bad", "warning"):
                assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
            for shape in ("mark", "whisker"):
                assert contrast(colours[shape], colours[ground]) >= 3, (shape, ground)
        assert contrast(colours["mark"], colours["band"]) >= 3
        # Each level of a map is further from the paper than the one before.
        levels = [contrast(colours[f"level{n}"], colours["paper"]) for n in range(1, 5)]
        assert levels == sorted(levels)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A page with every kind of picture that an inspection has, and a hostile name."""
    tensors = [*gpt2().tensors]
    tensors += [raws.lazy(name, np.arange(4, dtype=np.float32)) for name in HOSTILE]
    report = statistics(inspection(path=HOSTILE[0], tensors=tuple(tensors), notes=tuple(HOSTILE)))
    page = tmp_path / "page.html"
    page.write_text(text(report), encoding="utf-8")
    return page


def test_chromium_opens_it_without_a_complaint_a_request_or_a_script(written: Path) -> None:
    found = visit(written)
    assert found.console == []
    assert found.requests == set()
    document = html5lib.parse(found.dom, namespaceHTMLElements=False)
    before = parse(written.read_text(encoding="utf-8"))
    assert words(document) == words(before)
    assert not named(document, "script", "img")


def test_chromium_would_tell_of_complaints_and_requests(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    image = '<img src="http://b.example/x">'
    page.write_text(f"<!DOCTYPE html>{image}<script>console.error('told')</script>")
    found = visit(page)
    assert "told" in found.console[0]
    assert found.requests == {"http://b.example/x"}


def measure(page: str, folder: Path, expression: str, *flags: str) -> str:
    """Return what a script finds in a page: in a copy, as nothing in a report may run one."""
    policy = re.search(r'<meta http-equiv="Content-Security-Policy"[^>]*>', page)
    assert policy
    script = f"<script>document.title = JSON.stringify({expression})</script>"
    copy = folder / "copy.html"
    copy.write_text(
        page.replace(policy[0], "").replace("</body>", f"{script}</body>"), encoding="utf-8"
    )
    found = html5lib.parse(visit(copy, *flags).dom, namespaceHTMLElements=False)
    return words(named(found, "title")[0])


def test_no_page_is_wider_than_a_narrow_screen(written: Path, tmp_path: Path) -> None:
    page = written.read_text(encoding="utf-8")
    width = "document.documentElement.scrollWidth"
    # No window of Chromium's is narrower; a page that is as narrow as a telephone is in one.
    assert int(measure(page, tmp_path, width, "--window-size=500,900")) <= 500
    narrow = page.replace("<body>", '<body style="max-width: 360px">')
    inside = "Math.max(...Array.from(document.body.children, each => each.scrollWidth))"
    assert int(measure(narrow, tmp_path, inside, "--window-size=500,900")) <= 360


def full_size(size: str) -> InspectionReport:
    """An inspection of one of OpenAI's models, with statistics but without its weights."""
    one = raws.lazy("x", np.zeros(1, np.float32))
    tensors = tuple(
        replace(one, name=name, source_name=name, shape=shape, nbytes=4 * math.prod(shape))
        for name, shape in bundles.gpt2_shapes(bundles.OPENAI[size]).items()
    )
    raw = replace(raws.raw({}, bundles.OPENAI[size]), tensors=tensors)
    model = tuple(adopt(raw).values())
    random = np.random.default_rng(0)
    stats = tuple(
        TensorStats(
            each.size, 0, 0, -float(high), float(high), 0.01, float(high) / 4,
            tuple(random.integers(0, each.size, 32).tolist()),
        )
        for each, high in zip(model, random.uniform(1, 5, len(model)), strict=True)
    )  # fmt: skip
    return inspection(tensors=model, stats=stats)


@pytest.mark.parametrize(("size", "layers", "count"), [("124M", 12, 148), ("1558M", 48, 580)])
def test_models_of_full_size_are_drawn_within_their_pictures(
    size: str, layers: int, count: int, tmp_path: Path
) -> None:
    page = text(full_size(size))
    document = parse(page)
    histograms = [each for each in named(document, "path") if each.attrib["class"] == "outline"]
    assert len(histograms) == count
    summaries = [words(each) for each in named(document, "title")][1:]
    assert len(summaries) == 12
    assert all(each.startswith(f"{layers} layers") for each in summaries)
    written = tmp_path / "page.html"
    written.write_text(page, encoding="utf-8")
    found = visit(written)
    assert (found.console, found.requests) == ([], set())
    # As the browser lays them out: what reaches beyond its picture, and labels upon each other.
    astray = """(() => {
        const pictures = [...document.querySelectorAll("svg.wide")];
        const beyond = pictures.flatMap(picture => {
            const {width, height} = picture.viewBox.baseVal;
            return [...picture.querySelectorAll("path, text")].filter(each => {
                const box = each.getBBox();
                return box.x < 0 || box.y < 0
                    || box.x + box.width > width || box.y + box.height > height;
            });
        });
        const upon = pictures.flatMap(picture => {
            const boxes = [...picture.querySelectorAll("text")].map(each => each.getBBox());
            return boxes.filter((a, i) => boxes.some((b, j) => i < j
                && a.x < b.x + b.width && b.x < a.x + a.width
                && a.y + 3 < b.y + b.height && b.y + 3 < a.y + a.height));
        });
        return [pictures.length, beyond.length, upon.length];
    })()"""
    assert measure(page, tmp_path, astray) == "[12,0,0]"


def test_chromium_draws_it_light_and_dark(written: Path, tmp_path: Path) -> None:
    light = shoot(written, tmp_path / "light.png", 600)
    dark = shoot(written, tmp_path / "dark.png", 600, "--blink-settings=preferredColorScheme=0")
    for picture in (light, dark):
        assert picture.startswith(b"\x89PNG")
        assert struct.unpack(">II", picture[16:24]) == (600, 900)
    assert light != dark


def test_what_is_folded_on_the_screen_is_on_paper(tmp_path: Path) -> None:
    tensors = tuple(raws.lazy(f"x{number}", np.zeros(1)) for number in range(500))
    page = tmp_path / "page.html"
    page.write_text(text(inspection(tensors=tensors)), encoding="utf-8")
    folded = named(parse(page.read_text(encoding="utf-8")), "details")
    assert [words(each)[:13] for each in folded if "open" not in each.attrib] == ["Tensors (500)"]
    printed = print_page(page, tmp_path / "page.pdf")
    assert printed.startswith(b"%PDF")
    # Fewer than 100 rows of any size that can be read go on a page.
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) >= 5
