"""`check`: which planted trouble breaks which limit, what is chance, and what it is compared with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from batch_scorer.check.check import check
from batch_scorer.check.limits import KINDS, read_limits
from batch_scorer.check.profiles import is_chance
from batch_scorer.check.result import Checked, Question
from batch_scorer.cli.main import main
from batch_scorer.errors import OptionError, RefusedError
from batch_scorer.models.profile import LENGTH_EDGES, SHARE_EDGES
from batch_scorer.runs.schemas import documents
from tests.finished_runs import edit, seal
from tests.made_runs import write_run

Change = Callable[[pa.Table], pa.Table]
KEEP = ("truth", "product")


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run of 800 reviews, to compare with."""
    output = tmp_path_factory.mktemp("before") / "run"
    write_run(output, 800, seed=1, keep=KEEP, run_id="before")
    return str(output)


def later(tmp_path: Path, change: Change | None = None, reviews: int = 700, seed: int = 2, **options: Any) -> str:
    """Another run over reviews of the same kind, whose rows are then changed."""
    output = tmp_path / "run"
    write_run(output, reviews, seed=seed, keep=KEEP, run_id="later", **options)
    edit(output / "manifest.json", started="2024-05-02T10:00:00+00:00")
    if change:
        part = output / "predictions/part-00000.parquet"
        table = pq.read_table(part)
        pq.write_table(change(table).cast(table.schema), part)
        seal(output)
    return str(output)


def broken(checked: Checked) -> set[str]:
    return {measure.name for measure in checked.broken}


def replaced(name: str, values: Callable[[pa.Table], Any]) -> Change:
    return lambda table: table.set_column(table.column_names.index(name), name, pa.array(values(table)))


def every(part: int, of: pa.ChunkedArray, instead: Any) -> list[Any]:
    """The values of a column, with another one in place of each `part`-th."""
    return [instead if i % part == 0 else value for i, value in enumerate(of.to_pylist())]


def flipped(table: pa.Table) -> list[int]:
    return [1 - value if i % 4 == 0 else value for i, value in enumerate(table["truth"].to_pylist())]


def renamed_words(table: pa.Table) -> list[Any]:
    lists = table["top_contributing"].to_pylist()
    return [[{**word, "token": "zzz" if i == 0 else word["token"]} for i, word in enumerate(words)] for words in lists]


def falling(table: pa.Table) -> list[str]:
    pairs = zip(table["predicted_label"].to_pylist(), table["product"].to_pylist(), strict=True)
    return ["negative" if product == "lamp" else label for label, product in pairs]


TROUBLES: dict[str, Change] = {
    "nulls": replaced("product", lambda t: every(2, t["product"], None)),
    "groups": replaced("product", lambda t: every(2, t["product"], "a new one")),
    "group_positive": replaced("predicted_label", falling),
    "positive": replaced("predicted_label", lambda t: every(3, t["predicted_label"], "negative")),
    "errors": replaced("truth", flipped),
    "calibration": replaced("truth", flipped),
    "words": replaced("top_contributing", renamed_words),
    "repeated": lambda t: pa.concat_tables([t.slice(0, 400), t.slice(0, 300)]),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_trouble_in_the_rows_breaks_the_limit_that_is_about_it(name: str, before: str, tmp_path: Path) -> None:
    run = later(tmp_path, TROUBLES[name])

    checked = check(Question(run, (before,), group_by=("product",), label_column="truth"))

    assert name in broken(checked), checked.measures
    assert checked.measures[0].broken  # those come first


def test_run_of_reviews_of_the_same_kind_breaks_none(before: str, tmp_path: Path) -> None:
    checked = check(Question(later(tmp_path), (before,), group_by=("product",), label_column="truth"))

    assert set() == broken(checked)
    measured = {measure.name for measure in checked.measures}
    assert KINDS.keys() - measured == {"undecided", "unusual"}  # of which these runs have no columns
    assert ("later", "1 earlier run", ("before",)) == (checked.run_id, checked.against, checked.references)


def test_run_is_compared_with_the_training_data_where_no_other_is_named(before: str) -> None:
    checked = check(Question(before, label_column="truth"))

    assert "the training data of the model" == checked.against
    names = {measure.name for measure in checked.measures}
    assert {"score", "length", "unknown_words", "errors", "repeated", "rejected"} <= names
    assert not names & {"volume", "positive", "words", "nulls", "groups"}


@pytest.mark.parametrize(
    ("counts", "name"),
    [
        ({"read": 720, "rejected": 20}, "rejected"),
        ({"unreadable": 1}, "unreadable"),
        ({"read": 900, "rejected": 200, "empty": 200}, "empty"),
        ({"read": 9_000}, "volume"),
    ],
)
def test_trouble_in_what_was_read_breaks_the_limit_that_is_about_it(
    counts: dict[str, int], name: str, before: str, tmp_path: Path
) -> None:
    run = later(tmp_path)
    manifest = json.loads(Path(run, "manifest.json").read_text())
    edit(Path(run, "manifest.json"), counts={**manifest["counts"], **counts})

    assert {name} == broken(check(Question(run, (before,))))


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"length": {"from": [*LENGTH_EDGES], "reviews": [700, *[0] * 14]}}, {"length"}),
        ({"probability": {"from": [*SHARE_EDGES], "reviews": [*[0] * 19, 700]}}, {"score"}),
        ({"oov_words": 8_000}, {"unknown_words"}),
        ({"truncated": 400}, {"truncated"}),
        ({"foreign_words": 8_000, "scripts": {"Hangul": 8_000}}, {"script"}),
    ],
)
def test_trouble_in_the_texts_breaks_the_limit_that_is_about_it(
    change: dict[str, Any], names: set[str], before: str, tmp_path: Path
) -> None:
    run = later(tmp_path)
    profile = json.loads(Path(run, "manifest.json").read_text())["profile"]
    edit(Path(run, "manifest.json"), profile={**profile, "run": {**profile["run"], **change}})

    checked = check(Question(run, (before,)))

    assert names == broken(checked), checked.measures
    if names == {"script"}:
        assert "in Hangul script, 0.0% before" in checked.broken[0].sentence


def test_words_that_give_the_run_away_are_named(before: str, tmp_path: Path) -> None:
    (measure,) = check(Question(later(tmp_path, TROUBLES["words"]), (before,))).broken

    assert "most of all zzz (100% of the reviews, 0% before)" in measure.sentence


@pytest.mark.parametrize("change", [TROUBLES["positive"], None])
def test_few_reviews_break_no_limit_by_chance(change: Change | None, before: str, tmp_path: Path) -> None:
    """Of 8 reviews, three may well be otherwise: most measures are over their limits, and nothing is broken."""
    checked = check(Question(later(tmp_path, change, reviews=8, seed=3), (before,), ("volume=off",)))

    assert set() == broken(checked)
    assert any(measure.limit is not None and measure.value > measure.limit for measure in checked.measures)


def test_two_samples_of_the_same_reviews_seldom_differ_by_more_than_chance() -> None:
    rng = np.random.default_rng(0)
    counts = rng.binomial([200, 500], 0.3, (4_000, 2))

    assert 0.0005 < np.mean([not is_chance(a, 200, b, 500) for a, b in counts.tolist()]) < 0.003


def test_one_of_many_groups_seldom_differs_by_more_than_chance() -> None:
    nights, groups, reviews = 400, 300, 60
    counts = np.random.default_rng(0).binomial(reviews, 0.3, (nights, groups, 2)).tolist()

    def alarms(pairs: int) -> int:
        return sum(any(not is_chance(a, reviews, b, reviews, pairs) for a, b in night) for night in counts)

    assert alarms(groups) <= 2  # 0.4 are expected
    assert alarms(1) > 60  # so many if each group were looked at as if it were the only one


def test_limits_can_be_changed_and_taken_away(before: str, tmp_path: Path) -> None:
    run = later(tmp_path, TROUBLES["positive"])

    assert {"positive"} == broken(check(Question(run, (before,))))
    assert set() == broken(check(Question(run, (before,), ("positive=0.9",))))
    off = check(Question(run, (before,), ("positive=off",)))
    assert set() == broken(off) and None in {m.limit for m in off.measures if m.name == "positive"}
    assert {"positive", "volume"} == broken(check(Question(run, (before,), ("volume=1.05",))))


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("postive=0.1", "names no measure"),
        ("positive", "needs a measure and its limit"),
        ("positive=", "a limit that is not one"),
        ("positive=much", "a limit that is not one"),
        ("positive=nan", "a limit that is not one"),
        ("positive=-1", "a limit that is not one"),
    ],
)
def test_limit_that_is_none_is_refused(option: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        read_limits([option])


def test_folder_of_runs_gives_the_latest_before_the_run_and_says_which_do_not_count(tmp_path: Path) -> None:
    for day in range(4):
        output = tmp_path / "nights" / str(day)
        write_run(output, 60, seed=day, keep=KEEP, run_id=f"night {day}")
        edit(output / "manifest.json", started=f"2024-05-0{day + 1}T10:00:00+00:00")
    (tmp_path / "nights/1/_SUCCESS").unlink()
    (tmp_path / "nights/notes").mkdir()

    checked = check(Question(str(tmp_path / "nights/2"), (str(tmp_path / "nights"),)))

    assert ("night 0",) == checked.references
    assert [f"{tmp_path / 'nights/1'} is not a success (it has no _SUCCESS), so it does not count"] == [*checked.notes]


def test_first_night_is_checked_by_itself_and_says_so(tmp_path: Path) -> None:
    write_run(tmp_path / "nights/0", 60, run_id="night 0")

    checked = check(Question(str(tmp_path / "nights/0"), (str(tmp_path / "nights"),)))

    assert "no earlier run" == checked.against
    assert {"rejected", "unreadable", "repeated"} == {measure.name for measure in checked.measures}
    assert f"no run in {tmp_path / 'nights'} is older than this one" == checked.notes[0]


def test_earlier_runs_of_another_model_are_noted(before: str, tmp_path: Path) -> None:
    checked = check(Question(later(tmp_path, model_id="ba9876543210"), (before,)))

    assert ("some earlier runs are of another model (0123456789ab), which changes scores",) == checked.notes


def test_kept_columns_may_have_the_names_that_a_query_uses(tmp_path: Path) -> None:
    outputs = []
    for seed, few in enumerate([90, 30]):
        output = tmp_path / str(seed)
        shop = ["a"] * few + ["b"] * (150 - few)
        others = {
            name: [f"{name} {i}" for i in range(150)] for name in (*"gkmnpqwx", "label", "value", "reviews", 'a"b')
        }
        write_run(output, 150, seed=seed, run_id=str(seed), keep=("truth",), kept={"shop": shop, **others})
        outputs.append(str(output))

    checked = check(Question(outputs[1], (outputs[0],), group_by=("shop",), label_column="truth"))

    sentences = {measure.name: measure.sentence for measure in checked.measures}
    assert {"words", "errors", "calibration", "nulls"} < sentences.keys()
    assert sentences["groups"].endswith("b has 80.0% of the reviews, 40.0% before")


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"group_by": ("shop",)}, "no kept column 'shop'"),
        ({"label_column": "stars"}, "no kept column 'stars'"),
        ({"positive_value": ("5",)}, "no column has any"),
    ],
)
def test_option_that_does_not_go_with_the_run_is_refused(question: dict[str, Any], said: str, before: str) -> None:
    with pytest.raises(OptionError, match=said):
        check(Question(before, **question))


def test_run_is_not_checked_against_itself_or_nothing(before: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="against itself"):
        check(Question(before, (before,)))
    with pytest.raises(RefusedError, match="there is no run"):
        check(Question(str(tmp_path)))


@pytest.mark.parametrize("place", ["nihgts", "nights/*", "file.parquet"])
def test_reference_that_is_neither_run_nor_folder_is_refused(place: str, before: str, tmp_path: Path) -> None:
    (tmp_path / "nights").mkdir()
    (tmp_path / "file.parquet").write_bytes(b"")
    with pytest.raises(RefusedError, match="there is no run"):
        check(Question(before, (str(tmp_path / place),)))


def test_columns_that_both_runs_have_are_measured(before: str, tmp_path: Path) -> None:
    def add(table: pa.Table, decided: bool) -> pa.Table:
        values = pa.array([decided or i % 2 == 0 for i in range(len(table))])
        return table.append_column("decided", values)

    outputs = []
    for name, decided in (("a", True), ("b", False)):
        output = tmp_path / name
        write_run(output, 300, seed=4, run_id=name)
        part = output / "predictions/part-00000.parquet"
        pq.write_table(add(pq.read_table(part), decided), part)
        seal(output)
        columns = [*pq.read_schema(part).names]
        edit(output / "manifest.json", columns=columns, started=f"2024-05-0{len(outputs) + 1}T10:00:00+00:00")
        outputs.append(str(output))

    checked = check(Question(outputs[1], (outputs[0],)))

    assert ["undecided"] == [measure.name for measure in checked.broken]
    assert 0.5 == checked.broken[0].value


def command(*words: object) -> Result:
    return CliRunner().invoke(main, ["check", *(str(word) for word in words)])


def test_command_exits_with_4_and_shows_what_is_broken_first(before: str, tmp_path: Path) -> None:
    run = later(tmp_path, TROUBLES["positive"])

    shown = command(run, "--reference", before)
    assert 4 == shown.exit_code, shown.output
    verdict, _, first, *_ = shown.output.splitlines()
    assert verdict == "1 limit broken: run later against 1 earlier run"
    assert first.split()[:2] == ["broken", "positive"]

    quiet = command(run, "--reference", before, "--max", "positive=off")
    assert (0, True) == (quiet.exit_code, quiet.output.startswith("within all limits: run later"))


def test_command_prints_json_that_fits_its_schema(before: str, tmp_path: Path) -> None:
    result = command(later(tmp_path), "--reference", before, "--json")

    (line,) = result.stdout.splitlines()
    Draft202012Validator(documents()["check.json"]).validate(json.loads(line))
    assert documents()["check.json"]["properties"].keys() == json.loads(line).keys()
    assert {"ok": True, "exit_code": 0}.items() <= json.loads(line).items()


def test_quiet_night_passes_with_a_note(before: str, tmp_path: Path) -> None:
    run = later(tmp_path, lambda table: table.slice(0, 0))
    manifest = json.loads(Path(run, "manifest.json").read_text())
    edit(Path(run, "manifest.json"), counts={**manifest["counts"], "read": 0, "scored": 0})

    checked = check(Question(run, (before,)))

    assert (set(), ("the run scored nothing, so only what it read is checked",)) == (broken(checked), checked.notes)


def test_values_are_the_same_each_time(before: str, tmp_path: Path) -> None:
    question = Question(later(tmp_path), (before,), group_by=("product",), label_column="truth")

    assert check(question) == check(question)
