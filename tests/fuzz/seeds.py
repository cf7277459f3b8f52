"""Valid inputs to start from, written by code: a `Random` in, the bytes of a small file out."""

from __future__ import annotations

import csv
import io
import json
import string
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.conftest import WORDS
from tests.fuzz.mutate import VALUES, nested

SEPARATOR = b"\n--8<--\n"  # between the files of a case of several
ODD = (
    *(
        "İstanbul",
        "ΟΔΟΣ",
        "straße",
        "ǅ",
        "ﬁlm",
        "e\u0301te\u0301",
        "日本語",
        "👍🏽",
        "\U000e0041",
        "a\u200db",
        "１２",
        "_",
        "''",
    ),
    *("<br />", "<br/>", "<br /><br />", "\u2028", "\u0085", "\u202e", "\ufeff", "\u0000", "\x1b[31m", "\x9b", "\x07"),
    *("?!", "...", "[red]", "[/]", ":heart:", "\\", "\ud7ff", "\U0010ffff", "\ufffd", "\u0130\u0307", "\u1e9e"),
)


def text(rng: Random) -> str:
    """A review of 0 to 60 words, some of them odd."""
    odd = rng.choice((0.0, 0.1, 0.5))
    words = (rng.choice(ODD if rng.random() < odd else WORDS) for _ in range(int(rng.expovariate(0.1)) % 60))
    return rng.choice((" ", " ", "", "\n", ", ")).join(words)


def unicode_text(rng: Random) -> bytes:
    """A review, or characters from anywhere in Unicode but the surrogates."""
    if rng.random() < 0.5:
        return text(rng).encode()
    start = rng.choice((0, 0x80, 0x250, 0x2000, 0x1F00, 0x10000, rng.randrange(0x110000)))
    codes = (min(start + int(rng.expovariate(0.01)), 0x10FFFF) for _ in range(rng.randrange(40)))
    return "".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000).encode()


def jsonl(rng: Random) -> bytes:
    """Lines, most of them objects with a text."""
    end = rng.choice((b"\n", b"\n", b"\r\n"))
    lines = [rng.choice(_JSON_LINES)(rng) for _ in range(rng.randrange(12))]
    return rng.choice((b"", b"", b"\xef\xbb\xbf")) + end.join(lines) + rng.choice((b"", end))


def _good(rng: Random) -> bytes:
    value = {"text": text(rng), "id": rng.randrange(99), "n": rng.choice((1, 2.5, True, "x", None))}
    return json.dumps(value, ensure_ascii=rng.random() < 0.5).encode()


_JSON_LINES: tuple[Callable[[Random], bytes], ...] = (
    *[_good] * 6,
    lambda rng: json.dumps({"text": rng.choice(VALUES), "id": rng.choice(VALUES), "n": rng.choice(VALUES)}).encode(),
    lambda rng: json.dumps({"text": text(rng), "a": {"b": {"c": {"d": 1}}}, "a.b": 2}).encode(),
    lambda rng: f'{{"text": {nested(rng.choice((3, 900, rng.randrange(960, 1_000), 5_000)), rng)}}}'.encode(),
    lambda rng: f'{{"text": "deep", "n": {nested(rng.randrange(960, 1_000), rng)}}}'.encode(),
    lambda rng: b'{"text": "one", "text": "two"}',
    lambda rng: b'{"text": "a", "\\ud800": 1, "": 2, "n\\u0000": 3}',
    lambda rng: rng.choice((b"", b" ", b"\t", b"null", b"[]", b"7", b'"x"', b"{", b"\xff\xfe", b"\xef\xbb\xbf{}")),
)


def table(rng: Random, delimiter: str) -> bytes:
    """CSV: a header, and records of which most have as many fields."""
    out = io.StringIO()
    style: dict[str, Any] = {
        "delimiter": delimiter,
        "lineterminator": rng.choice(("\n", "\n", "\r\n")),
        "quoting": rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)),
    }
    writer = csv.writer(out, **style)
    names = rng.sample(["text", "id", "n", "other", "naïve", "a b"], rng.randrange(2, 6))
    header = names if "text" in names else ["text", *names]
    writer.writerow(header)
    for _ in range(rng.randrange(10)):
        fields = len(header) + rng.choice((0, 0, 0, 0, 0, 0, 1, -1))
        writer.writerow([text(rng) for _ in range(fields)])
    data = out.getvalue().encode(rng.choice(("utf-8", "utf-8", "latin-1")), "replace")
    return rng.choice((b"", b"", b"\xef\xbb\xbf")) + data


def lines(rng: Random) -> bytes:
    """One review a line."""
    return b"\n".join(text(rng).encode() for _ in range(rng.randrange(12)))


def files(rng: Random) -> bytes:
    """Several one-review files."""
    return SEPARATOR.join(text(rng).encode() for _ in range(rng.randrange(1, 5)))


def parquet(rng: Random) -> bytes:
    """A table of any types, encoded and compressed in any way; the text is in `text`, `review.body` or `a.b.c`."""
    rows = rng.choice((*(0, 1, 7) * 2, *(40,) * 8, 1_030))
    columns = {}
    words = pa.array([None if rng.random() < 0.05 else text(rng)[:40] for _ in range(rows)], pa.string())
    words = words.cast(rng.choice((pa.string(), pa.string(), pa.large_string(), pa.binary(), pa.string_view())))
    if rng.random() < 0.2 and not pa.types.is_string_view(words.type):
        words = words.dictionary_encode()
    where = rng.choice(("text", "text", "text", "review", "a.b"))
    if where == "text":
        columns["text"] = words
    else:
        inner = "body" if where == "review" else "c"
        mask = pa.array([rng.random() < 0.05 for _ in range(rows)], pa.bool_()) if rng.random() < 0.3 else None
        columns[where] = pa.StructArray.from_arrays([words], [inner], mask=mask)
    names = ["id", "k0", "k1"][: rng.randrange(4)]
    for name in names:
        kind = any_type(rng, rng.choice((0, 0, 0, 2)))
        columns[name] = pa.array([any_value(kind, rng) for _ in range(rows)], kind)
    out = pa.BufferOutputStream()
    try:
        pq.write_table(
            pa.table(columns),
            out,
            compression=rng.choice(("none", "snappy", "gzip", "zstd", "lz4", "brotli")),
            use_dictionary=rng.random() < 0.5,
            data_page_version=rng.choice(("1.0", "2.0")),
            data_page_size=rng.choice((64, 1 << 20)),
            row_group_size=rng.choice((max(1, rows // 13), max(1, rows // 2), 1 << 20)),
            write_statistics=rng.random() < 0.5,
            store_schema=rng.random() < 0.7,
            write_page_index=rng.random() < 0.2,
            write_page_checksum=rng.random() < 0.2,
            version=rng.choice(("1.0", "2.4", "2.6")),
        )
    except (pa.ArrowNotImplementedError, pa.ArrowIndexError):
        # pyarrow cannot write parts of columns of string views, nor those of dictionaries that are empty
        return parquet(rng)
    return out.getvalue().to_pybytes()


_PLAIN = (
    *(pa.bool_(), pa.int8(), pa.uint8(), pa.int32(), pa.int64(), pa.uint64(), pa.float16(), pa.float32(), pa.float64()),
    *(pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.binary(3), pa.string_view(), pa.binary_view()),
    *(pa.date32(), pa.date64(), pa.time32("ms"), pa.time64("ns"), pa.duration("us"), pa.null()),
    *(pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.timestamp("ms", "Europe/Berlin")),
    *(pa.decimal128(9, 2), pa.decimal256(50, 5), pa.dictionary(pa.int32(), pa.string())),
)


def any_type(rng: Random, depth: int) -> pa.DataType:
    """A type that Parquet can hold."""
    if depth == 0:
        return rng.choice(_PLAIN)
    inner = any_type(rng, depth - 1)
    if pa.types.is_null(inner):
        inner = pa.string()
    kinds = (
        lambda: pa.list_(inner),
        lambda: pa.large_list(inner),
        lambda: pa.list_(inner, 2),
        lambda: pa.map_(pa.string(), inner),
        lambda: pa.struct([("x", inner), ("y", pa.int32())]),
    )
    return rng.choice(kinds)()


def any_value(kind: pa.DataType, rng: Random, nullable: bool = True) -> Any:
    """A value of the type `kind`, now and then null."""
    if pa.types.is_null(kind) or (nullable and rng.random() < 0.1):
        return None
    if pa.types.is_struct(kind):
        return {field.name: any_value(field.type, rng) for field in kind}
    if pa.types.is_map(kind):
        return [(letters(rng), any_value(kind.item_type, rng)) for _ in range(rng.randrange(3))]
    if pa.types.is_fixed_size_list(kind):
        return [any_value(kind.value_type, rng) for _ in range(2)]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [any_value(kind.value_type, rng) for _ in range(rng.randrange(4))]
    return _plain_value(kind.value_type if pa.types.is_dictionary(kind) else kind, rng)


def _plain_value(kind: pa.DataType, rng: Random) -> Any:
    t = pa.types
    if t.is_fixed_size_binary(kind):
        return bytes(rng.choice(b"ab\xff") for _ in range(kind.byte_width))
    if t.is_binary(kind) or t.is_large_binary(kind) or kind == pa.binary_view():
        return letters(rng).encode() + rng.choice((b"", b"\xff"))
    if t.is_string(kind) or t.is_large_string(kind) or kind == pa.string_view():
        return rng.choice((letters(rng), text(rng)))
    if t.is_boolean(kind):
        return rng.random() < 0.5
    if t.is_decimal(kind):
        return Decimal(rng.randrange(-999, 999)) / 100
    if t.is_floating(kind):
        return rng.choice((0.0, -1.5, 2.0**10, float("inf")))
    if t.is_date64(kind):
        return pa.scalar(rng.randrange(-10, 20_000) * 86_400_000, pa.int64()).cast(kind).as_py()
    if t.is_temporal(kind):
        width = pa.int32() if kind.bit_width == 32 else pa.int64()
        return pa.scalar(1_000 * rng.randrange(86), width).cast(kind)  # version 1.0 has no nanoseconds
    return rng.randrange(0 if t.is_unsigned_integer(kind) else -100, 100)


def letters(rng: Random) -> str:
    """A short word."""
    return "".join(rng.choices(string.ascii_letters, k=rng.randrange(6)))
