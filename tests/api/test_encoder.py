"""The tokenizer of a model is loaded from whatever its folder has, and from a file by its path."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support import bundles
from support.tokenizer_files import TEXTS, train, write_pair
from tokenizers import ByteLevelBPETokenizer

import gpt2_convert
from gpt2_convert import FormatError, SourceNotFoundError, UnsupportedError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [("encoder.json", "vocab.bpe"), ("vocab.json", "merges.txt")]


def save_document(folder: Path) -> Path:
    ByteLevelBPETokenizer(*train()).save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


@pytest.mark.parametrize("names", NAMES)
def test_every_kind_of_file_gives_the_same_ids(names: tuple[str, str], tmp_path: Path) -> None:
    expected = ByteLevelBPETokenizer(*train())
    write_pair(tmp_path, *train(), names)
    (tmp_path / "other").mkdir()
    paths: list[Path | str] = [tmp_path, str(tmp_path), tmp_path / names[0], tmp_path / names[1]]
    paths += [save_document(tmp_path / "other"), tmp_path / "other"]
    for path in paths:
        encoder = gpt2_convert.load_encoder(path)
        assert isinstance(encoder, gpt2_convert.Encoder)
        for text in TEXTS:
            ids = expected.encode(text).ids
            assert encoder.encode(text) == ids
            assert encoder.decode(ids) == text


def test_a_converted_model_has_the_tokenizer_of_its_source(tmp_path: Path) -> None:
    source = bundles.write_gpt2(tmp_path / "tf")
    vocabulary = {char: number for number, char in enumerate("abcdefgh")}
    write_pair(source, vocabulary, [], NAMES[0])
    gpt2_convert.convert(source, tmp_path / "hf", to="hf")
    assert gpt2_convert.load_encoder(tmp_path / "hf").encode("bad") == [1, 0, 3]


@pytest.mark.parametrize(
    ("path", "kind", "reason"),
    [
        ("", UsageError, "the tokenizer is an empty path"),
        ("a\0b", UsageError, "a path cannot hold a zero byte"),
        ("nothing", SourceNotFoundError, "nothing: no such file"),
        (".", SourceNotFoundError, "no tokenizer in it"),
        ("vocab.txt", UnsupportedError, "vocab.txt: a WordPiece vocabulary without"),
        ("config.json", FormatError, "no tokenizer: there is no 'model' in it"),
    ],
)
def test_what_is_no_tokenizer_is_refused(
    path: str, kind: type[Exception], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(kind) as caught:
        gpt2_convert.load_encoder(path)
    assert reason in str(caught.value)


def run(program: str, *arguments: object) -> str:
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def test_nobody_pays_who_does_not_encode(tiny: Path, tmp_path: Path) -> None:
    program = (
        "import sys, gpt2_convert\n"
        "gpt2_convert.convert(sys.argv[1], sys.argv[2])\n"
        "gpt2_convert.load_gpt2_params_from_tf_ckpt(sys.argv[1], {})\n"
        "gpt2_convert.load_encoder, gpt2_convert.Encoder\n"
        "print(sorted({name for name in sys.modules if name.startswith('tokenizers')}))\n"
    )
    assert run(program, tiny, tmp_path / "out.npz") == "[]\n"


def test_without_the_library_the_error_says_what_to_install(tmp_path: Path) -> None:
    write_pair(tmp_path, *train())
    program = (
        "import sys\n"
        "sys.modules['tokenizers'] = None\n"
        "import gpt2_convert\n"
        "try:\n"
        "    gpt2_convert.load_encoder(sys.argv[1])\n"
        "except gpt2_convert.UnsupportedError as error:\n"
        "    print(error)\n"
    )
    assert run(program, tmp_path) == (
        "tokenizers is not installed: pip install 'gpt2-convert[tokenizer]'\n"
    )


def test_loading_and_encoding_print_nothing(tmp_path: Path) -> None:
    write_pair(tmp_path, *train())
    save_document(tmp_path)
    program = (
        "import sys, os, gpt2_convert\n"
        "encoder = gpt2_convert.load_encoder(sys.argv[1])\n"
        "encoder.decode(encoder.encode('Not all heroes', allow_special=True))\n"
        "if not os.fork():\n"
        "    encoder.encode('Not all heroes')\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    assert run(program, tmp_path) == ""


def test_files_that_contradict_each_other_are_refused_with_what_to_do(tmp_path: Path) -> None:
    save_document(tmp_path)
    vocabulary, merges = train()
    write_pair(tmp_path, vocabulary, merges[:-1])
    with pytest.raises(FormatError, match="name the file that is to be used"):
        gpt2_convert.load_encoder(tmp_path)
    by_file: list[Any] = [
        gpt2_convert.load_encoder(tmp_path / name).encode("".join(merges[-1]))
        for name in ("tokenizer.json", "vocab.json")
    ]
    assert by_file[0] != by_file[1]
