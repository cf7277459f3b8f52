"""Reads labelled reviews, splits them by a hash of their id, and groups them into batches of similar length."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batch_scorer.errors import InputError
from batch_scorer.models.tokenizer import PAD

IMDB_URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
IMDB_MD5 = "7c2ac02c03563afcf9b574c7e56c153a"

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Columns:
    """Names of the columns that hold text, label and id; a label whose text equals `positive` is positive."""

    text: str = "text"
    label: str = "label"
    positive: str = "1"
    id: str | None = None


@dataclass(frozen=True)
class Examples:
    """N labelled reviews: `ids` identify them, `labels` is int8[N], 1 for positive."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.texts)

    def subset(self, chosen: npt.NDArray[np.bool_]) -> Examples:
        """The examples where `chosen` (bool[N]) is true."""
        rows = np.flatnonzero(chosen)
        return Examples(tuple(self.ids[i] for i in rows), tuple(self.texts[i] for i in rows), self.labels[rows])

    def fingerprint(self) -> str:
        """sha256 of ids, texts and labels, independent of their order."""
        digests = sorted(
            hashlib.sha256(f"{i}\0{label}\0{text}".encode()).digest()
            for i, text, label in zip(self.ids, self.texts, self.labels, strict=True)
        )
        return hashlib.sha256(b"".join(digests)).hexdigest()


def read_examples(sources: Sequence[str], columns: Columns) -> Examples:
    """Reads labelled reviews from Parquet, CSV, TSV or JSONL files, or from directories laid out like aclImdb.

    Args:
        sources: paths, or `imdb` for the training split of the Large Movie Review Dataset, which is downloaded.

    Raises:
        InputError: a file or a column is missing, a text or a label is null, or all reviews have the same label.
    """
    parts = [_read_source(source, columns) for source in sources]
    ids = tuple(i for part in parts for i in part.ids)
    examples = Examples(ids, tuple(t for part in parts for t in part.texts), np.concatenate([p.labels for p in parts]))
    if len(set(examples.labels.tolist())) != 2:
        raise InputError(
            "all labelled reviews have the same label",
            where=", ".join(sources),
            expected=f"labels equal to {columns.positive!r} and other labels",
            got=f"{len(examples):,} reviews, {int(examples.labels.sum()):,} of them positive",
            fix="name the column with --label-column and the label that means positive with --positive-value",
        )
    return examples


def read_texts(sources: Sequence[str], columns: Columns) -> list[str]:
    """Reads texts without labels from Parquet, CSV, TSV or JSONL files, or from `unsup/` in a directory like aclImdb.

    Raises:
        InputError: a file or the text column is missing, or no source has a text.
    """
    texts: list[str] = []
    for source in sources:
        if source == "imdb" or Path(source).is_dir():
            root = _download_imdb() if source == "imdb" else Path(source)
            texts += [path.read_text(encoding="utf-8") for path in sorted(root.glob("**/unsup/*.txt"))]
        else:
            table = _columns_of(source, [columns.text])
            texts += [text for text in table[columns.text].cast(pa.string()).to_pylist() if text]
    if sources and not texts:
        raise InputError(
            "no texts without labels were found",
            where=", ".join(sources),
            expected="rows with text, or a directory with unsup/*.txt",
            fix="check --unlabelled and --text-column",
        )
    return texts


def _columns_of(source: str, wanted: Sequence[str]) -> pa.Table:
    """Reads a file as a table and checks that it has the columns `wanted`."""
    path = Path(source)
    if not path.is_file():
        raise InputError("the file of reviews does not exist", where=source, fix="check --data and --unlabelled")
    table = _read_table(path)
    for name in wanted:
        if name not in table.column_names:
            raise InputError(
                f"the column {name!r} is missing",
                where=source,
                got=f"columns {', '.join(table.column_names)}",
                fix="name the columns with --text-column, --label-column and --id-column"
                + (
                    "; a .csv file is read as comma-separated, a .tsv file as tab-separated"
                    if table.num_columns == 1
                    else ""
                ),
            )
    return table


def _read_source(source: str, columns: Columns) -> Examples:
    if source == "imdb":
        return _read_directory(_download_imdb())
    path = Path(source)
    if path.is_dir():
        return _read_directory(path)
    wanted = [columns.text, columns.label, *([columns.id] if columns.id else [])]
    table = _columns_of(source, wanted)
    for name in wanted:
        if table[name].null_count:
            raise InputError(
                f"the column {name!r} has nulls",
                where=source,
                expected="a value in every row",
                got=f"{table[name].null_count:,} nulls in {table.num_rows:,} rows",
                fix="remove those rows",
            )
    texts = table[columns.text].cast(pa.string()).to_pylist()
    labels = pc.equal(table[columns.label].cast(pa.string()), columns.positive).to_numpy(zero_copy_only=False)
    ids = table[columns.id].cast(pa.string()).to_pylist() if columns.id else [_text_id(text) for text in texts]
    return Examples(tuple(ids), tuple(texts), labels.astype(np.int8))


def _read_table(path: Path) -> pa.Table:
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".pq"):
        import pyarrow.parquet as pq

        return pq.read_table(path)
    if suffix in (".csv", ".tsv"):
        from pyarrow import csv

        parse = csv.ParseOptions(delimiter="\t" if suffix == ".tsv" else ",", newlines_in_values=True)
        return csv.read_csv(path, parse_options=parse)
    if suffix in (".jsonl", ".ndjson"):
        from pyarrow import json

        return json.read_json(path)
    raise InputError(
        "the file of reviews has an unknown format",
        where=str(path),
        expected=".parquet, .csv, .tsv or .jsonl, or a directory with pos/ and neg/",
        fix="convert it to one of these formats",
    )


def _read_directory(path: Path) -> Examples:
    """Reads the layout of aclImdb: `pos/*.txt` and `neg/*.txt`, under `train/` if there is one."""
    root = path / "train" if (path / "train").is_dir() else path
    files = [
        (file, label) for folder, label in (("pos", 1), ("neg", 0)) for file in sorted(root.glob(f"{folder}/*.txt"))
    ]
    if not files:
        raise InputError(
            "the directory has no labelled reviews",
            where=str(path),
            expected="pos/*.txt and neg/*.txt",
            fix="give a directory with this layout, or a file",
        )
    return Examples(
        tuple(f"{file.parent.name}/{file.stem}" for file, _ in files),
        tuple(file.read_text(encoding="utf-8") for file, _ in files),
        np.array([label for _, label in files], np.int8),
    )


def _download_imdb() -> Path:
    import keras

    archive = keras.utils.get_file("aclImdb_v1.tar.gz", IMDB_URL, file_hash=IMDB_MD5, extract=True)
    return Path(archive) / "aclImdb"


def _text_id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def split(examples: Examples, validation_share: float) -> tuple[Examples, Examples]:
    """Splits examples into training and validation by a hash of the id: a review is always on the same side."""
    validation = held_out(examples.ids, validation_share)
    return examples.subset(~validation), examples.subset(validation)


def held_out(ids: Sequence[str], validation_share: float) -> npt.NDArray[np.bool_]:
    """Which of the reviews with these `ids` are held out for validation: bool[N]."""
    # In steps of 2^-32. A hash rather than a random draw: adding reviews moves none of the others.
    hashes = np.array([int.from_bytes(hashlib.sha256(i.encode()).digest()[:4], "big") for i in ids])
    return hashes < validation_share * 2**32


def pad(encoded: Sequence[Ids], width: int | None = None) -> Ids:
    """Stacks B sequences of ids into int32[B, T], padded on the left to the longest one or to `width`."""
    width = width or max(len(ids) for ids in encoded)
    out = np.full((len(encoded), width), PAD, np.int32)
    for row, ids in zip(out, encoded, strict=True):
        row[width - len(ids) :] = ids
    return out


def bucketed_batches(
    lengths: npt.NDArray[np.int64], batch_size: int, rng: np.random.Generator, pool_batches: int = 50
) -> Iterator[npt.NDArray[np.int64]]:
    """Yields the indices of each batch of an epoch: reviews of similar length share a batch, the order is random.

    Shuffled reviews are sorted by length within pools of `pool_batches` batches; then the batches are shuffled. So
    batches need little padding, and no two epochs see the same ones.
    """
    order = rng.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), pool_batches * batch_size):
        pool = order[start : start + pool_batches * batch_size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    yield from (batches[i] for i in rng.permutation(len(batches)))
