"""The outputs of runs, as those who look at them find them: what a run did, and which files hold its rows."""

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
from batch_scorer.runs import layout
from batch_scorer.runs.schemas import MANIFEST
from batch_scorer.storage.parallel import read_ahead

_LARGEST = 1e300


@dataclass(frozen=True)
class Run:
    """A run that came to its end.

    Args:
        output: its directory, as given.
        manifest: its `manifest.json`.
        plan: its `plan.json`.
        complete: whether it is a success (`_SUCCESS`).
        predictions, errors: paths of the parts, in the order of the inputs; of a run without such rows, none.
    """

    output: str
    manifest: Mapping[str, Any]
    plan: Mapping[str, Any]
    complete: bool
    predictions: tuple[str, ...]
    errors: tuple[str, ...]

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the kept columns, as they stand in `predictions`."""
        return tuple(self.kept_types)

    @property
    def kept_types(self) -> dict[str, str]:
        """The same with the Arrow types of each, as text."""
        return {kept["output_name"]: kept["type"] for kept in self.plan["kept"]}


def open_run(output: str) -> Run:
    """The run whose output stands in the directory `output`, local or in a store.

    Raises:
        RefusedError: there is no run, it has not come to its end, or its documents are damaged.
    """
    if not storage.exists(layout.plan_path(output)):
        raise RefusedError(
            "there is no run",
            where=output,
            expected="the output of `batch-scorer score` (plan.json)",
            got="a directory without one" if storage.exists(output) else "nothing there",
            fix="give the directory that was given to `score` as --output",
        )
    if not storage.exists(layout.manifest_path(output)):
        raise RefusedError(
            "the run has not come to its end",
            where=output,
            expected="manifest.json, which is written last",
            got="no manifest.json",
            fix="run the same `batch-scorer score` with --resume",
        )
    try:
        plan = json.loads(storage.read_bytes(layout.plan_path(output)))
        manifest = json.loads(storage.read_bytes(layout.manifest_path(output)))
        named = [[kept["output_name"], kept["type"]] for kept in plan["kept"]]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise _damaged(output, f"{type(error).__name__}: {error}") from error
    if not all(isinstance(word, str) for pair in named for word in pair):
        raise _damaged(output, "plan.json: a kept column whose name or type is no text")
    fault = first_fault(MANIFEST, manifest)
    if fault is not None:
        raise _damaged(output, f"manifest.json, {fault.where}: {fault.got} where {fault.expected} should be")
    if not all(-_LARGEST < manifest[name] < _LARGEST for name in ("bias", "temperature", "threshold")):
        raise _damaged(output, "manifest.json: a bias, temperature or threshold that is no number to reckon with")
    paths = [part["path"] for part in manifest["parts"]]
    for path in paths:
        if not layout.is_part(path):  # `..` leads to anybody's files
            raise _damaged(output, f"manifest.json names {path!r:.200}, which is no part of a run")

    def parts(kind: str) -> tuple[str, ...]:
        return tuple(storage.join(output, path) for path in paths if path.startswith(kind))

    complete = storage.exists(layout.success_path(output))
    return Run(output, manifest, plan, complete, parts(layout.PREDICTIONS), parts(layout.ERRORS))


def _damaged(output: str, got: str) -> RefusedError:
    return RefusedError(
        "the output of the run is damaged",
        where=output,
        expected="plan.json, manifest.json and the parts that it names",
        got=got,
        fix="run the same `batch-scorer score` with --resume, which mends what is missing",
    )


def check_parts(run: Run) -> None:
    """Looks whether the parts of a local run are there; those of a store are found missing when they are read.

    Raises:
        RefusedError: one is not.
    """
    if not storage.is_remote(run.output):
        for path in (*run.predictions, *run.errors):
            if not os.path.isfile(path):
                raise _damaged(run.output, f"{path} is missing")


@contextmanager
def fetched(runs: Sequence[Run]) -> Iterator[tuple[Run, ...]]:
    """The same runs with their parts on this machine: those in a store are copied for as long as the body runs.

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
                place = Path(folder, str(number), kind)
                place.mkdir(parents=True)
                pairs = [(path, str(place / f"part-{i:05d}.parquet")) for i, path in enumerate(paths)]
                kinds.append(tuple(read_ahead(fetch, pairs, True)))
            return replace(run, predictions=kinds[0], errors=kinds[1])

        yield tuple(at_hand(number, run) for number, run in enumerate(runs))
