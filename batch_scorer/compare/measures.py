"""The temporary tables of a comparison -> its figures: each function is one question, asked in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batch_scorer.analysis.quoting import literal
from batch_scorer.analysis.statistics import mcnemar, proportion
from batch_scorer.compare.pair_tables import KEYS
from batch_scorer.compare.result import (
    DISTRIBUTION,
    Agreement,
    Changes,
    MovedReview,
    MovedWord,
    Pairs,
    Truth,
    WordChange,
)
from batch_scorer.formats.labels import Labels

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WORDS_PER_REVIEW = 4
_RIGHT = "count(*) filter (label_{0} = truth)"


def _row(db: DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = db.execute(sql).fetchone()
    assert row is not None  # every query here aggregates, which always returns a row
    return tuple(row)


def pairs(db: DuckDBPyConnection, by: str, same_pattern: bool = True) -> Pairs:
    """How many reviews are in both runs, and what happened to the others.

    Args:
        same_pattern: whether both runs take the same for words; else their counts of words tell nothing of the texts.
    """
    keys = ", ".join(KEYS[by])

    def rejected(side: str, other: str) -> int:
        # An id may be rejected more than once: count reviews, not rejections.
        count: int = _row(
            db,
            f"""
select count(*) from (from reviews where in_{other} and not in_{side}) semi join {side}_errors using ({keys})""",
        )[0]
        return count

    both, only_a, only_b = _row(
        db,
        """
select count(*) filter (in_a and in_b), count(*) filter (not in_b), count(*) filter (not in_a) from reviews""",
    )
    repeated, left_out_a, left_out_b = _row(
        db,
        """
select count(*), coalesce(sum(in_a), 0)::bigint, coalesce(sum(in_b), 0)::bigint from repeated""",
    )
    (other_text,) = _row(
        db,
        f"""
select count(*) from reviews left join (
  select review, count(*) > count(distinct position) as differs from tokens group by review) using (review)
where in_a and in_b and {literal(same_pattern)} and (n_tokens_a <> n_tokens_b or coalesce(differs, false))""",
    )
    return Pairs(
        both, only_a, only_b, rejected("a", "b"), rejected("b", "a"), repeated, left_out_a, left_out_b, other_text
    )


def changes(db: DuckDBPyConnection, threshold_a: float) -> Changes:
    """How the scores of the reviews in both runs changed."""
    scores = _row(
        db,
        f"""
select count(*) filter (flipped), count(*) filter (flipped and label_b = 'positive'),
  count(*) filter (flipped and label_b = 'negative'),
  count(*) filter (flipped and label_a = if(probability_b >= {literal(float(threshold_a))}, 'positive', 'negative')),
  avg(abs(change)), median(abs(change)), count(*) filter (abs(change) > 0.1), count(*) filter (abs(change) > 0.5),
  case when min(logit_a) < max(logit_a) and min(logit_b) < max(logit_b)
    then corr(cast(logit_a as double), cast(logit_b as double)) end,
  count(*) filter (probability_a = probability_b and logit_a = logit_b and not flipped)
from reviews where in_a and in_b""",
    )
    (other_words,) = _row(
        db,
        """
select count(*) from tokens semi join (from reviews where in_a and in_b) using (review)
where contribution_a is distinct from contribution_b or rank_a is distinct from rank_b""",
    )
    flipped, to_positive, to_negative, by_threshold, mean, median, over_tenth, over_half, correlation, identical = (
        scores
    )
    return Changes(
        flipped, to_positive, to_negative, by_threshold, mean, median, over_tenth, over_half, correlation, identical,
        same_words=other_words == 0,
    )  # fmt: skip


def agreement(db: DuckDBPyConnection, listed: int) -> Agreement | None:
    """How far both runs list the same words, among the first `listed` of each review; None if neither lists any."""
    sums = ", ".join(
        f"sum(contribution_{s}) filter (rank_{s} <= {listed}) / any_value(divisor_{s}) as sum_{s}" for s in "ab"
    )
    reviews, overlap, same_first, sum_a, sum_b = _row(
        db,
        f"""
select count(*), avg(shared / listed), count(*) filter (same_first),
  avg(abs(coalesce(sum_a, 0))), avg(abs(coalesce(sum_b, 0)))
from (
  select count(*) filter (rank_a <= {listed} and rank_b <= {listed}) as shared, count(*) as listed,
    bool_or(coalesce(rank_a = 1 and rank_b = 1, false)) as same_first, {sums}
  from tokens join (from reviews where in_a and in_b) using (review)
  where rank_a <= {listed} or rank_b <= {listed} group by review)""",
    )
    if not reviews:
        return None
    return Agreement(reviews, overlap, same_first, sum_a, sum_b)


def moved_reviews(db: DuckDBPyConnection, rows: int) -> tuple[MovedReview, ...]:
    """The reviews whose probability changed most, each with the words whose share of the log odds changed most."""
    moved = db.execute(f"""
select review, record_id, source, "offset", probability_a, probability_b, logit_a, logit_b, label_a, label_b, truth
from reviews where in_a and in_b and change <> 0 order by abs(change) desc, review limit {rows}""").fetchall()
    words: dict[int, list[MovedWord]] = {row[0]: [] for row in moved}
    if words:
        # A word that only one run lists changed by an unknown amount: it is ranked by the contribution that is known.
        for review, *word in db.execute(f"""
select review, token, position, a, b
from (select review, token, position, contribution_a / divisor_a as a, contribution_b / divisor_b as b
  from tokens join reviews using (review) where review in ({", ".join(map(str, words))}))
qualify row_number() over (partition by review order by abs(coalesce(b - a, a, b)) desc, position, token)
  <= {WORDS_PER_REVIEW}
order by review, abs(coalesce(b - a, a, b)) desc, position, token""").fetchall():
            words[review].append(MovedWord(*word))
    names = (
        "record_id",
        "source",
        "offset",
        *(f"{n}_{s}" for n in ("probability", "logit", "label") for s in "ab"),
        "truth",
    )
    return tuple(
        MovedReview(**dict(zip(names, row, strict=True)), words=tuple(words[review])) for review, *row in moved
    )


def word_changes(db: DuckDBPyConnection, rows: int) -> tuple[WordChange, ...]:
    """The words whose summed contributions changed with the most evidence, leaving out those inside their margin.

    The largest sums are of frequent words, which change by chance. What tells a change from chance is how often it is
    as large as its margin (Monroe et al. 2008, "Fightin' Words"). Words without a margin come last, by size.
    """
    return tuple(
        WordChange(*row)
        for row in db.execute(f"""
select token, times_a, times_b, contribution_a, contribution_b, log_odds_a, log_odds_b, change, margin
from words where change <> 0 and (margin is null or abs(change) > margin)
order by margin / abs(change) nulls last, abs(change) desc, token limit {rows}""").fetchall()
    )


def truth(db: DuckDBPyConnection, labels: Labels, by: str) -> Truth:
    """How often each run is right: by id on the reviews in both, by distribution on each run's own reviews."""
    contradicted, unlabelled, in_a, in_b, right_a, right_b, only_a, only_b = _row(
        db,
        f"""
select count(*) filter (truth_a <> truth_b), count(*) filter (truth_a is null and truth_b is null),
  count(truth) filter (in_a), count(truth) filter (in_b), {_RIGHT.format("a")}, {_RIGHT.format("b")},
  count(*) filter (label_a = truth and label_b <> truth), count(*) filter (label_b = truth and label_a <> truth)
from reviews where {"true" if by == DISTRIBUTION else "in_a and in_b"}""",
    )
    a, b = proportion(right_a, in_a), proportion(right_b, in_b)
    named = labels.column, labels.positive_text, labels.negative_text
    if by == DISTRIBUTION:
        return Truth(*named, unlabelled, 0, a, b, None, None, None, labels.remarks)
    p = mcnemar(only_a, only_b)
    return Truth(*named, unlabelled, contradicted, a, b, only_a, only_b, p, labels.remarks)
