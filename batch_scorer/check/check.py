"""A finished run, and those before it -> whether it is like them, measure by measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from batch_scorer import storage
from batch_scorer.analysis.database import connect
from batch_scorer.check import profiles, rows, words
from batch_scorer.check.limits import read_limits
from batch_scorer.check.result import Checked, Measure, Question, Value
from batch_scorer.errors import OptionError
from batch_scorer.escape import counted
from batch_scorer.formats.label_rule import LabelRule
from batch_scorer.models.profile import Profile
from batch_scorer.runs import layout
from batch_scorer.runs.earlier import runs_in
from batch_scorer.runs.finished import Run, open_run

LATEST = 30  # runs of a folder that are compared with


def check(question: Question) -> Checked:
    """Measures a run, against the runs of `question.references` or, without them, against the training data.

    ``check(Question("nights/30", ("nights",), limits=("positive=0.2",)))``

    Raises:
        RefusedError: there is no finished run, or an option does not go with it.
        JobError: a query ran out of memory or disk space.
    """
    limits = read_limits(question.limits)
    run = open_run(question.output)
    notes: list[str] = []
    before = _references(question, run, notes)
    rule = None
    if question.label_column is not None:
        rule = LabelRule.of(question.label_column, question.positive_value, question.negative_value)
    _check_columns(question, [run, *before])
    values = [*_measured(question, run, before, rule, notes)]
    measures = [
        Measure(v.name, round(v.value, 6), limits[v.name], _is_over(v, limits[v.name]), v.sentence) for v in values
    ]
    return Checked(
        output=run.output,
        run_id=run.manifest["run_id"],
        against=_against(question, before),
        references=tuple(one.manifest["run_id"] for one in before),
        measures=tuple(sorted(measures, key=lambda measure: not measure.broken)),
        notes=tuple(notes),
    )


def _against(question: Question, before: Sequence[Run]) -> str:
    """What the run is compared with, in words."""
    if before:
        return counted(len(before), "earlier run")
    return "no earlier run" if question.references else "the training data of the model"


def _is_over(value: Value, limit: float | None) -> bool:
    return limit is not None and value.value > limit and not value.is_chance


def _references(question: Question, run: Run, notes: list[str]) -> list[Run]:
    """The runs to compare with, oldest first, the run itself never among them."""
    found: dict[str, Run] = {}
    for place in question.references:
        # A place that is neither is a slip, which must not pass for a first night.
        is_run = storage.exists(layout.plan_path(place)) or not storage.is_directory(place)
        some = [open_run(place)] if is_run else [*runs_in(place, run.output, notes)]
        some.sort(key=lambda one: str(one.manifest["started"]))
        if not is_run:
            # A night is compared with those before it, also where it is looked at later.
            some = [one for one in some if one.manifest["started"] < run.manifest["started"]][-LATEST:]
            if not some:
                notes.append(f"no run in {place} is older than this one")
        found |= {one.output: one for one in some}
    itself = run.manifest["run_id"]
    if question.references and any(one.manifest["run_id"] == itself for one in found.values()):
        raise OptionError(
            "a run cannot be checked against itself", where=f"run {itself}", fix="name other runs with --reference"
        )
    scored = [one for one in found.values() if one.manifest["counts"]["scored"]]
    if models := {one.manifest["model_id"] for one in scored} - {run.manifest["model_id"]}:
        notes.append(f"some earlier runs are of another model ({', '.join(sorted(models))}), which changes scores")
    return scored


def _check_columns(question: Question, runs: Sequence[Run]) -> None:
    names = [("--group-by", name) for name in question.group_by]
    if question.label_column is not None:
        names.append(("--label-column", question.label_column))
    elif question.positive_value or question.negative_value:
        raise OptionError("labels are told apart, and no column has any", fix="name it with --label-column")
    for option, name in names:
        for run in runs:
            if name not in run.kept:
                raise OptionError(
                    f"the run has no kept column {name!r}", where=f"{option} {name}, {run.output}",
                    expected=", ".join(run.kept) or "a column kept with --keep", got=name,
                    fix=f"score again with --keep {name}, or leave {option} out",
                )  # fmt: skip


def _measured(
    question: Question, run: Run, before: Sequence[Run], rule: LabelRule | None, notes: list[str]
) -> Iterator[Value]:
    manifest = run.manifest
    yield from profiles.of_counts(manifest["counts"], [one.manifest["counts"] for one in before])
    if not manifest["counts"]["scored"]:
        notes.append("the run scored nothing, so only what it read is checked")
        return
    now = Profile.from_json(manifest["profile"]["run"])
    if before:
        earlier = profiles.pooled([one.manifest["profile"]["run"] for one in before])
        yield from profiles.of_profiles(now, earlier, "before")
    else:
        training = Profile.from_json(manifest["profile"]["training"])
        if question.references:
            notes.append("there is nothing to compare with, so only what the run itself shows is checked")
        elif training.reviews:
            yield from profiles.of_profiles(now, training, "in training")
        else:
            notes.append("the model does not know its training data; name earlier runs with --reference")
    groups: Mapping[str, Sequence[Run]] = {"new": [run], **({"old": before} if before else {})}
    with connect("check", **groups) as db:
        yield rows.repeated(db, bool(before))
        if before:
            runs = [run, *before]
            yield from rows.shares(db, [name for name in run.columns if all(name in one.columns for one in runs)])
            kept = [name for name in run.kept if all(name in one.kept for one in runs)]
            if (missing := rows.nulls(db, kept)) is not None:
                yield missing
            if (told := words.words(db)) is not None:
                yield told
            for column in question.group_by:
                yield from rows.groups(db, column)
        elif question.group_by and not question.references:
            notes.append("--group-by compares groups with those of earlier runs: name some with --reference")
        if rule is not None:
            yield from rows.quality(db, rule, bool(before))
