"""Reads rewritten reviews from Parquet files: the columns text, label and pair, and an id where there is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from batch_scorer.errors import InputError
from train.data import Columns, Examples
from train.material.counterfactual import Rewritten, place

PAIR, ID = "pair", "id"


def read_rewritten(
    sources: Sequence[str], columns: Columns, labelled: Examples, validation_share: float, keep_back: str | None
) -> Rewritten:
    """Reads pairs of reviews and sorts them by the side of the split that their originals are on.

    Args:
        columns: names of the columns with text and label, and what the labels mean, as in the labelled reviews; the id
            is always `id`.
        labelled: all labelled reviews, before they are split.
        keep_back: pairs of which an id begins with this text are kept back.

    Raises:
        InputError: a column is missing, no pair has an original among the labelled reviews, or none is kept back.
    """
    ids: list[str] = []
    texts: list[str] = []
    labels: list[str | None] = []
    pairs: list[str] = []
    for source in sources:
        table = _table(source, [columns.text, columns.label, PAIR, *([ID] if keep_back else [])])
        pair = table[PAIR].cast(pa.string()).to_pylist()
        ids += table[ID].cast(pa.string()).to_pylist() if ID in table.column_names else pair
        texts += table[columns.text].cast(pa.string()).to_pylist()
        labels += table[columns.label].cast(pa.string()).to_pylist()
        pairs += pair
    told = columns.rule.read(Counter(labels))
    sides = [told.of(label) for label in labels]
    kept = [row for row, side in enumerate(sides) if side is not None and texts[row]]
    ids, texts, pairs = ([values[row] for row in kept] for values in (ids, texts, pairs))
    examples = Examples(tuple(ids), tuple(texts), np.array([sides[row] for row in kept], np.int8))
    held_out = labelled.split(validation_share).held_out
    rewritten = place(examples, pairs, labelled, held_out, keep_back)
    where = ", ".join(sources)
    if rewritten.unmatched == len(set(pairs)):
        raise InputError(
            "no original of a rewritten review is among the labelled reviews",
            where=where,
            expected="pairs of reviews, of which one is in --data with the same text",
            fix="give the labelled reviews that were rewritten as --data",
        )
    if keep_back and not len(rewritten.kept_back):
        raise InputError(
            "no pair of rewritten reviews is kept back",
            where=where,
            expected=f"ids that begin with {keep_back!r}",
            got=f"ids such as {ids[0]!r}",
            fix="check --counterfactual-holdout",
        )
    return rewritten


def _table(source: str, wanted: Sequence[str]) -> pa.Table:
    import pyarrow.parquet as pq

    if not Path(source).is_file():
        raise InputError("the file of rewritten reviews does not exist", where=source, fix="check --counterfactual")
    table = pq.read_table(source)
    for name in wanted:
        if name not in table.column_names:
            raise InputError(
                f"the column {name!r} is missing",
                where=source,
                expected=", ".join(wanted),
                got=", ".join(table.column_names),
                fix="give a Parquet file with these columns",
            )
    return table
