"""Checks where people try a model first: measures by hand, and the command on a tiny model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from batch_scorer.errors import InputError
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.engine import load_engine
from batch_scorer.models.network import forward
from batch_scorer.scoring.gaps import Gaps
from tests.conftest import REVIEWS, WORDS
from train.cli import main
from train.evaluate import card_checks
from train.evaluate.checks import labelled, made, phrases, rationales
from train.evaluate.model import Model

TEXTS = [text for _, text in REVIEWS]


@pytest.fixture(scope="module")
def model(tiny: Artifact) -> Model:
    return Model(tiny, load_engine(tiny))


def test_answers_are_those_of_the_network(model: Model) -> None:
    tokenizer, a = model.artifact.tokenizer, model.artifact
    exact = [forward(a.tensors, a.architecture, tokenizer.ids(tokenizer.words(text))) for text in TEXTS]
    np.testing.assert_allclose([one.logit for one in exact], model.logits(TEXTS), atol=1e-4)
    np.testing.assert_allclose(model.logits(TEXTS) / 1.3, model.calibrated(TEXTS))
    logits, explained = model.explained(TEXTS)
    np.testing.assert_array_equal(model.logits(TEXTS), logits)
    for one, (contribution, attention) in zip(exact, explained, strict=True):
        np.testing.assert_allclose(one.contribution[1:], contribution, atol=1e-4)
        np.testing.assert_allclose(one.attention[1:], attention, atol=1e-4)


def test_pairs_count_the_rewritten_ones_and_both(model: Model) -> None:
    right = model.positive(TEXTS).astype(int)
    rows = [
        {"id": f"dev/{i}", "pair": f"p{i // 2}", "revised": i % 2 == 1, "text": text, "label": int(right[i])}
        for i, text in enumerate(TEXTS)
    ]
    rows[1]["label"] = 1 - rows[1]["label"]  # the rewritten one of the first pair is wrong
    rows[5]["id"] = "train/5"  # the last pair has a member that does not count
    found = labelled.pairs(model, pa.Table.from_pylist(rows), "dev/")
    assert (3, 3) == (found["originals"]["count"], found["originals"]["right"])
    assert (2, 1) == (found["rewritten"]["count"], found["rewritten"]["right"])
    assert (2, 1) == (found["both"]["count"], found["both"]["right"])


def test_stars_and_words_make_two_sides_and_what_lies_between_is_left_out() -> None:
    stars = pa.table({"text": list("abcde"), "stars": ["1", "5", "3", "2", "4"]})
    assert (["a", "b", "d", "e"], [0, 1, 0, 1]) == _plain(labelled.two_sides(stars))
    words = pa.table({"text": list("abc"), "label": ["negative", "neutral", "positive"]})
    assert (["a", "c"], [0, 1]) == _plain(labelled.two_sides(words))
    assert (["a", "b"], [1, 0]) == _plain(labelled.two_sides(pa.table({"text": list("ab"), "label": [1, 0]})))


def _plain(sides: tuple[list[str], np.ndarray]) -> tuple[list[str], list[int]]:
    return sides[0], sides[1].tolist()


def test_domain_measures_both_classes_alike(model: Model) -> None:
    labels = ["positive", "negative"] * 3
    # The text without words does not count.
    found = labelled.domain(model, pa.table({"text": [*TEXTS, "..."], "label": [*labels, "negative"]}))
    right = model.positive(TEXTS) == np.array([label == "positive" for label in labels])
    assert (len(TEXTS), 0.5) == (found["texts"], found["positive"])
    assert right[::2].mean() == pytest.approx(found["positive_right"])
    assert right[1::2].mean() == pytest.approx(found["negative_right"])
    assert right.mean() == pytest.approx(found["balanced_accuracy"])
    with pytest.raises(InputError, match="same label"):
        labelled.domain(model, pa.table({"text": TEXTS, "label": ["positive"] * 6}))


def test_long_reviews_are_those_beyond_one_window(model: Model) -> None:
    found = labelled.long_reviews(model, TEXTS, np.array([1, 0, 1, 0, 1, 0], np.int8), draws=10)
    assert 1 == found["reviews"]
    # The tiny model reads the last words only: windows and the last window are the same.
    assert found["windows"] == found["last"]
    assert 0 == found["log_loss_gain"]["mean"]
    assert {"reviews": 0} == labelled.long_reviews(model, ["short"], np.array([1], np.int8))


def test_smoothed_values_keep_a_constant_and_spread_a_peak() -> None:
    np.testing.assert_allclose(np.ones(5), phrases.smoothed(np.ones(5)))
    peak = phrases.smoothed(np.eye(1, 31, 15)[0])
    assert 15 == peak.argmax()
    assert np.exp(-0.5) == pytest.approx(peak[13] / peak[15])


def test_average_precision_of_known_rankings() -> None:
    marked = np.array([True, False, True, False])
    assert 1.0 == rationales.average_precision(np.array([4.0, 1.0, 3.0, 2.0]), marked)
    assert (1 / 3 + 2 / 4) / 2 == rationales.average_precision(np.array([1.0, 4.0, 2.0, 3.0]), marked)


def test_marked_words_that_are_not_read_rank_last(model: Model) -> None:
    text = "bad " * 3 + "good " * model.artifact.tokenizer.max_words
    table = pa.Table.from_pylist([{"text": text, "rationales": [{"char_start": 0, "char_end": 11}]}])
    found = rationales.rationales(model, table, seed=0)
    assert (1, 1.0) == (found["documents"], found["unread"])
    last = model.artifact.tokenizer.max_words
    expected = np.mean([k / (last + k) for k in (1, 2, 3)])
    assert expected == pytest.approx(found["contribution"])


def test_words_rank_by_their_phrase_and_then_by_what_is_near_them() -> None:
    values = np.array([0.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0, 9.0, 0.1, 0.0, 0.0, -5.0])
    new = np.arange(12) == 0
    order = np.argsort(-phrases.by_phrase(values, Gaps(new, new)), kind="stable").tolist()
    assert 7 == order[0] and {1, 2} == set(order[1:3]) and 11 == order[-1]
    assert sorted(order) == list(range(12))


def test_deleting_phrases_leaves_the_other_words_and_as_few_are_deleted_of_the_best(model: Model) -> None:
    texts = [*TEXTS, "good bad good. not a good film, very bad plot and boring it was"]
    seen: list[list[list[str]]] = []

    class Watched(Model):
        def logits_of_words(self, some: Sequence[Sequence[str]]) -> np.ndarray:
            seen.append([list(words) for words in some])
            return super().logits_of_words(some)

    found = phrases.deletions(Watched(model.artifact, model.engine), texts, seed=0)
    assert len(texts) == found["reviews"]
    assert 2 * len(phrases.SPANS) == len(seen)
    words = [model.artifact.tokenizer.words(text) for text in texts]
    for spans, by_phrase, by_word in zip(phrases.SPANS, seen[::2], seen[1::2], strict=True):
        assert [len(some) for some in by_phrase] == [len(some) for some in by_word]
        gone = [len(every) - len(some) for every, some in zip(words, by_phrase, strict=True)]
        assert np.mean(gone) == found[f"{spans}"]["words"] > 0
        falls = found[f"{spans}"]
        assert falls["ratio"] == falls["phrases"]["mean"] / falls["same_words"]["mean"]
    assert all(len(fewer) >= len(more) for fewer, more in zip(seen[0], seen[-2], strict=True))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["check", *map(str, arguments)], catch_exceptions=False)


def test_check_writes_all_figures_as_json(tmp_path: Path, tiny_model: Path) -> None:
    rows = [{"id": f"dev/{i}", "pair": f"{i // 2}", "revised": i % 2 == 1, "text": t, "label": i % 2}
            for i, t in enumerate(TEXTS)]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pairs.parquet")
    marked = [{"text": TEXTS[0], "rationales": [{"char_start": 0, "char_end": 11}]}]
    pq.write_table(pa.Table.from_pylist(marked), tmp_path / "marked.parquet")
    pairs = tmp_path / "pairs.parquet"
    written = tmp_path / "c.json"
    result = run(tiny_model, "--counterfactual", pairs, "--domain", f"toys={pairs}", "--long", pairs,
                 "--sentences", 8, "--swaps", 2, "--rationales", tmp_path / "marked.parquet", "--phrases", pairs,
                 "--output", written)  # fmt: skip
    assert 0 == result.exit_code, result.output
    found = json.loads(written.read_text())
    assert {"model", "pairs", "grammar", "swaps", "domains", "long_reviews", "rationales", "phrases"} == set(found)
    assert {"plain", "negation", "far", "change", "question", "identity", "facts"} == set(found["grammar"])
    assert {"origins", "religions", "orientations", "first_names"} == set(found["swaps"])
    # None of the people is a word of the tiny model: all are unknown to it alike.
    assert not set(WORDS) & {"somali", "emma"}
    assert 0 == found["swaps"]["first_names"]["tied"]["largest_difference"]
    assert "toys" in found["domains"]


def test_check_without_the_columns_or_the_file_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    assert "a column is missing: id" in run(tiny_model, "--counterfactual", tmp_path / "a.parquet").output
    assert "does not exist" in run(tiny_model, "--domain", f"x={tmp_path / 'b.parquet'}").output
    assert "--domain NAME=FILE" in run(tiny_model, "--domain", "x").output


def test_card_tells_each_check_in_words_and_numbers(model: Model) -> None:
    table = pa.table({"text": TEXTS, "label": ["positive", "negative"] * 3})
    marked = pa.Table.from_pylist([{"text": TEXTS[0], "rationales": [{"char_start": 0, "char_end": 11}]}] * 3)
    pairs = {name: {"count": 1_234, "share": 0.5, "low": 0.4, "high": 0.61} for name in ("originals", "both")}
    checks = {
        "pairs": {**pairs, "rewritten": {"count": 0, "share": None, "low": 0.0, "high": 1.0}},
        "grammar": made.grammar(model, 4, seed=1),
        "swaps": {"religions": {"sets": 60, "tied": {"flipped": 0, "largest_difference": 0.0}, "all": {"flipped": 6}}},
        "domains": {"toys": labelled.domain(model, table, draws=20)},
        "long_reviews": labelled.long_reviews(model, TEXTS, np.array([1, 0, 1, 0, 1, 0], np.int8), draws=10),
        "rationales": rationales.rationales(model, marked, seed=0),
    }
    text = card_checks.section(checks)
    assert "| originals | 1,234 | 0.500 (0.400 to 0.610) |" in text
    assert "| rewritten | 0 | - |" in text
    assert "| religions | 60 | 0, 0 | 0.100 (0.047 to 0.201) |" in text
    assert "| negation with words between |" in text
    assert "| toys | 6 | 50.0 % |" in text
    assert "1 that do not fit into one window. This model reads the last window only" in text
    assert "in 3 reviews" in text
    assert "| contribution, smoothed |" in text


def test_card_without_a_check_is_silent_about_it() -> None:
    text = card_checks.section({"long_reviews": {"reviews": 0}, "rationales": {"documents": 0, "unread": 0.0}})
    assert text.startswith("Measured by")
    assert "**" not in text


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.01, 0.1, "Contribution agrees"), (-0.1, -0.01, "Attention agrees"), (-0.1, 0.1, "cannot be told")],
)
def test_card_says_which_ranking_agrees_better_with_people(low: float, high: float, verdict: str) -> None:
    means = dict.fromkeys(card_checks.RANKED, 0.3)
    ends = {"mean": (low + high) / 2, "low": low, "high": high}
    found = {"documents": 9, "unread": 0.0, **means, "intervals": dict.fromkeys(means, ends)}
    found["differences"] = {"plain": ends, "smoothed": {"mean": 0.0, "low": -1.0, "high": 1.0}}
    assert verdict in card_checks.section({"rationales": found})
