"""What a terminal shows of a job's events, and what it leaves behind."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from batch_scorer.events import DETAIL, Event
from batch_scorer.ui import progress
from batch_scorer.ui.progress import JobScreen

HALF = Event("progress", "500 of about 1,000 reviews, 10/s, 50 s left", fields={
    "done": 500, "total": 1_000, "estimated": True, "reviews_per_s": 10.0, "left_s": 50,
})  # fmt: skip


def pipe() -> Console:
    return Console(file=io.StringIO(), width=200, soft_wrap=True, emoji=False, markup=False, color_system=None)


def animated() -> Console:
    return Console(file=io.StringIO(), width=200, force_terminal=True, markup=False)


def shown(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def test_step_outside_a_terminal_is_said_if_it_takes_long_and_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    on = pipe()
    with JobScreen(on) as screen:
        screen(Event("step", "[b]quick"))
    assert "" == shown(on)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.001)
    with JobScreen(on) as screen:
        screen(Event("step", "[b]slow"))
        while "\n" not in shown(on):
            pass
    assert "[b]slow" == shown(on).splitlines()[0]


def test_steps_in_a_terminal_show_each_and_leave_no_line() -> None:
    on = animated()
    with JobScreen(on) as screen:
        screen(Event("step", "looking into [b]"))
        on.print("beside it")
    assert "looking into [b]" in shown(on)
    assert shown(on).endswith("\x1b[2K")  # the spinner's line, erased


def test_plan_and_words_of_a_runner_are_lines_of_their_own_and_obeyed_in_nothing() -> None:
    on = pipe()
    with JobScreen(on) as screen:
        screen(Event("planned", "6 reviews; model [red]x[/red]"))
        screen(Event("versions", "python 3", DETAIL))
        screen(Event("job", "job \x1b[2J running"))
    assert ["6 reviews; model [red]x[/red]", "job �[2J running"] == shown(on).splitlines()


def test_progress_outside_a_terminal_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    on = pipe()
    with JobScreen(on) as screen:
        screen(HALF)
        assert "" == shown(on)
        monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
        screen(HALF)
    assert [HALF.message] == shown(on).splitlines()


def test_progress_in_a_terminal_is_a_bar_that_goes_when_the_job_is_done() -> None:
    on = animated()
    with JobScreen(on) as screen:
        screen(Event("step", "writing the plan"))
        screen(HALF)
        screen(Event("finished", "done"))
    assert "500 of about 1,000 reviews" in shown(on) and "10/s" in shown(on)
    assert shown(on).endswith("\x1b[2K")


def test_plain_terminal_has_lines_rather_than_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    on = animated()
    with JobScreen(on, plain=True) as screen:
        screen(HALF)
    assert HALF.message in shown(on) and "━" not in shown(on)


def test_screen_ends_when_the_body_raises() -> None:
    on = animated()
    with pytest.raises(ValueError, match="body"), JobScreen(on) as screen:
        screen(Event("step", "planning"))
        raise ValueError("body")
    assert shown(on).endswith("\x1b[2K")
