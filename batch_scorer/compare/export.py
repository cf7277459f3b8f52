"""The temporary tables of a comparison -> Parquet files in a directory: all of them, or none."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from batch_scorer import storage
from batch_scorer.analysis.quoting import literal
from batch_scorer.errors import OutputError
from batch_scorer.runs.directory import unwritable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# File name -> the query for its rows. `offset` is quoted because it is a keyword of SQL.
TABLES = {
    "reviews.parquet": """
select record_id, source, "offset", in_a, in_b, probability_a, probability_b, change, logit_a, logit_b,
  label_a, label_b, flipped, truth
from reviews order by review""",
    "words.parquet": """
select token, times_a, times_b, contribution_a, contribution_b, log_odds_a, log_odds_b, change, margin
from words order by abs(change) desc, token""",
    "tokens.parquet": """
select record_id, source, "offset", position, token, contribution_a, contribution_b
from tokens join reviews using (review) order by review, position, token""",
}

GROUPS = {
    "groups.parquet": """
select "column", value, reviews_a, reviews_b, positive_a, positive_b, change, low, high, to_positive, to_negative,
  p, moved
from group_changes order by place"""
}


def check_output(output: str) -> None:
    """Checks that the tables may be written to `output`; changes nothing.

    Raises:
        OutputError: `output` exists and is not an empty directory.
    """
    try:
        if not storage.is_remote(output) and os.path.lexists(output) and not os.path.isdir(output):
            raise OutputError(
                "the output is not a directory",
                where=output,
                expected="a new or empty directory",
                got="a file",
                fix="choose another --output",
            )
        names = storage.names_in(output) if storage.is_directory(output) else []
    except OSError as error:
        raise unwritable(output, error) from error
    if names:
        raise OutputError(
            "the output directory is not empty",
            where=output,
            expected="a new or empty directory",
            got=f"{len(names):,} {'entry' if len(names) == 1 else 'entries'}, such as {min(names):.80}",
            fix="choose another --output",
        )


def export(db: DuckDBPyConnection, output: str, with_groups: bool = False) -> tuple[str, ...]:
    """Writes `TABLES`, and with groups `GROUPS`, into the directory `output` and returns their paths.

    Raises:
        OutputError: a table cannot be written; nothing is left behind.
    """
    tables = TABLES | GROUPS if with_groups else TABLES
    try:
        if storage.is_remote(output):
            return _export_remote(db, output, tables)
        return _export_local(db, os.path.abspath(output), tables)
    except OSError as error:
        raise unwritable(output, error) from error


def _export_local(db: DuckDBPyConnection, output: str, tables: Mapping[str, str]) -> tuple[str, ...]:
    parent, name = os.path.split(output)
    existed = os.path.isdir(output)  # it may be somebody's working directory, or a link, so it is not replaced
    paths = [os.path.join(output, table) for table in tables]
    os.makedirs(parent, exist_ok=True)
    draft = os.path.join(output if existed else parent, f".{name}.{os.getpid()}{storage.DRAFT}")
    os.mkdir(draft)
    try:
        _write(db, draft, tables)
        if existed:
            for table, path in zip(tables, paths, strict=True):
                os.rename(os.path.join(draft, table), path)
            os.rmdir(draft)
        else:
            os.rename(draft, output)
    except BaseException:
        storage.delete([draft, *(paths if existed else ())])
        raise
    return tuple(paths)


def _export_remote(db: DuckDBPyConnection, output: str, tables: Mapping[str, str]) -> tuple[str, ...]:
    paths = [storage.join(output, name) for name in tables]
    with TemporaryDirectory(prefix="batch-scorer-") as folder:
        _write(db, folder, tables)
        try:
            for name, path in zip(tables, paths, strict=True):
                storage.publish_file(os.path.join(folder, name), path)
        except BaseException:
            with contextlib.suppress(Exception):
                storage.delete(paths)
            raise
    return tuple(paths)


def _write(db: DuckDBPyConnection, folder: str, tables: Mapping[str, str]) -> None:
    import duckdb

    for name, rows in tables.items():
        path = literal(os.path.join(folder, name))
        try:
            db.execute(f"copy ({rows}) to {path} (format parquet, compression zstd)")
        except duckdb.IOException as error:
            raise OSError(str(error)) from error
