"""Inputs as `score` takes them -> chunks, one after the other in this process: for those who read what a job reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from batch_scorer.config import InputConfig, Kept, OutputConfig, ScoreConfig
from batch_scorer.errors import InputError
from batch_scorer.formats.records import Fields, InputFile, Shard
from batch_scorer.planning import columns, text_files
from batch_scorer.planning.listing import list_inputs
from batch_scorer.planning.missing import missing
from batch_scorer.planning.options import check_given, check_reading
from batch_scorer.planning.plan import SHARD_ROWS_MAX
from batch_scorer.planning.shards import Files, Shards
from batch_scorer.scoring.read import Chunk, read

LABEL = "label"  # the column of `Chunk.reviews` that holds the labels
_JSON = ("jsonl", "json")


@dataclass(frozen=True)
class Inputs:
    """Files that have been looked into and can be read.

    Args:
        fields: what to read of them.
        shards: how they are cut, in order.
        notices: what the user should know about them.
    """

    fields: Fields
    shards: Iterable[Shard]
    notices: tuple[str, ...]

    def __iter__(self) -> Iterator[Chunk]:
        """The chunks; what a job would write to `errors` is in their `rejected`. Damage never raises."""
        for shard in self.shards:
            yield from read(shard, self.fields)


def open_inputs(reads: InputConfig, label_column: str | None = None) -> Inputs:
    """Lists files and looks into them, as a job does while it is planned.

    Args:
        reads: what to read.
        label_column: a column to read as text, whatever its type in each file: `LABEL` of the chunks' reviews.

    Raises:
        OptionError: an option has a value that nothing can be read with.
        InputError: nothing matches, a column is missing or has the wrong type, or a file's format is not known.

    Example:
        texts = [text for chunk in open_inputs(InputConfig(("reviews.csv",))) for text in chunk.texts]
    """
    check_reading(reads)
    check_given("label-column", label_column)
    listing = list_inputs(ScoreConfig(reads, OutputConfig("")))
    fields = Fields.of(reads)
    if label_column is not None:
        labels = pa.schema([pa.field(LABEL, pa.string())])
        fields = dataclasses.replace(
            fields, kept=(Kept(label_column, LABEL),), kept_schema=labels, kept_option="--label-column"
        )
    files = Files(listing)
    for file in columns.look_into(listing, fields):
        if label_column is not None:
            _check_labels(file, label_column, fields)
        files.add(file)
    notices = (*listing.notices, *text_files.notices(listing, reads.format, reads.encoding), *files.remarks)
    return Inputs(fields, Shards(files, SHARD_ROWS_MAX, fields, reads.limit), notices)


def _check_labels(file: InputFile, name: str, fields: Fields) -> None:
    """Checks that a file has labels that can be read as text, in a column or in its path."""
    if file.damage is not None or name in dict(file.partitions) or not file.reviews:
        return
    if file.columns is None and file.format in _JSON:
        raise InputError(
            "no record at the start of the file is a JSON object, and so none has a label",
            where=file.path,
            expected=f"objects with a key {name!r}",
            got="none",
            fix='give each review as an object, such as {"text": ..., "label": ...}; or, if the file is not JSON, '
            "name its format with --input-format",
        )
    if file.columns is None:
        raise InputError(
            "the file has no columns, and so no labels",
            where=file.path,
            expected=f"a column {name!r}",
            got=f"the format {file.format}",
            fix="give a file with a column of labels, or a directory with pos/*.txt and neg/*.txt",
        )
    if name not in file.columns.names:
        raise missing(file, fields.kept_option, name, fields)
    columns.check_as_text(file.path, file.columns.field(name), "name another with --label-column")
