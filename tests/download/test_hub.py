"""The Hub states the commit and the digest of each file; what it does not state is not fetched."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

import pytest
from support import mirrors
from support import web as server
from support.mirrors import COMMIT, REPOSITORY, Hub

from gpt2_convert.download.client import Client
from gpt2_convert.download.content import GIT_SHA1, SHA256, Digest, Known
from gpt2_convert.download.hub import find_hub, plan_hub
from gpt2_convert.download.names import HubModel
from gpt2_convert.download.published import load_published
from gpt2_convert.errors import (
    ChecksumError,
    FetchError,
    FormatError,
    Gpt2ConvertError,
    SourceNotFoundError,
    UnsupportedError,
    UsageError,
)
from gpt2_convert.reports.fetch import Proof

if TYPE_CHECKING:
    from support.web import Server

    from gpt2_convert.download.plan import Plan

CONFIG = json.dumps(
    {"model_type": "gpt2", "vocab_size": 61, "n_positions": 16, "n_embd": 32, "n_layer": 3}
).encode()
WEIGHTS = b"weights" * 1000
FILES = {
    "config.json": CONFIG,
    "model.safetensors": WEIGHTS,
    "tokenizer.json": b'{"model": {}}',
    "README.md": b"# Nothing of this",
}
SHARDS = {
    "config.json": CONFIG,
    "model.safetensors.index.json": json.dumps(
        {"weight_map": {"a": "model-2.safetensors", "b": "model-1.safetensors"}}
    ).encode(),
    "model-1.safetensors": b"one",
    "model-2.safetensors": b"two",
}
LARGE = ("model.safetensors", "model-1.safetensors", "model-2.safetensors", "tokenizer.json")
OTHER_COMMIT = "2" * 40
TOKEN = "hf_secret"  # noqa: S105 - nobody's


@pytest.fixture(autouse=True)
def endpoint(web: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"{web.url}/")


def plan(revision: str = "main") -> Plan:
    model = HubModel(REPOSITORY, revision)
    return plan_hub(Client(find_hub(model)), model)


def refusal(kind: type[Gpt2ConvertError], revision: str = "main") -> str:
    with pytest.raises(kind) as caught:
        plan(revision)
    assert type(caught.value) is kind
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_model_is_its_configuration_its_tokenizer_and_its_weights(web: Server) -> None:
    Hub(web, FILES, LARGE)
    found = plan()
    assert [each.name for each in found.wanted] == [
        "config.json",
        "tokenizer.json",
        "model.safetensors",
    ]
    assert (found.name, found.commit, found.format) == (REPOSITORY, COMMIT, "safetensors")
    assert str(found.address) == f"{web.url}/{REPOSITORY}"
    small, _, large = found.wanted
    assert small.known == Known(len(CONFIG), Digest(GIT_SHA1, mirrors.git_sha1(CONFIG)))
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    assert large.known == Known(len(WEIGHTS), Digest(SHA256, sha256))
    assert (small.binary, large.binary) == (False, True)
    assert {each.proof for each in found.wanted} == {Proof.STATED}


def test_every_file_is_of_the_commit_that_the_revision_is_now(web: Server) -> None:
    Hub(web, FILES, LARGE)
    for each in plan().wanted:
        assert str(each.address) == f"{web.url}/{REPOSITORY}/resolve/{COMMIT}/{each.name}"
        assert each.commit == COMMIT
    asked = {request.path.split("/")[4] for request in web.requests[1:]}
    assert asked == {COMMIT}


def test_a_revision_may_have_slashes(web: Server) -> None:
    hub = Hub(web, FILES, LARGE)
    web.files[hub.path("config.json", "refs%2Fpr%2F1")] = web.files[hub.path("config.json")]
    assert plan("refs/pr/1").commit == COMMIT
    assert web.requests[0].path == f"/{REPOSITORY}/resolve/refs%2Fpr%2F1/config.json"


def test_a_commit_that_was_asked_for_is_the_one_that_is_fetched(web: Server) -> None:
    hub = Hub(web, FILES, LARGE)
    assert plan(COMMIT).commit == COMMIT
    web.files[hub.path("config.json", OTHER_COMMIT)] = web.files[hub.path("config.json")]
    told = refusal(FetchError, OTHER_COMMIT)
    assert f"is of the commit {COMMIT}, where {OTHER_COMMIT} was asked for" in told


def test_a_file_of_another_commit_is_refused(web: Server) -> None:
    hub = Hub(web, FILES, LARGE)
    web.files[hub.path("config.json")].headers["X-Repo-Commit"] = OTHER_COMMIT
    assert f"is of another commit than was asked for, {OTHER_COMMIT}" in refusal(FetchError)
    web.files[hub.path("config.json")].headers["X-Repo-Commit"] = COMMIT
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    web.always[hub.path("model.safetensors")] = server.redirect_to(
        hub.storage("model.safetensors"), X_Repo_Commit=OTHER_COMMIT, X_Linked_Etag=f'"{sha256}"'
    )
    told = refusal(FetchError)
    assert f"is of the commit {OTHER_COMMIT}, and other files of {COMMIT}; try again" in told


def test_what_states_no_commit_is_no_hub(web: Server) -> None:
    web.give(f"/{REPOSITORY}/resolve/main/config.json", CONFIG)
    assert "states no commit (X-Repo-Commit), so it is no Hugging Face Hub" in refusal(FetchError)


@pytest.mark.parametrize("tag", ['"d41d8cd98f00b204e9800998ecf8427e"', ""])
def test_a_file_that_nothing_could_prove_is_not_fetched(tag: str, web: Server) -> None:
    hub = Hub(web, FILES, LARGE)
    web.files[hub.path("tokenizer.json")] = server.File(b"{}", {"ETag": tag})
    web.always.pop(hub.path("tokenizer.json"))
    told = refusal(FetchError)
    assert "tokenizer.json: states neither the SHA-256 nor git's SHA-1 of the file" in told


def test_a_storage_s_own_etag_counts_for_nothing(web: Server) -> None:
    hub = Hub(web, FILES, LARGE)
    web.files[hub.storage("model.safetensors")].headers["ETag"] = f'"{"0" * 64}"'
    web.always[hub.path("model.safetensors")] = server.redirect_to(
        f"{web.other_url}{hub.storage('model.safetensors')}", X_Repo_Commit=COMMIT
    )
    assert "states neither" in refusal(FetchError)


def test_a_mirror_that_redirects_to_another_hub_is_followed(web: Server) -> None:
    hub = Hub(web, FILES, LARGE)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        for revision in ("main", COMMIT):
            path = hub.path(name, revision)
            given = web.always.get(path) or server.Handler.give
            web.always[f"/real{path}"] = lambda handler, file, give=given, at=path: give(  # type: ignore[misc]
                handler, web.files.get(at, file)
            )
            web.always[path] = server.redirect_to(f"{web.other_url}/real{path}", 308)
    assert [each.name for each in plan().wanted][-1] == "model.safetensors"


def test_large_files_may_come_from_the_hub_itself(web: Server) -> None:
    hub = Hub(web, FILES, ())
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    web.files[hub.path("model.safetensors")].headers["X-Linked-Etag"] = f'"{sha256}"'
    assert plan().wanted[-1].known == Known(len(WEIGHTS), Digest(SHA256, sha256))


def test_shards_are_those_that_the_index_names(web: Server) -> None:
    Hub(web, SHARDS, LARGE)
    assert [each.name for each in plan().wanted] == [
        "config.json",
        "model.safetensors.index.json",
        "model-1.safetensors",
        "model-2.safetensors",
    ]


@pytest.mark.parametrize(
    ("shard", "words"),
    [
        ("../model.safetensors", "the name of a file beside the index expected"),
        ("/etc/passwd", "the name of a file beside the index expected"),
        ("a\u001b[2J.safetensors", "the name of a file beside the index expected"),
        ("config.json", "'config.json': a .safetensors file expected"),
        (".lock", "'.lock': a .safetensors file expected"),
        (".x.safetensors", "'.x.safetensors': a .safetensors file expected"),
    ],
)
def test_an_index_names_no_other_files(shard: str, words: str, web: Server) -> None:
    index = json.dumps({"weight_map": {"a": shard}}).encode()
    Hub(web, {**SHARDS, "model.safetensors.index.json": index}, LARGE)
    assert words in refusal(FormatError)


def test_an_index_names_no_thousands_of_shards(web: Server) -> None:
    names = {str(number): f"model-{number}.safetensors" for number in range(1001)}
    index = json.dumps({"weight_map": names}).encode()
    Hub(web, {**SHARDS, "model.safetensors.index.json": index}, LARGE)
    assert "names 1,001 shards" in refusal(FormatError)
    assert len(web.requests) < 20


def test_a_shard_that_is_missing_is_told(web: Server) -> None:
    Hub(web, {name: body for name, body in SHARDS.items() if name != "model-2.safetensors"}, LARGE)
    told = refusal(SourceNotFoundError)
    assert told.startswith(f"{web.url}/{REPOSITORY}/resolve/{COMMIT}/model-2.safetensors: 404")


def test_an_index_that_is_not_the_stated_one_is_refused(web: Server) -> None:
    hub = Hub(web, SHARDS, LARGE)
    path = hub.path("model.safetensors.index.json")
    file = web.files[path]
    file.body = file.body.replace(b"model-2", b"model-3")
    assert "index.json: git SHA-1" in refusal(ChecksumError)


def test_another_model_is_refused_before_its_weights_are_looked_for(web: Server) -> None:
    Hub(web, {**FILES, "config.json": b'{"model_type": "bert"}'}, LARGE)
    told = refusal(UnsupportedError)
    assert told == (
        f"{web.url}/{REPOSITORY}/resolve/{COMMIT}/config.json: model_type is 'bert', and only "
        "'gpt2' is known"
    )
    assert len(web.requests) == 2


def test_a_pytorch_file_is_fetched_where_there_is_nothing_better(web: Server) -> None:
    both = {"config.json": CONFIG, "pytorch_model.bin": WEIGHTS, "optimizer.pt": WEIGHTS}
    Hub(web, both, ("pytorch_model.bin",))
    _, weights = plan().wanted
    assert (weights.name, weights.binary) == ("pytorch_model.bin", True)
    assert weights.known.digest == Digest(SHA256, hashlib.sha256(WEIGHTS).hexdigest())
    for better in (FILES, SHARDS):
        Hub(web, {**both, **better}, ("pytorch_model.bin", *LARGE))
        assert "pytorch_model.bin" not in [each.name for each in plan().wanted]


def test_so_are_the_shards_of_one(web: Server) -> None:
    index = json.dumps({"weight_map": {"a": "pytorch_model-1.bin"}}).encode()
    files = {
        "config.json": CONFIG,
        "pytorch_model.bin.index.json": index,
        "pytorch_model-1.bin": b"one",
    }
    Hub(web, files, ("pytorch_model-1.bin",))
    assert [each.name for each in plan().wanted] == list(files)
    other = json.dumps({"weight_map": {"a": "model-1.safetensors"}}).encode()
    Hub(web, {**files, "pytorch_model.bin.index.json": other}, ())
    assert "'model-1.safetensors': a .bin file expected" in refusal(FormatError)


def test_no_weights_at_all_are_told(web: Server) -> None:
    Hub(web, {"config.json": CONFIG}, ())
    assert re.search("has none of 'model.safetensors', .*, 'pytorch_model.bin.index.json'; check "
                     "some-owner/tiny and its revision",
                     refusal(SourceNotFoundError))  # fmt: skip


def test_no_such_model_is_told(web: Server) -> None:
    told = refusal(SourceNotFoundError)
    assert told == (
        f"{web.url}/{REPOSITORY}/resolve/main/config.json: 404 Not Found: every model of "
        f"transformers has it; check {REPOSITORY} and its revision 'main'"
    )


def test_no_such_revision_is_told(web: Server) -> None:
    path = f"/{REPOSITORY}/resolve/v9/config.json"
    web.always[path] = server.answer_with(404, X_Error_Code="RevisionNotFound")
    assert f"{path}: 404 Not Found; check {REPOSITORY} and its revision 'v9'" in refusal(
        SourceNotFoundError, "v9"
    )


def test_a_gated_model_asks_for_a_token(web: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/{REPOSITORY}/resolve/main/config.json"
    web.always[path] = server.answer_with(401, X_Error_Code="GatedRepo")
    assert "is private or gated: check the name, or set HF_TOKEN" in refusal(FetchError)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    web.always[path] = server.answer_with(403, X_Error_Code="GatedRepo")
    told = refusal(FetchError)
    assert "HF_TOKEN may not read some-owner/tiny: accept its terms on its page" in told
    assert TOKEN not in told


def test_the_token_is_for_the_hub_alone(web: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", f" {TOKEN}\n")
    Hub(web, FILES, LARGE)
    found = plan()
    assert {each.headers.get("authorization") for each in web.requests} == {f"Bearer {TOKEN}"}
    assert all(each.host.startswith("127.0.0.1") for each in web.requests)
    assert TOKEN not in repr(found)


@pytest.mark.parametrize(
    ("endpoint", "token", "words"),
    [
        ("http://example.org", TOKEN, "HF_ENDPOINT is http://example.org, to which HF_TOKEN would"),
        ("https://me:pw@example.org", TOKEN, "has a name and password, and HF_TOKEN is set"),
        ("https://example.org", "hf\r\nX: 1", "HF_TOKEN: holds a character that no token has"),
        ("https://example.org", "hf secret", "HF_TOKEN: holds a character that no token has"),
        ("example.org", "", "HF_ENDPOINT: an address such as"),
    ],
)
def test_an_environment_that_makes_no_sense_is_refused(
    endpoint: str, token: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(UsageError) as caught:
        find_hub(HubModel(REPOSITORY))
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_the_hub_is_hugging_face_s_where_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "")
    assert str(find_hub(HubModel("openai-community/gpt2")).address) == "https://huggingface.co"


def test_what_is_published_goes_before_what_a_hub_states(
    web: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = load_published().hub.known
    published = known["openai-community/gpt2", COMMIT, "model.safetensors"]
    assert published == Known(
        548_105_171,
        Digest(SHA256, "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707"),
    )
    monkeypatch.setitem(known, (REPOSITORY, COMMIT, "model.safetensors"), published)
    Hub(web, FILES, LARGE)
    assert f"where {published.digest} is published" in refusal(FormatError)
    right = Known(len(WEIGHTS), Digest(SHA256, hashlib.sha256(WEIGHTS).hexdigest()))
    monkeypatch.setitem(known, (REPOSITORY, COMMIT, "model.safetensors"), right)
    assert plan().wanted[-1].proof is Proof.PUBLISHED
