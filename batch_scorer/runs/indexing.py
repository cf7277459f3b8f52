"""Earlier runs -> the file by which their records are passed over (`runs.record_index`), in bounded memory.

Of an id, the newest run that has it counts, with all its rows there: an external sort, by buckets of hashes.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer import storage
from batch_scorer.runs import finished, layout
from batch_scorer.runs.finished import Run
from batch_scorer.runs.hashes import UInts, id_hashes
from batch_scorer.runs.record_index import CODE_HASHES, index_path, keys_and_checks
from batch_scorer.storage.parallel import ahead

BUCKET_ROWS = 1 << 20  # about; sorting one takes some 150 bytes a row
MOST_BUCKETS = 128  # files that are open at once
THREADS = 8  # that read parts from a store: each holds the hashes of one, 24 bytes a row
_BATCH_ROWS = 1 << 16
_COPY_BYTES = 1 << 20
_ROW = np.dtype([("id", "<u8", 2), ("hash", "<u8"), ("run", "<u4")])

Rows = npt.NDArray[np.void]


def write_index(runs: Sequence[Run], earlier_records: Mapping[str, Any], output: str) -> None:
    """Writes the index of a run into its output, unless it is there already.

    Args:
        runs: the earlier runs, oldest first.
        earlier_records: of the plan, which follows from `runs`.
        output: of the run that comes after them.

    Raises:
        RefusedError: a part of an earlier run cannot be read.
        OSError: the file cannot be written.
    """
    path = index_path(earlier_records, output)
    if storage.exists(path):  # of an attempt that was interrupted; its name says what is in it
        return
    local = layout.staging(output)
    if local:
        os.makedirs(local, mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="earlier-", dir=local) as folder:
        draft, rest = (os.path.join(folder, name) for name in ("keys", "checks"))
        buckets = _scatter(runs, folder, earlier_records["rows"])
        with open(draft, "wb") as keys, open(rest, "w+b") as checks:
            for bucket in buckets:
                some_keys, some_checks = _newest(np.fromfile(bucket, _ROW))
                os.remove(bucket)
                keys.write(some_keys.astype("<u8").data)
                checks.write(some_checks.astype("<u8").data)
            checks.seek(0)
            shutil.copyfileobj(checks, keys, _COPY_BYTES)
        storage.publish_file(draft, path)


def _scatter(runs: Sequence[Run], folder: str, rows: int) -> list[str]:
    """Writes the rows of all runs to files by the first bits of their ids, and returns these in their order."""
    bits = min(max(math.ceil(math.log2(max(rows, 1) / BUCKET_ROWS)), 0), int(math.log2(MOST_BUCKETS)))
    paths = [os.path.join(folder, f"{bucket:03d}") for bucket in range(1 << bits)]
    with ExitStack() as stack:
        files: list[BinaryIO] = [stack.enter_context(open(path, "wb")) for path in paths]
        for number, run in enumerate(runs):
            for ids, hashes in _records(run):
                some = np.empty(len(hashes), _ROW)
                some["id"], some["hash"], some["run"] = ids, hashes, number
                # Two shifts: one by all 64 bits is undefined.
                bucket = (ids[:, 0] >> np.uint64(1) >> np.uint64(63 - bits)).astype(np.uint8)
                some = some[np.argsort(bucket, kind="stable")]
                ends = np.cumsum(np.bincount(bucket, minlength=len(files)))
                for file, start, end in zip(files, [0, *ends[:-1]], ends, strict=True):
                    file.write(some[start:end].tobytes())
    return paths


def _records(run: Run) -> Iterator[tuple[UInts, UInts]]:
    """Ids and hashes of the records that a run has read, some at a time.

    Raises:
        RefusedError: a part cannot be read.
    """
    for paths, columns in ((run.predictions, _SCORED), (run.errors, _REJECTED)):

        def of_part(path: str, columns: Sequence[str] = columns) -> Iterator[tuple[UInts, UInts]]:
            with _damage_named(run, path), storage.open_read(path) as file, pq.ParquetFile(file) as parquet:
                yield from map(_hashed, parquet.iter_batches(_BATCH_ROWS, columns=[*columns]))

        if storage.is_remote(run.output):
            yield from chain.from_iterable(ahead(lambda path: list(of_part(path)), paths, THREADS))
        else:
            yield from chain.from_iterable(map(of_part, paths))


_SCORED = ("record_id", "text_hash")
_REJECTED = ("record_id", "source", "offset", "code")


def _hashed(batch: pa.RecordBatch) -> tuple[UInts, UInts]:
    """Ids and hashes of some rows of `predictions` or of `errors`."""
    columns = batch.to_pydict() if "code" in batch.schema.names else {"record_id": batch["record_id"].to_pylist()}
    if "code" not in columns:
        return id_hashes(columns["record_id"]), batch["text_hash"].to_numpy().astype(np.uint64)
    rows = [row for row in zip(*(columns[name] for name in _REJECTED), strict=True) if row[2] is not None]
    ids = [id_of_rejection(*row[:3]) for row in rows]
    return id_hashes(ids), np.array([CODE_HASHES.get(code, 0) for *_, code in rows], np.uint64)


def id_of_rejection(record_id: str | None, source: str, offset: int | None) -> str:
    """The id of a record that was rejected, by which it is known: as `predictions` would have it."""
    return f"{source}#{offset}" if record_id is None else record_id


@contextlib.contextmanager
def _damage_named(run: Run, path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, LookupError, pa.ArrowException) as error:
        fix = "repeat its `batch-scorer score` with --resume, which writes damaged parts again; or, if its inputs have "
        fix += "changed since, move it away: what it has read is then scored again"
        raise finished.damaged(run.output, f"{path}: {type(error).__name__}: {error}", fix) from error


def _newest(rows: Rows) -> tuple[UInts, UInts]:
    """The keys and checks of a bucket, sorted: of each id, the rows of the newest run that has it.

    Args:
        rows: in the order of the runs.
    """
    if not len(rows):
        return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
    rows = rows[np.lexsort((rows["id"][:, 1], rows["id"][:, 0]))]  # stable: those of an id stay in their order
    is_last = np.append((rows["id"][1:] != rows["id"][:-1]).any(axis=1), True)
    group = np.concatenate([[0], np.cumsum(is_last[:-1])])
    rows = rows[rows["run"] == rows["run"][is_last][group]]
    keys, checks = keys_and_checks(rows["id"], rows["hash"])
    order = np.lexsort((checks, keys))
    keys, checks = keys[order], checks[order]
    is_new = np.append(True, (keys[1:] != keys[:-1]) | (checks[1:] != checks[:-1]))
    return keys[is_new], checks[is_new]
