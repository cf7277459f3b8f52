"""Groups that moved -> the words and phrases that set their reviews apart from those of others, and from their past.

Only reviews of one label are compared with each other: a group that fell has more negative reviews, and with them more
of everybody's *worst* and *boring*, which is no reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from batch_scorer.analysis.evidence import signed_root
from batch_scorer.analysis.quoting import cut_sql, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WORDS = 5  # per group
FEWEST = 3  # reviews that list a word
BEYOND = 3.5  # standard deviations, from either: among ten thousand words, few exceed them by chance
SAMPLE = 500_000  # reviews of others that are read, about: more would not tell more
CHARACTERS = 60  # of a word or phrase
_KEY = 'record_id, source, "offset"'
_OF_PARTS = "{} in (select value from parts)"  # before anything is made of the other rows


@dataclass(frozen=True)
class Part:
    """The reviews of a group that are to be explained.

    Args:
        value: the group, as `groups.value_of` gives it.
        label: of the reviews, `positive` or `negative`.
        since: the index of the first period; None: all reviews, without a past.
    """

    value: str
    label: str
    since: int | None


@dataclass(frozen=True)
class ApartWord:
    """A word or phrase that sets reviews apart, with its share of the reviews of the same label.

    Args:
        text: the word or phrase.
        reviews: how many reviews of the part list it.
        share: of the part's reviews; `before`: of the group's earlier ones, None if it has none; `others`: of other
            groups' reviews of the same time.
        z: how far it is from the nearer of the two, in standard deviations.
    """

    text: str
    reviews: int
    share: float
    before: float | None
    others: float
    z: float


@dataclass(frozen=True)
class Setting:
    """Where the reviews are.

    Args:
        rows: a view with our columns.
        value_sql, period_sql: SQL of a review's group and period, as in `Groups` and `Course`.
        phrases_sql: SQL of a list of further {text, contribution} structs of a review; None without phrases.
        reviews: how many there are.
    """

    rows: str
    value_sql: str
    period_sql: str
    reviews: int
    phrases_sql: str | None = None

    @property
    def listed(self) -> str:
        """SQL of what a review lists, as a list of {text, contribution} structs."""
        words = f"list_transform(top_contributing, lambda w: {_struct('w.token')})"
        return words if self.phrases_sql is None else f"list_concat({words}, coalesce({self.phrases_sql}, []))"


def _struct(text: str, item: str = "w") -> str:
    return f"{{'text': {cut_sql(text, CHARACTERS)}, 'contribution': {item}.contribution::double}}"


def phrases(text_sql: str) -> str:
    """SQL of the phrases in the column `top_spans`, whose text has to be at hand; single words are listed anyway."""
    text = f"lower(substring({text_sql}, s.char_start + 1, s.char_end - s.char_start))"
    return f"list_transform(list_filter(top_spans, lambda s: s.n_words > 1), lambda s: {_struct(text, 's')})"


def words_apart(db: DuckDBPyConnection, setting: Setting, parts: Sequence[Part]) -> list[tuple[ApartWord, ...]]:
    """For each part, the words that set it apart, best first; leaves the temporary table `parts` behind."""
    _create_parts(db, parts)
    every = max(1, setting.reviews // SAMPLE)
    sampled = f'hash(source, "offset") % {every} = 0'
    db.execute(f"""
        create or replace temp table part_words as
        with part_rows as (
            select part, since is null or period >= since as is_now, is_sampled, listed
            from (select {setting.value_sql} as value, predicted_label as label, {setting.period_sql} as period,
                {sampled} as is_sampled, {setting.listed} as listed
                from {setting.rows} where {_OF_PARTS.format(setting.value_sql)})
            join parts using (value, label) where since is null or period is not null
        )
        select part, text, is_now, sum(adds) as adds, sum(n)::bigint as n, sum(s)::bigint as s from (
            select part, is_now, w.text as text, w.contribution as adds, 0 as n, 0 as s
            from (select part, is_now, unnest(listed) as w from part_rows)
            union all
            select part, is_now, unnest(list_distinct(list_transform(listed, lambda w: w.text))), 0, 1,
                is_sampled::integer
            from part_rows
            union all
            select part, is_now, null, 0, 1, is_sampled::integer from part_rows
        ) group by all
    """)
    db.execute(f"""
        create or replace temp table all_words as
        with rows as (
            select predicted_label as label, {setting.period_sql} as period, {setting.listed} as listed
            from {setting.rows} where {sampled} and predicted_label in (select label from parts)
        )
        select label, period, text, count(*) as n from (
            select label, period, unnest(list_distinct(list_transform(listed, lambda w: w.text))) as text from rows
        ) semi join (select text from part_words where is_now and n >= {FEWEST}) using (text) group by all
        union all select label, period, null, count(*) from rows group by all
    """)
    return [_best(db, at, part) for at, part in enumerate(parts)]


def _create_parts(db: DuckDBPyConnection, parts: Sequence[Part]) -> None:
    db.execute("create or replace temp table parts (part bigint, value varchar, label varchar, since bigint)")
    for at, part in enumerate(parts):
        db.execute("insert into parts values (?, ?, ?, ?)", [at, part.value, part.label, part.since])


def _best(db: DuckDBPyConnection, at: int, part: Part) -> tuple[ApartWord, ...]:
    time = "true" if part.since is None else f"period >= {part.since}"
    rows = db.execute(f"""
        select now.text, now.n, now.adds, coalesce(past.n, 0), coalesce(others.n, 0) - now.s
        from (from part_words where part = {at} and is_now and (text is null or n >= {FEWEST})) as now
        left join (from part_words where part = {at} and not is_now) as past on now.text is not distinct from past.text
        left join (
            select text, sum(n)::bigint as n from all_words where label = {literal(part.label)} and {time} group by text
        ) as others on now.text is not distinct from others.text
        order by now.text is not null, now.text
    """).fetchall()
    if len(rows) < 2:
        return ()
    (_, reviews, _, past_reviews, others_reviews), *words = rows
    now, past, others = (np.array([row[i] for row in words], np.int64) for i in (1, 3, 4))
    sign = 1.0 if part.label == "positive" else -1.0
    pushes = np.array([row[2] for row in words]) * sign > 0
    zero = np.zeros(len(words))

    def beyond(counts: np.ndarray, of: int) -> np.ndarray:
        if of <= 0:
            return np.full(len(words), np.inf)
        return signed_root(now, np.full(len(words), reviews), counts, np.full(len(words), of), zero)

    z = np.minimum(beyond(past, past_reviews), beyond(others, others_reviews))
    z = np.where(pushes & np.isfinite(z), z, 0.0)
    best: list[ApartWord] = []
    for i in np.argsort(-z, kind="stable"):
        if z[i] < BEYOND or len(best) == WORDS:
            break
        text = words[i][0]
        if any(_is_part(text, word.text) or _is_part(word.text, text) for word in best):
            continue
        before = past[i] / past_reviews if past_reviews else None
        share_of_others = others[i] / others_reviews if others_reviews > 0 else 0.0
        best.append(ApartWord(text, int(now[i]), now[i] / reviews, before, share_of_others, float(z[i])))
    return tuple(best)


def _is_part(text: str, of: str) -> bool:
    return f" {text} " in f" {of} "


def examples(
    db: DuckDBPyConnection, setting: Setting, words: Sequence[tuple[ApartWord, ...]], each: int
) -> list[tuple[int, str, str, int]]:
    """Reviews of the parts of `words_apart`: those that list most of a part's words, then the most decided ones.

    Of reviews that repeat each other, as far as logit and words tell, there is one.

    Returns:
        Part, record_id, source and offset of up to `each` reviews per part, best first.
    """
    db.execute("create or replace temp table apart (part bigint, texts varchar[])")
    for at, found in enumerate(words):
        db.execute("insert into apart values (?, ?)", [at, [word.text for word in found]])
    return db.execute(f"""
        select part, {_KEY} from (
            select part, {_KEY}, logit, list_transform(listed, lambda w: w.text) as found, texts
            from (select {_KEY}, logit, {setting.value_sql} as value, predicted_label as label,
                {setting.period_sql} as period, {setting.listed} as listed from {setting.rows}
                where {_OF_PARTS.format(setting.value_sql)})
            join parts using (value, label) join apart using (part)
            where isfinite(logit) and (since is null or period >= since)
            qualify row_number() over (partition by part, logit, found order by {_KEY}) = 1
        )
        qualify row_number() over (partition by part
            order by len(list_intersect(found, texts)) desc, abs(logit) desc, {_KEY}) <= {each}
        order by part, len(list_intersect(found, texts)) desc, abs(logit) desc, {_KEY}
    """).fetchall()
