"""Pieces of words: learnt from texts in any script, the same ones every time, and what a training makes of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_scorer.errors import ArtifactError
from batch_scorer.models import artifact
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.exact_engine import ExactEngine
from batch_scorer.models.subwords import SubwordTokenizer
from batch_scorer.models.tokenizer import OOV, RESERVED
from batch_scorer.models.units import PIECES
from batch_scorer.scoring.chunk import Scorer
from batch_scorer.scoring.review import explain_review
from tests.train.test_train import run, write
from train.data import Columns, Examples
from train.evaluate.run import evaluate
from train.material.word_classes import WordClass
from train.page.words import explain
from train.pieces import alphabet, count_words, learn
from train.prepare import Prepared, encoded
from train.reading import Reading, shared_counts, tokenizer_from

# Parts of sentences, in the order in which a sentence has one of each.
PARTS = {
    "Korean": (
        ("영화", "배우", "음악", "이야기"), ("가 ", "는 ", "도 "), ("정말 ", "아주 ", ""),
        ("좋", "멋지", "지루하", "아쉽"), ("다", "네요", "지만"),
    ),
    "Chinese": (
        ("这部电影", "演员", "音乐", "剧情", "画面", "导演"), ("的表现", "", "真的", "一直"),
        ("很", "非常", "不", "太"), ("好看", "无聊", "精彩", "感人", "糟糕"), ("！", "。", "，我喜欢。", "，值得看。"),
    ),
    "Japanese": (
        ("この映画", "俳優", "音楽", "物語", "監督"), ("は", "も", "が"), ("とても", "少し", "本当に", ""),
        ("最高", "退屈", "素敵", "残念"), ("です", "でした", "でしょう"), ("。", "！", "ね。"),
    ),
    "Thai": (
        ("หนังเรื่องนี้", "นักแสดง", "เพลง", "บท", "ภาพ"), ("", "ก็", "ทำได้"), ("ดี", "แย่", "น่าเบื่อ", "สนุก"),
        ("มาก", "จริงๆ", "เกินไป", ""), (" ", "ครับ ", "ค่ะ "),
    ),
}  # fmt: skip


def sentences(language: str, count: int = 400) -> tuple[str, ...]:
    rng = np.random.default_rng(1)
    return tuple("".join(str(rng.choice(options)) for options in PARTS[language]) for _ in range(count))


ALL = (
    *(text for language in PARTS for text in sentences(language, 20)),
    "the film was good",
    "The films weren\u2019t good",
)


def tokenizer_of(texts: tuple[str, ...], size: int) -> SubwordTokenizer:
    found = learn(texts, size)
    return SubwordTokenizer(found.vocabulary, scores=found.scores, pattern=PIECES)


CODE = """
import json, sys
from train.page.words import explain
from train.pieces import learn
found = learn(json.loads(sys.stdin.read()), 200)
print(json.dumps([found.vocabulary, found.scores]))
"""


def test_same_texts_give_the_same_pieces_and_scores_whatever_the_threads_the_order_and_the_process() -> None:
    found = learn(ALL, 200)
    env = {**os.environ, "RAYON_NUM_THREADS": "3", "PYTHONHASHSEED": "17"}
    texts = json.dumps(ALL[::-1])
    said = subprocess.run(
        [sys.executable, "-c", CODE], input=texts, env=env, check=True, capture_output=True, text=True
    )
    assert [found.vocabulary, found.scores] == json.loads(said.stdout)
    assert "" == said.stderr


@pytest.mark.parametrize("size", [150, 10_000])
@pytest.mark.parametrize(
    ("language", "text", "units"),
    [
        ("Chinese", "我喜欢这部电影，导演的音乐太好看！", ["我喜欢", "这部电影", "导演", "的", "音乐", "太", "好看"]),
        (
            "Japanese",
            "この映画は本当に最高でした。物語も監督！",
            ["この映画", "は", "本当に", "最高", "でした", "物語", "も", "監督"],
        ),
        ("Thai", "เพลงสนุกจริงๆ นักแสดงก็ดีมากครับ", ["เพลง", "สนุก", "จริงๆ", "นักแสดง", "ก็", "ดี", "มาก", "ครับ"]),
        ("Korean", "배우도 멋지네요!", ["배우도", "멋지네요"]),
    ],
)
def test_texts_of_any_script_are_listed_as_sensible_units_with_their_places(
    language: str, text: str, units: list[str], size: int
) -> None:
    tokenizer = tokenizer_of(sentences(language), size)
    assert units == tokenizer.words(text)
    starts, ends = tokenizer.spans(text)
    assert units == [text[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]


@settings(max_examples=20)
@given(st.lists(st.text(st.sampled_from("abcdé 영화최고好看ดีม์'")), max_size=30), st.integers(10, 60))
def test_pieces_of_any_texts_are_few_enough_ranked_and_spell_all_frequent_letters(texts: list[str], size: int) -> None:
    found = learn(texts, size)
    assert list(RESERVED) == found.vocabulary[:3]
    assert len(found.vocabulary) == len(set(found.vocabulary)) == len(found.scores) <= size
    assert all(0 < len(piece) <= 16 for piece in found.vocabulary[3:])
    assert all(round(score, 6) == score <= 0 for score in found.scores)
    letters = alphabet(count_words(texts), (size - 3) // 2)
    assert set(letters) <= set(found.vocabulary)


def test_pieces_sum_to_one_and_come_by_frequency() -> None:
    found = learn(ALL * 2, 120)
    assert 1 == pytest.approx(np.exp(found.scores[3:]).sum(), abs=0.01)
    assert found.scores[3] >= found.scores[30] >= found.scores[-1]


def test_counts_are_those_of_the_ids_that_texts_have() -> None:
    texts = list(ALL * 2)
    tokenizer, counts = tokenizer_from(texts, 120, Reading(500, 501, subwords=True))
    ids = np.concatenate([tokenizer.ids(tokenizer.words(text)) for text in texts])
    assert np.bincount(ids, minlength=len(counts)).tolist() == counts.tolist()
    assert (counts == shared_counts(tokenizer, counts, texts)).all()


def test_words_that_share_an_id_do_so_as_whole_words() -> None:
    texts = ["emma met olivia", "olivia met emma", "emmas film, olivias film"] * 5
    ties = [WordClass("names", ("emma", "olivia", "mia"))]
    tokenizer, counts = tokenizer_from(texts, 60, Reading(20, 21, ties=ties, subwords=True))
    first, second, third = (tokenizer.ids([word])[1:].tolist() for word in ("emma", "olivia", "mia"))
    assert first == second == third and len(first) == 1
    assert tokenizer.ids(["emmas"]).tolist() != tokenizer.ids(["olivias"]).tolist()
    assert shared_counts(tokenizer, counts, texts)[first[0]] >= 20


def test_letters_seen_once_in_ten_thousand_are_left_out_and_unknown() -> None:
    tokenizer = tokenizer_of(("good film " * 3_000, "鱻"), 40)
    assert (OOV,) == tokenizer.pieces("鱻")
    assert OOV not in tokenizer.pieces("good")


def test_training_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers.models", None)
    with pytest.raises(ArtifactError, match="not installed") as caught:
        learn(ALL, 50)
    assert "'.[subwords]'" in str(caught.value.fix)


@pytest.fixture(scope="module")
def korean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model of pieces trained on Korean reviews, whose endings differ from word to word; its data is beside it."""
    directory = tmp_path_factory.mktemp("korean")
    rng = np.random.default_rng(5)
    stems, ends = (
        {1: ("재미있", "훌륭하", "멋지"), 0: ("지루하", "형편없", "끔찍하")},
        ("다", "네요", "지만", "었어요", "군요", "고"),
    )
    rows = [
        {"id": str(i), "text": f"영화가 정말 {rng.choice(stems[i % 2])}{rng.choice(ends)}", "label": i % 2}
        for i in range(200)
    ]
    pq.write_table(pa.Table.from_pylist(rows), directory / "reviews.parquet")
    options = ("--tokenizer", "subwords", "--epochs", 3, "--batch-size", 20, "--set", "perturbation=0")
    result = run(
        "--data", directory / "reviews.parquet", "--id-column", "id", "--output", directory / "model", *options
    )
    assert 0 == result.exit_code, result.output
    return directory / "model"


def test_model_of_pieces_learns_and_its_profile_is_of_its_script(korean: Path) -> None:
    model: Artifact = artifact.load(str(korean))
    assert model.manifest["metrics"]["validation"]["accuracy"] > 0.9
    assert ("subwords", 2) == (model.manifest["tokenizer"]["type"], model.manifest["format_version"])
    assert {"Hangul": model.training_profile.words} == model.training_profile.scripts
    assert "영화가" in model.manifest["probe"]["text"]
    engine, tokenizer = ExactEngine(model), model.tokenizer
    good, bad = (engine.run([tokenizer.ids(tokenizer.words(t))]).logit[0] for t in ("정말 훌륭하다", "정말 형편없다"))
    assert good > 0 > bad


def test_model_of_pieces_is_evaluated_by_words(tiny_subwords_model: Path, tmp_path: Path) -> None:
    texts = ["goodness, 영화가 재미있다 xyz", "a bad film: 映画は最高です", "not wonderful"] * 2
    rows = [{"text": f"{text} {i}", "label": i % 2} for i, text in enumerate(texts)]
    (tmp_path / "reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = (str(tiny_subwords_model), [str(tmp_path / "reviews.jsonl")], Columns())
    found = evaluate(*given, faithfulness_reviews=0, seed=1, on_step=lambda work, done, total: None)
    assert 6 == found["data"]["reviews"]
    tokenizer = artifact.load(given[0]).tokenizer
    known = {word for row in rows for word in tokenizer.words(str(row["text"]))}
    mistakes = found["quality"]["mistakes"]
    assert 3 == len(mistakes), "each text is labelled both ways"
    assert all(set(mistake["words"]) <= known for mistake in mistakes)


def test_notebook_reads_words_and_refuses_pieces(tmp_path: Path) -> None:
    data = write(tmp_path, "jsonl")
    result = run("--data", data, "--output", tmp_path / "m", "--preset", "notebook", "--tokenizer", "subwords")
    assert 2 == result.exit_code
    assert "the notebook's network reads words" in result.output


def test_page_of_a_training_shows_words_with_the_sums_of_their_pieces(tiny_subwords: Artifact) -> None:
    texts = ("goodness films are wonderful", "映画は最高です", "strange " * 30 + "plot")
    labelled = Examples(("a", "b", "c"), texts, np.array([1, 1, 0], np.int8))
    side, engine = encoded(labelled, tiny_subwords.tokenizer), ExactEngine(tiny_subwords)
    counts = np.zeros(len(tiny_subwords.vocabulary), np.int64)
    data = Prepared(tiny_subwords.tokenizer, counts, side, side, "", {"training": texts, "validation": texts})
    for text, shown in zip(texts, explain(tiny_subwords, engine, data, np.arange(3)), strict=True):
        wanted = [word for word in explain_review(text, Scorer(tiny_subwords, engine), 3).words if word.is_read]
        assert [text[word.start : word.end].lower() for word in wanted] == list(shown.tokens)
        assert [word.contribution for word in wanted] == pytest.approx(shown.contribution.tolist(), abs=1e-6)
        assert [word.attention for word in wanted] == pytest.approx(shown.attention.tolist(), abs=1e-6)
    assert 0 < side.oov_rate.max() <= 1
