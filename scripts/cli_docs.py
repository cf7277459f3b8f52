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

Every command with its help, as `--help` prints it. `python -m scripts.cli_docs` writes this page, and a test compares
it with the commands.

## What a command prints, and where

`score` prints a line when it starts, its progress, and a summary: what happened, where the time went, where the results
are, and which commands to run next. All of that goes to standard output. Errors go to standard error and say what is
wrong, where, what was expected, what was found and how to fix it. In a terminal, progress is a bar; elsewhere, it is a
line every ten seconds. Colours are off if there is no terminal or if NO_COLOR is set, and on if FORCE_COLOR is set.

| option of `score` | standard output | standard error |
|---|---|---|
| none | plan, progress, summary | errors |
| `--quiet` | nothing | warnings and errors |
| `--verbose` | plan, progress, summary | errors, and versions, inputs, columns, workers, each finished shard |
| `--log-format json` | nothing; with `--dry-run`, its result | one JSON object per line, for errors too |
| `--json` | the summary, or with `--dry-run` the plan, as one JSON object | errors |

`--quiet` and `--verbose` also decide which lines `--log-format json` writes. A `--log-file` gets every line and
whatever else is logged, in the same format. None of these ever contains the text of a review. A wrong option is
always answered in plain text, whatever the format.

Each JSON line has `time` (UTC), `level` (`debug`, `info`, `warning`, `error`), `event` and `message`, plus the fields
of its event:

| event | level | fields |
|---|---|---|
| `planned` | info | `run_id` `model_id` `model_name` `reviews` `estimated` `shards` |
| `versions`, `input`, `columns`, `workers` | debug | what `--verbose` prints before the work begins |
| `step` | info | none; a step before the work begins that takes long |
| `shard` | debug | `run_id` `shard`, and for a local output `counts` `timings` |
| `progress` | info | `done` `total` `estimated` `reviews_per_s` `left_s` |
| `job` | info | `run_id`; the message is what a cloud service reports about its job |
| `warning`, `notice` | warning, info | `run_id` |
| `finished` | info | `run_id` `output` `files` (that the inputs matched) `counts` `rejected` (records by code) \
`success` `seconds` `reviews_per_s` `reviews_before` `processes` `positive` (a share; null if nothing was scored) \
`timings` (seconds of the workers) `certainty`, `unusual` (as in the manifest, where they were asked for) |
| `not_a_success` | error | `run_id` `exit_code` |
| `error` | error | `where` `expected` `got` `fix` `exit_code` |
| `log` | any | `logger`; only in the log file: what Beam and other libraries log |

## For programs

With `--json`, a command prints one JSON object on one line of standard output and nothing else there. It goes with all
options of the log. Fields are only ever added. Where a command is refused or fails, standard output stays empty.

| command | prints | described in |
|---|---|---|
| `score --dry-run --json` | the plan: inputs, reviews, shards, files that cannot be read; how long it would take, on \
this machine or on Dataflow, and with `--price-per-vcpu-hour` what it would cost | `schemas/dry_run.json` |
| `score --json` | the end: counts, rejected records by code, exit code, times, where the results are | \
`schemas/summary.json` |
| `inspect --json` | a model and its manifest; or a run: its state, manifest, rejected records, first rows | \
`schemas/inspect.json` |
| `explain --json`, `compare --json` | the review, the comparison | the help below |

    batch-scorer score 'tonight/*.jsonl' --output out --allow-empty --json > summary.json
    python -c 'import json; print(json.load(open("summary.json"))["counts"]["scored"])'

What is not known is null: `cost` without a price, `positive` where nothing was scored, `estimate` where there is
nothing to score or the job would run on Flink or Spark. A local process counts as one vCPU, for as long as the job
takes.
"""


def commands(command: click.Command, ctx: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """A command and its subcommands, each with the context that it has when a person calls it."""
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
    """The text of the page."""
    parts = [HEAD]
    for name, program in PROGRAMS.items():
        for command, ctx in commands(program, click.Context(program, info_name=name, **SIZE)):
            parts.append(f"## {ctx.command_path}\n\n```\n{command.get_help(ctx).rstrip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
