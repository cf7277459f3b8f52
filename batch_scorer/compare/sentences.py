"""A comparison's figures -> the sentences printed above them: a summary (`story`), and caveats (`notes`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from batch_scorer.analysis.statistics import Proportion, difference
from batch_scorer.compare.group_result import GroupChanges
from batch_scorer.compare.pair_tables import MIN_SHARED
from batch_scorer.compare.result import DISTRIBUTION, Changes, Comparison, Pairs, Truth

_MOVED, _WORDS = 5, 3  # groups that are named in a sentence, and words of each


def with_sentences(comparison: Comparison, requested: str, shared: int | None) -> Comparison:
    """The comparison with its `story` and `notes` filled in.

    Args:
        requested: one of `WAYS`: how the runs were to be compared. `comparison.by` is by distribution instead if they
            share too few reviews.
        shared: ids in both runs; None if they were not counted.
    """
    if comparison.pairs is None or comparison.changes is None:
        story = (_why_by_distribution(requested, shared), *_by_distribution(comparison))
    else:
        story = tuple(_by_review(comparison, comparison.pairs, comparison.changes))
    if comparison.groups is not None:
        story += (_groups(comparison.groups),)
    return replace(comparison, story=story, notes=tuple(_notes(comparison, requested)))


def _groups(groups: GroupChanges) -> str:
    """How many groups moved, and the first of them, with the words that set them apart."""
    if not groups.tested:
        return "No group has enough reviews to tell whether it moved."
    of = f"{groups.tested:,} group{'' if groups.tested == 1 else 's'}"
    if not groups.moved:
        return f"None of {of} moved by more than chance and the other groups explain."
    named = []
    for change in groups.groups[: min(groups.moved, _MOVED)]:
        words = ", ".join(word.text for word in change.words[:_WORDS])
        named.append(f"{change.value} {change.a.share:.0%} to {change.b.share:.0%}{f' ({words})' if words else ''}")
    more = groups.moved - len(named)
    return f"{groups.moved:,} of {of} moved: {'; '.join(named)}{f'; and {more:,} more' if more else ''}."


def _with_percentage(count: int, of: int) -> str:
    return f"{count:,} ({count / max(of, 1):.1%})"


def _with_interval(share: Proportion) -> str:
    return f"{share.share:.1%} ({share.low:.1%} to {share.high:.1%})"


def _points(a: Proportion, b: Proportion) -> str:
    low, high = difference(a, b)
    return f"{100 * (b.share - a.share):+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"


def _reviews(count: int) -> str:
    return f"{count:,} review" if count == 1 else f"{count:,} reviews"


def _p_value(p: float) -> str:
    if p < 1e-300:
        return "p < 1e-300"
    return f"p = {p:.3f}" if p >= 0.001 else f"p = {p:.1e}"


def _by_review(comparison: Comparison, pairs: Pairs, changes: Changes) -> Iterator[str]:
    both = pairs.both
    if changes.identical == both:
        yield f"The scores of the {_reviews(both)} in both are identical to the bit: probability, logit and label."
        if changes.same_words:
            yield "So are the listed words and their contributions."
        elif comparison.listed:
            yield "The listed words or their contributions are not."
    else:
        yield from _changed_scores(comparison, both, changes)
    if pairs.only_a or pairs.only_b:
        rejected = [
            f"{side} rejected {count:,} that the other scored"
            for side, count in (("A", pairs.rejected_by_a), ("B", pairs.rejected_by_b))
            if count
        ]
        yield "; ".join([f"{_reviews(pairs.only_a)} only in A, {pairs.only_b:,} only in B", *rejected]) + "."
    if comparison.truth is not None:
        yield _accuracy(comparison.truth)


def _changed_scores(comparison: Comparison, both: int, changes: Changes) -> Iterator[str]:
    directions = (
        f": {changes.to_positive:,} to positive, {changes.to_negative:,} to negative" if changes.flipped else ""
    )
    whose = "its label" if changes.flipped == 1 else "their labels"
    yield f"Of {_reviews(both)} in both, {_with_percentage(changes.flipped, both)} changed {whose}{directions}."
    yield (
        f"The probability changed by {changes.mean:.3f} on average (median {changes.median:.3f}): by more than 0.1 in "
        f"{_with_percentage(changes.over_tenth, both)}, by more than 0.5 in "
        f"{_with_percentage(changes.over_half, both)}."
    )
    if comparison.agreement is not None:
        agreement = comparison.agreement
        yield (
            f"Of the first {comparison.listed:,} words that each run lists for a review, {agreement.overlap:.1%} on "
            f"average are in both lists. Together they move the log odds of a review by {agreement.weight_a:.2f} in A "
            f"and by {agreement.weight_b:.2f} in B."
        )


def _accuracy(truth: Truth) -> str:
    if not truth.a.reviews or not truth.b.reviews:
        return f"None of the compared reviews has a label in {truth.column}."
    accuracies = (
        f"Judged by {truth.column} (positive: {truth.positive}, negative: {truth.negative}), A is right on "
        f"{_with_interval(truth.a)} and B on {_with_interval(truth.b)} of {_reviews(truth.a.reviews)}"
    )
    if truth.only_a is None or truth.only_b is None or truth.p is None:
        return f"{accuracies} and {truth.b.reviews:,}: {_points(truth.a, truth.b)}."
    if not truth.only_a + truth.only_b:
        return f"{accuracies}: the same ones."
    return (
        f"{accuracies}: {truth.only_a:,} only A gets right, {truth.only_b:,} only B. If the two were equally good, a "
        f"split this uneven would have {_p_value(truth.p)} (McNemar's exact test)."
    )


def _why_by_distribution(requested: str, shared: int | None) -> str:
    if requested == DISTRIBUTION:
        return "Compared by distribution, as requested: reviews are not matched up."
    if not shared:
        few = "No review is"
    else:
        few = f"Only {_reviews(shared)} (under {MIN_SHARED:.0%}) {'is' if shared == 1 else 'are'}"
    other = "--by source,offset" if requested == "record_id" else "--by record_id"
    return (
        f"{few} in both by {requested}, so the runs are compared by distribution. If they do share reviews under other "
        f"ids, try {other}."
    )


def _by_distribution(comparison: Comparison) -> Iterator[str]:
    a, b = comparison.a, comparison.b
    yield (
        f"Positive: {_with_interval(a.positive)} of {_reviews(a.reviews)} in A and {_with_interval(b.positive)} of "
        f"{b.reviews:,} in B: {_points(a.positive, b.positive)}."
    )
    grades = ", ".join(f"{shift.name} {shift.grade} ({shift.psi:.3f})" for shift in comparison.shifts)
    yield f"By the population stability index: {grades}."
    if comparison.truth is not None:
        yield _accuracy(comparison.truth)


def _notes(comparison: Comparison, requested: str) -> Iterator[str]:
    a, b = comparison.a, comparison.b
    differing = {setting.name: setting for setting in comparison.settings if setting.a != setting.b}
    yield from (
        f"{name} is not a success: {side.not_a_success}." for name, side in (("A", a), ("B", b)) if side.not_a_success
    )
    if a.model_id != b.model_id:
        yield (
            "The models differ, and with them the scales of logits and contributions: compare probabilities first. "
            "Words are compared in log odds, which are contributions divided by the temperature of the review."
        )
    if "threshold" in differing and comparison.changes is not None:
        yield (
            f"The thresholds differ: under the threshold of A, {comparison.changes.by_threshold:,} of the "
            f"{comparison.changes.flipped:,} changed labels would not have changed."
        )
    elif "threshold" in differing:
        yield "The thresholds differ, which alone changes the shares of positive reviews: compare probabilities."
    if not comparison.listed:
        yield "One of the runs lists no words (--top-k 0), so words are not compared."
    elif "top_k" in differing:
        yield (
            f"A lists {differing['top_k'].a} words per review and B {differing['top_k'].b}: sums and agreement use the "
            f"first {comparison.listed:,} of each."
        )
    if "max_windows" in differing or "max_words" in differing:
        yield "The models read reviews to different lengths, which alone changes the scores of long ones."
    if "words" in differing:
        yield "One of the models takes typographic apostrophes for parts of words, so that some words differ."
    if "precision" in differing:
        yield "The precisions differ, which alone may explain small changes in probability."
    yield from _notes_on_reviews(comparison, requested)
    if comparison.words:
        sample = "A and B are treated as samples" if comparison.pairs is None else "The reviews in both are a sample"
        yield (
            f"{sample}, so the change of each word has a margin of error. Words inside theirs are not listed; among "
            "many words, some exceed theirs by chance."
        )


def _notes_on_reviews(comparison: Comparison, requested: str) -> Iterator[str]:
    pairs, truth = comparison.pairs, comparison.truth
    if pairs is not None and pairs.repeated:
        ids = "1 id is" if pairs.repeated == 1 else f"{pairs.repeated:,} ids are"
        yield (
            f"{ids} repeated, so the reviews cannot be matched: {pairs.left_out_a:,} in A and {pairs.left_out_b:,} in "
            "B are left out."
        )
    if pairs is not None and pairs.other_text:
        yield (
            f"In {_with_percentage(pairs.other_text, pairs.both)} of the reviews in both, the text differs between A "
            "and B: "
            + (
                f"the same {requested} seems to stand for different reviews, so you may want --by distribution."
                if 2 * pairs.other_text > pairs.both
                else "changes there may come from the text."
            )
        )
    if truth is not None and truth.contradicted:
        yield f"{_have(truth.contradicted)} different labels in A and B, by {truth.column}: left out of the accuracy."
    if truth is not None and truth.unlabelled:
        yield (
            f"{_have(truth.unlabelled)} no label in {truth.column} that means positive or negative: left out of the "
            "accuracy."
        )
    if truth is not None:
        yield from truth.remarks


def _have(reviews: int) -> str:
    return f"{_reviews(reviews)} {'has' if reviews == 1 else 'have'}"
