"""Copies the first reviews of a Parquet file to a new one, repeating them if there are too few."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer.errors import InputError

ROW_GROUP = 10_000  # reviews, approximately; also how many are in memory at a time
SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string())])


@dataclass(frozen=True)
class Source:
    """Where reviews come from.

    Args:
        file: a Parquet file.
        id_column: None means that rows are numbered, from 0.
    """

    file: str
    text_column: str = "text"
    id_column: str | None = None

    def rows(self) -> int:
        """The number of reviews."""
        with pq.ParquetFile(self.file) as parquet:
            return int(parquet.metadata.num_rows)


def cut(source: Source, reviews: int, path: Path) -> None:
    """Writes the first `reviews` reviews to `path`, with the columns `id` and `text`.

    If the file has fewer, it is read again, and each repeated review gets a new id.

    Raises:
        InputError: the file cannot be read, has no rows, or lacks a column.
    """
    columns = [source.text_column, *([source.id_column] if source.id_column else [])]
    try:
        with pq.ParquetFile(source.file) as parquet:
            missing = set(columns) - set(parquet.schema_arrow.names)
            if missing or not parquet.metadata.num_rows:
                raise InputError(
                    "the file has no rows, or lacks a column", where=source.file,
                    expected=f"rows with the column {', '.join(sorted(missing) or columns)}",
                    got=f"{parquet.metadata.num_rows:,} rows, columns {', '.join(parquet.schema_arrow.names)}",
                    fix="name the columns with --text-column and --id-column",
                )  # fmt: skip
            with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
                for table in _row_groups(_tables(parquet, source), reviews):
                    writer.write_table(table)
    except (OSError, pa.ArrowException) as error:
        raise InputError("the reviews cannot be read", where=source.file, expected="Parquet", got=str(error)) from error


def _tables(parquet: pq.ParquetFile, source: Source) -> Iterator[pa.Table]:
    """Yields the contents of the file repeatedly, without end."""
    columns = [name for name in (source.text_column, source.id_column) if name]
    for repetition in count():
        row = 0
        for batch in parquet.iter_batches(ROW_GROUP, columns=columns):
            ids = batch[source.id_column].to_pylist() if source.id_column else range(row, row + len(batch))
            row += len(batch)
            unique = [f"{review_id}+{repetition}" if repetition else str(review_id) for review_id in ids]
            texts = batch[source.text_column].cast(pa.string())
            yield pa.table([pa.array(unique, pa.string()), texts], schema=SCHEMA)


def _row_groups(tables: Iterator[pa.Table], reviews: int) -> Iterator[pa.Table]:
    """Regroups the first `reviews` rows: at least `ROW_GROUP` rows per table, except in the last."""
    gathered: list[pa.Table] = []
    remaining = reviews
    while remaining:
        table = next(tables).slice(0, remaining)
        remaining -= len(table)
        gathered.append(table)
        if not remaining or sum(map(len, gathered)) >= ROW_GROUP:
            yield pa.concat_tables(gathered)
            gathered.clear()
