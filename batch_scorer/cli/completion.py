"""Completion in a shell: files, directories, and the columns of the first input, as far as a quick look shows them.

It never complains: when in doubt, it offers nothing.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from itertools import islice

import click
from click.shell_completion import CompletionItem, get_completion_class

from batch_scorer.config import PROGRAM, InputConfig

SHELLS = ("bash", "zsh", "fish")
_NAMES = 1_000  # of a directory, to look for a file that has columns
_NO_COLUMN = "\0"  # no column is called this, so no format expects or misses one
_OFFERED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./")


def script(command: click.Command, shell: str) -> str:
    """The code that a shell has to run so that it completes this program."""
    kind = get_completion_class(shell)
    assert kind is not None, shell
    return kind(command, {}, PROGRAM, f"_{PROGRAM.upper().replace('-', '_')}_COMPLETE").source()


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files and directories; the shell itself finds them."""
    return [CompletionItem(incomplete, type="file")]


def directories(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Directories; the shell itself finds them."""
    return [CompletionItem(incomplete, type="dir")]


def columns(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Columns of the first input, read as the options so far say."""
    # As long as an option lacks its value, click leaves arguments where they were.
    inputs = (*(ctx.params.get("inputs") or ()), *ctx.args)
    try:
        names = columns_of(_config(inputs, ctx)) if inputs else []
    except Exception:  # whatever may be in a file; nobody wants to read about it in the middle of a command
        return []
    # Other names would have to be quoted, differently in each shell.
    return [
        CompletionItem(name) for name in names if name and name.startswith(incomplete) and _OFFERED.issuperset(name)
    ]


def _config(inputs: tuple[str, ...], ctx: click.Context) -> InputConfig:
    kind = ctx.params.get("input_format")
    return InputConfig(
        inputs,
        format=None if kind == "auto" else kind,
        text_column=_NO_COLUMN,
        encoding=ctx.params.get("encoding") or InputConfig.encoding,
        delimiter=ctx.params.get("delimiter"),
        quote=ctx.params.get("quote") or InputConfig.quote,
        escape=ctx.params.get("escape"),
        columns=ctx.params.get("columns") or (),
    )


def columns_of(config: InputConfig) -> list[str]:
    """Names of the columns of the first input: a local file, the first of a glob, or the first in a directory.

    Raises:
        Exception: anything that may go wrong with a file.
    """
    from batch_scorer import storage
    from batch_scorer.formats.records import Fields
    from batch_scorer.formats.table import FORMATS

    for path, kind in _candidates(config):
        file = storage.look_at(path)  # None for a pipe, which would keep the user waiting
        contents = FORMATS[kind].inspect(file, Fields.of(config)) if file else None
        if contents and contents.columns is not None:
            return list(dict.fromkeys(contents.columns.names))
    return []


def _candidates(config: InputConfig) -> Iterator[tuple[str, str]]:
    """The files to look into and their formats; of a directory, the first file of each format."""
    from batch_scorer import storage
    from batch_scorer.formats.table import format_of

    path = config.paths[0]
    if storage.is_remote(path):
        return
    if not os.path.exists(path):
        path = next(glob.iglob(path), path)
    paths, seen = [path], set()
    if os.path.isdir(path):
        with os.scandir(path) as entries:
            paths = sorted(entry.path for entry in islice(entries, _NAMES) if not storage.is_hidden(entry.name))
    for path in paths:
        kind = config.format or format_of(path)
        if kind and kind not in seen and os.path.isfile(path):
            seen.add(kind)
            yield path, kind
