"""Two runs -> what differs between them: by review where they share reviews, else by distribution."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from batch_scorer import storage
from batch_scorer.analysis.database import tables
from batch_scorer.analysis.labels import Labels, find_labels
from batch_scorer.analysis.statistics import proportion
from batch_scorer.analysis.views import identifier
from batch_scorer.compare import sentences
from batch_scorer.compare.export import check_output, export
from batch_scorer.compare.pair_tables import FEW, count_shared, find_repeated, pair_reviews, pair_tokens, sum_words
from batch_scorer.compare.result import DISTRIBUTION, Comparison, Question, Setting, Shift, Side
from batch_scorer.errors import OptionError, RefusedError
from batch_scorer.models.profile import LENGTH_EDGES, SHARE_EDGES, SHIFT_REVIEWS, Profile, stability_index
from batch_scorer.runs.finished import Run, open_run
from batch_scorer.schema import OUR_COLUMNS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def compare(output_a: str, output_b: str, question: Question) -> Comparison:
    """Compares the runs whose outputs stand in two directories, and writes tables if `question` has an output.

    Raises:
        RefusedError: one is no finished run or has no scored review, both are the same directory, the label column is
            not in both, or the output cannot be written.
        JobError: their parts cannot be read.
    """
    if _place(output_a) == _place(output_b):
        raise OptionError(
            "a run is compared with itself", where=output_a, expected="two outputs", fix="give two directories"
        )
    a, b = open_run(output_a), open_run(output_b)
    for run in (a, b):
        if question.label_column is not None:
            _check_label(run, question.label_column)
        if not run.manifest["counts"]["scored"]:
            raise RefusedError("no review was scored", where=run.output, expected="reviews to compare")
    if question.output is not None:
        check_output(question.output)
    with tables("compare", a=[a], b=[b]) as db:
        return _compare(db, a, b, question)


def _place(output: str) -> str:
    return output.rstrip("/") if storage.is_remote(output) else os.path.realpath(output)


def _compare(db: DuckDBPyConnection, a: Run, b: Run, question: Question) -> Comparison:
    from batch_scorer.compare import measures

    labels = _labels(db, question.label_column, question.positive) if question.label_column is not None else None
    side_a, side_b = _side(db, a, "a"), _side(db, b, "b")
    by, shared = question.by, None
    if by != DISTRIBUTION:
        find_repeated(db, by)
        shared = count_shared(db, by)
        if shared == 0 or shared < FEW * min(side_a.reviews, side_b.reviews):
            by = DISTRIBUTION
    listed = min(a.manifest["top_k"], b.manifest["top_k"])
    temperatures = (a.manifest["temperature"], b.manifest["temperature"])
    pair_reviews(db, by, labels)
    pair_tokens(db, by)
    sum_words(db, by, listed, temperatures)
    found: dict[str, Any]
    if by == DISTRIBUTION:
        found = {"pairs": None, "changes": None, "agreement": None, "reviews": (), "shifts": _shifts(a, b)}
    else:
        found = {
            "pairs": measures.pairs(db, by),
            "changes": measures.changes(db, a.manifest["threshold"]),
            "agreement": measures.agreement(db, listed, temperatures) if listed else None,
            "reviews": measures.moved(db, question.rows, temperatures),
            "shifts": (),
        }
    found |= {
        "by": by,
        "a": side_a,
        "b": side_b,
        "settings": _settings(a, b),
        "listed": listed,
        "words": measures.word_changes(db, question.rows),
        "truth": measures.truth(db, labels, by) if labels else None,
    }
    comparison = Comparison(
        story=(), notes=(), tables=export(db, question.output) if question.output is not None else (), **found
    )
    return sentences.told(comparison, question.by, shared)


def _side(db: DuckDBPyConnection, run: Run, name: str) -> Side:
    row = db.execute(
        f"select count(*), count(*) filter (predicted_label = 'positive'), avg(n_tokens) from {name}_predictions"
    ).fetchone()
    assert row is not None
    reviews, positive, length = row
    manifest, profile = run.manifest, run.manifest["profile"]["run"]
    return Side(
        output=run.output,
        run_id=manifest["run_id"],
        model_name=manifest["model_name"],
        model_id=manifest["model_id"],
        reviews=reviews,
        rejected=manifest["counts"]["rejected"],
        positive=proportion(positive, reviews),
        length=float(length or 0),
        unknown=profile["oov_words"] / max(profile["used_words"], 1),
        not_a_success=None if run.complete else manifest["not_a_success"] or "there is no _SUCCESS",
    )


def _settings(a: Run, b: Run) -> tuple[Setting, ...]:
    def of(run: Run) -> Mapping[str, str]:
        m = run.manifest
        prints = sorted(found["fingerprint"] for found in m["inputs"])  # of paths, sizes and dates
        one = prints[0] if len(prints) == 1 else hashlib.sha256("".join(prints).encode()).hexdigest()
        names = ", ".join(found["input"] for found in m["inputs"])
        return {
            "model": f"{m['model_name']} {m['model_id']}",
            "inputs": f"{names} {one[:12]}",
            **{name: f"{m[name]}" for name in ("top_k", "max_words", "precision")},
            **{name: f"{m[name]:.6g}" for name in ("threshold", "temperature")},
        }

    return tuple(Setting(name, value, of(b)[name]) for name, value in of(a).items())


def _shifts(a: Run, b: Run) -> tuple[Shift, ...]:
    one, other = (Profile.from_json(run.manifest["profile"]["run"]) for run in (a, b))
    found = []
    for name, edges, in_a, in_b in (
        ("probability", SHARE_EDGES, one.probability, other.probability),
        ("length", LENGTH_EDGES, one.length, other.length),
        ("unknown words", SHARE_EDGES, one.oov_rate, other.oov_rate),
    ):
        psi = stability_index(in_b, in_a)
        grade = "major" if psi > 0.25 else "moderate" if psi > 0.1 else "stable"
        few = min(one.reviews, other.reviews) < SHIFT_REVIEWS
        found.append(Shift(name, psi, "too few" if few else grade, tuple(map(float, edges)), in_a, in_b))
    return tuple(found)


def _check_label(run: Run, column: str) -> None:
    if column not in run.kept:
        raise OptionError(
            "the label column is not in the run",
            where=run.output,
            expected=f"a kept column {column!r}, in both runs",
            got=f"kept columns: {', '.join(run.kept)}" if run.kept else "no kept column",
            fix=f"score with --keep {column}, or give --label-column another name",
        )
    # SQL's names have no case: of two columns that differ in nothing else, it would read the first.
    if sum(name.casefold() == column.casefold() for name in (*run.kept, *OUR_COLUMNS)) > 1:
        raise OptionError(
            "the label column has the name of another, but for upper and lower case",
            where=run.output,
            got=column,
            fix="score with --keep NAME=NEW",
        )


def _labels(db: DuckDBPyConnection, name: str, positive: str | None) -> Labels:
    column = identifier(name)
    a, b = (f"select {column}::varchar as label from {side}_predictions" for side in "ab")
    labels = find_labels(db, f"({a} union all {b})", "label", name, positive)
    if labels is None:
        raise OptionError("the label column holds no label", where=f"--label-column {name}", fix="name another")
    return labels
