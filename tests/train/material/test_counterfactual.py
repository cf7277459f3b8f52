"""Rewritten reviews: on the side of their originals, kept back, and the passages that were changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.errors import InputError
from train.data import Columns, Examples
from train.material.counterfactual import passages, place
from train.material.sources import read_rewritten

LABELLED = Examples(
    ("1", "2", "3"),
    ("A dull film.<br /><br />I slept the whole time.", "A lovely  film. I smiled at it.", "Plain and slow."),
    np.array([0, 1, 0], np.int8),
)
ROWS = [
    ("train/1", "p1", 0, "A dull film. I slept the whole time."),
    ("train/2", "p1", 1, "A great film. I smiled the whole time."),
    ("dev/1", "p2", 1, "A lovely film. I smiled at it."),
    ("dev/2", "p2", 0, "An awful film. I frowned at it."),
    ("train/3", "p3", 1, "Nobody has this one."),
    ("train/4", "p3", 0, "Nobody has that one."),
]
MEMBERS = Examples(tuple(r[0] for r in ROWS), tuple(r[3] for r in ROWS), np.array([r[2] for r in ROWS], np.int8))
PAIRS = [row[1] for row in ROWS]


def test_rewritten_review_goes_where_its_original_is() -> None:
    on_validation = place(MEMBERS, PAIRS, LABELLED, np.array([True, False, False]), None)
    assert ("train/2",) == on_validation.validation.ids
    assert ("dev/2", "train/3", "train/4") == on_validation.training.ids
    assert {"A dull film.", "A great film. I smiled the whole time."} & {*on_validation.held_out_passages.texts}
    assert not {*on_validation.passages.texts} & {*on_validation.held_out_passages.texts}
    on_training = place(MEMBERS, PAIRS, LABELLED, np.zeros(3, np.bool_), None)
    assert ("train/2", "dev/2", "train/3", "train/4") == on_training.training.ids
    assert () == on_training.held_out_passages.texts
    assert (1, False) == (on_training.unmatched, bool(on_training.left_out.any()))


def test_pairs_that_are_kept_back_leave_out_their_originals_too() -> None:
    placed = place(MEMBERS, PAIRS, LABELLED, np.zeros(3, np.bool_), "dev/")
    assert ("dev/1", "dev/2") == placed.kept_back.ids
    assert [False, True, False] == placed.left_out.tolist()
    assert not any(i.startswith("dev/") for i in placed.training.ids)
    assert placed.passages.texts and not any("awful" in t or "lovely" in t for t in placed.passages.texts)
    assert any("awful" in text for text in placed.held_out_passages.texts)


def test_passages_are_the_sentences_that_differ_with_the_labels_of_their_reviews() -> None:
    examples = Examples(
        ("a", "b"),
        ("It begins well. I hated it. The end is near.", "It begins well. I adored it. The end is near."),
        np.array([0, 1], np.int8),
    )
    changed = passages(examples, ["p", "p"])
    assert ("I hated it.", "I adored it.") == changed.texts
    assert [0, 1] == changed.labels.tolist()


def write(path: Path, drop: str = "") -> str:
    columns = {
        "id": MEMBERS.ids, "pair": PAIRS, "label": MEMBERS.labels, "text": MEMBERS.texts,
    }  # fmt: skip
    pq.write_table(pa.table({name: values for name, values in columns.items() if name != drop}), path)
    return str(path)


def test_files_of_pairs_are_read_and_a_file_of_strangers_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "pairs.parquet")
    found = read_rewritten([file], Columns(), LABELLED, 0.0, "dev/")
    assert ("train/2", "train/3", "train/4") == found.training.ids
    with pytest.raises(InputError, match="no pair of rewritten reviews is kept back"):
        read_rewritten([file], Columns(), LABELLED, 0.0, "test/")
    with pytest.raises(InputError, match="no original"):
        read_rewritten([file], Columns(), LABELLED.subset(np.array([False, False, True])), 0.0, None)
    with pytest.raises(InputError, match="'pair' is missing"):
        read_rewritten([write(tmp_path / "b.parquet", "pair")], Columns(), LABELLED, 0.0, None)
