"""A finished training -> what its page says of the held-out reviews: calibration, lengths, mistakes, deciding words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.analysis.statistics import proportion
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import probability
from batch_scorer.models.protocol import Doubles, Engine
from batch_scorer.report import budget
from batch_scorer.report.findings import LEAST_CERTAIN, MOST_SURPRISING, ListedWord, Review
from batch_scorer.report.quality_findings import Reliability, Slice
from train.evaluate.quality import Answers, ece_by_chance, length_bounds, most_confident_mistakes, slices
from train.fit import Fitted
from train.page.words import Explained, WordEffect, effects, explain
from train.prepare import Prepared

LISTED = 20  # reviews in a list
TOP_WORDS = 12  # marked in a review, by contribution and by attention
EXPLAINED = 5_000  # reviews at most whose words are summed up
TEXTS_BYTES = 800_000
BINS, SIMULATIONS, SEED = 10, 500, 20
LISTS = {MOST_SURPRISING: "Most confident mistakes", LEAST_CERTAIN: "Least certain"}
NO_TEXTS = "Only the words are known that the model reads, not the texts."


@dataclass(frozen=True)
class Bin:
    """A bin of the reliability diagram, and where 95 % of its shares would be by chance, were the model calibrated."""

    point: Reliability
    low: float
    high: float

    @property
    def is_by_chance(self) -> bool:
        """Whether the share that is actually positive is within these bounds."""
        return self.low <= self.point.positive <= self.high


@dataclass(frozen=True)
class Findings:
    """What there is to say of the N held-out reviews.

    Args:
        ece_by_chance: mean and 95 % quantile of the calibration error of a calibrated model on as many reviews.
        explained: how many of the reviews the words are summed over.
        reviews: those in `LISTS`, with texts where these are known.
    """

    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int
    bins: tuple[Bin, ...]
    ece_by_chance: dict[str, float]
    lengths: tuple[Slice, ...]
    explained: int
    positive_words: tuple[WordEffect, ...]
    negative_words: tuple[WordEffect, ...]
    reviews: tuple[Review, ...]
    texts_note: str


def findings(artifact: Artifact, engine: Engine, data: Prepared, fitted: Fitted) -> Findings:
    """Measures the model on the held-out reviews, and explains as many of them as the page has a use for.

    Raises:
        EngineError: the model fails on a review.
    """
    side, ids = data.validation, data.validation_ids or [f"review {i}" for i in range(len(data.validation))]
    temperatures = fitted.temperatures(side)
    answers = Answers(
        ids, side.labels, fitted.validation_logits, side.n_tokens, side.oov_rate, temperatures, artifact.threshold
    )
    log_odds = answers.logits / temperatures - np.log(artifact.threshold / (1 - artifact.threshold))
    uncertain = sorted(range(len(side)), key=lambda i: (abs(log_odds[i]), ids[i]))[:LISTED]
    lists = {MOST_SURPRISING: most_confident_mistakes(answers, LISTED), LEAST_CERTAIN: uncertain}
    drawn = np.sort(np.random.default_rng(SEED).permutation(len(side))[:EXPLAINED])
    rows = np.unique(np.concatenate([drawn, *(np.array(chosen, np.intp) for chosen in lists.values())]))
    by_row = {review.row: review for review in explain(artifact, engine, data, rows)}
    positive, negative = effects([by_row[row] for row in drawn.tolist()])
    reviews = []
    for row in dict.fromkeys(row for chosen in lists.values() for row in chosen):
        ranks = {name: chosen.index(row) + 1 for name, chosen in lists.items() if row in chosen}
        reviews.append(_review(by_row[row], data, answers, artifact.threshold, engine.bias, ranks))
    fitted_reviews, lost = budget.fit(reviews, TEXTS_BYTES)
    note = "" if data.texts else NO_TEXTS
    if lost:
        note = f"{lost:,} of the texts are left out, to keep the page small."
    actual, decided = side.labels == 1, answers.decision
    return Findings(
        true_positive=int((decided & actual).sum()),
        false_positive=int((decided & ~actual).sum()),
        true_negative=int((~decided & ~actual).sum()),
        false_negative=int((~decided & actual).sum()),
        bins=reliability(answers.probability, side.labels),
        ece_by_chance=ece_by_chance(answers.probability, SEED, SIMULATIONS),
        lengths=_by_length(answers, data),
        explained=len(drawn),
        positive_words=tuple(positive),
        negative_words=tuple(negative),
        reviews=fitted_reviews,
        texts_note=note,
    )


def reliability(p: Doubles, labels: npt.NDArray[np.integer]) -> tuple[Bin, ...]:
    """Bins of equal width that have reviews, by probability, each beside what chance alone would do to it.

    Labels are drawn from the probabilities themselves (consistency resampling, Broecker and Smith 2007).

    Args:
        p: P(positive), float64[N].
        labels: int[N].
    """
    rng, bin_of = np.random.default_rng(SEED), np.minimum((p * BINS).astype(int), BINS - 1)
    drawn = np.array([np.bincount(bin_of, rng.random(len(p)) < p, BINS) for _ in range(SIMULATIONS)])
    bins = []
    for number in np.unique(bin_of).tolist():
        inside = bin_of == number
        point = Reliability(int(inside.sum()), float(p[inside].mean()), float((labels[inside] == 1).mean()))
        low, high = np.quantile(drawn[:, number] / point.reviews, [0.025, 0.975])
        bins.append(Bin(point, float(low), float(high)))
    return tuple(bins)


def _by_length(answers: Answers, data: Prepared) -> tuple[Slice, ...]:
    tokenizer = data.tokenizer
    rest = "words or more, in windows" if tokenizer.max_windows > 1 else "words or more, not read whole"
    found = []
    for line in slices(answers.n_tokens, answers.correct, length_bounds(tokenizer.max_words)):
        name = f"{line['low']:,} {rest}" if line["high"] is None else f"{line['low']:,} to {line['high'] - 1:,} words"
        right = proportion(round(line["accuracy"] * line["reviews"]), line["reviews"])
        found.append(Slice("length", name, line["reviews"], right.share, right.low, right.high))
    return tuple(found)


def _review(
    explained: Explained, data: Prepared, answers: Answers, threshold: float, bias: float, ranks: dict[str, int]
) -> Review:
    """A review as the page shows it; its logit is that of the engine, so that the sum shown adds up."""
    row, tokenizer = explained.row, data.tokenizer
    text = data.texts["validation"][row] if data.texts else None
    n, n_tokens = len(explained.tokens), int(answers.n_tokens[row])
    starts, ends = tokenizer.spans(text) if text is not None else (np.zeros(n_tokens, int), np.zeros(n_tokens, int))
    orders = [np.argsort(-np.abs(values), kind="stable")[:TOP_WORDS].tolist()
              for values in (explained.contribution, explained.attention)]  # fmt: skip
    contributing, attended = ({at: rank for rank, at in enumerate(order, 1)} for order in orders)
    words = []
    for at in sorted({*contributing, *attended}):
        place = n_tokens - n + at
        words.append(
            ListedWord(
                budget.cut(explained.tokens[at], budget.TOKEN),
                place,
                int(starts[place]),
                int(ends[place]),
                float(explained.attention[at]),
                float(explained.contribution[at]),
                contributing.get(at),
                attended.get(at),
            )
        )
    listed = float(explained.contribution[orders[0]].sum())
    temperature = float(np.broadcast_to(answers.temperature, len(answers.labels))[row])
    p = float(probability(np.array(explained.logit), temperature))
    return Review(
        record_id=answers.record_ids[row],
        source="",
        offset=row,
        lists=tuple(ranks),
        ranks=tuple(ranks.values()),
        probability=p,
        logit=explained.logit,
        label="positive" if p >= threshold else "negative",
        truth="positive" if answers.labels[row] == 1 else "negative",
        n_tokens=n_tokens,
        n_tokens_used=n,
        oov_rate=float(answers.oov_share[row]),
        temperature=temperature,
        words=tuple(words),
        rest=explained.logit - bias - listed,
        kept=(),
        text=text,
    )
