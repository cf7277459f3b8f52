"""JSON that is not in lines: arrays, printed in any way, wrapped or cut off, in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import InputError
from batch_scorer.formats import json_scanner, json_values
from batch_scorer.formats.json_scanner import Scanner
from batch_scorer.formats.records import DAMAGE, Fields, Shard
from batch_scorer.planning.plan import make_plan
from batch_scorer.scoring.read import read
from tests.jobs import rows, score_here

MakeConfig = Callable[..., ScoreConfig]
REVIEWS = [
    {"id": "a", "text": 'good "film" [1] {2}', "stars": 5},
    {"id": "b", "text": "a, \\ café\n", "stars": None, "tags": [{"x": [1, {}]}], "author": {"name": "ann"}},
    {"id": "c", "text": "bad film", "stars": 1.5},
]
KEPT = (Kept("stars", "stars"), Kept("author.name", "author"))
EXPECTED = [("a", REVIEWS[0]["text"], 5.0, None), ("b", REVIEWS[1]["text"], None, "ann"), ("c", "bad film", 1.5, None)]


def outcome(settings: ScoreConfig) -> tuple[list[tuple[Any, ...]], list[tuple[int | None, str]]]:
    """The id, text and kept values of each review, and the offset and code of each rejection."""
    plan, shards = make_plan(settings, "model")
    chunks = [chunk for shard in shards for chunk in read(shard, plan.fields)]
    kept = [name for name in plan.fields.kept_schema.names]
    scored = [
        (row["record_id"], text, *(row[name] for name in kept))
        for chunk in chunks
        for row, text in zip(chunk.reviews.to_pylist(), chunk.texts, strict=True)
    ]
    return scored, [(r.offset, r.code) for chunk in chunks for r in chunk.rejected]


def lines_with_commas(brackets: str) -> str:
    return brackets[0] + "\n" + ",\n".join(json.dumps(one) for one in REVIEWS) + "\n" + brackets[1] + "\n"


WRAPPED = {"meta": {"n": 3, "by": [1, 2]}, "pages": [{"page": 1}], "reviews": REVIEWS, "end": None}
FORMS = {
    "array": json.dumps(REVIEWS),
    "array with mark": "\ufeff" + json.dumps(REVIEWS, ensure_ascii=False),
    "pretty": json.dumps(REVIEWS, indent=2),
    "pretty by tabs": json.dumps(REVIEWS, indent="\t", ensure_ascii=False).replace("\n", "\r\n"),
    "lines in brackets": lines_with_commas("[]"),
    "lines with commas": lines_with_commas("  "),
    "wrapped": json.dumps(WRAPPED),
    "wrapped and pretty": json.dumps(WRAPPED, indent=4),
    "wrapped twice": json.dumps({"status": "ok", "data": {"n": "3", "items": REVIEWS}}),
    "one after another": "\n".join(json.dumps(one, indent=2) for one in REVIEWS),
    "two arrays": json.dumps(REVIEWS[:1]) + "\n" + json.dumps(REVIEWS[1:], indent=1),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl.gz", "a.json.bz2"])
def test_json_in_any_form_is_read(form: str, name: str, folder: Path, config: MakeConfig) -> None:
    data = FORMS[form].encode()
    press = {".gz": gzip.compress, ".bz2": bz2.compress}.get(Path(name).suffix, bytes)
    (folder / name).write_bytes(press(data))

    assert (EXPECTED, []) == outcome(config(folder, id_column="id", kept=KEPT))


def test_lines_stay_lines(folder: Path, config: MakeConfig) -> None:
    for number, text in enumerate(
        (
            '{"text": "a"}',
            '{"text": "a"}\n["b"]\n{"text": "c"}\n',
            '["b"]\n["c"]\n',
            '{"text": "a", "replies": [{"text": "b"}]}\n',
            '{"text": "cut\n{"text": "b"}\n',
            '{"text": "cut',
            '{"text": 1,\n{"text": "b"}\n{"text": "c"}\n',
            '{"text": "cut\n\ufeff{"text": "b"}\n',
        )
    ):
        (folder / f"{number}.json").write_text(text)
    _, shards = make_plan(config(folder), "model")
    assert {"jsonl"} == {shard.format for shard in shards}


def test_array_larger_than_the_sample_is_read_in_pieces_whatever_lies_on_their_edges(
    folder: Path, config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"film {i} " + '\\"[{' * (i % 97) for i in range(4_000)]
    records = [{"text": text, "late": i} if i > 3_000 else {"text": text} for i, text in enumerate(texts)]
    (folder / "a.json").write_text(json.dumps(records))
    monkeypatch.setattr(json_scanner, "_READ_BYTES", 1_009)

    scored, rejected = outcome(config(folder, kept=(Kept("late", "late"),)))

    assert [] == rejected
    assert texts == [row[1] for row in scored]
    assert [None, 3_999] == [scored[0][2], scored[-1][2]]


@pytest.mark.parametrize(
    ("text", "scored", "rejected"),
    [
        ('[{"text": "a"}, {"text": "b"', ["a"], [(None, "unreadable")]),
        ('[{"text": "a"}, ', ["a"], [(None, "unreadable")]),
        ('[{"text": "a"}', ["a"], [(None, "unreadable")]),
        ('[{"text": "a"}, 5, null, "x", [1], {"text": "b"}]', ["a", "b"],
         [(16, "not_an_object"), (19, "not_an_object"), (25, "not_an_object"), (30, "not_an_object")]),
        ('[{"text": "a"}, {"text": }, {"text": "b"}]', ["a", "b"], [(16, "malformed_json")]),
        ('[\n{"text": "a"},\n{"text": "b"}}\n,{"text": "c"}]', ["a", "b", "c"], [(30, "malformed_json")]),
        ('[{"text": "a"} oops {"text": "b"}]', ["a", "b"], [(15, "malformed_json")]),
        ('[{"text": null}, {"id": 1}, {"text": 7}, {"text": "ok"}]', ["ok"],
         [(1, "missing_text"), (17, "missing_text"), (28, "text_not_a_string")]),
        ('[{"text": "\\ud800"}, {"text": "ok"}]', ["ok"], [(1, "lone_surrogate")]),
        (f'[{{"text": "{"x" * 90_000}"}}, {{"text": "ok"}}]', ["ok"], [(1, "text_too_large")]),
        (f'[{"[" * 300}{"]" * 300}, {{"text": "ok"}}]', ["ok"], [(1, "malformed_json")]),
        ("[]", [], []),
        ("[\n\n]\n", [], []),
        ("[", [], [(None, "unreadable")]),
    ],
)  # fmt: skip
def test_bad_items_of_an_array_cost_themselves_and_damage_what_comes_after(
    text: str, scored: list[str], rejected: list[tuple[int | None, str]], folder: Path, config: MakeConfig
) -> None:
    (folder / "a.json").write_text(text)

    found = outcome(config(folder, max_text_bytes=1_000))

    assert (scored, rejected) == ([row[1] for row in found[0]], found[1])


def test_array_without_the_text_column_is_refused_with_its_columns(folder: Path, config: MakeConfig) -> None:
    (folder / "a.json").write_text(json.dumps(REVIEWS, indent=1))
    with pytest.raises(InputError, match="the column 'body' is missing") as refused:
        make_plan(config(folder, text_column="body"), "model")
    assert "columns id, text, stars, tags, author, author.name" == refused.value.got


def test_job_over_an_array_gives_each_record_its_offset(folder: Path, config: MakeConfig, tmp_path: Path) -> None:
    text = json.dumps(REVIEWS, indent=2)
    (folder / "a.json").write_text(text)

    manifest = score_here(config(folder, limit=2))

    assert (2, 0) == (manifest["counts"]["scored"], manifest["counts"]["rejected"])
    assert [text.index('{\n    "id": "a"'), text.index('{\n    "id": "b"')] == [
        row["offset"] for row in rows(tmp_path / "out")
    ]


values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(values=st.lists(values), indent=st.none() | st.integers(0, 3), piece=st.integers(1, 9))
def test_scanner_finds_every_value_however_it_is_printed_and_cut(
    values: list[Any], indent: int | None, piece: int
) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_scanner, "_READ_BYTES", piece)
        scanner = Scanner(io.BytesIO(text), 1 << 20)
        assert b"[" == scanner.next_sign()
        scanner.skip_sign()
        found = []
        while (sign := scanner.next_sign()) != b"]":
            if sign == b",":
                scanner.skip_sign()
                continue
            offset, data = scanner.value()
            assert data is not None and text[offset : offset + len(data)] == data
            found.append(json.loads(data.decode("utf-8", "surrogatepass")))
    assert values == found


@given(data=st.binary(max_size=60) | st.text('[]{}",:\\ab1 \n', max_size=60).map(str.encode))
def test_any_bytes_as_json_end_as_records_rejections_or_damage(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(data)
    fields = Fields("a", None, (), pa.schema([]), 1_000)
    offsets = []
    try:
        for one in json_values.records(Shard(0, "json", (str(path),)), fields):
            offsets.append(one.offset)
    except DAMAGE:
        pass
    assert offsets == sorted(set(offsets)) and all(0 <= offset < len(data) for offset in offsets)
