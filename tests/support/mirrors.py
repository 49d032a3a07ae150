"""Small models at addresses, in OpenAI's layout and in the Hub's, and what is published of them."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from support import bundles
from support.web import File, redirect_to

import gpt2_convert
from gpt2_convert.download import hub, names, openai
from gpt2_convert.download.content import SHA256, Digest, Known
from gpt2_convert.download.published import load_published

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from support.web import Server

INDEX = "model.ckpt.index"
DATA = "model.ckpt.data-00000-of-00001"
META = "model.ckpt.meta"
COMMIT = "607a30d783dfa663caf39e06633721c8d4cfcd7e"
REPOSITORY = "some-owner/tiny"
ENVIRONMENT = (
    "HF_ENDPOINT", "HF_TOKEN", "http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY",
    "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE",
)  # fmt: skip
"""What a test must not take from the machine that it runs on."""


def make_openai(folder: Path, sizes: Mapping[str, int] = bundles.TINY) -> dict[str, bytes]:
    """Return the seven files of a small model as OpenAI lays it out."""
    bundles.write_gpt2(folder, sizes)
    (folder / META).write_bytes(b"\x0a\x03graph")
    (folder / "encoder.json").write_text(json.dumps({"a": 0, "b": 1, "ab": 2}))
    (folder / "vocab.bpe").write_text("#version: 0.2\na b\n")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def know(files: Mapping[str, bytes], *, hashed: bool = True) -> dict[str, Known]:
    """Return what is published of files: their sizes, and their digests where ``hashed``."""
    return {
        name: Known(len(body), Digest(SHA256, hashlib.sha256(body).hexdigest()) if hashed else None)
        for name, body in files.items()
    }


@contextmanager
def publishing(
    known: Mapping[str, Known], model: str = "124M", *, url: str | None = None
) -> Iterator[None]:
    """Take these facts for the published ones of a model of OpenAI's.

    A ``url`` is that of the server at which OpenAI's storage and the Hub are taken to be.
    """
    real = load_published()
    openai_s = replace(real.openai, known={**real.openai.known, model: known})
    hub_s = real.hub
    if url is not None:
        openai_s = replace(openai_s, address=f"{url}/gpt-2")
        hub_s = replace(hub_s, address=url, known={})
    published = replace(real, openai=openai_s, hub=hub_s)
    modules = (hub, names, openai)
    for module in modules:
        module.load_published = lambda: published  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in modules:
            module.load_published = load_published  # type: ignore[attr-defined]


def give_openai(web: Server, files: Mapping[str, bytes], model: str = "124M") -> str:
    """Put files at a server in OpenAI's layout, and return the address of the mirror."""
    for name, body in files.items():
        web.give(f"/gpt-2/{model}/{name}", body)
    return f"{web.url}/gpt-2"


def path_of(name: str, model: str = "124M") -> str:
    """Return the path of a file at that mirror."""
    return f"/gpt-2/{model}/{name}"


def git_sha1(body: bytes) -> str:
    """Return the name that git gives a file, as `git hash-object` does."""
    named = b"blob " + str(len(body)).encode() + b"\0" + body
    return hashlib.sha1(named, usedforsecurity=False).hexdigest()


class Hub:
    """A repository at a server that answers as the Hub does.

    Large files are elsewhere: at the same server under its other name.
    """

    def __init__(
        self,
        web: Server,
        files: Mapping[str, bytes],
        large: tuple[str, ...],
        repository: str = REPOSITORY,
    ) -> None:
        self.web = web
        self.repository = repository
        self.files = dict(files)
        self.commit = COMMIT
        for name, body in files.items():
            self.put(name, body, large=name in large)

    def path(self, name: str, revision: str = COMMIT) -> str:
        return f"/{self.repository}/resolve/{revision}/{name}"

    def put(self, name: str, body: bytes, *, large: bool) -> None:
        """Put a file into the repository, at its commit and at main."""
        for revision in (self.commit, "main"):
            path = self.path(name, revision)
            headers = {"X-Repo-Commit": self.commit}
            if not large:
                self.web.files[path] = File(body, {**headers, "ETag": f'"{git_sha1(body)}"'})
                continue
            sha256 = hashlib.sha256(body).hexdigest()
            self.web.files[f"/storage/{sha256}"] = File(body)
            self.web.always[path] = redirect_to(
                f"{self.web.other_url}/storage/{sha256}?Signature=secret",
                X_Linked_Etag=f'"{sha256}"',
                X_Linked_Size=str(len(body)),
                X_Repo_Commit=self.commit,
            )

    def storage(self, name: str) -> str:
        """Return the path at which a large file lies."""
        return f"/storage/{hashlib.sha256(self.files[name]).hexdigest()}"


def make_hf(folder: Path, sizes: Mapping[str, int] = bundles.TINY) -> dict[str, bytes]:
    """Return the files of a small model of transformers."""
    bundles.write_gpt2(folder / "source", sizes)
    gpt2_convert.convert(folder / "source", folder / "model", to="hf")
    model = folder / "model"
    (model / "vocab.json").write_text(json.dumps({"a": 0, "b": 1, "ab": 2}))
    (model / "merges.txt").write_text("#version: 0.2\na b\n")
    return {path.name: path.read_bytes() for path in model.iterdir()}
