"""An explained review in the terminal: its text with the words marked, the sum, and the words that weigh most.

In colour, blue is for positive and orange for negative (colour-blind readers can tell these apart), and the more
attention a word has, the stronger its mark. Without colour, the listed words carry their contribution. What comes from
data is shown, never obeyed.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batch_scorer.escape import counted, safe, visible
from batch_scorer.models.tokenizer import LINE_BREAK
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
    text = (marked_text(review, coloured), legend(review, coloured)) if review.words else ()
    for part in filter(None, (*text, verdict(review) + "\n" + sum_line(review))):
        for line in part.wrap(console, console.width):
            line.rstrip()
            console.print(line)
        console.print()
    if review.row["top_contributing"]:
        console.print(_word_table(review.row["top_contributing"]))


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


def marked_text(review: ExplainedReview, coloured: bool) -> Text:
    """The text with its line breaks, its words marked by styles or, without colour, by signs."""
    listed = {word["char_start"]: word["contribution"] for word in review.row["top_contributing"]}
    largest = max(word.attention for word in review.words) or 1.0
    marked, at = Text(), 0
    for before, word in zip((None, *review.words), review.words, strict=False):
        ends_unread = word.is_read and before is not None and not before.is_read
        if ends_unread and not coloured:
            marked.append("]")
        marked.append(_between(review.text[at : word.start]), "dim" if coloured and not word.is_read else "")
        if before is None and not word.is_read and not coloured:
            marked.append("[not read: ")
        shown = visible(review.text[word.start : word.end])
        if coloured:
            marked.append(shown, _style(word, largest))
        else:
            marked.append(shown if word.is_known else f"_{shown}_")
            marked.append(f"({listed[word.start]:+.2f})" if word.start in listed else "")
        at = word.end
    marked.append(_between(review.text[at:]))
    marked.rstrip()
    return marked[len(marked.plain) - len(marked.plain.lstrip()) :]


def _between(text: str) -> str:
    """What is between words. The model reads `<br />` as white space, so it is shown as the line break that it is."""
    return visible(text.replace(LINE_BREAK, "\n").replace("\r\n", "\n"), keep="\n")


def _style(word: Word, largest: float) -> str:
    if not word.is_read:
        return "dim"
    step = bisect_right(STEPS, word.attention / largest)
    colour = (POSITIVE if word.contribution >= 0 else NEGATIVE)[step]
    return colour if word.is_known else f"{colour} underline"


def legend(review: ExplainedReview, coloured: bool) -> Text:
    """What the marks in this text mean."""
    entries = [
        Text.assemble("for ", ("positive", POSITIVE[3]), ", for ", ("negative", NEGATIVE[3])),
        Text.assemble("attention: ", ("some", POSITIVE[1]), " ", ("more", POSITIVE[2]), " ", ("most", POSITIVE[3])),
    ]
    if not coloured:
        listed = review.row["top_contributing"]
        entries = [Text("word(+0.50) for positive, word(-0.50) for negative")] if listed else []
    if not all(word.is_known for word in review.words):
        entries.append(Text("unknown", "underline") if coloured else Text("_word_ unknown"))
    if review.row["truncated"] and coloured:
        entries.append(Text("not read", "dim"))
    return Text(", ").join(entries)


def verdict(review: ExplainedReview) -> Text:
    """The label, and what was read."""
    row = review.row
    read = f", the last {row['n_tokens_used']:,} read" if row["truncated"] else ""
    counts = f"{counted(row['n_tokens'], 'word')}{read}, {review.unknown:,} unknown"
    return Text.assemble((safe(row["predicted_label"], 40), "bold"), f": {counts}; temperature {review.temperature:.3f}")


def sum_line(review: ExplainedReview) -> Text:
    """The sum in the row: bias, listed words and rest make the logit."""
    row = review.row
    words = sum(word["contribution"] for word in row["top_contributing"])
    return Text(
        f"bias {review.bias:+.3f} + words {words:+.3f} + rest {row['rest_contribution']:+.3f} "
        f"= logit {row['logit']:+.3f} -> P(positive) {row['probability']:.3f}"
    )


def _word_table(words: list[dict[str, Any]]) -> Table:
    table = Table(title="the words that weigh most", title_justify="left", title_style="bold", box=None)
    table.add_column("token")
    for name in ("position", "contribution", "attention"):
        table.add_column(name, justify="right")
    for word in words:
        colour = (POSITIVE if word["contribution"] >= 0 else NEGATIVE)[1]
        table.add_row(
            Text(safe(word["token"], 40)),
            f"{word['position']:,}",
            Text(f"{word['contribution']:+.3f}", colour),
            f"{word['attention']:.3f}",
        )
    return table
