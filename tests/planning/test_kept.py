"""Kept values come out as they went in, or the job is refused before it starts, or one row is rejected.

Over all pairs of types that Parquet has, each with its largest, smallest and oddest values.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import InputError
from batch_scorer.formats.records import Fields, InputFile, Shard
from batch_scorer.planning.columns import inspect
from batch_scorer.planning.kept import KeptColumns
from batch_scorer.planning.plan import make_plan
from batch_scorer.scoring.read import read
from batch_scorer.storage import StoredFile
from tests.jobs import rows, score_here

MakeConfig = Callable[..., ScoreConfig]
NAN, INF = float("nan"), float("inf")
KEY = uuid.UUID("4f0e4c52-1111-4222-8333-000000000001")


def extension(kind: pa.DataType, stored: list[Any]) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, pa.array(stored, kind.storage_type))


def integers(kind: pa.DataType) -> pa.Array:
    bits, signed = kind.bit_width, pa.types.is_signed_integer(kind)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return pa.array([low, high, 7, None, *([1 << 53, (1 << 53) + 1] if bits == 64 else [])], kind)


def times(kind: pa.DataType) -> pa.Array:
    return pa.array([0, 86_399_999, None], pa.int64() if kind.bit_width == 64 else pa.int32()).cast(kind)


def moments(kind: pa.DataType) -> pa.Array:
    year_9999 = 253_402_214_400 * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 0}[kind.unit]
    return pa.array([year_9999, 1_700_000_000_123_456_789 if kind.unit == "ns" else 5, None]).cast(kind)


STRUCT = pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))])
COLUMNS = [
    *map(integers, (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64())),
    pa.array([7], pa.uint64()),
    pa.array([1.5, -INF, None], pa.float16()),
    pa.array([0.1, 1e38, None], pa.float32()),
    pa.array([7.0, None, -3.0]),
    pa.array([0.1, NAN, INF, 2.0**60, 1e300, -0.0]),
    pa.array([True, None]),
    pa.array(["café", "", None]),
    pa.array(["a"], pa.large_string()),
    pa.array(["a", None], pa.string_view()),
    pa.array(["a", None]).dictionary_encode(),
    pa.array([b"\xff", b"a", None]),
    pa.array([b"\xff", None], pa.binary_view()),
    pa.array([b"\xff\0\0", None], pa.binary(3)),
    pa.array([Decimal("1.25"), None], pa.decimal128(5, 2)),
    pa.array([Decimal("0.001")], pa.decimal32(7, 3)),
    pa.array([Decimal("9" * 70)], pa.decimal256(76, 0)),
    pa.array([dt.date(9999, 12, 31), None]),
    pa.array([dt.date(2024, 2, 29), None], pa.date64()),
    *map(times, (pa.time32("ms"), pa.time64("us"), pa.time64("ns"))),
    *map(moments, map(pa.timestamp, ("s", "ms", "us", "ns"))),
    moments(pa.timestamp("us", "UTC")),
    moments(pa.timestamp("ns", "Europe/Berlin")),
    pa.array([0, 9_007_199_254_740_993, None], pa.duration("ms")),
    pa.array([7, None], pa.duration("ns")),
    pa.nulls(2),
    pa.array([["a", None], None, []]),
    pa.array([["a"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
    pa.array([[1, 1 << 62], None]),
    pa.array([[0.5], None]),
    pa.array([[1, 2], None, [3, None]], pa.list_(pa.int32(), 2)),
    pa.array([[b"\xff"]], pa.large_list(pa.binary())),
    pa.array([{"a": 1, "b": ["x"]}, None], STRUCT),
    pa.array([{"a": 1.5, "b": ["x"]}], pa.struct([("a", pa.float64()), ("b", pa.list_(pa.string()))])),
    pa.array([{"x": [1.0, 2.0]}, {"x": None}], pa.struct([("x", pa.list_(pa.float32(), 2))])),
    pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
    pa.array([[("a", "1")]], pa.map_(pa.string(), pa.string_view())),
    extension(pa.uuid(), [KEY.bytes, None]),
    extension(pa.json_(), ['{"a": 1}', None]),
    extension(pa.bool8(), [1, 0, None]),
    extension(pa.fixed_shape_tensor(pa.int32(), [2]), [[1, 2], None]),
    extension(pa.opaque(pa.string(), "type", "vendor"), ["a", None]),
]


@dataclass(frozen=True)
class Source:
    """A file with a column k, as planning sees it, and the values of k."""

    file: InputFile
    values: list[Any]


FIELDS = Fields("text", None, (Kept("k", "k"),), pa.schema([]), 1_000)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    """A file for each of `COLUMNS`."""
    folder = tmp_path_factory.mktemp("kept")
    made = []
    for i, column in enumerate(COLUMNS):
        path = folder / f"{i:02d}.parquet"
        pq.write_table(pa.table({"text": ["good film"] * len(column), "k": column}), path)
        file = inspect((StoredFile(str(path), path.stat().st_size, 0.0), "parquet"), FIELDS)
        made.append(Source(file, column.to_pylist()))
    return made


def same(one: Any, other: Any) -> bool:
    """Whether two values are one, NaN included."""
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    return bool(one == other)


def read_as(source: Source, fields: Fields) -> list[Any]:
    """What becomes of each value: a tuple of one, or the code of its rejection."""
    result: dict[int | None, Any] = {}
    for chunk in read(Shard(0, "parquet", (source.file.path,), 0, len(source.values)), fields):
        result |= {row["offset"]: (row["k"],) for row in chunk.reviews.to_pylist()}
        result |= {r.offset: r.code for r in chunk.rejected}
    return [result[i] for i in range(len(source.values))]


def test_kept_values_of_any_two_types_come_out_as_they_went_in_or_are_refused(sources: list[Source]) -> None:
    pairs = list(itertools.combinations_with_replacement(sources, 2))
    refused = rejected = 0
    for pair in pairs:
        kept = KeptColumns(FIELDS)
        for source in pair:
            kept.add(source.file)
        try:
            fields = dataclasses.replace(FIELDS, kept_schema=kept.schema())
        except InputError as error:
            assert "types that cannot be combined" in error.what and pair[0] is not pair[1]
            refused += 1
            continue
        for source in {id(source): source for source in pair}.values():
            for value, result in zip(source.values, read_as(source, fields), strict=True):
                if result == "kept_value_mismatch":
                    assert pair[0] is not pair[1]
                    rejected += 1
                else:
                    assert same(value, result[0]), (fields.kept_schema, value, result)
    assert 0 < rejected < 60
    assert len(pairs) // 2 < refused < len(pairs) * 0.9


def test_kept_values_of_any_type_are_in_the_parts_as_they_were_in_the_input(config: MakeConfig, tmp_path: Path) -> None:
    table = {f"k{i}": pa.concat_arrays([c, pa.nulls(6 - len(c), c.type)]) for i, c in enumerate(COLUMNS)}
    pq.write_table(pa.table({"text": ["a good film"] * 6, **table}), tmp_path / "in.parquet")

    score_here(config(tmp_path / "in.parquet", kept=tuple(Kept(name, name) for name in table)))

    scored = rows(tmp_path / "out")
    for name, column in table.items():
        for value, row in zip(column.to_pylist(), scored, strict=True):
            assert same(value, row[name]), (column.type, value, row[name])


def values_of(config: ScoreConfig) -> tuple[pa.DataType, list[Any], list[str]]:
    """The type of the kept column k, its values, and the codes of rejected records."""
    plan, shards = make_plan(config, "model")
    chunks = [chunk for shard in shards for chunk in read(shard, plan.fields)]
    values = [value for chunk in chunks for value in chunk.reviews["k"].to_pylist()]
    return plan.fields.kept_schema.field("k").type, values, [r.code for chunk in chunks for r in chunk.rejected]


BIG = 1_234_567_890_123_456_789


@pytest.mark.parametrize(
    ("first", "second", "kind", "values", "codes"),
    [
        # What pandas makes of integers beside a missing one.
        (pa.array([BIG, BIG - 1]), pa.array([None, 7.0]), pa.int64(), [BIG, BIG - 1, None, 7], []),
        (pa.array([BIG]), pa.array([4.5]), pa.int64(), [BIG], ["kept_value_mismatch"]),
        (pa.array([5, 4]), pa.array([4.5]), pa.float64(), [5, 4, 4.5], []),
        (pa.array([5], pa.uint64()), pa.array([-5]), pa.decimal128(20, 0), [5, -5], []),
        (pa.array([2**63], pa.uint64()), pa.array([-5]), pa.decimal128(20, 0), [2**63, -5], []),
        (pa.array([b"caf\xe9", b"ok"]).view(pa.string()), pa.array(["b"]), pa.string(), ["ok", "b"],
         ["kept_value_mismatch"]),
        (moments(pa.timestamp("s")), pa.array([0], pa.timestamp("ns")), pa.timestamp("ns"),
         [dt.datetime(1970, 1, 1, 0, 0, 5), None, dt.datetime(1970, 1, 1)], ["kept_value_mismatch"]),
        (extension(pa.bool8(), [1, 0]), pa.array([None, True]), pa.bool_(), [True, False, None, True], []),
    ],
)  # fmt: skip
def test_kept_column_of_two_files_has_the_type_that_loses_least(
    first: pa.Array, second: pa.Array, kind: pa.DataType, values: list[Any], codes: list[str],
    folder: Path, config: MakeConfig,
) -> None:  # fmt: skip
    for name, column in (("a", first), ("b", second)):
        pq.write_table(pa.table({"text": ["good film"] * len(column), "k": column}), folder / f"{name}.parquet")

    found = values_of(config(folder, kept=(Kept("k", "k"),)))

    assert (kind, values, codes) == found


def test_kept_column_that_is_missing_in_a_file_that_is_not_utf_8_names_its_encoding_in_the_same_go(
    folder: Path, config: MakeConfig
) -> None:
    (folder / "a.csv").write_bytes("text,stars\nUn film très drôle,5\n".encode("latin-1"))
    with pytest.raises(InputError) as refused:
        make_plan(config(folder, kept=(Kept("star", "star"),)), "model")
    assert (
        "name another with --keep, for instance --keep stars; "
        "the file is not UTF-8: add --encoding cp1252, which would read all of it, if other inputs are in it too"
    ) == refused.value.fix
    assert ["5"] == values_of(config(folder, kept=(Kept("stars", "k"),), encoding="cp1252"))[1]


def test_kept_times_of_int96_are_those_of_any_year(folder: Path, config: MakeConfig) -> None:
    years = [dt.datetime(9999, 12, 31), dt.datetime(1, 1, 1), None]
    table = pa.table({"text": ["good film"] * 3, "k": pa.array(years, pa.timestamp("us"))})
    pq.write_table(table, folder / "a.parquet", use_deprecated_int96_timestamps=True)

    kind, values, codes = values_of(config(folder, kept=(Kept("k", "k"),), id_column="k"))

    assert (pa.timestamp("us"), years, []) == (kind, values, codes)


def test_kept_column_of_a_file_without_rows_has_its_type(folder: Path, config: MakeConfig) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string()), "k": pa.array([], pa.int8())}), folder / "a.parquet")
    settings = config(folder, kept=(Kept("k", "k"),))
    assert (pa.int8(), [], []) == values_of(settings)

    pq.write_table(pa.table({"text": ["good film"]}), folder / "b.parquet")
    assert (pa.int8(), [None], []) == values_of(settings)
    assert ("the kept column 'k' is missing in 1 of 1 file: null there",) == make_plan(settings, "model")[0].notices
