"""A list, a column or a generator of texts -> their values as Python has them, None where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scorer.errors import OptionError
from batch_scorer.formats.parquet.arrow import strings

_ROWS = 8_192  # of an Arrow column, made Python's at a time


def values(texts: object) -> Iterator[Any]:
    """Each text in order; None for what pandas, NumPy and Arrow call missing. Anything else comes as it is.

    Args:
        texts: a list or another iterable, a pandas Series, a NumPy array, a pyarrow Array or ChunkedArray.

    Raises:
        OptionError: `texts` is a single text, a table, or nothing that can be iterated over.
    """
    _check(texts)
    if isinstance(texts, (pa.Array, pa.ChunkedArray)):
        return _of_arrow(texts)
    assert isinstance(texts, Iterable)
    return (None if is_missing(value) else value for value in texts)


def is_missing(value: object) -> bool:
    """Whether a value stands for none: None, NaN, pandas' NA and NaT."""
    if value is None:
        return True
    if isinstance(value, (float, np.floating)):
        return bool(np.isnan(value))
    return type(value).__name__ in ("NAType", "NaTType")  # pandas is not imported for this


def _of_arrow(column: pa.Array | pa.ChunkedArray) -> Iterator[Any]:
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        for start in range(0, len(chunk), _ROWS):
            part = chunk.slice(start, _ROWS)
            yield from strings(part.dictionary_decode() if pa.types.is_dictionary(part.type) else part)


def _check(texts: object) -> None:
    fix = "give a list or one column"
    if isinstance(texts, (str, bytes)):
        got, fix = f"a single {type(texts).__name__}", "give a list: [text]"
    elif isinstance(texts, Mapping) or hasattr(texts, "columns"):
        got, fix = f"a {type(texts).__name__}", "give the column of the texts alone"
    elif isinstance(texts, np.ndarray) and texts.ndim != 1:
        got = f"an array of {texts.ndim} dimensions"
    elif not isinstance(texts, Iterable):
        got = f"a value of type {type(texts).__name__}"
    else:
        return
    raise OptionError("the texts are not a list of texts", expected="an iterable of strings", got=got, fix=fix)
