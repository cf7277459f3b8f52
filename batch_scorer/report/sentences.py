"""Findings -> the sentences that sum a report up, for the terminal and for anybody who wrote one from Python."""

from __future__ import annotations

from batch_scorer.escape import counted
from batch_scorer.models.profile import MAJOR, MODERATE
from batch_scorer.report.findings import Findings, WordTotal

_WORDS = 3  # named in a sentence


def headlines(findings: Findings) -> list[str]:
    """The most important findings, in a few sentences."""
    run, quality = findings.run, findings.quality
    if not run.reviews:
        rejected = findings.rejected_count
        return [f"No review was scored; {counted(rejected, 'record')} {'was' if rejected == 1 else 'were'} rejected."]
    facts = [f"{counted(run.reviews, 'review')}, {run.positive:.0%} positive"]
    for effect, words in (("add most", findings.positive_words), ("subtract most", findings.negative_words)):
        if words:
            facts.append(f"{', '.join(word.token for word in words[:_WORDS])} {effect}")
    sentences = [f"{'; '.join(facts)}."]
    if (decided := findings.caveats.decisions) is not None:
        shares = f"{decided.share:.0%} of the reviews are decided, {decided.undecided:,} are not"
        right = decided.labelled.accuracy
        sentences.append(f"{shares}." if right is None else f"{shares}; {right:.1%} of the decided labels are right.")
    if quality:
        sentences.append(
            f"{quality.accuracy:.1%} of the labels are right ({quality.low:.1%} to {quality.high:.1%}), judged by "
            f"{quality.column} on {quality.reviews:,}."
        )
    sentences += [d.sentence for d in (*findings.drift, *findings.drift_reference) if d.grade in (MODERATE, MAJOR)]
    if findings.changed_words:
        sentences.append(f"Since the reference run, {_changes(findings.changed_words[:_WORDS])}.")
    return sentences


def _changes(words: tuple[WordTotal, ...]) -> str:
    changes = (f"{word.token} ({word.contribution - (word.reference or 0):+,.0f})" for word in words)
    return f"the words that changed most are {', '.join(changes)}"
