"""A comparison's figures -> the plain sentences that stand above them: what happened, and what to know when reading."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from batch_scorer.analysis.statistics import Proportion, difference
from batch_scorer.compare.pair_tables import FEW
from batch_scorer.compare.result import DISTRIBUTION, Changes, Comparison, Pairs, Truth


def told(comparison: Comparison, asked: str, shared: int | None) -> Comparison:
    """The comparison with its story and its notes.

    Args:
        asked: how it was to be made; by distribution, if too few reviews are shared for that.
        shared: ids in both; None if nobody looked.
    """
    if comparison.pairs is None or comparison.changes is None:
        story = (_reason(comparison, asked, shared), *_distributed(comparison))
    else:
        story = tuple(_paired(comparison, comparison.pairs, comparison.changes))
    return replace(comparison, story=story, notes=tuple(_notes(comparison, asked)))


def _share(count: int, of: int) -> str:
    return f"{count:,} ({count / max(of, 1):.1%})"


def _with_interval(found: Proportion) -> str:
    return f"{found.share:.1%} ({found.low:.1%} to {found.high:.1%})"


def _points(a: Proportion, b: Proportion) -> str:
    low, high = difference(a, b)
    return f"{100 * (b.share - a.share):+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"


def _reviews(count: int) -> str:
    return f"{count:,} review" if count == 1 else f"{count:,} reviews"


def _p(value: float) -> str:
    if value < 1e-300:
        return "p < 1e-300"
    return f"p = {value:.3f}" if value >= 0.001 else f"p = {value:.1e}"


def _paired(comparison: Comparison, pairs: Pairs, changes: Changes) -> Iterator[str]:
    both = pairs.both
    if changes.identical == both:
        yield (
            f"The scores are identical: the {_reviews(both)} in both have the same probability, logit and label, to "
            "the bit."
        )
        if changes.same_words:
            yield "So are the listed words and what they contribute."
        elif comparison.listed:
            yield "The listed words, or what they contribute, are not."
    else:
        turned = (
            f": {changes.to_positive:,} to positive, {changes.to_negative:,} to negative" if changes.flipped else ""
        )
        yield f"Of {_reviews(both)} in both, {_share(changes.flipped, both)} changed their label{turned}."
        yield (
            f"The probability changed by {changes.mean:.3f} on average (median {changes.median:.3f}): by more than 0.1 "
            f"in {_share(changes.over_tenth, both)}, by more than 0.5 in {_share(changes.over_half, both)}."
        )
        if comparison.agreement is not None:
            found = comparison.agreement
            yield (
                f"Of the first {comparison.listed:,} words of each, both list {found.overlap:.1%}, on average. "
                f"Taken together, those of A move the log odds of a review by {found.weight_a:.2f}, those of B by "
                f"{found.weight_b:.2f}."
            )
    if pairs.only_a or pairs.only_b:
        rejected = [
            f"{side} rejected {count:,} that the other scored"
            for side, count in (("A", pairs.rejected_by_a), ("B", pairs.rejected_by_b))
            if count
        ]
        yield "; ".join([f"{_reviews(pairs.only_a)} only in A, {pairs.only_b:,} only in B", *rejected]) + "."
    if comparison.truth is not None:
        yield _judged(comparison.truth)


def _judged(truth: Truth) -> str:
    if not truth.a.reviews or not truth.b.reviews:
        return f"None of the reviews compared has a {truth.column}."
    said = (
        f"By {truth.column}, A is right in {_with_interval(truth.a)} and B in {_with_interval(truth.b)} of "
        f"{_reviews(truth.a.reviews)}"
    )
    if truth.only_a is None or truth.only_b is None or truth.p is None:
        return f"{said} and {truth.b.reviews:,}: {_points(truth.a, truth.b)}."
    if not truth.only_a + truth.only_b:
        return f"{said}: the same reviews."
    return (
        f"{said}: {truth.only_a:,} only A gets right, {truth.only_b:,} only B. Were both equally good, so uneven a "
        f"split would have {_p(truth.p)} (McNemar's exact test)."
    )


def _reason(comparison: Comparison, asked: str, shared: int | None) -> str:
    if asked == DISTRIBUTION:
        return "Compared by distribution, as asked: no review with itself."
    few = f"Only {_reviews(shared)} (under {FEW:.0%}) {'is' if shared == 1 else 'are'}" if shared else "No review is"
    other = "--by source,offset" if asked == "record_id" else "--by record_id"
    return (
        f"{few} in both by {asked}, so the runs are compared by distribution. If they do share reviews, under other "
        f"names, try {other}."
    )


def _distributed(comparison: Comparison) -> Iterator[str]:
    a, b = comparison.a, comparison.b
    yield (
        f"Positive are {_with_interval(a.positive)} of {_reviews(a.reviews)} in A and {_with_interval(b.positive)} of "
        f"{b.reviews:,} in B: {_points(a.positive, b.positive)}."
    )
    grades = ", ".join(f"{shift.name} {shift.grade} ({shift.psi:.3f})" for shift in comparison.shifts)
    yield f"By the population stability index: {grades}."
    if comparison.truth is not None:
        yield _judged(comparison.truth)


def _notes(comparison: Comparison, asked: str) -> Iterator[str]:
    a, b = comparison.a, comparison.b
    differing = {setting.name: setting for setting in comparison.settings if setting.a != setting.b}
    yield from (
        f"{name} is not a success: {side.not_a_success}." for name, side in (("A", a), ("B", b)) if side.not_a_success
    )
    if a.model_id != b.model_id:
        yield (
            "The models differ, and so do the scales of their logits and contributions: go by the probability first. "
            "Words are compared in log odds, which are contributions divided by the temperature of the run."
        )
    if "threshold" in differing and comparison.changes is not None:
        yield (
            f"The thresholds differ: {comparison.changes.by_threshold:,} of the "
            f"{comparison.changes.flipped:,} labels that changed would not have, by the threshold of A."
        )
    elif "threshold" in differing:
        yield "The thresholds differ, and the shares of positive reviews with them: go by the probability."
    if not comparison.listed:
        yield "A run lists no words (--top-k 0), so nothing is said about words."
    elif "top_k" in differing:
        yield (
            f"A lists {differing['top_k'].a} words a review and B {differing['top_k'].b}: sums and agreement are of "
            f"the first {comparison.listed:,} of each."
        )
    if "precision" in differing:
        yield "The precisions differ: small changes of the probability may be of that alone."
    if comparison.pairs is None and comparison.words:
        yield (
            "A and B are taken for samples: the changes of words have a margin, which of many words some exceed by "
            "chance alone."
        )
    yield from _notes_on_reviews(comparison, asked)


def _notes_on_reviews(comparison: Comparison, asked: str) -> Iterator[str]:
    pairs, truth = comparison.pairs, comparison.truth
    if pairs is not None and pairs.repeated:
        ids = "1 id is" if pairs.repeated == 1 else f"{pairs.repeated:,} ids are"
        yield (
            f"{ids} repeated, so that it cannot be told which review is which: {pairs.left_out_a:,} reviews of A and "
            f"{pairs.left_out_b:,} of B are left out."
        )
    if pairs is not None and pairs.other_text:
        yield (
            f"The text of {_share(pairs.other_text, pairs.both)} of the reviews in both is not the same in A and B: "
            + (
                f"the same {asked} seems to stand for different reviews; --by distribution may be what you want."
                if 2 * pairs.other_text > pairs.both
                else "a change there may come from that."
            )
        )
    if truth is not None and truth.contradicted:
        yield f"{_reviews(truth.contradicted)} with another {truth.column} in A than in B: left out of the accuracy."
    if truth is not None and truth.unlabelled:
        yield f"{_reviews(truth.unlabelled)} without a {truth.column}: left out of the accuracy."
