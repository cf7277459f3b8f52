"""What counts as texts, and which of their values are missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from batch_scorer.api.texts import values
from batch_scorer.errors import OptionError

TEXTS = ["a film", None, "b"]
ODD = ["a film", None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, 5, b"bytes", ["list"]]

KINDS: dict[str, Callable[[], Any]] = {
    "list": lambda: TEXTS,
    "tuple": lambda: tuple(TEXTS),
    "generator": lambda: (text for text in TEXTS),
    "pandas": lambda: pd.Series(TEXTS, index=[9, 7, 8]),
    "pandas string": lambda: pd.Series(TEXTS, dtype="string"),
    "pandas category": lambda: pd.Series(TEXTS, dtype="category"),
    "pandas arrow": lambda: pd.Series(TEXTS, dtype=pd.ArrowDtype(pa.string())),
    "numpy": lambda: np.array(TEXTS, object),
    "polars": lambda: pl.Series(TEXTS),
    "arrow": lambda: pa.array(TEXTS),
    "arrow large": lambda: pa.array(TEXTS, pa.large_string()),
    "arrow view": lambda: pa.array(TEXTS, pa.string_view()),
    "arrow bytes": lambda: pa.array([None if text is None else text.encode() for text in TEXTS]),
    "arrow dictionary": lambda: pa.array(TEXTS).dictionary_encode(),
    "arrow chunks": lambda: pa.chunked_array([TEXTS[:1], [], TEXTS[1:]], pa.string()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_column_of_any_kind_gives_its_texts_in_order(kind: str) -> None:
    assert TEXTS == list(values(KINDS[kind]()))


def test_missing_values_are_none_and_others_stay() -> None:
    assert ["a film", *[None] * 5, 5, b"bytes", ["list"]] == list(values(ODD))


def test_nothing_gives_nothing() -> None:
    assert [] == list(values([])) == list(values(pa.array([], pa.null())))


@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        ("a film", "a single str"),
        (b"a film", "a single bytes"),
        ({"text": TEXTS}, "a dict"),
        (pd.DataFrame({"text": TEXTS}), "a DataFrame"),
        (pa.table({"text": TEXTS}), "a Table"),
        (np.array([["a"], ["b"]]), "an array of 2 dimensions"),
        (5, "a value of type int"),
    ],
)
def test_what_is_no_column_of_texts_is_refused(wrong: object, got: str) -> None:
    with pytest.raises(OptionError) as refused:
        values(wrong)
    assert got == refused.value.got
    assert refused.value.fix is not None
