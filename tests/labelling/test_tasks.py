"""Tasks for people: which rows, with which texts, in a file that survives a spreadsheet and that training reads."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import InputError, OptionError, OutputError
from batch_scorer.formats.cells import CELL_CHARACTERS, GUARD
from batch_scorer.labelling.question import Question
from batch_scorer.labelling.tasks import WrittenTasks, write_tasks
from batch_scorer.models.profile import measure
from tests.cli.test_main import run
from tests.conftest import save_tiny
from tests.jobs import rows, score_here
from train.data import Columns, Examples, read_examples

TEXTS = {
    "=cmd": '=HYPERLINK("http://x","good film")',
    "007": "a very boring film,\nand <br /> the plot was bad",
    "r3": "@good and not bad",
    "r4": "10 minutes",
    "r5": 'the café "was" naïve; слово',
    "r6": "unheard of words only here and there, and on and on and on",
    "r7": "good",
    "r8": "very good film " * 4_000,
    **{f"x{at}": f"{'good' if at % 3 else 'bad'} film and the plot was not {at}" for at in range(12)},
}
Row = dict[str, str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with reviews, a run that kept their texts (`kept`) and one that did not (`run`)."""
    folder = tmp_path_factory.mktemp("tasks")
    usual = measure(*(np.full(400, n) for n in (12, 12, 1)), np.full(400, 0.5))
    save_tiny(folder / "model", 4, training_profile=usual)
    lines = [json.dumps({"id": name, "text": text, "product": "p"}) for name, text in TEXTS.items()]
    (folder / "in.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    shared: dict[str, Any] = {"id_column": "id", "workers": 1, "shard_rows": 7, "unusual": True}
    for name, kept in {"run": (), "kept": (Kept("text", "words said"),)}.items():
        config = ScoreConfig.of([str(folder / "in.jsonl")], str(folder / name), str(folder / "model"), **shared)
        score_here(config.with_options(kept=kept))
    return folder


Write = Callable[..., tuple[list[Row], WrittenTasks]]


@pytest.fixture
def write(made: Path, tmp_path: Path) -> Write:
    """Writes tasks of a run, and reads them as a program that knows nothing of them does."""

    def make(name: str = "run", **options: Any) -> tuple[list[Row], WrittenTasks]:
        path = tmp_path / f"tasks-{len(list(tmp_path.iterdir()))}.csv"
        written = write_tasks(Question(str(made / name), **options), str(path))
        text = path.read_bytes().decode("utf-8")
        assert text.startswith("\ufeff") and text.isprintable() is False
        return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))), written

    return make


def ids(tasks: list[Row]) -> list[str]:
    return [task["record_id"].removeprefix(GUARD) for task in tasks]


def certain(row: dict[str, Any]) -> tuple[float, str]:
    return abs(row["logit"]), row["record_id"]


def test_least_certain_come_first_with_what_the_model_says_and_why(made: Path, write: Write) -> None:
    tasks, written = write(least_certain=5)
    expected = sorted(rows(made / "run"), key=certain)[:5]
    assert [row["record_id"] for row in expected] == ids(tasks)
    for row, task in zip(expected, tasks, strict=True):
        assert TEXTS[row["record_id"]] == task["text"].removeprefix(GUARD)
        assert (row["predicted_label"], "", "least certain") == (
            task["predicted_label"],
            task["label"],
            task["chosen_by"],
        )
        assert row["probability"] == pytest.approx(float(task["probability"]))
        words = ", ".join(f"{word['token']} {word['contribution']:+.1f}" for word in row["top_contributing"][:8])
        assert words == task["words"].removeprefix(GUARD)
    assert (5, {"least certain": 5}, []) == (written.reviews, written.tasks, written.notes)


def test_each_review_is_one_task_and_says_every_choice_that_took_it(made: Path, write: Write) -> None:
    found = [row for row in rows(made / "run") if row["record_id"] != "r8"]
    tasks, written = write(least_certain=4, unusual=6, random=len(TEXTS))
    assert sorted(row["record_id"] for row in found) == sorted(ids(tasks))
    least = [row["record_id"] for row in sorted(rows(made / "run"), key=certain)[:4]]
    odd = [row["record_id"] for row in sorted(rows(made / "run"), key=certain) if row["unusual"]][:6]
    for task, name in zip(tasks, ids(tasks), strict=True):
        choices = {"least certain": name in least, "unusual": name in odd, "random": True}
        assert ", ".join(choice for choice, took in choices.items() if took) == task["chosen_by"]
        assert {row["record_id"]: row["unusual"] for row in found}[name] == task["unusual"]
    assert len(TEXTS) - 1 == written.reviews == written.tasks["random"]
    assert [f"left out 1 review of more than {CELL_CHARACTERS:,} characters, which no cell of a spreadsheet holds"] == (
        written.notes
    )


def test_draw_follows_from_the_seed_and_grows_with_the_sample(write: Write) -> None:
    draws = {seed: ids(write(random=6, seed=seed)[0]) for seed in (0, 1, 2)}
    assert draws[0] == ids(write("kept", random=6)[0])
    assert {*draws[0]} < {*ids(write(random=12)[0])}
    assert 3 == len({tuple(draw) for draw in draws.values()})
    drawn = {name for seed in range(3, 9) for name in ids(write(random=18, seed=seed)[0])}
    assert drawn == {*TEXTS} - {"r8"}


def test_no_cell_is_a_formula_and_every_cell_is_quoted(made: Path, tmp_path: Path) -> None:
    write_tasks(Question(str(made / "run"), random=len(TEXTS)), str(tmp_path / "tasks.csv"))
    text = (tmp_path / "tasks.csv").read_bytes().decode("utf-8-sig")
    for record in csv.reader(io.StringIO(text, newline=""), strict=True):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in record)
    assert text.startswith('"record_id","text",') and text.endswith('"\r\n')


def examples(path: Path, said: list[str]) -> Examples:
    return read_examples([str(path)], Columns(id="record_id"), say=said.append)


@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
def test_file_that_people_filled_in_trains_on_the_very_texts(made: Path, tmp_path: Path, quoting: Any) -> None:
    write_tasks(Question(str(made / "run"), random=len(TEXTS), seed=3), str(tmp_path / "tasks.csv"))
    with (tmp_path / "tasks.csv").open(encoding="utf-8-sig", newline="") as file:
        tasks = list(csv.DictReader(file))
    labels = {}
    for at, task in enumerate(tasks):
        task["label"] = ("positive", "Negative ", "")[at % 3]
        labels[task["record_id"].removeprefix(GUARD)] = task["label"]
    with (tmp_path / "back.csv").open("w", encoding="utf-8-sig", newline="") as file:
        back = csv.DictWriter(file, tasks[0], quoting=quoting, lineterminator="\r\n")  # type: ignore[call-overload]
        back.writeheader()
        back.writerows(tasks)
    said: list[str] = []
    found = examples(tmp_path / "back.csv", said)
    expected = {name: label for name, label in labels.items() if label}
    assert expected.keys() == {*found.ids}
    assert [TEXTS[name] for name in found.ids] == list(found.texts)
    assert [expected[name] == "positive" for name in found.ids] == (found.labels == 1).tolist()
    assert f"{len(labels) - len(expected)} without a label" in " ".join(said)


def test_labels_can_be_filled_in_by_the_model(made: Path, tmp_path: Path, write: Write) -> None:
    tasks, _ = write(random=len(TEXTS), prefill=True)
    assert {"positive", "negative"} == {task["label"] for task in tasks}
    assert [task["predicted_label"] for task in tasks] == [task["label"] for task in tasks]


def test_text_comes_from_a_kept_column_or_from_inputs_that_have_moved(made: Path, tmp_path: Path, write: Write) -> None:
    moved = tmp_path / "moved.jsonl"
    lines = (made / "in.jsonl").read_text(encoding="utf-8").splitlines()
    changed = lines[-1].replace("film", "plot twist")
    moved.write_text("\n".join([*lines[:-1], changed]) + "\n", encoding="utf-8")
    tasks, written = write(random=len(TEXTS), text_from=(str(moved),))
    assert {*TEXTS} - {"r8", "x11"} == {*ids(tasks)} and 1 == written.missing
    assert ["left out 1 review whose text was not found as it was scored"] == written.notes[:1]
    kept, _ = write("kept", random=len(TEXTS))
    assert {name: TEXTS[name] for name in ids(kept)} == {
        name: task["text"].removeprefix(GUARD) for name, task in zip(ids(kept), kept, strict=True)
    }
    with pytest.raises(InputError, match="there is no text to label"):
        other = tmp_path / "other.jsonl"
        other.write_text('{"id": "else", "text": "another film"}\n')
        write(random=3, text_from=(str(other),))


def test_question_that_cannot_be_answered_is_refused_and_nothing_is_overwritten(made: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="nothing says which reviews to choose"):
        write_tasks(Question(str(made / "run")), str(tmp_path / "t.csv"))
    (tmp_path / "t.csv").write_text("labels of people")
    with pytest.raises(OutputError, match="refusing to overwrite a file"):
        write_tasks(Question(str(made / "run"), random=1), str(tmp_path / "t.csv"))
    assert "labels of people" == (tmp_path / "t.csv").read_text()


def test_command_says_what_it_wrote_and_how_to_go_on(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "tasks.csv"
    done = run("review", str(made / "run"), "--least-certain", "4", "--unusual", "2", "--output", str(path))
    assert f"tasks  {path}: " in done.stdout and "(4 least certain, 2 unusual)" in done.stdout
    assert f"python -m train --start-from shipped --data {path} --id-column record_id" in done.stdout
    refused = run("review", str(made / "run"), "--output", str(tmp_path / "none.csv"))
    assert 2 == refused.exit_code and "--least-certain N, --unusual N, --random N" in refused.stderr
