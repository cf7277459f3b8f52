"""What every step of an import says when it cannot go on: which layer or file it is, and what would fit."""

from __future__ import annotations

from batch_scorer.errors import InputError

FITS = "Embedding, Bidirectional LSTM or GRU, additive attention, batch normalisation and dropout if any, Dense"


def refuse(what: str, where: str, expected: str, got: object, fix: str | None = None) -> InputError:
    """The refusal of a part of a model."""
    return InputError(
        what,
        where=where,
        expected=expected,
        got=f"{got!s:.300}",
        fix=fix or 'see "Bring a model" in docs/train.md for the shapes that can be imported',
    )


def damaged(where: str, expected: str, got: object) -> InputError:
    """The refusal of a file that is not what it should be."""
    return refuse("the file is damaged, or is not one that Keras wrote", where, expected, got,
                  "save the model again with model.save('model.keras')")  # fmt: skip
