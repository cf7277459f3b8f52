"""The formats: which lines, rows and files become records, and what is wrong with the others."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.formats import compression, csv, text_files
from batch_scorer.formats.records import Fields, Record, Shard
from batch_scorer.formats.text_lines import max_line_bytes, read_lines
from batch_scorer.planning.plan import make_plan
from batch_scorer.schema import ERROR_CODES, Rejection
from batch_scorer.scoring.read import read
from batch_scorer.storage import StoredFile

MakeConfig = Callable[..., ScoreConfig]
BOM = b"\xef\xbb\xbf"
NOT_UTF8 = b"caf\xe9"
PIECES = [b"a", b"\n", b"\r\n", b"\r", b"\x0b\x0c", "\u2028".encode(), "\u0085".encode(), b"seven b"]
FIELDS = Fields("text", None, (), pa.schema([]), 20)


def read_all(config: ScoreConfig) -> tuple[list[dict[str, Any]], list[Rejection]]:
    """Plans and reads: the reviews as rows with their texts, and what was rejected."""
    plan, shards = make_plan(config, "model")
    chunks = [chunk for shard in shards for chunk in read(shard, plan.fields)]
    reviews = [{**row, "text": text} for c in chunks for row, text in zip(c.reviews.to_pylist(), c.texts, strict=True)]
    return reviews, [rejection for chunk in chunks for rejection in chunk.rejected]


def lines_of(data: bytes, max_bytes: int) -> list[tuple[int, bytes | None]]:
    """The lines of `data` and where they begin, counted from the front."""
    lines: list[tuple[int, bytes | None]] = []
    offset = 0
    for line in data.split(b"\n"):
        lines.append((offset, line if len(line) <= max_bytes else None))
        offset += len(line) + 1
    return lines[:-1] if data.endswith(b"\n") or not data else lines


@given(
    data=st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join),
    cuts=st.lists(st.integers(0, 80), max_size=6),
    max_bytes=st.integers(1, 12),
)
@example(data=b"a\nb\nc", cuts=[1, 2, 3], max_bytes=1)
@example(data=b"seven b\na\n", cuts=[7, 8], max_bytes=6)
def test_read_lines_cut_anywhere_yields_each_line_once(data: bytes, cuts: list[int], max_bytes: int) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]

    lines = [
        line
        for start, stop in itertools.pairwise(edges)
        for line in read_lines(io.BytesIO(data), start, stop, max_bytes)
    ]

    assert lines_of(data, max_bytes) == lines


@pytest.mark.parametrize("cut", [1, 1_500_000, 3_000_000, 3_000_001])
def test_read_lines_after_a_line_of_megabytes_continues_with_the_next(cut: int) -> None:
    data = b"x" * 3_000_000 + b"\nnext\n"

    lines = [*read_lines(io.BytesIO(data), 0, cut, 100), *read_lines(io.BytesIO(data), cut, len(data), 100)]

    assert [(0, None), (3_000_001, b"next")] == lines


BAD_LINES = {
    "cut_off": (b'{"text": "cut', "malformed_json"),
    "two_values": (b'{"text": "a"} {"text": "b"}', "malformed_json"),
    "nested_too_deep": (b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "malformed_json"),
    "endless_number": (b'{"text": ' + b"1" * 5_000 + b"}", "malformed_json"),
    "array": (b'["text"]', "not_an_object"),
    "string": (b'"text"', "not_an_object"),
    "number": (b"7", "not_an_object"),
    "null": (b"null", "not_an_object"),
    "not_utf8": (b'{"text": "' + NOT_UTF8 + b'"}', "invalid_utf8"),
    "not_utf8_elsewhere": (b'{"text": "a", "title": "' + NOT_UTF8 + b'"}', "invalid_utf8"),
    "lone_surrogate": (rb'{"text": "half \ud800"}', "lone_surrogate"),
    "no_text": (b'{"txt": "a"}', "missing_text"),
    "null_text": (b'{"text": null}', "missing_text"),
    "numeric_text": (b'{"text": 5}', "text_not_a_string"),
    "boolean_text": (b'{"text": false}', "text_not_a_string"),
    "list_text": (b'{"text": ["a"]}', "text_not_a_string"),
    "long_list_text": (b'{"text": [' + b"1, " * 1_000 + b"1]}", "text_not_a_string"),
    "object_text": (b'{"text": {"a": 1}}', "text_not_a_string"),
    "large_text": (b'{"text": "' + "é".encode() * 50_001 + b'"}', "text_too_large"),
    "endless_line": (b'{"text": "' + b"a" * 900_000 + b'"}', "text_too_large"),
}


@pytest.mark.parametrize(("line", "code"), BAD_LINES.values(), ids=BAD_LINES)
def test_jsonl_bad_line_is_rejected_with_its_code_and_neighbours_kept(
    line: bytes, code: str, jsonl_file: Callable[..., Path], config: MakeConfig
) -> None:
    path = jsonl_file({"text": "before"}, line, {"text": "after"})

    reviews, rejected = read_all(config(path, max_text_bytes=100_000))

    assert [(0, "before"), (19 + len(line) + 1, "after")] == [(r["offset"], r["text"]) for r in reviews]
    assert [(str(path), 19, code)] == [(r.source, r.offset, r.code) for r in rejected]
    assert code in ERROR_CODES
    assert len(rejected[0].excerpt or "") <= 1_000  # a chunk holds thousands of these


def test_jsonl_all_bad_lines_together_are_each_rejected_once(
    jsonl_file: Callable[..., Path], config: MakeConfig
) -> None:
    path = jsonl_file({"text": "before"}, *(line for line, _ in BAD_LINES.values()), {"text": "after"})

    reviews, rejected = read_all(config(path, max_text_bytes=100_000))

    assert ["before", "after"] == [r["text"] for r in reviews]
    assert [code for _, code in BAD_LINES.values()] == [r.code for r in rejected]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (BOM + b'{"text": "mark"}', "mark"),
        (b'{"text": "carriage"}\r', "carriage"),
        (b' \t{"text": "blanks"} ', "blanks"),
        (b'{"text": "first", "text": "last"}', "last"),
        (b'{"text": "number", "rating": NaN}', "number"),
        ('{"text": "a\u2028b\u0085c"}'.encode(), "a\u2028b\u0085c"),
        (rb'{"text": "\ud83d\ude00"}', "\U0001f600"),
        (b'{"text": ""}', ""),
    ],
)
def test_jsonl_unusual_line_is_read(
    line: bytes, text: str, jsonl_file: Callable[..., Path], config: MakeConfig
) -> None:
    reviews, rejected = read_all(config(jsonl_file({"text": "before"}, line, {"text": "after"})))

    assert ["before", text, "after"] == [r["text"] for r in reviews]
    assert [] == rejected


def test_jsonl_blank_lines_are_skipped(tmp_path: Path, config: MakeConfig) -> None:
    path = tmp_path / "blank.jsonl"
    path.write_bytes(b'\n\r\n \t\n{"text": "a"}\n\n{"text": "b"}')

    reviews, rejected = read_all(config(path))

    assert ([(6, "a"), (21, "b")], []) == ([(r["offset"], r["text"]) for r in reviews], rejected)


@pytest.mark.parametrize(
    ("values", "kept", "rejected_at"),
    [
        ([1, None, True, "x", 2**70, 2.5, 3.0], [1, None, 3], [2, 3, 4, 5]),
        ([1, 2.5, None], [1.0, 2.5, None], []),
        (["a", 5, ["\ud800"], {"é": 1}], ["a", "5", '["\ufffd"]', '{"é": 1}'], []),
        ([True, 0, "true", False], ["true", "0", "true", "false"], []),
    ],
)
def test_jsonl_kept_values_fit_the_column_or_are_rejected(
    values: list[Any], kept: list[Any], rejected_at: list[int], tmp_path: Path, config: MakeConfig
) -> None:
    path = tmp_path / "kept.jsonl"
    lines = [json.dumps({"id": i, "text": "a" * 2_000, "k": value}) + "\n" for i, value in enumerate(values)]
    # What decides the column's type is the sample; the rest comes after it.
    first = 1 if rejected_at else len(lines)
    path.write_text("".join(lines[:first]) + "\n" * (300_000 if rejected_at else 0) + "".join(lines[first:]))

    reviews, rejected = read_all(config(path, id_column="id", kept=(Kept("k", "out"),)))

    assert kept == [r["out"] for r in reviews]
    expected = [(str(i), "kept_value_mismatch", "a" * 1_000) for i in rejected_at]
    assert expected == [(r.record_id, r.code, r.excerpt) for r in rejected]


FILES = {
    "plain": (b"a good film\n", "a good film\n"),
    "byte_order_mark": (BOM + b"marked", "marked"),
    "empty": (b"", ""),
    "at_the_limit": (BOM + b"x" * 20, "x" * 20),
    "not_utf8": (NOT_UTF8, "invalid_utf8"),
    "utf16": ("a film".encode("utf-16"), "invalid_utf8"),
    "utf16_without_mark": ("bad film".encode("utf-16-le"), "invalid_utf8"),  # and yet it is UTF-8, of single letters
    "too_large": (b"x" * 21, "text_too_large"),
    "too_large_by_bytes": ("é".encode() * 11, "text_too_large"),
    "missing": (None, "unreadable"),
}


def test_files_each_kind_in_one_shard_is_told_apart(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{name}.txt") for name in FILES]
    for path, (data, _) in zip(paths, FILES.values(), strict=True):
        if data is not None:
            Path(path).write_bytes(data)

    records = list(text_files.records(Shard(0, "files", tuple(paths)), FIELDS))

    assert paths == [record.source for record in records]
    assert [expected for _, expected in FILES.values()] == [
        r.text if isinstance(r, Record) else r.code for r in records
    ]
    assert [0] * 9 + [None] == [record.offset for record in records]


QUOTES_THAT_MERGE = {
    # The records of a file with a header of two columns, and what is read of them: a text, or None for a bad record.
    "tabs": (".tsv", '"a\t0\nb\t1\nc"\t0\nd\t1\n', [None, "b", 'c"', "d"]),
    "tabs, twice": (".tsv", '"a\t0\nb"\t1\n"c\t0\nd"\t1\n', [None, 'b"', None, 'd"']),
    "tabs, a review of several lines": (".tsv", '"a\nb\tc\nd"\t1\ne\t0\n', ["a\nb\tc\nd", "e"]),
    "tabs, a tab in quotes": (".tsv", '"a\tb"\t1\ne\t0\n', ["a\tb", "e"]),
    "commas": (".csv", '"Well, good\nBad",1\ne,0\n', ["Well, good\nBad", "e"]),
}


@pytest.mark.parametrize("name", QUOTES_THAT_MERGE)
def test_quotes_that_would_merge_records_of_tabs_are_blamed_on_their_line(
    name: str, tmp_path: Path, config: MakeConfig
) -> None:
    ending, data, expected = QUOTES_THAT_MERGE[name]
    path = tmp_path / f"a{ending}"
    path.write_text(f"text{',' if ending == '.csv' else chr(9)}label\n{data}")
    reviews, rejected = read_all(config(path))
    texts = {review["offset"]: review["text"] for review in reviews} | {r.offset: None for r in rejected}
    assert expected == [texts[offset] for offset in range(len(texts))]
    assert {"malformed_csv"} >= {r.code for r in rejected}


@pytest.mark.parametrize("content", [b"x" * 2_000_000, b'"' + b"x" * 2_000_000, BOM + b"text," * 400_000], ids=len)
def test_csv_header_without_end_is_damage_and_not_read_to_its_end(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    read_bytes = []

    @contextmanager
    def counted(path: str) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        with compression.open_text(path) as (stream, raw):
            yield stream, raw
            read_bytes.append(raw.tell())

    monkeypatch.setattr(csv, "open_text", counted)
    with pytest.raises(OSError, match="the header is malformed: the line is longer than a record may be"):
        csv.inspect(StoredFile(str(tmp_path / "a.csv"), len(content), 0.0), FIELDS)
    assert [max_line_bytes(FIELDS.max_text_bytes) + 1] == read_bytes
