"""Several runs as one table: of each id, the rows of the newest run that has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from batch_scorer.analysis.quoting import literal
from batch_scorer.runs.finished import Run, oldest_first


def newest_rows(rows: str, runs: Sequence[Run], read: Callable[[Sequence[str]], str]) -> str:
    """A query of the rows of all runs, reduced to those of the newest run that has their id; all that it has of it.

    The ids alone are compared, so that memory does not depend on the other columns.

    Args:
        rows: a query that has `record_id` and `run_id`.
        runs: of the rows; the newest is the one that was started last.
        read: paths of parts -> what SQL reads them by.
    """
    ids = "\n    union all ".join(
        f"select record_id, {literal(str(run.manifest['run_id']))} as run_id, {number} as age from "
        f"{read(run.predictions)}"
        for number, run in enumerate(oldest_first(runs))
        if run.predictions
    )
    if not ids:
        return rows
    return f"""select * from (
{rows}
) semi join (
  select record_id, arg_max(run_id, age) as run_id from (
    {ids}
  ) group by record_id
) using (record_id, run_id)"""


def lost_rows(runs: Sequence[Run]) -> list[str]:
    """What to say of `newest_rows` where an id is not that of one review: the older ones may have other reviews."""
    outputs = [run.output for run in runs if run.repeats_ids]
    if len(runs) < 2 or not outputs:
        return []
    more = "" if len(outputs) == 1 else f" and {len(outputs) - 1:,} more"
    return [
        f"several reviews have the same id in {outputs[0]}{more}: of an id, only what its newest run has is here, so "
        "that reviews may be missing; to count them all, score with an --id-column whose values differ"
    ]
