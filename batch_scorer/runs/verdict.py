"""Whether a finished run is a success, and how to make one of a run that is none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from batch_scorer import escape
from batch_scorer.config import PROGRAM, JobConfig, ScoreConfig
from batch_scorer.escape import counted
from batch_scorer.runs import layout
from batch_scorer.runs.rejections import Unreadable


def verdict(
    counts: Mapping[str, int], max_error_rate: float, allow_unreadable: bool, allow_empty: bool = False
) -> str | None:
    """Why a finished run does not count as a success, or None."""
    unreadable = counts["unreadable"]
    if unreadable and not allow_unreadable:
        were = "1 file or range was" if unreadable == 1 else f"{unreadable:,} files or ranges were"
        return f"{were} unreadable (see {layout.ERRORS}/; --allow-unreadable accepts this)"
    empty = counts.get("empty", 0)  # which older versions did not count
    faults, rate = counts["rejected"] - empty, error_rate(counts)
    if rate > max_error_rate:
        return (
            f"{faults:,} of {counted(counts['read'], 'record')} ({rate:.1%}) "
            f"{'was' if faults == 1 else 'were'} rejected, more than --max-error-rate {max_error_rate:.1%}"
        )
    if empty and not counts["scored"] and max_error_rate < 1 and not allow_empty:
        return all_empty(counts)
    return None


def all_empty(counts: Mapping[str, int]) -> str:
    """That nothing was scored, since no record has words."""
    empty, read = counts["empty"], counted(counts["read"], "record")
    return f"nothing was scored: {empty:,} of {read} had no text, or none with words"


def error_rate(counts: Mapping[str, int]) -> float:
    """The share of the records that were rejected for a fault: empty ones have none."""
    return (counts["rejected"] - counts.get("empty", 0)) / (counts["read"] or 1)


def ways_out(
    manifest: Mapping[str, Any], unreadable: Sequence[Unreadable], program: str = PROGRAM
) -> list[tuple[str, str]]:
    """How to make a success of a run: what that means, and the command. None for one that is a success, or that no
    command has started.

    Where every record or file is bad, nothing in the output could be accepted, and there is no command for that.

    Args:
        unreadable: the first files and ranges that could not be read.
        program: what to write in a shell to call this program.

    Example:
        >>> counts = {"read": 9, "scored": 8, "rejected": 1, "unreadable": 0}
        >>> command = ["batch-scorer", "score", "in.csv", "--output", "out"]
        >>> ways_out({"not_a_success": "...", "counts": counts, "command": command}, [])
        [('accept records that are rejected, without scoring again:', \
'batch-scorer score in.csv --output out --resume --max-error-rate 0.12')]
    """
    command, counts = manifest["command"], manifest["counts"]
    if manifest["not_a_success"] is None or not command:
        return []
    config = ScoreConfig.of([], "", command=tuple(command), program=program)

    def again(*more: str) -> str:  # in words where the command is too long to be read
        return config.again(*more) or f"the same command with {escape.command(['--resume', *more])}"

    more, accepts, ways = list[str](), list[str](), list[tuple[str, str]]()
    if counts["unreadable"] and "--allow-unreadable" not in command:
        # What is encrypted does not become readable by itself.
        if len(unreadable) < counts["unreadable"] or not all(" encrypted: " in file.why for file in unreadable):
            ways.append(("read again what could not be read, in case the disk or the network was at fault:", again()))
        more.append("--allow-unreadable")
        accepts.append("files that cannot be read")
    has_faults = error_rate(counts) > _max_error_rate(command)
    if not counts["scored"] and (has_faults or counts["unreadable"]):
        return ways
    if not counts["scored"] and counts.get("empty") and "--allow-empty" not in command:
        more.append("--allow-empty")
        accepts.append("that nothing is scored")
    if has_faults:
        more += ["--max-error-rate", f"{min(math.ceil(error_rate(counts) * 100) / 100, 1):g}"]
        accepts.append("records that are rejected")
    if not accepts:
        return ways
    # A shard with damage is always done again: what could not be read may be readable by now.
    scored_again = "; shards with damage are scored again:" if counts["unreadable"] else ", without scoring again:"
    return [*ways, (f"accept {' and '.join(accepts)}{scored_again}", again(*more))]


def _max_error_rate(command: Sequence[str]) -> float:
    """The rate that a command gives, or else the default."""
    rate = JobConfig.max_error_rate
    for word, following in zip(command, [*command[1:], ""], strict=True):
        name, sign, value = word.partition("=")
        if name == "--max-error-rate":
            with suppress(ValueError):  # of a manifest that was changed
                rate = float(value if sign else following)
    return rate
