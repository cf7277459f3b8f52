"""Write: rows -> one predictions part and one errors part per shard, each written as a whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer import storage
from batch_scorer.formats.arrow_sizes import Sizes, table_bytes
from batch_scorer.models.artifact import Artifact
from batch_scorer.planning.plan import Plan
from batch_scorer.runs import layout
from batch_scorer.runs.hashes import text_hashes
from batch_scorer.runs.layout import Part
from batch_scorer.runs.manifest import optional_columns
from batch_scorer.schema import ERRORS, Rejection, predictions_schema, rejections_table
from batch_scorer.scoring.caveats import NO_CAVEATS, Caveats
from batch_scorer.scoring.explain import Explained
from batch_scorer.storage import Beat

ROW_GROUP_ROWS = 50_000
ROW_GROUP_BYTES = 128 << 20  # or the rows that take this much: each may have kept values, or words, of a megabyte


def predictions(explained: Explained, plan: Plan, artifact: Artifact, caveats: Caveats = NO_CAVEATS) -> pa.Table:
    """The rows of a chunk's scored reviews, as the contract has them."""
    optional = optional_columns(plan, artifact)
    schema = predictions_schema(plan.fields.kept_schema, plan.run_id, plan.model_id, optional)
    reviews = explained.encoded.reviews
    columns: dict[str, Any] = {name: reviews[name] for name in reviews.column_names}
    columns |= explained.columns(artifact, caveats)
    if plan.text_hash:
        columns["text_hash"] = pa.array(text_hashes(explained.encoded.texts))
    columns["run_id"] = pa.repeat(pa.scalar(plan.run_id), len(explained))
    return pa.table([columns[name] for name in schema.names], schema=schema)


class ShardWriter:
    """Builds the parts of one shard in private files, then publishes both.

    A context manager: what is not published is deleted.

    Args:
        optional: those of `schema.OPTIONAL_COLUMNS` that the predictions have.
    """

    def __init__(self, output: str, index: int, plan: Plan, optional: Collection[str] = ()) -> None:
        self._output, self._plan, self._optional = output, plan, optional
        local = layout.staging(output)
        if local:
            os.makedirs(local, mode=0o700, exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(prefix=f"{index:05d}-", dir=local)
        schema = predictions_schema(plan.fields.kept_schema, plan.run_id, plan.model_id, optional)
        self._predictions = _PartFile(
            layout.part_name(layout.PREDICTIONS, index),
            os.path.join(self._folder.name, layout.PREDICTIONS),
            schema,
        )
        stamped = ERRORS.with_metadata(schema.metadata)
        self._errors = _PartFile(
            layout.part_name(layout.ERRORS, index), os.path.join(self._folder.name, layout.ERRORS), stamped
        )

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._predictions.close()
        self._errors.close()
        self._folder.cleanup()

    def add_predictions(self, rows: pa.Table) -> None:
        """Appends rows; they are written to the file one row group at a time."""
        self._predictions.add(rows)

    def add_rejections(self, rejections: Sequence[Rejection]) -> None:
        """Appends rejected records."""
        if rejections:
            plan = self._plan
            self._errors.add(
                rejections_table(list(rejections), plan.run_id, plan.model_id, plan.excerpts, self._optional)
            )

    def publish(self, beat: Beat | None = None) -> tuple[Part, ...]:
        """Finishes both files and moves them into the output; a part without rows is not written."""
        made = (file.publish(self._output, beat) for file in (self._predictions, self._errors))
        return tuple(part for part in made if part)


class _PartFile:
    """A Parquet file that is being written, opened when its first row group is full."""

    def __init__(self, path: str, local: str, schema: pa.Schema) -> None:
        self._path, self._local, self._schema = path, local, schema
        self._waiting: list[pa.Table] = []
        self._sizes: list[Sizes] = []  # of the waiting rows
        self._rows = self._written = 0
        self._writer: pq.ParquetWriter | None = None

    def add(self, rows: pa.Table) -> None:
        self._waiting.append(rows)
        self._sizes.append(table_bytes(rows))
        self._rows += rows.num_rows
        while group := self._full_group():
            self._flush(group)

    def _full_group(self) -> int:
        """Rows of the next row group, 0 until it is full. It depends on the rows, not on how they were added."""
        total = np.cumsum(np.concatenate(self._sizes))
        rows = min(int(np.searchsorted(total, ROW_GROUP_BYTES)) + 1, ROW_GROUP_ROWS)
        return rows if rows <= len(total) else 0

    def _flush(self, rows: int) -> None:
        table = pa.concat_tables(self._waiting)
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._local, self._schema, compression="zstd", use_compliant_nested_type=True
            )
        self._writer.write_table(table.slice(0, rows).combine_chunks(), row_group_size=ROW_GROUP_ROWS)
        self._written += rows
        self._sizes = [np.concatenate(self._sizes)[rows:]]
        self._waiting = [table.slice(rows)] if rows < table.num_rows else []

    def publish(self, output: str, beat: Beat | None) -> Part | None:
        if self._rows > self._written:
            self._flush(self._rows - self._written)
        self.close()
        if not self._rows:
            return None
        with open(self._local, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        storage.publish_file(self._local, storage.join(output, self._path), beat)
        return Part(self._path, self._rows, digest)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
