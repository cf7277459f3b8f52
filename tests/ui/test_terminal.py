"""The terminal: what is shown of a plan, a run and its results, and while a job runs."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from batch_scorer.ui import progress, terminal

# Category -> what it would do to a terminal: controls, bidi and other invisible marks, half characters, line ends.
FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def console() -> Console:
    return Console(file=io.StringIO(), width=200, soft_wrap=True, emoji=False, color_system=None)


def shown(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def prediction(**changes: Any) -> dict[str, Any]:
    token = {"token": "good", "contribution": 1.25}
    return {
        "record_id": "r1",
        "predicted_label": "positive",
        "probability": 0.9,
        "top_contributing": [token] * 6,
        **changes,
    }


def test_results_show_what_is_in_the_rows_and_four_words_each() -> None:
    on = console()
    terminal.results(on, [prediction(), prediction(record_id="r2", predicted_label="negative")], "some")
    assert all(word in shown(on) for word in ("some", "r1", "positive", "0.900", "r2", "negative"))
    assert 2 * 4 == shown(on).count("good +1.25")


def test_tables_in_a_narrow_terminal_leave_out_what_would_be_cut_to_pieces() -> None:
    on = Console(file=io.StringIO(), width=40, color_system=None)
    terminal.results(on, [prediction(record_id="a/long/path/to/reviews.jsonl#12345")], "some")
    terminal.error_counts(on, {("decode", "malformed_json"): 2})
    lines = shown(on).splitlines()
    assert " …s.jsonl#12345  positive        0.900" in [line.rstrip() for line in lines]
    assert "meaning" not in shown(on) and "good" not in shown(on)
    assert [] == [line for line in lines if len(line.rstrip()) > 40]


def test_results_with_hostile_ids_and_words_show_them_as_text() -> None:
    on = console()
    hostile = "[/]\x1b[2J[blink]"
    terminal.results(
        on, [prediction(record_id=hostile, top_contributing=[{"token": hostile, "contribution": -1}])], "t"
    )
    assert 2 == shown(on).count("[/]�[2J[blink]")
    assert "\x1b" not in shown(on)


def test_error_counts_are_listed_by_stage_and_code() -> None:
    on = console()
    terminal.error_counts(on, {("encode", "no_words"): 1234, ("decode", "malformed_json"): 2})
    lines = [line.split() for line in shown(on).splitlines()]
    assert [["decode", "malformed_json", "2"], ["encode", "no_words", "1,234"]] == [line[:3] for line in lines[-2:]]
    assert shown(on).splitlines()[-1].rstrip().endswith("the text holds no word")


def test_reviews_done_counts_shards_with_markers_as_they_were_planned(tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    poll = progress.reviews_done(str(tmp_path), [10, 7, 5])
    assert 0 == poll()
    shards.mkdir()
    for index in (2, 0):
        (shards / f"{index:05d}.json").touch()
    assert [15, 15] == [poll(), poll()]


def test_steps_outside_a_terminal_say_what_takes_long_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    on = console()
    with progress.steps(on) as say:
        say("[b]quick")
    assert "" == shown(on)
    monkeypatch.setattr(progress, "PLAIN_LINE_SECONDS", 0.01)
    with progress.steps(on) as say:
        say("[b]slow")
        while "\n" not in shown(on):
            pass
    assert "[b]slow" == shown(on).splitlines()[0]


def test_steps_in_a_terminal_show_each_step_and_leave_no_line() -> None:
    on = Console(file=io.StringIO(), width=200, force_terminal=True, markup=False)
    with progress.steps(on) as say:
        say("looking into [b]")
        on.print("beside it")
    assert "looking into [b]" in shown(on)
    assert shown(on).endswith("\x1b[2K")  # the spinner's line, erased


def test_polls_take_a_tenth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    now = iter([0.0, 2.0, 20.0, 20.01])  # a poll of two seconds, and one of a hundredth
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0)
            return len(pauses) == 3

    assert [7, 7] == list(progress._polls(lambda: 7, 0.5, Stop()))
    assert [0.5, 18.0, 0.5] == pauses


def test_progress_outside_a_terminal_prints_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_LINE_SECONDS", 0.01)
    on, polls = console(), iter([0, *[500] * 10_000])
    with progress.progress(on, lambda: next(polls), total=1_000, estimated=True, every_s=0.01):
        while "\n" not in shown(on):
            pass
    first = shown(on).splitlines()[0]
    assert first.startswith("500 of about 1,000 reviews, ")
    assert first.endswith(" s left")


def test_progress_stops_at_once_when_the_body_raises() -> None:
    start = time.monotonic()
    with pytest.raises(ValueError, match="body"), progress.progress(console(), lambda: 0, 1, False, 60.0):
        raise ValueError("body")
    assert time.monotonic() - start < 5
    assert not [thread for thread in threading.enumerate() if "_lines" in thread.name]
