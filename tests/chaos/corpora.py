"""Inputs made by code, with bad records among them, and a small model: what the jobs of the trials score."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer.models import artifact
from batch_scorer.models.network import Architecture
from batch_scorer.models.tokenizer import RESERVED
from tests.conftest import WORDS, save_tiny

RUN_ID = "chaos"
# Large enough that scoring takes as long as starting, small enough that many jobs can be run.
SMALL = Architecture(
    vocabulary_size=len(RESERVED) + len(WORDS), embedding_dim=16, units=32, attention_units=8, max_length=100
)
LONGEST_WORDS = 150
REAL_ROWS_A_GROUP = 1_000
READABLE = 100  # records of the file that breaks off, before it does
_BAD_ONE_IN = 97
Text = str | None


@dataclass(frozen=True)
class Corpus:
    """What one job scores.

    Args:
        inputs: as the command gets them.
        files: those that a fault may strike; the others have to stay.
        options: of `score`, beside the ones that all jobs have.
        records: how many there are, good and bad; damaged ranges do not count.
        unreadable: how many damaged files or ranges there are.
    """

    name: str
    inputs: tuple[str, ...]
    files: tuple[Path, ...]
    options: tuple[str, ...]
    records: int
    unreadable: int = 0


def small_model(folder: Path) -> Path:
    """An artefact of random weights in `folder`."""
    return save_tiny(folder / "model", architecture=SMALL)


def texts(count: int, seed: int) -> Iterator[Text]:
    """So many reviews, of which one in `_BAD_ONE_IN` has no word or is missing."""
    rng = random.Random(seed)
    for i in range(count):
        if i % _BAD_ONE_IN == _BAD_ONE_IN - 1:
            yield rng.choice([None, "?!", " "])
        else:
            yield " ".join(rng.choices(WORDS, k=rng.randint(3, LONGEST_WORDS)))


def parquet(folder: Path, count: int) -> Corpus:
    """Three Parquet files of several row groups, with a column to keep."""
    sizes = [count // 2, count // 3, count - count // 2 - count // 3]
    paths = []
    for number, size in enumerate(sizes):
        paths.append(_folder(folder / "parquet") / f"{number}.parquet")
        ids = [f"p{number}-{i}" for i in range(size)]
        table = pa.table({"id": ids, "text": list(texts(size, number)), "stars": [i % 5 for i in range(size)]})
        pq.write_table(table, paths[-1], row_group_size=max(1, size // 4))
    options = ("--id-column", "id", "--keep", "stars")
    return Corpus("parquet", (str(folder / "parquet"),), tuple(paths), options, count)


def jsonl(folder: Path, count: int) -> Corpus:
    """A file of JSON lines, some of them cut off."""
    path = _folder(folder / "jsonl") / "reviews.jsonl"
    path.write_bytes(b"".join(_json_lines(count, 10)))
    return Corpus("jsonl", (str(path),), (path,), ("--id-column", "id"), count)


def csv(folder: Path, count: int) -> Corpus:
    """Forty compressed CSV files, each of which is read from its beginning by one worker."""
    sizes = [count * (i + 1) // 40 - count * i // 40 for i in range(40)]
    paths = [_folder(folder / "csv") / f"{number:02d}.csv.gz" for number in range(len(sizes))]
    for number, (path, size) in enumerate(zip(paths, sizes, strict=True)):
        lines = [f"c{number}-{i},{text or ''}\n" for i, text in enumerate(texts(size, 20 + number))]
        path.write_bytes(_gzipped("id,text\n" + "".join(lines)))
    return Corpus("csv", (f"{folder}/csv/*.csv.gz",), tuple(paths), ("--id-column", "id"), count)


def letters(folder: Path, count: int) -> Corpus:
    """A file a review, some empty and some not in UTF-8; four times fewer than asked for, since each is opened."""
    count = max(1, count // 4)
    paths = [_folder(folder / "letters") / f"{i:05d}.txt" for i in range(count)]
    for i, (path, text) in enumerate(zip(paths, texts(count, 70), strict=True)):
        path.write_bytes(b"caf\xe9" if i % 203 == 1 else (text or "").encode())
    return Corpus("letters", (f"{folder}/letters/",), tuple(paths), (), count)


def mixed(folder: Path, count: int) -> Corpus:
    """Parquet, JSON lines, compressed and not, and a compressed file that breaks off."""
    place = _folder(folder / "mixed")
    table = pa.table({"id": range(count // 2), "text": list(texts(count // 2, 80))})
    pq.write_table(table, place / "a.parquet", row_group_size=max(1, count // 8))
    (place / "b.jsonl").write_bytes(b"".join(_json_lines(count // 4, 81)))
    rest = count - count // 2 - count // 4 - READABLE
    (place / "c.jsonl.gz").write_bytes(_gzipped(b"".join(_json_lines(rest, 82)).decode()))
    whole, broken = (_gzipped(b"".join(_json_lines(READABLE, seed)).decode()) for seed in (83, 84))
    (place / "d.jsonl.gz").write_bytes(whole + broken[:9])
    files = (place / "a.parquet", place / "b.jsonl")
    options = ("--id-column", "id", "--allow-unreadable")
    return Corpus("mixed", (str(place),), files, options, count, unreadable=1)


def real(folder: Path, source: Path, count: int) -> Corpus:
    """The first `count` reviews of a Parquet file with the columns review_id and text, copied."""
    table = pq.read_table(source, columns=["review_id", "text"]).slice(0, count)
    path = _folder(folder / "real") / "reviews.parquet"
    pq.write_table(table, path, row_group_size=REAL_ROWS_A_GROUP)
    return Corpus("real", (str(path),), (path,), ("--id-column", "review_id"), table.num_rows)


MAKERS: dict[str, Callable[[Path, int], Corpus]] = {
    made.__name__: made for made in (parquet, jsonl, csv, letters, mixed)
}


def shipped_model() -> Path:
    """The model that is part of the package."""
    return Path(artifact.SHIPPED)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _json_lines(count: int, seed: int) -> Iterator[bytes]:
    for i, text in enumerate(texts(count, seed)):
        line = json.dumps({"id": f"{seed}-{i}", **({} if text is None else {"text": text})}, ensure_ascii=False)
        yield (line[:-2] if i % 501 == 500 else line).encode() + b"\n"


def _gzipped(text: str) -> bytes:
    held = io.BytesIO()
    with gzip.GzipFile(fileobj=held, mode="wb", mtime=0) as file:
        file.write(text.encode())
    return held.getvalue()
