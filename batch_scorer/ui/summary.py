"""The end of a job, for a person: what happened, what it cost in time, where the results are, and what to do next."""

from __future__ import annotations

import glob
import math
import os
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console
from rich.text import Text

from batch_scorer import storage
from batch_scorer.config import ScoreConfig
from batch_scorer.events import ERROR, WARNING, tell
from batch_scorer.runs import layout
from batch_scorer.storage.parallel import read_ahead
from batch_scorer.ui import terminal
from batch_scorer.ui.cards import positive_share

INPUTS_SHOWN = 3
PARTS_COUNTED = 1_000  # of errors; to open more would keep a person waiting
CODES_SHOWN = 5
OTHER = "start-up and other"


@dataclass(frozen=True)
class Ended:
    """A job that has just come to its end.

    Args:
        manifest: of its run.
        seconds: wall clock, from the start of the command.
        before: reviews that an earlier try had already done.
        processes: local ones that scored; None where a runner has its own.
        rejected: records by code; None where they were not counted.
    """

    manifest: Mapping[str, Any]
    seconds: float
    before: int
    processes: int | None
    rejected: Mapping[str, int] | None

    @property
    def reviews_per_s(self) -> float:
        """What this try scored, over all its time."""
        scored: int = self.manifest["counts"]["scored"]
        return max(scored - self.before, 0) / (self.seconds or 1)

    @property
    def shares(self) -> dict[str, float]:
        """Where the time of the workers went.

        What is in no stage is `OTHER`; how much, is known of a local job that was not resumed.
        """
        timings = dict(self.manifest["timings"])
        rest = (self.processes or 0) * self.seconds - sum(timings.values())
        if self.processes and not self.before and rest > 0:
            timings = {OTHER: rest, **timings}
        total = sum(timings.values()) or 1
        return {stage: seconds / total for stage, seconds in timings.items()}


def count_codes(output: str, parts: Sequence[Mapping[str, Any]]) -> Counter[tuple[str, str]]:
    """Rejected records by stage and code, from the parts of a run."""

    def codes(part: Mapping[str, Any]) -> Counter[tuple[str, str]]:
        with storage.open_read(storage.join(output, part["path"])) as file, pq.ParquetFile(file) as parquet:
            found = parquet.read(["stage", "code"])
        counted = found.group_by(["stage", "code"]).aggregate([([], "count_all")]).to_pylist()
        return Counter({(row["stage"], row["code"]): row["count_all"] for row in counted})

    errors = layout.parts_of(layout.ERRORS, parts)
    total = Counter[tuple[str, str]]()
    for found in read_ahead(codes, errors, storage.is_remote(output)):
        total += found
    return total


def rejected_by_code(output: str, manifest: Mapping[str, Any]) -> dict[str, int] | None:
    """Records by code, most frequent first; None where they are in too many parts, or cannot be counted."""
    if len(layout.parts_of(layout.ERRORS, manifest["parts"])) > PARTS_COUNTED:
        return None
    try:
        found = count_codes(output, manifest["parts"])
    except (OSError, ValueError, LookupError):
        return None  # the run is over all the same, and `inspect` says what is wrong
    return {code: count for (_, code), count in sorted(found.items(), key=lambda item: (-item[1], item[0]))}


def summary(console: Console, config: ScoreConfig, ended: Ended) -> None:
    """Shows the end on `console`, and tells of it."""
    manifest, counts = ended.manifest, ended.manifest["counts"]
    label, share = positive_share(manifest)
    earlier = f", {ended.before:,} of them earlier," if ended.before else ""
    line = (
        f"{counts['scored']:,} reviews scored{earlier} in {_wall(ended.seconds)} ({ended.reviews_per_s:,.0f}/s), "
        f"{counts['rejected']:,} rejected, {counts['unreadable']:,} unreadable"
    )
    first, comma, rest = line.partition(" in ")
    console.print(Text.assemble((first, "bold"), comma, rest))
    terminal.notes(console, manifest)
    if counts["scored"]:
        terminal.row(console, label, f"{share:.1%}")
    terminal.row(console, "time" if OTHER in ended.shares else "worker time", _shares(ended))
    terminal.row(console, "predictions", layout.part_glob(config.output.directory, layout.PREDICTIONS), fold=False)
    if counts["rejected"] or counts["unreadable"]:
        terminal.row(console, "errors", layout.part_glob(config.output.directory, layout.ERRORS), fold=False)
        if ended.rejected:
            terminal.row(console, "", _codes(ended.rejected))
    for at, command in enumerate(next_steps(config, manifest)):
        terminal.row(console, "" if at else "next", command, fold=False)
    if manifest["not_a_success"]:
        for at, (what, command) in enumerate(ways_out(config, counts)):
            terminal.row(console, "" if at else "or", what)
            terminal.row(console, "", command, fold=False)
    _tell(config, ended, line, (label, share))


def _wall(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds < 600 else terminal.duration(seconds)


def _shares(ended: Ended) -> str:
    shown = [f"{stage} {share:.0%}" for stage, share in ended.shares.items() if share >= 0.005]
    of = "" if ended.processes is None else f" ({ended.processes} process{'es' * (ended.processes > 1)})"
    return f"{', '.join(shown) or 'none'}{of}"


def _codes(rejected: Mapping[str, int]) -> str:
    shown = [f"{count:,} {code}" for code, count in list(rejected.items())[:CODES_SHOWN]]
    more = len(rejected) - len(shown)
    return ", ".join([*shown, *([f"and {more} other codes"] if more else [])])


def next_steps(config: ScoreConfig, manifest: Mapping[str, Any]) -> list[str]:
    """Commands that show more of a run."""
    return look_at(
        config.messages.program, config.output.directory, config.input.paths if manifest["counts"]["scored"] else ()
    )


def look_at(program: str, output: str, inputs: Sequence[str], inspected: bool = False) -> list[str]:
    """Commands that show more of a run; without `inputs`, there is nothing to report.

    Args:
        program: how it is called.
        inspected: whether `inspect` is what the reader looks at already.
    """
    at = shlex.quote(output)
    commands = [] if inspected else [f"{program} inspect {at}"]
    if inputs:
        texts = "".join(f" --text-from {shlex.quote(name)}" for name in inputs)
        there = len(inputs) <= INPUTS_SHOWN and all(map(_is_there, inputs))
        commands += [f"{program} report {at}{texts if there else ''}", f"{program} sql {at}"]
    return commands


def _is_there(name: str) -> bool:
    """Whether an input can be read from here, where perhaps it was not given."""
    return storage.is_remote(name) or os.path.exists(name) or any(glob.iglob(name))


def ways_out(config: ScoreConfig, counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """How a run that is not a success becomes one: what that means, and the command."""
    more, accepts, ways = [], [], []
    if counts["unreadable"] and not config.job.allow_unreadable:
        retry = config.again() or "the same command with --resume"
        ways.append(("read again what could not be read, if it was the disk or the network:", retry))
        more.append("--allow-unreadable")
        accepts.append("files that cannot be read")
    rate = counts["rejected"] / (counts["read"] or 1)
    if rate > config.job.max_error_rate:
        more += ["--max-error-rate", f"{min(math.ceil(rate * 100) / 100, 1):g}"]
        accepts.append("records that are rejected")
    command = config.again(*more) or f"the same command with {shlex.join(['--resume', *more])}"
    return [*ways, (f"accept {' and '.join(accepts)}, without scoring anew:", command)]


def _tell(config: ScoreConfig, ended: Ended, line: str, positive: tuple[str, float]) -> None:
    """The same as events."""
    manifest, run = ended.manifest, {"run_id": ended.manifest["run_id"]}
    for warning in manifest["warnings"]:
        tell("warning", warning, WARNING, **run)
    for notice in manifest["notices"]:
        tell("notice", notice, **run)
    tell(
        "finished",
        line,
        **run,
        output=config.output.directory,
        counts=manifest["counts"],
        rejected=ended.rejected,
        success=manifest["not_a_success"] is None,
        seconds=round(ended.seconds, 3),
        reviews_per_s=round(ended.reviews_per_s, 1),
        reviews_before=ended.before,
        processes=ended.processes,
        positive=round(positive[1], 4) if positive[0] == "positive" else None,
        timings=manifest["timings"],
    )
    if manifest["not_a_success"]:
        tell("not_a_success", f"not a success: {manifest['not_a_success']}", ERROR, **run, exit_code=3)
