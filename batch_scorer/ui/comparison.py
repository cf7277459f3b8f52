"""A comparison of two runs -> the tables and bars that a terminal shows, or one JSON object.

Every string from the data passes through `safe` and is printed as `Text`, in which rich does not look for markup.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batch_scorer.compare.result import Changes, Comparison, MovedReview, MovedWord, Pairs, Shift
from batch_scorer.escape import safe
from batch_scorer.ui.group_changes import show_groups

_BAR = 40  # width in characters of a bar of 100 %
_MAX_BINS = 15  # above this, neighbouring bins are merged in pairs
_LEGEND = "B #, A |"
_STYLES = {"positive": "green", "negative": "red"}


def to_json(comparison: Comparison) -> dict[str, Any]:
    """The whole comparison as one JSON object."""
    return asdict(comparison)


def show(console: Console, comparison: Comparison, rows: int = 10) -> None:
    """Prints the summary, the settings that differ between the runs, then the figures, with up to `rows` groups."""
    for sentence in comparison.story:
        console.print(Text(safe(sentence), "bold" if sentence is comparison.story[0] else ""))
    console.print()
    _settings(console, comparison)
    for note in comparison.notes:
        console.print(Text.assemble(("note", "yellow"), " ", safe(note)))
    if comparison.pairs is not None and comparison.changes is not None:
        _figures(console, comparison, comparison.pairs, comparison.changes)
        _reviews(console, comparison.reviews)
    for shift in comparison.shifts:
        _shift(console, shift)
    if comparison.groups is not None:
        show_groups(console, comparison.groups, rows)
    _words(console, comparison)
    if comparison.tables:
        console.print()
    for path in comparison.tables:
        console.print(Text(f"  {safe(path)}"))


def _table(title: str | None, columns: Iterable[str], left: Iterable[str] = ()) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None)
    for name in columns:
        table.add_column(name, justify="left" if name in left else "right", no_wrap=name not in left, overflow="fold")
    return table


def _settings(console: Console, comparison: Comparison) -> None:
    a, b = comparison.a, comparison.b
    rows = [
        ("output", a.output, b.output),
        ("run", a.run_id, b.run_id),
        *((setting.name, setting.a, setting.b) for setting in comparison.settings),
        ("reviews", f"{a.reviews:,}", f"{b.reviews:,}"),
        ("rejected", f"{a.rejected:,}", f"{b.rejected:,}"),
        ("positive", f"{a.positive.share:.1%}", f"{b.positive.share:.1%}"),
        ("words per review", f"{a.length:,.0f}", f"{b.length:,.0f}"),
        ("unknown words", f"{a.unknown:.2%}", f"{b.unknown:.2%}"),
    ]
    table = _table(None, ("", "A", "B"), left=("", "A", "B"))
    for name, in_a, in_b in rows:
        table.add_row(
            Text(name, "dim"), Text(safe(in_a)), Text("the same", "dim") if in_a == in_b else Text(safe(in_b))
        )
    console.print(table)


def _figures(console: Console, comparison: Comparison, pairs: Pairs, changes: Changes) -> None:
    both, agreement, truth = pairs.both, comparison.agreement, comparison.truth
    rows = [
        ("in both", f"{both:,}", f"by {comparison.by}"),
        ("only in A", f"{pairs.only_a:,}", f"{pairs.rejected_by_b:,} of them rejected by B" if pairs.only_a else ""),
        ("only in B", f"{pairs.only_b:,}", f"{pairs.rejected_by_a:,} of them rejected by A" if pairs.only_b else ""),
        ("identical score", *_count_and_share(changes.identical, both)),
        ("label changed", *_count_and_share(changes.flipped, both)),
        ("  to positive", *_count_and_share(changes.to_positive, both)),
        ("  to negative", *_count_and_share(changes.to_negative, both)),
        ("probability changed", f"{changes.mean:.3f}", f"on average; median {changes.median:.3f}"),
        ("  by more than 0.1", *_count_and_share(changes.over_tenth, both)),
        ("  by more than 0.5", *_count_and_share(changes.over_half, both)),
    ]
    if changes.correlation is not None:
        rows.append(("correlation of logits", f"{changes.correlation:.3f}", ""))
    if agreement is not None:
        overlap = f"mean share of words listed by both, of the first {comparison.listed:,} of each, by position"
        rows.append(("agreement on words", f"{agreement.overlap:.3f}", overlap))
        rows.append(("  same top word", *_count_and_share(agreement.same_first, agreement.reviews)))
        weight = "mean absolute value of what these words together add to the log odds"
        rows.append(("  weight in A", f"{agreement.weight_a:.3f}", weight))
        rows.append(("  weight in B", f"{agreement.weight_b:.3f}", ""))
    if truth is not None and truth.only_a is not None and truth.only_b is not None:
        rows.append(("correct: A", *_count_and_share(truth.a.count, truth.a.reviews)))
        rows.append(("correct: B", *_count_and_share(truth.b.count, truth.b.reviews)))
        rows.append(("  only A", f"{truth.only_a:,}", ""))
        rows.append(("  only B", f"{truth.only_b:,}", ""))
    table = Table(show_header=False, box=None)
    table.add_column(style="dim")
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print()
    console.print(table)


def _count_and_share(count: int, reviews: int) -> tuple[str, str]:
    return f"{count:,}", f"{count / max(reviews, 1):.1%}"


def _reviews(console: Console, reviews: tuple[MovedReview, ...]) -> None:
    if not reviews:
        return
    console.print()
    console.print(Text("reviews that changed most, from A to B, with their words in log odds", "bold"))
    # Ids, of any length and script, come last, where they push nothing out of its column.
    console.print(Text("   P A    P B  logit A  logit B  truth     record_id"))
    for review in reviews:
        truth = review.truth or ""
        console.print(
            Text.assemble(
                *((f" {p:.3f} ", _STYLES.get(label, "")) for p, label in _scores(review)),
                f" {review.logit_a:>+7.2f}  {review.logit_b:>+7.2f}  ",
                (f"{truth:<8}", _STYLES.get(truth, "")),
                f"  {safe(review.record_id, 60, keep_end=True)}",
            )
        )
        if review.words:
            console.print(Text(f"        {_moves(review.words)}", "dim"))


def _scores(review: MovedReview) -> tuple[tuple[float, str], ...]:
    return (review.probability_a, review.label_a), (review.probability_b, review.label_b)


def _moves(words: tuple[MovedWord, ...]) -> str:
    """What the words add in A and in B; where a run does not list a word, that is unknown, not zero."""
    moves = [f"{safe(word.token, 20)} {_signed(word.a)} to {_signed(word.b)}" for word in words if _in_both(word)]
    for side, values in (("A", [(word, word.a) for word in words]), ("B", [(word, word.b) for word in words])):
        alone = [
            f"{safe(word.token, 20)} {_signed(value)}"
            for word, value in values
            if value is not None and not _in_both(word)
        ]
        if alone:
            moves.append(f"listed in {side} only: {', '.join(alone)}")
    return "; ".join(moves)


def _in_both(word: MovedWord) -> bool:
    return word.a is not None and word.b is not None


def _signed(value: float | None) -> str:
    text = f"{value or 0.0:+,.2f}"
    return "0.00" if text in ("-0.00", "+0.00") else text


def _words(console: Console, comparison: Comparison) -> None:
    if not comparison.words:
        if comparison.listed and (comparison.changes is None or not comparison.changes.same_words):
            console.print()
            console.print(Text("no word changed by more than its margin of error"))
        return
    table = _table(
        f"words that changed most: log odds per 1,000 reviews, from the first {comparison.listed:,} words of each",
        ("word", "times A", "times B", "A", "B", "change", "+- (95%)"),
        left=("word",),
    )
    for word in comparison.words:
        sums = [_signed(value) for value in (word.log_odds_a, word.log_odds_b, word.change)]
        margin = "" if word.margin is None else f"{word.margin:,.2f}"
        table.add_row(Text(safe(word.token, 30)), f"{word.times_a:,}", f"{word.times_b:,}", *sums, margin)
    console.print()
    console.print(table)


def _shift(console: Console, shift: Shift) -> None:
    title = f"{shift.name}: {shift.grade}, population stability index {shift.psi:.3f}"
    table = _table(title, ("from", "A", "B", _LEGEND), left=(_LEGEND,))
    step = 2 if len(shift.edges) > _MAX_BINS else 1
    total_a, total_b = max(sum(shift.a), 1), max(sum(shift.b), 1)
    for at in range(0, len(shift.edges), step):
        a, b = sum(shift.a[at : at + step]), sum(shift.b[at : at + step])
        if a or b:
            share_a, share_b = a / total_a, b / total_b
            table.add_row(f"{shift.edges[at]:g}", f"{share_a:.1%}", f"{share_b:.1%}", Text(_bar(share_a, share_b)))
    console.print()
    console.print(table)


def _bar(a: float, b: float) -> str:
    """B's share as a bar, with a mark where A's would end."""
    bar = list("#" * round(b * _BAR)) + [" "] * _BAR
    bar[round(a * _BAR)] = "|"
    return "".join(bar).rstrip()
