"""Finished runs, for reading: what a run did, and which files hold its rows."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from batch_scorer import storage
from batch_scorer.errors import RefusedError
from batch_scorer.models.json_schema import TEXT, first_fault, list_of, object_of
from batch_scorer.models.tokenizer import Rule
from batch_scorer.models.tokenizer_schema import FIRST, rule_of
from batch_scorer.runs import layout
from batch_scorer.runs.schemas import MANIFEST
from batch_scorer.schema import COLUMNS
from batch_scorer.storage.parallel import ahead, read_ahead

KINDS = (layout.PREDICTIONS, layout.ERRORS)
REPEATED_IDS = "the same id (column "  # in a notice of the manifest of a run whose reviews share ids
HASHING_THREADS = 4  # to hash leaves other threads alone
_LARGEST = 1e300  # larger numbers, infinities and NaN are of no use
_TEXT_OR_NONE = {"type": ["string", "null"]}
_RESUME = "run the same `batch-scorer score` with --resume, which repairs what is missing or damaged"
# What a reader of the output needs of a plan; plans of older versions have it all.
_PLAN = object_of(
    {
        "text_column": TEXT,
        "id_column": _TEXT_OR_NONE,
        "kept": list_of(object_of({"name": TEXT, "output_name": TEXT, "type": TEXT})),
        "max_text_bytes": {"type": "integer", "minimum": 1},
        "encoding": TEXT,
        "delimiter": _TEXT_OR_NONE,
    }
)


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
    def pattern(self) -> Rule:
        """What a word of its texts is, as `tokenizer.spans` takes it."""
        return rule_of(self.manifest.get("tokenizer", {}), self.reads_first)

    @property
    def reads_first(self) -> bool:
        """Whether the first words of long texts were read, rather than the last."""
        return bool(self.manifest.get("long_texts") == FIRST)

    @property
    def words_read(self) -> int:
        """The most words that were read of a review."""
        return int(self.manifest["max_words"] * self.manifest.get("max_windows", 1))

    @property
    def repeats_ids(self) -> bool:
        """Whether several of its reviews were found to have one id."""
        return any(REPEATED_IDS in str(notice) for notice in self.manifest.get("notices", ()))

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
    plan = _document(output, layout.PLAN, _PLAN, "score the inputs again, into another --output")
    manifest = _document(output, layout.MANIFEST, MANIFEST, _RESUME)
    if not all(-_LARGEST < manifest[name] < _LARGEST for name in ("bias", "temperature", "threshold")):
        raise damaged(output, f"{layout.MANIFEST}: a bias, temperature or threshold that is not a usable number")
    for path in (part["path"] for part in manifest["parts"]):
        if not layout.is_part(path):  # a path with `..` could lead to other people's files
            raise damaged(output, f"{layout.MANIFEST} names {path!r:.200}, which is not a part of a run")

    def parts(kind: str) -> tuple[str, ...]:
        return tuple(storage.join(output, part["path"]) for part in layout.parts_of(kind, manifest["parts"]))

    complete = storage.exists(layout.success_path(output))
    return Run(output, manifest, plan, complete, parts(layout.PREDICTIONS), parts(layout.ERRORS))


def oldest_first(runs: Iterable[Run]) -> list[Run]:
    """The runs in the order in which they were started."""
    return sorted(runs, key=lambda run: (run.manifest["started"], run.output))


def _document(output: str, name: str, schema: Mapping[str, Any], fix: str) -> dict[str, Any]:
    """A document of a run; raises RefusedError if it cannot be read or does not fit its schema."""
    try:
        document: dict[str, Any] = json.loads(storage.read_bytes(storage.join(output, name)))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(output, f"{name}: {type(error).__name__}: {error}", fix) from error
    if fault := first_fault(dict(schema), document):
        place = f"{name}, {fault.where}" if fault.where else name
        raise damaged(output, f"{place}: expected {fault.expected}, got {fault.got}", fix)
    return document


def damaged(output: str, got: str, fix: str = _RESUME) -> RefusedError:
    """What to say of a run whose documents or parts are not as they were written."""
    return RefusedError(
        "the output of the run is damaged",
        where=output,
        expected=f"{layout.PLAN}, {layout.MANIFEST} and the parts that it names",
        got=got,
        fix=fix,
    )


def check_parts(run: Run) -> None:
    """Checks that the parts of a local run exist; a part that is missing in a store is noticed when it is read.

    Raises:
        RefusedError: a part is missing.
    """
    if not storage.is_remote(run.output):
        for path in (*run.predictions, *run.errors):
            if not os.path.isfile(path):
                raise damaged(run.output, f"{path} is missing")


def check_contents(run: Run, at_hand: Run) -> None:
    """Checks that each part is, to the byte, the one that was written.

    A part may be damaged and still be read: its figures would be wrong.

    Args:
        at_hand: the same run with its parts on this machine.

    Raises:
        RefusedError: a part is another one, or cannot be read.
    """
    parts = [part for kind in KINDS for part in layout.parts_of(kind, run.manifest["parts"])]
    pairs = zip(parts, (*at_hand.predictions, *at_hand.errors), strict=True)
    for _ in ahead(lambda pair: check_content(run, *pair), pairs, HASHING_THREADS):
        pass


def check_content(run: Run, part: Mapping[str, Any], at_hand: str) -> None:
    """Checks that a part is, to the byte, the one that was written.

    Args:
        part: as in the manifest.
        at_hand: where it is on this machine.

    Raises:
        RefusedError: it is another one, or cannot be read.
    """
    where = storage.join(run.output, part["path"])
    try:
        with open(at_hand, "rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == part["sha256"]
    except OSError as error:
        raise damaged(run.output, f"{where}: {error.strerror}") from error
    if not same:
        raise damaged(run.output, f"{where} is not what was written: its sha256 is another one")


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
                raise damaged(os.path.dirname(os.path.dirname(path)), f"{path} is missing") from error
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
