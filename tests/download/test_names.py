"""A name is what can be fetched, or is refused for what it is, with the name that was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpt2_convert.download.names import HubModel, OpenAIModel, parse_name
from gpt2_convert.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("124M", OpenAIModel("124M")),
        ("1558M", OpenAIModel("1558M")),
        ("openai-community/gpt2", HubModel("openai-community/gpt2", "main")),
        ("a/b.c_d-e@v1.0", HubModel("a/b.c_d-e", "v1.0")),
        ("a/b@refs/pr/1", HubModel("a/b", "refs/pr/1")),
        ("a/b@feature@2", HubModel("a/b", "feature@2")),
    ],
)
def test_a_name_means_a_model(name: str, meaning: object) -> None:
    assert parse_name(name) == meaning


@pytest.mark.parametrize(
    ("old", "new"), [("117M", "124M"), ("345M", "355M"), ("762M", "774M"), ("1542M", "1558M")]
)
def test_an_older_name_is_told_the_new_one(old: str, new: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_name(old)
    assert str(caught.value) == f"{old}: an older name of {new}, which is to be fetched as {new}"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("124m", "did you mean 124M?"),
        ("124", "did you mean 124M?"),
        ("345m", "did you mean 355M?"),
        ("1588M", "did you mean 1558M?"),
        ("gpt2", "named with its owner: openai-community/gpt2"),
        ("gpt2-xl", "openai-community/gpt2-xl"),
        ("distilgpt2", "distilbert/distilgpt2"),
        ("llama", "there are 124M, 355M, 774M, 1558M, and OWNER/MODEL[@REVISION]"),
        ("", "no such model"),
        ("models/124M", "'models/124M': a path; name the model first, 124M, and then the folder"),
        ("./124M", "name the model first, 124M"),
        ("../some/where", "a path"),
        ("/tmp", "a path"),  # noqa: S108
        ("~/gpt2", "a path"),
        ("a/b/", "a path"),
        ("https://huggingface.co/openai-community/gpt2", "found an address"),
        ("https://me:secret@example.org/124M", "found an address"),
        ("a/b/c", "OWNER/MODEL in letters"),
        ("a b/c", "OWNER/MODEL in letters"),
        ("-a/b", "OWNER/MODEL in letters"),
        ("a/b--c", "OWNER/MODEL in letters"),
        ("a/b..c", "OWNER/MODEL in letters"),
        ("a/..", "OWNER/MODEL in letters"),
        ("a/" + "b" * 100, "OWNER/MODEL in letters"),
        ("a/b\x1b[2J", "OWNER/MODEL in letters"),
        ("a/b@", "no branch, tag or commit"),
        ("a/b@x y", "no branch, tag or commit"),
        ("a/b@../../etc", "no branch, tag or commit"),
        ("a/b@-x", "no branch, tag or commit"),
        ("a/b@x\n", "no branch, tag or commit"),
    ],
)
def test_what_is_no_name_is_refused_for_what_it_is(name: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_name(name)
    told = str(caught.value)
    assert words in told
    assert told.isprintable()
    assert "secret" not in told


def test_a_folder_that_is_there_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="'my/model': a path; name the model first"):
        parse_name("my/model")
