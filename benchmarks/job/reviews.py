"""Copies the first reviews of a Parquet file to a new one, repeating them if there are too few."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
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
        words: reviews are divided into texts of as many words, without what is left over; None: they stay whole.
    """

    file: str
    text_column: str = "text"
    id_column: str | None = None
    words: int | None = None

    def rows(self) -> int:
        """The number of reviews, or of texts that they are divided into."""
        return _rows(self)


@cache
def _rows(source: Source) -> int:
    """Counted once: all texts may have to be read for it."""
    with pq.ParquetFile(source.file) as parquet:
        if source.words is None:
            return int(parquet.metadata.num_rows)
        texts = parquet.read([source.text_column])[source.text_column].to_pylist()
        return sum(len((text or "").split()) // source.words for text in texts)


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
            if missing or not source.rows():
                raise InputError(
                    "the file has no rows, or lacks a column, or no text is long enough", where=source.file,
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
            table = pa.table([pa.array(unique, pa.string()), texts], schema=SCHEMA)
            yield _divided(table, source.words) if source.words else table


def _divided(table: pa.Table, words: int) -> pa.Table:
    """The texts of `words` words that the reviews of a table consist of, with ids of their own."""
    rows = []
    for review_id, text in zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True):
        found = (text or "").split()
        starts = range(0, len(found) - words + 1, words)
        rows += [{"id": f"{review_id}.{start}", "text": " ".join(found[start : start + words])} for start in starts]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


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
