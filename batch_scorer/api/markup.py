"""An explained review as HTML for a notebook: inline styles, no script, legible on light and on dark.

Everything is escaped. Colour is never the only sign: the words that weigh most carry their numbers.
"""

from __future__ import annotations

from html import escape
from typing import Any

from batch_scorer.escape import counted, visible
from batch_scorer.scoring import plain
from batch_scorer.scoring.review import ExplainedReview, Word

# Blue and orange, which colour-blind readers can tell apart, laid thinly over whatever the page's colour is.
POSITIVE, NEGATIVE = "47, 134, 214", "224, 122, 16"
_STRONGEST, _FAINTEST = 0.6, 0.03  # opacity of the heaviest word; below the other, a word has no mark
_TOKEN_CHARACTERS = 40

_FIGURE = "margin: 0.3em 0; max-width: 52em; line-height: 1.8; font-family: system-ui, sans-serif"
_HEAD = "margin: 0 0 0.4em; line-height: 1.4"
_TEXT = "margin: 0; white-space: pre-wrap; overflow-wrap: anywhere"
_NOTE = "margin: 0.5em 0 0; font-size: 0.87em; line-height: 1.5; opacity: 0.85"
_MARK = "color: inherit; padding: 0.1em 0; border-radius: 0.15em"
_NUMBER = "font-size: 0.72em; margin: 0 0.15em; font-variant-numeric: tabular-nums; vertical-align: baseline"
_CELL = "padding: 0.05em 1.2em 0.05em 0; border: 0; font-weight: normal; text-align: "


def explained(review: ExplainedReview) -> str:
    """A figure: the label, the text with its marks, the sum, what the marks mean, and the words by weight."""
    row = review.row
    head = f"{row['predicted_label']}, P(positive) {row['probability']:.3f}"
    label, rest = escape(row["predicted_label"]), escape(head.removeprefix(row["predicted_label"]))
    return (
        f'<figure style="{_FIGURE}" role="group" aria-label="{escape(head)}: what each word adds">'
        f'<p style="{_HEAD}"><b>{label}</b>{rest}</p>'
        f'<p style="{_TEXT}">{_marked_text(review)}</p>'
        f'<p style="{_NOTE}">{escape(plain.sum_line(review))}<br>{_legend(review)}</p>'
        f"{_word_table(row['top_contributing'])}</figure>"
    )


def _marked_text(review: ExplainedReview) -> str:
    listed = {word["char_start"] for word in review.row["top_contributing"]}
    heaviest = max(abs(word.contribution) for word in review.words) or 1.0
    pieces, at = [], 0
    for word in review.words:
        pieces.append(escape(plain.between(review.text[at : word.start])))
        pieces.append(_word(review.text[word.start : word.end], word, heaviest, word.start in listed))
        at = word.end
    return "".join([*pieces, escape(plain.between(review.text[at:]))]).strip()


def _word(text: str, word: Word, heaviest: float, is_listed: bool) -> str:
    shown = escape(visible(text))
    if not word.is_read:
        return f'<span style="opacity: 0.5">{shown}</span>'
    weight = abs(word.contribution) / heaviest * _STRONGEST
    style = [] if word.is_known else ["text-decoration: underline dotted; text-underline-offset: 0.2em"]
    if weight < _FAINTEST and not is_listed:
        return f'<span style="{style[0]}">{shown}</span>' if style else shown
    style += [_MARK, f"background: rgba({POSITIVE if word.contribution >= 0 else NEGATIVE}, {weight:.2f})"]
    known = "" if word.is_known else ", unknown to the model"
    title = f"adds {word.contribution:+.3f}, attention {word.attention:.3f}{known}"
    number = f'<sub style="{_NUMBER}">{word.contribution:+.1f}</sub>' if is_listed else ""
    return f'<mark style="{"; ".join(style)}" title="{title}">{shown}{number}</mark>'


def _legend(review: ExplainedReview) -> str:
    def sample(colour: str, says: str) -> str:
        return f'<mark style="{_MARK}; background: rgba({colour}, 0.45)">{says}</mark>'

    colours = f"{sample(POSITIVE, 'for positive')} {sample(NEGATIVE, 'for negative')}"
    entries = [f"{colours}, stronger where a word adds more"]
    if review.row["top_contributing"]:
        entries.append("numbers: what the heaviest words add to the logit")
    if not all(word.is_known for word in review.words):
        entries.append('<span style="text-decoration: underline dotted">dotted</span>: unknown to the model')
    if review.row["truncated"]:
        is_first = review.words and review.words[0].is_read
        where = "after the first" if is_first else "before the last"
        entries.append(f"faint: not read, as it comes {where} {counted(review.row['n_tokens_used'], 'word')}")
    return "; ".join(entries)


def _word_table(words: list[dict[str, Any]]) -> str:
    if not words:
        return ""
    heaviest = max(abs(word["contribution"]) for word in words) or 1.0

    def row(word: dict[str, Any]) -> str:
        colour = POSITIVE if word["contribution"] >= 0 else NEGATIVE
        width = 8 * abs(word["contribution"]) / heaviest
        bar = f"display: inline-block; height: 0.7em; width: {width:.2f}em; background: rgba({colour}, 0.8)"
        token = escape(visible(word["token"])[:_TOKEN_CHARACTERS])
        numbers = (f"{word['contribution']:+.3f}", f"{word['attention']:.3f}", f"{word['position']:,}")
        cells = "".join(f'<td style="{_CELL}right">{number}</td>' for number in numbers)
        shown = f'<td style="{_CELL}left"><span style="{bar}"></span></td>'
        return f'<tr style="background: none"><th scope="row" style="{_CELL}left">{token}</th>{cells}{shown}</tr>'

    names = ("token", "contribution", "attention", "position")
    head = "".join(f'<th scope="col" style="{_CELL}{"right" if i else "left"}">{n}</th>' for i, n in enumerate(names))
    return (
        f'<details style="margin: 0.5em 0 0; font-size: 0.87em"><summary>{plain.TABLE_TITLE}</summary>'
        f'<table style="border-collapse: collapse; font-variant-numeric: tabular-nums"><thead><tr>{head}<td></td></tr>'
        f"</thead><tbody>{''.join(map(row, words))}</tbody></table></details>"
    )
