"""The Parquet reader under fuzzing: what each row group holds is read a second time, in one piece."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer.config import Kept
from batch_scorer.errors import InputError
from batch_scorer.formats.records import Shard
from batch_scorer.planning.columns import is_text
from tests.fuzz.case import Case
from tests.fuzz.oracle import ALL, Outcome, Work, holds, outcome_of, place, scored, small


def check_parquet(data: bytes, scratch: Path) -> None:
    """A Parquet file; what each of its row groups holds is read a second time, whole."""
    case = Case.of(data)
    (path,) = place(".parquet", [case.content], scratch)
    try:
        with pq.ParquetFile(pa.BufferReader(case.content)) as file:
            names = _flat_names(file.schema_arrow)
    except (OSError, pa.ArrowException, UnicodeDecodeError):
        names = {}
    text = next((name for name in ("text", "review.body", "a.b.c") if name in names), "text")
    config = {
        "text_column": text,
        "id_column": "id" if case.with_id and "id" in names else None,
        "kept": tuple(Kept(name, f"kept {name}") for name in ("k0", "k1") if case.with_kept and name in names),
    }
    try:
        _check_parquet(case, Work([path], config, scratch), names.get(text))
    finally:
        path.unlink()


def _flat_names(schema: pa.Schema) -> dict[str, pa.DataType | None]:
    """The columns and the fields of structs by their paths; None where there are several of that name."""
    names: dict[str, pa.DataType | None] = {}
    waiting = [(field.name, field.type) for field in schema]
    for name, kind in waiting:
        names[name] = None if name in names else kind
        if pa.types.is_struct(kind):
            waiting += [(f"{name}.{field.name}", field.type) for field in kind]
    return names


def _check_parquet(case: Case, work: Work, kind: pa.DataType | None) -> None:
    try:
        plan, shards = work.planned(shard_rows=ALL)
    except InputError as error:
        needed = [work.config["text_column"], work.config["id_column"], *(k.name for k in work.config["kept"])]
        castable = "cannot be written as text" in str(error)
        holds(kind is None or not is_text(kind) or castable, "refused", str(error), needed)
        return
    one = outcome_of(plan, shards)
    if shards and shards[0].damage:
        holds(([], 1) == (one.found, one.unreadable), "a damaged file", one)
        return
    wanted = [work.config["text_column"]]
    for shard in shards:
        _check_row_group(case.content, shard, wanted, one)
    offsets = [offset for offset, _ in one.found]
    holds(offsets == sorted(set(offsets)), "records twice or not in order", offsets)
    plan, shards = work.planned(shard_rows=small(case.shard_rows, plan))
    rows, unreadable, predictions = scored(plan, shards[:200], work.scratch)
    if not one.unreadable and len(shards) <= 200:
        places = [(str(work.paths[0]), offset) for offset in offsets]
        holds((places, 0) == (rows, unreadable), "other records from other shards", places, rows)
        _check_kept(case.content, work, predictions)


def _check_row_group(content: bytes, shard: Shard, wanted: list[str], one: Outcome) -> None:
    """The rows of a row group, which `shard` is, against those that pyarrow reads of it in one piece."""
    assert shard.stop is not None
    here = [(offset, text) for offset, text in one.found if shard.start <= offset < shard.stop]
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            rows = file.read_row_group(shard.row_group, columns=wanted).num_rows
    except (OSError, pa.ArrowException, UnicodeDecodeError):
        return  # damaged: what comes before it may be there or not
    complete = list(range(shard.start, shard.stop)) == [offset for offset, _ in here]
    holds(complete or one.unreadable > 0, "rows are missing and nothing is unreadable", here, shard)
    holds(complete or rows != shard.stop - shard.start or one.unreadable > 0, "rows of a sound row group", here, shard)


def _check_kept(content: bytes, work: Work, predictions: list[pa.Table]) -> None:
    """Kept columns come as they were."""
    if not predictions or not work.config["kept"]:
        return
    names = [kept.name for kept in work.config["kept"]]
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            before = file.read(columns=names)
    except (OSError, pa.ArrowException, UnicodeDecodeError):
        return
    after = pa.concat_tables(predictions).sort_by("offset")
    for kept in work.config["kept"]:
        source, found = before[kept.name], after[kept.output_name]
        if pa.types.is_dictionary(source.type):
            source = source.cast(source.type.value_type)
        # Views of strings become strings, of which alone pyarrow can take rows.
        source = (source.cast(found.type) if "view" in str(source.type) else source).take(after["offset"])
        # The same values may have other indices, or none, and be in plain lists rather than those of a fixed size.
        is_other = any(name in str(source.type) for name in ("dictionary", "fixed_size_list"))
        was, now = (str(column.to_pylist()) if is_other else _shown(column) for column in (source, found))
        holds(was == now, "a kept column changed", kept.name, was, now)


def _shown(column: pa.ChunkedArray) -> str:
    """A column as text, in which NaN equals NaN."""
    return "".join(column.to_string(window=9, container_window=9, indent=0).split())
