"""The profiles of a run and of what it is compared with -> their drift: three measures, each with a sentence.

It is compared with the training data or with another run; manifests hold the profiles of all of them.
"""

from __future__ import annotations

from batch_scorer.escape import counted
from batch_scorer.models.profile import (
    LENGTH_EDGES,
    MAJOR,
    SHARE_EDGES,
    STABLE,
    TOO_FEW,
    Profile,
    grade_of,
    stability_index,
)
from batch_scorer.report.findings import Drift, Histogram

_SAME, _MUCH = 0.1, 0.33  # difference of two means, relative to the larger: below, "about as"; above, "much"
_WORDING = {
    "score": ("Scores", "high", "higher", "lower"),
    "length": ("Reviews", "long", "longer", "shorter"),
    "unknown words": ("Unknown words", "frequent", "more frequent", "less frequent"),
}


def measure_drift(run: Profile, other: Profile, there: str) -> tuple[Drift, ...]:
    """Compares the scores, lengths and unknown words of a run with those of another profile.

    Args:
        there: where the other profile comes from, in words: `in training`.
    """
    few = min(run.reviews, other.reviews)
    above, usual = (_share(sum(p.probability[len(SHARE_EDGES) // 2 :]), p.reviews) for p in (run, other))
    sure, before = (_share(p.probability[0] + p.probability[-1], p.reviews) for p in (run, other))
    score = (
        f"{above:.0%} of the reviews have a probability of at least 0.5, {usual:.0%} {{place}}; "
        f"{sure:.0%} are within 0.05 of 0 or 1, {before:.0%} there"
    )
    figures = {"score": (_change(above, usual), score)}
    words, usual = (_share(p.words, p.reviews) for p in (run, other))
    figures["length"] = (_change(words, usual), f"{words:,.0f} words on average, {usual:,.0f} {{place}}")
    unknown, usual = (_share(p.oov_words, p.used_words) for p in (run, other))
    share = f"{unknown:.1%} of the words read are unknown, {usual:.1%} {{place}}"
    figures["unknown words"] = (_change(unknown, usual), share)

    def drift(name: str, edges: tuple[float, ...], counts: tuple[int, ...], expected: tuple[int, ...]) -> Drift:
        grade = grade_of(counts, expected)
        # The start of a sentence already says where, except in that of a few reviews.
        change, said = figures[name][0], figures[name][1].format(place=there if grade == TOO_FEW else "there")
        sentence = _sentence(name, grade, change, said, there)
        if grade == TOO_FEW:
            sentence += f" {counted(few, 'review')} {'is' if few == 1 else 'are'} too few to tell a shift from chance."
        return Drift(name, stability_index(counts, expected), grade, sentence, Histogram(edges, counts, expected))

    return (
        drift("score", SHARE_EDGES, run.probability, other.probability),
        drift("length", LENGTH_EDGES, run.length, other.length),
        drift("unknown words", SHARE_EDGES, run.oov_rate, other.oov_rate),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _change(value: float, usual: float) -> float:
    """The difference relative to the larger of the two: -1 to 1."""
    return (value - usual) / max(value, usual) if value != usual else 0.0


def _sentence(name: str, grade: str, change: float, figures: str, there: str) -> str:
    """What a measure says, in plain English, with its figures.

    Args:
        change: of the mean; even where that stays the same, the distribution may have changed.
    """
    subject, alike, more, less = _WORDING[name]
    if grade == TOO_FEW:
        return f"{figures}."
    if grade == STABLE:
        return f"{subject} are about as {alike} as {there}: {figures}."
    if abs(change) < _SAME:
        very = "very " if grade == MAJOR else ""
        return f"{subject} are about as {alike} as {there} on average, but {very}differently distributed: {figures}."
    much = "much" if abs(change) > _MUCH else "somewhat"
    return f"{subject} are {much} {more if change > 0 else less} than {there}: {figures}."
