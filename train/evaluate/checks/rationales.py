"""Do the words that contribute most lie in the passages that people marked as the reason? (DeYoung et al. 2020)

Shapes: n words of a document.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from train.evaluate.checks.phrases import by_phrase, read_gaps, smoothed
from train.evaluate.model import Model
from train.metrics import bootstrapped

Doubles = npt.NDArray[np.float64]


def rationales(model: Model, table: pa.Table, seed: int) -> dict[str, Any]:
    """The mean average precision of rankings of words against the words that people marked, over documents.

    Words that are not read rank last. Contributions count towards the decision.

    Args:
        table: columns text and rationales, a list of char_start and char_end.

    Returns:
        `documents`, `unread` (share of the marked words that are not read), and the mean of each ranking:
        `contribution`, `attention`, both `_smoothed`, both by their phrases (`phrases`, `attention_phrases`) and
        `random`; `intervals` of these means; and `differences`: contribution less attention, `plain`, `smoothed` and by
        `phrases`, and `phrases_over_smoothed_attention`.
    """
    rng = np.random.default_rng(seed)
    rows = [row for row in table.to_pylist() if row["rationales"]]
    found: dict[str, list[float]] = {}
    unread = marked_words = 0
    texts = [row["text"] for row in rows]
    logits, explained = model.explained(texts)
    for row, (contribution, attention), sign in zip(rows, explained, np.where(logits >= 0, 1, -1), strict=True):
        starts, ends = model.artifact.tokenizer.spans(row["text"])
        marked = np.zeros(len(starts), np.bool_)
        for passage in row["rationales"]:
            marked |= (starts < passage["char_end"]) & (ends > passage["char_start"])
        if not marked.any():
            continue
        skipped = len(starts) - len(contribution)
        unread, marked_words = unread + int(marked[:skipped].sum()), marked_words + int(marked.sum())
        toward, found_gaps = sign * contribution, read_gaps(model.artifact.tokenizer, row["text"], len(contribution))
        rankings = {
            "contribution": toward,
            "attention": attention,
            "contribution_smoothed": smoothed(toward),
            "attention_smoothed": smoothed(attention),
            "phrases": by_phrase(toward, found_gaps),
            "attention_phrases": by_phrase(attention, found_gaps),
            "random": rng.random(len(toward)),
        }
        for name, values in rankings.items():
            complete = np.concatenate([np.full(skipped, -np.inf), values])
            found.setdefault(name, []).append(average_precision(complete, marked))
    means = {name: float(np.mean(values)) for name, values in found.items()}
    documents = {"documents": len(found.get("random", [])), "unread": unread / max(marked_words, 1), **means}
    if not found:
        return documents
    precision = {name: np.array(values) for name, values in found.items()}
    pairs = {
        "plain": ("contribution", "attention"),
        "smoothed": ("contribution_smoothed", "attention_smoothed"),
        "phrases": ("phrases", "attention_phrases"),
        "phrases_over_smoothed_attention": ("phrases", "attention_smoothed"),
    }
    differences = {name: precision[one] - precision[other] for name, (one, other) in pairs.items()}
    return {
        **documents,
        "intervals": {name: bootstrapped(values, seed) for name, values in precision.items()},
        "differences": {name: bootstrapped(values, seed) for name, values in differences.items()},
    }


def average_precision(scores: Doubles, marked: npt.NDArray[np.bool_]) -> float:
    """Mean over the marked words of the share of marked words among those that rank at least as high.

    >>> average_precision(np.array([3.0, 2.0, 1.0]), np.array([True, False, True]))
    0.8333333333333333
    """
    hits = marked[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())
