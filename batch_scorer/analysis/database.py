"""Runs -> a DuckDB connection in which their views stand, bounded in memory and without a way to any network."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from batch_scorer.analysis.views import literal, statements
from batch_scorer.errors import JobError, RefusedError
from batch_scorer.runs.finished import Run, fetched

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "400MB"  # what does not fit goes to the disk


def needed(package: str, command: str) -> Any:
    """The module `package`, which is installed with the extra `report`.

    Raises:
        RefusedError: it is not.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise RefusedError(
            f"`batch-scorer {command}` needs a package that is not installed",
            expected=f"the package {package.partition('.')[0]}",
            got=str(error),
            fix="pip install 'batch-scorer[report]', or from a checkout: pip install -e '.[report]'",
        ) from error


@contextmanager
def tables(command: str, **groups: Sequence[Run]) -> Iterator[DuckDBPyConnection]:
    """A connection with the views of `views` for each group of runs, their names beginning with that of the group.

    ``tables("report", new=[run])`` has `new_predictions`, `new_tokens`, `new_errors` and `new_runs`.

    Raises:
        RefusedError: DuckDB is not installed, or a part is missing, or damaged, also where the body finds it so.
        JobError: the body ran out of memory or disk.
    """
    duckdb = needed("duckdb", command)
    everything = [run for runs in groups.values() for run in runs]
    with fetched(everything) as here, TemporaryDirectory(prefix="batch-scorer-") as folder:
        left = iter(here)
        connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        try:
            connection.execute(f"set memory_limit = {literal(MEMORY)}")
            connection.execute(f"set temp_directory = {literal(folder)}")
            connection.execute("set enable_progress_bar = false")
            for name, runs in groups.items():
                for statement in statements([next(left) for _ in runs], f"{name}_"):
                    connection.execute(statement)
            yield connection
        except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException):
            raise  # the question is wrong, not what is asked
        except duckdb.Error as error:
            raise _failed(command, everything, here, error) from error
        finally:
            connection.close()


def _failed(command: str, runs: Sequence[Run], here: Sequence[Run], error: Exception) -> RefusedError | JobError:
    where, got = ", ".join(run.output for run in runs), str(error).partition("\n")[0]
    if any(path in got for run in here for path in (*run.predictions, *run.errors)):
        return RefusedError(
            "the output of a run cannot be read",
            where=where,
            expected="the Parquet files that `batch-scorer score` wrote",
            got=got,
            fix="run the same `batch-scorer score` with --resume, which makes damaged parts anew",
        )
    return JobError(
        f"`batch-scorer {command}` could not come to its end",
        where=where,
        got=got,
        fix="if memory or disk ran out, give it more (TMPDIR names where large questions are put down); if a part is "
        "damaged, run the same `batch-scorer score` with --resume",
    )
