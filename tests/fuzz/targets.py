"""The targets: each a way in for what others wrote, with valid inputs to start from and an oracle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzz import loaders, parquet_reader, printers, seeds, text_readers
from tests.fuzz.case import seed_of


@dataclass(frozen=True)
class Target:
    """Something to fuzz.

    Args:
        share: of the inputs of a run; targets that cost little get more.
        make: an input, valid or nearly so.
        check: returns if an input was handled correctly; `oracle.Unaccounted` if a record is lost or wrong. Anything
            else it raises is a crash. It may use an empty directory, the same for all inputs of a process.
    """

    name: str
    share: float
    make: Callable[[Random], bytes]
    check: Callable[[bytes, Path], None]


TARGETS = (
    Target("parquet", 0.12, seed_of(seeds.parquet), parquet_reader.check_parquet),
    Target("jsonl", 0.14, seed_of(seeds.jsonl), text_readers.check_jsonl),
    Target("csv", 0.14, text_readers.seed_csv, text_readers.check_csv),
    Target("lines", 0.10, seed_of(seeds.lines), text_readers.check_lines),
    Target("files", 0.10, seed_of(seeds.files), text_readers.check_files),
    Target("tokenizer", 0.16, printers.seed_text, printers.check_tokenizer),
    Target("plan", 0.04, loaders.seed_plan, loaders.check_plan),
    Target("marker", 0.06, loaders.seed_marker, loaders.check_marker),
    Target("artifact", 0.06, loaders.seed_artifact, loaders.check_artifact),
    Target("terminal", 0.05, printers.seed_text, printers.check_terminal),
    Target("explain", 0.03, printers.seed_text, printers.check_explain),
)


def named(name: str) -> Target:
    """The target of that name."""
    return next(target for target in TARGETS if target.name == name)


def input_of(target: Target, seed: int, number: int) -> bytes:
    """Input `number` of a run: it follows from these three alone."""
    return target.make(Random(f"{seed} {target.name} {number}"))
