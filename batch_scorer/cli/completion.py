"""Completion in a shell: files, directories, and the columns of the first input, as far as a quick look tells them.

It never complains: where nothing can be told, nothing is offered.
"""

from __future__ import annotations

import bz2
import csv
import glob
import gzip
import json
import os
from typing import IO, Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from batch_scorer.config import PROGRAM

SHELLS = ("bash", "zsh", "fish")
LOOKED_AT_BYTES = 1 << 17  # no field within it is too long for the csv module, wherever its limit stands
NESTING = 3  # of columns within columns that are offered
_OPENERS = {".gz": gzip.open, ".bz2": bz2.open}
_OFFERED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./")


def script(command: click.Command, shell: str) -> str:
    """What a shell has to read so that it completes this program."""
    kind = get_completion_class(shell)
    assert kind is not None, shell
    return kind(command, {}, PROGRAM, f"_{PROGRAM.upper().replace('-', '_')}_COMPLETE").source()


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files and directories, by the shell itself."""
    return [CompletionItem(incomplete, type="file")]


def directories(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Directories, by the shell itself."""
    return [CompletionItem(incomplete, type="dir")]


def columns(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Columns of the first input."""
    # Before an option that lacks its value yet, click leaves arguments where it found them.
    inputs = [*(ctx.params.get("inputs") or ()), *ctx.args]
    if not inputs:
        return []
    try:
        found = columns_of(inputs[0])
    except Exception:  # whatever a file may hold; a shell in the middle of a line is no place to say so
        return []
    # Others would have to be quoted, each shell in its own way.
    return [CompletionItem(name) for name in found if name.startswith(incomplete) and _OFFERED.issuperset(name)]


def columns_of(path: str) -> list[str]:
    """Names of the columns of a local file, the first of a glob, or the first in a directory."""
    if "://" in path:
        return []
    if not os.path.exists(path):
        path = next(glob.iglob(path), path)
    if os.path.isdir(path):
        with os.scandir(path) as entries:
            names = sorted(entry.name for entry, _ in zip(entries, range(1_000), strict=False) if entry.is_file())
        path = next(os.path.join(path, name) for name in names if _kind(name))
    kind = _kind(path)
    if kind is None or not os.path.isfile(path):  # a pipe would keep us waiting
        return []
    if kind == "parquet":
        return _of_parquet(path)
    with _opened(path) as file:
        read = file.readline(LOOKED_AT_BYTES)
    if len(read) == LOOKED_AT_BYTES:  # a line cut short, whose last name may be cut as well
        return []
    line = read.decode("utf-8-sig", "replace")
    if kind == "json":
        return _of_object(json.loads(line))
    delimiter = "\t" if _plain(path).endswith((".tsv", ".tab")) else ","
    return next(csv.reader([line], delimiter=delimiter))


def _plain(path: str) -> str:
    stem, ending = os.path.splitext(path)
    return (stem if ending in _OPENERS else path).lower()


def _kind(path: str) -> str | None:
    ending = os.path.splitext(_plain(path))[1]
    kinds = {"parquet": (".parquet", ".pq"), "json": (".jsonl", ".ndjson", ".json"), "csv": (".csv", ".tsv", ".tab")}
    return next((kind for kind, endings in kinds.items() if ending in endings), None)


def _opened(path: str) -> IO[bytes]:
    opener: Any = _OPENERS.get(os.path.splitext(path)[1], open)
    return opener(path, "rb")  # type: ignore[no-any-return]


def _of_object(value: Any, before: str = "", depth: int = NESTING) -> list[str]:
    found = []
    for name, inner in value.items():
        nested = isinstance(inner, dict) and depth > 1
        found += _of_object(inner, f"{before}{name}.", depth - 1) if nested else [f"{before}{name}"]
    return found


def _of_parquet(path: str) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def names(fields: Any, before: str = "", depth: int = NESTING) -> list[str]:
        found = []
        for field in fields:
            nested = pa.types.is_struct(field.type) and depth > 1
            found += names(field.type, f"{before}{field.name}.", depth - 1) if nested else [f"{before}{field.name}"]
        return found

    return names(pq.read_schema(path))
