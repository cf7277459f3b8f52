"""What `batch-scorer compare` prints: a summary for people, one JSON object for programs."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path

from rich.console import Console

from batch_scorer.compare.compare import compare
from batch_scorer.compare.result import Comparison, Question
from batch_scorer.ui.comparison import show, to_json
from tests.compare.conftest import WriteRun, listed, run, scores
from tests.ui.test_terminal import FORBIDDEN


def printed(comparison: Comparison) -> str:
    """What a terminal shows of a comparison."""
    console = Console(width=200, soft_wrap=True, emoji=False, color_system=None)
    with console.capture() as capture:
        show(console, comparison)
    return capture.get()


def test_run_and_its_copy_are_identical(scored: tuple[str, str], tmp_path: Path) -> None:
    copy = shutil.copytree(scored[0], tmp_path / "copy")
    comparison = compare(scored[0], str(copy), Question())
    assert (
        "The scores of the 6 reviews in both are identical to the bit: probability, logit and label.",
        "So are the listed words and their contributions.",
    ) == comparison.story
    assert ((), (), ()) == (comparison.reviews, comparison.words, comparison.notes)
    assert comparison.agreement is not None
    assert (1.0, 6) == (comparison.agreement.overlap, comparison.agreement.same_first)
    assert printed(comparison).count("the same") >= 10


def test_json_is_the_whole_comparison_as_one_object(scored: tuple[str, str]) -> None:
    result = run(*scored, "--json", "--label-column", "truth", "--rows", "2")
    assert 0 == result.exit_code, result.output
    document = json.loads(result.stdout)
    comparison = compare(*scored, Question(rows=2, label_column="truth"))
    assert json.loads(json.dumps(to_json(comparison))) == document
    assert 2 == len(document["reviews"])


def test_words_that_only_one_run_lists_are_printed_with_their_run(write_run: WriteRun) -> None:
    a = write_run("a", [{**scores(x=0.2)[0], "top_contributing": listed(("dull", 0, -2.0), ("warm", 1, 1.0))}])
    b = write_run("b", [{**scores(x=0.9)[0], "top_contributing": listed(("warm", 1, 0.25), ("fine", 2, 1.5))}])
    assert "warm +1.00 to +0.25; listed in A only: dull -2.00; listed in B only: fine +1.50" in (
        printed(compare(a, b, Question()))
    )


def test_distributions_are_printed_with_their_grade(write_run: WriteRun) -> None:
    a, b = (
        write_run(name, [{"record_id": f"{name}{n}", "probability": 0.9 if n % 2 else 0.2} for n in range(200)])
        for name in "ab"
    )
    assert "probability: stable, population stability index 0.000" in printed(compare(a, b, Question()))


def test_hostile_strings_stay_strings(write_run: WriteRun) -> None:
    hostile = "a'b\"c\x1b[2J\u202e[red]\n--;drop table reviews"
    words = {"top_contributing": listed((hostile, 0, 1.0))}
    a = write_run("a'[*]", [{"record_id": hostile, "probability": 0.2, **words, hostile: "1"}], (hostile,))
    b = write_run('b"?', [{"record_id": hostile, "probability": 0.9, hostile: "1"}], (hostile,))
    comparison = compare(a, b, Question(label_column=hostile))
    assert hostile == comparison.reviews[0].record_id == comparison.words[0].token
    assert comparison.truth is not None
    assert 1 == comparison.truth.b.count
    output = run(a, b, "--label-column", hostile).output
    assert "[red]" in output
    assert not {c for c in output if c != "\n" and unicodedata.category(c) in FORBIDDEN}
    (line,) = run(a, b, "--label-column", hostile, "--json").output.splitlines()
    assert hostile == json.loads(line)["reviews"][0]["record_id"]
