"""Reads files in a separate process, which a bomb may kill: prints the outcome of each and its memory as JSON.

python -m tests.hostile.reader PAGE_BYTES FILE...
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from batch_scorer.config import ScoreConfig
from batch_scorer.formats.parquet import limits
from batch_scorer.planning.plan import make_plan
from batch_scorer.scoring import read as reading
from tests.processes import GUARD_S


def read_apart(paths: Sequence[Path], page_bytes: int) -> list[dict[str, Any]]:
    """Reads files, one after another, in another process, where pages and batches may have so many bytes.

    Returns:
        For each file:
        texts: how many there are to score.
        rejected: offset and code of the rest.
        arrow_bytes: the most memory that Arrow used, for it and the files before it.
    """
    command = [sys.executable, "-m", "tests.hostile.reader", str(page_bytes), *map(str, paths)]
    here = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=GUARD_S, check=False, cwd=here)
    assert done.returncode == 0, f"exit code {done.returncode} after {done.stdout}: {done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]


def read(path: str) -> None:
    """Reads a file here."""
    plan, shards = make_plan(ScoreConfig.of((path,), output=f"{path}.out"), "model")
    texts, rejected = 0, []
    for shard in shards:
        for chunk in reading.read(shard, plan.fields):
            texts += len(chunk.texts)
            rejected += [(r.offset, r.code) for r in chunk.rejected]
    taken = pa.default_memory_pool().max_memory()
    print(json.dumps({"texts": texts, "rejected": rejected, "arrow_bytes": taken}), flush=True)


if __name__ == "__main__":
    limits.PAGE_BYTES = limits.BATCH_BYTES = reading.CHUNK_CHARACTERS = int(sys.argv[1])
    for file in sys.argv[2:]:
        read(file)
