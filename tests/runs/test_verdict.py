"""When a finished run counts as a success, and the commands that make a success of one that is none."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from batch_scorer.runs.markers import Counts
from batch_scorer.runs.rejections import Unreadable
from batch_scorer.runs.verdict import verdict, ways_out

COMMAND = ("x", "score", "in.csv", "--output", "out")


@pytest.mark.parametrize(
    ("counts", "max_error_rate", "allow_unreadable", "said"),
    [
        ((100, 99, 1, 0), 0.01, False, None),
        ((100, 98, 2, 0), 0.01, False, "2 of 100 records (2.0%) were rejected, more than --max-error-rate 1.0%"),
        ((100, 100, 0, 0), 0.0, False, None),
        ((100, 99, 1, 0), 0.0, False, "1 of 100 records (1.0%) was rejected, more than --max-error-rate 0.0%"),
        ((5, 0, 5, 0), 1.0, False, None),
        ((0, 0, 0, 0), 0.0, False, None),
        ((0, 0, 0, 1_200), 0.01, False, "1,200 files or ranges were unreadable"),
        ((0, 0, 0, 1), 0.01, True, None),
        ((100, 50, 50, 1), 0.01, True, "50 of 100 records (50.0%) were rejected"),
        ((100, 50, 50, 1), 0.01, False, "1 file or range was unreadable"),
        ((100, 42, 58, 0, 58), 0.0, False, None),
        ((100, 40, 60, 0, 58), 0.01, False, "2 of 100 records (2.0%) were rejected"),
        ((2, 0, 2, 0, 2), 0.5, False, "nothing was scored: 2 of 2 records had no text, or none with words"),
        ((100, 0, 100, 0, 99), 0.01, False, "nothing was scored: 99 of 100 records had no text"),
        ((2, 0, 2, 0, 2), 1.0, False, None),
    ],
)
def test_verdict_on_counts_says_why_a_run_is_not_a_success(
    counts: tuple[int, ...], max_error_rate: float, allow_unreadable: bool, said: str | None
) -> None:
    why = verdict(dataclasses.asdict(Counts(*counts)), max_error_rate, allow_unreadable)

    assert said == (why and why[: len(said or why)])


@pytest.mark.parametrize(
    ("counts", "success"),
    [((3, 0, 3, 0, 3), True), ((0, 0, 0, 0, 0), True), ((3, 0, 3, 0, 2), False), ((3, 0, 3, 1, 3), False)],
)
def test_verdict_with_nothing_to_score_allowed_forgives_what_is_empty_and_nothing_else(
    counts: tuple[int, ...], success: bool
) -> None:
    assert success == (verdict(dataclasses.asdict(Counts(*counts)), 0.01, False, allow_empty=True) is None)


def found(counts: tuple[int, ...], *more: str, unreadable: tuple[Unreadable, ...] = (), **changes: Any) -> list[str]:
    """The ways out of a run whose command had `more` options: what each means, and the options of its command."""
    run = {"not_a_success": "why", "counts": dataclasses.asdict(Counts(*counts)), "command": [*COMMAND, *more]}
    start = "batch-scorer score in.csv --output out "
    return [f"{what} {command.removeprefix(start)}" for what, command in ways_out({**run, **changes}, unreadable)]


READ_AGAIN = "read again what could not be read, in case the disk or the network was at fault:"
DAMAGED = "accept files that cannot be read; shards with damage are scored again:"
BOTH = "accept files that cannot be read and records that are rejected; shards with damage are scored again:"
FAULTS = "accept records that are rejected, without scoring again:"
LOCKED = Unreadable("a.zip", "the file is encrypted: member x")


@pytest.mark.parametrize(
    ("counts", "more", "expected"),
    [
        ((9, 8, 1, 0), (), [f"{FAULTS} --resume --max-error-rate 0.12"]),
        ((9, 9, 0, 1), (), [f"{READ_AGAIN} --resume", f"{DAMAGED} --resume --allow-unreadable"]),
        (
            (9, 8, 1, 1), (),
            [f"{READ_AGAIN} --resume", f"{BOTH} --resume --allow-unreadable --max-error-rate 0.12"],
        ),
        (
            (9, 8, 1, 1), ("--max-error-rate=.5",),
            [
                f"{READ_AGAIN} --max-error-rate=.5 --resume",
                f"{DAMAGED} --max-error-rate=.5 --resume --allow-unreadable",
            ],
        ),
        (
            (9, 8, 1, 1), ("--allow-unreadable",),
            [
                "accept records that are rejected; shards with damage are scored again: "
                "--allow-unreadable --resume --max-error-rate 0.12"
            ],
        ),
        ((9, 0, 9, 0), (), []),
        ((9, 0, 9, 1), (), [f"{READ_AGAIN} --resume"]),
        ((0, 0, 0, 2), (), [f"{READ_AGAIN} --resume"]),
        ((9, 0, 9, 0, 9), (), ["accept that nothing is scored, without scoring again: --resume --allow-empty"]),
        ((9, 9, 0, 0), (), []),  # no rule that is known was broken
        ((9, 8, 1, 0), ("--max-error-rate", "high"), [f"{FAULTS} --resume --max-error-rate 0.12"]),
    ],
)  # fmt: skip
def test_ways_out_accept_what_the_command_did_not_and_nothing_else(
    counts: tuple[int, ...], more: tuple[str, ...], expected: list[str]
) -> None:
    assert expected == found(counts, *more)


def test_file_that_is_encrypted_is_not_to_be_read_again() -> None:
    assert [f"{DAMAGED} --resume --allow-unreadable"] == found((9, 9, 0, 1), unreadable=(LOCKED,))
    assert f"{READ_AGAIN} --resume" == found((9, 9, 0, 2), unreadable=(LOCKED,))[0]
    assert f"{READ_AGAIN} --resume" == found((9, 9, 0, 2), unreadable=(LOCKED, Unreadable("b.gz", "cut")))[0]


def test_run_that_is_a_success_or_was_started_by_no_command_has_no_way_out() -> None:
    assert [] == found((9, 8, 1, 0), not_a_success=None)
    assert [] == found((9, 8, 1, 0), command=[])


def test_command_that_is_too_long_to_be_read_is_told_in_words() -> None:
    assert [f"{FAULTS} the same command with --resume --max-error-rate 0.12"] == found(
        (9, 8, 1, 0), command=[*COMMAND, *(f"{at}.csv" for at in range(2_000))]
    )


def test_value_of_another_option_that_is_equal_to_a_new_one_stays() -> None:
    command = ["x", "score", "1", "--workers", "1", "--output", "out"]
    assert [f"{FAULTS} batch-scorer score 1 --workers 1 --output out --resume --max-error-rate 1"] == found(
        (1000, 1, 999, 0), command=command
    )
