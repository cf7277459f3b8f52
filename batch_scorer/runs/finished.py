"""Finished runs, for reading: what a run did, and which files hold its rows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from batch_scorer import storage
from batch_scorer.errors import RefusedError
from batch_scorer.models.json_schema import first_fault
from batch_scorer.models.tokenizer import PATTERN
from batch_scorer.runs import layout
from batch_scorer.runs.schemas import MANIFEST
from batch_scorer.schema import COLUMNS
from batch_scorer.storage.parallel import read_ahead

_LARGEST = 1e300  # larger numbers, infinities and NaN are of no use


@dataclass(frozen=True)
class Run:
    """A finished run.

    Args:
        output: its directory, as given.
        manifest: its `manifest.json`.
        plan: its `plan.json`.
        complete: whether it is a success (`_SUCCESS`).
        predictions, errors: paths of the parts, in the order of the inputs; empty if there are no such rows.
    """

    output: str
    manifest: Mapping[str, Any]
    plan: Mapping[str, Any]
    complete: bool
    predictions: tuple[str, ...]
    errors: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of our columns in `predictions`."""
        return tuple(self.manifest.get("columns", COLUMNS))

    @property
    def pattern(self) -> str:
        """What a word of its texts is, one of `tokenizer.PATTERNS`."""
        return str(self.manifest.get("tokenizer", {}).get("pattern", PATTERN))

    @property
    def words_read(self) -> int:
        """The most words that were read of a review."""
        return int(self.manifest["max_words"] * self.manifest.get("max_windows", 1))

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the kept columns in `predictions`."""
        return tuple(self.kept_types)

    @property
    def kept_types(self) -> dict[str, str]:
        """The kept columns and their Arrow types, as text."""
        return {kept["output_name"]: kept["type"] for kept in self.plan["kept"]}


def open_run(output: str) -> Run:
    """The run in the directory `output`, local or in a store.

    Raises:
        RefusedError: there is no run, it is not finished, or its documents are damaged.
    """
    if not storage.exists(layout.plan_path(output)):
        raise RefusedError(
            "there is no run",
            where=output,
            expected=f"the output of `batch-scorer score`, with a {layout.PLAN}",
            got=f"a directory without a {layout.PLAN}" if storage.exists(output) else "nothing there",
            fix="give the directory that was given to `score` as --output",
        )
    if not storage.exists(layout.manifest_path(output)):
        raise RefusedError(
            "the run is not finished",
            where=output,
            expected=f"{layout.MANIFEST}, which is written at the end",
            got=f"no {layout.MANIFEST}",
            fix="run the same `batch-scorer score` with --resume",
        )
    try:
        plan = json.loads(storage.read_bytes(layout.plan_path(output)))
        manifest = json.loads(storage.read_bytes(layout.manifest_path(output)))
        named = [[kept["output_name"], kept["type"]] for kept in plan["kept"]]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise _damaged(output, f"{type(error).__name__}: {error}") from error
    if not all(isinstance(word, str) for pair in named for word in pair):
        raise _damaged(output, f"{layout.PLAN}: a kept column whose name or type is not text")
    fault = first_fault(MANIFEST, manifest)
    if fault is not None:
        raise _damaged(output, f"{layout.MANIFEST}, {fault.where}: expected {fault.expected}, got {fault.got}")
    if not all(-_LARGEST < manifest[name] < _LARGEST for name in ("bias", "temperature", "threshold")):
        raise _damaged(output, f"{layout.MANIFEST}: a bias, temperature or threshold that is not a usable number")
    for path in (part["path"] for part in manifest["parts"]):
        if not layout.is_part(path):  # a path with `..` could lead to other people's files
            raise _damaged(output, f"{layout.MANIFEST} names {path!r:.200}, which is not a part of a run")

    def parts(kind: str) -> tuple[str, ...]:
        return tuple(storage.join(output, part["path"]) for part in layout.parts_of(kind, manifest["parts"]))

    complete = storage.exists(layout.success_path(output))
    return Run(output, manifest, plan, complete, parts(layout.PREDICTIONS), parts(layout.ERRORS))


def _damaged(output: str, got: str) -> RefusedError:
    return RefusedError(
        "the output of the run is damaged",
        where=output,
        expected=f"{layout.PLAN}, {layout.MANIFEST} and the parts that it names",
        got=got,
        fix="run the same `batch-scorer score` with --resume, which repairs what is missing",
    )


def check_parts(run: Run) -> None:
    """Checks that the parts of a local run exist; a part that is missing in a store is noticed when it is read.

    Raises:
        RefusedError: a part is missing.
    """
    if not storage.is_remote(run.output):
        for path in (*run.predictions, *run.errors):
            if not os.path.isfile(path):
                raise _damaged(run.output, f"{path} is missing")


@contextmanager
def fetched(runs: Sequence[Run]) -> Iterator[tuple[Run, ...]]:
    """The same runs with their parts on this machine: those in a store are copied here while the body runs.

    Raises:
        RefusedError: a part is missing.
    """
    with TemporaryDirectory(prefix="batch-scorer-") as folder:

        def fetch(pair: tuple[str, str]) -> str:
            path, local = pair
            try:
                source = storage.open_read(path)
            except FileNotFoundError as error:
                raise _damaged(os.path.dirname(os.path.dirname(path)), f"{path} is missing") from error
            with source, open(local, "wb") as target:
                while data := source.read(1 << 20):
                    target.write(data)
            return local

        def at_hand(number: int, run: Run) -> Run:
            if not storage.is_remote(run.output):
                check_parts(run)
                return run
            kinds = []
            for kind, paths in ((layout.PREDICTIONS, run.predictions), (layout.ERRORS, run.errors)):
                copies = Path(folder, str(number))
                (copies / kind).mkdir(parents=True)
                pairs = [(path, str(copies / layout.part_name(kind, i))) for i, path in enumerate(paths)]
                kinds.append(tuple(read_ahead(fetch, pairs, True)))
            return replace(run, predictions=kinds[0], errors=kinds[1])

        yield tuple(at_hand(number, run) for number, run in enumerate(runs))
