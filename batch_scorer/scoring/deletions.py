"""What a text's probability is without a word, a phrase or a sentence: it is deleted, and the rest is scored again.

That answers another question than contributions do. A contribution is a share of the score as it is; after a deletion,
the model reads the rest again, neighbours included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from batch_scorer.scoring.chunk import Scorer, score_chunk
from batch_scorer.scoring.read import read_texts
from batch_scorer.scoring.review import ExplainedReview

# What can be deleted, by the column that lists it.
KINDS = {"top_contributing": "word", "top_spans": "phrase", "sentences": "sentence"}


@dataclass(frozen=True)
class Deletion:
    """A part of a text, and the text without it.

    Args:
        kind: `word`, `phrase` or `sentence`.
        char_start, char_end: the part, in characters.
        contribution: what it adds to the logit of the whole text.
        probability: of positive, without it; None where no word is left.
        change: `probability` less that of the whole text; None likewise.
    """

    kind: str
    char_start: int
    char_end: int
    contribution: float
    probability: float | None
    change: float | None

    def to_json(self) -> dict[str, Any]:
        """By name, as `explain --what-if --json` has it."""
        return asdict(self)


def delete_each(review: ExplainedReview, scorer: Scorer) -> list[Deletion]:
    """Deletes each word, phrase and sentence that the review lists, one at a time; the largest changes come first.

    Raises:
        EngineError: the model fails on what is left of the text, each time.

    Example:
        review = explain_review(text, scorer, top_k=10, segments=Segments(sentences=True, spans=3))
        for deletion in delete_each(review, scorer):
            print(text[deletion.char_start : deletion.char_end], deletion.change)
    """
    parts = [(kind, one) for column, kind in KINDS.items() for one in review.row.get(column, ())]
    left = probabilities((left_over(review.text, [(one["char_start"], one["char_end"])]) for _, one in parts), scorer)
    before = review.row["probability"]
    found = [
        Deletion(
            *(kind, one["char_start"], one["char_end"], one["contribution"], left.get(at)),
            change=left[at] - before if at in left else None,
        )
        for at, (kind, one) in enumerate(parts)
    ]
    # Sorting keeps the order of equal ones: words before phrases before sentences.
    return sorted(found, key=lambda one: -abs(one.change) if one.change is not None else -2.0)


def probabilities(texts: Iterable[str], scorer: Scorer) -> dict[int, float]:
    """The probability of positive of each text, by its index; a text without a word has none.

    The texts are scored as they come, a chunk of a job at a time: those of many reviews take no more memory than that.

    Raises:
        EngineError: the model fails on every text of a batch.
    """
    found: dict[int, float] = {}
    for chunk in read_texts(texts):
        for explained in score_chunk(chunk, scorer, 0):
            p = explained.columns(scorer.artifact)["probability"].to_pylist()
            found |= dict(zip(explained.encoded.reviews["offset"].to_pylist(), p, strict=True))
    return found


def left_over(text: str, places: Sequence[tuple[int, int]]) -> str:
    """The text without these slices; of the blanks on both sides of one, one stays.

    >>> left_over("not a good film", [(0, 3), (6, 10)])
    ' a film'
    """
    parts, at = list[str](), 0
    for start, end in places:
        parts.append(text[at:start])
        at = end + (text[end : end + 1] == " " and text[:start].endswith(" "))
    return "".join([*parts, text[at:]])
