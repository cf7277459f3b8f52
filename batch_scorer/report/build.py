"""A finished run -> the findings of its report: each figure is one query over its rows, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from batch_scorer.analysis import database
from batch_scorer.analysis.labels import find_labels
from batch_scorer.analysis.quoting import cut_sql, identifier
from batch_scorer.analysis.segment_views import SPAN_LIST
from batch_scorer.analysis.views import temperature
from batch_scorer.models.profile import SHARE_EDGES, Profile
from batch_scorer.report import budget, drift, group_data, groups, quality, rescore, selection, several, texts, words
from batch_scorer.report.commands import commands
from batch_scorer.report.findings import Drift, Findings, Histogram, Identity, Rejected, Review
from batch_scorer.report.quality_findings import Quality
from batch_scorer.report.question import Question
from batch_scorer.runs import finished
from batch_scorer.runs.finished import Run
from batch_scorer.schema import COLUMNS, ERROR_CODES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EXAMPLES = 5  # of rejected records, per error code
CODES = 20
_MAX_NOTES, _NOTE_CHARACTERS = 20, 500  # of warnings, and of notices


def build_findings(question: Question, page: str | None = None) -> Findings:
    """Opens the run that `question` names, or the runs, and computes what its report says.

    Args:
        page: where the page is written, for its own commands; None: in the usual place.

    Raises:
        RefusedError: there is no such run, it lacks what `question` asks for, or runs do not fit together.
        JobError: a query ran out of memory or disk space.
    """
    runs, notices = several.open_for_report((question.output, *question.others))
    run = several.as_one(runs, notices)
    reference = finished.open_run(question.reference) if question.reference else None
    question.check(run)
    if question.rescore:
        rescore.check_model(run, question.model)
    old = {} if reference is None else {"old": [reference]}
    with database.connect("report", True, new=runs, **old) as connection:
        if len(runs) > 1:
            run = several.counted_once(connection, run)
        return _build(connection, question, run, reference, len(runs) > 1, page)


def _build(
    connection: DuckDBPyConnection,
    question: Question,
    run: Run,
    reference: Run | None,
    is_several: bool,
    page: str | None,
) -> Findings:
    m, counts = run.manifest, run.manifest["counts"]
    connection.execute("set TimeZone = 'UTC'")  # for kept times: a report does not depend on where it is written
    kept = _create_reviews_view(connection, run)
    notices = [*m["notices"]]
    measured_quality = _measure_quality(connection, question, kept, run, notices)
    selection.select_reviews(connection, m["threshold"], question.reviews)
    overview = groups.measure_groups(connection, question, kept, "top_spans" in run.columns)
    # Which run a review is in is shown like a kept column, none of which can have that name.
    with_texts, texts_note = _add_texts(connection, question, run, {"run_id": "run_id", **kept} if is_several else kept)
    with_texts, rescored = rescore.rescore(run, with_texts, question.model) if question.rescore else (with_texts, None)
    packed = len(json.dumps(group_data.pack(overview))) if overview else 0  # what the groups take, texts have not
    reviews, lost = budget.fit(with_texts, budget.TEXTS_BYTES - packed)
    if lost:
        texts_note += f" {lost:,} {'review is' if lost == 1 else 'reviews are'} shown without, to keep the page small."
    profile, training = (Profile.from_json(m["profile"][name]) for name in ("run", "training"))
    drift_reference: tuple[Drift, ...] = ()
    earlier_reviews = None
    if reference is not None:
        earlier = reference.manifest
        earlier_profile = Profile.from_json(earlier["profile"]["run"])
        drift_reference = drift.measure_drift(profile, earlier_profile, "in the reference run")
        earlier_reviews = earlier_profile.reviews
        if earlier["model_id"] != m["model_id"]:
            notices.append(
                f"The reference run was scored by another model, {earlier['model_name']} {earlier['model_id']}, which "
                "may explain what changed."
            )
    corpus_words = words.sum_words(connection, profile.reviews, earlier_reviews)
    return Findings(
        run=_identity(connection, "new", run),
        reference=_identity(connection, "old", reference) if reference else None,
        read=counts["read"],
        scored=counts["scored"],
        rejected_count=counts["rejected"],
        unreadable=counts["unreadable"],
        used_words=profile.used_words,
        truncated=profile.truncated,
        oov_share=profile.oov_words / profile.used_words if profile.used_words else None,
        bias=m["bias"],
        temperature=m["temperature"],
        threshold=m["threshold"],
        temperature_by_review="temperature" in run.columns,
        max_words=m["max_words"],
        words_read=run.words_read,
        top_k=m["top_k"],
        warnings=_limited(m["warnings"]),
        notices=_limited(notices),
        not_a_success=m["not_a_success"] and budget.cut(m["not_a_success"], _NOTE_CHARACTERS),
        texts_note=texts_note,
        score=Histogram(SHARE_EDGES, profile.probability, training.probability),
        drift=drift.measure_drift(profile, training, "in training"),
        drift_reference=drift_reference,
        positive_words=corpus_words.positive,
        negative_words=corpus_words.negative,
        changed_words=corpus_words.changed,
        reviews=reviews,
        quality=measured_quality,
        rejected=_rejected(connection),
        caveats=quality.measure_caveats(connection, run),
        commands=commands(question, run, is_several, page),
        other_ids=selection.other_ids(connection),
        groups=overview,
        title=question.title,
        rescored=rescored,
    )


def _create_reviews_view(connection: DuckDBPyConnection, run: Run) -> dict[str, str]:
    """Creates the view `quality.REVIEWS`, and returns its column for the name of each kept column.

    A kept column may be called like anything in a query, or like one of our columns in another case, which DuckDB does
    not tell apart: in this view, kept columns have names of our own.
    """
    ours = [name for name in COLUMNS if name not in ("model_id", "run_id")]
    all_columns = [row[0] for row in connection.execute("describe new_predictions").fetchall()]
    theirs = all_columns[len(ours) : len(ours) + len(run.kept)] if run.predictions else []
    kept = {name: f"kept_{i}" for i, name in enumerate(run.kept)}
    columns = [*(identifier(name) for name in ours), f"{temperature(run)} as temperature", "run_id"]
    optional = {"decided": "null::boolean", "unusual": "''"}
    columns += [f"{name if name in run.columns else nothing} as {name}" for name, nothing in optional.items()]
    columns.append("top_spans" if "top_spans" in run.columns else f"null::{SPAN_LIST} as top_spans")
    columns += [f"{identifier(name)} as {column}" for name, column in zip(theirs, kept.values(), strict=False)]
    columns += [f"null::varchar as {column}" for column in list(kept.values())[len(theirs) :]]
    connection.execute(f"create temp view {quality.REVIEWS} as select {', '.join(columns)} from new_predictions")
    return kept


def _measure_quality(
    connection: DuckDBPyConnection, question: Question, kept: Mapping[str, str], run: Run, notices: list[str]
) -> Quality | None:
    """Creates the view `quality.LABELLED` and measures quality, if there are labels; adds to `notices`."""
    rule = question.rule
    labels = find_labels(connection, quality.REVIEWS, kept[rule.column], rule) if rule else None
    quality.add_truth(connection, kept, labels)
    if not labels:
        if rule:
            notices.append(quality.no_label(rule.column))
        return None
    measured, remarks = quality.measure_quality(
        connection, kept, labels, question.slice_columns, run.manifest["max_words"], run.words_read
    )
    notices += [*labels.remarks, *remarks]
    return measured


def _add_texts(
    connection: DuckDBPyConnection, question: Question, run: Run, kept: Mapping[str, str]
) -> tuple[tuple[Review, ...], str]:
    """The selected reviews with their texts, as far as `question` asks for them, and a sentence on the texts."""
    reviews = selection.read_reviews(connection, kept, question.text_column)
    characters = rescore.CHARACTERS + 1 if question.rescore else texts.SHOWN
    if question.text_column:
        matched = texts.from_column(connection, reviews, kept[question.text_column], run.pattern, characters)
        return texts.with_texts(reviews, matched), texts.note(matched, f"the kept column {question.text_column}")
    if question.text_from:
        matched = texts.from_inputs(run, reviews, question.text_from, characters)
        inputs = ", ".join(budget.cut(name, budget.NAME) for name in question.text_from[:3])
        more = len(question.text_from) - 3
        place = f"{inputs} and {more:,} more" if more > 0 else inputs
        return texts.with_texts(reviews, matched), texts.note(matched, place)
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
        positive=positive / reviews if reviews else None,
        complete=run.complete,
    )


def _limited(notes: Sequence[str]) -> tuple[str, ...]:
    first = tuple(budget.cut(note, _NOTE_CHARACTERS) for note in notes[:_MAX_NOTES])
    more = len(notes) - len(first)
    return (*first, f"And {more:,} more, see manifest.json.") if more else first


def _rejected(connection: DuckDBPyConnection) -> tuple[Rejected, ...]:
    source, message, excerpt = (cut_sql(name, budget.MESSAGE) for name in ("source", "message", "excerpt"))
    example = f"""{{'s': {source}, 'o': "offset", 'm': {message}, 'e': {excerpt}}}"""
    rows = connection.execute(f"""
        select left(stage, {budget.TOKEN}), left(code, {budget.TOKEN}), count(*) as records, min({example}, {EXAMPLES})
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
