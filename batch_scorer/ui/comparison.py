"""A comparison -> what a person sees of it in the terminal, or one JSON object.

All that comes from data passes through `safe`, and is printed as `Text`, in which rich looks for no markup.
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

_BAR = 40  # characters for all reviews
_BINS = 15  # more are shown in pairs
_LEGEND = "# B, | A"
_STYLES = {"positive": "green", "negative": "red"}


def to_json(comparison: Comparison) -> dict[str, Any]:
    """The whole of it as one JSON object."""
    return asdict(comparison)


def show(console: Console, comparison: Comparison) -> None:
    """Prints it: the story, what differs between the runs, then the figures."""
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
        ("words a review", f"{a.length:,.0f}", f"{b.length:,.0f}"),
        ("unknown words", f"{a.unknown:.2%}", f"{b.unknown:.2%}"),
    ]
    table = _table(None, ("", "A", "B"), left=("", "A", "B"))
    for name, one, other in rows:
        same = one == other
        table.add_row(Text(name, "dim"), Text(safe(one)), Text("the same", "dim") if same else Text(safe(other)))
    console.print(table)


def _figures(console: Console, comparison: Comparison, pairs: Pairs, changes: Changes) -> None:
    both, agreement, truth = pairs.both, comparison.agreement, comparison.truth
    rows = [
        ("in both", f"{both:,}", f"by {comparison.by}"),
        ("only in A", f"{pairs.only_a:,}", f"{pairs.rejected_by_b:,} of them rejected by B" if pairs.only_a else ""),
        ("only in B", f"{pairs.only_b:,}", f"{pairs.rejected_by_a:,} of them rejected by A" if pairs.only_b else ""),
        ("same score to the bit", *_of(changes.identical, both)),
        ("label changed", *_of(changes.flipped, both)),
        ("  to positive", *_of(changes.to_positive, both)),
        ("  to negative", *_of(changes.to_negative, both)),
        ("probability changed", f"{changes.mean:.3f}", f"on average; median {changes.median:.3f}"),
        ("  by more than 0.1", *_of(changes.over_tenth, both)),
        ("  by more than 0.5", *_of(changes.over_half, both)),
    ]
    if changes.correlation is not None:
        rows.append(("correlation of logits", f"{changes.correlation:.3f}", ""))
    if agreement is not None:
        shared = f"mean share of words that both list, of the first {comparison.listed:,} of each, by position"
        rows.append(("agreement on words", f"{agreement.overlap:.3f}", shared))
        rows.append(("  same word first", *_of(agreement.same_first, agreement.reviews)))
        together = "what these words add to the log odds together, mean of absolute values"
        rows.append(("  weight in A", f"{agreement.weight_a:.3f}", together))
        rows.append(("  weight in B", f"{agreement.weight_b:.3f}", ""))
    if truth is not None and truth.only_a is not None and truth.only_b is not None:
        rows.append(("right: A", *_of(truth.a.count, truth.a.reviews)))
        rows.append(("right: B", *_of(truth.b.count, truth.b.reviews)))
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


def _of(count: int, reviews: int) -> tuple[str, str]:
    return f"{count:,}", f"{count / max(reviews, 1):.1%}"


def _reviews(console: Console, reviews: tuple[MovedReview, ...]) -> None:
    if not reviews:
        return
    console.print()
    console.print(Text("reviews that changed most, and words in log odds, from A to B", "bold"))
    # Ids of any length and script stand at the end, where they push nothing out of its column.
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
    """What the words add in A and in B; what one of them does not list is unknown, and not zero."""
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
    shown = f"{value or 0.0:+,.2f}"
    return "0.00" if shown in ("-0.00", "+0.00") else shown


def _words(console: Console, comparison: Comparison) -> None:
    if not comparison.words:
        return
    margins = ["+- (95%)"] if comparison.words[0].margin is not None else []
    table = _table(
        f"words that changed most: log odds per 1,000 reviews, of the first {comparison.listed:,} listed of each",
        ("word", "times A", "times B", "A", "B", "change", *margins),
        left=("word",),
    )
    for word in comparison.words:
        sums = [_signed(value) for value in (word.log_odds_a, word.log_odds_b, word.change)]
        margin = [] if word.margin is None else [f"{word.margin:,.2f}"]
        table.add_row(Text(safe(word.token, 30)), f"{word.times_a:,}", f"{word.times_b:,}", *sums, *margin)
    console.print()
    console.print(table)


def _shift(console: Console, shift: Shift) -> None:
    title = f"{shift.name}: {shift.grade}, stability index {shift.psi:.3f}"
    table = _table(title, ("from", "A", "B", _LEGEND), left=(_LEGEND,))
    step = 2 if len(shift.edges) > _BINS else 1
    total_a, total_b = max(sum(shift.a), 1), max(sum(shift.b), 1)
    for at in range(0, len(shift.edges), step):
        a, b = sum(shift.a[at : at + step]), sum(shift.b[at : at + step])
        if a or b:
            one, other = a / total_a, b / total_b
            table.add_row(f"{shift.edges[at]:g}", f"{one:.1%}", f"{other:.1%}", Text(_bars(one, other)))
    console.print()
    console.print(table)


def _bars(a: float, b: float) -> str:
    """B's share as a bar, and where A's would end."""
    bar = list("#" * round(b * _BAR)) + [" "] * _BAR
    bar[round(a * _BAR)] = "|"
    return "".join(bar).rstrip()
