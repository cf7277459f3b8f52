"""Hashes of texts and ids: known values, since rows of years ago are compared by them."""

from __future__ import annotations

import hashlib

import duckdb
import numpy as np

from batch_scorer.runs.hashes import id_hashes, text_hashes

TEXTS = ["", "abc", "A lovely, warm film.", "ужасный фильм", "\U0001f600 \u2028 ok", "x" * 100_000]


def test_text_hashes_are_what_they_have_always_been() -> None:
    assert [0xE3B0C44298FC1C14, 0xBA7816BF8F01CFEA] == text_hashes(TEXTS[:2]).tolist()  # of SHA-256's known values
    assert np.uint64 == text_hashes([]).dtype and (0,) == text_hashes([]).shape


def test_text_hash_is_what_sql_makes_of_a_text() -> None:
    query = "select ('0x' || left(sha256(?), 16))::ubigint"
    assert text_hashes(TEXTS).tolist() == [duckdb.execute(query, [text]).fetchall()[0][0] for text in TEXTS]


def test_id_hashes_are_the_first_half_of_sha_256() -> None:
    expected = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big") for text in TEXTS]
    assert expected == [(high << 64) + low for high, low in id_hashes(TEXTS).tolist()]
    assert (0, 2) == id_hashes([]).shape
