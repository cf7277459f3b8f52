"""The question to two runs, A and B, and its answer, as data: `compare` computes it, `ui.comparison` shows it.

`batch-scorer compare --json` prints a `Comparison` field by field: their names are its keys, and do not change.
"""

from __future__ import annotations

from dataclasses import dataclass

from batch_scorer.analysis.statistics import Proportion
from batch_scorer.compare.group_result import GroupChanges
from batch_scorer.compare.settings import Setting

# The ways to compare: by what identifies a review, or without pairing reviews.
RECORD_ID, PLACE, DISTRIBUTION = "record_id", "source,offset", "distribution"
WAYS = (RECORD_ID, PLACE, DISTRIBUTION)


@dataclass(frozen=True)
class Question:
    """How to compare two runs.

    Args:
        by: one of `WAYS`.
        rows: how many reviews, and how many words, to list.
        label_column: the kept column with the true labels, in both runs.
        positive, negative: values and ranges of labels that mean so, as `LabelRule.of` takes them.
        output: directory to write the tables to, if any.
        group_by: kept columns of both runs whose values are groups to compare.
    """

    by: str = RECORD_ID
    rows: int = 10
    label_column: str | None = None
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    output: str | None = None
    group_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Side:
    """One of the two runs: `length` is in words per review, `unknown` a share; `not_a_success` is None if it is one."""

    output: str
    run_id: str
    model_name: str
    model_id: str
    reviews: int
    rejected: int
    positive: Proportion
    length: float
    unknown: float
    not_a_success: str | None


@dataclass(frozen=True)
class Pairs:
    """Which reviews the two runs share.

    Args:
        both, only_a, only_b: reviews in both, or in one run only, not counting those with a repeated id.
        rejected_by_b: those of `only_a` that B rejected; `rejected_by_a` likewise.
        repeated: ids that a run has more than once; `left_out_a`, `left_out_b`: each run's reviews with such an id.
        other_text: reviews in both that have a different number of words, or a different word at the same position.
    """

    both: int
    only_a: int
    only_b: int
    rejected_by_a: int
    rejected_by_b: int
    repeated: int
    left_out_a: int
    left_out_b: int
    other_text: int


@dataclass(frozen=True)
class Changes:
    """How the scores of the reviews in both runs changed, from A to B.

    Args:
        flipped: reviews whose label changed; `to_positive` and `to_negative` say which way.
        by_threshold: those of `flipped` that would have kept their label under the threshold of A.
        mean, median: of the absolute change in probability.
        over_tenth, over_half: reviews whose probability changed by more than 0.1, and by more than 0.5.
        correlation: Pearson's, of the logits; None if there are too few, or all are equal.
        identical: reviews whose probability, logit and label are identical, to the bit.
        same_words: whether all listed words and their contributions are identical too.
    """

    flipped: int
    to_positive: int
    to_negative: int
    by_threshold: int
    mean: float
    median: float
    over_tenth: int
    over_half: int
    correlation: float | None
    identical: int
    same_words: bool


@dataclass(frozen=True)
class Agreement:
    """How far the two runs list the same words, compared by position, over the reviews in both that list any.

    Args:
        reviews: how many reviews that is.
        overlap: mean over the reviews of words listed by both / words listed by either (Jaccard 1901).
        same_first: reviews whose top contributing word is the same.
        weight_a, weight_b: mean absolute value of what a review's listed words, taken together, add to its log odds.
    """

    reviews: int
    overlap: float
    same_first: int
    weight_a: float
    weight_b: float


@dataclass(frozen=True)
class MovedWord:
    """What a word adds to a review's log odds in each run; None where a run does not list it: unknown, not zero."""

    token: str
    position: int
    a: float | None
    b: float | None


@dataclass(frozen=True)
class MovedReview:
    """A review whose probability changed a lot, with the words that changed most."""

    record_id: str
    source: str
    offset: int
    probability_a: float
    probability_b: float
    logit_a: float
    logit_b: float
    label_a: str
    label_b: str
    truth: str | None
    words: tuple[MovedWord, ...]


@dataclass(frozen=True)
class WordChange:
    """A word, summed over all reviews compared.

    Args:
        times_a, times_b: how often it is listed.
        contribution_a, contribution_b: the sum of its listed contributions, as in `predictions`.
        log_odds_a, log_odds_b: the same sum, each divided by the review's temperature, per 1,000 reviews.
        change: `log_odds_b - log_odds_a`.
        margin: half the width of the 95 % interval of `change`; None for a single review.
    """

    token: str
    times_a: int
    times_b: int
    contribution_a: float
    contribution_b: float
    log_odds_a: float
    log_odds_b: float
    change: float
    margin: float | None


@dataclass(frozen=True)
class Shift:
    """How one property is distributed in A and in B.

    Args:
        psi: population stability index (Siddiqi 2006); by convention stable below 0.1, a major shift above 0.25.
        grade: `stable`, `moderate` or `major`; `too few` if so few may differ by chance.
        edges: lower edges of the bins; `a` and `b`: reviews in each bin.
    """

    name: str
    psi: float
    grade: str
    edges: tuple[float, ...]
    a: tuple[int, ...]
    b: tuple[int, ...]


@dataclass(frozen=True)
class Truth:
    """How often each run is right, judged by true labels.

    Args:
        column, positive, negative: the label column, and its values that mean so, in words.
        unlabelled: compared reviews without a true label, or with one that means neither.
        contradicted: reviews whose true label differs between the runs; they are left out.
        only_a, only_b: reviews in both that only A, or only B, gets right; None by distribution, like `p`.
        p: the p-value of McNemar's exact test on these two.
        remarks: what is odd about the labels, in sentences.
    """

    column: str
    positive: str
    negative: str
    unlabelled: int
    contradicted: int
    a: Proportion
    b: Proportion
    only_a: int | None
    only_b: int | None
    p: float | None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """The answer: what differs between two runs.

    Args:
        story, notes: a summary in a few plain sentences, and caveats for whoever reads the figures.
        by: one of `WAYS`: how the runs were compared in the end.
        listed: how many words of each review count: the first so many of its list.
        reviews, words: those that changed most; words by evidence, and only if by more than their margin.
        shifts: by distribution only; `pairs`, `changes` and `agreement`: by id only.
        tables: paths of the tables written.
        groups: how groups changed; None unless asked for.
    """

    story: tuple[str, ...]
    notes: tuple[str, ...]
    by: str
    a: Side
    b: Side
    settings: tuple[Setting, ...]
    listed: int
    pairs: Pairs | None
    changes: Changes | None
    agreement: Agreement | None
    reviews: tuple[MovedReview, ...]
    words: tuple[WordChange, ...]
    shifts: tuple[Shift, ...]
    truth: Truth | None
    tables: tuple[str, ...] = ()
    groups: GroupChanges | None = None
