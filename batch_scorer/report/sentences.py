"""Findings -> the sentences that sum a report up, for the terminal and for anybody who wrote one from Python."""

from __future__ import annotations

from batch_scorer.escape import counted
from batch_scorer.models.profile import MAJOR, MODERATE
from batch_scorer.report.findings import Findings, WordTotal
from batch_scorer.report.group_findings import Overview

_WORDS = 3  # named in a sentence
_MOVERS = 5


def headlines(findings: Findings) -> list[str]:
    """The most important findings, in a few sentences."""
    run, quality = findings.run, findings.quality
    if not run.reviews:
        rejected, unreadable = findings.rejected_count, findings.unreadable
        files = "1 file or part of one" if unreadable == 1 else f"{unreadable:,} files or parts of files"
        damaged = f", and {files} could not be read" if unreadable else ""
        records = f"{counted(rejected, 'record')} {'was' if rejected == 1 else 'were'} rejected"
        return [f"No review was scored; {records}{damaged}."]
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
        left_out = f"; {counted(quality.neither, 'label')} left out" if quality.neither else ""
        sentences.append(
            f"{quality.accuracy:.1%} of the labels are right ({quality.low:.1%} to {quality.high:.1%}), judged by "
            f"{quality.column} on {quality.reviews:,}, where {quality.positive} means positive and {quality.negative} "
            f"means negative{left_out}."
        )
    if findings.groups and findings.groups.over is not None:
        sentences.append(_moves(findings.groups))
    sentences += [d.sentence for d in (*findings.drift, *findings.drift_reference) if d.grade in (MODERATE, MAJOR)]
    if findings.changed_words:
        sentences.append(f"Since the reference run, {_changes(findings.changed_words[:_WORDS])}.")
    return sentences


def _changes(words: tuple[WordTotal, ...]) -> str:
    changes = (f"{word.token} ({word.contribution - (word.reference or 0):+,.0f})" for word in words)
    return f"the words that changed most are {', '.join(changes)}"


def _moves(groups: Overview) -> str:
    """How many groups moved, and the first of them: from where to where, since when, and because of which words."""
    if not groups.moved:
        return how_many_moved(groups)
    named = []
    for mover in groups.movers[:_MOVERS]:
        words = ", ".join(word.text for word in mover.words[:_WORDS])
        named.append(
            f"{mover.group.value} {mover.before.share:.0%} to {mover.now.share:.0%} positive since {mover.since}"
            + (f" ({words})" if words else "")
        )
    more = groups.moved - len(named)
    return f"{how_many_moved(groups).rstrip('.')}: {'; '.join(named)}{f'; and {more:,} more' if more else ''}."


def how_many_moved(groups: Overview) -> str:
    """How many groups moved, or why that cannot be told, in a sentence."""
    if not groups.periods:
        return f"The column {groups.over} has no dates, so that nothing can be said about moves."
    if not groups.tested:
        return "No group has enough reviews in enough periods to tell whether it moved."
    return f"{f'{groups.moved:,}' if groups.moved else 'None'} of {counted(groups.tested, 'group')} moved."
