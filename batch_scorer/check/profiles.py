"""The manifests of runs -> the measures that need no look at their rows: counts, and profiles of texts and scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist, median
from typing import Any

from batch_scorer.check.result import Value
from batch_scorer.escape import counted
from batch_scorer.models.profile import (
    CHANCE,
    STABLE,
    TOO_FEW,
    Profile,
    grade_of,
    stability_index,
)
from batch_scorer.models.scripts import LATIN


def is_chance(count: int, reviews: int, count_before: int, reviews_before: int, pairs: int = 1) -> bool:
    """Whether two shares may well differ as much by chance: the two-proportion z-test, at one in a thousand.

    Args:
        pairs: how many such pairs are looked at; that any of them differs by chance is then as rare (Bonferroni).

    Example:
        >>> is_chance(60, 100, 50, 100), is_chance(600, 1000, 500, 1000)
        (True, False)
    """
    z = NormalDist().inv_cdf(1 - CHANCE / (2 * pairs))
    pooled = (count + count_before) / max(reviews + reviews_before, 1)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / max(reviews, 1) + 1 / max(reviews_before, 1)))
    return abs(count / max(reviews, 1) - count_before / max(reviews_before, 1)) <= z * spread


def of_counts(now: Mapping[str, int], before: Sequence[Mapping[str, int]]) -> Iterator[Value]:
    """Measures of what a run read.

    Args:
        now: `counts` of its manifest.
        before: those of the runs of the reference, if there is one.
    """
    read, empty = now["read"], now.get("empty", 0)
    faults = now["rejected"] - empty
    share = faults / max(read, 1)
    yield Value("rejected", share, False, f"{faults:,} of {counted(read, 'record')} were rejected ({share:.1%})")
    damaged = now["unreadable"]
    what = "1 file or range" if damaged == 1 else f"{damaged:,} files or ranges"
    yield Value("unreadable", damaged, False, f"{what} could not be read")
    if not before:
        return
    read_before, empty_before = (sum(one.get(name, 0) for one in before) for name in ("read", "empty"))
    usual = empty_before / max(read_before, 1)
    yield Value(
        "empty", empty / max(read, 1) - usual, is_chance(empty, read, empty_before, read_before),
        f"{empty / max(read, 1):.1%} of the records have no words, {usual:.1%} before",
    )  # fmt: skip
    # A night without anything new is no shortage: quiet nights are not compared, on either side.
    if read and (reads := [one["read"] for one in before if one["read"]]):
        usual_read = median(reads)
        factor = max(read, usual_read) / min(read, usual_read)
        runs = "the run" if len(reads) == 1 else f"the median of {len(reads)} runs"
        yield Value("volume", factor, False, f"{counted(read, 'record')}, {usual_read:,.0f} in {runs} before")


def of_profiles(now: Profile, before: Profile, there: str) -> Iterator[Value]:
    """Measures of texts and scores.

    Args:
        before: of the reference.
        there: where it comes from, in words: `before`, or `in training`.
    """
    histograms = {"score": (now.probability, before.probability), "length": (now.length, before.length)}
    means = {
        "score": [f"{sum(p.probability[len(p.probability) // 2 :]) / p.reviews:.0%}" for p in (now, before)],
        "length": [f"{p.words / p.reviews:,.0f}" for p in (now, before)],
    }
    said = {"score": "of the reviews have a probability of at least 0.5", "length": "words on average"}
    for name, (counts, usual) in histograms.items():
        index, few = stability_index(counts, usual), grade_of(counts, usual) in (TOO_FEW, STABLE)
        here, then = means[name]
        yield Value(name, index, few, f"stability index {index:.2f}; {here} {said[name]}, {then} {there}")
    for name, part, whole, what in (
        ("unknown_words", "oov_words", "used_words", "of the words read are unknown"),
        ("truncated", "truncated", "reviews", "of the reviews are too long to be read whole"),
    ):
        count, of, count_before, of_before = (getattr(p, field) for p in (now, before) for field in (part, whole))
        share, usual_share = count / max(of, 1), count_before / max(of_before, 1)
        # Words of one review are alike: as many reviews as there are, not as many words, say what chance does.
        scale, scale_before = now.reviews / max(of, 1), before.reviews / max(of_before, 1)
        chance = is_chance(round(count * scale), now.reviews, round(count_before * scale_before), before.reviews)
        yield Value(name, share - usual_share, chance, f"{share:.1%} {what}, {usual_share:.1%} {there}")
    shares, usual_shares = now.script_shares(), before.script_shares()
    rises = {name: shares[name] - usual_shares.get(name, 0.0) for name in shares}
    name = max(rises, key=lambda name: (rises[name], name), default=LATIN)
    share, usual_share = shares.get(name, 0.0), usual_shares.get(name, 0.0)
    sentence = f"{share:.1%} of the words are in {name} script, {usual_share:.1%} {there}"
    yield Value("script", max(rises.get(name, 0.0), 0.0), False, sentence)


def pooled(profiles: Sequence[Mapping[str, Any]]) -> Profile:
    """The profile of several runs together."""
    first, *others = (Profile.from_json(dict(profile)) for profile in profiles)
    return sum(others, first)
