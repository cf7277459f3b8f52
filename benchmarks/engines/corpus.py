"""Real reviews with bad records among them, half as Parquet, half as gzipped CSV."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.job.reviews import Source, cut

BAD_ONE_IN = 97
_BAD = (None, "", " \t", "?!...")  # a review that is missing, blank, or without a word
CSV_FILES = 8  # each of them is one shard


def write(source: Source, reviews: int, folder: Path) -> list[Path]:
    """Writes so many records in all to `folder`; returns the paths of the Parquet file and of the CSV files.

    Raises:
        InputError: the reviews cannot be read.
    """
    whole = folder / "reviews.parquet"
    cut(source, reviews, whole)
    table = pq.read_table(whole)
    texts = table["text"].to_pylist()
    for number, row in enumerate(range(BAD_ONE_IN - 1, len(texts), BAD_ONE_IN)):
        texts[row] = _BAD[number % len(_BAD)]
    ids, half = table["id"].to_pylist(), len(texts) // 2
    schema = table.schema
    pq.write_table(pa.table([ids[:half], texts[:half]], schema=schema), whole, row_group_size=max(1, half // 4))
    paths = [whole]
    rest = len(texts) - half
    for number in range(CSV_FILES):
        first, end = (half + rest * (number + step) // CSV_FILES for step in (0, 1))
        paths.append(folder / f"reviews-{number}.csv.gz")
        paths[-1].write_bytes(_gzipped(ids[first:end], texts[first:end]))
    return paths


def _gzipped(ids: list[str], texts: list[str | None]) -> bytes:
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(("id", "text"))
    writer.writerows((review_id, text or "") for review_id, text in zip(ids, texts, strict=True))
    return gzip.compress(lines.getvalue().encode(), mtime=0)
