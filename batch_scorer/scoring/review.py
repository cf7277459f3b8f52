"""One review through the stages of the job, without files or Beam: a text in; its row out, and each of its words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from batch_scorer.config import InputConfig
from batch_scorer.errors import EngineError, InputError
from batch_scorer.models.protocol import Scores
from batch_scorer.models.tokenizer import OOV, Ids, spans, words
from batch_scorer.schema import Rejection
from batch_scorer.scoring.chunk import Scorer
from batch_scorer.scoring.encode import encode
from batch_scorer.scoring.explain import explain
from batch_scorer.scoring.read import read_texts
from batch_scorer.scoring.score import score

MAX_TEXT_BYTES = InputConfig.max_text_bytes


@dataclass(frozen=True)
class Word:
    """A word, which is ``text[start:end]``.

    Args:
        is_read: whether it is among the last words, the only ones that are scored.
        is_known: whether it is in the vocabulary; True if it is not read.
        attention, contribution: 0 if it is not read.
    """

    start: int
    end: int
    is_read: bool = False
    is_known: bool = True
    attention: float = 0.0
    contribution: float = 0.0


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
    row: Mapping[str, Any]
    bias: float
    temperature: float

    @property
    def unknown(self) -> int:
        """How many of the words that were read are not in the vocabulary."""
        share, used = float(self.row["oov_rate"]), int(self.row["n_tokens_used"])
        return round(share * used)


def check(text: str, where: str) -> None:
    """Refuses a text that the job would reject; `where` says what it is, for the message.

    Raises:
        InputError: it is too large, holds half of a surrogate pair, or has no word.
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
            expected="a review with at least one word",
            got="no letter or digit, and so no word",
            fix="give the text of a review, or - to read it from standard input",
        )


def too_large(where: str, got: str) -> InputError:
    """The refusal of a text above the limit."""
    return InputError(
        "the text is too large",
        where=where,
        expected=f"at most {MAX_TEXT_BYTES:,} bytes",
        got=got,
        fix="give a single review; `batch-scorer score` takes files with many",
    )


def explain_review(text: str, scorer: Scorer, top_k: int) -> ExplainedReview:
    """Scores a text that `check` accepts, through the stages of the job, and explains every word that was read.

    Args:
        scorer: the engine of a job gives the row of a job, bit for bit; `ExactEngine` is ready at once, and its doc
            says how close it comes.
        top_k: words in each list of `row`.

    Raises:
        EngineError: the model fails on the text.
    """
    encoded = encode(next(read_texts([text])), scorer.artifact.tokenizer)
    scored = score(encoded, scorer.engine)
    (batch,) = batches = list(scored.batches)
    if isinstance(batch, Rejection):
        raise EngineError("the model fails on this text", got=batch.message)
    columns = explain(replace(scored, batches=batches), top_k).columns(scorer.artifact)
    row = {name: column[0].as_py() for name, column in columns.items()}
    every_word = _words(text, row["n_tokens_used"], encoded.ids[0], batch.scores)
    return ExplainedReview(text, every_word, row, scorer.engine.bias, scorer.artifact.temperature)


def _words(text: str, used: int, ids: Ids, scores: Scores) -> tuple[Word, ...]:
    """Every word of a text that was scored as a batch of its own; numbers are rounded to float32, as in the row."""
    starts, ends = (edges.tolist() for edges in spans(text))
    first = len(starts) - used
    known = (ids[-used:] != OOV).tolist()
    attention, contribution = (
        x[-used:, 0].astype(np.float32).tolist() for x in (scores.attention, scores.contribution)
    )
    return tuple(
        Word(start, end, True, known[at - first], attention[at - first], contribution[at - first])
        if at >= first
        else Word(start, end)
        for at, (start, end) in enumerate(zip(starts, ends, strict=True))
    )


def to_json(review: ExplainedReview) -> dict[str, Any]:
    """`row`, bias and temperature, with each float32 as the shortest number that reads back as the same float32."""
    row = {name: shortest(value) for name, value in review.row.items()}
    return row | {"bias": review.bias, "temperature": review.temperature}


def shortest(value: Any) -> Any:
    """A value of a row whose floats are float32, as JSON needs to hold it; other values as they are."""
    if isinstance(value, float):
        return float(str(np.float32(value)))
    if isinstance(value, list):
        return [{name: shortest(part) for name, part in word.items()} for word in value]
    return value
