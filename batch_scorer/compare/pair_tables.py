"""Two runs -> the temporary tables of their comparison: `reviews`, `tokens` and `words`, which may spill to disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from batch_scorer.analysis.labels import truth
from batch_scorer.analysis.quoting import identifier, literal
from batch_scorer.analysis.statistics import Z
from batch_scorer.compare.result import DISTRIBUTION, PLACE, RECORD_ID
from batch_scorer.formats.labels import Labels

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Way of comparing -> the columns that identify a review.
KEYS = {RECORD_ID: ("record_id",), PLACE: ("source", '"offset"')}
MIN_SHARED = 0.01  # of the smaller run: below this share, the two runs are taken to be of different reviews


def find_repeated(db: DuckDBPyConnection, by: str) -> None:
    """Creates `repeated`: the ids that a run has more than once, whose rows would multiply in a join."""
    keys = ", ".join(KEYS[by])
    db.execute(f"""
create temp table repeated as
select {keys}, count(*) filter (in_a) as in_a, count(*) filter (not in_a) as in_b
from (select {keys}, true as in_a from a_predictions union all select {keys}, false from b_predictions)
group by {keys} having count(*) filter (in_a) > 1 or count(*) filter (not in_a) > 1""")


def count_shared(db: DuckDBPyConnection, by: str) -> int:
    """How many ids are in both runs, not counting repeated ones."""
    keys = ", ".join(KEYS[by])
    row = db.execute(f"""
select count(*) from (select {keys} from a_predictions anti join repeated using ({keys}))
semi join b_predictions using ({keys})""").fetchone()
    assert row is not None
    return int(row[0])


def pair_reviews(
    db: DuckDBPyConnection,
    by: str,
    labels: Labels | None,
    temperatures: tuple[str, str],
    group_by: Sequence[str] = (),
) -> None:
    """Creates `reviews`: by id, one row per review that is in either run; by distribution, one per review of each run.

    Rows are numbered in the order of their ids.

    Args:
        temperatures: what the logits of `a` and of `b` are divided by, as SQL (`views.temperature`).
        group_by: kept columns, which become `group_0`, `group_1` and so on; where the runs differ, B's value counts.
    """
    truth_a, truth_b = (
        truth(labels, f"{side}.{identifier(labels.column)}") if labels else "cast(null as varchar)" for side in "ab"
    )
    if by == DISTRIBUTION:
        a, b, condition = "a_predictions", "b_predictions", "false"
    else:
        keys = ", ".join(KEYS[by])
        a, b = (f"(from {side}_predictions anti join repeated using ({keys}))" for side in "ab")
        condition = " and ".join(f"a.{key} = b.{key}" for key in KEYS[by])
    columns = f"""
  coalesce(a.record_id, b.record_id) as record_id, coalesce(a.source, b.source) as source,
  coalesce(a."offset", b."offset") as "offset",
  a.probability as probability_a, b.probability as probability_b,
  cast(b.probability as double) - cast(a.probability as double) as change,
  a.logit as logit_a, b.logit as logit_b,
  cast({temperatures[0]} as double) as divisor_a, cast({temperatures[1]} as double) as divisor_b,
  a.predicted_label as label_a, b.predicted_label as label_b,
  a.predicted_label <> b.predicted_label as flipped,
  a.record_id is not null as in_a, b.record_id is not null as in_b,
  a.n_tokens as n_tokens_a, b.n_tokens as n_tokens_b, {truth_a} as truth_a, {truth_b} as truth_b"""
    for at, name in enumerate(group_by):
        columns += f", coalesce(b.{identifier(name)}::varchar, a.{identifier(name)}::varchar) as group_{at}"
    db.execute(f"""
create temp table reviews as
select row_number() over (order by record_id, source, "offset", in_b) as review, *,
  case when truth_a is null then truth_b when truth_b is null or truth_a = truth_b then truth_a end as truth
from (select {columns} from {a} as a full join {b} as b on {condition})""")


def pair_tokens(db: DuckDBPyConnection, by: str, same_pattern: bool = True) -> None:
    """Creates `tokens`: one row per word of a review that either run lists, by contribution or by attention.

    Ranks are those among the contributing words; they are null for a word that is only attended to.

    Args:
        same_pattern: whether both runs take the same for words; else words are paired by where they begin in the text,
            and `position` is that in run A, if it lists the word.
    """
    # By distribution, ids identify nothing, but a run has each source and offset once. Only our columns are selected: a
    # kept column named `w` or `i` would be hidden by the arguments of the lambdas.
    keys = KEYS.get(by, KEYS[PLACE])
    sides = "\n  union all\n".join(
        f"""  select review, {literal(side)} as side, unnest(list_concat(
    list_transform(top_contributing, lambda w, i: struct_insert(w, rank := i)),
    list_transform(top_attended, lambda w, i: struct_insert(w, rank := cast(null as bigint))))) as w
  from (select {", ".join(keys)}, top_contributing, top_attended from {side}_predictions)
    join (select review, {", ".join(keys)} from reviews where in_{side}) using ({", ".join(keys)})"""
        for side in "ab"
    )
    db.execute(f"""
create temp table tokens as
select review, coalesce(min(w.position) filter (side = 'a'), min(w.position)) as position, w.token as token,
  max(w.contribution) filter (side = 'a') as contribution_a, max(w.contribution) filter (side = 'b') as contribution_b,
  min(w.rank) filter (side = 'a') as rank_a, min(w.rank) filter (side = 'b') as rank_b
from (
{sides}
)
group by review, {"w.position" if same_pattern else "w.char_start"}, w.token""")


def sum_words(db: DuckDBPyConnection, by: str, listed: int) -> None:
    """Creates `words`: each word's sums over the reviews compared, where it is among the first `listed` contributing.

    A contribution divided by the temperature of its review is what it adds to the log odds of the probability, a scale
    that all models share. Sums are per 1,000 reviews.

    The margin of a change is that of a mean over the reviews, most of which do not list the word. By distribution it is
    that of a difference of two samples, by id that of the differences in the reviews in both. It is null where there is
    one review only, which says nothing of others.
    """
    compared = "true" if by == DISTRIBUTION else "in_a and in_b"
    sums = ", ".join(
        f"count(*) filter (rank_{s} <= {listed}) as times_{s}, "
        f"coalesce(fsum(cast(contribution_{s} as double)) filter (rank_{s} <= {listed}), 0) as contribution_{s}, "
        f"coalesce(fsum(contribution_{s} / divisor_{s}) filter (rank_{s} <= {listed}), 0) as scaled_{s}, "
        f"coalesce(fsum((contribution_{s} / divisor_{s}) ** 2) filter (rank_{s} <= {listed}), 0) as squares_{s}"
        for s in "ab"
    )
    difference = " - ".join(f"if(rank_{s} <= {listed}, contribution_{s} / divisor_{s}, 0)" for s in "ba")
    sums += f", fsum(({difference}) ** 2) as squares"
    scaled = ", ".join(f"scaled_{s} / greatest(reviews_{s}, 1) * 1000 as log_odds_{s}" for s in "ab")
    # The variances of a word's mean over all reviews, most of which contribute 0 and enter by number only. Rounding may
    # leave a little less than 0.
    if by == DISTRIBUTION:
        variances = [_variance(f"squares_{s}", f"scaled_{s}", f"reviews_{s}") for s in "ab"]
    else:
        variances = [_variance("squares", "(scaled_b - scaled_a)", "reviews_a")]
    margin = f"if(least(reviews_a, reviews_b) > 1, 1000 * {Z} * sqrt(greatest({' + '.join(variances)}, 0)), null)"
    db.execute(f"""
create temp table words as
select *, log_odds_b - log_odds_a as change
from (
  select token, times_a, times_b, contribution_a, contribution_b, {scaled}, {margin} as margin
  from (select token, {sums} from tokens join (from reviews where {compared}) using (review) group by token),
    (select count(*) filter (in_a) as reviews_a, count(*) filter (in_b) as reviews_b from reviews where {compared})
  where times_a + times_b > 0
)""")


def _variance(squares: str, total: str, reviews: str) -> str:
    """SQL of the variance of a mean over `reviews`, from the sum of the values and of their squares."""
    return f"({squares} - {total} ** 2 / {reviews}) / {reviews} ** 2"
