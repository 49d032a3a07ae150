"""Reports go where they are sent, whole or not at all, and replace nothing but a report."""

from __future__ import annotations

import json
import os
import re
import signal
import zipfile
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import pytest
from markdown_it import MarkdownIt
from support import bundles, hostile
from support.console import finish, start_held

import gpt2_convert
from gpt2_convert.cli.program import run
from gpt2_convert.cli.report_files import ReportFile, parse_report
from gpt2_convert.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("text", "format", "path"),
    [
        ("a.json", "json", "a.json"),
        ("a.MD", "markdown", "a.MD"),
        ("x/a.html", "html", "x/a.html"),
        ("a.xml", "junit", "a.xml"),
        ("github:-", "github", "-"),
        ("markdown:/a/b_c", "markdown", "/a/b_c"),
        ("json:a.xml", "json", "a.xml"),
        ("./a:b.json", "json", "./a:b.json"),
        ("json:a:b", "json", "a:b"),
    ],
)
def test_a_format_is_named_or_told_by_the_suffix(text: str, format: str, path: str) -> None:
    assert parse_report(text) == ReportFile(format, path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-", "in which format"),
        ("a.txt", "in which format.*json:a.txt"),
        ("pdf:a", "no such format of reports: 'pdf'; there are: json, markdown, html, junit, git"),
        ("json:", "name a file after the colon"),
        ("", "in which format"),
    ],
)
def test_what_names_no_format_or_file_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_report(text)


def test_every_report_of_a_job_is_written_and_one_goes_to_stdout(
    tiny: Path, tmp_path: Path, capsys: Capture
) -> None:
    files = {name: tmp_path / f"r.{name}" for name in ("json", "md", "xml")}
    options = [part for path in files.values() for part in ("--report", str(path))]
    target = str(tmp_path / "out.npz")
    assert run(["tf2npz", str(tiny), target, *options, "--report", "github:-"]) == 0
    assert capsys.readouterr().out.startswith("::notice title=gpt2-convert tf2npz::verified")
    assert json.loads(files["json"].read_text())["verified"] is True
    assert files["md"].read_text().startswith("### ")
    assert files["xml"].read_text().startswith("<?xml")


def test_markdown_is_added_to_a_file_and_other_reports_replace_reports(
    tiny: Path, tmp_path: Path
) -> None:
    summary, document = tmp_path / "summary", tmp_path / "r.json"
    summary.write_text("before\n")
    for _ in range(2):
        arguments = ["--report", f"markdown:{summary}", "--report", str(document), "-q"]
        assert run(["inspect", str(tiny), *arguments]) == 0
    text = summary.read_text()
    assert text.startswith("before\n")
    assert text.count("\n- **program**") == 2
    assert json.loads(document.read_text())["kind"] == "inspection"


def test_a_job_that_fails_writes_its_reports(tmp_path: Path, capsys: Capture) -> None:
    document, cases = tmp_path / "r.json", tmp_path / "r.xml"
    absent = str(tmp_path / "absent")
    assert run(["inspect", absent, "--report", str(document), "--report", str(cases)]) == 2
    assert json.loads(document.read_text())["error"]["type"] == "SourceNotFoundError"
    assert '<error type="job" message=' in cases.read_text()
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("reports", "says"),
    [
        (["a.json", "./a.json"], "two things would go to"),
        (["json:-", "github:-"], "two things would go to stdout"),
        (["absent/a.json"], "there is no folder"),
        (["json:tiny"], "is a source or the target|is a folder"),
        (["json:old.txt"], "is no report, and would be replaced"),
        (["markdown:data.txt"], "is no text"),
        (["json:out.npz"], "is a source or the target"),
    ],
)
def test_a_report_that_could_not_be_written_stops_the_job_before_it_begins(
    reports: list[str],
    says: str,
    tiny: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    os.symlink(tiny, "tiny")
    (tmp_path / "old.txt").write_text("mine\n")
    (tmp_path / "data.txt").write_bytes(b"\0\1")
    options = [part for each in reports for part in ("--report", each)]
    before = sorted(os.listdir())
    assert run(["tf2npz", "tiny", "out.npz", *options]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert any(each in said.err for each in says.split("|"))
    assert sorted(os.listdir()) == before
    assert (tmp_path / "old.txt").read_text() == "mine\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_report_that_cannot_be_written_after_all_is_told_and_the_target_is_there(
    tiny: Path, tmp_path: Path, capsys: Capture
) -> None:
    target = tmp_path / "out.npz"
    assert run(["tf2npz", str(tiny), str(target), "--report", "json:/dev/full"]) == 2
    assert "no space left on device; " in capsys.readouterr().err
    assert target.exists()


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["convert", "models/tiny", "out.xyz"], "UsageError"),
        (["hf2npz", "models/tiny", "out.npz"], "UsageError"),
        (["convert", "models/tiny", "absent/out.npz"], "TargetError"),
        (["verify", "models/tiny", "models/tiny", "--max-kl", "1"], "UsageError"),
        (["digest", "models/tiny", "--check", "absent"], "SourceNotFoundError"),
        (["fetch", "a/b/c"], "UsageError"),
        (["generate", "models/tiny", "x", "--ids"], "UsageError"),
    ],
)  # fmt: skip
def test_reports_of_every_format_say_what_ended_the_job(
    arguments: list[str],
    kind: str,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["r.json", "r.md", "r.html", "r.xml", "github:r.txt"]
    options = [part for each in names for part in ("--report", each)]
    assert run([*arguments, *options]) == 2
    said = capsys.readouterr().err.removeprefix("gpt2-convert: ").rstrip()
    document = json.loads((tmp_path / "r.json").read_text())
    assert (document["error"]["type"], document["error"]["message"]) == (kind, said)
    assert "❌" in (tmp_path / "r.md").read_text()
    assert f'<testcase classname="{arguments[0]} job"' in (tmp_path / "r.xml").read_text()
    assert (tmp_path / "r.txt").read_text().startswith("::error title=")


def test_a_failed_proof_writes_the_findings_and_the_error(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert = gpt2_convert.convert
    (tmp_path / "place").mkdir()
    monkeypatch.chdir(tmp_path / "place")

    def damage(phase: str, done: int, total: int) -> None:
        if (phase, done) == ("verifying", 0):
            (partial,) = (tmp_path / "place").glob("*.partial/out.npz")
            content = bytearray(partial.read_bytes())
            content[content.index(b"ln_f.g.npy") + 200] ^= 1
            partial.write_bytes(content)

    def damaging(*arguments: Any, **options: Any) -> gpt2_convert.ConversionReport:  # noqa: ANN401
        return convert(*arguments, **{**options, "progress": damage})

    monkeypatch.setattr(gpt2_convert, "convert", damaging)
    names = ["r.json", "r.md", "r.xml", "github:r.txt"]
    options = [part for each in names for part in ("--report", each)]
    assert run(["tf2npz", str(tiny), "out.npz", "-q", "--sums", "S", *options]) == 1
    assert sorted(os.listdir()) == ["r.json", "r.md", "r.txt", "r.xml"]
    document = json.loads((tmp_path / "place/r.json").read_text())
    assert [each["tensor"] for each in document["findings"]] == ["ln_f.g"]
    assert "it was discarded" in (tmp_path / "place/r.md").read_text()
    cases = ElementTree.parse(tmp_path / "place/r.xml").getroot()[0]  # noqa: S314 - our own
    assert {key: cases.get(key) for key in ("failures", "errors")} == {
        "failures": "1",
        "errors": "1",
    }
    assert len(list(cases.iter("testcase"))) == len(bundles.gpt2_arrays()) + 2
    lines = (tmp_path / "place/r.txt").read_text().splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["::error", "::error"]


@pytest.mark.parametrize("phase", ["writing", "verifying"])
def test_an_interrupted_job_writes_no_report_and_no_sums(
    phase: str, tiny: Path, tmp_path: Path
) -> None:
    files = ["--report", "r.json", "--report", "r.md", "--report", "r.xml", "--sums", "S"]
    before = sorted(os.listdir(tmp_path))
    process = start_held(phase, 0.5, "tf2npz", tiny, "out.npz", *files, cwd=tmp_path)
    process.send_signal(signal.SIGINT)
    assert finish(process).code == 130
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "models/tiny"],
        ["digest", "models/tiny"],
        ["verify", "models/tiny", "models/tiny"],
        ["generate", "models/tiny", "1 2", "--ids", "-n", "2"],
        ["inspect", "absent"],
    ],
)
def test_the_report_in_json_is_the_document(
    arguments: list[str],
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = []
    for more in (["--json"], ["--report", "json:-"], ["-q", "--report", "json:/dev/stdout"]):
        run([*arguments, *more])
        document = json.loads(capsys.readouterr().out)
        for key in ("duration", "seconds", "tokens_per_second"):
            document.pop(key, None)
        printed.append(document)
    assert printed[0] == printed[1] == printed[2]
    code = run([*arguments, "--json", "--report", "r.json", "-q"])
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is (code == 0)
    assert json.loads((tmp_path / "r.json").read_text()) == document


def test_hostile_names_of_a_real_file_are_text_in_every_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [name for name in hostile.NAMES if not re.search("[\0\ud800-\udfff]", name)]
    for path, fill in (("a.npz", 0.0), ("b.npz", 1.0)):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                with archive.open(f"{name}.npy", "w") as member:
                    np.save(member, np.full(3, fill, np.float32))
    files = ["r.json", "r.md", "r.html", "r.xml", "github:r.txt"]
    options = [part for each in files for part in ("--report", each)]
    assert run(["verify", "--as-is", "a.npz", "b.npz", "-q", *options]) == 1
    document = json.loads((tmp_path / "r.json").read_text())
    assert {each["tensor"] for each in document["findings"]} == set(names)
    cases = ElementTree.parse("r.xml").getroot().iter("testcase")  # noqa: S314 - our own
    assert sorted(case.attrib["name"] for case in cases) == sorted(map(hostile.shown, names))
    spans = {
        child.content
        for token in MarkdownIt("gfm-like").parse((tmp_path / "r.md").read_text())
        for child in token.children or ()
        if child.type == "code_inline"
    }
    assert {hostile.shown(name) for name in names} <= spans
    lines = (tmp_path / "r.txt").read_text().splitlines()
    assert len(lines) == 10
    assert all(line.startswith("::error title=gpt2-convert verify::") for line in lines)
    assert "<script>" not in (tmp_path / "r.html").read_text()
    for each in ("r.json", "r.md", "r.html", "r.xml", "r.txt"):
        text = (tmp_path / each).read_text()
        assert all(char.isprintable() or char == "\n" for char in text)
