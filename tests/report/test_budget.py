"""Reviews in a report stay within their budget, whatever is in them."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import astuple, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.report import budget
from batch_scorer.report.budget import TEXT, fit
from batch_scorer.report.findings import LISTS, ListedWord, Review
from tests.finished_runs import seal
from tests.made_runs import write_run
from tests.report.conftest import build


def word(i: int, token: str) -> ListedWord:
    return ListedWord(token, i, 10 * i, 10 * i + 5, 0.01, 0.25, i + 1, None)


def review(i: int, character: str) -> Review:
    words = tuple(word(k, character * 60) for k in range(60))
    kept = tuple((character * 200, character * 200) for _ in range(20))
    return Review(
        *(character * 1_000, character * 1_000, i, (LISTS[i % 4],), 0.5, 0.0, "positive", None, 9, 9, 0.0, 1.3, words),
        rest=1.0,
        kept=kept,
        text=character * 20_000,
    )  # fmt: skip


@pytest.mark.parametrize(("count", "character"), [(4, "a"), (400, "<"), (1_000, "\x00"), (1_000, "😀")])
def test_reviews_fit_whatever_is_in_them(count: int, character: str) -> None:
    reviews = [review(i, character) for i in range(count)]
    fitted, lost = fit(reviews)
    texts = [review.text for review in fitted if review.text is not None]
    assert {True} == {review.is_cut for review in fitted if review.text is not None}
    assert {TEXT} == {len(text) for text in texts}
    assert count - len(texts) == lost
    data = json.dumps([astuple(review) for review in fitted], separators=(",", ":"), ensure_ascii=False)
    assert len(data.encode()) + 5 * data.count("<") < 4_400_000
    first = fitted[0]
    assert 1.0 + 60 * 0.25 == pytest.approx(first.rest + sum(w.contribution for w in first.words))


def test_lists_share_the_budget_for_texts_in_turns() -> None:
    reviews = [replace(review(i, "a"), lists=(LISTS[0] if i < 90 else LISTS[1],)) for i in range(100)]
    fitted, lost = fit(reviews, texts_bytes=12 * (TEXT + 2))
    assert 88 == lost
    assert [*range(6), *range(90, 96)] == [i for i, review in enumerate(fitted) if review.text is not None]


def test_reviews_that_lose_their_texts_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path / "run", 6, keep=("text",))
    monkeypatch.setattr(budget, "TEXTS_BYTES", 0)
    findings = build(tmp_path / "run", text_column="text")
    assert "6 reviews are shown without, to keep the page small." in findings.texts_note


def test_words_and_ids_of_any_length_are_cut(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder / "old", tmp_path / "copy")
    path = copy / "predictions/part-00000.parquet"
    table = pq.read_table(path)
    changed = table.to_pylist()
    for row in changed:
        row["record_id"] += "x" * 5_000
        for name in ("top_contributing", "top_attended"):
            for k, listed in enumerate(row[name]):
                listed["token"] = "w" * (50 + 5_000 * (k == 0))
    pq.write_table(pa.Table.from_pylist(changed, table.schema), path)
    seal(copy)
    findings = build(copy, reviews=5)
    assert {200} == {len(review.record_id) for review in findings.reviews}
    assert {50, 60} == {len(word.token) for review in findings.reviews for word in review.words}
    assert {"w" * 50, "w" * 59 + "…"} == {word.token for word in (*findings.positive_words, *findings.negative_words)}


def test_infinities_and_nan_do_not_reach_the_page(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder / "old", tmp_path / "copy")
    path = copy / "predictions/part-00000.parquet"
    table = pq.read_table(path)
    changed = table.to_pylist()
    changed[0]["logit"] = changed[1]["rest_contribution"] = changed[2]["oov_rate"] = math.nan
    for place, value in ((1, math.inf), (2, -math.inf)):
        changed[place]["top_contributing"][0] |= {"contribution": value, "attention": value}
    pq.write_table(pa.Table.from_pylist(changed, table.schema), path)
    seal(copy)
    findings = build(copy, reviews=300)
    assert 299 == len(findings.reviews)
    json.dumps(
        [astuple(part) for part in (*findings.reviews, *findings.positive_words, *findings.negative_words)],
        allow_nan=False,
    )
