"""Every kind of bad or odd record, each among good ones: good neighbours are scored, bad ones are in `errors/`.

The table is run as one job twice: each file alone in a shard, and all of a kind in one directory.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import ScoreConfig
from tests.jobs import rows, score_here


@dataclass(frozen=True)
class Case:
    """One input file: its bytes, how many reviews are scored, and the codes of the others in order."""

    name: str
    data: bytes
    scored: int
    codes: tuple[str, ...] = ()


def jsonl(name: str, line: bytes, *codes: str, end: bytes = b"\n") -> Case:
    """The line between two good ones."""
    good = b'{"text": "a good film"}'
    return Case(f"{name}.jsonl", good + b"\n" + line + b"\n" + good + end, 2 if codes else 3, codes)


def csv(name: str, record: str | bytes, *codes: str, ending: str = "csv", scored: int | None = None) -> Case:
    """The record between two good ones, below a header."""
    raw = record if isinstance(record, bytes) else record.encode()
    scored = (2 if codes else 3) if scored is None else scored
    return Case(f"{name}.{ending}", b"id,text,stars\n1,a good film,5\n" + raw + b"\n3,a bad film,1\n", scored, codes)


def text(name: str, data: bytes, *codes: str) -> Case:
    return Case(f"{name}.txt", data, 0 if codes else 1, codes)


def field(value: Any) -> bytes:
    return json.dumps({"text": value}).encode()


def parquet(column: pa.Array, *codes: str, name: str) -> Case:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": column}), sink)
    return Case(f"{name}.parquet", sink.getvalue().to_pybytes(), len(column) - len(codes), codes)


GOOD = ["a good film", "a bad film"]
WHOLE_PARQUET = parquet(pa.array(GOOD * 50), name="whole").data

CASES = [
    # JSON lines
    jsonl("invalid utf-8", b'{"text": "caf\xe9 film"}', "invalid_utf8"),
    jsonl("cut utf-8", b'{"text": "film \xe2\x82"}', "invalid_utf8"),
    jsonl("byte-order mark", b'\xef\xbb\xbf{"text": "a film"}'),
    jsonl("NUL inside", field("good\0film")),
    jsonl("lone surrogate", b'{"text": "half \\ud800 film"}', "lone_surrogate"),
    jsonl("surrogate pair", b'{"text": "good \\ud83d\\ude00"}'),
    jsonl("U+2028 and U+0085 inside", '{"text": "one\u2028two\u0085three"}'.encode()),
    jsonl("CR LF", b'{"text": "a film"}\r'),
    jsonl("no final newline", field("film"), end=b""),
    Case("blank lines.jsonl", b'{"text": "a"}\n\n \n{"text": "b"}\n', 2),
    jsonl("an array", b'["a good film"]', "not_an_object"),
    jsonl("a string", b'"a good film"', "not_an_object"),
    jsonl("a number", b"7", "not_an_object"),
    jsonl("null", b"null", "not_an_object"),
    jsonl("NaN for text", b'{"text": NaN}', "text_not_a_string"),
    jsonl("NaN elsewhere", b'{"text": "a film", "x": NaN}'),
    jsonl("nested deep", b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "malformed_json"),
    jsonl("duplicate keys", b'{"text": "?", "text": "a film"}'),
    jsonl("cut off", b'{"text": "a fi', "malformed_json"),
    jsonl("two objects", b'{"text": "a"} {"text": "b"}', "malformed_json"),
    jsonl("missing text", b'{"body": "a film"}', "missing_text"),
    jsonl("null text", field(None), "missing_text"),
    jsonl("numeric text", field(5), "text_not_a_string"),
    jsonl("boolean text", field(True), "text_not_a_string"),
    jsonl("list text", field(["a", "film"]), "text_not_a_string"),
    jsonl("object text", field({"en": "a film"}), "text_not_a_string"),
    jsonl("empty text", field(""), "no_words"),
    jsonl("word-less text", field("?! ... 👍 <br />"), "no_words"),
    jsonl("2 MB text", field("good " * 400_000), "text_too_large"),
    jsonl("huge number", b'{"text": "a", "x": ' + b"9" * 5_000 + b"}", "malformed_json"),
    Case("empty.jsonl", b"", 0),
    Case("only newlines.jsonl", b"\n\n\n", 0),
    # CSV
    csv("newline in quotes", '2,"a good\nand long\r\nfilm",4'),
    csv("quotes in quotes", '2,"a ""good"" film",4'),
    csv("delimiter in quotes", '2,"good, not bad",4'),
    csv("CR LF", b"2,a film,4\r"),
    csv("blank line", "", scored=2),
    csv("too few fields", "2,a film", "wrong_field_count"),
    csv("too many fields", "2,a film,4,5", "wrong_field_count"),
    csv("unclosed quote", '2,"a film,4', "malformed_csv"),
    csv("text after a quote", '2,"a" film,4', "malformed_csv"),
    csv("unclosed quote before quoted records", '2,"a film,4\n7,"one",1\n8,"two, three",2', "malformed_csv", scored=4),
    csv("invalid utf-8 in the text", b"2,caf\xe9,4", "invalid_utf8"),
    csv("invalid utf-8 elsewhere", b"caf\xe9,a film,4"),
    csv("empty text", "2,,4", "no_words"),
    csv("U+2028 and NUL inside", "2,one\u2028two\0three,4"),
    csv("2 MB text", f"2,{'good ' * 400_000},4", "text_too_large"),
    csv("line of 9 MB", f"2,{'good ' * 1_800_000},4", "text_too_large"),
    Case("byte-order mark.csv", b"\xef\xbb\xbftext,id\na good film,1\n", 1),
    Case("tabs.tsv", b'id\ttext\n1\tgood, not bad\n2\t"a\tb"\n', 2),
    Case("header only.csv", b"id,text\n", 0),
    Case("empty.csv", b"", 0),
    # One review a file
    text("plain", b"a good film\nwith two lines"),
    text("byte-order mark", b"\xef\xbb\xbfa good film"),
    text("invalid utf-8", b"caf\xe9", "invalid_utf8"),
    text("empty", b"", "no_words"),
    text("2 MB", b"good " * 400_000, "text_too_large"),
    # Parquet
    parquet(pa.array(["a", None, "b"]), "missing_text", name="null text"),
    parquet(pa.array(["a", "b", "a", None]).dictionary_encode(), "missing_text", name="dictionary"),
    parquet(pa.array(["a", "", "b"], pa.large_string()), "no_words", name="large_string"),
    parquet(pa.array([b"a", b"caf\xe9", b"b"]), "invalid_utf8", name="binary"),
    parquet(pa.array([], pa.string()), name="no rows"),
    parquet(pa.nulls(2), "missing_text", "missing_text", name="null column"),
    Case("truncated.parquet", WHOLE_PARQUET[:-20], 0, ("unreadable",)),
    Case("fake.parquet", b"this is no Parquet file", 0, ("unreadable",)),
    Case("empty.parquet", b"", 0, ("unreadable",)),
    # Compressed
    Case("whole.jsonl.gz", gzip.compress(b'{"text": "a"}\n{"text": "?"}\n'), 1, ("no_words",)),
    Case("two members.csv.gz", gzip.compress(b"text\na film\n") + gzip.compress(b"another\n"), 2),
    Case("whole.tsv.bz2", bz2.compress(b"id\ttext\n1\ta film\n"), 1),
    Case("fake.jsonl.gz", b"this is no gzip", 0, ("unreadable",)),
]


@pytest.mark.parametrize("together", [False, True], ids=["each alone", "all in one run"])
def test_good_records_are_scored_and_bad_ones_are_in_errors(
    together: bool, tmp_path: Path, config: Callable[..., ScoreConfig]
) -> None:
    for number, case in enumerate(CASES):
        folder = tmp_path / "in" / ("all" if together else f"{number:02d}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:02d} {case.name}").write_bytes(case.data)
    folders = sorted((tmp_path / "in").iterdir())
    # Alone, each directory is an input of its own, and so a shard of its own; one job all the same, for speed.
    job = config(*folders, max_error_rate=1, allow_unreadable=True)
    manifest = score_here(job)

    codes: dict[str, list[str]] = {}
    for row in rows(job.output.directory, "errors"):
        codes.setdefault(Path(row["source"]).name, []).append(row["code"])
    scored: dict[str, int] = {}
    for row in rows(job.output.directory):
        name = Path(row["source"]).name
        scored[name] = scored.get(name, 0) + 1
    wrong = {}
    for number, case in enumerate(CASES):
        name = f"{number:02d} {case.name}"
        result = (scored.get(name, 0), tuple(codes.get(name, [])))
        if result != (case.scored, case.codes):
            wrong[name] = {"expected": (case.scored, case.codes), "got": result}
    assert {} == wrong
    unreadable = sum(code == "unreadable" for case in CASES for code in case.codes)
    rejected = sum(len(case.codes) for case in CASES) - unreadable
    total = sum(case.scored for case in CASES)
    expected = {"read": total + rejected, "scored": total, "rejected": rejected, "unreadable": unreadable}
    assert {**expected, "empty": 11} == manifest["counts"]


def test_table_has_at_least_40_kinds() -> None:
    assert len({case.name for case in CASES}) >= 40


@pytest.mark.parametrize("ending", ["gz", "bz2", "zst"])
def test_compressed_file_cut_short_gives_what_comes_before_and_one_unreadable(
    ending: str, tmp_path: Path, config: Callable[..., ScoreConfig]
) -> None:
    # Lines that compress badly, and several of bzip2's blocks of 900 000 bytes.
    lines = b"".join(b"film %s\n" % hashlib.shake_256(b"%d" % i).hexdigest(700).encode() for i in range(3_000))
    with pa.CompressedOutputStream(str(tmp_path / "whole"), {"zst": "zstd", "gz": "gzip", "bz2": "bz2"}[ending]) as out:
        out.write(lines)
    data = (tmp_path / "whole").read_bytes()
    (tmp_path / f"cut.log.{ending}").write_bytes(data[: len(data) // 2])
    job = config(tmp_path / f"cut.log.{ending}", input_format="lines", allow_unreadable=True)
    counts = score_here(job)["counts"]
    assert 1 == counts["unreadable"]
    assert 500 < counts["scored"] < 3_000
    expected = lines.split(b"\n")[: counts["scored"]]
    offsets = [row["offset"] for row in rows(job.output.directory)]
    assert [sum(len(line) + 1 for line in expected[:i]) for i in range(0, len(expected), 97)] == offsets[::97]
