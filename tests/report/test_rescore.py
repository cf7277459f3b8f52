"""The reviews of a report, scored again: every word in colour, every listed part deleted, or a reason why not."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import InputError, OptionError
from batch_scorer.models import artifact
from batch_scorer.models.exact_engine import ExactEngine
from batch_scorer.report import budget, page_data, rescore
from batch_scorer.report.findings import Findings, Measured, Review
from batch_scorer.scoring.chunk import Scorer
from batch_scorer.scoring.deletions import left_over
from batch_scorer.scoring.review import ExplainedReview, explain_review
from tests.conftest import REVIEWS, TINY, save_tiny
from tests.findings import reviews_of
from tests.finished_runs import edit
from tests.jobs import score_here
from tests.report.conftest import build

TEXTS = (*REVIEWS, ("long", "A bad plot. Not good, very boring minutes! " * 12), ("가", "영화가 最高です。 good film"))
# Of a run: the model that scored it, and with which options.
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "words": ("tiny_model", {"top_k": 3}),
    "sentences": ("tiny_model", {"top_k": 2, "sentences": True, "spans": 1}),
    "windows": ("tiny_model_2", {"top_k": 3, "spans": 2}),
    "pieces": ("tiny_subwords_model", {"top_k": 3}),
    "unmasked": ("unmasked_model", {"top_k": 3}),
}


@pytest.fixture(scope="session")
def unmasked_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that reads padding, as the notebook's."""
    architecture = replace(TINY, recurrent_activation="relu", masked=False)
    return save_tiny(tmp_path_factory.mktemp("models") / "unmasked", architecture=architecture)


@pytest.fixture
def score(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., tuple[Path, Path]]:
    """Scores `TEXTS`; returns the input and the output."""

    def run(name: str = "words", **options: Any) -> tuple[Path, Path]:
        path, (model, others) = tmp_path / "in.jsonl", RUNS[name]
        path.write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in TEXTS), encoding="utf-8")
        model_directory = str(request.getfixturevalue(model))
        changes = {"id_column": "id", "model": model_directory, **others, **options}
        score_here(ScoreConfig.of((str(path),), str(tmp_path / "out"), **changes))
        return path, tmp_path / "out"

    return run


def rescored(path: Path, output: Path, model: Path, **options: Any) -> Findings:
    return build(output, text_from=(str(path),), rescore=True, model=str(model), **options)


@functools.cache
def scorer_of(model: Path) -> Scorer:
    loaded = artifact.load(str(model))
    return Scorer(loaded, ExactEngine(loaded))


def explained(text: str, model: Path) -> ExplainedReview:
    return explain_review(text, scorer_of(model), 1_000)


def measured(review: Review) -> Measured:
    assert review.measured is not None, review.not_measured
    return review.measured


@pytest.mark.parametrize("name", RUNS)
def test_every_word_is_coloured_and_every_listed_part_deleted(
    name: str, score: Callable[..., tuple[Path, Path]], request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(RUNS[name][0])
    findings = rescored(*score(name), model)
    assert {i for i, _ in TEXTS} == {review.record_id for review in findings.reviews}
    deletions = 0
    for review in findings.reviews:
        text, found = review.text or "", measured(review)
        alone = explained(text, model)
        read = [(word.start, word.end, word.contribution) for word in alone.words if word.is_read]
        assert [word[:2] for word in read] == [word[:2] for word in found.words]
        assert [word[2] for word in read] == pytest.approx([word[2] for word in found.words], abs=1e-6)
        assert 0 < len(review.phrases) <= RUNS[name][1].get("spans", 5)
        parts = {(one.char_start, one.char_end) for one in (*review.words, *review.phrases, *found.sentences)}
        assert parts == found.changes.keys()
        for place, change in list(found.changes.items())[::4]:
            rest = left_over(text, [place])
            if change is None:
                assert not scorer_of(model).artifact.tokenizer.has_words(rest)
            else:
                probability = explain_review(rest, scorer_of(model), 0).row["probability"]
                assert probability - alone.row["probability"] == pytest.approx(change, abs=1e-6)
        deletions += len(parts)
    assert f"8 reviews scored again, and {deletions} times without one of the parts listed." == findings.rescored


def test_longest_review_has_its_strongest_parts_deleted_only(
    score: Callable[..., tuple[Path, Path]], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, output = score()
    monkeypatch.setattr(rescore, "PARTS", 4)
    monkeypatch.setattr(rescore, "WORDS", 45)  # the model reads up to 19
    by_id = {review.record_id: review for review in rescored(path, output, tiny_model).reviews}
    assert [2, 4] == [len(measured(by_id[name]).changes) for name in ("long", "r2")]
    long = by_id["long"]
    parts = (*long.words, *long.phrases, *measured(long).sentences)
    weights = {(one.char_start, one.char_end): abs(one.contribution) for one in parts}
    assert sorted(weights.values(), reverse=True)[:2] == [weights[place] for place in measured(long).changes]


def test_text_that_has_changed_since_is_left_as_it_is_and_says_so(
    score: Callable[..., tuple[Path, Path]], tiny_model: Path
) -> None:
    path, output = score(top_k=1)
    path.write_text(
        path.read_text(encoding="utf-8").replace("good good and bad", "film good and bad"), encoding="utf-8"
    )
    findings = rescored(path, output, tiny_model)
    changed = [review for review in findings.reviews if review.measured is None]
    assert ["r4"] == [review.record_id for review in changed]
    assert "film good and bad" in (changed[0].text or "")
    assert "It has changed since" in changed[0].not_measured
    assert "1 text has changed since the run." in (findings.rescored or "")


def test_text_in_a_kept_column_is_scored_again_as_a_whole(
    score: Callable[..., tuple[Path, Path]], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, output = score(kept=(Kept("text", "text"),))
    monkeypatch.setattr("batch_scorer.report.texts.COLUMN_CHARACTERS", 100)
    monkeypatch.setattr(budget, "TEXT", 90)
    asked: dict[str, Any] = {"text_column": "text", "rescore": True, "model": str(tiny_model)}
    long = next(review for review in build(output, **asked).reviews if review.record_id == "long")
    assert (90, True) == (len(long.text or ""), long.is_cut)
    assert 19 == len(measured(long).words)
    monkeypatch.setattr(rescore, "CHARACTERS", 200)
    findings = build(output, **asked)
    assert ["long", "r4"] == sorted(review.record_id for review in findings.reviews if review.measured is None)
    assert "2 texts are too long for it." in (findings.rescored or "")


def test_model_that_did_not_score_the_run_is_refused(
    score: Callable[..., tuple[Path, Path]], tiny_model: Path, tiny_model_2: Path
) -> None:
    path, output = score()
    edit(output / "manifest.json", command=["score", "in.jsonl", "--model", str(tiny_model)])
    with pytest.raises(OptionError, match=rf"was scored by another model[\s\S]*--rescore --model {tiny_model}"):
        rescored(path, output, tiny_model_2)
    with pytest.raises(OptionError, match=r"was not scored by the shipped model[\s\S]*leave --rescore out"):
        build(output, text_from=(str(path),), rescore=True)


def test_options_that_lack_what_they_need_are_refused(
    score: Callable[..., tuple[Path, Path]], tiny_model: Path, tmp_path: Path
) -> None:
    path, output = score()
    with pytest.raises(OptionError, match=r"--rescore needs the texts[\s\S]*add --text-from INPUT"):
        build(output, rescore=True, model=str(tiny_model))
    with pytest.raises(OptionError, match="--model needs --rescore"):
        build(output, text_from=(str(path),), model=str(tiny_model))
    others = tmp_path / "others.jsonl"
    others.write_text('{"id": "x", "text": "another one"}\n')
    with pytest.raises(InputError, match=r"no text to score again[\s\S]*the 8 reviews of the page"):
        rescored(others, output, tiny_model)


def test_colours_count_in_the_budget_for_texts() -> None:
    reviews = reviews_of(2)
    words = tuple((word.char_start, word.char_end, word.contribution) for word in reviews[0].words)
    coloured = [replace(review, measured=Measured(words, {}, ())) for review in reviews]
    room = sum(budget.page_bytes(review.text or "") for review in reviews)
    assert 0 == budget.fit(reviews, room)[1]
    lost = [review for review in budget.fit(coloured, room)[0] if review.text is None]
    assert lost and not any(budget.coloured(review) for review in lost)


def test_page_holds_a_change_or_why_there_is_none_for_each_part() -> None:
    (review, *_) = reviews_of(1)
    first, second, *others = review.words
    places = [(word.char_start, word.char_end) for word in (first, second)]
    found = Measured(((2, 5, 0.5), (7, 9, -0.25)), {places[0]: -0.012345, places[1]: None}, ())
    data = json.loads(page_data.as_json([replace(review, measured=found)], 0.0, 9))["reviews"][0]["measured"]
    assert [-1234, "", *[None] * len(others)] == data["words"]
    assert [2, 3, 500, 2, 2, -250] == data["colours"]
