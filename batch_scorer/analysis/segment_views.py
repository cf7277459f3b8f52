"""The SQL of two more views, over runs that list sentences or phrases: `sentences` and `phrases`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from batch_scorer.analysis.quoting import identifier, reference, shown_names

SPAN_FIELDS = {
    **{"char_start": "integer", "char_end": "integer", "position": "integer", "n_words": "integer"},
    **{"contribution": "float", "attention": "float"},
}
SPAN_LIST = f"struct({', '.join(f'{name} {kind}' for name, kind in SPAN_FIELDS.items())})[]"


class SegmentView(NamedTuple):
    """A view with a row for each element of a list.

    Args:
        row: what one of its rows is.
        column: the list, in `predictions`.
        number: what the place in the list is called, from 1.
    """

    row: str
    column: str
    number: str


SEGMENT_VIEWS = {
    "sentences": SegmentView("a sentence of what was read, with columns of its review", "sentences", "sentence"),
    "phrases": SegmentView("a listed phrase, with columns of its review", "top_spans", "rank"),
}


def segment_views(columns: Collection[str]) -> dict[str, SegmentView]:
    """Those of `SEGMENT_VIEWS` that can be made.

    Args:
        columns: of `predictions`.
    """
    return {name: view for name, view in SEGMENT_VIEWS.items() if view.column in columns}


def segments(view: SegmentView, review_columns: Sequence[str], prefix: str) -> str:
    """The query of a view; rows stream through it.

    A review whose run does not list such segments has no row.

    Args:
        review_columns: of `predictions`, those to repeat in each row. One called like a field of a segment is left out.
        prefix: what the names of the views begin with.
    """
    taken = {*SPAN_FIELDS, view.number}
    raw = [name for name in review_columns if name.casefold() not in taken]
    # Inside, every column has a name of ours, so that none is hidden by the argument of the lambda.
    ours = [f"_{at}" for at in range(len(raw))]
    names = zip(ours, map(identifier, shown_names(raw)), strict=True)
    sources = ", ".join(f"{reference(name)} as {column}" for column, name in zip(ours, raw, strict=True))
    fields = ", ".join(f"_segment.{name}" for name in (view.number, *SPAN_FIELDS))
    return f"""select {", ".join(f"{column} as {name}" for column, name in names)},
  {fields}
from (
  select {", ".join(ours)},
    unnest(list_transform(_segments, lambda s, number: struct_insert(s, {view.number} := number))) as _segment
  from (
    select {sources}, {view.column} as _segments
    from {identifier(prefix + "predictions")}
  )
)"""
