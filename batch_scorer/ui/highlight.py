"""An explained review in the terminal: its text with the words marked, the sum, and the words that weigh most.

In colour, blue is for positive and orange for negative (colour-blind readers can tell these apart), and the more
attention a word has, the stronger its mark. Without colour, the listed words carry their contribution. What comes from
data is shown, never obeyed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batch_scorer.escape import safe, visible
from batch_scorer.scoring import plain
from batch_scorer.scoring.deletions import Deletion
from batch_scorer.scoring.review import ExplainedReview, Word
from batch_scorer.ui import terminal

if TYPE_CHECKING:  # imports what runs and their inputs need
    from batch_scorer.scoring.run_row import FoundText, RunRow

# The share of the review's largest attention from which a word gets the next style. Backgrounds come last: a pale one
# would be the weakest mark on a white screen and the strongest on a black one. A terminal with 16 colours shows its own
# blues and yellows.
STEPS = (0.25, 0.4, 0.6)
KEPT_COLUMNS, KEPT_CHARACTERS = 20, 200  # of a row, shown
POSITIVE = ("", "#2f86d6", "bold #2f86d6", "bold #ffffff on #1a5fb4")
NEGATIVE = ("", "#d07010", "bold #d07010", "bold #000000 on #d98a10")


def show(console: Console, review: ExplainedReview) -> None:
    """Prints all there is to see of `review`, at the console's width; of one without its text, the numbers."""
    coloured = console.color_system is not None and not console.no_color
    parts = [Text.assemble(verdict(review), "\n", plain.sum_line(review))]
    if review.words and coloured:
        parts[:0] = [marked_text(review), legend(review)]
    elif review.words:
        parts[:0] = [Text(plain.marked_text(review)), Text(plain.legend(review))]
    for part in filter(None, parts):
        for line in part.wrap(console, console.width):
            line.rstrip()
            console.print(line)
        console.print()
    if review.row["top_contributing"]:
        console.print(_word_table(review.row["top_contributing"]))
    for title, rows in plain.segment_rows(review):
        console.print()
        console.print(_segment_table(title, rows))


def show_deletions(console: Console, review: ExplainedReview, deletions: Sequence[Deletion]) -> None:
    """Prints how the probability moves if each part is deleted, one at a time."""
    title = f"the same text without each of these, scored again (P(positive) was {review.row['probability']:.3f})"
    table = Table(title=title, title_justify="left", title_style="bold", box=None)
    for name in ("text", "is a", "contribution", "P(positive)", "change"):
        table.add_column(name, justify="left" if name in ("text", "is a") else "right")
    for one in deletions:
        shown = " ".join(plain.between(review.text[one.char_start : one.char_end]).split())
        moved = ("no word left", "") if one.change is None else (f"{one.probability:.3f}", f"{one.change:+.3f}")
        cells = (safe(shown, plain.SEGMENT_CHARACTERS), one.kind, f"{one.contribution:+.3f}", *moved)
        table.add_row(*map(Text, cells))
    console.print()
    console.print(table)


def show_row(console: Console, row: RunRow, text: FoundText) -> None:
    """Prints a row of a run as `show` does, with the words that it lists marked, and where all this comes from."""
    show(console, row.review(text.text))
    if row.columns["top_contributing"]:
        console.print()
    manifest = row.run.manifest
    finished = f", finished {manifest['finished'][:19]} UTC" if row.run.complete else ", not a success"
    terminal.row(console, "record", row.record_id)
    if row.same_id > 1:
        terminal.row(console, "", f"the first of {row.same_id:,} rows with this id")
    terminal.row(console, "from", f"{row.source}#{row.offset}")
    terminal.row(console, "run", f"{row.columns['run_id']}{finished}")
    terminal.row(console, "model", f"{manifest['model_name']} {row.columns['model_id']}")
    for name, value in list(row.kept.items())[:KEPT_COLUMNS]:
        terminal.row(console, "kept", f"{safe(name, KEPT_CHARACTERS)}: {safe(value, KEPT_CHARACTERS)}")
    terminal.row(console, "text", text.note)
    if text.text is not None:
        terminal.row(console, "marked", "only the words that the run lists")


def marked_text(review: ExplainedReview) -> Text:
    """The text with its line breaks, each word in its style."""
    largest = max(word.attention for word in review.words) or 1.0
    marked, at = Text(), 0
    for word in review.words:
        marked.append(plain.between(review.text[at : word.start]), "" if word.is_read else "dim")
        marked.append(visible(review.text[word.start : word.end]), _style(word, largest))
        at = word.end
    marked.append(plain.between(review.text[at:]))
    marked.rstrip()
    return marked[len(marked.plain) - len(marked.plain.lstrip()) :]


def _style(word: Word, largest: float) -> str:
    if not word.is_read:
        return "dim"
    step = bisect_right(STEPS, word.attention / largest)
    colour = (POSITIVE if word.contribution >= 0 else NEGATIVE)[step]
    return colour if word.is_known else f"{colour} underline"


def legend(review: ExplainedReview) -> Text:
    """What the styles in this text mean."""
    entries = [
        Text.assemble("for ", ("positive", POSITIVE[3]), ", for ", ("negative", NEGATIVE[3])),
        Text.assemble("attention: ", ("some", POSITIVE[1]), " ", ("more", POSITIVE[2]), " ", ("most", POSITIVE[3])),
    ]
    if not all(word.is_known for word in review.words):
        entries.append(Text("unknown", "underline"))
    if review.row["truncated"]:
        entries.append(Text("not read", "dim"))
    return Text(", ").join(entries)


def verdict(review: ExplainedReview) -> Text:
    """The label, and what was read."""
    label, read = plain.verdict(review)
    return Text.assemble((label, "bold"), f": {read}")


def _word_table(words: list[dict[str, Any]]) -> Table:
    table = Table(title=plain.TABLE_TITLE, title_justify="left", title_style="bold", box=None)
    table.add_column("token")
    for name in ("position", "contribution", "attention"):
        table.add_column(name, justify="right")
    for word in words:
        colour = (POSITIVE if word["contribution"] >= 0 else NEGATIVE)[1]
        table.add_row(
            Text(safe(word["token"], plain.TOKEN_CHARACTERS)),
            f"{word['position']:,}",
            Text(f"{word['contribution']:+.3f}", colour),
            f"{word['attention']:.3f}",
        )
    return table


def _segment_table(title: str, rows: list[tuple[str, str, str, str]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None)
    for at, name in enumerate(plain.SEGMENT_HEAD):
        table.add_column(name, justify="right" if at else "left")
    for *cells, contribution in rows:
        table.add_row(
            *map(Text, cells), Text(contribution, (NEGATIVE if contribution.startswith("-") else POSITIVE)[1])
        )
    return table
