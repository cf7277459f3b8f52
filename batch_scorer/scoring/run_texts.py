"""The texts of rows of a finished run: read again from its inputs, the way the run read them.

A text counts only if it is the one that was scored: same number of words, and every listed word at its position. Of a
script without blanks, only the model knows how many units a text has; then no more is asked than that it can have them.
"""

from __future__ import annotations

import bisect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from batch_scorer.config import InputConfig, ScoreConfig
from batch_scorer.errors import InputError
from batch_scorer.formats.records import Fields, Shard
from batch_scorer.formats.table import FORMATS
from batch_scorer.models.tokenizer import PATTERN, Rule
from batch_scorer.models.units import count_limits
from batch_scorer.planning.plan import make_plan
from batch_scorer.runs.finished import Run
from batch_scorer.schema import printable
from batch_scorer.scoring import read

KEY = 1_000  # characters of an id or a source by which rows are looked up; a row may hold as many, or more
CUT = "…"  # ends a token that its row holds the beginning of; no word contains it

_T = TypeVar("_T")


class ListedWord(Protocol):
    """A word that a row lists."""

    @property
    def token(self) -> str: ...
    @property
    def char_start(self) -> int: ...
    @property
    def char_end(self) -> int: ...


class Row(Protocol):
    """What a text is looked up by, and recognised by."""

    @property
    def record_id(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def offset(self) -> int: ...
    @property
    def n_tokens(self) -> int: ...
    @property
    def words(self) -> Sequence[ListedWord]: ...


@dataclass
class Texts:
    """The texts of `rows`, which are numbered by their index, as they turn up.

    Args:
        pattern: what a word is, as `Run.pattern` says.
        characters: how many to keep of each text; None keeps them whole.
        matched: row -> the beginning of the text that was scored.
        mismatched: rows for which only other texts turned up.
    """

    rows: Sequence[Row]
    pattern: Rule = PATTERN
    characters: int | None = None
    matched: dict[int, str] = field(default_factory=dict)
    mismatched: set[int] = field(default_factory=set)

    def offer(self, i: int, text: str, is_whole: bool = True) -> None:
        """Takes `text` as that of row `i` if it is the one that was scored."""
        if i in self.matched:
            return
        if is_scored_text(self.rows[i], text, self.pattern, is_whole):
            self.matched[i] = text[: self.characters]
            self.mismatched.discard(i)
        else:
            self.mismatched.add(i)


def is_scored_text(row: Row, text: str, pattern: Rule, is_whole: bool = True) -> bool:
    """Whether `text` is what was scored as `row`, or, if not `is_whole`, the beginning of it.

    Args:
        pattern: what a word is, as `Run.pattern` says.
    """
    if is_whole:
        fewest, most = count_limits(text, pattern)
        if not fewest <= row.n_tokens <= most:
            return False
    words = (word for word in row.words if is_whole or word.char_end <= len(text))
    return all(_is_token(word.token, text[word.char_start : word.char_end].lower()) for word in words)


def _is_token(token: str, word: str) -> bool:
    if token.endswith(CUT):
        return len(word) >= len(token) and word.startswith(token.removesuffix(CUT))
    return word == token


def from_inputs(run: Run, rows: Sequence[Row], inputs: tuple[str, ...], characters: int | None = None) -> Texts:
    """The texts in the inputs, which may have moved since they were scored.

    Rows are looked up by path and offset, or by file name and offset. If the run had ids, those still missing are then
    looked up by id.

    Args:
        characters: how many to keep of each text; None keeps them whole.

    Raises:
        InputError: the inputs cannot be read, or lack the columns that the run read.
    """
    texts, locations = Texts(rows, run.pattern, characters), Locations(rows)
    by_id = group_by(rows, lambda row: row.record_id[:KEY])
    for fields, shards in _plans(run, inputs):
        likely = (one for shard in shards for one in shard.each() if locations.may_be_in(one))
        _search(texts, likely, fields, locations.at)
        if fields.id is not None:
            _search(texts, shards, fields, lambda record_id, source, offset: by_id.get(record_id[:KEY], ()))
        if len(texts.matched) == len(rows):
            break
    return texts


def _search(
    texts: Texts, shards: Iterable[Shard], fields: Fields, candidates: Callable[[str, str, int], Sequence[int]]
) -> None:
    """Reads shards until no text is missing.

    Args:
        candidates: id, source, offset of a text -> the rows that it may belong to.
    """
    for shard in shards:
        for chunk in read.read(shard, fields):
            if len(texts.matched) == len(texts.rows):
                return
            columns = (chunk.reviews[name].to_pylist() for name in ("record_id", "source", "offset"))
            for *identity, text in zip(*columns, chunk.texts, strict=True):
                for i in candidates(*identity):
                    texts.offer(i, text)


class Locations:
    """File and offset of rows. A file is the one that was scored if its path is, or failing that, if its name is."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._paths = _offsets(rows, lambda source: source)
        self._names = _offsets(rows, os.path.basename)

    def _of(self, path: str) -> dict[int, list[int]]:
        path = printable(path)[:KEY]
        return self._paths.get(path) or self._names.get(os.path.basename(path), {})

    def at(self, _: str, source: str, offset: int) -> Sequence[int]:
        """The rows at an offset of a file, whatever their id."""
        return self._of(source).get(offset, ())

    def may_be_in(self, shard: Shard) -> bool:
        """Whether any row may be in this shard."""
        if len(shard.paths) > 1 or shard.stop is None:
            return any(self._of(path) for path in shard.paths)
        offsets = sorted(self._of(shard.paths[0]))
        at = bisect.bisect_left(offsets, shard.start)
        return at < len(offsets) and offsets[at] < shard.stop


def _offsets(rows: Sequence[Row], name: Callable[[str], str]) -> dict[str, dict[int, list[int]]]:
    """Name of the source -> offset -> rows."""
    offsets: dict[str, dict[int, list[int]]] = {}
    for i, row in enumerate(rows):
        offsets.setdefault(name(row.source[:KEY]), {}).setdefault(row.offset, []).append(i)
    return offsets


def group_by(rows: Sequence[Row], key: Callable[[Row], _T]) -> dict[_T, list[int]]:
    """Key -> the rows that have it."""
    groups: dict[_T, list[int]] = {}
    for i, row in enumerate(rows):
        groups.setdefault(key(row), []).append(i)
    return groups


def _plans(run: Run, inputs: tuple[str, ...]) -> Iterator[tuple[Fields, Iterable[Shard]]]:
    """The columns and shards of the inputs as the run read them, then as their names say, if that is another way.

    The run may have been told the format, with --input-format: a `.txt` of many lines is one review by its name. Or the
    reviews may have been converted to another format since.

    Raises:
        InputError: neither is possible.
    """
    plan = run.plan
    config = ScoreConfig.of(
        inputs=inputs,
        output=run.output,
        text_column=plan["text_column"],
        id_column=plan["id_column"],
        encoding=plan["encoding"],
        delimiter=plan["delimiter"],
        quote=plan.get("quote", InputConfig.quote),
        escape=plan.get("escape"),
        columns=plan.get("columns", ()),
        max_text_bytes=plan["max_text_bytes"],
    )
    formats, failure, is_planned = _formats(run.manifest["inputs"]), None, False
    told = formats.pop() if len(formats) == 1 else None
    for input_format in (told, None) if told in FORMATS else (None,):
        try:
            planned, shards = make_plan(config.with_options(input_format=input_format), run.manifest["model_id"])
        except InputError as error:
            failure = error
            continue
        if not (is_planned and _formats(planned.inputs) == {told}):
            yield planned.fields, shards
        is_planned = True
    if not is_planned and failure is not None:
        raise _unusable(failure) from failure


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
