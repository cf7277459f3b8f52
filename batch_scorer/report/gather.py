"""A finished run -> what a report says of it: each question is one pass over its rows, in memory that does not grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from batch_scorer.analysis import database
from batch_scorer.analysis.labels import find_labels
from batch_scorer.analysis.views import identifier
from batch_scorer.models.profile import SHARE_EDGES, Profile
from batch_scorer.report import budget, drift, quality, selection, texts, words
from batch_scorer.report.findings import Drift, Findings, Histogram, Identity, Quality, Rejected, Review
from batch_scorer.report.question import Question
from batch_scorer.runs import finished
from batch_scorer.runs.finished import Run
from batch_scorer.schema import ERROR_CODES, predictions_schema

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EXAMPLES = 5  # of the rejected records with one code
CODES = 20
_NOTES, _NOTE = 20, 500  # how many warnings or notices, of how many characters


def gather(question: Question) -> Findings:
    """Answers `question`.

    Raises:
        RefusedError: there is no such run, or it does not have what was asked for.
    """
    run = finished.open_run(question.output)
    reference = finished.open_run(question.reference) if question.reference else None
    question.check(run)
    old = {} if reference is None else {"old": [reference]}
    with database.tables("report", new=[run], **old) as connection:
        return _gather(connection, question, run, reference)


def _gather(connection: DuckDBPyConnection, question: Question, run: Run, reference: Run | None) -> Findings:
    m, counts = run.manifest, run.manifest["counts"]
    connection.execute("set TimeZone = 'UTC'")  # in which kept times are shown, wherever that is done
    kept = _name_columns(connection, run)
    notices = [*m["notices"]]
    judged = _judge(connection, question, kept, m["max_words"], notices)
    selection.choose(connection, m["temperature"], m["threshold"], question.reviews)
    found, note = _texts(connection, question, run, kept)
    reviews, without = budget.fit(found)
    if without:
        note += f" {without:,} {'review goes' if without == 1 else 'reviews go'} without, so that the page stays small."
    profile, usual = (Profile.from_json(m["profile"][name]) for name in ("run", "training"))
    drift_reference: tuple[Drift, ...] = ()
    scale = None
    if reference is not None:
        earlier = reference.manifest
        there = Profile.from_json(earlier["profile"]["run"])
        drift_reference = drift.measure_drift(profile, there, "in the reference run")
        scale = profile.reviews / there.reviews if there.reviews else None
        if earlier["model_id"] != m["model_id"]:
            notices.append(
                f"The reference run was scored by another model, {earlier['model_name']} {earlier['model_id']}: what "
                "changed may be the model's doing."
            )
    foremost = words.sum_words(connection, scale)
    return Findings(
        run=_identity(connection, "new", run),
        reference=_identity(connection, "old", reference) if reference else None,
        read=counts["read"],
        scored=counts["scored"],
        rejected_count=counts["rejected"],
        unreadable=counts["unreadable"],
        words=profile.words,
        truncated=profile.truncated,
        oov_share=profile.oov_words / max(profile.used_words, 1),
        bias=m["bias"],
        temperature=m["temperature"],
        threshold=m["threshold"],
        max_words=m["max_words"],
        top_k=m["top_k"],
        warnings=_notes(m["warnings"]),
        notices=_notes(notices),
        not_a_success=m["not_a_success"] and budget.cut(m["not_a_success"], _NOTE),
        texts_note=note,
        score=Histogram(SHARE_EDGES, profile.probability, usual.probability),
        drift=drift.measure_drift(profile, usual, "in training"),
        drift_reference=drift_reference,
        positive_words=foremost.positive,
        negative_words=foremost.negative,
        changed_words=foremost.changed,
        reviews=reviews,
        quality=judged,
        rejected=_rejected(connection),
    )


def _name_columns(connection: DuckDBPyConnection, run: Run) -> dict[str, str]:
    """Makes the view `quality.REVIEWS`; the name of each kept column, and how it is called there.

    A kept column may be called as anything in a query is, or like one of ours but for its case, which DuckDB
    doesn't tell apart: there they have names of ours.
    """
    import pyarrow as pa

    *ours, _, _ = predictions_schema(pa.schema([]), "", "").names
    found = [row[0] for row in connection.execute("describe new_predictions").fetchall()]
    there = found[len(ours) : len(ours) + len(run.kept)] if run.predictions else []
    kept = {name: f"kept_{i}" for i, name in enumerate(run.kept)}
    columns = [*(identifier(name) for name in ours)]
    columns += [f"{identifier(name)} as {new}" for name, new in zip(there, kept.values(), strict=False)]
    columns += [f"null::varchar as {new}" for new in list(kept.values())[len(there) :]]
    connection.execute(f"create temp view {quality.REVIEWS} as select {', '.join(columns)} from new_predictions")
    return kept


def _judge(
    connection: DuckDBPyConnection, question: Question, kept: Mapping[str, str], max_words: int, notices: list[str]
) -> Quality | None:
    """Sets the truth beside the labels, where it is known, and measures what that says."""
    name = question.label_column
    labels = find_labels(connection, quality.REVIEWS, kept[name], name, question.positive_value) if name else None
    quality.judge(connection, kept, labels)
    if not labels:
        if name:
            notices.append(quality.no_label(name))
        return None
    found, remarks = quality.measure_quality(connection, kept, labels, question.slice_columns, max_words)
    notices += remarks
    return found


def _texts(
    connection: DuckDBPyConnection, question: Question, run: Run, kept: Mapping[str, str]
) -> tuple[tuple[Review, ...], str]:
    """The chosen reviews with their texts, as far as these were asked for, and a sentence on them."""
    reviews = selection.look_up(connection, kept, question.text_column)
    if question.text_column:
        found = texts.from_column(connection, reviews, kept[question.text_column])
        return found.shown(), found.note(f"the kept column {question.text_column}")
    if question.text_from:
        found = texts.from_inputs(run, reviews, question.text_from)
        named = ", ".join(budget.cut(name, budget.NAME) for name in question.text_from[:3])
        more = len(question.text_from) - 3
        return found.shown(), found.note(f"{named} and {more:,} more" if more > 0 else named)
    return reviews, texts.NO_TEXTS


def _identity(connection: DuckDBPyConnection, group: str, run: Run) -> Identity:
    m = run.manifest
    row: Any = connection.execute(
        f"select count(*), count_if(predicted_label = 'positive') from {group}_predictions"
    ).fetchone()
    reviews, positive = row
    return Identity(
        output=budget.cut(run.output, budget.NAME),
        run_id=budget.cut(m["run_id"], budget.NAME),
        model_name=budget.cut(m["model_name"], budget.NAME),
        model_id=m["model_id"],
        finished=budget.cut(m["finished"], budget.TOKEN),
        reviews=reviews,
        positive=positive / reviews if reviews else 0.0,
        complete=run.complete,
    )


def _notes(found: Sequence[str]) -> tuple[str, ...]:
    shown = tuple(budget.cut(note, _NOTE) for note in found[:_NOTES])
    more = len(found) - len(shown)
    return (*shown, f"And {more:,} more, which stand in manifest.json.") if more else shown


def _rejected(connection: DuckDBPyConnection) -> tuple[Rejected, ...]:
    source, message, excerpt = (budget.cut_sql(name, budget.MESSAGE) for name in ("source", "message", "excerpt"))
    one = f"""{{'s': {source}, 'o': "offset", 'm': {message}, 'e': {excerpt}}}"""
    rows = connection.execute(f"""
        select left(stage, {budget.TOKEN}), left(code, {budget.TOKEN}), count(*) as records, min({one}, {EXAMPLES})
        from new_errors group by 1, 2 order by records desc, 2, 1 limit {CODES}
    """).fetchall()
    return tuple(
        Rejected(
            stage=stage,
            code=code,
            meaning=ERROR_CODES[code][1] if code in ERROR_CODES else "",
            records=records,
            examples=tuple((e["s"], e["o"], e["m"], e["e"]) for e in examples),
        )
        for stage, code, records, examples in rows
    )
