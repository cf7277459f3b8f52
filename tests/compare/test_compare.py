"""Two runs compared: real runs against plain Python, and what cannot be compared."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import correlation, mean, median

import numpy as np
import pyarrow.parquet as pq
import pytest

from batch_scorer.analysis.database import connect
from batch_scorer.compare.compare import compare
from batch_scorer.compare.result import DISTRIBUTION, PLACE, Question
from batch_scorer.models.profile import stability_index
from batch_scorer.runs.finished import open_run
from tests.compare.conftest import WriteRun, listed, run, scores
from tests.jobs import rows


def test_two_models_on_the_same_reviews_compare_as_in_plain_python(scored: tuple[str, str]) -> None:
    comparison = compare(*scored, Question(label_column="truth"))
    a, b = ({row["record_id"]: row for row in rows(output)} for output in scored)
    both = sorted(a.keys() & b.keys())
    assert ["r1", "r2", "r3", "r5", "r6"] == both
    moves = [abs(b[i]["probability"] - a[i]["probability"]) for i in both]
    logits = [[side[i]["logit"] for i in both] for side in (a, b)]
    assert comparison.changes is not None
    assert comparison.pairs is not None
    assert comparison.truth is not None
    assert (5, 1, 0) == (comparison.pairs.both, comparison.pairs.only_a, comparison.pairs.only_b)
    assert (1, 0) == (comparison.pairs.rejected_by_b, comparison.pairs.rejected_by_a)
    flipped = [i for i in both if a[i]["predicted_label"] != b[i]["predicted_label"]]
    assert flipped, "the two models agree on everything: choose another seed"
    assert len(flipped) == comparison.changes.flipped == comparison.changes.to_positive + comparison.changes.to_negative
    assert pytest.approx(mean(moves)) == comparison.changes.mean
    assert pytest.approx(median(moves)) == comparison.changes.median
    assert sum(move > 0.1 for move in moves) == comparison.changes.over_tenth
    assert sum(move > 0.5 for move in moves) == comparison.changes.over_half
    assert pytest.approx(correlation(*logits)) == comparison.changes.correlation
    right = [[(side[i]["predicted_label"] == "positive") == (side[i]["truth"] == 1) for i in both] for side in (a, b)]
    assert [sum(r) for r in right] == [comparison.truth.a.count, comparison.truth.b.count]
    assert f"Of 5 reviews in both, {len(flipped)} (" in comparison.story[0]
    assert "The models differ" in comparison.notes[0]
    most = max(both, key=lambda i: abs(b[i]["probability"] - a[i]["probability"]))
    assert most == comparison.reviews[0].record_id


def test_agreement_is_the_mean_overlap_of_the_positions_listed(scored: tuple[str, str]) -> None:
    agreement = compare(*scored, Question(label_column="truth")).agreement
    a, b = (
        {row["record_id"]: [w["position"] for w in row["top_contributing"]] for row in rows(output)}
        for output in scored
    )
    both = a.keys() & b.keys()
    assert agreement is not None
    assert pytest.approx(mean(len({*a[i]} & {*b[i]}) / len({*a[i]} | {*b[i]}) for i in both)) == agreement.overlap
    assert sum(a[i][0] == b[i][0] for i in both) == agreement.same_first


def test_words_are_summed_over_the_reviews_in_both_and_scaled_by_the_temperature(
    scored: tuple[str, str], tmp_path: Path
) -> None:
    run(*scored, "--output", tmp_path / "tables")
    sums: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0, 0])
    for side, output in enumerate(scored):
        for row in rows(output):
            for word in row["top_contributing"] if row["record_id"] != "r4" else ():
                sums[word["token"]][side] += word["contribution"]
                sums[word["token"]][2 + side] += 1
    words = pq.read_table(tmp_path / "tables" / "words.parquet").to_pylist()
    assert sums.keys() == {word["token"] for word in words}
    for word in words:
        one, other, times_a, times_b = sums[word["token"]]
        assert (times_a, times_b) == (word["times_a"], word["times_b"])
        assert pytest.approx(one) == word["contribution_a"]
        assert pytest.approx(other / 1.3 / 5 * 1000) == word["log_odds_b"]  # temperature; reviews in both
        assert pytest.approx(word["log_odds_b"] - word["log_odds_a"]) == word["change"]
    assert sorted((abs(word["change"]) for word in words), reverse=True) == [abs(word["change"]) for word in words]


def test_runs_without_a_shared_id_are_compared_by_distribution(write_run: WriteRun, tmp_path: Path) -> None:
    def corpus(name: str, share: float, token: str) -> str:
        words = listed((token, 0, 0.5))
        many = [
            {"record_id": f"{name}{n}", "probability": 0.92 if n < 200 * share else 0.22, "top_contributing": words}
            for n in range(200)
        ]
        return write_run(name, many)

    comparison = compare(corpus("a", 0.5, "calm"), corpus("b", 0.6, "rain"), Question(output=str(tmp_path / "tables")))
    assert (DISTRIBUTION, None, None, ()) == (comparison.by, comparison.pairs, comparison.changes, comparison.reviews)
    assert comparison.story[0].startswith(
        "No review is in both by record_id, so the runs are compared by distribution."
    )
    assert (
        "50.0% (43.1% to 56.9%) of 200 reviews in A and 60.0% (53.1% to 66.5%) of 200 in B: +10.0 points"
        in (comparison.story[1])
    )
    score = comparison.shifts[0]
    a, b = np.zeros(20, int), np.zeros(20, int)
    a[4], a[18], b[4], b[18] = 100, 100, 80, 120
    assert (tuple(a), tuple(b), "stable") == (score.a, score.b, score.grade)
    assert pytest.approx(stability_index(tuple(b), tuple(a))) == score.psi
    assert {("calm", 500, 0), ("rain", 0, 500)} == {(w.token, w.log_odds_a, w.log_odds_b) for w in comparison.words}
    table = pq.read_table(tmp_path / "tables" / "reviews.parquet")
    assert 400 == table.num_rows == sum(table["in_a"].to_pylist()) + sum(table["in_b"].to_pylist())


def test_runs_that_share_under_one_in_a_hundred_are_compared_by_distribution(write_run: WriteRun) -> None:
    a = write_run("a", [{"record_id": f"a{n}", "probability": 0.5} for n in range(100)] + scores(x=0.1, y=0.1))
    b = write_run("b", [{"record_id": f"b{n}", "probability": 0.5} for n in range(100)] + scores(x=0.1, y=0.1))
    assert "record_id" == compare(a, b, Question()).by  # 2 of 102
    c = write_run("c", [{"record_id": f"c{n}", "probability": 0.5} for n in range(101)] + scores(x=0.1))
    d = write_run("d", [{"record_id": f"d{n}", "probability": 0.5} for n in range(101)] + scores(x=0.1))
    comparison = compare(c, d, Question())
    assert DISTRIBUTION == comparison.by
    assert comparison.story[0].startswith("Only 1 review (under 1%) is in both by record_id")


def test_runs_that_share_all_ids_are_not_joined_by_distribution(write_run: WriteRun, tmp_path: Path) -> None:
    a, b = write_run("a", scores(x=0.1, y=0.2)), write_run("b", scores(x=0.9, y=0.2))
    comparison = compare(a, b, Question(by=DISTRIBUTION, output=str(tmp_path / "tables")))
    assert "as requested" in comparison.story[0]
    assert [True, False, True, False] == pq.read_table(tmp_path / "tables" / "reviews.parquet")["in_a"].to_pylist()


def test_reviews_with_changed_ids_are_matched_by_source_and_offset(write_run: WriteRun, tmp_path: Path) -> None:
    word = {"top_contributing": listed(("x", 0, 1.0))}
    a = write_run("a", [{"record_id": "old", "probability": 0.1, **word}])
    b = write_run("b", [{"record_id": "new", "probability": 0.9, **word}])
    assert DISTRIBUTION == compare(a, b, Question()).by
    comparison = compare(a, b, Question(by=PLACE, output=str(tmp_path / "tables")))
    (review,) = comparison.reviews
    assert ("old", "reviews.jsonl", 0) == (review.record_id, review.source, review.offset)
    (token,) = pq.read_table(tmp_path / "tables" / "tokens.parquet").to_pylist()
    assert (1.0, 1.0) == (token["contribution_a"], token["contribution_b"])


def test_kept_columns_may_have_names_that_our_queries_use(write_run: WriteRun) -> None:
    names = ("review", "w", "i", "side", "repeated", "in_a", "change", "truth", "position", "rank")
    table = [{**row, **dict.fromkeys(names, "7"), "top_contributing": listed(("x", 0, 1.0))} for row in scores(a=0.1)]
    a, b = write_run("a", table, names), write_run("b", table, names)
    comparison = compare(a, b, Question(label_column="truth", positive=("7",)))
    assert comparison.changes is not None
    assert (1, True) == (comparison.changes.identical, comparison.changes.same_words)
    assert (1, 1.0) == (
        comparison.agreement and comparison.agreement.same_first,
        comparison.agreement and comparison.agreement.overlap,
    )
    with connect("compare", a=[open_run(a)]) as db:
        assert [("x", 1)] == db.execute("select token, contributing_rank from a_tokens").fetchall()


def test_impossible_comparisons_are_refused_with_the_reason(write_run: WriteRun, tmp_path: Path) -> None:
    a = write_run("a", [{**scores(x=0.1)[0], "stars": "4"}], ("stars",))
    b = write_run("b", [{**scores(x=0.9)[0], "stars": "3"}], ("stars", "Label", "label"))
    empty = [write_run(name, [{**scores(x=0.1)[0], "stars": " "}], ("stars",)) for name in ("empty", "blank")]
    unfinished = write_run("unfinished", scores(x=0.9))
    Path(unfinished, "manifest.json").unlink()
    (tmp_path / "link").symlink_to(a)
    none_scored = write_run("none", scores(x=0.9), counts={"read": 1, "scored": 0, "rejected": 1, "unreadable": 0})
    for arguments, reason in (
        ((a, a + "/"), "a run cannot be compared with itself"),
        ((a, tmp_path / "link"), "a run cannot be compared with itself"),
        ((a, tmp_path / "nowhere"), "nothing there"),
        ((a, unfinished), "no manifest.json"),
        ((a, none_scored), "the run has no scored reviews"),
        ((a, b, "--output", b), "the output directory is not empty"),
        ((a, b, "--output", Path(a, "plan.json")), "the output is not a directory"),
        ((a, b, "--output", ""), "--output"),
        ((a, b, "--label-column", "label"), "the label column is not in the run"),
        ((b, write_run("c", scores(x=0.9), ("label",)), "--label-column", "label"), "in upper and lower case only"),
        ((a, b, "--label-column", "stars"), "cannot tell which labels mean positive"),
        ((a, b, "--label-column", "stars", "--positive-value", "9"), "the value '9' among the labels"),
        ((*empty, "--label-column", "stars"), "the label column has no labels"),
        ((a, b, "--label-column", "stars", "--positive-value", "4", "--negative-value", "<5"), "both positive and neg"),
        ((a, b, "--positive-value", "9"), "--label-column"),
        ((a, b, "--negative-value", "9"), "--label-column"),
    ):
        result = run(*arguments)
        assert (2, True) == (result.exit_code, reason in result.output), (reason, result.output)


def test_damaged_part_is_refused_by_name(write_run: WriteRun) -> None:
    a, b = write_run("a", scores(x=0.1)), write_run("b", scores(x=0.2))
    Path(b, "predictions/part-00000.parquet").write_bytes(b"PAR1 no table PAR1")
    result = run(a, b)
    assert 2 == result.exit_code
    assert "part-00000.parquet" in result.output
