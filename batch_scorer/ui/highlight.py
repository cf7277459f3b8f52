"""One explained review in the terminal: the text with its words marked, the sum, and the words that weighed most.

In colour: blue speaks for positive, orange for negative (colour-blind readers tell these apart), stronger with more
attention. Without colour, the listed words carry their contribution. What comes from the text is shown, never obeyed.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batch_scorer.escape import safe, visible
from batch_scorer.models.tokenizer import LINE_BREAK
from batch_scorer.scoring.review import ExplainedReview, Word

# Attention, as a share of the largest in the review, from which a word takes the next style. The backgrounds come last:
# a pale one would be the weakest mark on a white screen and the strongest on a black one. On a terminal of 16 colours
# these become its blues and yellows.
STEPS = (0.25, 0.4, 0.6)
POSITIVE = ("", "#2f86d6", "bold #2f86d6", "bold #ffffff on #1a5fb4")
NEGATIVE = ("", "#d07010", "bold #d07010", "bold #000000 on #d98a10")


def show(console: Console, review: ExplainedReview) -> None:
    """Prints all there is to see of `review`, at the console's width."""
    coloured = console.color_system is not None and not console.no_color
    parts = (marked_text(review, coloured), legend(review, coloured), verdict(review) + "\n" + sum_line(review))
    for part in filter(None, parts):
        for line in part.wrap(console, console.width):
            line.rstrip()
            console.print(line)
        console.print()
    if review.row["top_contributing"]:
        console.print(_word_table(review.row["top_contributing"]))


def marked_text(review: ExplainedReview, coloured: bool) -> Text:
    """The text with its line breaks, each word marked by a style or, without colour, by signs."""
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
    """What stands between words; the model reads `<br />` as white space, so it is shown as the line break it is."""
    return visible(text.replace(LINE_BREAK, "\n").replace("\r\n", "\n"), keep="\n")


def _style(word: Word, largest: float) -> str:
    if not word.is_read:
        return "dim"
    step = bisect_right(STEPS, word.attention / largest)
    colour = (POSITIVE if word.contribution >= 0 else NEGATIVE)[step]
    return colour if word.is_known else f"{colour} underline"


def legend(review: ExplainedReview, coloured: bool) -> Text:
    """What the marks mean, those that this text has."""
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
    row, unknown = review.row, sum(not word.is_known for word in review.words)
    read = f", the last {row['n_tokens_used']:,} read" if row["truncated"] else ""
    counts = f"{row['n_tokens']:,} word{'s' * (row['n_tokens'] != 1)}{read}, {unknown:,} unknown"
    return Text.assemble((row["predicted_label"], "bold"), f": {counts}; temperature {review.temperature:.3f}")


def sum_line(review: ExplainedReview) -> Text:
    """The sum that the row holds: bias, the listed words, and the rest make the logit."""
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
