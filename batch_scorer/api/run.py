"""A finished run as Python users see it: its tables, its manifest, its views in DuckDB."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer import storage
from batch_scorer.analysis.views import statements
from batch_scorer.errors import OptionError, RefusedError
from batch_scorer.runs import finished
from batch_scorer.schema import ERRORS, predictions_schema
from batch_scorer.storage.parallel import read_ahead

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH_ROWS = 8_192


def open_run(path: str | os.PathLike[str]) -> Run:
    """Opens the output of a finished job.

    Args:
        path: its directory, local or in an object store.

    Raises:
        RefusedError: there is no finished run, or it is damaged.

    Example:
        >>> from batch_scorer import open_run
        >>> run = open_run("out")
        >>> run.predictions(["record_id", "predicted_label"]).to_pylist()[0]
        {'record_id': 'r1', 'predicted_label': 'positive'}
    """
    name = os.fspath(path)
    # Absolute, since the current directory of a notebook may change; `..` is left alone, which behind a link leads
    # elsewhere.
    return Run(finished.open_run(name if storage.is_remote(name) else os.path.join(os.getcwd(), name)))


class Run:
    """A finished run; `open_run` and `score_job` return one. Tables are read when they are asked for.

    Args:
        opened: the run, as the package finds it.

    Attributes:
        path: its directory, absolute.
        manifest: its `manifest.json`: counts, model, inputs, timings ...
        complete: whether it is a success: not too much was rejected, and nothing was unreadable.
    """

    def __init__(self, opened: finished.Run) -> None:
        self._run = opened
        self.path: str = opened.output
        self.manifest: Mapping[str, Any] = opened.manifest
        self.complete: bool = opened.complete

    @property
    def run_id(self) -> str:
        """The run's name."""
        return str(self.manifest["run_id"])

    def predictions(self, columns: Sequence[str] | None = None) -> pa.Table:
        """One row per scored review, in the order of the input.

        Args:
            columns: those to read; None reads all.

        Raises:
            RefusedError: a part is missing or damaged.
        """
        return self._table(self._run.predictions, predictions_schema(pa.schema([]), "", "", self._run.columns), columns)

    def errors(self, columns: Sequence[str] | None = None) -> pa.Table:
        """One row per record that was not scored, with its code, in the order of the input.

        Args:
            columns: those to read; None reads all.

        Raises:
            RefusedError: a part is missing or damaged.
        """
        return self._table(self._run.errors, ERRORS, columns)

    def batches(self, columns: Sequence[str] | None = None, batch_rows: int = _BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The same rows as `predictions`, some at a time, for runs that do not fit into memory.

        Raises:
            RefusedError: a part is missing or damaged.
        """
        for path in self._run.predictions:
            with self._open(path, columns) as parquet:
                yield from parquet.iter_batches(batch_rows, columns=columns)

    def to_duckdb(
        self, connection: DuckDBPyConnection, prefix: str = "", others: Sequence[Run] = (), newest: bool = False
    ) -> DuckDBPyConnection:
        """Makes views of the run in DuckDB: `predictions`, `tokens`, `errors` and `runs`.

        Where the run lists them, there are `sentences` and `phrases` too.

        They read the run's files when they are queried. For a run in an object store, DuckDB needs its own credentials:
        `batch-scorer sql` prints what to do.

        Args:
            connection: where.
            prefix: what the names begin with.
            others: more runs, for the same views; `run_id` tells the rows apart.
            newest: whether an id that several of the runs have has the rows of the newest one only.

        Returns:
            The same connection.

        Raises:
            RefusedError: a part is missing.

        Example:
            >>> import duckdb
            >>> db = open_run("out").to_duckdb(duckdb.connect())
            >>> db.sql("select count(*), min(complete) from predictions, runs").fetchall()
            [(2, True)]
        """
        runs = [self._run, *(other._run for other in others)]
        for run in runs:
            finished.check_parts(run)
        for statement in statements(runs, prefix, newest):
            connection.execute(statement)
        return connection

    def _table(self, paths: Sequence[str], none: pa.Schema, columns: Sequence[str] | None) -> pa.Table:
        def read(path: str) -> pa.Table:
            with self._open(path, columns) as parquet:
                return parquet.read(columns)

        tables = list(read_ahead(read, paths, storage.is_remote(self.path)))
        if not tables:
            tables = [none.empty_table() if columns is None else none.empty_table().select(columns)]
        return pa.concat_tables(tables)

    @contextmanager
    def _open(self, path: str, columns: Sequence[str] | None) -> Iterator[pq.ParquetFile]:
        try:
            with storage.open_read(path) as file, pq.ParquetFile(file) as parquet:
                names = parquet.schema_arrow.names
                for unknown in set(columns or ()) - set(names):  # pyarrow would leave them out
                    raise OptionError(
                        f"the run has no column {unknown!r}", where=path, expected=", ".join(names), got=unknown
                    )
                yield parquet
        except (OSError, ValueError, pa.ArrowException) as error:
            raise RefusedError(
                "the output of the run is damaged",
                where=path,
                expected="the Parquet file that the job wrote",
                got=f"{type(error).__name__}: {error}",
                fix="run the same job with --resume (resume=True): it repairs what is missing or damaged",
            ) from error

    def _facts(self) -> dict[str, str]:
        counts = self.manifest["counts"]
        state = "complete" if self.complete else f"not a success: {self.manifest['not_a_success'] or 'no _SUCCESS'}"
        unreadable = f", {counts['unreadable']:,} unreadable" if counts["unreadable"] else ""
        return {
            "run": self.run_id,
            "state": state,
            "model": f"{self.manifest['model_name']} {self.manifest['model_id']}",
            "reviews": f"{counts['scored']:,} scored, {counts['rejected']:,} rejected{unreadable}",
            "output": self.path,
        }

    def __repr__(self) -> str:
        return f"Run({', '.join(f'{name}={value!r}' for name, value in self._facts().items())})"

    def _repr_html_(self) -> str:
        left = "text-align: left; vertical-align: top"
        rows = "".join(
            f'<tr><th scope="row" style="{left}">{escape(name)}</th><td style="{left}">{escape(value)}</td></tr>'
            for name, value in self._facts().items()
        )
        return f"<table>{rows}</table>"
