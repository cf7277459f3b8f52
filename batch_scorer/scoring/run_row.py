"""A row of a finished run, by its id: what the table says of a review, and the text that it was said of."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scorer import storage
from batch_scorer.errors import InputError, RefusedError, UnavailableError
from batch_scorer.escape import counted
from batch_scorer.runs.finished import Run
from batch_scorer.schema import printable
from batch_scorer.scoring.review import ExplainedReview, listed_words, shortest
from batch_scorer.scoring.run_texts import Texts, from_inputs, is_scored_text
from batch_scorer.storage.parallel import read_ahead


@dataclass(frozen=True)
class _ListedWord:
    token: str
    char_start: int
    char_end: int


@dataclass(frozen=True)
class RunRow:
    """A row of `predictions`.

    Args:
        run: the run that it belongs to.
        columns: every column, the kept ones too, as plain Python values.
        same_id: how many rows of the run have this id; this is the first of them.
    """

    run: Run
    columns: Mapping[str, Any]
    same_id: int = 1

    @property
    def record_id(self) -> str:
        return str(self.columns["record_id"])

    @property
    def source(self) -> str:
        return str(self.columns["source"])

    @property
    def offset(self) -> int:
        return int(self.columns["offset"])

    @property
    def n_tokens(self) -> int:
        return int(self.columns["n_tokens"])

    @property
    def words(self) -> Sequence[_ListedWord]:
        """The words in either list."""
        listed = [*self.columns["top_attended"], *self.columns["top_contributing"]]
        return [_ListedWord(word["token"], word["char_start"], word["char_end"]) for word in listed]

    @property
    def kept(self) -> dict[str, Any]:
        """The kept columns."""
        return {name: value for name, value in self.columns.items() if name not in self.run.columns}

    def review(self, text: str | None) -> ExplainedReview:
        """The row as an explained review: the words that it lists carry their numbers, the others none.

        Args:
            text: that of the row; without it, the review has no text and no words.
        """
        numbers = self.run.manifest
        # A kept column may be called `top_spans` where the run has no phrases.
        ours = {name: value for name, value in self.columns.items() if name in self.run.columns}
        own = ours if "temperature" in ours else numbers
        return ExplainedReview(
            text or "",
            () if text is None else listed_words(text, ours, self.run.pattern, self.run.reads_first),
            ours,
            float(numbers["bias"]),
            float(own["temperature"]),
        )

    def to_json(self, text: str | None) -> dict[str, Any]:
        """Every column, the manifest's bias and (but where the row has its own) temperature, and the text, as JSON."""
        ours = {name: shortest(value) for name, value in self.columns.items() if name in self.run.columns}
        kept = {name: _plain(value) for name, value in self.kept.items()}
        columns = {name: ours[name] if name in ours else kept[name] for name in self.columns}
        constants = {name: self.run.manifest[name] for name in ("bias", "temperature") if name not in ours}
        return columns | constants | {"text": text}


def _plain(value: Any) -> Any:
    """A kept value as JSON can hold it: dates in ISO format, bytes in base64, decimals and the like as text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def find_row(run: Run, record_id: str) -> RunRow:
    """The first row of `run` with this id. Only the ids of each part are read, and then one row group.

    Raises:
        InputError: there is none; the message says why, if the record was rejected.
        OSError, ValueError: a part is missing or damaged.
    """
    record_id = printable(record_id)

    def matches(path: str) -> tuple[int, dict[str, Any] | None]:
        with storage.open_read(path) as file, pq.ParquetFile(file) as part:
            return _in_part(part, record_id)

    counts, first = 0, None
    for count, row in read_ahead(matches, run.predictions, storage.is_remote(run.output)):
        counts += count
        first = first or row
    if first is None:
        raise _missing(run, record_id)
    return RunRow(run, first, counts)


def _in_part(part: pq.ParquetFile, record_id: str) -> tuple[int, dict[str, Any] | None]:
    """How many rows of a part have this id, and the first of them."""
    count, first = 0, None
    place = part.schema_arrow.get_field_index("record_id")
    for group in range(part.num_row_groups):
        statistics = part.metadata.row_group(group).column(place).statistics
        if statistics and statistics.has_min_max and not statistics.min <= record_id <= statistics.max:
            continue
        ids = part.read_row_group(group, columns=["record_id"])["record_id"]
        rows = pc.indices_nonzero(pc.equal(ids, record_id)).to_pylist()
        count += len(rows)
        if rows and first is None:
            (first,) = part.read_row_group(group).slice(rows[0], 1).to_pylist()
    return count, first


def _missing(run: Run, record_id: str) -> InputError:
    counts = run.manifest["counts"]
    rejected = _rejection(run, record_id)
    if rejected is not None:
        return InputError(
            "this record was rejected, and so it has no score",
            where=f"{run.output}, --id {record_id}",
            got=f"{rejected['code']}: {rejected['message']}",
            fix="score it again once it is put right",
        )
    made_of = f"column {run.plan['id_column']!r}" if run.plan["id_column"] else "source#offset"
    return InputError(
        "the run has no such row",
        where=f"{run.output}, --id {record_id}",
        expected=f"the record_id of one of its {counted(counts['scored'], 'row')}, made of {made_of}",
        got=f"an id that neither these nor its {counted(counts['rejected'], 'rejected record')} have",
        fix="list some ids with `batch-scorer inspect OUT`",
    )


def _rejection(run: Run, record_id: str) -> dict[str, Any] | None:
    """The row of `errors` about this record, if there is one."""

    def find(path: str) -> dict[str, Any] | None:
        with storage.open_read(path) as file, pq.ParquetFile(file) as part:
            for group in range(part.num_row_groups):
                table = part.read_row_group(group)
                # A record without an id is known by its place, as a scored one is.
                places = pc.binary_join_element_wise(table["source"], pc.cast(table["offset"], pa.string()), "#")
                ids = pc.coalesce(table["record_id"], places)
                rows = pc.indices_nonzero(pc.fill_null(pc.equal(ids, record_id), False)).to_pylist()
                if rows:
                    return dict(table.slice(rows[0], 1).to_pylist()[0])
        return None

    return next(filter(None, read_ahead(find, run.errors, storage.is_remote(run.output))), None)


@dataclass(frozen=True)
class FoundText:
    """The text of a row, or why there is none.

    Args:
        text: None if it was not found.
        note: where it comes from, or why it is not shown and what to do.
    """

    text: str | None
    note: str


def find_text(row: RunRow, inputs: tuple[str, ...] = ()) -> FoundText:
    """The text that was scored as `row`: the kept one, or else that in `inputs`, or in the inputs of the run.

    Args:
        inputs: where to look, if not in the inputs that the run recorded.

    Raises:
        InputError: `inputs` cannot be read, or lack the columns that the run read.
        UnavailableError: the store that they are in does not answer.
    """
    for kept in row.run.plan["kept"]:
        text, is_text = row.columns.get(kept["output_name"]), kept["name"] == row.run.plan["text_column"]
        if is_text and not inputs and isinstance(text, str) and is_scored_text(row, text, row.run.pattern):
            return FoundText(text, f"the kept column {kept['output_name']}")
    places = inputs or tuple(str(source["input"]) for source in row.run.manifest["inputs"])
    named = printable(", ".join(places[:3]) + (f" and {len(places) - 3:,} more" if len(places) > 3 else ""))
    try:
        texts = _from_inputs(row, places)
    except (RefusedError, UnavailableError) as error:
        if inputs:
            raise
        reason = error.what.removeprefix("the texts cannot be read: ")
        return FoundText(
            None, f"not shown: the run's inputs cannot be read ({reason}); give them with --text-from INPUT"
        )
    if texts.matched:
        return FoundText(texts.matched[0], f"from {named}")
    other = "give the inputs as they were scored with --text-from INPUT"
    if texts.mismatched:
        return FoundText(None, f"not shown: what is now in {named} is not the text that was scored; {other}")
    return FoundText(None, f"not shown: this review is not in {named}; {other}")


def _from_inputs(row: RunRow, inputs: tuple[str, ...]) -> Texts:
    try:
        return from_inputs(row.run, [row], inputs)
    except OSError as error:
        raise InputError("the texts cannot be read", where=printable(", ".join(inputs)), got=str(error)) from error
