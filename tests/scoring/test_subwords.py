"""Models whose ids are pieces of words, against plain Python: words of several pieces, scripts without blanks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_scorer.models import artifact
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.engine import load_engine
from batch_scorer.models.exact_engine import ExactEngine
from batch_scorer.models.protocol import Engine
from batch_scorer.models.tokenizer import has_words
from batch_scorer.models.units import looked_up
from batch_scorer.scoring.chunk import Scorer, score_chunk
from batch_scorer.scoring.encode import encode
from batch_scorer.scoring.read import read_texts
from batch_scorer.scoring.review import explain_review, listed_words
from tests.conftest import SUBWORDS, save_tiny
from tests.engines import tensorflow_engines
from tests.plain_model import expected

WORD = st.sampled_from(
    [
        *("Good", "goodness", "films", "Movie", "plot", "wonderful", "it\u2019s", "it's", "strange", "İs", "ΑΣ", "10"),
        *(
            "영화가",
            "재미있다",
            "최고다",
            "최고",
            "cafe\u0301",
            "फ़िल्म",
            "最高です",
            "映画は最高",
            "ストーリーか\u3099",
            "漢字です",
        ),
        *("ภาพยนตร์ดีมาก", "ดีม์", "高", "iPhone最高"),
    ]
)
BETWEEN = st.sampled_from([" ", ", ", "<br />", "。", "", "\u200b"])
TEXT = (
    st.lists(st.tuples(WORD, BETWEEN), min_size=1, max_size=30)
    .map(lambda pairs: "".join(map("".join, pairs)))
    .filter(has_words)
)
SAME = ("n_tokens", "n_tokens_used", "truncated", "oov_rate", "temperature")


def rows(texts: Sequence[str], scorer: Scorer, top_k: int = 10) -> list[dict[str, Any]]:
    (chunk,) = read_texts(texts)
    pieces = score_chunk(chunk, scorer, top_k)
    return [row for piece in pieces for row in pa.table(piece.columns(scorer.artifact)).to_pylist()]


@pytest.fixture(scope="module")
def score(tiny_subwords: Artifact) -> Callable[..., list[dict[str, Any]]]:
    """Rows of texts by the engine of a job, which is TensorFlow's."""
    with tensorflow_engines():
        scorer = Scorer(tiny_subwords, load_engine(tiny_subwords))
    return lambda texts, top_k=10: rows(texts, scorer, top_k)


@given(st.lists(TEXT, min_size=1, max_size=4), st.integers(0, 9))
def test_rows_are_those_of_plain_python(tiny_subwords: Artifact, texts: list[str], top_k: int) -> None:
    found = rows(texts, Scorer(tiny_subwords, ExactEngine(tiny_subwords)), top_k)
    for text, row in zip(texts, found, strict=True):
        wanted = expected(tiny_subwords, text, top_k)
        assert [wanted[name] for name in SAME] == [row[name] for name in SAME]
        for name in ("logit", "probability", "rest_contribution"):
            assert wanted[name] == pytest.approx(row[name], abs=1e-6), name
        for name in ("top_attended", "top_contributing"):
            for key in ("token", "position", "char_start", "char_end"):
                assert [word[key] for word in wanted[name]] == [word[key] for word in row[name]]
            for key in ("attention", "contribution"):
                numbers = [word[key] for word in row[name]]
                assert [word[key] for word in wanted[name]] == pytest.approx(numbers, abs=1e-6)


@settings(max_examples=30)
@given(st.lists(TEXT, min_size=2, max_size=5))
def test_engine_of_a_job_gives_exact_sums_and_neighbours_change_no_bit(
    score: Callable[..., list[dict[str, Any]]], tiny_subwords: Artifact, texts: list[str]
) -> None:
    found = score(texts, 4)
    assert [score([text], 4)[0] for text in texts] == found
    for text, row in zip(texts, found, strict=True):
        assert expected(tiny_subwords, text, 4)["logit"] == pytest.approx(row["logit"], abs=1e-5)
        listed = sum(word["contribution"] for word in row["top_contributing"])
        bias = ExactEngine(tiny_subwords).bias
        assert row["logit"] == pytest.approx(bias + listed + row["rest_contribution"], abs=1e-6)


@given(TEXT)
def test_every_word_of_an_explained_review_has_the_sum_of_its_pieces(tiny_subwords: Artifact, text: str) -> None:
    review = explain_review(text, Scorer(tiny_subwords, ExactEngine(tiny_subwords)), 3)
    wanted = expected(tiny_subwords, text, 1_000)
    assert wanted["n_tokens"] == len(review.words)
    for word in wanted["top_attended"]:
        found = review.words[word["position"]]
        assert (word["char_start"], word["char_end"], True) == (found.start, found.end, found.is_read)
        assert (word["attention"], word["contribution"]) == pytest.approx(
            (found.attention, found.contribution), abs=1e-6
        )
    assert wanted["n_tokens_used"] == sum(word.is_read for word in review.words)
    assert review.unknown == sum(not word.is_known for word in review.words)


@settings(max_examples=100)
@given(st.text())
def test_spans_of_any_unicode_text_slice_back_to_what_is_looked_up(tiny_subwords: Artifact, text: str) -> None:
    tokenizer = tiny_subwords.tokenizer
    (chunk,) = read_texts([text + " a"])
    (encoded,) = encode(chunk, tokenizer)
    words, (starts, ends) = tokenizer.words(text + " a"), tokenizer.spans(text + " a")
    assert encoded.n_tokens.tolist() == [len(words)] == [len(starts)]
    assert (starts[1:] >= ends[:-1]).all() and (starts < ends).all()
    slices = [(text + " a")[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    assert words == [looked_up(part) for part in slices]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("映画は最高です。", ["映画", "は", "最高", "です"]),
        ("ストーリーか\u3099です", ["ストーリー", "か\u3099", "です"]),
        ("ภาพยนตร์ดีมาก", ["ภาพ", "ยนตร์", "ดี", "มาก"]),
        ("iPhone最高<br />です", ["iphone", "最高", "です"]),
        ("영화가 재미있다", ["영화가", "재미있다"]),
        ("漢字です", ["漢字", "です"]),
        ("फ़िल्म अच्छी है", ["फ़िल्म", "अच्छी", "है"]),
    ],
)
def test_listed_tokens_are_words_or_pieces_and_slices_of_the_text(
    tiny_subwords: Artifact, text: str, words: list[str]
) -> None:
    (row,) = rows([text], Scorer(tiny_subwords, ExactEngine(tiny_subwords)), 20)
    listed = sorted(row["top_contributing"], key=lambda word: word["position"])
    assert words == [word["token"] for word in listed]
    assert words == [text[word["char_start"] : word["char_end"]].lower() for word in listed]
    assert list(range(len(words))) == [word["position"] for word in listed]


def test_share_of_unknown_pieces_counts_neither_the_start_mark_nor_letters_one_by_one(tiny_subwords: Artifact) -> None:
    scorer = Scorer(tiny_subwords, ExactEngine(tiny_subwords))
    rates = [row["oov_rate"] for row in rows(["xyz", "goodness xyz", "영화가 кино"], scorer)]
    assert pytest.approx([1, 1 / 3, 1 / 3]) == rates


def test_aliases_go_by_the_whole_word_and_never_by_a_part_of_it(tiny_subwords: Artifact) -> None:
    tokenizer, film = tiny_subwords.tokenizer, SUBWORDS["aliases"]["movie"]
    words = tokenizer.words("Movie movies plot film 最高 高")
    ids = [tokenizer.ids([word]).tolist()[1:] for word in words]
    assert [[film], [film], [film]] == [ids[0], ids[2], ids[3]]
    assert film not in ids[1]
    assert [SUBWORDS["vocabulary"].index("最高")] == ids[4]
    assert [SUBWORDS["aliases"]["高"]] == ids[5]


@pytest.mark.parametrize("max_windows", [1, 3])
def test_word_of_more_pieces_than_a_window_holds_is_read_as_far_as_it_fits(max_windows: int, tmp_path: Path) -> None:
    changes = {**SUBWORDS, "max_words": 5, "max_windows": max_windows}
    model = artifact.load(str(save_tiny(tmp_path / "model", **changes)))
    scorer = Scorer(model, ExactEngine(model))
    text = f"good {'s' * 40} bad"
    (row,) = rows([text], scorer)
    wanted = expected(model, text, 10)
    assert (3, max_windows, max_windows < 3) == (row["n_tokens"], row["n_tokens_used"], row["truncated"])
    assert [wanted[name] for name in SAME] == [row[name] for name in SAME]
    assert wanted["logit"] == pytest.approx(row["logit"], abs=1e-6)


def test_text_of_a_megabyte_in_one_run_is_scored(tiny_subwords: Artifact) -> None:
    scorer = Scorer(tiny_subwords, ExactEngine(tiny_subwords))
    long = "最高です" * 80_000
    short, row = rows(["最高です", long], scorer)
    assert (160_000, 36, True) == (row["n_tokens"], row["n_tokens_used"], row["truncated"])
    assert (2, 2) == (short["n_tokens"], short["n_tokens_used"])
    assert {"最高", "です"} >= {word["token"] for word in row["top_attended"]}
    assert all(word["char_start"] >= len(long) - 36 * 2 for word in row["top_attended"])


@given(TEXT)
def test_words_of_a_finished_row_cover_the_text_and_carry_what_it_lists(tiny_subwords: Artifact, text: str) -> None:
    (row,) = rows([text], Scorer(tiny_subwords, ExactEngine(tiny_subwords)), 3)
    words = listed_words(text, row, SUBWORDS["pattern"])
    listed = {w["char_start"]: w for w in (*row["top_attended"], *row["top_contributing"])}
    numbered = {word.start: word for word in words if word.attention or word.contribution}
    assert listed.keys() == numbered.keys()
    for start, word in numbered.items():
        assert (listed[start]["char_end"], listed[start]["contribution"]) == (word.end, word.contribution)
        assert word.is_read
    assert all(a.end <= b.start for a, b in itertools.pairwise(words))
    letters = {at for word in words for at in range(word.start, word.end)}
    starts, ends = tiny_subwords.tokenizer.spans(text)
    assert letters == {at for a, b in zip(starts.tolist(), ends.tolist(), strict=True) for at in range(a, b)}


def test_engines_see_pieces_and_numbers_are_added_up_in_their_order(tiny_subwords: Artifact) -> None:
    engine: Engine = ExactEngine(tiny_subwords)
    tokenizer = tiny_subwords.tokenizer
    ids = tokenizer.ids(["goodness", "영화가"])
    assert ["▁good", "ness", "▁영화", "가"] == [SUBWORDS["vocabulary"][i] for i in ids[1:]]
    one = engine.run([ids]).contribution[:, 0]
    review = explain_review("goodness 영화가", Scorer(tiny_subwords, engine), 5)
    wanted = np.float32([one[1] + one[2], one[3] + one[4]]).tolist()
    assert wanted == [word.contribution for word in review.words]
    assert np.float32(one[0]) == np.float32(review.row["rest_contribution"])
