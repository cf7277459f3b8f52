"""The two tables that a job writes, column by column, and their error codes; `runs.schemas` exports them.

Columns are only ever added, and each addition has a version of its own: that of a table is its newest column's.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa

_surrogates = re.compile("[\ud800-\udfff]")

SCHEMA_VERSIONS = (1, 2, 3, 4, 5)  # of the tables
# Of the model artefact: 2 where the first one's readers would score wrongly (windows, aliases, another pattern, a
# calibration by review), 1 otherwise.
FORMAT_VERSIONS = (1, 2)

TOKEN = pa.struct(
    [
        pa.field("token", pa.string(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("char_start", pa.int32(), nullable=False),
        pa.field("char_end", pa.int32(), nullable=False),
        pa.field("attention", pa.float32(), nullable=False),
        pa.field("contribution", pa.float32(), nullable=False),
    ]
)
# BigQuery and Spark expect list elements under this name; with Arrow's default, `item`, they would read NULL.
TOKENS = pa.list_(pa.field("element", TOKEN, nullable=False))

# A sentence or a phrase.
SPAN = pa.struct(
    [
        pa.field("char_start", pa.int32(), nullable=False),
        pa.field("char_end", pa.int32(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("n_words", pa.int32(), nullable=False),
        pa.field("contribution", pa.float32(), nullable=False),
        pa.field("attention", pa.float32(), nullable=False),
    ]
)
SPANS = pa.list_(pa.field("element", SPAN, nullable=False))

_LEADING = [
    pa.field("record_id", pa.string(), nullable=False),
    pa.field("source", pa.string(), nullable=False),
    pa.field("offset", pa.int64(), nullable=False),
    pa.field("probability", pa.float32(), nullable=False),
    pa.field("logit", pa.float32(), nullable=False),
    pa.field("predicted_label", pa.string(), nullable=False),
    pa.field("n_tokens", pa.int32(), nullable=False),
    pa.field("n_tokens_used", pa.int32(), nullable=False),
    pa.field("truncated", pa.bool_(), nullable=False),
    pa.field("oov_rate", pa.float32(), nullable=False),
    pa.field("top_attended", TOKENS, nullable=False),
    pa.field("top_contributing", TOKENS, nullable=False),
    pa.field("rest_contribution", pa.float32(), nullable=False),
]
_TRAILING = [
    pa.field("model_id", pa.string(), nullable=False),
    pa.field("run_id", pa.string(), nullable=False),
]
COLUMNS = tuple(field.name for field in (*_LEADING, *_TRAILING))  # those that every run has
OUR_COLUMNS = frozenset(COLUMNS)
# Columns that some runs have, and the version that they came with.
_OPTIONAL = {
    "temperature": (pa.field("temperature", pa.float32(), nullable=False), 2),
    "sentences": (pa.field("sentences", SPANS, nullable=False), 3),
    "start_contribution": (pa.field("start_contribution", pa.float32(), nullable=False), 3),
    "top_spans": (pa.field("top_spans", SPANS, nullable=False), 3),
    "spans_rest": (pa.field("spans_rest", pa.float32(), nullable=False), 3),
    "decided": (pa.field("decided", pa.bool_(), nullable=False), 4),
    "unusual": (pa.field("unusual", pa.string(), nullable=False), 4),
    "text_hash": (pa.field("text_hash", pa.uint64(), nullable=False), 5),
}
OPTIONAL_COLUMNS = tuple(_OPTIONAL)


@dataclass(frozen=True)
class Segments:
    """What is asked for besides words: the options `--sentences` and `--spans`.

    Args:
        sentences: whether every sentence is listed.
        spans: the most phrases in a list; 0 for no such list.
    """

    sentences: bool = False
    spans: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of `OPTIONAL_COLUMNS` that follow.

        Example:
            >>> Segments(spans=3).columns
            ('top_spans', 'spans_rest')
        """
        by_sentence = ("sentences", "start_contribution") if self.sentences else ()
        return (*by_sentence, "top_spans", "spans_rest") if self.spans else by_sentence


WORDS_ONLY = Segments()

ERRORS = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("offset", pa.int64()),
        pa.field("record_id", pa.string()),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("code", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
        pa.field("excerpt", pa.string()),
    ]
)

DESCRIPTIONS = {
    "record_id": "the id column's value as text; source#offset where there is none or it is null",
    "source": "input file as matched",
    "offset": "0-based row in Parquet and CSV, byte in JSONL and lines, 0 for a one-review file; null if unreadable",
    "probability": "P(positive), calibrated, 0 to 1",
    "logit": "raw, before calibration: bias + the sum of all contributions",
    "predicted_label": "positive or negative, by the threshold in the manifest",
    "n_tokens": "words found",
    "n_tokens_used": "words scored: the last max_words * max_windows of those found, or, by some models, the first",
    "truncated": "whether any word was dropped",
    "oov_rate": "share of used words that are out of vocabulary",
    "top_attended": "words by attention, descending, ties by position",
    "top_contributing": "words by absolute contribution, descending, ties by position",
    "rest_contribution": "the sum of the contributions of everything not in top_contributing",
    "temperature": "what the logit is divided by: probability = 1 / (1 + exp(-logit / temperature))",
    "sentences": "every sentence of what is read, in the order of the text: each word read is in exactly one",
    "start_contribution": "what start marks (one a window) and padding add: logit = bias + sentences + this",
    "top_spans": "phrases by absolute contribution, descending, ties by position; no two share a word",
    "spans_rest": "the sum of the contributions of everything not in top_spans",
    "decided": "whether max(probability, 1 - probability) reaches the threshold of certainty in the manifest",
    "unusual": "why the text is unlike those of training: short, long, unknown words, other script; or empty",
    "text_hash": "the first 64 bits of the SHA-256 of the text in UTF-8, as an unsigned number",
    "stage": "where it was rejected: read, decode, encode or score",
    "code": "why, as a stable word: see codes",
    "message": "why, in words",
    "excerpt": "the beginning of the record, at most 200 characters",
    "model_id": "first 12 hex digits of the model's sha256",
    "run_id": "the run's name, from --run-id or the plan",
    "token": "the word as it stands in the text, in lower case",
    "position": "0 is the first word of the text",
    "char_start": "where the word begins in the text, in code points",
    "char_end": "where it ends, exclusive",
    "n_words": "how many words",
    "attention": "share of the model's attention",
    "contribution": "what the word adds to the logit",
}

# code -> stage, meaning. Codes are stable: queries rely on them.
ERROR_CODES = {
    "unreadable": ("read", "a whole file or range could not be read; the offset is null"),
    "invalid_utf8": ("decode", "the bytes are not UTF-8, or not in the --encoding given"),
    "malformed_csv": ("decode", "the quotes of a CSV record do not match"),
    "wrong_field_count": ("decode", "a CSV record has more or fewer fields than the header"),
    "lone_surrogate": ("decode", "the text holds half of a surrogate pair, which no encoding can write"),
    "malformed_json": ("decode", "the line or item is not one JSON value"),
    "not_an_object": ("decode", "the line or item is JSON, but not an object with fields"),
    "missing_text": ("decode", "the text is absent, null, or one of --null-values"),
    "text_not_a_string": ("decode", "the text is a number, a list or an object"),
    "text_too_large": ("decode", "the text is larger than the limit"),
    "kept_value_mismatch": ("decode", "a kept value does not fit its column's type"),
    "no_words": ("encode", "the text holds no word"),
    "engine_failed": ("score", "the model failed on this review alone"),
}

EXCERPT_CHARACTERS = 200


@dataclass(frozen=True)
class Rejection:
    """A record that could not be scored, or, with the offset None, a file or range that could not be read.

    Args:
        is_empty: whether there is nothing to score, because the text is blank, null or without words: no fault of the
            file. A text that is absent is not empty.
    """

    source: str
    offset: int | None
    record_id: str | None
    code: str
    message: str
    excerpt: str | None = None
    is_empty: bool = False


def predictions_schema(kept: pa.Schema, run_id: str, model_id: str, optional: Collection[str] = ()) -> pa.Schema:
    """The schema of a predictions part: our columns, with the kept ones among them, and the metadata.

    Args:
        optional: those of `OPTIONAL_COLUMNS` that it has.
    """
    stamp = {"run_id": run_id, "model_id": model_id, "schema_version": str(schema_version(optional))}
    some = [field for name, (field, _) in _OPTIONAL.items() if name in optional]
    return pa.schema([*_LEADING, *kept, *some, *_TRAILING], metadata=stamp)


def schema_version(optional: Collection[str]) -> int:
    """The version of tables that have these of `OPTIONAL_COLUMNS`."""
    return max([1, *(version for name, (_, version) in _OPTIONAL.items() if name in optional)])


def rejections_table(
    rejections: list[Rejection], run_id: str, model_id: str, excerpts: bool = True, optional: Collection[str] = ()
) -> pa.Table:
    """Rejections as rows of an errors part; with `excerpts`, they show the beginning of the records.

    Args:
        optional: those of `OPTIONAL_COLUMNS` that the predictions of the run have.
    """
    rows = [
        {
            "source": printable(r.source),
            "offset": r.offset,
            "record_id": None if r.record_id is None else printable(r.record_id),
            "stage": ERROR_CODES[r.code][0],
            "code": r.code,
            "message": printable(r.message),
            "excerpt": printable(r.excerpt)[:EXCERPT_CHARACTERS] if excerpts and r.excerpt is not None else None,
        }
        for r in rejections
    ]
    stamp = predictions_schema(pa.schema([]), run_id, model_id, optional).metadata
    return pa.Table.from_pylist(rows, ERRORS.with_metadata(stamp))


def has_surrogates(text: str) -> bool:
    """Whether `text` contains a lone surrogate, which UTF-8 cannot encode."""
    return not text.isascii() and _surrogates.search(text) is not None


def printable(text: str) -> str:
    """`text` with lone surrogates (undecodable file names, JSON escapes) replaced, so that UTF-8 can encode it."""
    return text if text.isascii() else _surrogates.sub("\ufffd", text)
