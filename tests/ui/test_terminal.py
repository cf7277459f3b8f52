"""The terminal: what is shown of a plan, a run and its results, and while a job runs."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from batch_scorer.ui import terminal

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
