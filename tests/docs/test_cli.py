"""docs/cli.md has every command as it is, and every command line that the pages show would be understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from batch_scorer.cli.main import main
from scripts.cli_docs import PAGE, PROGRAMS, commands, page
from train.cli import main as train

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "deploy/README.md", *(ROOT / "docs").glob("*.md")])
COMMANDS = [
    (command, ctx)
    for name, root in PROGRAMS.items()
    for command, ctx in commands(root, click.Context(root, info_name=name))
]


def test_page_is_what_the_commands_print() -> None:
    assert page() == PAGE.read_text(encoding="utf-8"), "run: python -m scripts.cli_docs"


@pytest.mark.parametrize(("command", "ctx"), COMMANDS, ids=lambda given: getattr(given, "command_path", ""))
def test_command_has_examples_of_itself_and_says_what_each_option_is(
    command: click.Command, ctx: click.Context
) -> None:
    shown = [line for line in lines_of(command.get_help(ctx)) if line.startswith(ctx.command_path)]
    assert "Example" in (command.help or "") and shown
    assert [] == [param.name for param in command.params if isinstance(param, click.Option) and not param.help]


def test_help_of_score_begins_with_the_options_that_matter_first() -> None:
    (score,) = (command for command, ctx in COMMANDS if ctx.command_path == "batch-scorer score")
    section = score.get_help(click.Context(score)).split("Options that matter first:\n")[1].split("\n\n")[0]
    names = re.findall(r"^  (--[\w-]+)", section, re.MULTILINE)
    assert ["--output", "--text-column", "--id-column", "--keep", "--limit", "--dry-run"] == names


def lines_of(text: str) -> Iterator[str]:
    """Command lines of ours in a code block, joined where they are continued."""
    for line in text.replace("\\\n", " ").splitlines():
        if found := re.match(r"\s*(?:\$ )?((?:batch-scorer|python -m train|\./run_local\.sh) +[^ #].*)", line):
            yield found[1]


def shown() -> Iterator[object]:
    for path in PAGES:
        for block in re.findall(r"^```\w*\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            usage = re.sub(r"^Usage: .*", "", block)
            yield from (pytest.param(line, id=f"{path.name}: {line[:70]}") for line in lines_of(usage))


SHOWN = list(shown())


def words(line: str) -> list[str]:
    """The words of a command line, without what the shell takes for itself."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|<>&;")
    lexer.whitespace_split = True
    found: list[str] = []
    for word in lexer:
        if set(word) <= set("|<>&;"):
            return found[:-1] if found[-1] == "2" else found
        found.append(word)
    return found


def parsed(line: str) -> click.Context:
    """The context of a command that click would call for `line`; nothing is called."""
    given = words(line)
    root, given = (train, given[3:]) if given[0] == "python" else (main, given[1:])
    if line.startswith("./run_local.sh"):
        given = ["score", *given]
    if root is train and given[0] not in root.commands:
        return root.make_context("train", given)
    above = click.Context(root)
    name, command, more = root.resolve_command(above, given)
    assert name and command
    return command.make_context(name, more, parent=above)


def test_pages_show_command_lines() -> None:
    assert 20 < len(SHOWN)


@pytest.mark.parametrize("line", SHOWN)
def test_command_line_that_a_page_shows_is_understood(line: str) -> None:
    parsed(line)


@pytest.mark.parametrize(
    "line", ["batch-scorer score in --ouput out", "batch-scorer inspcet", "python -m train --dat x"]
)
def test_command_line_with_a_typo_is_not_understood(line: str) -> None:
    with pytest.raises(click.UsageError):
        parsed(line)
