"""What a report says about a run, as data: `build` computes it, `page` and `charts` show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from batch_scorer.report.caveats import NO_CAVEATS, Caveats
from batch_scorer.report.commands import NO_COMMANDS, Commands
from batch_scorer.report.group_findings import Overview
from batch_scorer.report.quality_findings import Quality

# The lists of reviews, by their name in `Review.lists`.
MOST_POSITIVE, MOST_NEGATIVE, LEAST_CERTAIN, MOST_SURPRISING = "positive", "negative", "uncertain", "surprising"
LISTS = (MOST_POSITIVE, MOST_NEGATIVE, LEAST_CERTAIN, MOST_SURPRISING)
MOVERS = "movers"  # examples of the groups that moved, where groups were asked for


@dataclass(frozen=True)
class Histogram:
    """Counts of reviews in bins.

    Args:
        edges: the lower edge of each bin; the last bin has no upper edge.
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
        psi: population stability index (Siddiqi 2006); by convention stable below 0.1, a major shift above 0.25.
        grade: `stable`, `moderate` or `major`; `too few` if so few may differ by chance.
        sentence: what that means, in plain English.
    """

    name: str
    psi: float
    grade: str
    sentence: str
    histogram: Histogram


@dataclass(frozen=True)
class WordTotal:
    """A word, summed over all reviews that list it.

    Args:
        contribution: the sum of its listed contributions to the logit.
        times, reviews: how often it is listed, and in how many reviews.
        reference: the same sum in the reference run, scaled to the number of reviews of this run; None without one.
        margin: half the width of the 95 % interval of their difference, the two runs being samples; None without one.
    """

    token: str
    contribution: float
    times: int
    reviews: int
    reference: float | None = None
    margin: float | None = None


@dataclass(frozen=True)
class ListedWord:
    """A word from the lists of a review's row; its rank in each list counts from 1, and is None if it is not in it."""

    token: str
    position: int
    char_start: int
    char_end: int
    attention: float
    contribution: float
    contributing_rank: int | None
    attended_rank: int | None


@dataclass(frozen=True)
class ListedPhrase:
    """A phrase from the list of a review's row: where it is, in characters and in words, and what it adds."""

    char_start: int
    char_end: int
    position: int
    n_words: int
    contribution: float


@dataclass(frozen=True)
class Measured:
    """What scoring a review again says of it.

    Args:
        words: every word that is read, in order: where it begins and ends, in characters, and what it adds.
        changes: by how much the probability of positive changes without the part that begins and ends there; None
            where no word would be left. Parts that were not deleted are missing.
        sentences: those with the largest contributions, largest first.
    """

    words: tuple[tuple[int, int, float], ...]
    changes: Mapping[tuple[int, int], float | None]
    sentences: tuple[ListedPhrase, ...]


@dataclass(frozen=True)
class Review:
    """A review to look at.

    Args:
        source: where it comes from; empty where there is nothing to say.
        lists: which of `LISTS` and `MOVERS` it is in.
        ranks: its rank in each of these, from 1.
        words: in the order of the text; `token` may be cut.
        rest: the contribution of everything but the contributing words.
        truth: what the label column says: `positive`, `negative`, or None.
        kept: names and values of the kept columns, as text; the review's text is not among them.
        text: None if no texts were requested, or none matches what was scored.
        is_cut: whether `text` is only the beginning of the review.
        unusual: how it is unlike the texts of training, in words; empty if it is not, or nobody asked.
        phrases: the strongest ones, best first; empty where the run lists none.
        measured: what scoring it again says; None if nobody asked, or if it could not be.
        not_measured: why it could not be, as a sentence.
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
    temperature: float
    words: tuple[ListedWord, ...]
    rest: float
    kept: tuple[tuple[str, str], ...]
    text: str | None = None
    is_cut: bool = False
    ranks: tuple[int, ...] = ()
    unusual: str = ""
    phrases: tuple[ListedPhrase, ...] = ()
    measured: Measured | None = None
    not_measured: str = ""


@dataclass(frozen=True)
class Rejected:
    """The rejected records with one error code; `examples` are tuples of source, offset, message and excerpt."""

    stage: str
    code: str
    meaning: str
    records: int
    examples: tuple[tuple[str, int | None, str, str | None], ...]


@dataclass(frozen=True)
class Identity:
    """What identifies a run, this one or the reference; `positive` is the share of reviews labelled so, if any are."""

    output: str
    run_id: str
    model_name: str
    model_id: str
    finished: str
    reviews: int
    positive: float | None
    complete: bool


@dataclass(frozen=True)
class Findings:
    """Everything that a report says.

    Args:
        used_words: how many words were read of all reviews; `truncated`: how many reviews were not read whole.
        oov_share: share of the words read that are not in the vocabulary; None if none was read.
        temperature: of every review; the median, if `temperature_by_review`.
        max_words, words_read: the most words of a review that are read at a time, and in all.
        warnings, notices: those of the run, and those of the report.
        texts_note: a sentence on where the texts come from, or why there are none.
        drift: against the training data.
        drift_reference: against the reference run; empty without one.
        positive_words, negative_words: those that add most and subtract most over all reviews, strongest first.
        changed_words: those that changed since the reference run by more than their margin, most evidence first; empty
            without one.
        rejected: most frequent code first.
        caveats: what the run says of how far to trust it.
        other_ids: those of the reviews that are not among `reviews`; None if they are too many.
        groups: None unless asked for; `title`: what the page is called, if it was given one.
        rescored: what came of scoring the reviews again, in a sentence or two; None unless asked for.
    """

    run: Identity
    reference: Identity | None
    read: int
    scored: int
    rejected_count: int
    unreadable: int
    used_words: int
    truncated: int
    oov_share: float | None
    bias: float
    temperature: float
    threshold: float
    temperature_by_review: bool
    max_words: int
    words_read: int
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
    caveats: Caveats = NO_CAVEATS
    commands: Commands = NO_COMMANDS
    other_ids: tuple[str, ...] | None = ()
    groups: Overview | None = None
    title: str | None = None
    rescored: str | None = None
