"""Pieces of words: what they are, how windows hold them whole, and what the artefact stores of them."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.errors import ArtifactError
from batch_scorer.models import artifact
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.subwords import SubwordTokenizer
from batch_scorer.models.tokenizer import OOV, START, window_bounds
from batch_scorer.models.windows import Windows, in_words, piece_windows
from tests.conftest import SUBWORDS, save_tiny
from tests.models.test_artifact import manifest_of, reseal, seal

SIZES = st.lists(st.integers(1, 6), max_size=60)


@pytest.fixture
def copy(tiny_subwords_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny artefact of pieces, to damage."""
    return Path(shutil.copytree(tiny_subwords_model, tmp_path / "copy"))


def pieces_of(tokenizer: SubwordTokenizer, word: str) -> list[str]:
    return [tokenizer.vocabulary[i] for i in tokenizer.pieces(word)]


@pytest.mark.parametrize(
    ("word", "pieces"),
    [
        ("good", ["▁good"]),
        ("goodness", ["▁good", "ness"]),
        ("wonderful", ["▁wonder", "ful"]),
        ("영화가", ["▁영화", "가"]),
        ("noodos", ["n", "o", "o", "d", "o", "s"]),  # without the mark, which says no more
        ("xyz", ["<oov>"]),
        ("goodxyz", ["▁good", "<oov>"]),
        ("最高", ["最高"]),
        ("caf\u00e9", ["▁caf\u00e9"]),
    ],
)
def test_pieces_of_known_words_are_known(tiny_subwords: Artifact, word: str, pieces: list[str]) -> None:
    assert pieces == pieces_of(tiny_subwords.tokenizer, word)  # type: ignore[arg-type]


def test_words_are_remembered_within_limits_and_give_the_same_when_they_are_forgotten(
    tiny_subwords: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batch_scorer.models import subwords

    monkeypatch.setattr(subwords, "_REMEMBERED", 10)
    tokenizer = SubwordTokenizer(SUBWORDS["vocabulary"], scores=SUBWORDS["scores"])
    words = [a + b for a, b in itertools.product("sned", "good")] * 3
    assert [tiny_subwords.tokenizer.ids([word]).tolist() for word in words] == [
        tokenizer.ids([word]).tolist() for word in words
    ]
    assert len(tokenizer._pieces_of) <= 10
    tokenizer.pieces("s" * 10_000)
    assert "s" * 10_000 not in tokenizer._pieces_of


@given(SIZES, st.integers(6, 20), st.integers(1, 5))
def test_windows_hold_whole_words_and_as_many_of_the_last_as_fit(sizes: list[int], most: int, windows: int) -> None:
    bounds = piece_windows(sizes, most, windows)
    assert len(bounds) <= windows
    assert len(sizes) == bounds[-1][1]
    assert all(a[1] == b[0] for a, b in itertools.pairwise(bounds))
    held = [sum(sizes[a:b]) for a, b in bounds]
    assert all(n <= most for n in held)
    assert not sizes or all(a < b for a, b in bounds)
    if bounds[0][0] > 0:  # another word before them would not fit into as many windows
        assert len(piece_windows(sizes[bounds[0][0] - 1 :], most, windows + 1)) == windows + 1


@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 6))
def test_windows_of_words_with_a_piece_each_are_those_of_words(n: int, most: int, windows: int) -> None:
    read = min(n, most * windows)
    wanted = [(n - read + a, n - read + b) for a, b in window_bounds(n, most, windows)]
    assert wanted == piece_windows([1] * n, most, windows)


@given(st.lists(st.lists(st.sampled_from(["good", "goodness", "wonderful", "xyz", "noodos", "영화가"]), max_size=30)))
def test_windows_of_reviews_say_which_ids_are_whose(tiny_subwords: Artifact, reviews: list[list[str]]) -> None:
    tokenizer = tiny_subwords.tokenizer
    windows = Windows.of(tokenizer, reviews)
    assert all(ids[0] == START for ids in windows.ids)
    assert [len(ids) - 1 for ids in windows.ids] == windows.n_ids.tolist()
    sizes = windows.sizes or []
    assert [len(size) for size in sizes] == windows.n_words.tolist()
    for review, words in enumerate(reviews):
        mine = [ids for ids, of in zip(windows.ids, windows.review, strict=True) if of == review]
        read = words[len(words) - int(windows.words_read[review]) :]
        assert [i for word in read for i in tokenizer.ids([word])[1:]] == [i for ids in mine for i in ids[1:]]
        assert sum(i == OOV for ids in mine for i in ids) == windows.unknown_ids[review]
    shares = np.bincount(windows.review, windows.share, len(reviews))
    np.testing.assert_allclose(1, shares)


def test_what_is_read_is_told_in_pieces(tiny_subwords: Artifact) -> None:
    said = in_words(tiny_subwords.manifest["tokenizer"])
    assert "all pieces of words of a review up to the last 36, 9 at a time" == said


def test_manifest_says_all_that_a_reader_needs_and_scores_are_stored_as_text(
    tiny_subwords: Artifact, tiny_subwords_model: Path
) -> None:
    settings = tiny_subwords.manifest["tokenizer"]
    names = ("type", "model", "word_start", "normalization", "lowercase", "max_words", "max_windows")
    assert ["subwords", "unigram", "▁", "NFC", "word by word", 9, 4] == [settings[name] for name in names]
    assert 2 == tiny_subwords.manifest["format_version"]
    lines = (tiny_subwords_model / "scores.txt").read_text().splitlines()
    assert [f"{score:.6f}" for score in SUBWORDS["scores"]] == lines
    assert tuple(SUBWORDS["scores"]) == tiny_subwords.scores


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"nan", "a number from -1000 to 0"),
        (b"1.5", "a number from -1000 to 0"),
        (b"-1e3", "a number from -1000 to 0"),
        (b"-2000.0", "a number from -1000 to 0"),
        (b"", "a number from -1000 to 0"),
        (b"\xff", "a number from -1000 to 0"),
        (b"-3.0\n-3.0", "lines, each with its end"),
    ],
)
def test_scores_that_are_not_log_probabilities_are_refused(copy: Path, line: bytes, said: str) -> None:
    lines = (copy / "scores.txt").read_bytes().split(b"\n")
    lines[5] = line
    (copy / "scores.txt").write_bytes(b"\n".join(lines))
    reseal(copy)
    with pytest.raises(ArtifactError) as caught:
        artifact.load(str(copy))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"), [("▁good", "each piece once"), ("", "a piece of 1 to"), ("x" * 101, "a piece")]
)
def test_pieces_that_no_training_writes_are_refused(copy: Path, line: str, said: str) -> None:
    lines = (copy / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
    lines[9] = line
    (copy / "vocabulary.txt").write_text("\n".join(lines), encoding="utf-8")
    reseal(copy)
    with pytest.raises(ArtifactError) as caught:
        artifact.load(str(copy))
    assert said in str(caught.value)
    assert "line 10" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "words"}, "pattern"),
        ({"pattern": r"[\w']+"}, "pattern"),
        ({"word_start": "#"}, "word_start"),
        ({"normalization": "NFKC"}, "normalization"),
        ({"model": "bpe"}, "model"),
        ({"type": "letters"}, "type"),
    ],
)
def test_manifest_that_contradicts_itself_about_pieces_is_refused(
    copy: Path, change: dict[str, Any], said: str
) -> None:
    manifest = manifest_of(copy)
    manifest["tokenizer"] |= change
    seal(copy, manifest)
    with pytest.raises(ArtifactError) as caught:
        artifact.load(str(copy))
    assert said in str(caught.value.where)


def test_pieces_without_scores_are_refused(copy: Path) -> None:
    manifest = manifest_of(copy)
    del manifest["files"]["scores.txt"]
    seal(copy, manifest)
    with pytest.raises(ArtifactError, match="damaged") as caught:
        artifact.load(str(copy))
    assert "scores.txt where ids are pieces" in str(caught.value)


def test_other_scores_that_give_other_pieces_fail_the_probe(copy: Path) -> None:
    lines = (copy / "scores.txt").read_text().splitlines()
    lines[SUBWORDS["vocabulary"].index("▁good")] = "-99.000000"
    (copy / "scores.txt").write_text("\n".join(lines) + "\n")
    reseal(copy)
    with pytest.raises(ArtifactError, match="probe text"):
        artifact.load(str(copy))


def test_model_with_a_piece_twice_is_not_written(tmp_path: Path) -> None:
    twice = {**SUBWORDS, "vocabulary": [*SUBWORDS["vocabulary"][:-1], "▁good"]}
    with pytest.raises(ArtifactError, match="could not be loaded again"):
        save_tiny(tmp_path / "model", **twice)
    assert not (tmp_path / "model").exists()


CODE = """
import sys
{hide}
from batch_scorer.models import artifact
artifact.load(sys.argv[1])
assert "tokenizers" {there} sys.modules
"""


@pytest.mark.parametrize(("model", "there"), [("tiny_model_2", "not in"), ("tiny_subwords_model", "in")])
def test_package_for_pieces_is_imported_for_models_of_pieces_only(
    model: str, there: str, request: pytest.FixtureRequest
) -> None:
    code = CODE.format(hide="", there=there)
    subprocess.run([sys.executable, "-c", code, str(request.getfixturevalue(model))], check=True)


def test_model_of_pieces_without_the_package_is_refused_with_what_to_install(
    tiny_subwords_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers.models", None)
    with pytest.raises(ArtifactError, match="not installed") as caught:
        artifact.load(str(tiny_subwords_model))
    assert "pip install -e '.[subwords]'" in str(caught.value.fix)


def test_pieces_are_found_in_the_calling_thread_and_a_forked_process_is_told_nothing(
    tiny_subwords: Artifact, capfd: pytest.CaptureFixture[str]
) -> None:
    before, tokenizer = (
        len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self") else 0,
        tiny_subwords.tokenizer,
    )
    tokenizer.words("映画は最高です。 " * 50)
    if before:
        assert before == len(os.listdir("/proc/self/task"))
    assert "" == capfd.readouterr().err
