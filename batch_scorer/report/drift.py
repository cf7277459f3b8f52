"""How the reviews of a run compare with those of another, or of the training data: three measures, each in a sentence.

All of it follows from the two profiles, which stand in the manifest.
"""

from __future__ import annotations

from batch_scorer.models.profile import LENGTH_EDGES, LENGTH_SHIFT, SHARE_EDGES, SHIFT_REVIEWS, Profile, stability_index
from batch_scorer.report.findings import Drift, Histogram

STABLE, MODERATE, MAJOR, TOO_FEW = "stable", "moderate", "major", "too few"
MODERATE_SHIFT, MAJOR_SHIFT = 0.1, LENGTH_SHIFT
_SAME, _MUCH = 0.1, 0.33  # by which part of the larger one means differ, in words
_WORDING = {
    "score": ("Scores", "high", "higher", "lower"),
    "length": ("Reviews", "long", "longer", "shorter"),
    "unknown words": ("Unknown words", "frequent", "more frequent", "less frequent"),
}


def measure_drift(run: Profile, other: Profile, there: str) -> tuple[Drift, ...]:
    """Score, length and unknown words of a run beside those of another profile.

    Args:
        there: where the other one comes from, in words: `in training`.
    """
    few = min(run.reviews, other.reviews)
    place = there if few < SHIFT_REVIEWS else "there"  # else the sentence has said where
    above, usual = (_share(sum(p.probability[len(SHARE_EDGES) // 2 :]), p.reviews) for p in (run, other))
    sure, before = (_share(p.probability[0] + p.probability[-1], p.reviews) for p in (run, other))
    score = (
        f"{above:.0%} of the reviews have a probability of at least 0.5, {usual:.0%} {place}; "
        f"{sure:.0%} lie within 0.05 of 0 or 1, {before:.0%} there"
    )
    figures = {"score": (_change(above, usual), score)}
    words, usual = (_share(p.words, p.reviews) for p in (run, other))
    figures["length"] = (_change(words, usual), f"{words:,.0f} words on average, {usual:,.0f} {place}")
    unknown, usual = (_share(p.oov_words, p.used_words) for p in (run, other))
    share = f"{unknown:.1%} of the words read are unknown, {usual:.1%} {place}"
    figures["unknown words"] = (_change(unknown, usual), share)

    def drift(name: str, edges: tuple[float, ...], found: tuple[int, ...], expected: tuple[int, ...]) -> Drift:
        psi = stability_index(found, expected)
        grade = TOO_FEW if few < SHIFT_REVIEWS else grade_of(psi)
        sentence = _sentence(name, grade, *figures[name], there)
        if grade == TOO_FEW:
            sentence += f" {few:,} {'review is' if few == 1 else 'reviews are'} too few to tell a shift from chance."
        return Drift(name, psi, grade, sentence, Histogram(edges, found, expected))

    return (
        drift("score", SHARE_EDGES, run.probability, other.probability),
        drift("length", LENGTH_EDGES, run.length, other.length),
        drift("unknown words", SHARE_EDGES, run.oov_rate, other.oov_rate),
    )


def grade_of(psi: float) -> str:
    """A population stability index in a word, by custom (Siddiqi 2006)."""
    return STABLE if psi < MODERATE_SHIFT else MODERATE if psi <= MAJOR_SHIFT else MAJOR


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _change(found: float, usual: float) -> float:
    """By which part of the larger one they differ: -1 to 1."""
    return (found - usual) / max(found, usual) if found != usual else 0.0


def _sentence(name: str, grade: str, change: float, figures: str, there: str) -> str:
    """What a measure found, in plain English, with its figures.

    Args:
        change: of the mean; the reviews may be spread otherwise where it stays.
    """
    subject, alike, more, less = _WORDING[name]
    if grade == TOO_FEW:
        return f"{figures}."
    if grade == STABLE:
        return f"{subject} are about as {alike} as {there}: {figures}."
    if abs(change) < _SAME:
        very = "very " if grade == MAJOR else ""
        return f"{subject} are on average about as {alike} as {there}, but spread {very}differently: {figures}."
    much = "much" if abs(change) > _MUCH else "somewhat"
    return f"{subject} are {much} {more if change > 0 else less} than {there}: {figures}."
