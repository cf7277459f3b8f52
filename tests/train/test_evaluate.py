"""Evaluation: figures for known answers, probes, charts, and a complete evaluation of a tiny model."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from batch_scorer.models import artifact
from batch_scorer.models.cells import sigmoid
from batch_scorer.models.engine import load_engine
from batch_scorer.models.network import forward
from batch_scorer.models.protocol import Scores
from batch_scorer.models.tokenizer import Ids, words
from tests.conftest import WORDS
from tests.plain_model import expected
from train.evaluate import figures, pages, probes, quality, run
from train.evaluate.command import evaluate, rounded
from train.evaluate.quality import Answers
from train.evaluate.scoring import score_reviews

SEED = 3


def answers(logits: list[float], labels: list[int], **changes: Any) -> Answers:
    """Answers to reviews r0, r1 ... of 10 words each, all of them known to the model."""
    n = len(logits)
    given = {"n_tokens": np.full(n, 10), "oov_share": np.zeros(n), "temperature": 1.0, "threshold": 0.5, **changes}
    return Answers(tuple(f"r{i}" for i in range(n)), np.array(labels), np.array(logits), **given)


def drawn(n: int) -> Answers:
    """Answers of a perfectly calibrated model to n reviews of all lengths."""
    rng = np.random.default_rng(SEED)
    logits = rng.normal(0, 2.5, n)
    labels = (rng.random(n) < 1 / (1 + np.exp(-logits))).astype(int)
    return answers(logits.tolist(), labels.tolist(), n_tokens=rng.integers(1, 900, n), oov_share=rng.random(n) / 5)


def test_confusion_counts_labels_by_decision_at_the_threshold() -> None:
    measured = quality.measure(answers([3, -1, -2, 1], [1, 1, 0, 0], threshold=0.9), max_words=20, words={}, seed=SEED)
    expected = {"negative": {"negative": 2, "positive": 0}, "positive": {"negative": 1, "positive": 1}}
    assert expected == measured["confusion"]
    assert 0.75 == measured["accuracy"]


def test_reliability_of_known_answers_is_that_computed_by_hand() -> None:
    p, labels = np.array([0.9, 0.1, 0.92, 0.55]), np.array([1, 1, 1, 0])
    bins = quality.reliability(p, labels)
    assert 15 == len(bins)
    assert {8: 1, 13: 3} == {i: line["reviews"] for i, line in enumerate(bins) if line["reviews"]}
    assert (0.9 + 0.9 + 0.92) / 3 == pytest.approx(bins[13]["confidence"])
    assert 2 / 3 == bins[13]["accuracy"]
    assert 0 == bins[8]["accuracy"]
    assert bins[0]["confidence"] is None and bins[0]["accuracy"] is None


def test_ece_is_the_sum_of_the_reliability_gaps() -> None:
    measured = quality.measure(drawn(500), max_words=499, words={}, seed=SEED, simulations=1)
    gaps = [b["reviews"] * abs(b["accuracy"] - b["confidence"]) for b in measured["reliability"] if b["reviews"]]
    assert sum(gaps) / 500 == pytest.approx(measured["ece"], abs=1e-6)


def test_ece_by_chance_falls_with_the_root_of_the_number_of_reviews() -> None:
    few, many = (quality.ece_by_chance(drawn(n).probability, SEED, 200) for n in (400, 6400))
    assert 4 == pytest.approx(few["mean"] / many["mean"], rel=0.2)
    assert few["mean"] < few["high"] < 2 * few["mean"]


def test_ece_by_chance_covers_a_calibrated_model_and_not_an_overconfident_one() -> None:
    calibrated = drawn(4000)
    overconfident = Answers(**{**vars(calibrated), "temperature": 0.4})
    for given, within in ((calibrated, True), (overconfident, False)):
        measured = quality.measure(given, max_words=499, words={}, seed=SEED, simulations=200)
        assert within == (measured["ece"] <= measured["ece_by_chance"]["high"])


def test_ece_by_chance_with_the_same_seed_is_the_same() -> None:
    p = drawn(100).probability
    assert quality.ece_by_chance(p, SEED, 20) == quality.ece_by_chance(p, SEED, 20)


@pytest.mark.parametrize(
    ("max_words", "expected"), [(499, [1, 100, 200, 300, 500]), (19, [1, 20]), (150, [1, 100, 151])]
)
def test_length_bounds_end_where_reviews_are_truncated(max_words: int, expected: list[int]) -> None:
    assert expected == quality.length_bounds(max_words)


def test_slices_contain_each_review_once_and_leave_out_empty_slices() -> None:
    correct = np.array([True, False, True, True])
    lines = quality.slices(np.array([5, 99, 100, 500]), correct, [1, 100, 200, 500])
    assert [(1, 100, 2, 0.5), (100, 200, 1, 1.0), (500, None, 1, 1.0)] == [
        (line["low"], line["high"], line["reviews"], line["accuracy"]) for line in lines
    ]
    assert all(line["accuracy_low"] < line["accuracy_high"] for line in lines)


def test_mistakes_start_with_the_most_confident() -> None:
    given = answers([5, -6, 1, 2, -1, 5], [0, 1, 0, 1, 0, 0])
    assert [1, 0, 5, 2] == quality.most_confident_mistakes(given)
    assert [1, 0] == quality.most_confident_mistakes(given, 2)
    mistakes = quality.measure(given, max_words=20, words={1: ["dull"]}, seed=SEED)["mistakes"]
    assert ("r1", "positive", ["dull"]) == tuple(mistakes[0][key] for key in ("record_id", "label", "words"))


class _Counting:
    """An engine whose contributions are the ids minus 10, after one position of padding."""

    batch_size, bias = 2, 0.0

    def run(self, batch: list[Ids]) -> Scores:
        contribution = np.array([[99.0], *([float(i) - 10] for i in batch[0])])
        return Scores(contribution.sum(axis=0), contribution, contribution)


def test_leading_words_support_the_decision_and_appear_once() -> None:
    ids = np.array([1, 12, 9, 14, 12, 7], np.int32)  # contributions of the words: 2, -1, 4, 2, -3
    used = ["fine", "dull", "superb", "fine", "awful"]
    given = (_Counting(), [used] * 2, [ids] * 2)
    assert [["superb", "fine"], ["awful", "dull"]] == run.leading_words(*given, [True, False])
    assert [["superb"]] == run.leading_words(_Counting(), [used], [ids], [True], count=1)
    without_mark = (_Counting(), [used], [ids[1:]], [True])  # truncated, as in the notebook's variant
    assert [["superb", "fine"]] == run.leading_words(*without_mark)
    pieces = [np.array([2, 1, 2], np.int32)]  # 2 - 1, 4, 2 - 3
    assert [["great", "fine"]] == run.leading_words(
        _Counting(), [["fine", "great", "awful"]], [ids], [True], sizes=pieces
    )


def test_probes_have_at_least_four_pairs_per_group() -> None:
    groups = Counter(pair.group for pair in probes.PAIRS)
    assert {"negation", "contrast with but", "intensifiers", "names swapped", "sarcasm"} <= groups.keys()
    assert 28 <= len(probes.PAIRS)
    assert set() == {name for name, pairs in groups.items() if pairs < 4}


def test_probes_are_different_texts_and_minimal_pairs() -> None:
    texts = [text for pair in probes.PAIRS for text in (pair.a, pair.b)]
    assert len(texts) == len(set(texts))
    for pair in probes.PAIRS:
        assert pair.expectation in ("flips", "rises", "falls", "stays")
        a, b = Counter(words(pair.a)), Counter(words(pair.b))
        assert 0 < (a & b).total(), pair
        assert pair.group == "sarcasm" or max((a - b).total(), (b - a).total()) <= 4, pair


@pytest.mark.parametrize(
    ("expectation", "a", "b", "expected"),
    [
        ("flips", 0.5, 0.49, True),
        ("flips", 0.4, 0.6, False),
        ("flips", 0.9, 0.6, False),
        ("rises", 0.2, 0.3, True),
        ("rises", 0.2, 0.2, False),
        ("falls", 0.3, 0.2, True),
        ("stays", 0.7, 0.75, True),
        ("stays", 0.7, 0.85, False),
        ("stays", 0.48, 0.52, False),
    ],
)
def test_expectation_holds_for_probabilities_of_its_kind_only(
    expectation: str, a: float, b: float, expected: bool
) -> None:
    assert expected == probes.holds(expectation, a, b)


def test_probes_of_a_model_with_a_constant_answer_hold_where_the_score_should_stay() -> None:
    measured = probes.measure(lambda texts: [0.7] * len(texts))
    held = {group["name"]: group["held"] / group["pairs"] for group in measured["groups"]}
    assert {name: float(name in ("names swapped", "irrelevant facts")) for name in held} == held
    assert len(probes.PAIRS) == len(measured["pairs"])


def ranking(value: float) -> dict[str, Any]:
    around = {"value": value, "low": value - 0.1, "high": value + 0.1}
    flip = {"median": 0.1, "low": 0.05, "high": 0.2, "never": 0.02}
    at = [around] * 5
    return {"comprehensiveness": around, "sufficiency": around, "comprehensiveness_at": at, "sufficiency_at": at,
            "words_to_flip": flip}  # fmt: skip


FAITHFULNESS = {
    "reviews": 10,
    "shares": [0.01, 0.05, 0.1, 0.2, 0.5],
    "rankings": {name: ranking(0.3) for name in figures.MARKS},
    "contribution_over_attention": {"value": 2.0, "low": 1.5, "high": 2.5},
    "integrated_gradients_gap": {"median": 0.001},
    "for_print": {
        "hidden_states_to_flip": {
            name: {"median": 0.1, "low": 0.0, "high": 0.2} for name in ("contribution", "random")
        },
        "conicity": {"value": 0.9, "low": 0.8, "high": 1.0},
    },
}


def log(stages: tuple[str, ...]) -> list[dict[str, Any]]:
    """Two epochs of each stage, two lines each."""
    lines: list[dict[str, Any]] = []
    for stage in stages:
        for step in (2, 4) if stage == "average" else (1, 2, 3, 4):
            line = {"stage": stage, "epoch": (step + 1) // 2, "step": step, "loss": 1 / step, "seconds": 900.0}
            if step % 2 == 0 and stage == "pretraining":
                line["perplexity"] = 200 / step
            elif step % 2 == 0:
                line |= {"accuracy": 0.9, "accuracy_low": 0.88, "accuracy_high": 0.91, "log_loss": 0.3}
            lines.append(line)
    return lines


FIGURES: dict[str, Callable[[], Any]] = {
    "reliability": lambda: figures.reliability(quality.measure(drawn(300), max_words=499, words={}, seed=SEED)),
    "slices": lambda: figures.slices(quality.measure(drawn(300), max_words=499, words={}, seed=SEED)),
    "faithfulness": lambda: figures.faithfulness(FAITHFULNESS),
    "curves": lambda: figures.curves(log(("pretraining", "fine-tuning"))),
    "several": lambda: figures.curves(log(("pretraining", "fine-tuning 1", "fine-tuning 2", "average"))),
    "fine-tuning": lambda: figures.curves(log(("fine-tuning",))),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figure_drawn_twice_is_the_same_svg_file(tmp_path: Path, name: str) -> None:
    for file in ("a.svg", "b.svg"):
        figures.save(FIGURES[name](), tmp_path / file)
    drawing = (tmp_path / "a.svg").read_bytes()
    assert drawing == (tmp_path / "b.svg").read_bytes()
    root = ET.fromstring(drawing)
    assert "{http://www.w3.org/2000/svg}svg" == root.tag
    assert 700 == pytest.approx(float(root.attrib["width"].removesuffix("pt")) * 96 / 72, abs=1)


def test_figures_are_rounded_and_nothing_else() -> None:
    assert {"a": [0.1234568, 3, "x", None, True]} == rounded({"a": [0.123456789, 3, "x", None, True]})


def labelled(path: Path, rows: int = 60) -> Path:
    """Writes reviews of the tiny model's words, one of an unknown word and one without any words."""
    rng = np.random.default_rng(SEED)
    lines = [
        {"id": f"t{i}", "text": " ".join(rng.choice(WORDS, rng.integers(2, 30))), "label": i % 2} for i in range(rows)
    ]
    lines += [{"id": "odd", "text": "Zorbian", "label": 1}, {"id": "none", "text": "?!", "label": 0}]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(evaluate, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def evaluated(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory with an evaluation of the tiny model."""
    out = tmp_path_factory.mktemp("evaluation")
    data = labelled(out / "reviews.jsonl")
    result = call(tiny_model, "--data", data, "--id-column", "id", "--output", out / "out", "--faithfulness-reviews", 5)
    assert 0 == result.exit_code, result.output
    assert "accuracy" in result.output
    return out / "out"


def test_evaluation_has_every_figure(evaluated: Path, tiny: artifact.Artifact) -> None:
    evaluation = json.loads((evaluated / "evaluation.json").read_text())
    data, measured = evaluation["data"], evaluation["quality"]
    assert {"id": tiny.model_id, "name": "tiny"} == evaluation["model"]
    assert (["reviews.jsonl"], 61, 1) == tuple(data[key] for key in ("files", "reviews", "without_words"))
    assert 61 == measured["reviews"] == sum(line["reviews"] for line in measured["by_length"])
    assert 61 == sum(line["reviews"] for line in measured["by_oov"])
    assert 5 == evaluation["faithfulness"]["reviews"]
    assert FAITHFULNESS["rankings"].keys() == evaluation["faithfulness"]["rankings"].keys()
    assert len(probes.PAIRS) == len(evaluation["probes"]["pairs"])


def test_evaluation_agrees_with_the_plain_arithmetic(evaluated: Path, tiny: artifact.Artifact) -> None:
    lines = (evaluated.parent / "reviews.jsonl").read_text(encoding="utf-8").splitlines()
    texts = {line["id"]: line["text"] for line in map(json.loads, lines)}
    mistakes = json.loads((evaluated / "evaluation.json").read_text())["quality"]["mistakes"]
    assert 5 < len(mistakes) <= 20
    for mistake in mistakes:
        tokens = words(texts[mistake["record_id"]])
        ids = tiny.tokenizer.ids(tokens)
        logit = forward(tiny.tensors, tiny.architecture, ids).logit
        assert float(sigmoid(np.array(logit / tiny.temperature))) == pytest.approx(mistake["probability"], abs=1e-5)
        assert len(tokens) == mistake["n_tokens"]
        sign = 1 if mistake["label"] == "negative" else -1
        split = sign * forward(tiny.tensors, tiny.architecture, ids).contribution[1:]
        assert tokens[-tiny.architecture.max_words :][int(split.argmax())] == mistake["words"][0]


def test_model_of_format_2_is_judged_by_all_that_it_reads_and_by_the_temperature_of_each_review(
    tiny_model_2: Path, tiny_2: artifact.Artifact, tmp_path: Path
) -> None:
    data = labelled(tmp_path / "reviews.jsonl")
    texts = [line["text"] for line in map(json.loads, data.read_text(encoding="utf-8").splitlines()) if line["text"]]
    wanted = [expected(tiny_2, text, 0) for text in texts if tiny_2.tokenizer.words(text)]
    assert any(row["n_tokens"] > 7 for row in wanted)
    found = score_reviews(
        tiny_2, load_engine(tiny_2), [words for text in texts if (words := tiny_2.tokenizer.words(text))]
    )
    np.testing.assert_allclose([row["logit"] for row in wanted], found.logits, atol=1e-5)
    assert [row["oov_rate"] for row in wanted] == pytest.approx(found.unknown.tolist())
    assert [row["temperature"] for row in wanted] == np.asarray(found.temperature).tolist()

    result = call(
        tiny_model_2, "--data", data, "--id-column", "id", "--output", tmp_path / "out", "--faithfulness-reviews", 0
    )
    assert 0 == result.exit_code, result.output
    measured = json.loads((tmp_path / "out/evaluation.json").read_text())["quality"]
    probability = {row["probability"] for row in wanted}
    assert all(min(abs(p - m["probability"]) for p in probability) < 1e-4 for m in measured["mistakes"])
    assert (7, 4) == (measured["max_words"], measured["max_windows"])
    page = (tmp_path / "out/evaluation.md").read_text()
    assert "is read 7 words at a time, up to its last 28." in page


def test_reviews_are_ranked_by_logits_divided_by_their_own_temperatures() -> None:
    given = answers([2.0, 3.0, -1.0], [1, 0, 0], temperature=np.array([1.0, 4.0, 1.0]))
    measured = quality.measure(given, max_words=20, words={}, seed=SEED, simulations=1)
    assert (1.0, 1.0) == (measured["auc"], measured["temperature"])
    assert 0.5 == quality.measure(answers([2, 3, -1], [1, 0, 0]), max_words=20, words={}, seed=SEED)["auc"]


def test_evaluation_page_shows_its_figures_and_files(evaluated: Path) -> None:
    page = (evaluated / "evaluation.md").read_text()
    for name in ("reliability", "slices", "faithfulness"):
        assert f"]({name}.svg)" in page
        ET.parse(evaluated / f"{name}.svg")
    assert {f"{name}.svg" for name in ("reliability", "slices", "faithfulness")} | {
        "evaluation.json",
        "evaluation.md",
    } == {path.name for path in evaluated.iterdir()}
    assert pages.evaluation_page(json.loads((evaluated / "evaluation.json").read_text())) == page


def test_evaluation_without_faithfulness_leaves_it_out(tiny_model: Path, tmp_path: Path) -> None:
    data = labelled(tmp_path / "reviews.jsonl", 20)
    assert 0 == call(tiny_model, "--data", data, "--output", tmp_path / "out", "--faithfulness-reviews", 0).exit_code
    assert json.loads((tmp_path / "out/evaluation.json").read_text())["faithfulness"] is None
    assert not (tmp_path / "out/faithfulness.svg").exists()
    assert "explanations are worth" not in (tmp_path / "out/evaluation.md").read_text()


def test_evaluation_of_missing_data_or_model_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    data = labelled(tmp_path / "reviews.jsonl")
    for model, file in ((tiny_model, tmp_path / "none.jsonl"), (tmp_path, data)):
        result = call(model, "--data", file, "--output", tmp_path / "out")
        assert 2 == result.exit_code
        assert result.stderr.startswith("error: ")
        assert not (tmp_path / "out").exists()
