"""Finished runs -> the SQL of the view `runs`, which has no files: its rows are in the SQL itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from batch_scorer.analysis.quoting import literal
from batch_scorer.runs.caveats import NEGATIVE, POSITIVE, UNDECIDED
from batch_scorer.runs.finished import Run

_COUNTS = ("read", "scored", "rejected", "unreadable")


def runs_view(runs: Sequence[Run]) -> str:
    """The query of the view: one row for each run."""
    described = [{**dict(_run_row(run)), **_caveats(run, runs)} for run in runs]
    names, rows = [*described[0]], ",\n  ".join(f"({', '.join(map(literal, row.values()))})" for row in described)
    return (
        "select * replace (try_cast(started as timestamp) as started, try_cast(finished as timestamp) as finished)\n"
        f"from (values\n  {rows}\n) as r({', '.join(names)})"
    )


def _caveats(run: Run, runs: Sequence[Run]) -> dict[str, object]:
    """More columns of a run, where any of `runs` was scored with options that add counts."""
    more: dict[str, object] = {}
    if any("passed_over" in run.manifest["counts"] for run in runs):
        more = {"passed_over": run.manifest["counts"].get("passed_over")}
    if any("unusual" in run.manifest for run in runs):
        more |= {"unusual": run.manifest.get("unusual", {}).get("reviews")}
    if not any("certainty" in run.manifest for run in runs):
        return more
    certainty = run.manifest.get("certainty", {})
    names = {"target_accuracy": "target_accuracy", "certainty": "threshold"}
    names |= {f"decided_{name}": name for name in (POSITIVE, NEGATIVE)} | {UNDECIDED: UNDECIDED}
    return {column: certainty.get(name) for column, name in names.items()} | more


def _run_row(run: Run) -> Iterator[tuple[str, object]]:
    """The columns of a run in the view `runs`: name and value."""
    m = run.manifest
    yield from ((name, m[name]) for name in ("run_id", "model_id", "model_name"))
    yield from ((name, float(m[name])) for name in ("bias", "temperature", "threshold"))
    yield from ((name, m[name]) for name in ("max_words", "top_k"))
    yield from ((name, m["counts"][name]) for name in _COUNTS)
    yield "complete", run.complete
    yield from ((name, m[name]) for name in ("started", "finished"))
    yield "output", run.output
