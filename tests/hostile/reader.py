"""Reads a file in a process of its own, which a bomb may kill: prints as JSON what came of it and what it took.

python -m tests.hostile.reader FILE [PAGE_BYTES]
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

from batch_scorer.config import ScoreConfig
from batch_scorer.formats.parquet import limits
from batch_scorer.planning.plan import make_plan
from batch_scorer.scoring import read as reading


def read_apart(path: Path, page_bytes: int) -> dict[str, Any]:
    """Reads `path` in another process, where pages and batches may have so many bytes.

    Returns:
        texts: how many there are to score.
        rejected: offset and code of the rest.
        arrow_bytes: what Arrow took at most.
    """
    command = [sys.executable, "-m", "tests.hostile.reader", str(path), str(page_bytes)]
    here = Path(__file__).parent.parent.parent
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=here)
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main(path: str, page_bytes: int) -> None:
    """Reads `path` here."""
    limits.PAGE_BYTES = limits.BATCH_BYTES = reading.CHUNK_CHARACTERS = page_bytes
    plan, shards = make_plan(ScoreConfig.of((path,), output=f"{path}.out"), "model")
    texts, rejected = 0, []
    for shard in shards:
        for chunk in reading.read(shard, plan.fields):
            texts += len(chunk.texts)
            rejected += [(r.offset, r.code) for r in chunk.rejected]
    taken = pa.default_memory_pool().max_memory()
    print(json.dumps({"texts": texts, "rejected": rejected, "arrow_bytes": taken}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
