"""The findings of a report, checked against the rows of the run."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.errors import RefusedError
from batch_scorer.report.findings import LISTS, Findings
from tests.finished_runs import seal
from tests.jobs import rows
from tests.made_runs import BIAS, write_run
from tests.report.conftest import build, listed


def test_words_are_summed_over_the_rows(folder: Path, findings: Findings) -> None:
    sums: dict[str, Counter[str]] = {}
    squares = {"run": Counter[str](), "old": Counter[str]()}
    times, reviews = Counter[str](), Counter[str]()
    for run in ("run", "old"):
        total = sums[run] = Counter()
        for row in rows(folder / run):
            for word in row["top_contributing"]:
                total[word["token"]] += word["contribution"]
                squares[run][word["token"]] += word["contribution"] ** 2
            if run == "run":
                times.update(word["token"] for word in row["top_contributing"])
                reviews.update({word["token"] for word in row["top_contributing"]})
    scale = 1_000 / 300
    new, old = sums["run"], {word: value * scale for word, value in sums["old"].items()}
    margins = {
        word: 1.959964
        * sum(
            scaled**2 * (squares[run][word] - sums[run][word] ** 2 / count)
            for run, count, scaled in (("run", 1_000, 1), ("old", 300, scale))
        )
        ** 0.5
        for word in new | old
    }
    evidence = {word: abs(new.get(word, 0) - old.get(word, 0)) / margins[word] for word in new | old}
    by_evidence = sorted((word for word in evidence if evidence[word] > 1), key=lambda word: -evidence[word])
    assert sorted((w for w in new if new[w] > 0), key=lambda w: -new[w])[:25] == [
        w.token for w in findings.positive_words
    ]
    assert sorted((w for w in new if new[w] < 0), key=lambda w: new[w])[:25] == [
        w.token for w in findings.negative_words
    ]
    assert 0 < len(by_evidence) < len(evidence)
    assert by_evidence[:25] == [word.token for word in findings.changed_words]
    assert [margins[w] for w in by_evidence[:25]] == pytest.approx([w.margin for w in findings.changed_words], abs=1e-5)
    for word in (*findings.positive_words, *findings.negative_words, *findings.changed_words):
        assert (times[word.token], reviews[word.token]) == (word.times, word.reviews)
        assert new[word.token] == pytest.approx(word.contribution, abs=1e-5)
        assert old[word.token] == pytest.approx(word.reference, abs=1e-5)


def test_lists_have_the_rows_in_order(folder: Path, findings: Findings) -> None:
    table = rows(folder / "run")
    surest = sorted(table, key=lambda row: (-abs(row["logit"]), row["record_id"]))
    wrong = [row for row in surest if (row["truth"] == 1) != (row["predicted_label"] == "positive")]
    expected = {
        "positive": sorted(table, key=lambda row: (-row["logit"], row["record_id"])),
        "negative": sorted(table, key=lambda row: (row["logit"], row["record_id"])),
        "uncertain": sorted(table, key=lambda row: (abs(row["logit"]), row["record_id"])),
        "surprising": wrong,
    }
    for name in LISTS:
        assert [row["record_id"] for row in expected[name][:20]] == listed(findings, name), name


def test_review_has_the_values_of_its_row_and_its_sum_adds_up(folder: Path, findings: Findings) -> None:
    table = {row["record_id"]: row for row in rows(folder / "run")}
    for review in findings.reviews:
        row = table[review.record_id]
        assert (row["predicted_label"], row["n_tokens"]) == (review.label, review.n_tokens)
        assert np.float32(row["probability"]) == np.float32(review.probability)
        assert ("positive" if row["truth"] else "negative") == review.truth
        assert (("truth", str(row["truth"])), ("stars", str(row["stars"])), ("product", row["product"])) == review.kept
        for rank, column in (("contributing_rank", "top_contributing"), ("attended_rank", "top_attended")):
            ranked = sorted((w for w in review.words if getattr(w, rank)), key=lambda w: getattr(w, rank))
            assert [w["position"] for w in row[column]] == [w.position for w in ranked]
        total = BIAS + review.rest + sum(w.contribution for w in review.words if w.contributing_rank)
        assert review.logit == pytest.approx(total, abs=1e-5)
        assert sorted(w.position for w in review.words) == [w.position for w in review.words]


def test_reviews_with_equal_scores_are_ordered_by_id(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder / "old", tmp_path / "copy")
    path = copy / "predictions/part-00000.parquet"
    table = pq.read_table(path)
    same = pa.repeat(pa.scalar(1.5, pa.float32()), len(table))
    shuffled = np.random.default_rng(0).permutation(len(table))
    pq.write_table(table.set_column(4, table.schema.field("logit"), same).take(shuffled), path)
    seal(copy)
    assert [f"r{i:06d}" for i in range(5)] == listed(build(copy, reviews=5), "uncertain")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"label_column": "rating"},
            r"did not keep a column 'rating'[\s\S]*text, truth, stars, product[\s\S]*--keep rating",
        ),
        ({"text_column": "body"}, "did not keep a column 'body'"),
        ({"label_column": "predicted_label"}, r"'predicted_label' is a column of every run[\s\S]*name a kept column"),
        ({"text_column": "stars"}, r"'stars' does not hold text[\s\S]*int64"),
        ({"label_column": "truth", "slice_columns": ("shop",)}, "did not keep a column 'shop'"),
        ({"slice_columns": ("product",)}, "--slice-column needs --label-column"),
        ({"positive_value": "1"}, "--positive-value needs --label-column"),
        ({"text_column": "text", "text_from": ("x.parquet",)}, "cannot be combined"),
        ({"reference": "nowhere"}, r"plan\.json[\s\S]*nothing there"),
    ],
)
def test_question_that_the_run_cannot_answer_is_refused(options: dict[str, Any], message: str, folder: Path) -> None:
    with pytest.raises(RefusedError) as refused:
        build(folder / "run", **options)
    refused.match(message)


def test_rejected_records_are_counted_by_code_with_the_first_as_examples(folder: Path, findings: Findings) -> None:
    errors = rows(folder / "run", "errors")
    counts = Counter(row["code"] for row in errors)
    assert sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])) == [
        (r.code, r.records) for r in findings.rejected
    ]
    for kind in findings.rejected:
        first = [row for row in errors if row["code"] == kind.code][:5]
        examples = tuple((row["source"], row["offset"], row["message"], row["excerpt"]) for row in first)
        assert examples == kind.examples
        assert kind.meaning


def test_kept_columns_may_have_any_name(tmp_path: Path) -> None:
    names = ("PROBABILITY", "Model_ID", "truth", "list", "rank", "kept_0", 'a "b"', "select", "k", "record_ID")
    write_run(tmp_path / "run", 3, kept={name: [f"{name} {i}" for i in range(3)] for name in names} | {"y": [1, 0, 1]})
    findings = build(tmp_path / "run", label_column="y", slice_columns=names)
    for review in findings.reviews:
        i = int(review.record_id[1:])
        assert (*((name, f"{name} {i}") for name in names), ("y", str((i + 1) % 2))) == review.kept


def test_kept_times_are_shown_in_utc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    times = pa.array([0, 86_400], pa.timestamp("s", "Europe/Berlin"))
    write_run(tmp_path / "run", 2, kept={"at": times})
    assert {"1970-01-01 00:00:00+00", "1970-01-02 00:00:00+00"} == {
        review.kept[0][1] for review in build(tmp_path / "run").reviews
    }


def test_run_without_predictions_has_findings(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 0, rejected=3, keep=("truth",))
    findings = build(tmp_path / "run", reference=str(tmp_path / "run"), label_column="truth")
    assert ((), (), None, 3) == (
        findings.reviews,
        findings.positive_words,
        findings.quality,
        sum(r.records for r in findings.rejected),
    )
    assert {"too few"} == {drift.grade for drift in (*findings.drift, *findings.drift_reference)}


def test_threshold_of_one_makes_all_labels_negative(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 50, threshold=1.0)
    findings = build(tmp_path / "run", reviews=10)
    assert (0, 10, 10) == tuple(len(listed(findings, name)) for name in ("positive", "negative", "uncertain"))


def test_damaged_part_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder / "old", tmp_path / "copy")
    path = copy / "predictions/part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RefusedError, match=r"output of the run is damaged[\s\S]*--resume"):
        build(copy)
