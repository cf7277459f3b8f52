"""The benchmark of adapting: the same texts for all ways, and figures that say which is better."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.adapt.__main__ import FEWEST, Domain, main, measures, summary
from benchmarks.adapt.ways import WAYS

GOOD, BAD = ("great", "lovely", "superb"), ("awful", "broken", "useless")


def write(path: Path, count: int = 400) -> Path:
    lines = ["id,text,stars"]
    for i in range(count):
        lines.append(f"{i},a {(BAD, GOOD)[i % 2][i // 2 % 3]} lamp no {i},{(1, 5)[i % 2] if i % 10 else 3}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def domain(tmp_path: Path) -> Domain:
    return Domain.read(f"lamps={write(tmp_path / 'lamps.csv')}:stars:>=4:<=2", 50, 1)


def test_texts_to_predict_are_never_among_the_labels(domain: Domain) -> None:
    assert (50, 310) == (len(domain.test), len(domain.pool))  # of 400, 40 have three stars
    assert not set(domain.test.ids) & set(domain.pool.ids)
    draws = [domain.draw(30, draw) for draw in range(3)]
    assert [30, 30, 30] == [len(examples) for examples in draws]
    assert 3 == len({examples.ids for examples in draws})
    assert 248 == len(domain.draw(0, 0))


def test_draw_has_enough_of_the_rarer_label(domain: Domain) -> None:
    for draw in range(5):
        labels = domain.draw(2, draw).labels
        assert min(np.bincount(labels).tolist()) >= FEWEST


@pytest.mark.parametrize("way", ["NBSVM", "TF-IDF"])
def test_linear_ways_learn_what_the_words_say(way: str, domain: Domain) -> None:
    logits = WAYS[way](domain.draw(100, 0), domain.test.texts, 1)
    found = measures(logits, domain.test.labels)
    assert found["AUC"] > 0.95
    assert found["log loss"] < 0.5


def test_summary_says_by_how_much_adapted_is_better() -> None:
    labels = np.array([0, 1] * 100, np.int8)
    sure, unsure = np.where(labels == 1, 3.0, -3.0), np.where(labels == 1, 0.1, -0.1)
    found = summary({"adapted": [sure, sure], "other": [unsure, unsure]}, labels, 1)
    assert {"mean": 0.0, "low": 0.0, "high": 0.0} == found["adapted"]["adapted is better by"]["log loss"]
    gain = found["other"]["adapted is better by"]["log loss"]
    assert pytest.approx(np.log1p(np.exp(-0.1)) - np.log1p(np.exp(-3.0))) == gain["mean"]
    assert gain["low"] <= gain["mean"] <= gain["high"]
    assert (1.0, 1.0) == (found["other"]["AUC"], found["other"]["balanced accuracy"])


def test_results_are_kept_and_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WAYS, "adapted", WAYS["TF-IDF"])
    output = tmp_path / "adapt.json"
    words = ["--domain", f"lamps={write(tmp_path / 'lamps.csv')}:stars:>=4:<=2", "--draws", "1", "--held-out", "50",
             "--way", "adapted", "--way", "NBSVM", "--output", str(output)]  # fmt: skip
    first = CliRunner().invoke(main, [*words, "--size", "40"])
    assert 0 == first.exit_code, first.output
    monkeypatch.setitem(WAYS, "NBSVM", lambda *_: pytest.fail("measured again"))
    again = CliRunner().invoke(main, [*words, "--size", "40"])
    assert 0 == again.exit_code, again.output
    assert [("lamps", 40)] == [(one["domain"], one["size"]) for one in json.loads(output.read_text())]
    assert 2 == again.output.count("| lamps | 40 |")
