"""`batch-scorer explain --run OUT --id ID`: a row of a run in the terminal, with the numbers that the table holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from batch_scorer.cli.main import main
from batch_scorer.runs.finished import open_run
from batch_scorer.scoring.run_row import find_row
from batch_scorer.ui import highlight
from tests.cli.test_explain import SUM, as_float32, lines
from tests.cli.test_main import SHOW_IMPORTS, process
from tests.conftest import REVIEWS, save_tiny
from tests.finished_runs import Original
from tests.jobs import rows

Row = Callable[..., Result]


@pytest.fixture
def output(original: Original, tmp_path: Path) -> str:
    """The run over `REVIEWS`, two words listed of each; its input is where it was."""
    return original.copy(tmp_path / "run", "it", {"stars": pa.scalar(4)})


@pytest.fixture
def row(output: str) -> Row:
    """Runs `explain` for a row of that run."""

    def explain(record_id: str, *args: object) -> Result:
        return CliRunner().invoke(main, ["explain", "--run", output, "--id", record_id, *map(str, args)])

    return explain


def test_row_of_a_run_is_shown_with_its_text_its_sum_and_where_it_is_from(row: Row, output: str) -> None:
    result = row("r1")
    assert (0, "") == (result.exit_code, result.stderr)
    text = lines(result.stdout)
    (columns,) = (columns for columns in rows(output) if columns["record_id"] == "r1")
    shown = re.sub(r"\([+-].*?\)", "", text[0])
    assert "A wonderful film, and it's not boring." == shown
    assert len(columns["top_contributing"]) == 2 == text[0].count("(")
    for word in columns["top_contributing"]:
        assert f"({word['contribution']:+.2f})" in text[0]
        assert f"{word['token']} {word['position']} {word['contribution']:+.3f} {word['attention']:.3f}" in text
    sums = [SUM.fullmatch(line) for line in text]
    (match,) = filter(None, sums)
    bias, listed, rest, logit, probability = map(float, match.groups())
    assert logit == pytest.approx(bias + listed + rest, abs=0.0021)
    assert logit == pytest.approx(columns["logit"], abs=0.00051)
    assert probability == pytest.approx(columns["probability"], abs=0.00051)
    assert f"{columns['predicted_label']}: 7 words, 0 unknown; temperature 1.300" in text
    said = dict(line.split(" ", 1) for line in text[-7:])
    assert ["record", "from", "run", "model", "kept", "text", "marked"] == [*said]
    assert ("r1", f"{columns['source']}#0", "stars: 4") == (said["record"], said["from"], said["kept"])
    assert said["run"].startswith("it, finished 2") and said["model"] == f"tiny {columns['model_id']}"
    assert f"from {columns['source']}" == said["text"]


def test_row_in_colour_has_the_listed_words_marked_and_the_others_plain(output: str) -> None:
    found = find_row(open_run(output), "r1")
    marked = highlight.marked_text(found.review(dict(REVIEWS)["r1"]))
    listed = {w["char_start"] for w in (*found.columns["top_attended"], *found.columns["top_contributing"])}
    assert {span.start for span in marked.spans if str(span.style)} <= listed
    assert [span for span in marked.spans if str(span.style)]


def test_row_without_its_text_shows_the_numbers_and_says_what_to_give(row: Row, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({"id": "r2", "text": "Bad plot. Very, very BAD indeed!"}) + "\n")
    result = row("r2", "--text-from", other)
    assert (0, "") == (result.exit_code, result.stderr)
    text = lines(result.stdout)
    assert text[0].endswith(": 5 words, 0 unknown; temperature 1.300")
    assert SUM.fullmatch(text[1])
    assert "the words that weigh most" in text
    said = " ".join(text[-3:])
    assert f"text not shown: what is now in {other} is not the text that was scored" in said
    assert "--text-from INPUT" in said
    assert "Very" not in result.stdout


def test_first_of_several_rows_with_an_id_is_shown_and_said_to_be_one_of_them(
    original: Original, tmp_path: Path
) -> None:
    def same(table: pa.Table) -> pa.Table:
        return table.set_column(0, table.field(0), [["twin"] * len(table)])

    output = original.copy(tmp_path / "twins", "it", change=same)
    for more, stream in (((), "stdout"), (("--json",), "stderr")):
        result = CliRunner().invoke(main, ["explain", "--run", output, "--id", "twin", *more])
        assert 0 == result.exit_code
        assert "the first of 6" in " ".join(getattr(result, stream).split())
        assert "wonderful" in result.stdout


def test_json_of_a_row_is_the_row_with_bias_temperature_and_text(row: Row, output: str) -> None:
    result = row("r5", "--json")
    assert 0 == result.exit_code
    found = json.loads(result.stdout)
    (expected,) = (columns for columns in rows(output) if columns["record_id"] == "r5")
    assert [*expected, "bias", "temperature", "text"] == [*found]
    assert {name: as_float32(value) for name, value in expected.items()} == {
        name: as_float32(found[name]) for name in expected
    }
    assert (1.3, "unheard of words only") == (found["temperature"], found["text"])
    assert result.stderr.startswith("text: from ")


def test_row_that_the_run_does_not_have_is_exit_2_with_its_size(row: Row) -> None:
    result = row("r7")
    assert (2, "") == (result.exit_code, result.stdout)
    assert "error: the run has no such row" in result.stderr
    assert "one of its 6 rows" in result.stderr


def test_model_other_than_the_runs_is_exit_2_and_the_runs_own_is_accepted(
    row: Row, tiny_model: Path, tmp_path: Path
) -> None:
    assert 0 == row("r1", "--model", tiny_model).exit_code
    result = row("r1", "--model", save_tiny(tmp_path / "other", seed=8))
    assert (2, "") == (result.exit_code, result.stdout)
    assert "the run was scored with another model" in result.stderr
    assert "expected: model " in result.stderr and "got:      model " in result.stderr


def test_damaged_part_is_exit_2_and_not_a_traceback(row: Row, output: str) -> None:
    Path(output, "predictions/part-00000.parquet").write_bytes(b"PAR1")
    result = row("r1")
    assert (2, "") == (result.exit_code, result.stdout)
    assert "error: the output of the run is damaged" in result.stderr


def test_whole_process_explains_a_row_without_tensorflow_and_beam(output: str) -> None:
    done = process("-c", SHOW_IMPORTS, "explain", "--run", output, "--id", "r1")
    assert (0, "") == (done.returncode, done.stderr)
    assert "imported: numpy pyarrow" == done.stdout.splitlines()[-1]
