"""Several runs -> one, for a report on all of their reviews: each counts once, by the newest run that has its id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np

from batch_scorer.analysis.newest import lost_rows
from batch_scorer.errors import OptionError
from batch_scorer.escape import counted
from batch_scorer.models import profile
from batch_scorer.models.profile import EMPTY, Profile, measure
from batch_scorer.runs.caveats import DECISIONS
from batch_scorer.runs.earlier import open_all
from batch_scorer.runs.finished import Run, oldest_first

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH = 100_000


def open_for_report(places: Sequence[str]) -> tuple[list[Run], list[str]]:
    """The runs in some places, oldest first, and a sentence on each that does not count.

    Raises:
        RefusedError: as `earlier.open_all`.
        OptionError: the rows of two runs do not fit into one table.
    """
    runs, notices = open_all(places)
    runs = oldest_first(runs)
    for run in runs[:-1]:
        for what, one, other in (
            ("are of the same model", run.manifest["model_id"], runs[-1].manifest["model_id"]),
            ("have the same kept columns", run.kept, runs[-1].kept),
            ("have the same columns of ours", _shown_columns(run), _shown_columns(runs[-1])),
        ):
            if one != other:
                raise OptionError(
                    "these runs cannot be in one report",
                    where=f"{run.output} and {runs[-1].output}",
                    expected=f"runs that {what}",
                    got=f"{_words(one)} and {_words(other)}",
                    fix="write a report on each, with the other one as its --reference; or compare them",
                )
    return runs, notices


def _shown_columns(run: Run) -> tuple[str, ...]:
    """The columns of a run that a page is made of: hashes of texts, which earlier versions lack, are not."""
    return tuple(name for name in run.columns if name != "text_hash")


def _words(value: str | tuple[str, ...]) -> str:
    return (value if isinstance(value, str) else ", ".join(value) or "none")[:500]


def as_one(runs: Sequence[Run], notices: Sequence[str] = ()) -> Run:
    """Runs that `open_for_report` has accepted as one run; what they have in common is that of the newest.

    Its counts and its profile are the sums; `counted_once` takes out what is there twice.

    Args:
        notices: to show instead of those of the runs, which are about single nights.
    """
    newest = runs[-1]
    if len(runs) == 1:
        return newest
    manifests = [run.manifest for run in runs]
    profiles = [Profile.from_json(manifest["profile"]["run"]) for manifest in manifests]
    fault = next((f"{run.output}: {why}" for run in runs if (why := run.manifest["not_a_success"])), None)
    inputs = {found["input"]: found for manifest in manifests for found in manifest["inputs"]}
    merged = {
        **newest.manifest,
        "run_id": f"{newest.manifest['run_id']} and {counted(len(runs) - 1, 'earlier run')}",
        "counts": {
            name: sum(manifest["counts"].get(name, 0) for manifest in manifests)
            for name in dict.fromkeys(name for manifest in manifests for name in manifest["counts"])
        },
        "inputs": list(inputs.values()),
        "notices": [*notices, *lost_rows(runs)],
        "not_a_success": fault,
    }
    whole = replace(
        newest,
        manifest=merged,
        complete=all(run.complete for run in runs),
        predictions=tuple(path for run in runs for path in run.predictions),
        errors=tuple(path for run in runs for path in run.errors),
    )
    return _with_profile(whole, reduce(add, profiles))


def counted_once(connection: DuckDBPyConnection, run: Run) -> Run:
    """A run of `as_one` with the figures of the rows that are in the view `new_predictions`: the newest of each id."""
    (rows,) = connection.execute("select count(*) from new_predictions").fetchone() or (0,)
    whole = Profile.from_json(run.manifest["profile"]["run"])
    replaced = whole.reviews - rows
    if replaced:
        run = _with_profile(run, _measured(connection, whole))
        counts, more = run.manifest["counts"], "row is" if replaced == 1 else "rows are"
        counts = {**counts, "scored": rows, "read": counts["read"] - replaced}
        notice = f"{replaced:,} {more} not counted: a newer run has the same id."
        run = replace(run, manifest={**run.manifest, "counts": counts, "notices": [*run.manifest["notices"], notice]})
    return replace(run, manifest={**run.manifest, **_caveats(connection, run)})


def _with_profile(run: Run, measured: Profile) -> Run:
    profiles = {**run.manifest["profile"], "run": measured.to_json()}
    warnings = profile.warnings(measured, Profile.from_json(profiles["training"]))
    return replace(run, manifest={**run.manifest, "profile": profiles, "warnings": warnings})


def _measured(connection: DuckDBPyConnection, whole: Profile) -> Profile:
    """The profile of `new_predictions`. Rows don't say in which scripts their words are: as in `whole`, it is assumed.

    Ids of pieces of words are counted as words.
    """
    measured = EMPTY
    rows = connection.execute("select n_tokens, n_tokens_used, oov_rate, probability from new_predictions")
    while len(batch := rows.fetchmany(_BATCH)):
        n_tokens, used, oov_rate, probability = (np.array(column) for column in zip(*batch, strict=True))
        measured += measure(n_tokens, used, np.rint(oov_rate * used).astype(np.int64), probability)
    share = measured.words / max(whole.words, 1)
    scripts = {name: round(words * share) for name, words in whole.scripts.items()}
    return replace(measured, foreign_words=round(whole.foreign_words * share), scripts=scripts)


def _caveats(connection: DuckDBPyConnection, run: Run) -> dict[str, Any]:
    """What the manifest says of how far to trust scores, with the counts of `new_predictions`."""
    found: dict[str, Any] = {}
    if "certainty" in run.manifest and "decided" in run.columns:
        label = "case when decided then predicted_label else 'undecided' end"
        counts = dict(connection.execute(f"select {label}, count(*) from new_predictions group by 1").fetchall())
        found["certainty"] = {**run.manifest["certainty"], **{name: counts.get(name, 0) for name in DECISIONS}}
    if "unusual" in run.manifest and "unusual" in run.columns:
        said = connection.execute("select unusual, count(*) from new_predictions where unusual <> '' group by 1")
        reasons: Counter[str] = Counter(dict.fromkeys(run.manifest["unusual"]["reasons"], 0))
        reviews = 0
        for words, count in said.fetchall():
            reviews += count
            reasons.update(dict.fromkeys(words.split(","), count))
        found["unusual"] = {**run.manifest["unusual"], "reviews": reviews, "reasons": dict(reasons)}
    return found
