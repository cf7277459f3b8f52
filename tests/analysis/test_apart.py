"""The words that set a group apart: its own new ones, not everybody's."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from batch_scorer.analysis.apart import ApartWord, Part, Setting, examples, phrases, words_apart

LAMP, ALWAYS = Part("lamp", "negative", 1), Part("lamp", "negative", None)


@pytest.fixture(scope="module")
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    """2,000 reviews of five products in two periods; negative ones list *worst*, those of lamps *shade* as well.

    In the second period, half of the negative reviews of lamps list *flicker*, and their text says *went dark*.
    """
    rng = np.random.default_rng(3)
    rows = []
    for at in range(2_000):
        product, period, is_bad = ("lamp", "desk", "chair", "clock", "kettle")[at % 5], at // 1_000, at % 3 == 0
        words = ["worst", "dull"] if is_bad else ["great"]
        words += ["shade"] if product == "lamp" else []
        reason = product == "lamp" and period == 1 and is_bad and rng.random() < 0.5
        words += ["flicker", "zigzag"] if reason else []
        text = "It went dark again." if reason else "It is what it is."
        listed = [{"token": word, "contribution": -1.0 if is_bad and word != "zigzag" else 1.0} for word in words]
        span = {"char_start": 3, "char_end": 12, "n_words": 2, "contribution": -1.0}
        label = "negative" if is_bad else "positive"
        rows.append((f"r{at:04d}", "s", at, product, period, label, -2.0 - at / 1e4, listed, text, [span]))
    names = ("record_id", "source", "offset", "product", "period", "predicted_label", "logit", "top_contributing")
    table = pa.Table.from_pylist([dict(zip((*names, "text", "top_spans"), row, strict=True)) for row in rows])
    with duckdb.connect() as connection:
        connection.register("arrow_rows", table)
        connection.execute("create table reviews as select * from arrow_rows")
        yield connection


def setting(phrases_sql: str | None = None) -> Setting:
    return Setting("reviews", "product", "period", 2_000, phrases_sql)


def texts(words: tuple[ApartWord, ...]) -> list[str]:
    return [word.text for word in words]


def test_reason_sets_the_group_apart_and_everybodys_words_do_not(db: duckdb.DuckDBPyConnection) -> None:
    # Neither *worst*, which all negative reviews list, nor *shade*, which lamps always do.
    ((word,),) = words_apart(db, setting(), [LAMP])
    (reviews,) = db.execute("""
        select count(*) filter ('flicker' in list_transform(top_contributing, lambda w: w.token)), count(*)
        from reviews where product = 'lamp' and period = 1 and predicted_label = 'negative'
    """).fetchall()
    assert ("flicker", reviews[0], 0, 0) == (word.text, word.reviews, word.before, word.others)
    assert reviews[0] / reviews[1] == pytest.approx(word.share)


def test_word_that_pushes_the_other_way_is_no_reason(db: duckdb.DuckDBPyConnection) -> None:
    assert "zigzag" not in texts(words_apart(db, setting(), [LAMP])[0])


def test_without_a_past_a_group_is_set_apart_from_the_others_only(db: duckdb.DuckDBPyConnection) -> None:
    (words,) = words_apart(db, setting(), [ALWAYS])
    assert ["shade", "flicker"] == texts(words)
    assert [None, None] == [word.before for word in words]


def test_phrases_count_where_the_text_is_at_hand_and_replace_their_words(db: duckdb.DuckDBPyConnection) -> None:
    (words,) = words_apart(db, setting(phrases("text")), [LAMP])
    assert {"went dark", "flicker"} == set(texts(words))


def test_group_that_is_like_the_others_has_no_words(db: duckdb.DuckDBPyConnection) -> None:
    assert [(), ()] == words_apart(db, setting(), [Part("desk", "negative", 1), Part("no such", "negative", 1)])


def test_examples_list_the_words_of_their_group(db: duckdb.DuckDBPyConnection) -> None:
    words = words_apart(db, setting(), [LAMP, Part("desk", "negative", 1)])
    found = examples(db, setting(), words, 2)
    assert [0, 0, 1, 1] == [part for part, *_ in found]
    for part, record_id, _, _ in found:
        ((product, period, tokens),) = db.execute(
            "select product, period, list_transform(top_contributing, lambda w: w.token) from reviews "
            f"where record_id = '{record_id}'"
        ).fetchall()
        assert (("lamp", "desk")[part], 1) == (product, period)
        assert part or "flicker" in tokens


def test_review_that_is_there_several_times_is_one_example(db: duckdb.DuckDBPyConnection) -> None:
    ((_, first, *_), *_) = examples(db, setting(), words_apart(db, setting(), [LAMP]), 1)
    db.execute(f"insert into reviews select * replace ('copy' as record_id) from reviews where record_id = '{first}'")
    try:
        found = examples(db, setting(), words_apart(db, setting(), [LAMP]), 3)
    finally:
        db.execute("delete from reviews where record_id = 'copy'")
    assert (3, 1) == (len(found), sum(name in (first, "copy") for _, name, *_ in found))
