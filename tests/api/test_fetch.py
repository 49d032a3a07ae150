"""A fetch gives a folder that is proven, whole and what others open; or nothing under its name."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support import bundles, mirrors, raws, torch_files
from support import web as server
from support.documents import assert_valid
from support.mirrors import COMMIT, DATA, INDEX, META, REPOSITORY, Hub

import gpt2_convert
from gpt2_convert.download.content import Known
from gpt2_convert.download.stage import NAME
from gpt2_convert.reports.fetch import Proof

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.web import Server

    from gpt2_convert.errors import Gpt2ConvertError


@pytest.fixture
def openai(tmp_path: Path) -> dict[str, bytes]:
    return mirrors.make_openai(tmp_path / "origin")


@pytest.fixture
def mirror(web: Server, openai: dict[str, bytes]) -> Iterator[str]:
    """A mirror of a small model that is published under the name 124M, digests and all."""
    with mirrors.publishing(mirrors.know(openai)):
        yield mirrors.give_openai(web, openai)


@pytest.fixture
def unhashed(web: Server, openai: dict[str, bytes]) -> Iterator[str]:
    """A mirror of a model of which sizes are published, and those of the larger files alone."""
    sizes = mirrors.know(openai, hashed=False)
    known = {name: sizes[name] if name in (DATA, INDEX) else Known() for name in openai}
    with mirrors.publishing(known, "774M"):
        yield mirrors.give_openai(web, openai, "774M")


@pytest.fixture
def hf(tmp_path: Path) -> dict[str, bytes]:
    return mirrors.make_hf(tmp_path / "origin")


@pytest.fixture
def hub(web: Server, hf: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("HF_ENDPOINT", web.url)
    return Hub(web, hf, ("model.safetensors",))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_model_of_openai_s_is_there_and_proven(
    mirror: str, openai: dict[str, bytes], tmp_path: Path
) -> None:
    report = gpt2_convert.fetch("124M", tmp_path / "124M", mirror=mirror)
    assert report
    assert contents(tmp_path / "124M") == openai
    assert (report.name, report.folder, report.format) == (
        "124M", str(tmp_path / "124M"), "tensorflow",
    )  # fmt: skip
    assert (report.address, report.commit) == (f"{mirror}/124M", None)
    assert {file.name: file.sha256 for file in report.files} == {
        name: hashlib.sha256(body).hexdigest() for name, body in openai.items()
    }
    assert {file.proof for file in report.files} == {Proof.PUBLISHED}
    assert report.unproven == ()
    assert report.fetched_nbytes == sum(map(len, openai.values()))
    assert (report.totals.tensors, report.totals.dtype) == (len(raws.canonical()), "float32")
    assert_valid(report.as_json(), "report")
    with gpt2_convert.open(tmp_path / "124M") as checkpoint:
        np.testing.assert_array_equal(checkpoint["wte"].array(), raws.canonical()["wte"])


def test_a_second_fetch_asks_for_nothing(
    mirror: str, web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpt2_convert.fetch("124M", tmp_path, mirror=mirror)
    web.requests.clear()
    monkeypatch.setitem(sys.modules, "gpt2_convert.download.client", None)  # not even urllib3
    report = gpt2_convert.fetch("124M", tmp_path, mirror=mirror)
    assert not web.requests
    assert not any(file.fetched for file in report.files)
    assert report.fetched_nbytes == 0
    assert_valid(report.as_json(), "report")


def test_a_folder_of_its_own_is_the_default(
    mirror: str, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert gpt2_convert.fetch("124M", mirror=mirror).folder == "models/124M"
    folder = "models/some-owner/tiny"
    assert gpt2_convert.fetch(f"{REPOSITORY}@main").folder == folder
    assert {DATA, "checkpoint"} < set(os.listdir("models/124M"))
    assert "config.json" in os.listdir(folder)


def test_data_without_a_published_digest_is_proven_by_its_index(
    unhashed: str, openai: dict[str, bytes], tmp_path: Path
) -> None:
    seen: list[str] = []
    report = gpt2_convert.fetch(
        "774M", tmp_path / "774M", mirror=unhashed, progress=lambda *step: seen.append(step[0])
    )
    assert contents(tmp_path / "774M") == openai
    proofs = {file.name: file.proof for file in report.files}
    assert (proofs[DATA], proofs[INDEX], proofs[META]) == (
        Proof.CHECKSUMS, Proof.CHECKSUMS, Proof.SIZE,
    )  # fmt: skip
    assert [file.name for file in report.unproven] == list(openai_order())
    assert report.as_json()["origin_proven"] is False
    assert_valid(report.as_json(), "report")
    assert seen[-1] == "verifying"
    again = gpt2_convert.fetch("774M", tmp_path / "774M", mirror=unhashed)
    assert again.fetched_nbytes == 0
    assert again.files == tuple(
        gpt2_convert.FetchedFile(file.name, file.nbytes, file.sha256, file.proof, False)
        for file in report.files
    )


def openai_order() -> tuple[str, ...]:
    return ("checkpoint", "hparams.json", "encoder.json", "vocab.bpe", INDEX, META, DATA)


def refusal(
    name: str, folder: Path, *, mirror: str | None = None, force: bool = False
) -> Gpt2ConvertError:
    """Return the error of a fetch, after which nothing but the stage is in the folder."""
    before = contents(folder) if folder.exists() else {}
    with pytest.raises(gpt2_convert.Gpt2ConvertError) as caught:
        gpt2_convert.fetch(name, folder, mirror=mirror, force=force)
    if folder.exists():
        assert {path.name for path in folder.iterdir()} <= {*before, NAME}
    assert "\n" not in str(caught.value)
    return caught.value


def spoiled(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


@pytest.mark.parametrize("name", [DATA, INDEX])
def test_a_flipped_bit_is_found_without_a_published_digest(
    name: str, unhashed: str, openai: dict[str, bytes], web: Server, tmp_path: Path
) -> None:
    web.give(mirrors.path_of(name, "774M"), spoiled(openai[name], 100))
    error = refusal("774M", tmp_path / "774M", mirror=unhashed)
    assert isinstance(error, gpt2_convert.FormatError)
    assert f"{unhashed}/774M: cannot be proven, and was discarded: {name.split('-')[0]}" in str(
        error
    )
    assert not (tmp_path / "774M").exists()


def test_data_of_another_model_is_found(
    web: Server, openai: dict[str, bytes], tmp_path: Path
) -> None:
    longer = {**openai, DATA: openai[DATA] + bytes(4)}
    known = {name: Known() for name in openai}
    with mirrors.publishing(known, "774M"):
        mirror = mirrors.give_openai(web, longer, "774M")
        error = refusal("774M", tmp_path / "774M", mirror=mirror)
    assert f"has {len(longer[DATA]):,} bytes, and the tensors of the index have" in str(error)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("hparams.json", b'{"n_vocab": 61'),
        ("hparams.json", b'{"n_vocab": 62, "n_ctx": 16, "n_embd": 32, "n_head": 4, "n_layer": 3}'),
        ("encoder.json", b'{"a": 0, "b": 0}'),
        ("vocab.bpe", b"#version: 0.2\na b c\n"),
        ("checkpoint", b"model_checkpoint_path: 7\n"),
        ("checkpoint", b'model_checkpoint_path: "../../elsewhere"\n'),
    ],
)
def test_a_text_that_is_not_what_it_should_be_is_found(
    name: str, body: bytes, unhashed: str, web: Server, tmp_path: Path
) -> None:
    web.give(mirrors.path_of(name, "774M"), body)
    error = refusal("774M", tmp_path / "774M", mirror=unhashed)
    assert f"{unhashed}/774M: cannot be proven, and was discarded: " in str(error)
    assert name in str(error)
    assert NAME not in str(error)


def test_data_that_was_there_and_is_damaged_is_refused_or_fetched_again(
    unhashed: str, openai: dict[str, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "774M"
    gpt2_convert.fetch("774M", folder, mirror=unhashed)
    (folder / DATA).write_bytes(spoiled(openai[DATA], 7))
    error = refusal("774M", folder, mirror=unhashed)
    assert isinstance(error, gpt2_convert.TargetExistsError)
    assert "what is there already cannot be proven" in str(error)
    assert error.advice
    assert (error.advice.option, error.advice.value) == ("force", True)
    gpt2_convert.fetch("774M", folder, mirror=unhashed, force=True)
    assert contents(folder) == openai


def test_another_model_in_the_folder_is_never_replaced_unasked(
    mirror: str, openai: dict[str, bytes], tmp_path: Path
) -> None:
    arrays = bundles.gpt2_arrays(seed=1)
    mine = bundles.write_gpt2(tmp_path / "124M", arrays=arrays)
    before = contents(mine)
    error = refusal("124M", mine, mirror=mirror)
    assert "is there already, and is another file than at" in str(error)
    assert contents(mine) == before
    gpt2_convert.fetch("124M", mine, mirror=mirror, force=True)
    assert contents(mine) == openai


def test_a_model_of_the_hub_is_there_and_proven(
    hub: Hub, hf: dict[str, bytes], tmp_path: Path
) -> None:
    report = gpt2_convert.fetch(REPOSITORY, tmp_path / "tiny")
    assert contents(tmp_path / "tiny") == hf
    assert (report.name, report.format, report.commit) == (REPOSITORY, "safetensors", COMMIT)
    assert report.address == f"{hub.web.url}/{REPOSITORY}"
    assert {file.proof for file in report.files} == {Proof.STATED}
    assert report.files[-1].name == "model.safetensors"
    assert_valid(report.as_json(), "report")
    hub.web.requests.clear()
    assert gpt2_convert.fetch(REPOSITORY, tmp_path / "tiny").fetched_nbytes == 0
    asked = [each.path for each in hub.web.requests if each.method == "GET"]
    assert asked == [hub.path("config.json")]  # read before anything else, and not kept


def test_a_model_of_a_pytorch_file_is_there_and_proven(
    web: Server, hf: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", web.url)
    del hf["model.safetensors"]
    body = torch_files.zip_file(torch_files.state_dict(raws.huggingface()))
    hf["pytorch_model.bin"] = body
    hub = Hub(web, hf, ("pytorch_model.bin",))
    report = gpt2_convert.fetch(REPOSITORY, tmp_path / "tiny")
    assert contents(tmp_path / "tiny") == hf
    assert report.totals.tensors == len(raws.canonical())
    assert_valid(report.as_json(), "report")
    assert gpt2_convert.convert(tmp_path / "tiny", tmp_path / "out.npz").ok
    # Whole, and what the Hub states, but a program.
    program = torch_files.zipped({"data.pkl": b"cos\nsystem\n."})
    hub.put("pytorch_model.bin", program, large=True)
    error = refusal(REPOSITORY, tmp_path / "other")
    assert "cannot be proven, and was discarded: pytorch_model.bin: data.pkl: asks for" in str(
        error
    )
    assert not (tmp_path / "other").exists()


def test_a_model_in_shards_is_there_whole(
    web: Server, hf: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whole.safetensors").write_bytes(hf.pop("model.safetensors"))
    tensors = load_file(tmp_path / "whole.safetensors")
    weight_map: dict[str, str] = {}
    for number in (1, 2):
        shard = f"model-0000{number}-of-00002.safetensors"
        part = {
            name: array for i, (name, array) in enumerate(tensors.items()) if i % 2 + 1 == number
        }
        weight_map |= dict.fromkeys(part, shard)
        save_file(part, tmp_path / shard)
        hf[shard] = (tmp_path / shard).read_bytes()
    hf["model.safetensors.index.json"] = json.dumps({"weight_map": weight_map}).encode()
    monkeypatch.setenv("HF_ENDPOINT", web.url)
    Hub(web, hf, tuple(weight_map.values()))
    gpt2_convert.fetch(REPOSITORY, tmp_path / "tiny")
    assert contents(tmp_path / "tiny") == hf
    with gpt2_convert.open(tmp_path / "tiny") as checkpoint:
        assert set(checkpoint) == set(raws.canonical())


def test_the_token_is_shown_to_the_hub_and_to_no_storage(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    report = gpt2_convert.fetch(REPOSITORY, tmp_path / "tiny")
    shown = {(each.host[:9], each.headers.get("authorization")) for each in hub.web.requests}
    assert shown == {("127.0.0.1", "Bearer hf_secret"), ("localhost", None)}
    assert "secret" not in f"{report}{report.as_json()}"


def test_a_hub_that_lies_about_a_digest_gives_nothing(hub: Hub, tmp_path: Path) -> None:
    hub.web.files[hub.storage("model.safetensors")].body = spoiled(
        hub.files["model.safetensors"], 5000
    )
    error = refusal(REPOSITORY, tmp_path / "tiny")
    assert isinstance(error, gpt2_convert.ChecksumError)
    assert f"{hub.web.url}{hub.path('model.safetensors')}: SHA-256" in str(error)


def test_weights_that_are_no_gpt2_are_discarded(hub: Hub, tmp_path: Path) -> None:
    save_file({"x": np.zeros(3, np.float32)}, tmp_path / "x.safetensors")
    hub.put("model.safetensors", (tmp_path / "x.safetensors").read_bytes(), large=True)
    error = refusal(REPOSITORY, tmp_path / "tiny")
    assert isinstance(error, gpt2_convert.UnsupportedError)
    assert "cannot be proven, and was discarded: model.safetensors: " in str(error)
    assert not (tmp_path / "tiny").exists()


def test_what_changes_on_the_hub_is_refused_where_it_is_there_already(
    hub: Hub, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    gpt2_convert.fetch(REPOSITORY, folder)
    hub.commit = "1" * 40
    for name, body in hub.files.items():
        hub.put(name, body, large=name == "model.safetensors")
    hub.put("merges.txt", b"#version: 0.2\nb a\n", large=False)
    assert "merges.txt: is there already" in str(refusal(REPOSITORY, folder))
    assert gpt2_convert.fetch(f"{REPOSITORY}@{COMMIT}", folder).fetched_nbytes == 0
    report = gpt2_convert.fetch(REPOSITORY, folder, force=True)
    assert report.commit == "1" * 40
    assert [file.name for file in report.files if file.fetched] == ["merges.txt"]


WRONG = {
    "a page": server.answer_with(200, b"<html>", Content_Type="text/html"),
    "a short body": server.break_after(1000),
    "a long body": server.answer_with(200, bytes(1_000_000)),
    "another file": server.answer_with(200, bytes(162_560)),
    "not found": server.answer_with(404),
    "no range": server.answer_with(416),
    "failing": server.answer_with(503),
    "in a loop": server.redirect_to(mirrors.path_of(DATA)),
}


@pytest.mark.parametrize("kind", WRONG)
def test_whatever_a_server_does_is_one_line_and_no_file(
    kind: str, mirror: str, web: Server, tmp_path: Path
) -> None:
    web.always[mirrors.path_of(DATA)] = WRONG[kind]
    error = refusal("124M", tmp_path / "124M", mirror=mirror)
    assert str(error).startswith(f"{mirror}/124M/{DATA}: ")
    web.always.clear()
    report = gpt2_convert.fetch("124M", tmp_path / "124M", mirror=mirror)
    assert len(web.asked(mirrors.path_of("vocab.bpe"))) == 1  # it was kept
    assert report.ok


@pytest.mark.parametrize(
    ("name", "mirror", "words"),
    [
        ("117M", None, "an older name of 124M"),
        ("models/124M", None, "a path; name the model first"),
        ("gpt2", None, "named with its owner: openai-community/gpt2"),
        (REPOSITORY, "http://127.0.0.1:9", "a mirror has OpenAI's files; HF_ENDPOINT names"),
        ("124M", "ftp://example.org", "the mirror: an address such as"),
    ],
)
@pytest.mark.usefixtures("web")
def test_what_makes_no_sense_is_a_usage_error(
    name: str, mirror: str | None, words: str, tmp_path: Path
) -> None:
    error = refusal(name, tmp_path / "new", mirror=mirror)
    assert isinstance(error, gpt2_convert.UsageError)
    assert words in str(error)
    assert not (tmp_path / "new").exists()


def test_what_was_fetched_converts(mirror: str, hub: Hub, tmp_path: Path) -> None:
    gpt2_convert.fetch("124M", tmp_path / "124M", mirror=mirror)
    gpt2_convert.fetch(REPOSITORY, tmp_path / "hf")
    assert gpt2_convert.verify(tmp_path / "124M", tmp_path / "hf").ok
    report = gpt2_convert.convert(tmp_path / "124M", tmp_path / "out", to="hf")
    assert {copied.name for copied in report.companions} == {"vocab.json", "merges.txt"}
