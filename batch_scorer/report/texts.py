"""The texts of the chosen reviews: from the inputs, read as the run read them, or from a kept column.

A text is shown only if it is the one that was scored: with as many words, and each listed word at its place.
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
from batch_scorer.report.quality import JUDGED
from batch_scorer.report.selection import CHOSEN
from batch_scorer.runs.finished import Run
from batch_scorer.schema import printable
from batch_scorer.scoring import read

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_Key = TypeVar("_Key")
COLUMN_CHARACTERS = 20_000  # of a text in a column: beyond, its words are not counted
NO_TEXTS = (
    "The output of a run holds no texts. To see them here, give the inputs with --text-from INPUT, or score with "
    "--keep TEXT_COLUMN and name that column with --text-column."
)


@dataclass
class Texts:
    """Texts as they are found for `reviews`; they are known by their place in it.

    Args:
        found: the beginning of each text that was scored.
        strange: where the only texts found are others.
    """

    reviews: Sequence[Review]
    found: dict[int, str] = field(default_factory=dict)
    strange: set[int] = field(default_factory=set)

    def offer(self, i: int, text: str, is_whole: bool = True) -> None:
        """Takes a text if it is that of review `i`."""
        if i in self.found:
            return
        if is_the_text(self.reviews[i], text, is_whole):
            self.found[i] = text[: TEXT + 1]  # one more tells that it is cut
            self.strange.discard(i)
        else:
            self.strange.add(i)

    def shown(self) -> tuple[Review, ...]:
        """The reviews with their texts."""
        return tuple(dataclasses.replace(review, text=self.found.get(i)) for i, review in enumerate(self.reviews))

    def note(self, place: str) -> str:
        """Where the texts come from, and which are missing."""
        said = f"The texts come from {place}."
        if self.strange:
            count = len(self.strange)
            said += f" {count:,} {'text is not the one' if count == 1 else 'texts are not those'} that "
            said += f"{'was' if count == 1 else 'were'} scored and {'is' if count == 1 else 'are'} left out."
        missing = len(self.reviews) - len(self.found) - len(self.strange)
        if missing:
            said += f" {missing:,} {'review was' if missing == 1 else 'reviews were'} not found there."
        return said


def is_the_text(review: Review, text: str, is_whole: bool = True) -> bool:
    """Whether `text`, or what it is the beginning of, is what was scored as `review`."""
    if is_whole and len(spans(text)[0]) != review.n_tokens:
        return False
    words = (word for word in review.words if is_whole or word.char_end <= len(text))
    return all(cut(text[word.char_start : word.char_end].lower(), TOKEN) == word.token for word in words)


def from_column(connection: DuckDBPyConnection, reviews: Sequence[Review], column: str) -> Texts:
    """Texts of a kept column, which is `column` of `JUDGED`."""
    texts = Texts(reviews)
    places = _by(reviews, lambda review: (review.record_id, review.source, review.offset))
    rows = connection.execute(f"""
        select left(record_id, {KEY}), left(source, {KEY}), "offset",
            left({column}, {COLUMN_CHARACTERS}), length({column}) <= {COLUMN_CHARACTERS}
        from {JUDGED} where {column} is not null
            and (record_id, source, "offset") in (select (record_id, source, "offset") from {CHOSEN})
    """)
    while some := rows.fetchmany(100):
        for record_id, source, offset, text, is_whole in some:
            for i in places.get((record_id, source, offset), ()):
                texts.offer(i, text, is_whole)
    return texts


def from_inputs(run: Run, reviews: Sequence[Review], inputs: tuple[str, ...]) -> Texts:
    """Texts of the inputs, which may stand elsewhere than when they were scored.

    They are looked for by path and offset, or name and offset; what is then missing, by id, if the run had ids.

    Raises:
        InputError: the inputs do not match, or lack the columns of the run.
    """
    fields, shards = _plan(run, inputs)
    texts, places = Texts(reviews), Places(reviews)
    _search(texts, (shard for shard in shards if places.may_be_in(shard)), fields, places.at)
    if fields.id is not None:
        ids = _by(reviews, lambda review: review.record_id)
        _search(texts, shards, fields, lambda record_id, source, offset: ids.get(record_id[:KEY], ()))
    return texts


def _search(
    texts: Texts, shards: Iterable[Shard], fields: Fields, wanted: Callable[[str, str, int], Sequence[int]]
) -> None:
    """Reads shards until no text is missing.

    Args:
        wanted: id, source, offset -> the reviews that may have this text.
    """
    for shard in shards:
        for chunk in read.read(shard, fields):
            if len(texts.found) == len(texts.reviews):
                return
            columns = (chunk.reviews[name].to_pylist() for name in ("record_id", "source", "offset"))
            for *place, text in zip(*columns, chunk.texts, strict=True):
                for i in wanted(*place):
                    texts.offer(i, text)


class Places:
    """Where reviews stand in the inputs: by the path that was scored or, where there is none like it, by its name."""

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
        """Whether a review may stand in this shard."""
        if len(shard.paths) > 1 or shard.stop is None:
            return any(self._of(path) for path in shard.paths)
        offsets = sorted(self._of(shard.paths[0]))
        at = bisect.bisect_left(offsets, shard.start)
        return at < len(offsets) and offsets[at] < shard.stop


def _offsets(reviews: Sequence[Review], name: Callable[[str], str]) -> dict[str, dict[int, list[int]]]:
    """Name -> offset -> places of reviews."""
    found: dict[str, dict[int, list[int]]] = {}
    for i, review in enumerate(reviews):
        found.setdefault(name(review.source), {}).setdefault(review.offset, []).append(i)
    return found


def _by(reviews: Sequence[Review], key: Callable[[Review], _Key]) -> dict[_Key, list[int]]:
    found: dict[_Key, list[int]] = {}
    for i, review in enumerate(reviews):
        found.setdefault(key(review), []).append(i)
    return found


def _plan(run: Run, inputs: tuple[str, ...]) -> tuple[Fields, Iterable[Shard]]:
    """The inputs as the run would have read them."""
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
        made, shards = make_plan(config, run.manifest["model_id"])
    except InputError as error:
        if len(formats) != 1:
            raise _not_these(error) from error
        try:  # perhaps it was said with --input-format
            made, shards = make_plan(config.with_options(input_format=formats.pop()), run.manifest["model_id"])
        except InputError:
            raise _not_these(error) from error
    return made.fields, shards


def _formats(inputs: Sequence[Mapping[str, Any]]) -> set[str]:
    return {name for found in inputs for name in found["formats"]}


def _not_these(error: InputError) -> InputError:
    return InputError(
        f"the texts cannot be read: {error.what}",
        where=error.where,
        expected=error.expected,
        got=error.got,
        fix="give with --text-from the inputs that were scored",
    )
