"""The selected reviews -> their texts: from the inputs, read the way the run read them, or from a kept column.

A text is shown only if it is the one that was scored: same number of words, and every listed word at its position.
"""

from __future__ import annotations

import bisect
import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import InputError
from batch_scorer.formats.records import Fields, Shard
from batch_scorer.models.tokenizer import spans
from batch_scorer.planning.plan import make_plan
from batch_scorer.report.budget import KEY, TEXT, TOKEN, cut
from batch_scorer.report.findings import Review
from batch_scorer.report.quality import LABELLED
from batch_scorer.report.selection import SELECTED
from batch_scorer.runs.finished import Run
from batch_scorer.schema import printable
from batch_scorer.scoring import read

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_Key = TypeVar("_Key")
COLUMN_CHARACTERS = 20_000  # read of a text in a kept column; the words of a longer one are not counted
NO_TEXTS = (
    "The output of a run has no texts. To see them here, pass the inputs with --text-from INPUT, or score with "
    "--keep TEXT_COLUMN and name that column with --text-column."
)


@dataclass
class Texts:
    """The texts of `reviews`, which are numbered by their index, as they turn up.

    Args:
        matched: review -> the beginning of the text that was scored.
        mismatched: reviews for which only other texts turned up.
    """

    reviews: Sequence[Review]
    matched: dict[int, str] = field(default_factory=dict)
    mismatched: set[int] = field(default_factory=set)

    def offer(self, i: int, text: str, is_whole: bool = True) -> None:
        """Takes `text` as that of review `i` if it is the one that was scored."""
        if i in self.matched:
            return
        if is_scored_text(self.reviews[i], text, is_whole):
            self.matched[i] = text[: TEXT + 1]  # one character more shows that the text has to be cut
            self.mismatched.discard(i)
        else:
            self.mismatched.add(i)

    def with_texts(self) -> tuple[Review, ...]:
        """The reviews with their texts."""
        return tuple(dataclasses.replace(review, text=self.matched.get(i)) for i, review in enumerate(self.reviews))

    def note(self, place: str) -> str:
        """A sentence or more: where the texts come from, and how many are missing."""
        sentences = [f"The texts come from {place}."]
        if self.mismatched:
            count = len(self.mismatched)
            are, texts = ("is", "text that was") if count == 1 else ("are", "texts that were")
            sentences.append(f"{count:,} {are} left out for not being the {texts} scored.")
        missing = len(self.reviews) - len(self.matched) - len(self.mismatched)
        if missing:
            sentences.append(f"{missing:,} {'review was' if missing == 1 else 'reviews were'} not found there.")
        return " ".join(sentences)


def is_scored_text(review: Review, text: str, is_whole: bool = True) -> bool:
    """Whether `text` is what was scored as `review`, or, if not `is_whole`, the beginning of it."""
    if is_whole and len(spans(text)[0]) != review.n_tokens:
        return False
    words = (word for word in review.words if is_whole or word.char_end <= len(text))
    return all(cut(text[word.char_start : word.char_end].lower(), TOKEN) == word.token for word in words)


def from_column(connection: DuckDBPyConnection, reviews: Sequence[Review], column: str) -> Texts:
    """The texts in a kept column, which is `column` in the view `LABELLED`."""
    texts = Texts(reviews)
    by_identity = _group_by(reviews, lambda review: (review.record_id, review.source, review.offset))
    rows = connection.execute(f"""
        select left(record_id, {KEY}), left(source, {KEY}), "offset",
            left({column}, {COLUMN_CHARACTERS}), length({column}) <= {COLUMN_CHARACTERS}
        from {LABELLED} where {column} is not null
            and (record_id, source, "offset") in (select (record_id, source, "offset") from {SELECTED})
    """)
    while batch := rows.fetchmany(100):
        for record_id, source, offset, text, is_whole in batch:
            for i in by_identity.get((record_id, source, offset), ()):
                texts.offer(i, text, is_whole)
    return texts


def from_inputs(run: Run, reviews: Sequence[Review], inputs: tuple[str, ...]) -> Texts:
    """The texts in the inputs, which may have moved since they were scored.

    Reviews are looked up by path and offset, or by file name and offset. If the run had ids, those still missing are
    then looked up by id.

    Raises:
        InputError: the inputs cannot be read, or lack the columns that the run read.
    """
    fields, shards = _plan(run, inputs)
    texts, locations = Texts(reviews), Locations(reviews)
    _search(texts, (shard for shard in shards if locations.may_be_in(shard)), fields, locations.at)
    if fields.id is not None:
        by_id = _group_by(reviews, lambda review: review.record_id)
        _search(texts, shards, fields, lambda record_id, source, offset: by_id.get(record_id[:KEY], ()))
    return texts


def _search(
    texts: Texts, shards: Iterable[Shard], fields: Fields, candidates: Callable[[str, str, int], Sequence[int]]
) -> None:
    """Reads shards until no text is missing.

    Args:
        candidates: id, source, offset of a text -> the reviews that it may belong to.
    """
    for shard in shards:
        for chunk in read.read(shard, fields):
            if len(texts.matched) == len(texts.reviews):
                return
            columns = (chunk.reviews[name].to_pylist() for name in ("record_id", "source", "offset"))
            for *identity, text in zip(*columns, chunk.texts, strict=True):
                for i in candidates(*identity):
                    texts.offer(i, text)


class Locations:
    """File and offset of reviews. A file is the one that was scored if its path is, or failing that, if its name is."""

    def __init__(self, reviews: Sequence[Review]) -> None:
        self._paths = _offsets(reviews, lambda source: source)
        self._names = _offsets(reviews, os.path.basename)

    def _of(self, path: str) -> dict[int, list[int]]:
        path = printable(path)[:KEY]
        return self._paths.get(path) or self._names.get(os.path.basename(path), {})

    def at(self, _: str, source: str, offset: int) -> Sequence[int]:
        """The reviews at an offset of a file, whatever their id."""
        return self._of(source).get(offset, ())

    def may_be_in(self, shard: Shard) -> bool:
        """Whether any review may be in this shard."""
        if len(shard.paths) > 1 or shard.stop is None:
            return any(self._of(path) for path in shard.paths)
        offsets = sorted(self._of(shard.paths[0]))
        at = bisect.bisect_left(offsets, shard.start)
        return at < len(offsets) and offsets[at] < shard.stop


def _offsets(reviews: Sequence[Review], name: Callable[[str], str]) -> dict[str, dict[int, list[int]]]:
    """Name of the source -> offset -> reviews."""
    offsets: dict[str, dict[int, list[int]]] = {}
    for i, review in enumerate(reviews):
        offsets.setdefault(name(review.source), {}).setdefault(review.offset, []).append(i)
    return offsets


def _group_by(reviews: Sequence[Review], key: Callable[[Review], _Key]) -> dict[_Key, list[int]]:
    groups: dict[_Key, list[int]] = {}
    for i, review in enumerate(reviews):
        groups.setdefault(key(review), []).append(i)
    return groups


def _plan(run: Run, inputs: tuple[str, ...]) -> tuple[Fields, Iterable[Shard]]:
    """The columns and shards of the inputs, as the run would have read them."""
    plan = run.plan
    config = ScoreConfig.of(
        inputs=inputs,
        output=run.output,
        text_column=plan["text_column"],
        id_column=plan["id_column"],
        encoding=plan["encoding"],
        delimiter=plan["delimiter"],
        max_text_bytes=plan["max_text_bytes"],
    )
    formats = _formats(run.manifest["inputs"])
    try:
        new_plan, shards = make_plan(config, run.manifest["model_id"])
    except InputError as error:
        if len(formats) != 1:
            raise _unusable(error) from error
        try:  # perhaps the run was told the format, with --input-format
            new_plan, shards = make_plan(config.with_options(input_format=formats.pop()), run.manifest["model_id"])
        except InputError:
            raise _unusable(error) from error
    return new_plan.fields, shards


def _formats(inputs: Sequence[Mapping[str, Any]]) -> set[str]:
    return {name for source in inputs for name in source["formats"]}


def _unusable(error: InputError) -> InputError:
    return InputError(
        f"the texts cannot be read: {error.what}",
        where=error.where,
        expected=error.expected,
        got=error.got,
        fix="give --text-from the inputs that were scored",
    )
