"""Two finished runs -> their `Comparison`: review by review where they share reviews, by distribution otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batch_scorer.analysis.database import connect
from batch_scorer.analysis.labels import find_labels
from batch_scorer.analysis.quoting import identifier
from batch_scorer.analysis.statistics import proportion
from batch_scorer.analysis.views import temperature
from batch_scorer.compare import groups, sentences
from batch_scorer.compare.export import check_output, export
from batch_scorer.compare.pair_tables import (
    MIN_SHARED,
    count_shared,
    find_repeated,
    pair_reviews,
    pair_tokens,
    sum_words,
)
from batch_scorer.compare.result import DISTRIBUTION, Comparison, Question, Shift, Side
from batch_scorer.compare.settings import compare_settings
from batch_scorer.errors import OptionError, RefusedError
from batch_scorer.formats.label_rule import LabelRule
from batch_scorer.formats.labels import Labels
from batch_scorer.models.profile import LENGTH_EDGES, SHARE_EDGES, Profile, grade_of, stability_index
from batch_scorer.models.units import PIECES
from batch_scorer.planning.places import leads_to
from batch_scorer.runs.finished import Run, open_run

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def compare(output_a: str, output_b: str, question: Question) -> Comparison:
    """Compares the runs in two output directories, and writes the tables if `question.output` is set.

    ``compare("out/may", "out/june", Question(label_column="stars", positive=(">=4",), negative=("<=2",)))``

    Raises:
        RefusedError: one of the two is not a finished run or has no scored review, both are the same directory, the
            label column is missing from either, what its labels mean is not told, or the tables cannot be written.
        JobError: a query ran out of memory or disk space.
    """
    rule = None
    if question.label_column is not None:
        rule = LabelRule.of(question.label_column, question.positive, question.negative)
    if leads_to(output_a) == leads_to(output_b):
        raise OptionError(
            "a run cannot be compared with itself",
            where=output_a,
            expected="the outputs of two runs",
            fix="give two different directories",
        )
    a, b = open_run(output_a), open_run(output_b)
    for run in (a, b):
        if rule is not None:
            _check_column(run, rule.column, "--label-column", "label")
        for name in question.group_by:
            _check_column(run, name, "--group-by", "group")
        if not run.manifest["counts"]["scored"]:
            raise RefusedError(
                "the run has no scored reviews",
                where=run.output,
                expected="at least one",
                got=f"{run.manifest['counts']['rejected']:,} rejected",
                fix="see why with `batch-scorer inspect`, and compare a run that scored something",
            )
    if question.output is not None:
        check_output(question.output)
    with connect("compare", a=[a], b=[b]) as db:
        return _compare(db, a, b, question, rule)


def _compare(db: DuckDBPyConnection, a: Run, b: Run, question: Question, rule: LabelRule | None) -> Comparison:
    from batch_scorer.compare import measures

    labels = _labels(db, rule) if rule is not None else None
    side_a, side_b = _side(db, a, "a"), _side(db, b, "b")
    by, shared = question.by, None
    if by != DISTRIBUTION:
        find_repeated(db, by)
        shared = count_shared(db, by)
        if shared == 0 or shared < MIN_SHARED * min(side_a.reviews, side_b.reviews):
            by = DISTRIBUTION
    listed = min(a.manifest["top_k"], b.manifest["top_k"])
    pair_reviews(db, by, labels, (temperature(a, "a"), temperature(b, "b")), question.group_by)
    # In scripts without blanks, what is listed depends on the model's pieces, too.
    same_pattern = a.pattern == b.pattern and (a.pattern != PIECES or a.manifest["model_id"] == b.manifest["model_id"])
    pair_tokens(db, by, same_pattern)
    sum_words(db, by, listed)
    parts: dict[str, Any]
    if by == DISTRIBUTION:
        parts = {"pairs": None, "changes": None, "agreement": None, "reviews": (), "shifts": _shifts(a, b)}
    else:
        parts = {
            "pairs": measures.pairs(db, by, same_pattern),
            "changes": measures.changes(db, a.manifest["threshold"]),
            "agreement": measures.agreement(db, listed) if listed else None,
            "reviews": measures.moved_reviews(db, question.rows),
            "shifts": (),
        }
    parts |= {
        "by": by,
        "a": side_a,
        "b": side_b,
        "settings": compare_settings(a, b),
        "listed": listed,
        "words": measures.word_changes(db, question.rows),
        "truth": measures.truth(db, labels, by) if labels else None,
        "groups": groups.compare_groups(db, question.group_by, by, listed) if question.group_by else None,
    }
    tables = export(db, question.output, bool(question.group_by)) if question.output is not None else ()
    comparison = Comparison(story=(), notes=(), tables=tables, **parts)
    return sentences.with_sentences(comparison, question.by, shared)


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
        not_a_success=None if run.complete else manifest["not_a_success"] or "there is no _SUCCESS file",
    )


def _shifts(a: Run, b: Run) -> tuple[Shift, ...]:
    profile_a, profile_b = (Profile.from_json(run.manifest["profile"]["run"]) for run in (a, b))
    shifts = []
    for name, edges, in_a, in_b in (
        ("probability", SHARE_EDGES, profile_a.probability, profile_b.probability),
        ("length", LENGTH_EDGES, profile_a.length, profile_b.length),
        ("unknown words", SHARE_EDGES, profile_a.oov_rate, profile_b.oov_rate),
    ):
        psi, grade = stability_index(in_b, in_a), grade_of(in_b, in_a)
        shifts.append(Shift(name, psi, grade, tuple(map(float, edges)), in_a, in_b))
    return tuple(shifts)


def _check_column(run: Run, column: str, option: str, kind: str) -> None:
    if column not in run.kept:
        raise OptionError(
            f"the {kind} column is not in the run",
            where=run.output,
            expected=f"a kept column {column!r}, in both runs",
            got=f"kept columns: {', '.join(run.kept)}" if run.kept else "no kept columns",
            fix=f"score with --keep {column}, or give {option} the name of a kept column",
        )
    # SQL ignores case in names: of two columns that differ in nothing else, it would read the first.
    if sum(name.casefold() == column.casefold() for name in (*run.kept, *run.columns)) > 1:
        raise OptionError(
            f"the {kind} column's name differs from another column's in upper and lower case only",
            where=run.output,
            expected="a name that is unique when case is ignored",
            got=column,
            fix="score with --keep NAME=NEW, which renames it",
        )


def _labels(db: DuckDBPyConnection, rule: LabelRule) -> Labels:
    column = identifier(rule.column)
    a, b = (f"select {column}::varchar as label from {side}_predictions" for side in "ab")
    labels = find_labels(db, f"({a} union all {b})", "label", rule)
    if labels is None:
        raise OptionError(
            "the label column has no labels",
            where=f"--label-column {rule.column}",
            expected="a label in at least one review",
            got="nulls and blanks only",
            fix="name another column",
        )
    return labels
