"""The groups of a report: counted from the rows of a run, over time, with those that moved and why."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.analysis.statistics import proportion
from batch_scorer.errors import OptionError
from batch_scorer.report import group_data, page
from batch_scorer.report.findings import MOVERS, Findings
from batch_scorer.report.sentences import headlines
from tests.finished_runs import seal
from tests.group_findings import overview
from tests.jobs import rows
from tests.made_runs import write_run
from tests.report.conftest import build

REVIEWS, SINCE = 3_000, date(2024, 10, 1)
FELL = "clock"


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 3,000 reviews of 12 products over 2024; negative ones of one of them list *rust* since October.

    Most of that product's positive reviews of October on were given other products, so that its share fell.
    """
    rng = np.random.default_rng(5)
    output = tmp_path_factory.mktemp("moved") / "run"
    names = [f"product {at}" for at in range(11)] + [FELL]
    products = rng.choice(names, REVIEWS, p=[0.07] * 11 + [0.23])
    days = rng.integers(0, 366, REVIEWS)
    blank = [""] * REVIEWS
    write_run(output, REVIEWS, keep=("text",), kept={"product": blank, "date": blank, "shop": blank})
    path = output / "predictions/part-00000.parquet"
    table = pq.read_table(path)
    labels = table["predicted_label"].to_pylist()
    lists = table["top_contributing"].to_pylist()
    for at in range(REVIEWS):
        if products[at] == FELL and days[at] >= 274:
            if labels[at] == "positive" and rng.random() < 0.9:
                products[at] = names[at % 11]
            elif labels[at] == "negative" and rng.random() < 0.4:
                lists[at][1] = {**lists[at][1], "token": "rust", "contribution": -0.5}
    columns = {
        "product": pa.array(products.tolist()),
        "date": pa.array([str(date(2024, 1, 1) + timedelta(days=int(day))) for day in days]),
        "shop": pa.array([f"shop {at % 3}" for at in range(REVIEWS)]),
        "top_contributing": pa.array(lists, table.schema.field("top_contributing").type),
    }
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(name), values)
    pq.write_table(table, path)
    seal(output)
    return output


@pytest.fixture(scope="module")
def findings(moved: Path) -> Findings:
    return build(moved, group_by=("product", "shop"), over="date", text_column="text", reviews=5)


def test_group_that_fell_is_named_with_its_reason_and_since_when(findings: Findings) -> None:
    assert findings.groups is not None
    (mover,) = findings.groups.movers
    assert ("product", FELL, "October 2024") == (mover.column, mover.group.value, mover.since)
    assert "rust" == mover.words[0].text
    assert mover.low < mover.now.share - mover.before.share < mover.high < 0
    assert (15, 1) == (findings.groups.tested, findings.groups.moved)


def test_shares_are_those_of_the_rows(moved: Path, findings: Findings) -> None:
    assert findings.groups is not None
    counts, positive = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for row in rows(moved):
        key = row["product"], row["date"][:7]
        counts[key] += 1
        positive[key] += row["predicted_label"] == "positive"
    grouping = findings.groups.groupings[0]
    assert sorted(
        {product for product, _ in counts}, key=lambda p: -sum(n for (q, _), n in counts.items() if p == q)
    ) == [group.value for group in grouping.groups]
    for group in grouping.groups:
        keys = [(group.value, start[:7]) for start in findings.groups.starts]
        assert [counts[key] for key in keys] == list(group.reviews)
        assert [positive[key] for key in keys] == list(group.positives)
        assert proportion(sum(group.positives), sum(group.reviews)) == group.positive
    (mover,) = findings.groups.movers
    own = [positive[FELL, start[:7]] for start in findings.groups.starts]
    assert (sum(own[:9]), sum(own[9:])) == (mover.before.count, mover.now.count)


def test_examples_are_reviews_of_the_group_since_then_with_their_texts(moved: Path, findings: Findings) -> None:
    assert findings.groups is not None
    (mover,) = findings.groups.movers
    by_id = {row["record_id"]: row for row in rows(moved)}
    examples = {r.ranks[r.lists.index(MOVERS)]: r for r in findings.reviews if MOVERS in r.lists}
    assert [1, 2, 3] == sorted(examples) == sorted(mover.examples)
    for review in examples.values():
        row = by_id[review.record_id]
        assert (FELL, "negative") == (row["product"], row["predicted_label"])
        assert row["date"] >= str(SINCE)
        assert "rust" in [word.token for word in review.words]


def test_headline_names_the_movers(findings: Findings) -> None:
    sentence = headlines(findings)[1]
    assert sentence.startswith(f"1 of 15 groups moved: {FELL} ")
    assert "positive since October 2024 (rust" in sentence


def test_groups_without_dates_have_shares_only(moved: Path) -> None:
    found = build(moved, group_by=("shop",))
    assert found.groups is not None
    assert ((), None, 0) == (found.groups.movers, found.groups.over, found.groups.tested)
    assert ["shop 0", "shop 1", "shop 2"] == [group.value for group in found.groups.groupings[0].groups]
    assert [()] * 3 == [group.reviews for group in found.groups.groupings[0].groups]
    assert 1 == len(headlines(found)) or "moved" not in headlines(found)[1]


def test_dates_that_are_all_missing_leave_the_groups_without_a_course(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 30, kept={"product": ["lamp", "desk", "chair"] * 10, "date": pa.nulls(30, pa.string())})
    found = build(tmp_path / "run", group_by=("product",), over="date")
    assert headlines(found)[1].startswith("The column date has no dates")
    html = page.render(replace(found, drift=(), positive_words=(), negative_words=())).decode()
    assert "The column date has no dates" in html
    assert '<th scope="row"><bdi>chair</bdi></th>' in html


def test_report_without_groups_says_nothing_of_them(moved: Path) -> None:
    found = build(moved)
    assert found.groups is None
    html = page.render(replace(found, drift=(), positive_words=(), negative_words=())).decode()
    assert 'id="groups"' not in html
    assert '"groups":' not in html


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"over": "date"}, "--over needs --group-by"),
        ({"group_by": ("product",), "by": "week"}, "--by needs --over"),
        ({"group_by": ("product",), "date_format": "s"}, "--date-format needs --over"),
        ({"group_by": ("colour",)}, "did not keep a column 'colour'"),
        ({"group_by": ("product",), "over": "when"}, "did not keep a column 'when'"),
        ({"group_by": ("product",), "over": "text"}, "the column's dates cannot be told"),
    ],
)
def test_question_that_cannot_be_answered_is_refused(moved: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build(moved, **options)


def test_run_without_reviews_has_no_groups(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 0, kept={"product": [], "date": []}, rejected=2)
    found = build(tmp_path / "run", group_by=("product",), over="date")
    assert found.groups is not None
    assert ((), 0) == (found.groups.groupings[0].groups, found.groups.tested)


def test_rows_of_groups_stay_within_their_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = group_data.pack(overview(400))
    assert (400, 0) == (len(whole[0]["rows"]), whole[0]["missing"])
    assert [True] * 3 + [False] * 397 == [bool(row[5]) for row in whole[0]["rows"]]
    for budget in (26_000, 9_000):
        monkeypatch.setattr(group_data, "BYTES", budget)
        (packed,) = group_data.pack(overview(400))
        assert len(json.dumps(packed["rows"], separators=(",", ":"))) <= budget
        assert 400 == len(packed["rows"]) + packed["missing"]
        assert packed["rows"][0][3]  # the course of a mover
