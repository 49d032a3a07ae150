"""The help: options in groups, whole summaries, lines that fit, and options that do nothing."""

from __future__ import annotations

import re

import click
import pytest
from support.console import is_one_error_line, run_in_terminal

from gpt2_convert.cli.commands import MODULES
from gpt2_convert.cli.help import Group, Option, Table, option, write_table
from gpt2_convert.cli.program import program, run

WIDTHS = (40, 80, 120)


def read_help(
    command: list[str],
    columns: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run([*command, "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("command", ["", *MODULES])
def test_every_help_fits_its_terminal(
    command: str,
    columns: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = read_help([command] if command else [], columns, monkeypatch, capsys)
    assert max(map(len, text.splitlines())) <= min(columns, 96)


@pytest.mark.parametrize("columns", WIDTHS)
def test_no_summary_is_cut_off(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = read_help([], columns, monkeypatch, capsys)
    assert "..." not in text.replace("[ARGS]...", "")
    words = " ".join(text.split())
    context = click.Context(program)
    for name in MODULES:
        command = program.get_command(context, name)
        assert command
        assert command.help
        summary = " ".join(command.help.partition("\n\n")[0].split())
        assert f" {name} {summary} " in words


def test_a_real_terminal_is_asked_how_wide_it_is() -> None:
    done = run_in_terminal("verify", "--help", columns=40)
    assert done.code == 0
    lines = done.err.replace("\r\n", "\n").splitlines()
    assert 36 < max(map(len, lines)) <= 40


@pytest.mark.parametrize("command", MODULES)
def test_options_stand_in_groups_in_one_order(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = read_help([command], 80, monkeypatch, capsys)
    headings = re.findall(r"^(\w+):\n", text, re.MULTILINE)
    assert headings == [group for group in Group if group in headings]
    assert headings[-1] == Group.OUTPUT
    assert "\nOptions:" not in text
    # Each group has the options that name it, and their texts begin at one column.
    found = program.get_command(click.Context(program), command)
    assert found
    for param in found.params:
        if isinstance(param, Option):
            (section,) = re.findall(rf"^{param.group}:\n((?: .*\n)+)", text, re.MULTILINE)
            assert re.search(rf"^  .*{param.opts[-1]}\b", section, re.MULTILINE)
    options = text[text.index(f"\n{headings[0]}:\n") : text.index(" message and exit")]
    starts = {match.start(1) for match in re.finditer(r"^  -.*?  +(\S)", options, re.MULTILINE)}
    columns = {start - options.rindex("\n", 0, start) for start in starts}
    assert len(columns) == 1


def test_a_table_without_room_stands_below_each_other() -> None:
    table = Table("Planets", (("the nearest to the sun", "Mercury"), ("the largest", "Jupiter")))
    for width, expected in (
        (40, "Planets:\n  the nearest to the sun  Mercury\n  the largest             Jupiter\n"),
        (30, "Planets:\n  the nearest to the sun\n      Mercury\n  the largest\n      Jupiter\n"),
    ):
        formatter = click.HelpFormatter(width=width)
        write_table(formatter, table)
        assert formatter.getvalue() == expected


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("tf2npz a b.npz --allow-overflow", "--allow-overflow has no effect without --dtype"),
        ("convert a b --allow-overflow", "--allow-overflow has no effect without --dtype"),
        ("verify a b --allow-overflow", "--allow-overflow has no effect without --dtype"),
        (
            "tf2npz a b.npz --dtype float64 --allow-overflow",
            "--allow-overflow has no effect with --dtype float64",
        ),
        ("tf2npz a b.npz --digest -q", "--digest has no effect with --quiet"),
        ("tf2npz a b.npz --digest -q --sums c", "--digest has no effect with --quiet"),
        ("convert a b --as-is --weights-only", "--weights-only has no effect with --as-is"),
        ("verify a b --as-is --weights-only", "--weights-only has no effect with --as-is"),
        ("verify a b --logits --weights-only", "--weights-only has no effect with --logits"),
        ("inspect a --flat --json", "--flat has no effect with --json"),
        ("inspect a --flat -q", "--flat has no effect with --quiet"),
        ("generate a b --top-k 3", "--top-k has no effect without --temperature"),
        ("generate a b --top-p 0.5", "--top-p has no effect without --temperature"),
        ("generate a b --seed 0", "--seed has no effect without --temperature"),
        ("generate a b --seed 0 --temperature 0", "--seed has no effect without --temperature"),
        ("generate a b --ids --tokenizer c", "--tokenizer has no effect with --ids"),
    ],
)
def test_an_option_without_effect_is_a_usage_error(
    arguments: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments.split()) == 2
    printed = capsys.readouterr()
    assert ("UsageError" in printed.out) == ("--json" in arguments)
    assert is_one_error_line(printed.err)
    command = arguments.split()[0]
    assert printed.err == f"gpt2-convert: {says} (see 'gpt2-convert {command} --help')\n"


def test_an_exception_gives_an_option_its_effect_again() -> None:
    @click.command()
    @option("--sum", is_flag=True, group=Group.REPORTS, idle_with=("still",), unless=("file",))
    @option("--still", is_flag=True, group=Group.OUTPUT)
    @option("--file", group=Group.OUTPUT)
    def command(**options: object) -> None: ...

    (summed,) = (param for param in command.params if param.name == "sum")
    assert isinstance(summed, Option)
    for arguments, is_idle in (
        (["--sum"], False),
        (["--sum", "--still"], True),
        (["--sum", "--still", "--file", "x"], False),
        (["--still"], False),
    ):
        with command.make_context("command", arguments) as context:
            if is_idle:
                with pytest.raises(click.UsageError, match="--sum has no effect with --still"):
                    summed.refuse_if_idle(context)
            else:
                summed.refuse_if_idle(context)
