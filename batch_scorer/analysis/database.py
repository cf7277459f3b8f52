"""Finished runs -> a DuckDB connection that has their views, with bounded memory and no access to any network."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from batch_scorer.analysis.quoting import literal
from batch_scorer.analysis.views import statements
from batch_scorer.errors import JobError, RefusedError
from batch_scorer.escape import install
from batch_scorer.runs.finished import Run, check_contents, damaged, fetched

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_LIMIT = "400MB"  # DuckDB spills to disk what does not fit


def require(package: str, command: str) -> Any:
    """Imports and returns the module `package`, one of those that the extra `report` installs.

    Raises:
        RefusedError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise RefusedError(
            f"`batch-scorer {command}` needs a package that is not installed",
            expected=f"the package {package.partition('.')[0]}",
            got=str(error),
            fix=f"install the extra `report` from a checkout: {install('report')}",
        ) from error


@contextmanager
def connect(command: str, newest: bool = False, /, **groups: Sequence[Run]) -> Iterator[DuckDBPyConnection]:
    """A DuckDB connection that has the views of `views` for each group of runs, their names prefixed with the group's.

    ``connect("report", new=[run])`` has `new_predictions`, `new_tokens`, `new_errors` and `new_runs`.

    Args:
        command: which needs it, for messages.
        newest: as `views.statements` takes it.

    Raises:
        RefusedError: DuckDB is not installed, or a part is missing, damaged or without one of our columns.
        JobError: a query of the body ran out of memory or disk space.
    """
    duckdb = require("duckdb", command)
    runs = [run for group in groups.values() for run in group]
    with fetched(runs) as local_runs, TemporaryDirectory(prefix="batch-scorer-") as folder:
        for run, local in zip(runs, local_runs, strict=True):
            check_contents(run, local)
        remaining = iter(local_runs)
        connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        try:
            connection.execute(f"set memory_limit = {literal(MEMORY_LIMIT)}")
            connection.execute(f"set temp_directory = {literal(folder)}")
            connection.execute("set enable_progress_bar = false")
            for name, group in groups.items():
                for statement in statements([next(remaining) for _ in group], f"{name}_", newest):
                    connection.execute(statement)
            yield connection
        except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException):
            for run, local in zip(runs, local_runs, strict=True):
                _check_columns(run, local)
            raise  # the query is wrong, not the data
        except duckdb.Error as error:
            raise _failure(command, runs, local_runs, error) from error
        finally:
            connection.close()


def _check_columns(run: Run, local: Run) -> None:
    """Checks that each part of the predictions has the columns that its manifest and its plan name.

    Raises:
        RefusedError: one is missing, or a part cannot be read.
    """
    import pyarrow.parquet as pq

    for path, part in zip(run.predictions, local.predictions, strict=True):
        try:
            with open(part, "rb") as file:  # given the path, pyarrow would expand a leading `~`
                names = pq.read_schema(file).names
        except (OSError, ValueError) as error:
            raise damaged(run.output, f"{path}: {error}") from error
        missing = [name for name in (*run.columns, *run.kept) if name not in names]
        if missing:
            raise damaged(run.output, f"{path} has no column {missing[0]!r}")


def _failure(command: str, runs: Sequence[Run], local_runs: Sequence[Run], error: Exception) -> RefusedError | JobError:
    where, got = ", ".join(run.output for run in runs), str(error).partition("\n")[0]
    if any(path in got for run in local_runs for path in (*run.predictions, *run.errors)):
        return RefusedError(
            "the output of a run cannot be read",
            where=where,
            expected="the Parquet files that `batch-scorer score` wrote",
            got=got,
            fix="repeat the `batch-scorer score` command with --resume, which writes damaged parts again",
        )
    return JobError(
        f"`batch-scorer {command}` failed",
        where=where,
        got=got,
        fix="if it ran out of memory or disk space, free some (large queries spill to TMPDIR); if a part is damaged, "
        "repeat the `batch-scorer score` command with --resume",
    )
