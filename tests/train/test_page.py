"""`training.html`: what it says of a training that is over, safely, and in a browser."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from batch_scorer.errors import EngineError
from batch_scorer.models import artifact
from batch_scorer.models.engine import load_engine
from batch_scorer.report.findings import LEAST_CERTAIN, MOST_SURPRISING
from batch_scorer.scoring.chunk import Scorer
from batch_scorer.scoring.review import explain_review
from tests.browsing import DESK, PHONE, chromium, opened
from tests.conftest import TINY
from tests.findings import HOSTILE
from tests.report.test_page import Parsed
from tests.train.trained import Trained, examples, finished, trained
from train.keras_files import RankedReviews
from train.notebook import architecture as notebook
from train.page import write
from train.page.curves import curves, epochs
from train.page.findings import SIMULATIONS, findings, reliability
from train.page.words import Explained, effects
from train.prepare import from_ranks
from train.run import AVERAGE, FINE_TUNING, PRETRAINING, Line

WORDS = ("a", "good", "bad", "film", "plot", "not", "the", "and", "very", "boring", "wonderful", "minutes")
LONG = " ".join(WORDS * 3)  # longer than the network reads


def texts(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(2, 19))) for _ in range(count)]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A training whose held-out reviews, ids and name are hostile, and of which two repeat one that is trained on."""
    reviews = texts(40, 1)
    held_out = [*reviews[:2], LONG, *(f"good {string} bad film" for string in HOSTILE), *texts(90, 2)]
    ids = [f"{HOSTILE[i % len(HOSTILE)]} {i}" for i in range(100)]
    hostile = examples(held_out, [0, 1] * 50, ids)
    return trained(tmp_path_factory.mktemp("done"), examples(reviews, [0, 1] * 20), hostile, name=HOSTILE[3])


@pytest.fixture(scope="module")
def page(done: Trained) -> Path:
    done.page()
    return done.run.directory / "training.html"


@pytest.fixture(scope="module")
def parsed(page: Path) -> Parsed:
    return Parsed(page.read_text(encoding="utf-8"))


def test_page_has_every_section_and_says_that_it_holds_texts(done: Trained, parsed: Parsed) -> None:
    expected = {"figures", "about", "curves", "quality", "words", "reviews", "settings", "reading"}
    assert expected == parsed.sections()
    text = " ".join(parsed.text.split())
    for figure in ("This page holds texts of reviews", artifact.load(str(done.output)).model_id,
                   "40 to train on, 100 given for validation", "Without them, accuracy is", "on 98 reviews",
                   "learning_rate", "reviews.csv"):  # fmt: skip
        assert figure in text, figure


def test_page_allows_and_requests_nothing_but_itself(page: Path, parsed: Parsed) -> None:
    (policy,) = (a["content"] for tag, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert str(policy).startswith("default-src 'none'; style-src 'sha256-")
    refers = {v for _, a in parsed.tags for n, v in a.items() if n in {"href", "src", "action", "xlink:href"}}
    assert {"data:,", "#main", *(f"#{name}" for name in parsed.sections())} == refers
    assert page.stat().st_size < 2_000_000


def test_hostile_texts_ids_and_names_become_neither_tags_nor_attributes(parsed: Parsed) -> None:
    assert ["style", "script", "script"] == [tag for tag, _ in parsed.tags if tag in {"style", "script"}]
    assert set() == {tag for tag, _ in parsed.tags} & {"img", "iframe", "object", "embed"}
    names = {name for _, attributes in parsed.tags for name in attributes}
    assert set() == {name for name in names if name.startswith("on") or name == "style"}
    assert HOSTILE[3] in parsed.text
    assert {r["id"].rpartition(" ")[0] for r in parsed.data()["reviews"]} <= set(HOSTILE)


def test_page_of_a_thousand_long_reviews_stays_small(tmp_path: Path) -> None:
    held_out = examples([f"{text} {'<&> ' * 9_000}" for text in texts(60, 3)], [0, 1] * 30)
    html = trained(tmp_path, examples(texts(10, 1), [0, 1] * 5), held_out).page()
    assert 500_000 < len(html.encode()) < 2_000_000
    assert "texts are left out, to keep the page small" in html or '"isCut":true' in html


def test_page_depends_on_nothing_but_the_training(done: Trained, page: Path) -> None:
    before = page.read_bytes()
    done.page()
    assert before == page.read_bytes()


def test_mistakes_come_by_confidence_and_their_words_are_those_of_a_job(done: Trained) -> None:
    model = artifact.load(str(done.output))
    engine = load_engine(model)
    found = findings(model, engine, done.data, done.fitted)
    wrong = [r for r in found.reviews if MOST_SURPRISING in r.lists]
    assert 20 == len(wrong)
    assert all(review.truth != review.label for review in wrong)
    ranked = sorted(wrong, key=lambda review: review.ranks[review.lists.index(MOST_SURPRISING)])
    confidence = [max(review.probability, 1 - review.probability) for review in ranked]
    assert sorted(confidence, reverse=True) == confidence
    assert 20 == sum(LEAST_CERTAIN in review.lists for review in found.reviews)
    for review in found.reviews:
        text = done.data.texts["validation"][review.offset]
        row = explain_review(text, Scorer(model, engine), top_k=12).row
        assert row["logit"] == pytest.approx(review.logit, abs=1e-5)
        listed = [word for word in review.words if word.contributing_rank]
        total = engine.bias + sum(word.contribution for word in listed) + review.rest
        assert review.logit == pytest.approx(total, abs=1e-9)
        expected = {word["position"]: word["contribution"] for word in row["top_contributing"]}
        assert expected == pytest.approx({word.position: word.contribution for word in listed}, abs=1e-5)
        for word in review.words:
            assert word.token == text[word.char_start : word.char_end].lower()


def test_figures_are_those_of_the_manifest(done: Trained) -> None:
    model = artifact.load(str(done.output))
    found = findings(model, load_engine(model), done.data, done.fitted)
    right = found.true_positive + found.true_negative
    assert model.manifest["metrics"]["validation"]["accuracy"] == right / 100
    assert 100 == sum(bin_of.point.reviews for bin_of in found.bins) == sum(one.reviews for one in found.lengths)
    assert "20 words or more, not read whole" == found.lengths[-1].value


def explained(*reviews: dict[str, float]) -> list[Explained]:
    return [
        Explained(row, list(words), np.ones(len(words)), np.array(list(words.values())), 0.0)
        for row, words in enumerate(reviews)
    ]


def test_words_that_decide_exceed_their_margin_and_come_by_what_they_add() -> None:
    reviews = explained(*([{"great": 1.0, "film": 0.3}] * 30 + [{"awful": -2.0, "film": -0.3}] * 20 + [{"once": 5.0}]))
    positive, negative = effects(reviews)
    assert ["great"] == [word.token for word in positive]  # `film` cancels out, `once` is in one review only
    assert ["awful"] == [word.token for word in negative]
    great = positive[0]
    assert (30 / 51, 30) == (pytest.approx(great.per_review), great.reviews)
    values = np.array([1.0] * 30 + [0.0] * 21)
    assert great.margin == pytest.approx(1.959964 * values.std() / np.sqrt(51))


def test_word_that_occurs_twice_in_a_review_counts_once_with_both() -> None:
    twice = Explained(0, ["good", "good"], np.ones(2), np.array([1.0, 2.0]), 0.0)
    positive, _ = effects([twice, dataclasses.replace(twice, row=1)])
    assert [("good", 3.0, 0.0, 2)] == [(w.token, w.per_review, w.margin, w.reviews) for w in positive]


def test_bins_of_calibrated_probabilities_are_within_chance_and_of_others_not() -> None:
    rng = np.random.default_rng(4)
    p = rng.random(4_000)
    calibrated = reliability(p, (rng.random(4_000) < p).astype(int))
    assert sum(one.is_by_chance for one in calibrated) >= 8
    assert 10 == len(calibrated)
    sure = reliability(np.where(p < 0.5, 0.02, 0.98), (rng.random(4_000) < 0.5).astype(int))
    assert [False, False] == [one.is_by_chance for one in sure]
    assert SIMULATIONS >= 200


def test_network_of_the_notebook_on_ranks_shows_its_words_without_texts(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    ranks = tuple(rng.integers(1, 40, rng.integers(2, 30)) for _ in range(30))
    index = {f"word{rank}": rank for rank in range(1, 40)}
    reviews = RankedReviews(ranks, np.array([0, 1] * 15, np.int8), index)
    data = from_ranks(reviews, 0.4, 43, 24, 24)
    sizes = dataclasses.replace(
        TINY, vocabulary_size=43, max_length=24, masked=False, recurrent_activation=notebook(1).recurrent_activation
    )
    html = finished(tmp_path, data, sizes).page()
    shown = Parsed(html).data()["reviews"]
    assert {None} == {review["text"] for review in shown}
    assert all(word[0].startswith("word") for review in shown for word in review["listed"])
    assert "Reviews were compared by the words that are read" in " ".join(html.split())


def line(stage: str, epoch: int, step: int, **measures: Any) -> Line:
    return {
        "stage": stage,
        "epoch": epoch,
        "step": step,
        "loss": 0.5,
        "seconds": 1,
        "measured": bool(measures),
    } | measures


def test_curves_of_a_full_run_show_pretraining_and_the_mean_of_the_weights() -> None:
    quality = {"log_loss": 0.3, "accuracy": 0.9, "accuracy_low": 0.8, "accuracy_high": 0.95}
    log = [line(PRETRAINING, 1, 10, perplexity=300.0), line("teacher 1", 1, 5, **quality)]
    log += [
        line(f"{FINE_TUNING} {turn}", 1, step, **(quality if step == 4 else {})) for turn in (1, 2) for step in (2, 4)
    ]
    log += [line(AVERAGE, 1, 1, **{**quality, "log_loss": 0.2})]
    drawn = curves(log, 1)
    assert 4 == len(drawn)
    assert "epoch 1: 300.0000" in drawn[1].svg
    assert "epoch 1: 0.2000" in drawn[2].svg  # of the mean, not of one of them
    assert [PRETRAINING, "teacher 1", f"{FINE_TUNING} 1", f"{FINE_TUNING} 2", AVERAGE] == [e.stage for e in epochs(log)]
    assert 2 == len(curves(log[2:4], 1))


def test_training_without_the_packages_of_the_report_says_which_it_needs(
    done: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, said = importlib.util.find_spec, list[str]()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "altair" else real(name))
    write.write_page(done.output, done.run, done.data, done.fitted, done.seen, {}, said.append)
    assert 1 == len(said)
    assert "'.[report]'" in said[0]


def test_page_that_fails_is_said_and_costs_the_training_nothing(done: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise EngineError("the engine failed on a review")

    said = list[str]()
    monkeypatch.setattr(write, "findings", fails)
    write.write_page(done.output, done.run, done.data, done.fitted, done.seen, {}, said.append)
    assert ["training.html is not written: the engine failed on a review"] == said


def test_page_in_a_browser_is_quiet_accessible_and_as_wide_as_the_window(page: Path) -> None:
    with chromium() as browser:
        for size, scheme in ((DESK, "dark"), (PHONE, "light")):
            with opened(browser, page, size, scheme) as watched:
                assert [page.as_uri()] == watched.requests
                assert 0 >= watched.overflow()
                watched.page.get_by_role("tab", name=re.compile("Least certain")).click()
                expect(watched.page.locator("#items button")).to_have_count(20)
                expect(watched.page.locator("#match-count")).to_have_text("20 reviews")
                watched.page.locator("#items button").first.click()
                expect(watched.page.locator("#review-title")).to_be_visible()
                if size == DESK:
                    assert [] == watched.serious_violations()
                assert watched.page.evaluate("window.__pwned") is None
                assert [] == watched.messages
