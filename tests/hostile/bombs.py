"""Inputs of a few megabytes that inflate to gigabytes, in any size: small for tests, large for `measure`."""

from __future__ import annotations

import bz2
import gzip
import io
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile import parquet_lies as lies

SMALL = 32  # records before the bomb
_GOOD = {
    ".jsonl": (b"", b'{"text": "a wonderful film", "id": "i", "k": "k"}\n'),
    ".csv": (b"text\n", b"a wonderful film\n"),
}
_BLOCK = 1 << 20


def text_bomb(path: Path, unit: bytes, inflated: int) -> None:
    """`SMALL` good records, and then `unit` again and again; the name says the format and how it is compressed."""
    head, good = _GOOD[Path(path.stem).suffix]
    good = head + good * SMALL
    block = unit * max(1, _BLOCK // len(unit))
    times = inflated // len(block)
    if path.suffix == ".zst":
        with pa.CompressedOutputStream(str(path), "zstd") as out:
            out.write(good)
            for _ in range(times):
                out.write(block)
        return
    compress: Callable[[bytes], bytes] = gzip.compress if path.suffix == ".gz" else bz2.compress
    # Members one behind the other are one file to gzip and bzip2: each of a hundred blocks is compressed once only.
    some = compress(block * min(times, 100))
    rest = compress(block * (times % 100)) if times > 100 else b""
    path.write_bytes(compress(good) + some * max(1, times // 100) + rest)


def _gzipped(prefix: bytes, zeros: int) -> bytes:
    """The prefix and so many blanks, compressed without ever being whole."""
    squeeze = zlib.compressobj(9, wbits=31)
    pieces = [squeeze.compress(prefix)]
    pieces += [squeeze.compress(b" " * _BLOCK) for _ in range(zeros // _BLOCK)]
    return b"".join([*pieces, squeeze.compress(b" " * (zeros % _BLOCK)), squeeze.flush()])


def one_value(inflated: int) -> bytes:
    """`SMALL` good rows in a page, and one value of so many bytes in the next."""
    good = lies.strings([b"a good film"] * SMALL)
    first = zlib.compressobj(wbits=31)
    small = first.compress(good) + first.flush()
    large = _gzipped(inflated.to_bytes(4, "little"), inflated)
    pages = [lies.data_page(SMALL, small, inflated=len(good)), lies.data_page(1, large, inflated=inflated + 4)]
    return lies.parquet(pages, SMALL + 1, lies.GZIP)


def many_values(inflated: int, each: int) -> bytes:
    """So many bytes in values of `each`, as Arrow writes them: 1,024 values a page, no matter how large."""
    sink = io.BytesIO()
    schema = pa.schema({"text": pa.string()})
    with pq.ParquetWriter(sink, schema, compression="zstd", use_dictionary=False) as writer:
        value = pa.array(["good film " * (each // 10)])
        column = pa.DictionaryArray.from_arrays(pa.array([0] * (inflated // each), pa.int32()), value)
        writer.write_table(pa.table([column.dictionary_decode()], schema=schema))
    return sink.getvalue()


def one_string_in_all_rows(each: int, rows: int) -> bytes:
    """A dictionary of one string of `each` bytes, which every row has."""
    column = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["good film " * (each // 10)]))
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": column}), sink, compression="zstd")
    return sink.getvalue()


def giant_among_small(inflated: int) -> bytes:
    """A value of so many bytes, row 2,000 of 4,001, in a page of 100 rows and a row group of 3,000."""
    sink = io.BytesIO()
    texts = ["a good film"] * 2_000 + ["film " * (inflated // 5)] + ["a bad film"] * 2_000
    small_pages = {"data_page_size": 1_000, "write_batch_size": 100, "use_dictionary": False}
    pq.write_table(pa.table({"text": texts}), sink, row_group_size=3_000, compression="zstd", **small_pages)
    return sink.getvalue()


def same_prefixes(each: int, rows: int) -> bytes:
    """Delta-encoded strings: one of `each` bytes, and all of it again and again by the length of the common prefix."""
    prefixes, suffixes = lies.deltas(rows, 0, each), lies.deltas(rows, each, 0)
    text = (b"good film " * (each // 10 + 1))[:each]
    return lies.parquet([lies.data_page(rows, prefixes + suffixes + text, lies.DELTA_STRINGS)], rows)


def too_many_lengths(count: int) -> bytes:
    """A page of 100 strings of no bytes, whose lengths are said to be so many."""
    return lies.parquet([lies.data_page(100, lies.deltas(count, 0, block=1 << 29), lies.DELTA_LENGTHS)], 100)


def many_rows(rows: int) -> bytes:
    """Ten rows, of which the footer says, consistently, that there are so many."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": ["a good film"] * 10}), sink)

    def lie(footer: lies.Struct) -> None:
        lies.put(footer, lies.NUM_ROWS, rows)
        lies.put(footer[lies.ROW_GROUPS][1][1][0], lies.GROUP_ROWS, rows)
        lies.put(lies.column_meta(footer, 0, 0), lies.NUM_VALUES, rows)

    return lies.change_footer(sink.getvalue(), lie)


def long_list(inflated: int) -> bytes:
    """A row whose list `tags`, to be kept, has so many bytes of integers, between small ones."""
    sink = io.BytesIO()
    tags = pa.ListArray.from_arrays(
        pa.array([0, 1, 2, 2 + inflated // 8, 3 + inflated // 8], pa.int32()),
        pa.DictionaryArray.from_arrays(
            pa.array([0] * (3 + inflated // 8), pa.int8()), pa.array([7], pa.int64())
        ).dictionary_decode(),
    )
    pq.write_table(pa.table({"text": ["a good film"] * 4, "tags": tags}), sink)
    return sink.getvalue()
