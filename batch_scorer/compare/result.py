"""What a comparison of two runs, A and B, says, as data: `compare` makes it, `compare_view` shows it."""

from __future__ import annotations

from dataclasses import dataclass

from batch_scorer.analysis.statistics import Proportion

# What tells that two reviews are the same one.
RECORD_ID, PLACE, DISTRIBUTION = "record_id", "source,offset", "distribution"
WAYS = (RECORD_ID, PLACE, DISTRIBUTION)


@dataclass(frozen=True)
class Question:
    """What is asked of two runs.

    Args:
        by: one of `WAYS`.
        rows: reviews and words to list.
        label_column: the kept column that holds the truth, in both runs.
        positive: the value of it, as text, that means positive; None where it goes without saying.
        output: directory for the tables, if they are wanted.
    """

    by: str = RECORD_ID
    rows: int = 10
    label_column: str | None = None
    positive: str | None = None
    output: str | None = None


@dataclass(frozen=True)
class Side:
    """One of the two runs: words a review (`length`), share of unknown words, and why it is no success, if so."""

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
class Setting:
    """Something that may make two runs differ, as text for each."""

    name: str
    a: str
    b: str


@dataclass(frozen=True)
class Pairs:
    """Which reviews the two runs share.

    Args:
        both, only_a, only_b: reviews whose id is not repeated.
        rejected_by_b: of `only_a`, those that B rejected; `rejected_by_a` the other way.
        repeated: ids that a run has more than once; `left_out_a`, `left_out_b`: its reviews with one of these.
        other_text: reviews in both with another number of words, or another word at the same position.
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
    """How the scores of the reviews in both changed, from A to B.

    Args:
        flipped: another label; `to_positive` and `to_negative` of them.
        by_threshold: of `flipped`, those that the threshold of A would not have flipped.
        mean, median: absolute change of the probability.
        over_tenth, over_half: reviews whose probability changed by more than 0.1, and by more than 0.5.
        correlation: of the logits (Pearson); None where there are too few, or all are equal.
        identical: reviews whose probability, logit and label are equal to the bit.
        same_words: whether that is so for all the listed words and their contributions too.
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
    """How far the two name the same words, by position: over the reviews in both that list one in either.

    Args:
        reviews: how many these are.
        overlap: mean of shared words / all words listed in either (Jaccard 1901).
        same_first: reviews in which the word that weighs most is the same.
        weight_a, weight_b: what the words of a review add to its log odds together, as mean of absolute values.
    """

    reviews: int
    overlap: float
    same_first: int
    weight_a: float
    weight_b: float


@dataclass(frozen=True)
class MovedWord:
    """What a word adds to the log odds of a review; None where a run does not list it: unknown, not zero."""

    token: str
    position: int
    a: float | None
    b: float | None


@dataclass(frozen=True)
class MovedReview:
    """A review whose probability changed much, and its words that changed most."""

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
    """A word over all reviews compared.

    Args:
        times_a, times_b: how often it is listed.
        contribution_a, contribution_b: sum of its listed contributions, as they stand in `predictions`.
        log_odds_a, log_odds_b: that divided by the temperature of the run, per 1,000 reviews.
        change: from `log_odds_a` to `log_odds_b`.
        margin: half its interval at 95 %, where A and B are two samples of reviews; None by id.
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
        psi: population stability index (Siddiqi 2006): below 0.1 by custom stable, above 0.25 a major shift.
        grade: `stable`, `moderate` or `major`; `too few` where the reviews do not fill the bins.
        edges: lower edges of the bins; `a` and `b`: reviews in each.
    """

    name: str
    psi: float
    grade: str
    edges: tuple[float, ...]
    a: tuple[int, ...]
    b: tuple[int, ...]


@dataclass(frozen=True)
class Truth:
    """How often each is right.

    Args:
        column, positive: where the truth stands, and the value that means positive.
        unlabelled: reviews compared that have no truth.
        contradicted: reviews for which the two runs hold different truths; they are left out.
        only_a, only_b: reviews in both that only A, and that only B, gets right; None by distribution, as `p` is.
        p: of McNemar's exact test on these two.
    """

    column: str
    positive: str
    unlabelled: int
    contradicted: int
    a: Proportion
    b: Proportion
    only_a: int | None
    only_b: int | None
    p: float | None


@dataclass(frozen=True)
class Comparison:
    """All of it.

    Args:
        story: what happened, in a few plain sentences.
        notes: what is to be known when reading it.
        by: one of `WAYS`: how the runs are compared in the end.
        listed: words of a review that are counted, the first of each list.
        reviews: those that changed most, in both; `words` likewise. The strongest come first.
        shifts: by distribution only; `pairs`, `changes` and `agreement` by id only.
        tables: the files written.
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
