"""The first reviews of a Parquet file, repeated where there are too few, as a Parquet file of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer.errors import InputError

ROW_GROUP = 10_000  # reviews, about; so many are in memory at a time
SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string())])


@dataclass(frozen=True)
class Source:
    """Where reviews come from.

    Args:
        file: Parquet.
        id_column: None numbers the rows, from 0.
    """

    file: str
    text_column: str = "text"
    id_column: str | None = None

    def rows(self) -> int:
        """How many reviews there are."""
        with pq.ParquetFile(self.file) as parquet:
            return int(parquet.metadata.num_rows)


def cut(source: Source, reviews: int, path: Path) -> None:
    """Writes so many reviews, columns `id` and `text`, to `path`.

    A file with fewer is read again; each review then has another id than before.

    Raises:
        InputError: the file cannot be read, or has no reviews.
    """
    columns = [source.text_column, *([source.id_column] if source.id_column else [])]
    try:
        with pq.ParquetFile(source.file) as parquet:
            missing = set(columns) - set(parquet.schema_arrow.names)
            if missing or not parquet.metadata.num_rows:
                raise InputError(
                    "the file has no such reviews", where=source.file,
                    expected=f"rows with the column {', '.join(sorted(missing) or columns)}",
                    got=f"{parquet.metadata.num_rows:,} rows, columns {', '.join(parquet.schema_arrow.names)}",
                )  # fmt: skip
            with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
                for table in _row_groups(_tables(parquet, source), reviews):
                    writer.write_table(table)
    except (OSError, pa.ArrowException) as error:
        raise InputError("the reviews cannot be read", where=source.file, expected="Parquet", got=str(error)) from error


def _tables(parquet: pq.ParquetFile, source: Source) -> Iterator[pa.Table]:
    """The file again and again, without an end."""
    columns = [name for name in (source.text_column, source.id_column) if name]
    for again in count():
        row = 0
        for batch in parquet.iter_batches(ROW_GROUP, columns=columns):
            ids = batch[source.id_column].to_pylist() if source.id_column else range(row, row + len(batch))
            row += len(batch)
            named = [f"{each}+{again}" if again else str(each) for each in ids]
            texts = batch[source.text_column].cast(pa.string())
            yield pa.table([pa.array(named, pa.string()), texts], schema=SCHEMA)


def _row_groups(tables: Iterator[pa.Table], reviews: int) -> Iterator[pa.Table]:
    """The first so many rows, gathered: `ROW_GROUP` rows at least, but for the last."""
    gathered: list[pa.Table] = []
    left = reviews
    while left:
        table = next(tables).slice(0, left)
        left -= len(table)
        gathered.append(table)
        if not left or sum(map(len, gathered)) >= ROW_GROUP:
            yield pa.concat_tables(gathered)
            gathered.clear()
