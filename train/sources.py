"""Sources of reviews, as options name them -> texts with ids and labels, by the readers of `score`.

A source is whatever `score` takes, a directory laid out like aclImdb (`pos/*.txt`, `neg/*.txt`, `unsup/*.txt`), or
`imdb`. What `score` would write to `errors` is left out, counted and said.
"""

from __future__ import annotations

import glob
import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batch_scorer import storage
from batch_scorer.config import InputConfig, JobConfig
from batch_scorer.errors import InputError
from batch_scorer.escape import counted
from batch_scorer.formats.cells import unguarded
from batch_scorer.formats.encodings import encoding_of
from batch_scorer.formats.table import FORMATS, format_of
from batch_scorer.models.tokenizer import has_words
from batch_scorer.schema import Rejection
from batch_scorer.scoring.inputs import LABEL, open_inputs

IMDB_URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
IMDB_MD5 = "7c2ac02c03563afcf9b574c7e56c153a"
FOLDERS = {"pos": True, "neg": False}  # of a directory laid out like aclImdb
_PLACES = 2  # of what is left out for a reason, to show
_MANY = 0.2  # a share of bad records that nobody would leave out
_EMPTY = ("missing_text", "no_words")  # nothing is wrong with the file
_CURES = {
    "text_too_large": "raise --max-text-bytes",
    "wrong_field_count": "repair these records, and check --delimiter",
    "malformed_csv": "repair these records, or give --quote none if quotes stand for themselves, or --escape",
}


@dataclass(frozen=True)
class ReadOptions:
    """How to read files, and how much of them may be bad: the options of `score` of the same names."""

    input_format: str | None = None
    encoding: str = InputConfig.encoding
    delimiter: str | None = None
    max_text_bytes: int = InputConfig.max_text_bytes
    max_error_rate: float = JobConfig.max_error_rate
    allow_unreadable: bool = JobConfig.allow_unreadable
    quote: str = InputConfig.quote
    escape: str | None = None
    columns: tuple[str, ...] = ()
    null_values: tuple[str, ...] = ()
    sheet: str | None = None


@dataclass(frozen=True)
class Review:
    """A review as it was read; `label` is the text of its label, or what its folder says, or None without one."""

    id: str
    text: str
    label: str | bool | None


@dataclass
class Account:
    """What became of the records of some sources.

    Args:
        records: how many could be told apart.
        left_out: how many of them are left out, by error code; damaged files are `unreadable`.
        places: for each code, the first few places and what is wrong there.
        first: for each code, the first file.
        notices: what else the user should know.
    """

    records: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[str]] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    def leave_out(self, source: str, offset: int | None, code: str, message: str) -> None:
        """Counts a record, or with the offset None a file or range, that is left out."""
        self.records += offset is not None
        self.left_out[code] += 1
        self.first.setdefault(code, source)
        places = self.places.setdefault(code, [])
        if len(places) < _PLACES:
            places.append(f"{source}{'' if offset is None else f'#{offset}'}: {message}")

    def sentences(self) -> list[str]:
        """What to tell the user."""
        reasons = [f"{count:,} {code} ({self._shown(code)})" for code, count in self.left_out.most_common()]
        skipped = f"skipped {self.left_out.total():,} of {counted(self.records, 'record')}: {'; '.join(reasons)}"
        return [*self.notices, *([skipped] if reasons else [])]

    def _shown(self, code: str) -> str:
        more = self.left_out[code] - len(self.places[code])
        return ", ".join(self.places[code]) + (f" and {more:,} more" if more else "")

    def check(self, options: ReadOptions, sources: Sequence[str]) -> None:
        """Refuses sources of which too much is left out.

        Raises:
            InputError: a file or a part of one is unreadable, or more than `max_error_rate` of the records are bad.
                Null, blank and wordless texts are not.
        """
        where = ", ".join(sources)
        if self.left_out["unreadable"] and not options.allow_unreadable:
            raise InputError(
                "a file cannot be read, or not to its end",
                where=where,
                got=self._shown("unreadable"),
                fix="repair it or leave it out; or take what can be read, with --allow-unreadable",
            )
        bad = {code: n for code, n in self.left_out.items() if code not in (*_EMPTY, "unreadable")}
        rate = sum(bad.values()) / max(self.records, 1)
        if rate <= options.max_error_rate:
            return
        worst = max(bad, key=lambda code: bad[code])
        cure, enough = _CURES.get(worst, "repair these records"), math.ceil(100 * rate) / 100
        if worst == "invalid_utf8":
            cure = _how_to_decode(self.first[worst], options)
        raise InputError(
            "too many records cannot be read",
            where=where,
            expected=f"at most {options.max_error_rate:.1%} of them (--max-error-rate)",
            got=f"{sum(bad.values()):,} of {self.records:,}: "
            + "; ".join(f"{count:,} {code} ({self._shown(code)})" for code, count in bad.items()),
            fix=cure if rate > _MANY else f"{cure}; or leave them out, with --max-error-rate {enough:g}",
        )


def _how_to_decode(path: str, options: ReadOptions) -> str:
    """What to do about a file that is not in its encoding."""
    other, kind = encoding_of(path), options.input_format or format_of(path)
    if kind is None or FORMATS[kind].takes_encoding:
        how = f": --encoding {other} would read all of {path}, if other files are in it too" if other else ""
        return f"name the encoding of the files{how}"
    return "convert the files to UTF-8" + (f": from {other}, all of {path} can be" if other else "")


def labelled(
    source: str, text_column: str, id_column: str | None, label_column: str, options: ReadOptions, account: Account
) -> Iterator[Review]:
    """The reviews of a source with their labels.

    Raises:
        InputError: nothing matches, a column is missing or has the wrong type, or a file's format is not known.
    """
    source = _download_imdb() if source == "imdb" else source
    root = _with_folders(source) if options.input_format in (None, "files") else None
    if root is None:
        reads = _config((source,), text_column, id_column, options)
        yield from _reviews(reads, label_column, account)
        return
    for folder in FOLDERS:
        files = storage.join(root if storage.is_remote(root) else glob.escape(root), folder, "*.txt")
        reads = InputConfig(
            (files,),
            "files",
            encoding=options.encoding,
            max_text_bytes=options.max_text_bytes,
            null_values=options.null_values,
        )
        yield from _reviews(reads, None, account, folder)


def unlabelled(source: str, text_column: str, options: ReadOptions, account: Account) -> Iterator[str]:
    """The texts of a source; of a directory that has `unsup/` anywhere in it, those in there.

    Raises:
        InputError: as for `labelled`.
    """
    source = _download_imdb() if source == "imdb" else source
    inside = os.path.join(glob.escape(source), "**", "unsup", "*.txt")
    if os.path.isdir(source) and glob.glob(inside, recursive=True):
        source, options = inside, ReadOptions("files", options.encoding, max_text_bytes=options.max_text_bytes)
    reads = _config((source,), text_column, None, options)
    yield from (review.text for review in _reviews(reads, None, account))


def _config(sources: tuple[str, ...], text_column: str, id_column: str | None, options: ReadOptions) -> InputConfig:
    return InputConfig(
        sources, options.input_format, text_column, id_column, (), options.encoding, options.delimiter,
        max_text_bytes=options.max_text_bytes, quote=options.quote, escape=options.escape, columns=options.columns,
        null_values=options.null_values, sheet=options.sheet,
    )  # fmt: skip


def _reviews(
    reads: InputConfig, label_column: str | None, account: Account, folder: str | None = None
) -> Iterator[Review]:
    """The reviews that have words; the rest goes to `account`.

    Args:
        folder: one of `FOLDERS`, which all of them are in.
    """
    inputs = open_inputs(reads, label_column)
    account.notices += inputs.notices
    for chunk in inputs:
        for rejection in chunk.rejected:
            _leave_out(rejection, account)
        columns = [chunk.reviews[name].to_pylist() for name in ("record_id", "source", "offset")]
        labels = chunk.reviews[LABEL].to_pylist() if label_column is not None else [None] * len(chunk.texts)
        for record_id, source, offset, text, label in zip(*columns, chunk.texts, labels, strict=True):
            if not has_words(text):
                account.leave_out(source, offset, "no_words", "no word in the text")
                continue
            account.records += 1
            if folder is not None:
                yield Review(f"{folder}/{Path(source).stem}", text, FOLDERS[folder])
                continue
            # Without an id of its own, a review is told by its text: its place would change when the file is moved,
            # and with it the side of the split.
            has_id = reads.id_column is not None and record_id != f"{source}#{offset}"
            text = unguarded(text)  # of a file that `batch-scorer review` wrote  # noqa: PLW2901
            yield Review(unguarded(record_id) if has_id else _text_id(text), text, label)


def _leave_out(rejection: Rejection, account: Account) -> None:
    account.leave_out(rejection.source, rejection.offset, rejection.code, rejection.message)


def _text_id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _with_folders(source: str) -> str | None:
    """The directory in `source`, itself or `train/`, that has `pos/` or `neg/`, if it is laid out like aclImdb."""
    if not storage.is_directory(source):
        return None
    for root in (storage.join(source, "train"), source):
        if any(storage.is_directory(storage.join(root, folder)) for folder in FOLDERS):
            return root
    return None


def _download_imdb() -> str:
    import keras

    archive = keras.utils.get_file("aclImdb_v1.tar.gz", IMDB_URL, file_hash=IMDB_MD5, extract=True)
    return str(Path(archive) / "aclImdb")
