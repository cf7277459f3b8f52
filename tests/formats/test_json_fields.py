"""JSON lines: kept fields that come late, are null in one file, or have other types in another, lose nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import InputError
from batch_scorer.formats import jsonl
from batch_scorer.planning.plan import make_plan
from batch_scorer.scoring.read import read

MakeConfig = Callable[..., ScoreConfig]
LONG = {"text": "good film " * 30_000}  # longer than the sample
FEW = [{"text": "good film " * 100}] * 300
BIG = 1_234_567_890_123_456_789


def kept(folder: Path, config: MakeConfig, *files: list[Any], name: str = "k") -> tuple[pa.DataType, list[Any]]:
    """The type and the values of a kept field, the codes of rejected records among them."""
    for i, records in enumerate(files):
        (folder / f"{i}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    plan, shards = make_plan(config(folder, kept=(Kept(name, "k"),)), "model")
    found: list[tuple[str, int, Any]] = []
    for shard in shards:
        for chunk in read(shard, plan.fields):
            found += [(row["source"], row["offset"], row["k"]) for row in chunk.reviews.to_pylist()]
            found += [(r.source, r.offset or 0, r.code) for r in chunk.rejected]
    return plan.fields.kept_schema.field("k").type, [value for *_, value in sorted(found, key=lambda row: row[:2])]


def of(*values: Any) -> list[dict[str, Any]]:
    return [{"text": "good film", "k": value} for value in values]


@pytest.mark.parametrize(
    ("files", "kind", "values"),
    [
        ([[{**LONG, "k": 5}, *of(4)]], pa.int64(), [5, 4]),
        ([[LONG, *of(4, None)]], pa.int64(), [None, 4, None]),
        ([[*FEW, *of(4.5)]], pa.float64(), [*[None] * 300, 4.5]),
        ([[*({**record, "k": None} for record in FEW), *of(True)]], pa.bool_(), [*[None] * 300, True]),
        ([of(None), of(5)], pa.int64(), [None, 5]),
        ([of(None), of("five")], pa.string(), [None, "five"]),
        ([of(None), of(None)], pa.string(), [None, None]),
        ([[{"text": "good"}], of(5)], pa.int64(), [None, 5]),
        ([of(5), of("five"), of([1])], pa.string(), ["5", "five", "[1]"]),
        ([of(True), of(1)], pa.string(), ["true", "1"]),
        ([of(BIG), of(7.0, 4.5)], pa.int64(), [BIG, 7, "kept_value_mismatch"]),
        ([of(BIG, 4.5)], pa.string(), [str(BIG), "4.5"]),
        ([of(5), of(4.5)], pa.float64(), [5.0, 4.5]),
    ],
)
def test_kept_field_has_the_type_of_its_values_wherever_they_are(
    files: list[list[Any]], kind: pa.DataType, values: list[Any], folder: Path, config: MakeConfig
) -> None:
    assert (kind, values) == kept(folder, config, *files)


def numbers(folder: Path, config: MakeConfig, *values: str) -> tuple[pa.DataType, list[Any], list[str | None]]:
    """The type and the values of a kept field of which each value is written so, and the ids, which are the same.

    Those of reviews come first, and then the codes of rejected records.
    """
    lines = [f'{{"text": "good film", "k": {value}, "id": {value}}}\n' for value in values]
    (folder / "0.jsonl").write_text("".join(lines))
    plan, shards = make_plan(config(folder, kept=(Kept("k", "k"),), id_column="id"), "model")
    chunks = [chunk for shard in shards for chunk in read(shard, plan.fields)]
    reviews = [row for chunk in chunks for row in chunk.reviews.to_pylist()]
    rejected = [one for chunk in chunks for one in chunk.rejected]
    kind = plan.fields.kept_schema.field("k").type
    found = [row["k"] for row in reviews] + [one.code for one in rejected]
    return kind, found, [row["record_id"] for row in reviews] + [one.record_id for one in rejected]


HELD = (
    "0.5",
    "0.0",
    "-0.0",
    "0e-999",
    "1e22",
    "1e23",
    "5e-324",
    "0.1e-310",
    "9007199254740992.0",
    "1.7976931348623157e308",
    "12345678901234567168.000",
    "0.30000000000000000444",
)
NOT_HELD = (
    "1e400",
    "-1E+400",
    "1e-400",
    "0.1234567890123456e-310",
    "9007199254740993.0",
    "76561198000000001.0",
    "123456789012345678901234567890.5",
    f"0.{'0' * 400}1",
    f"1{'0' * 400}.0",
    "1e-99999999999999999999",
)


def test_numbers_that_a_double_holds_are_kept_as_doubles(folder: Path, config: MakeConfig) -> None:
    kind, values, _ = numbers(folder, config, *HELD)
    assert (pa.float64(), [float(digits) for digits in HELD]) == (kind, values)


def test_numbers_that_no_double_holds_cost_their_row_among_doubles_and_are_ids_by_their_digits(
    folder: Path, config: MakeConfig
) -> None:
    kind, values, ids = numbers(folder, config, "0.5", *NOT_HELD, "Infinity")
    assert (pa.float64(), [0.5, math.inf, *["kept_value_mismatch"] * len(NOT_HELD)]) == (kind, values)
    assert ["0.5", "Infinity", *NOT_HELD] == ids


def test_numbers_that_no_double_holds_are_kept_by_their_digits_in_text(folder: Path, config: MakeConfig) -> None:
    whole = "1" * 80
    nested = f'[{{"a": [1e-400, 0.5, {whole}], "b": null}}, "x", 1e999, true]'
    kind, values, ids = numbers(folder, config, *NOT_HELD, whole, nested)
    assert (pa.string(), [*NOT_HELD, whole, nested]) == (kind, values)
    assert values == ids


@pytest.mark.parametrize("number", ["1e400", "1e-400", "76561198000000001.0", str(1 << 63)])
def test_number_that_a_later_record_has_and_int64_does_not_hold_costs_its_row(
    number: str, folder: Path, config: MakeConfig
) -> None:
    lines = "".join(json.dumps(record) + "\n" for record in [{"text": "good", "k": 7}, {**LONG, "k": 7}])
    (folder / "0.jsonl").write_text(f'{lines}{{"text": "bad", "k": {number}}}\n')
    assert (pa.int64(), [7, 7, "kept_value_mismatch"]) == kept(folder, config)


def test_text_field_that_comes_after_the_sample_is_no_missing_column(folder: Path, config: MakeConfig) -> None:
    other = [{"note": "x" * 1_000, "k": 1}] * 300
    kind, values = kept(folder, config, [*other, *of(2)])

    assert (pa.int64(), [*["missing_text"] * 300, 2]) == (kind, values)


def test_kept_field_that_is_nowhere_is_refused(
    folder: Path, config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "SEARCHED_BYTES", 300_000)
    with pytest.raises(InputError, match="the column 'stars' is missing") as refused:
        kept(folder, config, [*FEW, *FEW, *of(5)], name="stars")
    assert ("name another with --keep", str(folder / "0.jsonl")) == (refused.value.fix, refused.value.where)
