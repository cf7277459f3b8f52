"""An explained review as plain text: its words marked by signs, the sum that makes its score, the words by weight.

Control characters in the review are shown as replacement characters: a terminal does not obey them.
"""

from __future__ import annotations

from batch_scorer.escape import counted, safe, visible
from batch_scorer.models.tokenizer import LINE_BREAK
from batch_scorer.scoring.review import ExplainedReview

TABLE_TITLE = "the words that weigh most"
# Column of a row -> what the table of its segments is called.
SEGMENT_TITLES = {"top_spans": "the phrases that weigh most", "sentences": "the sentences"}
SEGMENT_HEAD = ("text", "position", "words", "contribution")
SEGMENT_CHARACTERS = 60
TOKEN_CHARACTERS = 40  # shown of a token, or of a label


def explained(review: ExplainedReview) -> str:
    """Everything there is to show, in paragraphs."""
    numbers = f"{': '.join(verdict(review))}\n{sum_line(review)}"
    tables = (_aligned(title, [SEGMENT_HEAD, *rows]) for title, rows in segment_rows(review))
    parts = (marked_text(review), legend(review), numbers, _word_table(review), *tables)
    return "\n\n".join(part for part in parts if part)


def marked_text(review: ExplainedReview) -> str:
    """The text with its line breaks; unknown words are between underscores, listed ones carry their contribution."""
    listed = {word["char_start"]: word["contribution"] for word in review.row["top_contributing"]}
    marked, at = [], 0
    for before, word in zip((None, *review.words), review.words, strict=False):
        if word.is_read and before is not None and not before.is_read:
            marked.append("]")
        marked.append(between(review.text[at : word.start]))
        if before is None and not word.is_read:
            marked.append("[not read: ")
        shown = visible(review.text[word.start : word.end])
        marked.append(shown if word.is_known else f"_{shown}_")
        marked.append(f"({listed[word.start]:+.2f})" if word.start in listed else "")
        at = word.end
    marked.append(between(review.text[at:]))
    return "".join(marked).strip()


def between(text: str) -> str:
    """What is between words. The model reads `<br />` as white space, so it is shown as the line break that it is."""
    return visible(text.replace(LINE_BREAK, "\n").replace("\r\n", "\n"), keep="\n")


def legend(review: ExplainedReview) -> str:
    """What the marks mean, of those that this text has."""
    entries = ["word(+0.50) for positive, word(-0.50) for negative"] if review.row["top_contributing"] else []
    if not all(word.is_known for word in review.words):
        entries.append("_word_ unknown")
    return ", ".join(entries)


def verdict(review: ExplainedReview) -> tuple[str, str]:
    """The label, and what was read."""
    row = review.row
    read = f", the {_part_read(review)} {row['n_tokens_used']:,} read" if row["truncated"] else ""
    counts = f"{counted(row['n_tokens'], 'word')}{read}, {review.unknown:,} unknown"
    return safe(row["predicted_label"], TOKEN_CHARACTERS), f"{counts}; temperature {review.temperature:.3f}"


def _part_read(review: ExplainedReview) -> str:
    """Which words of a long text are read: the last ones, or by some models the first."""
    return "first" if review.words and review.words[0].is_read and not review.words[-1].is_read else "last"


def sum_line(review: ExplainedReview) -> str:
    """The sum that the row holds: bias, the listed words and the rest make the logit."""
    row = review.row
    words = sum(word["contribution"] for word in row["top_contributing"])
    return (
        f"bias {review.bias:+.3f} + words {words:+.3f} + rest {row['rest_contribution']:+.3f} "
        f"= logit {row['logit']:+.3f} -> P(positive) {row['probability']:.3f}"
    )


def segment_rows(review: ExplainedReview) -> list[tuple[str, list[tuple[str, str, str, str]]]]:
    """The phrases and the sentences that the row lists, as cells of a table under `SEGMENT_HEAD`, with its title."""
    found = []
    for column, title in SEGMENT_TITLES.items():
        rows = [
            (
                safe(" ".join(between(review.text[s["char_start"] : s["char_end"]]).split()), SEGMENT_CHARACTERS),
                f"{s['position']:,}",
                f"{s['n_words']:,}",
                f"{s['contribution']:+.3f}",
            )
            for s in review.row.get(column, ())
        ]
        if rows:
            found.append((title, rows))
    return found


def _word_table(review: ExplainedReview) -> str:
    words = review.row["top_contributing"]
    if not words:
        return ""
    names = ("token", "position", "contribution", "attention")
    rows = [names, *(
        (safe(w["token"], TOKEN_CHARACTERS), f"{w['position']:,}", f"{w['contribution']:+.3f}", f"{w['attention']:.3f}")
        for w in words
    )]  # fmt: skip
    return _aligned(TABLE_TITLE, rows)


def _aligned(title: str, rows: list[tuple[str, str, str, str]]) -> str:
    """A table of text: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(n) for cell, n in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return "\n".join([title, *(f" {line}" for line in lines)])
