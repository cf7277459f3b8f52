"""Two runs compared: against plain Python on real runs of tiny models, and by hand on small made ones."""

from __future__ import annotations

import json
import math
import os
import shutil
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import correlation, mean, median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from batch_scorer.analysis.database import tables
from batch_scorer.analysis.statistics import difference, mcnemar, proportion
from batch_scorer.cli.main import main
from batch_scorer.compare import export
from batch_scorer.compare.compare import compare
from batch_scorer.compare.result import DISTRIBUTION, PLACE, Comparison, Question
from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import JobError
from batch_scorer.models.profile import measure, stability_index
from batch_scorer.runs.finished import open_run
from batch_scorer.schema import predictions_schema
from batch_scorer.storage.stores import client, retry
from batch_scorer.ui import comparison as compare_view
from tests.conftest import REVIEWS, save_tiny
from tests.jobs import rows, score_here
from tests.stubs import gcs
from tests.ui.test_terminal import FORBIDDEN
from train.metrics import wilson_interval

Rows = list[dict[str, Any]]
Make = Callable[..., str]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[str, str]:
    """The same reviews by two tiny models; the second run rejects the longest."""
    folder = tmp_path_factory.mktemp("scored")
    lines = [json.dumps({"id": i, "text": text, "label": n % 2}) for n, (i, text) in enumerate(REVIEWS)]
    (folder / "reviews.jsonl").write_text("\n".join(lines))
    other = save_tiny(folder / "other", seed=11)
    shared: dict[str, Any] = {"id_column": "id", "kept": (Kept("label", "truth"),), "workers": 1}
    inputs = (str(folder / "reviews.jsonl"),)
    score_here(ScoreConfig.of(inputs, str(folder / "a"), model=str(tiny_model), **shared))
    score_here(
        ScoreConfig.of(inputs, str(folder / "b"), model=str(other), max_text_bytes=100, max_error_rate=1, **shared)
    )
    return str(folder / "a"), str(folder / "b")


@pytest.fixture
def make(tmp_path: Path, scored: tuple[str, str]) -> Make:
    """Writes a finished run of given rows: of each (record_id, probability), and more where it matters."""
    manifest, plan = (json.loads(Path(scored[0], name).read_text()) for name in ("manifest.json", "plan.json"))

    def write(name: str, given: Rows, kept: tuple[str, ...] = (), **changes: Any) -> str:
        output = tmp_path / name
        (output / "predictions").mkdir(parents=True)
        threshold, temperature = changes.get("threshold", 0.5), changes.setdefault("temperature", 1.0)
        table = [
            {
                "source": "reviews.jsonl",
                "offset": at,
                "logit": temperature * math.log(row["probability"] / (1 - row["probability"])),
                "predicted_label": "positive" if row["probability"] >= threshold else "negative",
                **{"n_tokens": 4, "n_tokens_used": 4, "truncated": False, "oov_rate": 0.0, "rest_contribution": 0.0},
                **{"top_attended": [], "top_contributing": [], "model_id": "0" * 12, "run_id": "r"},
                **row,
            }
            for at, row in enumerate(given)
        ]
        schema = predictions_schema(pa.schema([(column, pa.string()) for column in kept]), "r", "0" * 12)
        pq.write_table(pa.Table.from_pylist(table, schema), output / "predictions/part-00000.parquet")
        ones = np.ones(len(given), np.int32)
        probability = np.array([row["probability"] for row in given], np.float32)
        profile = {"run": measure(4 * ones, 4 * ones, 0 * ones, probability).to_json()}
        parts = [{"path": "predictions/part-00000.parquet", "rows": len(given), "sha256": "0" * 64}]
        counts = {"read": len(given), "scored": len(given), "rejected": 0, "unreadable": 0}
        document = {**manifest, "run_id": "r", "model_id": "0" * 12, "parts": parts, "counts": counts, **changes}
        document["profile"] = {**manifest["profile"], **profile}
        (output / "manifest.json").write_text(json.dumps(document))
        names = [{"name": column, "output_name": column, "type": "string"} for column in kept]
        (output / "plan.json").write_text(json.dumps({**plan, "kept": names}))
        (output / "_SUCCESS").write_text("")
        return str(output)

    return write


def listed(*words: tuple[str, int, float]) -> Rows:
    """Words of a review, as its row lists them: token, position, contribution."""
    return [
        {"token": token, "position": at, "char_start": at, "char_end": at, "attention": 0.1, "contribution": adds}
        for token, at, adds in words
    ]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def shown(comparison: Comparison) -> str:
    console = Console(width=200, soft_wrap=True, emoji=False, color_system=None)
    with console.capture() as capture:
        compare_view.show(console, comparison)
    return capture.get()


def scores(**probabilities: float) -> Rows:
    return [{"record_id": name, "probability": p} for name, p in probabilities.items()]


# Two real runs, against plain Python


def test_two_models_on_the_same_reviews_give_the_figures_of_plain_python(scored: tuple[str, str]) -> None:
    found = compare(*scored, Question(label_column="truth"))
    a, b = ({row["record_id"]: row for row in rows(output)} for output in scored)
    both = sorted(a.keys() & b.keys())
    assert ["r1", "r2", "r3", "r5", "r6"] == both
    moves = [abs(b[i]["probability"] - a[i]["probability"]) for i in both]
    logits = [[side[i]["logit"] for i in both] for side in (a, b)]
    assert found.changes is not None
    assert found.pairs is not None
    assert found.truth is not None
    assert (5, 1, 0) == (found.pairs.both, found.pairs.only_a, found.pairs.only_b)
    assert (1, 0) == (found.pairs.rejected_by_b, found.pairs.rejected_by_a)
    flipped = [i for i in both if a[i]["predicted_label"] != b[i]["predicted_label"]]
    assert flipped, "the two models agree on everything: take another seed"
    assert len(flipped) == found.changes.flipped == found.changes.to_positive + found.changes.to_negative
    assert pytest.approx(mean(moves)) == found.changes.mean
    assert pytest.approx(median(moves)) == found.changes.median
    assert sum(move > 0.1 for move in moves) == found.changes.over_tenth
    assert sum(move > 0.5 for move in moves) == found.changes.over_half
    assert pytest.approx(correlation(*logits)) == found.changes.correlation
    right = [[(side[i]["predicted_label"] == "positive") == (side[i]["truth"] == 1) for i in both] for side in (a, b)]
    assert [sum(r) for r in right] == [found.truth.a.count, found.truth.b.count]
    assert f"Of 5 reviews in both, {len(flipped)} (" in found.story[0]
    assert "The models differ" in found.notes[0]
    most = max(both, key=lambda i: abs(b[i]["probability"] - a[i]["probability"]))
    assert most == found.reviews[0].record_id


def test_agreement_is_the_mean_overlap_of_the_positions_listed(scored: tuple[str, str]) -> None:
    found = compare(*scored, Question(label_column="truth")).agreement
    a, b = (
        {row["record_id"]: [w["position"] for w in row["top_contributing"]] for row in rows(output)}
        for output in scored
    )
    both = a.keys() & b.keys()
    assert found is not None
    assert pytest.approx(mean(len({*a[i]} & {*b[i]}) / len({*a[i]} | {*b[i]}) for i in both)) == found.overlap
    assert sum(a[i][0] == b[i][0] for i in both) == found.same_first


def test_tables_have_the_documented_columns_and_the_values_of_both_runs(
    scored: tuple[str, str], tmp_path: Path
) -> None:
    output = tmp_path / "new" / "tables"
    result = run(*scored, "--output", output, "--label-column", "truth")
    assert 0 == result.exit_code, result.output
    assert ["reviews.parquet", "tokens.parquet", "words.parquet"] == sorted(os.listdir(output))
    assert [output.name] == os.listdir(output.parent)
    assert all(str(output / name) in result.output for name in os.listdir(output))
    a, b = ({row["record_id"]: row for row in rows(run)} for run in scored)

    reviews = pq.read_table(output / "reviews.parquet")
    twice = [f"{name}_{side}" for name in ("logit", "label") for side in "ab"]
    leading = ["record_id", "source", "offset", "in_a", "in_b", "probability_a", "probability_b", "change"]
    assert [*leading, *twice, "flipped", "truth"] == reviews.column_names
    assert "ZSTD" == pq.ParquetFile(output / "reviews.parquet").metadata.row_group(0).column(0).compression
    assert sorted(a) == reviews["record_id"].to_pylist()
    for row in reviews.to_pylist():
        one, other = a[row["record_id"]], b.get(row["record_id"])
        assert (one["probability"], one["logit"], one["predicted_label"]) == (
            row["probability_a"],
            row["logit_a"],
            row["label_a"],
        )
        assert (one["source"], one["offset"]) == (row["source"], row["offset"])
        assert (True, other is not None) == (row["in_a"], row["in_b"])
        assert (other and other["probability"], other and other["logit"]) == (row["probability_b"], row["logit_b"])
        assert (other and other["probability"] - one["probability"]) == row["change"]
        assert (other and other["predicted_label"] != one["predicted_label"]) == row["flipped"]
        assert ("positive" if one["truth"] == 1 else "negative") == row["truth"]

    def contributions(of: dict[str, Any]) -> dict[tuple[str, int, str], float]:
        lists = [(i, w) for i, row in of.items() for w in (*row["top_attended"], *row["top_contributing"])]
        return {(i, w["position"], w["token"]): w["contribution"] for i, w in lists}

    tokens = pq.read_table(output / "tokens.parquet")
    assert ["record_id", "source", "offset", "position", "token", "contribution_a", "contribution_b"] == (
        tokens.column_names
    )
    found = {(r["record_id"], r["position"], r["token"]): r for r in tokens.to_pylist()}
    in_a, in_b = contributions(a), contributions(b)
    assert sorted(in_a.keys() | in_b.keys()) == list(found)
    assert all(in_a.get(key) == row["contribution_a"] for key, row in found.items())
    assert all(in_b.get(key) == row["contribution_b"] for key, row in found.items())


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


def test_run_and_its_copy_are_identical(scored: tuple[str, str], tmp_path: Path) -> None:
    copy = shutil.copytree(scored[0], tmp_path / "copy")
    found = compare(scored[0], str(copy), Question())
    assert (
        "The scores are identical: the 6 reviews in both have the same probability, logit and label, to the bit.",
        "So are the listed words and what they contribute.",
    ) == found.story
    assert ((), (), ()) == (found.reviews, found.words, found.notes)
    assert found.agreement is not None
    assert (1.0, 6) == (found.agreement.overlap, found.agreement.same_first)
    assert shown(found).count("the same") >= 10


def test_json_is_one_object_with_all_that_was_found(scored: tuple[str, str]) -> None:
    result = run(*scored, "--json", "--label-column", "truth", "--rows", "2")
    assert 0 == result.exit_code, result.output
    found = json.loads(result.stdout)
    assert (
        json.loads(json.dumps(compare_view.to_json(compare(*scored, Question(rows=2, label_column="truth"))))) == found
    )
    assert 2 == len(found["reviews"]) == len(found["words"])


# Made runs, by hand


def test_labels_with_truth_give_accuracy_and_mcnemar_by_hand(make: Make) -> None:
    truth = "1111100000"
    right_a, right_b = "1100000011", "1011111110"  # only A: one and the last; only B: seven

    def table(right: str) -> Rows:
        return [
            {"record_id": f"r{n}", "probability": 0.9 if (t == "1") == (r == "1") else 0.1, "stars": t}
            for n, (t, r) in enumerate(zip(truth, right, strict=True))
        ]

    unlabelled = {"record_id": "x", "probability": 0.5, "stars": None}
    contradicted = [{"record_id": "y", "probability": 0.5, "stars": stars} for stars in "01"]
    a = make("a", [*table(right_a), unlabelled, contradicted[0]], ("stars",))
    b = make("b", [*table(right_b), {**unlabelled, "stars": ""}, contradicted[1]], ("stars",))
    found = compare(a, b, Question(label_column="stars"))
    assert found.truth is not None
    assert (4, 8, 2, 6) == (found.truth.a.count, found.truth.b.count, found.truth.only_a, found.truth.only_b)
    assert (10, 1, 1) == (found.truth.a.reviews, found.truth.unlabelled, found.truth.contradicted)
    assert pytest.approx(2 * (1 + 8 + 28) / 2**8) == found.truth.p
    assert "A is right in 40.0% (16.8% to 68.7%) and B in 80.0% (49.0% to 94.3%) of 10 reviews" in found.story[-1]
    assert "2 only A gets right, 6 only B" in found.story[-1]
    assert "p = 0.289" in found.story[-1]
    other = compare(a, b, Question(label_column="stars", positive="0")).truth
    assert other is not None
    assert (6, 2) == (other.a.count, other.b.count)


def test_truth_means_the_same_however_a_run_keeps_it(make: Make) -> None:
    a = make("a", [{**row, "v": str(i)} for i, row in enumerate(scores(x=0.1, y=0.9))], ("v",))
    for i, (negative, positive) in enumerate((("0.0", "1.0"), (" 0", "1 "), ("0", "1.0"))):
        rows = [{**scores(x=0.9)[0], "v": negative}, {**scores(y=0.9)[0], "v": positive}]
        found = compare(a, make(f"b{i}", rows, ("v",)), Question(label_column="v")).truth
        assert found is not None
        assert (2, 1, 0, 0) == (found.a.count, found.b.count, found.contradicted, found.unlabelled)


def test_column_that_says_only_one_of_two_is_understood(make: Make) -> None:
    table = [{**row, "said": "Negative"} for row in scores(x=0.1, y=0.9)]
    a, b = make("a", table, ("said",)), make("b", table, ("said",))
    found = compare(a, b, Question(label_column="said")).truth
    assert found is not None
    assert (1, 2, "positive") == (found.a.count, found.a.reviews, found.positive)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (0, 1), (3, 3), (2, 6), (12, 9), (1, 40), (140, 200)])
def test_mcnemar_is_the_exact_binomial_tail(only_a: int, only_b: int) -> None:
    n = only_a + only_b
    tail = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1)) / 2**n
    assert pytest.approx(min(1, 2 * tail)) == mcnemar(only_a, only_b) == mcnemar(only_b, only_a)


def test_mcnemar_of_millions_is_near_the_normal_tail() -> None:
    a, b = 1_000_000, 1_003_000
    assert pytest.approx(math.erfc((b - a - 1) / math.sqrt(2 * (a + b))), rel=1e-3) == mcnemar(a, b)


@pytest.mark.parametrize(("count", "reviews"), [(0, 10), (9, 10), (10, 10), (4609, 5000)])
def test_interval_of_a_share_is_that_of_training(count: int, reviews: int) -> None:
    found = proportion(count, reviews)
    assert pytest.approx(wilson_interval(count, reviews), abs=1e-12) == (found.low, found.high)


def test_interval_of_a_difference_is_newcombes_example() -> None:
    assert pytest.approx((0.0524, 0.3339), abs=5e-5) == difference(proportion(48, 80), proportion(56, 70))


def test_repeated_ids_are_left_out_and_counted(make: Make) -> None:
    a = make("a", [*scores(x=0.1, y=0.2), *scores(z=0.3), *scores(z=0.4)])
    b = make("b", [*scores(x=0.9, y=0.2), *scores(y=0.2), *scores(y=0.2), *scores(z=0.9)])
    found = compare(a, b, Question())
    assert found.pairs is not None
    assert (1, 0, 0) == (found.pairs.both, found.pairs.only_a, found.pairs.only_b)
    assert (2, 3, 4) == (found.pairs.repeated, found.pairs.left_out_a, found.pairs.left_out_b)
    assert "2 ids are repeated" in found.notes[0]
    assert "Of 1 review in both, 1 (100.0%) changed their label: 1 to positive, 0 to negative." == found.story[0]


def test_runs_without_a_shared_id_are_compared_by_distribution_and_say_so(make: Make, tmp_path: Path) -> None:
    def corpus(name: str, share: float, token: str) -> str:
        words = listed((token, 0, 0.5))
        many = [
            {"record_id": f"{name}{n}", "probability": 0.92 if n < 200 * share else 0.22, "top_contributing": words}
            for n in range(200)
        ]
        return make(name, many)

    found = compare(corpus("a", 0.5, "calm"), corpus("b", 0.6, "rain"), Question(output=str(tmp_path / "tables")))
    assert (DISTRIBUTION, None, None, ()) == (found.by, found.pairs, found.changes, found.reviews)
    assert found.story[0].startswith("No review is in both by record_id, so the runs are compared by distribution.")
    assert (
        "50.0% (43.1% to 56.9%) of 200 reviews in A and 60.0% (53.1% to 66.5%) of 200 in B: +10.0 points"
        in (found.story[1])
    )
    score = found.shifts[0]
    a, b = np.zeros(20, int), np.zeros(20, int)
    a[4], a[18], b[4], b[18] = 100, 100, 80, 120
    assert (tuple(a), tuple(b), "stable") == (score.a, score.b, score.grade)
    assert pytest.approx(stability_index(tuple(b), tuple(a))) == score.psi
    assert {("calm", 500, 0), ("rain", 0, 500)} == {(w.token, w.log_odds_a, w.log_odds_b) for w in found.words}
    assert "probability: stable, stability index 0.0" in shown(found)
    table = pq.read_table(tmp_path / "tables" / "reviews.parquet")
    assert 400 == table.num_rows == sum(table["in_a"].to_pylist()) + sum(table["in_b"].to_pylist())


def test_margin_of_a_word_is_that_of_a_difference_of_means(make: Make) -> None:
    def corpus(name: str, times: int) -> tuple[str, list[float]]:
        adds = [0.5 * n if n < times else 0.0 for n in range(100)]
        table = [
            {"record_id": f"{name}{n}", "probability": 0.5, "top_contributing": listed(("x", 0, c)) if c else []}
            for n, c in enumerate(adds)
        ]
        return make(name, table, temperature=2.0), adds

    (a, adds_a), (b, adds_b) = corpus("a", 10), corpus("b", 30)
    (word,) = compare(a, b, Question()).words
    variance = (np.var(adds_a) + np.var(adds_b)) / 2.0**2 / 100
    assert pytest.approx(1000 * 1.959964 * math.sqrt(variance)) == word.margin
    assert pytest.approx(1000 * (np.mean(adds_b) - np.mean(adds_a)) / 2.0) == word.change


def test_runs_that_share_under_one_in_a_hundred_are_compared_by_distribution(make: Make) -> None:
    a = make("a", [{"record_id": f"a{n}", "probability": 0.5} for n in range(100)] + scores(x=0.1, y=0.1))
    b = make("b", [{"record_id": f"b{n}", "probability": 0.5} for n in range(100)] + scores(x=0.1, y=0.1))
    assert "record_id" == compare(a, b, Question()).by  # 2 of 102
    c = make("c", [{"record_id": f"c{n}", "probability": 0.5} for n in range(101)] + scores(x=0.1))
    d = make("d", [{"record_id": f"d{n}", "probability": 0.5} for n in range(101)] + scores(x=0.1))
    found = compare(c, d, Question())
    assert DISTRIBUTION == found.by
    assert found.story[0].startswith("Only 1 review (under 1%) is in both by record_id")


def test_by_distribution_runs_that_share_all_ids_are_not_joined(make: Make, tmp_path: Path) -> None:
    a, b = make("a", scores(x=0.1, y=0.2)), make("b", scores(x=0.9, y=0.2))
    found = compare(a, b, Question(by=DISTRIBUTION, output=str(tmp_path / "tables")))
    assert "as asked" in found.story[0]
    assert [True, False, True, False] == pq.read_table(tmp_path / "tables" / "reviews.parquet")["in_a"].to_pylist()


def test_by_place_reviews_whose_ids_changed_are_found(make: Make, tmp_path: Path) -> None:
    word = {"top_contributing": listed(("x", 0, 1.0))}
    a = make("a", [{"record_id": "old", "probability": 0.1, **word}])
    b = make("b", [{"record_id": "new", "probability": 0.9, **word}])
    assert DISTRIBUTION == compare(a, b, Question()).by
    found = compare(a, b, Question(by=PLACE, output=str(tmp_path / "tables")))
    assert ("old", "reviews.jsonl", 0) == (found.reviews[0].record_id, found.reviews[0].source, found.reviews[0].offset)
    (token,) = pq.read_table(tmp_path / "tables" / "tokens.parquet").to_pylist()
    assert (1.0, 1.0) == (token["contribution_a"], token["contribution_b"])


def test_word_listed_in_one_run_only_is_unknown_in_the_other_and_not_zero(make: Make) -> None:
    a = make("a", [{**scores(x=0.2)[0], "top_contributing": listed(("dull", 0, -2.0), ("warm", 1, 1.0))}])
    attended = {"top_attended": listed(("warm", 1, 0.5))}  # in no list of contributions, but its own is known
    b = make("b", [{**scores(x=0.9)[0], "top_contributing": listed(("fine", 2, 3.0)), **attended}], temperature=2.0)
    found = compare(a, b, Question())
    (review,) = found.reviews
    words = {word.token: (word.a, word.b) for word in review.words}
    assert {"dull": (-2.0, None), "warm": (1.0, 0.25), "fine": (None, 1.5)} == words
    assert "warm +1.00 to +0.25; listed in A only: dull -2.00; listed in B only: fine +1.50" in shown(found)
    assert {"dull": (1, 0), "warm": (1, 0), "fine": (0, 1)} == {w.token: (w.times_a, w.times_b) for w in found.words}


def test_lists_of_different_length_are_compared_as_far_as_the_shorter_goes(make: Make) -> None:
    words = listed(("one", 0, 3.0), ("two", 1, 2.0), ("three", 2, 1.0))
    a = make("a", [{**scores(x=0.2)[0], "top_contributing": words}], top_k=3)
    b = make("b", [{**scores(x=0.9)[0], "top_contributing": words[:2]}], top_k=2)
    found = compare(a, b, Question())
    assert "A lists 3 words a review and B 2: sums and agreement are of the first 2 of each." in found.notes
    assert found.agreement is not None
    assert (1.0, ()) == (found.agreement.overlap, found.words)
    none = compare(a, make("c", scores(x=0.9), top_k=0), Question())
    assert "A run lists no words (--top-k 0), so nothing is said about words." in none.notes
    assert (None, ()) == (none.agreement, none.words)


def test_labels_that_only_another_threshold_changed_are_counted(make: Make) -> None:
    a = make("a", scores(x=0.55, y=0.6, z=0.9))
    b = make("b", scores(x=0.55, y=0.3, z=0.9), threshold=0.7)
    assert "The thresholds differ: 1 of the 2 labels that changed would not have, by the threshold of A." in (
        compare(a, b, Question()).notes
    )


def test_same_ids_of_other_texts_are_noticed(make: Make) -> None:
    a = make("a", [{**row, "top_contributing": listed(("calm", 0, 1.0))} for row in scores(x=0.2, y=0.2)])
    b = make(
        "b",
        [
            {**scores(x=0.2)[0], "top_contributing": listed(("storm", 0, 1.0))},
            {**scores(y=0.3)[0], "n_tokens": 9},
        ],
    )
    found = compare(a, b, Question())
    assert found.pairs is not None
    assert 2 == found.pairs.other_text
    assert "--by distribution may be what you want" in found.notes[0]


def test_hostile_strings_stay_strings(make: Make) -> None:
    hostile = "a'b\"c\x1b[2J\u202e[red]\n--;drop table reviews"
    words = {"top_contributing": listed((hostile, 0, 1.0))}
    a = make("a'[*]", [{"record_id": hostile, "probability": 0.2, **words, hostile: "1"}], (hostile,))
    b = make('b"?', [{"record_id": hostile, "probability": 0.9, hostile: "1"}], (hostile,))
    found = compare(a, b, Question(label_column=hostile))
    assert hostile == found.reviews[0].record_id == found.words[0].token
    assert found.truth is not None
    assert 1 == found.truth.b.count
    printed = run(a, b, "--label-column", hostile).output
    assert "[red]" in printed
    assert not {c for c in printed if c != "\n" and unicodedata.category(c) in FORBIDDEN}
    (line,) = run(a, b, "--label-column", hostile, "--json").output.splitlines()
    assert hostile == json.loads(line)["reviews"][0]["record_id"]


def test_kept_columns_with_the_names_of_our_queries_change_nothing(make: Make) -> None:
    names = ("review", "w", "i", "side", "repeated", "in_a", "change", "truth", "position", "rank")
    table = [{**row, **dict.fromkeys(names, "7"), "top_contributing": listed(("x", 0, 1.0))} for row in scores(a=0.1)]
    a, b = make("a", table, names), make("b", table, names)
    found = compare(a, b, Question(label_column="truth", positive="7"))
    assert found.changes is not None
    assert (1, True) == (found.changes.identical, found.changes.same_words)
    assert (1, 1.0) == (found.agreement and found.agreement.same_first, found.agreement and found.agreement.overlap)
    with tables("compare", a=[open_run(a)]) as db:
        assert [("x", 1)] == db.execute("select token, contributing_rank from a_tokens").fetchall()


def test_runs_in_a_store_are_compared_there_and_leave_all_tables_or_none(
    scored: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with gcs.serving("bucket") as store:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
        monkeypatch.setattr(retry, "WAITS_S", ())
        client.use(())
        client._client.cache_clear()
        for name, output in zip("ab", scored, strict=True):
            for path in Path(output).rglob("*"):
                if path.is_file():
                    store.put("bucket", f"{name}/{path.relative_to(output)}", path.read_bytes())
        places = ("gs://bucket/a", "gs://bucket/b/", "--output", "gs://bucket/tables")
        store.fault = lambda asked: gcs.Fault(status=403) if "tokens" in asked.target and asked.is_upload else None
        assert 2 == run(*places).exit_code
        assert [] == store.names("bucket", "tables/")
        store.fault = lambda asked: None
        result = run(*places)
        assert 0 == result.exit_code, result.output
        assert [f"tables/{name}" for name in sorted(export.TABLES)] == store.names("bucket", "tables/")
        assert "the output directory is not empty" in run(*places).output
        client._client.cache_clear()


# Refusals


def test_comparisons_that_make_no_sense_are_refused_with_the_reason(make: Make, tmp_path: Path) -> None:
    a = make("a", [{**scores(x=0.1)[0], "stars": "4"}], ("stars",))
    b = make("b", [{**scores(x=0.9)[0], "stars": "3"}], ("stars", "Label", "label"))
    empty = [make(name, [{**scores(x=0.1)[0], "stars": " "}], ("stars",)) for name in ("empty", "blank")]
    unfinished = make("unfinished", scores(x=0.9))
    Path(unfinished, "manifest.json").unlink()
    (tmp_path / "link").symlink_to(a)
    none = make("none", scores(x=0.9), counts={"read": 1, "scored": 0, "rejected": 1, "unreadable": 0})
    for arguments, reason in (
        ((a, a + "/"), "a run is compared with itself"),
        ((a, tmp_path / "link"), "a run is compared with itself"),
        ((a, tmp_path / "nowhere"), "there is no run"),
        ((a, unfinished), "the run has not come to its end"),
        ((a, none), "no review was scored"),
        ((a, b, "--output", b), "the output directory is not empty"),
        ((a, b, "--output", Path(a, "plan.json")), "the output is not a directory"),
        ((a, b, "--output", ""), "--output is empty"),
        ((a, b, "--label-column", "label"), "the label column is not in the run"),
        ((b, make("c", scores(x=0.9), ("label",)), "--label-column", "label"), "for upper and lower case"),
        ((a, b, "--label-column", "stars"), "it cannot be told which labels mean positive"),
        ((a, b, "--label-column", "stars", "--positive-value", "9"), "the value '9' among the labels"),
        ((*empty, "--label-column", "stars"), "the label column holds no label"),
        ((a, b, "--positive-value", "9"), "says nothing without --label-column"),
    ):
        result = run(*arguments)
        assert (2, True) == (result.exit_code, reason in result.output), (reason, result.output)


def test_run_that_is_no_success_is_compared_and_named(make: Make) -> None:
    a, b = make("a", scores(x=0.1)), make("b", scores(x=0.2), not_a_success="2 files could not be read")
    Path(b, "_SUCCESS").unlink()
    assert "B is not a success: 2 files could not be read." in compare(a, b, Question()).notes


def test_damaged_part_is_an_error_that_names_it(make: Make) -> None:
    a, b = make("a", scores(x=0.1)), make("b", scores(x=0.2))
    Path(b, "predictions/part-00000.parquet").write_bytes(b"PAR1 no table PAR1")
    result = run(a, b)
    assert 2 == result.exit_code
    assert "part-00000.parquet" in result.output


def test_tables_that_cannot_be_finished_leave_nothing_behind(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = make("a", scores(x=0.1)), make("b", scores(x=0.2))
    monkeypatch.setitem(export.TABLES, "tokens.parquet", "select error('no room')")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(JobError, match="could not come to its end"):
        compare(a, b, Question(output=str(tmp_path / "tables")))
    assert before == sorted(os.listdir(tmp_path))
    (tmp_path / "tables").mkdir()
    with pytest.raises(JobError, match="could not come to its end"):
        compare(a, b, Question(output=str(tmp_path / "tables")))
    assert [] == os.listdir(tmp_path / "tables")


def test_empty_directory_that_stands_is_filled_and_stays_the_same(make: Make, tmp_path: Path) -> None:
    a, b = make("a", scores(x=0.1)), make("b", scores(x=0.2))
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    found = compare(a, b, replace(Question(), output=str(tmp_path / "link")))
    assert sorted(export.TABLES) == sorted(os.listdir(tmp_path / "real"))
    assert all(os.path.isfile(path) for path in found.tables)
