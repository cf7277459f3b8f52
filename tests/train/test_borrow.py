"""Pre-trained tensors for other words: matched by name, read as they were, and refused where they do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batch_scorer.errors import InputError
from batch_scorer.models.network import Architecture, forward
from batch_scorer.models.tokenizer import OOV, RESERVED
from tests.conftest import random_tensors
from train.borrow import TENSORS, borrow
from train.network import normalised

SIZES = Architecture(vocabulary_size=8, embedding_dim=6, units=5, attention_units=4, max_length=20)
THEIRS = [*RESERVED, "the", "film", "good", "bad", "plot"]
COUNTS = np.array([0, 50, 400, 900, 300, 100, 90, 80])
# Other ranks, other counts, two words that pre-training did not have, and one of its own missing.
OURS = [*RESERVED, "film", "the", "plot", "toaster", "bad", "kettle"]
OUR_COUNTS = np.array([0, 20, 100, 500, 450, 70, 40, 30, 20])


def saved(directory: Path, architecture: Architecture = SIZES, **changes: Any) -> Path:
    """A `pretrained.npz` of random tensors; `changes` replace some of its arrays, and None leaves one out."""
    tensors = random_tensors(architecture, seed=3)
    arrays = {"vocabulary": np.array(THEIRS), "counts": COUNTS, **{name: tensors[name] for name in TENSORS}, **changes}
    path = directory / "pretrained.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_tensors_of_the_same_data_are_taken_to_the_last_bit(tmp_path: Path) -> None:
    taken = borrow(saved(tmp_path), THEIRS, COUNTS, SIZES)
    assert "5 of 5 words are pre-trained" == taken.sentence()
    with np.load(tmp_path / "pretrained.npz") as stored:
        for name in TENSORS:
            np.testing.assert_array_equal(stored[name], taken.tensors[name], err_msg=name)


def test_words_are_matched_by_name_and_new_ones_begin_near_the_unknown_word(tmp_path: Path) -> None:
    taken = borrow(saved(tmp_path), OURS, OUR_COUNTS, SIZES)
    assert (4, 6) == (taken.matched, taken.words)
    assert (500 + 450 + 70 + 30) / (500 + 450 + 70 + 40 + 30 + 20) == pytest.approx(taken.share)
    assert "4 of 6 words are pre-trained, 94.6% of the text; the others start as the unknown word" == taken.sentence()
    with np.load(tmp_path / "pretrained.npz") as stored:
        before, after = stored["embedding"], taken.tensors["embedding"]
        for word in ("<start>", "film", "the", "plot", "bad"):
            np.testing.assert_array_equal(before[THEIRS.index(word)], after[OURS.index(word)], err_msg=word)
        new = after[[OURS.index("toaster"), OURS.index("kettle")]]
        away = np.abs(new - before[OOV]) / before.std(axis=0)
        assert 0.01 < away.mean() < 0.2
        assert not np.array_equal(new[0], new[1])
        recurrent = "lstm.forward.recurrent_kernel"
        np.testing.assert_array_equal(stored[recurrent], taken.tensors[recurrent])


def test_text_of_shared_words_is_read_as_in_pretraining(tmp_path: Path) -> None:
    taken = borrow(saved(tmp_path), OURS, OUR_COUNTS, SIZES)
    others = random_tensors(SIZES, seed=9)

    def read(words: str, vocabulary: list[str], counts: np.ndarray, tensors: Any) -> np.ndarray:
        table = normalised(tensors["embedding"], (counts / counts.sum())[:, None].astype("f4")).numpy()
        ids = np.array([1, *(vocabulary.index(word) for word in words.split())], np.int32)
        return forward({**others, **tensors, "embedding": table}, SIZES, ids).contribution

    with np.load(tmp_path / "pretrained.npz") as stored:
        before = {name: stored[name] for name in TENSORS}
    text = "the film the bad plot"
    expected, found = read(text, THEIRS, COUNTS, before), read(text, OURS, OUR_COUNTS, taken.tensors)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    unscaled = {**taken.tensors, "lstm.forward.bias": before["lstm.forward.bias"]}  # what makes the difference
    assert not np.allclose(read(text, OURS, OUR_COUNTS, unscaled), expected, rtol=1e-4, atol=1e-5)


def test_words_of_the_same_names_with_other_counts_are_taken(tmp_path: Path) -> None:
    taken = borrow(saved(tmp_path), THEIRS, COUNTS + 7, SIZES)
    assert "5 of 5 words are pre-trained" == taken.sentence()


def test_too_few_words_in_common_are_refused_with_the_numbers(tmp_path: Path) -> None:
    german = [*RESERVED, "der", "film", "gut"]
    with pytest.raises(InputError, match="too few of the words") as refused:
        borrow(saved(tmp_path), german, np.array([0, 20, 100, 500, 90, 70]), SIZES)
    assert "1 of 3 words, which are 13.6% of those in the texts" == refused.value.got
    assert "--pretrained" in str(refused.value.fix)


@pytest.mark.parametrize(
    ("changes", "message", "where"),
    [
        ({"counts": None}, "does not hold pre-trained tensors", "pretrained.npz"),
        ({"vocabulary": np.array(THEIRS, object)}, "does not hold pre-trained tensors", "pretrained.npz"),
        ({"counts": np.array(THEIRS)}, "does not hold pre-trained tensors", "counts"),
        ({"counts": COUNTS[1:]}, "of another shape", "counts"),
        ({"vocabulary": np.array(THEIRS[1:])}, "of another shape", "embedding"),
        ({"lstm.backward.bias": np.zeros(3, np.float32)}, "of another shape", "lstm.backward.bias"),
        ({"lstm.backward.bias": np.zeros(20, np.int32)}, "of another shape", "lstm.backward.bias"),
    ],
)
def test_file_of_another_shape_is_refused_by_the_name_of_what_is_wrong(
    tmp_path: Path, changes: dict[str, Any], message: str, where: str
) -> None:
    with pytest.raises(InputError, match=message) as refused:
        borrow(saved(tmp_path, **changes), OURS, OUR_COUNTS, SIZES)
    assert str(refused.value.where).endswith(where)


def test_missing_file_and_one_that_is_no_archive_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do not exist"):
        borrow(tmp_path / "none.npz", OURS, OUR_COUNTS, SIZES)
    (tmp_path / "text.npz").write_text("not tensors")
    with pytest.raises(InputError, match="does not hold pre-trained tensors"):
        borrow(tmp_path / "text.npz", OURS, OUR_COUNTS, SIZES)
