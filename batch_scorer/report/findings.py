"""What a report says, as data: `gather` and `texts` make it of a run, `charts` and `page` show it."""

from __future__ import annotations

from dataclasses import dataclass

# The lists of reviews, by the word under which they stand in `Review.lists`.
MOST_POSITIVE, MOST_NEGATIVE, LEAST_CERTAIN, MOST_SURPRISING = "positive", "negative", "uncertain", "surprising"
LISTS = (MOST_POSITIVE, MOST_NEGATIVE, LEAST_CERTAIN, MOST_SURPRISING)


@dataclass(frozen=True)
class Histogram:
    """Reviews by bins. The last bin is open above where `edges` has one for each bin.

    Args:
        edges: lower edges.
        run, other: reviews in each bin, of this run and of what it is compared with.
    """

    edges: tuple[float, ...]
    run: tuple[int, ...]
    other: tuple[int, ...]


@dataclass(frozen=True)
class Drift:
    """How one property of the corpus compares with the training data, or with the reference run.

    Args:
        name: `score`, `length` or `unknown words`.
        psi: population stability index (Siddiqi 2006): below 0.1 by custom stable, above 0.25 a major shift.
        grade: `stable`, `moderate` or `major`; `too few` where the reviews do not fill the bins.
        sentence: what that means, in plain English.
    """

    name: str
    psi: float
    grade: str
    sentence: str
    histogram: Histogram


@dataclass(frozen=True)
class WordTotal:
    """A word over the whole corpus, as far as it is among the listed words of reviews.

    Args:
        contribution: summed over all its listings.
        times, reviews: listings, and reviews with at least one.
        reference: the same sum in the reference run, scaled to as many reviews as this run has; None without one.
    """

    token: str
    contribution: float
    times: int
    reviews: int
    reference: float | None = None


@dataclass(frozen=True)
class ListedWord:
    """A word of a review that stands in a list of its row; ranks from 1, None where it is not in that list."""

    token: str
    position: int
    char_start: int
    char_end: int
    attention: float
    contribution: float
    contributing_rank: int | None
    attended_rank: int | None


@dataclass(frozen=True)
class Review:
    """A review to look at.

    Args:
        lists: which of `LISTS` it is in.
        ranks: its place in each of these, from 1.
        words: in the order of the text; `token` may be cut.
        rest: contribution of everything that is not among the contributing words.
        truth: what the label column says: `positive`, `negative`, or None.
        kept: names and values of the kept columns, as text; the text itself is not among them.
        text: None where none was asked for, or it is not the one that was scored.
        is_cut: whether `text` is only the beginning of it.
    """

    record_id: str
    source: str
    offset: int
    lists: tuple[str, ...]
    probability: float
    logit: float
    label: str
    truth: str | None
    n_tokens: int
    n_tokens_used: int
    oov_rate: float
    words: tuple[ListedWord, ...]
    rest: float
    kept: tuple[tuple[str, str], ...]
    text: str | None = None
    is_cut: bool = False
    ranks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Slice:
    """Quality on a part of the reviews: `column` = `value`. The interval is Wilson's, at 95 %."""

    column: str
    value: str
    reviews: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Reliability:
    """A bin of the reliability diagram: mean probability, and the share that is in truth positive."""

    reviews: int
    probability: float
    positive: float


@dataclass(frozen=True)
class Quality:
    """How the labels compare with what is known to be true.

    Args:
        column: where the truth stands.
        positive: the value of it that means positive.
        reviews: with a label; `unlabelled` have none, or one that is neither of the two.
        low, high: Wilson's interval of the accuracy, at 95 %.
        true_positive ... : reviews.
        ece: expected calibration error over the bins of `reliability` (Guo et al. 2017, section 2).
    """

    column: str
    positive: str
    reviews: int
    unlabelled: int
    accuracy: float
    low: float
    high: float
    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int
    ece: float
    reliability: tuple[Reliability, ...]
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class Rejected:
    """The records with one code: how many, what it means, and some of them as (source, offset, message, excerpt)."""

    stage: str
    code: str
    meaning: str
    records: int
    examples: tuple[tuple[str, int | None, str, str | None], ...]


@dataclass(frozen=True)
class Identity:
    """A run's name and what it was made with; of this run, and of the reference."""

    output: str
    run_id: str
    model_name: str
    model_id: str
    finished: str
    reviews: int
    positive: float  # share of reviews with the label positive
    complete: bool


@dataclass(frozen=True)
class Findings:
    """A report, but for its looks.

    Args:
        warnings, notices: of the run, in words.
        texts_note: where the texts come from, or why there are none, in a sentence.
        drift: against the training data.
        drift_reference: against the reference run; empty without one.
        positive_words, negative_words: that add and that take away most, over the whole corpus, strongest first.
        changed_words: that changed most against the reference run, strongest first; empty without one.
        rejected: most frequent first.
    """

    run: Identity
    reference: Identity | None
    read: int
    scored: int
    rejected_count: int
    unreadable: int
    words: int
    truncated: int
    oov_share: float
    bias: float
    temperature: float
    threshold: float
    max_words: int
    top_k: int
    warnings: tuple[str, ...]
    notices: tuple[str, ...]
    not_a_success: str | None
    texts_note: str
    score: Histogram
    drift: tuple[Drift, ...]
    drift_reference: tuple[Drift, ...]
    positive_words: tuple[WordTotal, ...]
    negative_words: tuple[WordTotal, ...]
    changed_words: tuple[WordTotal, ...]
    reviews: tuple[Review, ...]
    quality: Quality | None
    rejected: tuple[Rejected, ...]
