"""Reviews read in windows, words that share an id, both apostrophes, a temperature by row: against plain Python."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_scorer.errors import EngineError
from batch_scorer.models import artifact
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.cells import sigmoid
from batch_scorer.models.engine import load_engine
from batch_scorer.models.exact_engine import ExactEngine
from batch_scorer.models.network import forward
from batch_scorer.models.protocol import Engine, Scores
from batch_scorer.models.tokenizer import Ids, has_words
from batch_scorer.scoring import encode
from batch_scorer.scoring.chunk import Clock, Scorer, score_chunk
from batch_scorer.scoring.explain import Explained
from batch_scorer.scoring.read import read_texts
from batch_scorer.scoring.review import explain_review
from tests.conftest import FORMAT_2, TINY, WORDS, save_tiny
from tests.engines import tensorflow_engines
from tests.plain_model import expected

WORD = st.sampled_from(["Good", "bad", "film", "Movie", "plot", "it\u2019s", "it's", "strange", "\u2019", "İ", "ΑΣ"])
BETWEEN = st.sampled_from([" ", ", ", "<br />", "\n"])
TEXT = (
    st.lists(st.tuples(WORD, BETWEEN), min_size=1, max_size=40)
    .map(lambda pairs: "".join(map("".join, pairs)))
    .filter(has_words)
)
LONG = " ".join(f"{word} film" for word in ("good", "bad", "very", "boring", "it's", "naïve", "10", "plot", "a", "not"))


@pytest.fixture(scope="module")
def engine(tiny_2: Artifact) -> Engine:
    """That of a job, by TensorFlow."""
    with tensorflow_engines():
        return load_engine(tiny_2)


@pytest.fixture(scope="module")
def score(tiny_2: Artifact, engine: Engine) -> Callable[..., list[dict[str, Any]]]:
    """Rows of texts by the engine of a job."""
    return lambda texts, top_k=10: rows(pieces(texts, Scorer(tiny_2, engine), top_k), tiny_2)


def pieces(texts: Sequence[str], scorer: Scorer, top_k: int = 10, clock: Clock | None = None) -> list[Explained]:
    (chunk,) = read_texts(texts)
    return list(score_chunk(chunk, scorer, top_k, clock))


def rows(explained: Sequence[Explained], model: Artifact) -> list[dict[str, Any]]:
    return [row for piece in explained for row in pa.table(piece.columns(model)).to_pylist()]


@settings(max_examples=30)
@given(st.lists(TEXT, min_size=1, max_size=5), st.integers(0, 9))
def test_rows_are_those_of_plain_python(tiny_2: Artifact, texts: list[str], top_k: int) -> None:
    found = rows(pieces(texts, Scorer(tiny_2, ExactEngine(tiny_2)), top_k), tiny_2)
    for text, row in zip(texts, found, strict=True):
        wanted = expected(tiny_2, text, top_k)
        for name in ("n_tokens", "n_tokens_used", "truncated", "oov_rate", "temperature"):
            assert wanted[name] == row[name], name
        for name in ("logit", "probability", "rest_contribution"):
            assert wanted[name] == pytest.approx(row[name], abs=1e-6), name
        for name in ("top_attended", "top_contributing"):
            for key in ("token", "position", "char_start", "char_end"):
                assert [word[key] for word in wanted[name]] == [word[key] for word in row[name]]
            for key in ("attention", "contribution"):
                assert [word[key] for word in wanted[name]] == pytest.approx(
                    [word[key] for word in row[name]], abs=1e-6
                )


@settings(max_examples=30)
@given(st.lists(TEXT, min_size=1, max_size=5))
def test_engine_of_a_job_gives_what_plain_python_gives_and_its_sums_are_exact(
    score: Callable[..., list[dict[str, Any]]], tiny_2: Artifact, engine: Engine, texts: list[str]
) -> None:
    for text, row in zip(texts, score(texts, 5), strict=True):
        wanted = expected(tiny_2, text, 5)
        assert wanted["logit"] == pytest.approx(row["logit"], abs=1e-5)
        listed = sum(word["contribution"] for word in row["top_contributing"])
        assert row["logit"] == pytest.approx(engine.bias + listed + row["rest_contribution"], abs=1e-6)
        assert np.float32(sigmoid(np.array(row["logit"] / row["temperature"]))) == np.float32(row["probability"])
        assert ("positive" if row["probability"] >= 0.5 else "negative") == row["predicted_label"]


@settings(max_examples=30)
@given(st.lists(TEXT, min_size=2, max_size=6))
def test_neighbours_of_any_length_change_no_bit(score: Callable[..., list[dict[str, Any]]], texts: list[str]) -> None:
    assert [score([text])[0] for text in texts] == score(texts)


def test_review_of_one_window_is_scored_as_without_windows(tiny: Artifact, tmp_path: Path) -> None:
    windowed = artifact.load(str(save_tiny(tmp_path / "model", max_windows=64)))
    short = ["a good film", "bad " * 19, "unheard of", "слово"]
    before = rows(pieces(short, Scorer(tiny, load_engine(tiny))), tiny)
    for texts in (short, [*short, "good bad " * 300]):  # alone, and beside one of many windows
        now = rows(pieces(texts, Scorer(windowed, load_engine(windowed))), windowed)
        assert [row | {"model_id": tiny.model_id} for row in now[:4]] == before
    assert (600, 600, False) == tuple(now[4][name] for name in ("n_tokens", "n_tokens_used", "truncated"))


@pytest.mark.parametrize("at", range(20))
def test_words_that_share_an_id_give_the_same_score_to_the_last_bit_wherever_they_are(
    score: Callable[..., list[dict[str, Any]]], at: int
) -> None:
    found = []
    for word in FORMAT_2["aliases"]:
        words = LONG.split()
        words[at] = word
        row = score([" ".join(words)], 20)[0]
        listed = {w["position"]: w for w in row["top_contributing"]}
        assert word == listed[at]["token"]
        numbers = [(p, w["attention"], w["contribution"]) for p, w in sorted(listed.items())]
        found.append((row["logit"], row["probability"], row["oov_rate"], row["rest_contribution"], numbers))
    assert found[0] == found[1] == found[2]


def test_typographic_apostrophe_scores_as_the_plain_one_and_is_listed_as_it_stands(
    score: Callable[..., list[dict[str, Any]]],
) -> None:
    plain, typographic = score(["it's a film, it's not", "It\u2019s a film, it\u2019s not"])
    same = ("logit", "probability", "n_tokens", "oov_rate", "rest_contribution")
    assert [plain[name] for name in same] == [typographic[name] for name in same]
    tokens = {word["position"]: word["token"] for word in typographic["top_attended"]}
    assert {0: "it\u2019s", 1: "a", 2: "film", 3: "it\u2019s", 4: "not"} == tokens


@pytest.mark.parametrize("limit", [1, 3, 5, 9])
def test_chunk_of_long_reviews_is_scored_in_pieces_and_no_bit_changes(
    limit: int, tiny_2: Artifact, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["good", "", LONG, "bad film", LONG * 3, LONG, "?", "it's"]
    (whole,) = pieces(texts, Scorer(tiny_2, engine))
    monkeypatch.setattr(encode, "PIECE_WINDOWS", limit)
    cut = pieces(texts, Scorer(tiny_2, engine))
    assert len(cut) > 1
    assert all(len(piece.encoded.windows) <= limit or len(piece) == 1 for piece in cut)
    assert rows([whole], tiny_2) == rows(cut, tiny_2)
    assert whole.rejected == [rejection for piece in cut for rejection in piece.rejected]
    assert [0, 2, 3, 4, 5, 7] == [i for piece in cut for i in piece.encoded.reviews["offset"].to_pylist()]


@dataclasses.dataclass
class Failing:
    """An engine that fails on some windows, which it knows by their ids.

    Args:
        happened: `run` for each call; others may add to it.
    """

    real: Engine
    bad: frozenset[bytes] = frozenset()
    happened: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.batch_size, self.bias = self.real.batch_size, self.real.bias

    def run(self, batch: Sequence[Ids]) -> Scores:
        self.happened.append("run")
        if self.bad & {ids.tobytes() for ids in batch}:
            raise ValueError("no such id")
        return self.real.run(batch)


def windows(model: Artifact, text: str) -> list[bytes]:
    return [ids.tobytes() for ids in model.tokenizer.windows(model.tokenizer.words(text))]


@pytest.mark.parametrize("bad", [[0], [2], [0, 2], [0, 1, 2]])
def test_window_that_fails_loses_its_own_review_and_once(tiny_2: Artifact, engine: Engine, bad: list[int]) -> None:
    backwards = " ".join(LONG.split()[::-1])
    texts = ["good", f"{backwards} bad", LONG, "bad film", backwards]
    failing = Failing(engine, frozenset(windows(tiny_2, LONG)[i] for i in bad))
    (explained,) = pieces(texts, Scorer(tiny_2, failing))
    assert [(2, "engine_failed", "ValueError: no such id")] == [
        (r.offset, r.code, r.message) for r in explained.rejected
    ]
    assert rows(pieces([*texts[:2], *texts[3:]], Scorer(tiny_2, engine)), tiny_2) == rows([explained], tiny_2)


def varied(words: int) -> str:
    """A text whose windows differ, so that each is scored."""
    return " ".join(np.random.default_rng(5).choice(["good", "bad", "film"], words).tolist())


def test_review_that_fills_a_batch_and_fails_throughout_does_not_stop_the_job(tmp_path: Path) -> None:
    model = artifact.load(str(save_tiny(tmp_path / "model", max_windows=64)))
    scorer, long = Scorer(model, load_engine(model)), varied(1400)
    failing = Failing(scorer.engine, frozenset(windows(model, long)))
    assert len(windows(model, long)) > failing.batch_size
    (explained,) = pieces(["good", long, "bad"], Scorer(model, failing))
    assert [1] == [rejection.offset for rejection in explained.rejected]
    assert [0, 2] == explained.encoded.reviews["offset"].to_pylist()

    both = frozenset(windows(model, long) + windows(model, f"{long} good"))
    with pytest.raises(EngineError, match="fails on every"):
        pieces([long, f"{long} good"], Scorer(model, Failing(scorer.engine, both)))


def test_text_of_a_megabyte_is_a_beat_a_batch_and_its_windows_are_bounded(tmp_path: Path) -> None:
    model = artifact.load(str(save_tiny(tmp_path / "model", max_windows=64)))
    text = varied(213_000)
    assert 990_000 < len(text) <= 1_000_000
    engine = Failing(load_engine(model))
    found = pieces(["good", text, "bad"], Scorer(model, engine), clock=Clock(lambda: engine.happened.append("beat")))
    row = rows(found, model)[1]
    assert (213_000, 64 * 19, True) == tuple(row[name] for name in ("n_tokens", "n_tokens_used", "truncated"))
    assert all(word["position"] >= 213_000 - 64 * 19 for word in row["top_contributing"])
    assert ("run", "run") not in itertools.pairwise(engine.happened)
    assert 2 == engine.happened.count("run")  # 66 windows, 40 or 48 at a time


def test_network_without_a_mask_reads_windows_too_and_padding_goes_into_the_rest(tmp_path: Path) -> None:
    notebook = dataclasses.replace(TINY, recurrent_activation="relu", masked=False)
    model = artifact.load(str(save_tiny(tmp_path / "model", architecture=notebook, max_windows=3)))
    engine, tokens = ExactEngine(model), [*WORDS[:11]] * 4
    texts = ["good", " ".join(tokens), "bad film"]
    _, row, _ = found = rows(pieces(texts, Scorer(model, engine), 5), model)
    assert (44, 44) == (row["n_tokens"], row["n_tokens_used"])
    windows = model.tokenizer.windows(tokens)
    assert [14, 15, 15] == [len(ids) - 1 for ids in windows]
    logits = [forward(model.tensors, model.architecture, ids).logit for ids in windows]
    assert sum(n / 44 * z for n, z in zip((14, 15, 15), logits, strict=True)) == pytest.approx(row["logit"], rel=1e-5)
    for row in found:
        listed = sum(word["contribution"] for word in row["top_contributing"])
        assert row["logit"] == pytest.approx(engine.bias + listed + row["rest_contribution"], rel=1e-5)


@settings(max_examples=30)
@given(TEXT)
def test_every_word_of_an_explained_review_has_the_numbers_of_plain_python(tiny_2: Artifact, text: str) -> None:
    review = explain_review(text, Scorer(tiny_2, ExactEngine(tiny_2)), 3)
    wanted = expected(tiny_2, text, 1_000)
    by_position = {word["position"]: word for word in wanted["top_attended"]}
    assert wanted["n_tokens"] == len(review.words)
    assert set(by_position) == {at for at, word in enumerate(review.words) if word.is_read}
    for at, word in by_position.items():
        found = review.words[at]
        assert (word["char_start"], word["char_end"]) == (found.start, found.end)
        assert (word["attention"], word["contribution"]) == pytest.approx(
            (found.attention, found.contribution), abs=1e-6
        )
    unknown = sum(not word.is_known for word in review.words)
    assert unknown == review.unknown
    assert wanted["temperature"] == review.temperature
