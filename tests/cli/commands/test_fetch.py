"""The command that fetches: what it prints, and what is left where it is stopped, or runs twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from support import bundles, mirrors
from support import web as server
from support.console import ERROR, PATIENCE, SCRIPT, run, run_in_terminal
from support.documents import assert_valid
from support.mirrors import COMMIT, REPOSITORY, Hub

from gpt2_convert.cli.program import run as run_here
from gpt2_convert.download.stage import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from support.web import Server

WEIGHTS = "model.safetensors"
LARGER = {"n_vocab": 5000, "n_ctx": 64, "n_embd": 256, "n_head": 4, "n_layer": 1}
"""A model of 8 MB: it takes a moment to come."""


@pytest.fixture
def hub(web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A Hub with a small model, which the environment names."""
    monkeypatch.setenv("HF_ENDPOINT", web.url)
    return Hub(web, mirrors.make_hf(tmp_path / "origin"), (WEIGHTS,))


@pytest.fixture
def larger(web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("HF_ENDPOINT", web.url)
    return Hub(web, mirrors.make_hf(tmp_path / "origin", LARGER), (WEIGHTS,))


@pytest.fixture
def mirror(web: Server, tmp_path: Path) -> Iterator[str]:
    files = mirrors.make_openai(tmp_path / "origin")
    with mirrors.publishing(mirrors.know(files)):
        yield mirrors.give_openai(web, files)


def contents(folder: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [SCRIPT, "fetch", REPOSITORY, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def wait_for(path: Path, nbytes: int) -> None:
    end = time.monotonic() + PATIENCE
    while not path.exists() or path.stat().st_size < nbytes:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_report_says_what_is_there_and_what_proves_it(
    mirror: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_here(["fetch", "124M", "--mirror", mirror]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == f"models/124M  from {mirror}/124M"
    assert lines[1].startswith("  fetched   checkpoint                      77 bytes, dd1b025d2e15")
    assert "  proven    all files: the SHA-256 is the published one" in lines
    assert run_here(["fetch", "124M", "--mirror", mirror]) == 0
    assert "  there     checkpoint" in capsys.readouterr().out
    assert run_here(["fetch", "124M", "--mirror", mirror, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_document_is_what_its_schema_says(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(["fetch", REPOSITORY, str(tmp_path / "tiny"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert_valid(document, "report")
    assert (document["kind"], document["commit"]) == ("fetch", COMMIT)
    assert {file["proof"] for file in document["files"]} == {"stated"}


def test_an_error_is_one_line_and_names_the_flag(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text("{}")
    arguments = ["fetch", REPOSITORY, str(tmp_path / "tiny")]
    assert run_here([*arguments, "--json"]) == 2
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert_valid(document, "report")
    assert document["error"]["type"] == "TargetExistsError"
    assert document["error"]["option"] == "force"
    assert err.startswith(ERROR)
    assert err.endswith("; --force replaces it\n")
    assert err.count("\n") == 1
    assert run_here([*arguments, "-f", "-q"]) == 0


def test_a_server_s_words_cannot_move_the_cursor(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.web.always[hub.path("merges.txt")] = server.answer_with(
        200, b"x", X_Repo_Commit="\x1b]0;", ETag=f'"{"1" * 40}"'
    )
    assert run_here(["fetch", REPOSITORY, str(tmp_path / "tiny")]) == 2
    err = capsys.readouterr().err
    assert err.rstrip("\n").isprintable()


def test_the_old_names_are_told_the_new_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(["fetch", "345M"]) == 2
    told = capsys.readouterr().err
    assert told == f"{ERROR}345M: an older name of 355M, which is to be fetched as 355M\n"


def test_a_token_is_in_nothing_that_is_printed(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("GPT2_CONVERT_TRACEBACK", "1")
    told = ""
    for wrong in (None, server.answer_with(403), server.redirect_to(hub.path(WEIGHTS))):
        if wrong is not None:
            hub.web.always[hub.path(WEIGHTS)] = wrong
        for form in ([], ["--json"]):
            done = run("fetch", REPOSITORY, tmp_path / f"{bool(wrong)}", *form)
            told += done.out + done.err
    assert "hf_secret" not in told
    assert "Signature" not in told
    assert "403 Forbidden; HF_TOKEN may not read" in told


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_fetch_that_is_stopped_goes_on_where_it_was(
    number: int, hub: Hub, tmp_path: Path
) -> None:
    folder = tmp_path / "models" / "tiny"
    hub.web.spoil(hub.storage(WEIGHTS), server.stall_after(100_000))
    process = start(folder)
    wait_for(folder / NAME / WEIGHTS, 100_000)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert out == b""
    if number == signal.SIGKILL:
        assert (process.returncode, err) == (-signal.SIGKILL, b"")
    else:
        assert process.returncode == 128 + number
        small = sum(len(body) for name, body in hub.files.items() if name != WEIGHTS)
        assert err.decode().endswith(
            f"; the {small + 100_000:,} bytes that have come are kept, and the next fetch goes on "
            "from there\n"
        )
        assert err.decode().startswith((f"{ERROR}interrupted; ", f"{ERROR}stopped by SIG"))
    assert os.listdir(folder) == [NAME]
    done = run("fetch", REPOSITORY, folder)
    assert (done.code, done.err) == (0, "")
    assert contents(folder) == hub.files
    asked = hub.web.asked(hub.storage(WEIGHTS) + "?Signature=secret")
    assert [each.headers.get("range") for each in asked] == [None, "bytes=100000-"]


def test_a_fetch_that_is_killed_again_and_again_is_done_in_the_end(
    larger: Hub, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    size = len(larger.files[WEIGHTS])
    for kill in range(1, 5):
        larger.web.spoil(larger.storage(WEIGHTS), stall_at(kill * size // 5))
        process = start(folder)
        wait_for(folder / NAME / WEIGHTS, kill * size // 5)
        process.kill()
        process.communicate()
        assert os.listdir(folder) == [NAME]
    assert run("fetch", REPOSITORY, folder, "-q").code == 0
    assert contents(folder) == larger.files
    asked = larger.web.asked(larger.storage(WEIGHTS) + "?Signature=secret")
    assert [each.headers.get("range") for each in asked] == [
        None, *(f"bytes={kill * size // 5}-" for kill in range(1, 5)),
    ]  # fmt: skip


def stall_at(position: int) -> server.Answer:
    """Give the file from where it is asked for to a position, and then nothing."""

    def answer(handler: server.Handler, file: server.File) -> None:
        begin = handler.asked_from(file)
        handler.send_response(200 if begin is None else 206)
        for name, value in file.headers.items():
            handler.send_header(name, value)
        if begin is not None:
            place = f"bytes {begin}-{len(file.body) - 1}/{len(file.body)}"
            handler.send_header("Content-Range", place)
        handler.send_header("Content-Length", str(len(file.body) - (begin or 0)))
        handler.end_headers()
        handler.wfile.write(file.body[begin or 0 : position])
        handler.wfile.flush()
        handler.server.web.over.wait(PATIENCE)
        handler.hang_up()

    return answer


def test_two_at_a_time_in_one_folder_fetch_it_once(larger: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    release = server.Held(1_000_000)
    larger.web.spoil(larger.storage(WEIGHTS), release.answer)
    first = start(folder)
    wait_for(folder / NAME / WEIGHTS, 1_000_000)
    second = start(folder)
    time.sleep(0.5)
    assert second.poll() is None
    release.go_on()
    for process in (first, second):
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err) == (0, b""), out
    assert contents(folder) == larger.files
    assert len(larger.web.asked(larger.storage(WEIGHTS) + "?Signature=secret")) == 1
    assert b"  there " in out
    assert b"  fetched " not in out


def test_a_file_shows_its_bytes_its_rate_and_the_time_left(larger: Hub, tmp_path: Path) -> None:
    larger.web.spoil(larger.storage(WEIGHTS), server.slowly(0.1))
    done = run_in_terminal("fetch", REPOSITORY, tmp_path / "models", columns=100)
    assert done.code == 0
    assert "model.safetensors" in done.err
    assert "MB/s" in done.err
    assert "verifying" in done.err


def test_without_urllib3_one_line_says_what_to_install(hub: Hub, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['urllib3'] = None\n"
        "import gpt2_convert.cli\n"
        "gpt2_convert.cli.main()\n"
    )
    command = [sys.executable, "-c", program, "fetch", REPOSITORY, str(tmp_path / "x")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"{ERROR}{hub.web.url}: fetching needs urllib3, which is not installed: "
        "pip install 'gpt2-convert[fetch]'\n"
    )


def test_help_does_not_need_urllib3_and_names_what_can_be_fetched(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_here(["fetch", "--help"]) == 0
    text = capsys.readouterr().out
    words = set(text.replace(",", " ").split())
    assert bundles.OPENAI.keys() | {"openai-community/gpt2", "HF_TOKEN", "HF_ENDPOINT"} <= words
