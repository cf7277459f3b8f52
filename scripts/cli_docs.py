"""Writes docs/cli.md, every command with its help: `python -m scripts.cli_docs`, from the root of a checkout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from batch_scorer.cli.main import main
from train.cli import main as train

WIDTH = 100
PAGE = Path(__file__).parent.parent / "docs" / "cli.md"
PROGRAMS = {"batch-scorer": main, "python -m train": train}

HEAD = """\
# The command line

Every command with its help, as `--help` prints it. `python -m scripts.cli_docs` writes this page, and a test holds it
to the commands.

## What a command says, and where

`score` prints a line when it starts, its progress, and a summary: what happened, where the time went, where the
results are, and the commands to go on with. All of that is on standard output. Errors are on standard error, with what
is wrong, where, what was expected, what was found and how to mend it. In a terminal the progress is a bar; elsewhere it
is a line every ten seconds. Colours are left out where there is no terminal or NO_COLOR is set, and kept where
FORCE_COLOR is set.

| option of `score` | standard output | standard error |
|---|---|---|
| none | plan, progress, summary | errors |
| `--quiet` | nothing | warnings and errors |
| `--verbose` | plan, progress, summary | besides errors: versions, inputs, columns, workers, each shard as it is done |
| `--log-format json` | nothing; with `--dry-run`, what it shows | an object a line, errors too |

`--quiet` and `--verbose` also say which lines `--log-format json` writes. With `--log-file`, the file has every line
and all else that is logged, in the same format. None of them ever holds the text of a review. A wrong option is
answered in words, whatever the format.

Each JSON line has `time` (UTC), `level` (`debug` `info` `warning` `error`), `event` and `message`, and what the event
adds:

| event | level | adds |
|---|---|---|
| `planned` | info | `run_id` `model_id` `model_name` `reviews` `estimated` `shards` |
| `versions`, `input`, `columns`, `workers` | debug | what `--verbose` says before the work begins |
| `step` | info | what takes long before the work begins |
| `shard` | debug | `run_id` `shard` `counts` `timings`; the last two for a local output only |
| `progress` | info | `done` `total` `estimated` `reviews_per_s` `left_s` |
| `job` | info | `run_id`; what a service says of its job |
| `warning`, `notice` | warning, info | `run_id` |
| `finished` | info | `run_id` `output` `counts` `rejected` (records by code) `success` `seconds` `reviews_per_s` \
`reviews_before` `processes` `positive` (a share) `timings` (seconds of the workers) |
| `not_a_success` | error | `run_id` `exit_code` |
| `error` | error | `where` `expected` `got` `fix` `exit_code` |
| `log` | any | `logger`, in the log file only: what Beam and others log |
"""


def commands(command: click.Command, ctx: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """A command and those below it, each with a context in which it is called as a person calls it."""
    yield command, ctx
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            below = command.commands[name]
            yield from commands(below, type(ctx)(below, info_name=name, parent=ctx, **SIZE))


SIZE = {
    "terminal_width": WIDTH,
    "max_content_width": WIDTH,
    "help_option_names": ["-h", "--help"],
    "show_default": True,
}


def page() -> str:
    """The page, as it has to be."""
    parts = [HEAD]
    for name, program in PROGRAMS.items():
        for command, ctx in commands(program, click.Context(program, info_name=name, **SIZE)):
            parts.append(f"## {ctx.command_path}\n\n```\n{command.get_help(ctx).rstrip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
