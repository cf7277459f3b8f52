"""One review through the stages of the job, without files or Beam: its text in, what its row would hold out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from batch_scorer.errors import EngineError, InputError
from batch_scorer.models.protocol import Scores
from batch_scorer.models.tokenizer import OOV, Ids, spans, words
from batch_scorer.schema import Rejection
from batch_scorer.scoring.chunk import Scorer
from batch_scorer.scoring.encode import encode
from batch_scorer.scoring.explain import explain
from batch_scorer.scoring.read import read_texts
from batch_scorer.scoring.score import score

MAX_TEXT_BYTES = 1_000_000  # what `score` takes unless told otherwise


@dataclass(frozen=True)
class Word:
    """A word that stands at ``text[start:end]``.

    Args:
        is_read: whether it is among the last words, which alone are scored.
        is_known: whether the vocabulary has it; True where it is not read.
        attention, contribution: 0 where it is not read.
    """

    start: int
    end: int
    is_read: bool = False
    is_known: bool = True
    attention: float = 0.0
    contribution: float = 0.0

    @staticmethod
    def of(text: str, row: Mapping[str, Any], scores: Scores, ids: Ids) -> tuple[Word, ...]:
        """Every word of `text`, which is all of a batch, with its own attention and contribution, in float32."""
        places = list(zip(*(edges.tolist() for edges in spans(text)), strict=True))
        used, unread = row["n_tokens_used"], row["n_tokens"] - row["n_tokens_used"]
        known = (ids[-used:] != OOV).tolist()
        attention, contribution = (
            values[-used:, 0].astype(np.float32).tolist() for values in (scores.attention, scores.contribution)
        )
        return (
            *(Word(*place) for place in places[:unread]),
            *(
                Word(*place, True, *rest)
                for place, *rest in zip(places[unread:], known, attention, contribution, strict=True)
            ),
        )


@dataclass(frozen=True)
class ExplainedReview:
    """A review, scored and explained.

    Args:
        words: every word of `text`, in order.
        row: the columns of its row in `predictions` that follow from text and model; plain Python values.
        bias, temperature: ``logit = bias + sum of row's contributions + rest``; ``P = sigmoid(logit / temperature)``.
    """

    text: str
    words: tuple[Word, ...]
    row: dict[str, Any]
    bias: float
    temperature: float


def check(text: str, where: str) -> None:
    """Refuses a text that the job would reject; `where` says what it is, for the message.

    Raises:
        InputError: it is too large, holds half characters, or holds no word.
    """
    try:
        size_bytes = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise InputError(
            "the text cannot be written as UTF-8",
            where=f"{where}, character {error.start}",
            expected="whole characters",
            got=f"half of a surrogate pair, U+{ord(text[error.start]):04X}",
            fix="check the encoding of the text, or of this terminal",
        ) from error
    if size_bytes > MAX_TEXT_BYTES:
        raise too_large(where, f"{size_bytes:,} bytes")
    if not words(text):
        raise InputError(
            "there is nothing to score",
            where=where,
            expected="a review with one word at least",
            got="no letter or digit, and so no word",
            fix="give the text of a review, or - to read it from standard input",
        )


def too_large(where: str, got: str) -> InputError:
    """The refusal of a text above the limit."""
    return InputError(
        "the text is too large",
        where=where,
        expected=f"{MAX_TEXT_BYTES:,} bytes at most",
        got=got,
        fix="give one review; `batch-scorer score` takes files of many",
    )


def explain_review(text: str, scorer: Scorer, top_k: int) -> ExplainedReview:
    """Scores a text that `check` lets pass, as the job does, and explains every word that was read.

    Args:
        top_k: words in the lists of `row`.

    Raises:
        EngineError: the model fails on it.
    """
    encoded = encode(next(read_texts([text])), scorer.artifact.tokenizer)
    scored = score(encoded, scorer.engine)
    batch, *_ = batches = list(scored.batches)
    if isinstance(batch, Rejection):
        raise EngineError("the model fails on this text", got=batch.message)
    columns = explain(replace(scored, batches=batches), top_k).columns(scorer.artifact)
    row = {name: column[0].as_py() for name, column in columns.items()}
    words_read = Word.of(text, row, batch.scores, encoded.ids[0])
    return ExplainedReview(text, words_read, row, scorer.engine.bias, scorer.artifact.temperature)


def to_json(review: ExplainedReview) -> dict[str, Any]:
    """`row`, bias and temperature, with each float32 as the shortest number that reads back as the same float32."""
    row = {name: _short(value) for name, value in review.row.items()}
    return row | {"bias": review.bias, "temperature": review.temperature}


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(str(np.float32(value)))
    if isinstance(value, list):
        return [{name: _short(part) for name, part in word.items()} for word in value]
    return value
