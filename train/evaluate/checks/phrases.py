"""What phrases are worth: as a ranking of words, and by the fall of the probability when they are deleted.

Shapes: N texts, n words that are read of a text, P phrases.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.models.network import probability
from batch_scorer.models.protocol import Doubles
from batch_scorer.models.tokenizer import Tokenizer
from batch_scorer.scoring.gaps import Gaps, gaps
from batch_scorer.scoring.phrases import phrases
from train.evaluate.model import Model
from train.metrics import bootstrapped

Ints = npt.NDArray[np.int64]

SIGMA = 2.0  # words, of the Gaussian that smooths over neighbours: people mark phrases
SPANS = (1, 3, 10)  # phrases that are deleted


def smoothed(values: Doubles, sigma: float = SIGMA) -> Doubles:
    """Values averaged over neighbours with the weights of a Gaussian, as far as four deviations: float64[n].

    The weights of neighbours beyond an end are given to the others.
    """
    reach = int(4 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weight = np.convolve(np.ones(len(values)), kernel, "full")[reach : reach + len(values)]
    return np.asarray(np.convolve(values, kernel, "full")[reach : reach + len(values)] / weight)


def read_gaps(tokenizer: Tokenizer, text: str, n: int) -> Gaps:
    """Where sentences and clauses begin among the last `n` words of a text."""
    start, end = tokenizer.spans(text)
    return gaps([text], [(start[len(start) - n :], end[len(end) - n :])])


def by_phrase(values: Doubles, found: Gaps) -> Doubles:
    """The words of a text as its ranked phrases rank them: float64[n], larger for those that come first.

    First the words of the phrase with the largest sum, then those of the next, as long as sums are positive, then all
    others. Within a phrase, and among the others, words go by their values smoothed within the sentence.

    Args:
        values: float64[n], of the words that are read; positive where a word counts.
    """
    start, stop = phrases(values, found.new_clause, np.array([0, len(values)]))
    sums = np.array([values[a:b].sum() for a, b in zip(start, stop, strict=True)])
    level = np.full(len(values), len(sums))
    for rank, at in enumerate(np.argsort(-sums, kind="stable")):
        if sums[at] > 0:
            level[start[at] : stop[at]] = rank
    sentences = np.split(values, np.flatnonzero(found.new_sentence)[1:])
    order = np.lexsort((-np.concatenate([smoothed(one) for one in sentences]), level))
    ranking = np.empty(len(values))
    ranking[order] = -np.arange(len(values))
    return ranking


def deletions(model: Model, texts: Sequence[str], seed: int) -> dict[str, Any]:
    """How far the probability of the label falls without the phrases that speak for it, and without as many words.

    The words are those with the largest contributions to the label. Probabilities are calibrated by the model's one
    temperature, as in `train.evaluate.faithfulness`.

    Returns:
        `reviews`, and for each of `SPANS`: `words` deleted (mean), the mean falls `phrases` and `same_words` with their
        intervals, and `ratio`, the one by the other.
    """
    tokenizer, temperature = model.artifact.tokenizer, model.artifact.temperature
    logits, explained = model.explained(texts)
    positive = probability(logits, temperature) >= model.artifact.threshold
    shortened: dict[tuple[int, str], list[list[str]]] = {}
    deleted = {spans: list[int]() for spans in SPANS}
    for text, (contribution, _), sign in zip(texts, explained, np.where(positive, 1, -1), strict=True):
        toward, words = sign * contribution, tokenizer.words(text)
        found = read_gaps(tokenizer, text, len(toward))
        start, stop = phrases(contribution, found.new_clause, np.array([0, len(toward)]))
        sums = np.array([toward[a:b].sum() for a, b in zip(start, stop, strict=True)])
        best = [at for at in np.argsort(-sums, kind="stable") if sums[at] > 0]
        for spans in SPANS:
            inside = [word for at in best[:spans] for word in range(start[at], stop[at])]
            top = np.argsort(-toward, kind="stable")[: len(inside)].tolist()
            deleted[spans].append(len(inside))
            for name, gone in (("phrases", inside), ("same_words", top)):
                skipped, left = len(words) - len(toward), set(gone)
                kept = [word for at, word in enumerate(words) if at - skipped not in left]
                shortened.setdefault((spans, name), []).append(kept)
    return {"reviews": len(texts)} | {
        f"{spans}": _falls(
            model, logits, positive, {name: shortened[spans, name] for name in ("phrases", "same_words")}, seed
        )
        | {"words": float(np.mean(deleted[spans]))}
        for spans in SPANS
    }


def _falls(
    model: Model, logits: Doubles, positive: npt.NDArray[np.bool_], shortened: dict[str, list[list[str]]], seed: int
) -> dict[str, Any]:
    temperature = model.artifact.temperature

    def of_label(values: Doubles) -> Doubles:
        p = probability(values, temperature).astype(np.float64)
        return np.where(positive, p, 1 - p)

    falls = {name: of_label(logits) - of_label(model.logits_of_words(some)) for name, some in shortened.items()}
    ratio = float(falls["phrases"].mean() / falls["same_words"].mean())
    return {**{name: bootstrapped(fall, seed) for name, fall in falls.items()}, "ratio": ratio}
