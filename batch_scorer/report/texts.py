"""The selected reviews -> their texts: from the inputs, read the way the run read them, or from a kept column.

A text is shown only if it is the one that was scored: same number of words, and every listed word at its position.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from batch_scorer.escape import counted
from batch_scorer.models.tokenizer import Rule
from batch_scorer.report.budget import TEXT
from batch_scorer.report.findings import Review
from batch_scorer.report.quality import LABELLED
from batch_scorer.report.selection import SELECTED
from batch_scorer.runs.finished import Run
from batch_scorer.scoring import run_texts
from batch_scorer.scoring.run_texts import KEY, Texts, group_by

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

COLUMN_CHARACTERS = 20_000  # read of a text in a kept column; the words of a longer one are not counted
NO_TEXTS = (
    "The output of a run has no texts. To see them here, pass the inputs with --text-from INPUT, or score with "
    "--keep TEXT_COLUMN and name that column with --text-column."
)
SHOWN = TEXT + 1  # characters; one more than is shown tells that the text has to be cut


def with_texts(reviews: Sequence[Review], texts: Texts) -> tuple[Review, ...]:
    """The reviews with their texts."""
    return tuple(dataclasses.replace(review, text=texts.matched.get(i)) for i, review in enumerate(reviews))


def note(texts: Texts, place: str) -> str:
    """A sentence or more: where the texts come from, and how many are missing."""
    sentences = [f"The texts come from {place}."]
    if texts.mismatched:
        is_shown = "is not shown: it is" if len(texts.mismatched) == 1 else "are not shown: they are"
        sentences.append(f"{counted(len(texts.mismatched), 'text')} {is_shown} not what was scored.")
    missing = len(texts.rows) - len(texts.matched) - len(texts.mismatched)
    if missing:
        sentences.append(f"{counted(missing, 'review')} {'was' if missing == 1 else 'were'} not found there.")
    return " ".join(sentences)


def from_column(
    connection: DuckDBPyConnection, reviews: Sequence[Review], column: str, pattern: Rule, characters: int = SHOWN
) -> Texts:
    """The first `characters` of texts in a kept column, which is `column` in `LABELLED`; words are as in `pattern`."""
    texts, most = Texts(reviews, pattern, characters), max(COLUMN_CHARACTERS, characters)
    by_identity = group_by(reviews, lambda review: (review.record_id, review.source, review.offset))
    rows = connection.execute(f"""
        select left(record_id, {KEY}), left(source, {KEY}), "offset",
            left({column}, {most}), length({column}) <= {most}
        from {LABELLED} where {column} is not null
            and (record_id, source, "offset") in (select (record_id, source, "offset") from {SELECTED})
    """)
    while batch := rows.fetchmany(100):
        for record_id, source, offset, text, is_whole in batch:
            for i in by_identity.get((record_id, source, offset), ()):
                texts.offer(i, text, is_whole)
    return texts


def from_inputs(run: Run, reviews: Sequence[Review], inputs: tuple[str, ...], characters: int = SHOWN) -> Texts:
    """The first `characters` of texts in the inputs, which may have moved since they were scored.

    Raises:
        InputError: the inputs cannot be read, or lack the columns that the run read.
    """
    return run_texts.from_inputs(run, reviews, inputs, characters)
