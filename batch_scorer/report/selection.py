"""The reviews to look at: the most positive, the most negative, the least certain, and the most surprising ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from batch_scorer.report.budget import KEPT_COLUMNS, KEY, NAME, TOKEN, VALUE, WORDS, cut, cut_sql
from batch_scorer.report.findings import (
    LEAST_CERTAIN,
    LISTS,
    MOST_NEGATIVE,
    MOST_POSITIVE,
    MOST_SURPRISING,
    ListedWord,
    Review,
)
from batch_scorer.report.quality import JUDGED

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CHOSEN = "chosen"  # the table: list, rank, and what tells a review from all others
_KEY = 'record_id, source, "offset"'
_CERTAIN = 1e-9  # a threshold of 0 or 1 has no logit


def choose(connection: DuckDBPyConnection, temperature: float, threshold: float, count: int) -> None:
    """Makes the table `CHOSEN` of up to `count` reviews a list. Ties are broken by id, source and offset.

    Certain is what lies far from the logit at which the label changes; surprising, what is certain and wrong.
    """
    share = min(max(threshold, _CERTAIN), 1 - _CERTAIN)
    edge = temperature * math.log(share / (1 - share))
    distance = f"abs(logit::double - {edge!r}::double)"
    ways = {
        MOST_POSITIVE: ("predicted_label = 'positive'", "logit desc"),
        MOST_NEGATIVE: ("predicted_label = 'negative'", "logit"),
        LEAST_CERTAIN: ("true", distance),
        MOST_SURPRISING: ("truth != predicted_label", f"{distance} desc"),
    }
    selects = [
        f"""select '{name}' as list, row_number() over (order by {order}, {_KEY}) as rank, {_KEY} from (
            select {_KEY}, logit from {JUDGED} where {where} and isfinite(logit) and isfinite(probability)
            order by {order}, {_KEY} limit {count}
        )"""
        for name, (where, order) in ways.items()
    ]
    connection.execute(f"create temp table {CHOSEN} as {' union all '.join(selects)}")


def look_up(connection: DuckDBPyConnection, kept: Mapping[str, str], text_column: str | None) -> tuple[Review, ...]:
    """The chosen reviews, in the order of `LISTS` and best first; without their texts.

    Args:
        kept: name -> column of the kept columns.
        text_column: of these, the one that holds the text.
    """
    shown = [name for name in kept if name != text_column][:KEPT_COLUMNS]
    values = "".join(f", {cut_sql(f'{kept[name]}::varchar', VALUE)}" for name in shown)
    rows = connection.execute(f"""
        select c.lists, c.place, left(record_id, {KEY}), left(source, {KEY}), "offset", probability, logit,
            predicted_label, truth, n_tokens, n_tokens_used, oov_rate, {_words("top_contributing")},
            {_words("top_attended")}, rest_contribution::double + coalesce(list_sum(list_transform(
                top_contributing[{WORDS + 1}:], lambda w: w.contribution::double)), 0){values}
        from {JUDGED} join (
            select map(list(list), list(rank)) as lists, min((list_position({list(LISTS)!r}, list), rank)) as place,
                {_KEY}
            from {CHOSEN} group by {_KEY}
        ) c using ({_KEY})
        order by c.place, {_KEY}
    """).fetchall()
    return tuple(_review(row, shown) for row in rows)


def _words(column: str) -> str:
    return f"""list_transform({column}[1:{WORDS}], lambda w: ({cut_sql("w.token", TOKEN)}, w.position,
        w.char_start, w.char_end, w.attention, w.contribution))"""


def _review(row: tuple[Any, ...], shown: list[str]) -> Review:
    lists, _, record_id, source, offset, probability, logit, label, truth, n_tokens, used, oov_rate = row[:12]
    contributing, attended, rest, *values = row[12:]
    ranks = ({word[1]: rank for rank, word in enumerate(words, 1)} for words in (contributing, attended))
    contributing_ranks, attended_ranks = ranks
    words = {word[1]: word for word in (*attended, *contributing)}
    return Review(
        record_id=record_id,
        source=source,
        offset=offset,
        lists=tuple(name for name in LISTS if name in lists),
        ranks=tuple(lists[name] for name in LISTS if name in lists),
        probability=_shortest(probability),
        logit=_shortest(logit),
        label=label,
        truth=truth,
        n_tokens=n_tokens,
        n_tokens_used=used,
        oov_rate=_shortest(oov_rate),
        words=tuple(
            ListedWord(
                *(token, position, start, end),
                attention=_shortest(attention),
                contribution=_shortest(contribution),
                contributing_rank=contributing_ranks.get(position),
                attended_rank=attended_ranks.get(position),
            )
            for position, (token, _, start, end, attention, contribution) in sorted(words.items())
        ),
        rest=_shortest(rest),
        kept=tuple((cut(name, NAME), value or "") for name, value in zip(shown, values, strict=True)),
    )


def _shortest(value: float) -> float:
    """A float32 with the fewest digits that tell it from all others; a page holds thousands of them."""
    return float(str(np.float32(value))) if math.isfinite(value) else 0.0
