"""A run's rows -> the reviews to look at: most positive, most negative, least certain and most surprising."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from batch_scorer.analysis.quoting import cut_sql
from batch_scorer.report.budget import (
    IDS_BYTES,
    KEPT_COLUMNS,
    NAME,
    PHRASES,
    TOKEN,
    VALUE,
    WORDS,
    cut,
    page_bytes,
)
from batch_scorer.report.findings import (
    LEAST_CERTAIN,
    LISTS,
    MOST_NEGATIVE,
    MOST_POSITIVE,
    MOST_SURPRISING,
    MOVERS,
    ListedPhrase,
    ListedWord,
    Review,
)
from batch_scorer.report.quality import LABELLED
from batch_scorer.scoring.run_texts import KEY

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SELECTED = "selected"  # the table: list, rank, and the columns that identify a review
_KEY = 'record_id, source, "offset"'
_MIN_SHARE = 1e-9  # a threshold of exactly 0 or 1 has no logit


def select_reviews(connection: DuckDBPyConnection, threshold: float, count: int) -> None:
    """Creates the table `SELECTED` of up to `count` reviews per list. Ties are broken by id, source and offset.

    Reviews are compared in log odds, which are logits divided by the temperature: a review is certain if it is far from
    those at which the label changes, and surprising if certain and wrong.
    """
    share = min(max(threshold, _MIN_SHARE), 1 - _MIN_SHARE)
    log_odds = "logit::double / temperature"
    distance = f"abs({log_odds} - {math.log(share / (1 - share))!r}::double)"
    orders = {
        MOST_POSITIVE: ("predicted_label = 'positive'", f"{log_odds} desc"),
        MOST_NEGATIVE: ("predicted_label = 'negative'", log_odds),
        LEAST_CERTAIN: ("true", distance),
        MOST_SURPRISING: ("truth != predicted_label", f"{distance} desc"),
    }
    selects = [
        f"""select '{name}' as list, row_number() over (order by {order}, {_KEY}) as rank, {_KEY} from (
            select {_KEY}, logit, temperature from {LABELLED}
            where {where} and isfinite(logit) and isfinite(probability)
            order by {order}, {_KEY} limit {count}
        )"""
        for name, (where, order) in orders.items()
    ]
    connection.execute(f"create temp table {SELECTED} as {' union all '.join(selects)}")


def read_reviews(
    connection: DuckDBPyConnection, kept: Mapping[str, str], text_column: str | None
) -> tuple[Review, ...]:
    """The selected reviews, list by list in the order of `LISTS`, best first; without their texts.

    Args:
        kept: name -> column of the kept columns.
        text_column: the name of the one with the text, which is left out.
    """
    names = [name for name in kept if name != text_column][:KEPT_COLUMNS]
    values = "".join(f", {cut_sql(f'{kept[name]}::varchar', VALUE)}" for name in names)
    rows = connection.execute(f"""
        select c.lists, c.place, left(record_id, {KEY}), left(source, {KEY}), "offset", probability, logit,
            predicted_label, truth, n_tokens, n_tokens_used, oov_rate, temperature, unusual,
            {_words("top_contributing")}, {_words("top_attended")},
            rest_contribution::double + coalesce(list_sum(list_transform(
                top_contributing[{WORDS + 1}:], lambda w: w.contribution::double)), 0),
            coalesce(list_transform(top_spans[:{PHRASES}],
                lambda s: (s.char_start, s.char_end, s.position, s.n_words, s.contribution)), []){values}
        from {LABELLED} join (
            select map(list(list), list(rank)) as lists,
                min((list_position({[*LISTS, MOVERS]!r}, list), rank)) as place, {_KEY}
            from {SELECTED} group by {_KEY}
        ) c using ({_KEY})
        order by c.place, {_KEY}
    """).fetchall()
    return tuple(_review(row, names) for row in rows)


def other_ids(connection: DuckDBPyConnection) -> tuple[str, ...] | None:
    """The ids of the reviews that were not selected, in their order; None where a page has no room for them."""
    rows = connection.execute(f"""
        select left(record_id, {KEY}) from {LABELLED} where ({_KEY}) not in (select ({_KEY}) from {SELECTED})
    """)
    ids, room = list[str](), IDS_BYTES
    while batch := rows.fetchmany(10_000):
        ids += [cut(record_id, NAME) for (record_id,) in batch]
        room -= sum(page_bytes(record_id) - 1 for record_id in ids[-len(batch) :])
        if room < 0:
            return None
    return tuple(ids)


def _words(column: str) -> str:
    return f"""list_transform({column}[1:{WORDS}], lambda w: ({cut_sql("w.token", TOKEN)}, w.position,
        w.char_start, w.char_end, w.attention, w.contribution))"""


def _review(row: tuple[Any, ...], kept_names: list[str]) -> Review:
    lists, _, record_id, source, offset, probability, logit, label, truth, *row_rest = row
    n_tokens, used, oov_rate, temperature, unusual, contributing, attended, rest, phrases, *values = row_rest
    ranks = ({word[1]: rank for rank, word in enumerate(words, 1)} for words in (contributing, attended))
    contributing_ranks, attended_ranks = ranks
    words = {word[1]: word for word in (*attended, *contributing)}
    return Review(
        record_id=record_id,
        source=source,
        offset=offset,
        lists=tuple(name for name in (*LISTS, MOVERS) if name in lists),
        ranks=tuple(lists[name] for name in (*LISTS, MOVERS) if name in lists),
        probability=_shortest(probability),
        logit=_shortest(logit),
        label=label,
        truth=truth,
        n_tokens=n_tokens,
        n_tokens_used=used,
        oov_rate=_shortest(oov_rate),
        temperature=temperature,
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
        unusual=cut(unusual.replace(",", ", "), NAME),
        phrases=tuple(
            ListedPhrase(start, end, position, n_words, _shortest(adds))
            for start, end, position, n_words, adds in phrases
        ),
        kept=tuple((cut(name, NAME), value or "") for name, value in zip(kept_names, values, strict=True)),
    )


def _shortest(value: float) -> float:
    """The shortest decimal that is this float32 and no other: a page has thousands of them."""
    return float(str(np.float32(value))) if math.isfinite(value) else 0.0
