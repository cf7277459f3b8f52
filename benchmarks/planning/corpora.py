"""Creates corpora of many tiny files, a thousand per folder: only their number matters, not their contents."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FILES_A_FOLDER, FOLDERS_A_FOLDER = 1_000, 100
ROWS = 10  # of each Parquet file


def _parquet(number: int) -> bytes:
    ids = [f"{number}-{row}" for row in range(ROWS)]
    columns = {"id": ids, "text": ["good film"] * ROWS, "stars": list(range(ROWS)), "language": ["en"] * ROWS}
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, compression="zstd")
    return stream.getvalue()


# Format -> suffix and the contents of a file.
CORPORA: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "files": (".txt", lambda number: b"good film\n"),
    "jsonl": (".jsonl", lambda number: b'{"id": %d, "text": "good film"}\n' % number),
    "parquet": (".parquet", _parquet),
}


def make(kind: str, files: int, directory: Path) -> None:
    """Writes `files` files of the format `kind` to folders in `directory`."""
    suffix, content = CORPORA[kind]
    for number in range(files):
        folder, position = divmod(number, FILES_A_FOLDER)
        path = directory / f"{folder // FOLDERS_A_FOLDER:03d}" / f"{folder:06d}"
        if position == 0:
            path.mkdir(parents=True)
        (path / f"review-{number:08d}{suffix}").write_bytes(content(number))
