"""Crops of reviews to one to three sentences, so that short texts are no foreign country to the network."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from batch_scorer.models.tokenizer import LINE_BREAK

LONGEST = 3  # sentences of a crop
FEWEST_WORDS, MOST_WORDS = 3, 60

_end = re.compile(r"(?<=[.!?])[\"')]*\s+")


def sentences(text: str) -> list[str]:
    """The sentences of a text, by the punctuation that ends them."""
    return [part for part in _end.split(text.replace(LINE_BREAK, " ")) if part.strip()]


def crop(text: str, rng: np.random.Generator) -> str | None:
    """One to three sentences in a row, drawn at random, or None if they have too few or too many words."""
    parts = sentences(text)
    length = int(rng.integers(1, LONGEST + 1))
    first = int(rng.integers(0, max(1, len(parts) - length + 1)))
    cropped = " ".join(parts[first : first + length])
    return cropped if FEWEST_WORDS <= len(cropped.split()) <= MOST_WORDS else None


def crops(texts: Sequence[str], seed: int) -> tuple[list[str], list[int]]:
    """A crop of each text that has one of a fitting length, and the indices of those texts."""
    rng = np.random.default_rng(seed)
    drawn = [(cropped, row) for row, text in enumerate(texts) if (cropped := crop(text, rng)) is not None]
    return [cropped for cropped, _ in drawn], [row for _, row in drawn]
