"""Finished runs for tests of the commands that read them: copies of one real run, changed as a test needs."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Json = dict[str, Any]


@dataclass(frozen=True)
class Original:
    """The output of a real run, which `copy` turns into others."""

    output: Path

    def copy(
        self,
        to: Path,
        run_id: str,
        kept: Mapping[str, pa.Scalar] | None = None,
        change: Callable[[pa.Table], pa.Table] | None = None,
    ) -> str:
        """Copies the run to `to` as `run_id`, adding kept columns of one value each, or changing its predictions."""
        shutil.copytree(self.output, to)
        for path in to.glob("*/part-*.parquet"):
            table = pq.read_table(io.BytesIO(path.read_bytes()))
            if path.parent.name == "predictions":
                table = table.set_column(table.num_columns - 1, table.field("run_id"), [[run_id] * len(table)])
                for name, value in (kept or {}).items():
                    table = table.add_column(table.num_columns - 2, name, pa.repeat(value, len(table)))
                table = change(table) if change else table
            with path.open("wb") as file:  # given the path, pyarrow would expand a leading `~`
                pq.write_table(table, file)
        edit(to / "manifest.json", run_id=run_id)
        seal(to)
        columns = [{"name": name, "output_name": name, "type": str(value.type)} for name, value in (kept or {}).items()]
        edit(to / "plan.json", run_id=run_id, kept=columns)
        return str(to)


def edit(path: Path, **changes: Any) -> None:
    """Changes fields of a JSON document."""
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def seal(output: Path | str) -> None:
    """Makes the parts of a run, as they are now, those that its manifest names."""
    parts = json.loads(Path(output, "manifest.json").read_text(encoding="utf-8"))["parts"]
    for part in parts:
        part["sha256"] = hashlib.sha256(Path(output, part["path"]).read_bytes()).hexdigest()
    edit(Path(output, "manifest.json"), parts=parts)


def without(output: str, kind: str) -> str:
    """Removes all parts of this kind from a run, and returns its output."""
    manifest = Path(output, "manifest.json")
    parts = json.loads(manifest.read_text(encoding="utf-8"))["parts"]
    edit(manifest, parts=[part for part in parts if not part["path"].startswith(kind)])
    shutil.rmtree(Path(output, kind))
    return output
