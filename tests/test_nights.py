"""`--after`: a folder that grows, scored every night, and what is read of it again."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from batch_scorer import open_run
from batch_scorer.api.job_options import config_of
from batch_scorer.cli.main import main
from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import OptionError, RefusedError
from batch_scorer.planning.options import check_options
from batch_scorer.report.build import build_findings
from batch_scorer.report.question import Question
from batch_scorer.runs.claim import claimed
from tests.conftest import WORDS
from tests.finished_runs import edit
from tests.jobs import rows, score_here

MakeConfig = Callable[..., ScoreConfig]
Night = Callable[..., dict[str, Any]]


def put(path: Path, texts: Mapping[str, str], second: int) -> None:
    """Writes reviews by their ids; `second` is when, since clocks of file systems are coarse."""
    path.write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in texts.items()), encoding="utf-8")
    os.utime(path, (1_790_000_000 + second,) * 2)


@pytest.fixture
def night(folder: Path, config: MakeConfig, tmp_path: Path) -> Night:
    """Scores the folder in one night, after all nights before."""

    def score(name: str, **options: Any) -> dict[str, Any]:
        nights = tmp_path / "nights"
        return score_here(
            config(folder, **{"output": str(nights / name), "after": (str(nights),), "id_column": "id", **options})
        )

    return score


def ids(output: Path) -> list[str]:
    return [row["record_id"] for row in rows(output)]


def newest(nights: Path, order: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The newest row of each id."""
    return {row["record_id"]: row for name in order for row in rows(nights / name)}


def test_nights_over_a_folder_that_grows_have_the_rows_of_one_run_over_its_last_state(
    folder: Path, night: Night, config: MakeConfig, tmp_path: Path
) -> None:
    rng, nights, state, order = random.Random(5), tmp_path / "nights", dict[str, dict[str, str]](), list[str]()

    def text() -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(1, 30)))

    for number in range(9):
        for _ in range(rng.randint(0, 3) if number else 4):
            name = f"{len(state):03d}.jsonl"
            state[name] = {f"{name}-{i}": text() for i in range(rng.randint(1, 5))}
            put(folder / name, state[name], number)
        if number == 5:  # a tenth new, and something else
            name = "001.jsonl"
            state[name] = {**dict.fromkeys(state[name], text()), "new": text()}
            put(folder / name, state[name], number)
        if number == 7:
            (folder / "002.jsonl").unlink()
            del state["002.jsonl"]
        before = {path for path, stamp in _stamps(folder).items() if stamp[1] < 1_790_000_000 + number}
        name = f"night-{number:02d}"
        manifest = night(name)
        order.append(name)
        assert len(before) == manifest.get("passed_over", {"files": 0})["files"]
        assert manifest["counts"]["read"] == sum(len(texts) for file, texts in state.items() if file not in before)
        if number == 3:  # killed at its end
            for file in ("_SUCCESS", "manifest.json"):
                (nights / name / file).unlink()
            order.pop()
            again = night("night-03-again")
            order.append("night-03-again")
            assert any("night-03 is not finished, so it does not count" in n for n in again["notices"])
            assert again["counts"]["read"] == manifest["counts"]["read"]

    score_here(config(folder, output=str(tmp_path / "one"), id_column="id"))
    seen = newest(nights, order)
    expected = {row["record_id"]: row for row in rows(tmp_path / "one")}
    assert expected.keys() == {i for texts in state.values() for i in texts}
    for name in ("logit", "probability", "top_contributing", "rest_contribution"):
        assert {i: row[name] for i, row in expected.items()} == {i: seen[i][name] for i in expected}
    assert len(rows(nights / order[-1])) < len(expected) / 2


def _stamps(folder: Path) -> dict[str, tuple[int, float]]:
    return {path.name: (path.stat().st_size, path.stat().st_mtime) for path in folder.iterdir()}


@pytest.mark.parametrize("change", ["size", "date", "name", "none"])
def test_file_is_read_again_where_its_size_date_or_name_has_changed(
    change: str, folder: Path, night: Night, tmp_path: Path
) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    put(folder / "b.jsonl", {"2": "bad"}, 0)
    night("1")
    if change == "size":
        put(folder / "a.jsonl", {"1": "good plot"}, 0)
    elif change == "date":
        os.utime(folder / "a.jsonl", (1_790_000_007,) * 2)
    elif change == "name":
        (folder / "a.jsonl").rename(folder / "c.jsonl")

    manifest = night("2")

    assert ids(tmp_path / "nights/2") == ([] if change == "none" else ["1"])
    files = 2 if change == "none" else 1
    size = sum(path.stat().st_size for path in folder.iterdir() if path.name == "b.jsonl" or change == "none")
    assert {"files": files, "bytes": size} == manifest["passed_over"] == manifest["inputs"][0]["passed_over"]
    assert [{"output": str(tmp_path / "nights/1"), "run_id": manifest["after"][0]["run_id"]}] == manifest["after"]
    were = f"passed over {files} file{'s' * (files > 1)} that earlier runs have read, unchanged since"
    assert f"{folder}: {were}" in manifest["notices"]


@pytest.mark.parametrize("given", ["relative", "dotted", "link", "link to a file"])
def test_file_is_passed_over_where_it_is_given_by_another_path(
    given: str, folder: Path, night: Night, config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    night("1")
    put(folder / "b.jsonl", {"2": "bad"}, 0)
    monkeypatch.chdir(folder.parent)
    links = tmp_path / "links"
    links.mkdir()
    if given == "link":
        (links / "in").symlink_to(folder)
    for path in folder.iterdir() if given == "link to a file" else ():
        (links / path.name).symlink_to(path)
    paths = {"relative": folder.name, "dotted": f"./{folder.name}", "link": f"{links}/in", "link to a file": str(links)}

    nights = tmp_path / "nights"
    manifest = score_here(config(paths[given], output=str(nights / "2"), after=(str(nights),), id_column="id"))

    assert ["2"] == ids(tmp_path / "nights/2")
    assert 1 == manifest["passed_over"]["files"]


def test_pattern_that_nothing_has_expanded_is_refused(folder: Path, night: Night, tmp_path: Path) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    night("1")

    with pytest.raises(RefusedError, match="an earlier run is not a run"):
        night("2", after=(f"{tmp_path}/nights/*",))
    with pytest.raises(RefusedError, match="an earlier run is not a run"):
        night("2", after=(str(folder / "a.jsonl"),))


@pytest.mark.parametrize("damage", ["cut", "gone", "other fields", "errors"])
def test_earlier_run_that_is_damaged_is_refused_by_name(
    damage: str, folder: Path, night: Night, tmp_path: Path
) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    (folder / "b.jsonl.gz").write_bytes(b"not compressed")
    first = tmp_path / "nights/1"
    night("1", allow_unreadable=True)
    piece = first / "plan/00000.jsonl"
    if damage == "cut":
        piece.write_bytes(piece.read_bytes()[:20])
    elif damage == "gone":
        piece.unlink()
    elif damage == "other fields":
        piece.write_text(piece.read_text().replace('"stamps"', '"stamp"'))
    else:
        (first / "errors/part-00000.parquet").write_bytes(b"PAR1")

    with pytest.raises(RefusedError, match="the output of the run is damaged") as refused:
        night("2")

    assert str(first) in str(refused.value)
    assert "leave it out" in str(refused.value)
    assert not (tmp_path / "nights/2").exists()


def test_first_night_says_that_there_is_none_before(folder: Path, night: Night, tmp_path: Path) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)

    manifest = night("1")

    assert f"--after {tmp_path / 'nights'}: no finished run is in it, so nothing is passed over" in manifest["notices"]
    assert (1, False) == (manifest["counts"]["scored"], "after" in manifest)


def test_quiet_night_succeeds_and_says_that_nothing_is_new(folder: Path, night: Night, tmp_path: Path) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    night("1")

    manifest = night("2")

    assert "nothing was scored: the inputs have nothing new" == manifest["notices"][-1]
    assert (tmp_path / "nights/2/_SUCCESS").exists() and manifest["not_a_success"] is None
    assert 0 == pq.read_table(tmp_path / "nights/2/predictions/part-00000.parquet").num_rows


def test_quiet_night_with_a_kept_column_succeeds(folder: Path, night: Night, tmp_path: Path) -> None:
    (folder / "a.csv").write_text("id,text,stars\n1,good,5\n")
    keep = (Kept("stars", "stars"),)
    night("1", kept=keep)

    night("2", kept=keep)
    (folder / "b.csv").write_text("id,text,stars\n2,bad,half\n")
    night("3", kept=keep)  # of another type: nights may differ in that

    assert ["2"] == ids(tmp_path / "nights/3")


def test_file_that_could_not_be_read_to_the_end_is_read_again(folder: Path, night: Night, tmp_path: Path) -> None:
    table = pa.table({"id": ["1"], "text": ["good"]})
    pq.write_table(table, folder / "a.parquet")
    (folder / "b.parquet").write_bytes(b"damaged")
    night("1", allow_unreadable=True)

    night("2", allow_unreadable=True)
    assert [str(folder / "b.parquet")] == [row["source"] for row in rows(tmp_path / "nights/2", "errors")]
    pq.write_table(table, folder / "b.parquet")
    night("3")

    assert ([], ["1"]) == (ids(tmp_path / "nights/2"), ids(tmp_path / "nights/3"))


def test_newer_of_two_runs_decides_which_state_of_a_file_was_read(folder: Path, night: Night, tmp_path: Path) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    night("1")
    put(folder / "a.jsonl", {"1": "bad"}, 1)
    night("2")
    put(folder / "a.jsonl", {"1": "good"}, 0)  # restored: the newest row of its id is of the other text

    night("3")

    assert ["1"] == ids(tmp_path / "nights/3")


def test_newer_run_decides_where_it_was_given_the_file_by_another_path(
    folder: Path, night: Night, config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    usual = {"after": (str(tmp_path / "nights"),), "id_column": "id"}
    put(folder / "a.jsonl", {"1": "good"}, 0)
    night("1")
    put(folder / "a.jsonl", {"1": "bad"}, 1)
    score_here(config(f"./{folder.name}", output=str(tmp_path / "nights/2"), **usual))
    put(folder / "a.jsonl", {"1": "good"}, 0)

    assert 1 == night("3")["counts"]["scored"]
    assert 0 == score_here(config(folder.name, output=str(tmp_path / "nights/4"), **usual))["counts"]["scored"]


def test_run_that_is_given_by_two_paths_counts_once(folder: Path, night: Night, tmp_path: Path) -> None:
    nights = tmp_path / "nights"
    put(folder / "a.jsonl", {"1": "good"}, 0)
    night("1")
    (nights / "latest").symlink_to("1")

    manifest = night("2", after=(str(nights), str(nights / "latest"), str(nights / "../nights/1")))

    assert [str(nights / "1")] == [run["output"] for run in manifest["after"]]


def test_finished_run_is_no_newer_for_being_resumed(folder: Path, night: Night, tmp_path: Path) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    first = night("1", after=())
    (tmp_path / "nights/1/predictions/part-00000.parquet").unlink()

    resumed = night("1", after=(), resume=True)

    assert first["started"] == resumed["started"]
    assert ["1"] == ids(tmp_path / "nights/1")


def test_table_of_nights_says_that_reviews_share_ids(folder: Path, night: Night, tmp_path: Path) -> None:
    nights, said = str(tmp_path / "nights"), "several reviews have the same id in"
    for number in (1, 2):
        put(folder / f"{number}.jsonl", {"1": "good"}, 0)
        put(folder / f"{number}b.jsonl", {"1": "bad"}, 0)
        manifest = night(str(number))
    more = "one table of all nights has only the rows of an id's newest night"
    assert any(more in notice for notice in manifest["notices"])

    asked = [CliRunner().invoke(main, ["sql", *words]).stderr for words in ([nights, "--newest"], [nights])]
    page = build_findings(Question(nights))

    assert [True, False] == [said in words for words in asked]
    assert 2 == page.scored and any(said in notice for notice in page.notices)


def test_run_goes_on_from_several_that_are_named(folder: Path, night: Night, tmp_path: Path) -> None:
    for number in range(3):
        put(folder / f"{number}.jsonl", {str(number): "good"}, number)
        night(str(number))
    put(folder / "3.jsonl", {"3": "bad"}, 3)

    night("3", after=(str(tmp_path / "nights/0"), str(tmp_path / "nights/2")))

    # What 1 has read is not known to this run: 2 passed over it.
    assert ["1", "3"] == ids(tmp_path / "nights/3")


def test_resumed_night_passes_over_what_it_did_before(folder: Path, night: Night, tmp_path: Path) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    night("1")
    put(folder / "b.jsonl", {"2": "bad"}, 1)
    night("2")
    part = tmp_path / "nights/2/predictions/part-00000.parquet"
    before = part.read_bytes()
    (tmp_path / "nights/2/_SUCCESS").unlink()
    part.unlink()

    night("2", resume=True)

    assert before == part.read_bytes()


@pytest.mark.parametrize("state", ["not finished", "not a success", "limited", "not a run"])
def test_run_that_cannot_be_gone_on_from_is_refused_where_named_and_skipped_in_a_folder(
    state: str, folder: Path, night: Night, tmp_path: Path
) -> None:
    put(folder / "a.jsonl", {"1": "good", "2": " "}, 0)
    first = tmp_path / "nights/1"
    night("1", limit=1 if state == "limited" else None)
    expected = {
        "not finished": "is not finished",
        "not a success": "is not a success",
        "limited": "read only the first records",
        "not a run": "is not a run",
    }
    if state in ("not finished", "not a success"):
        (first / "_SUCCESS").unlink()
    if state == "not finished":
        (first / "manifest.json").unlink()
    if state == "not a run":
        shutil.rmtree(first)
        first.write_text("")
    with pytest.raises(RefusedError, match=f"an earlier run {expected[state]}"):
        night("2", after=(str(first),))
    assert not (tmp_path / "nights/2").exists()

    manifest = night("2")

    assert ["1"] == ids(tmp_path / "nights/2")
    told = any(f"{first} {expected[state]}" in notice for notice in manifest["notices"])
    assert told == (state in ("not finished", "not a success", "limited"))


def test_run_that_is_still_going_on_is_refused(folder: Path, night: Night, tmp_path: Path) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    night("1")
    for name in ("_SUCCESS", "manifest.json"):
        (tmp_path / "nights/1" / name).unlink()

    with claimed(str(tmp_path / "nights/1")), pytest.raises(RefusedError, match="still running"):
        night("2")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"top_k": 3}, "--top-k was 10 and is now 3"),
        ({"text_column": "id"}, "--text-column was 'text' and is now 'id'"),
        ({"id_column": None}, "--id-column was 'id' and is now None"),
        ({"kept": (Kept("id", "key"),)}, "--keep was"),
        ({"encoding": "latin-1"}, "--encoding was 'utf-8' and is now 'latin-1'"),
    ],
)
def test_run_with_other_options_is_refused_and_says_which(
    option: dict[str, Any], said: str, folder: Path, night: Night, tmp_path: Path
) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    night("1")
    put(folder / "b.jsonl", {"2": "bad"}, 1)

    with pytest.raises(RefusedError, match="another model or had other options") as error:
        night("2", **option)

    assert said in str(error.value)
    assert not (tmp_path / "nights/2").exists()


def test_run_of_another_model_is_refused(folder: Path, night: Night, tiny_model_2: Path) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    night("1")

    with pytest.raises(RefusedError, match="the model was"):
        night("2", model=str(tiny_model_2))


def test_run_with_other_shards_or_excerpts_is_gone_on_from(folder: Path, night: Night, tmp_path: Path) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    night("1", shard_rows=5)
    edit(tmp_path / "nights/1/plan.json", excerpts=False)

    assert 1 == night("2")["passed_over"]["files"]


def test_run_does_not_come_after_itself(folder: Path, config: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="after itself"):
        check_options(config(folder, after=(str(tmp_path / "out"),)))


def test_run_without_after_has_the_plan_that_it_had(folder: Path, night: Night, tmp_path: Path) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)

    manifest = night("1", after=())

    plan = json.loads((tmp_path / "nights/1/plan.json").read_text())
    assert not {"after", "passed_over"} & {*plan, *manifest, *manifest["inputs"][0]}


def test_command_and_python_take_earlier_runs(folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    words = ["score", folder, "--model", tiny_model, "--after", tmp_path / "nights", "--output"]
    for name in ("1", "2"):
        done = CliRunner().invoke(main, [str(word) for word in [*words, tmp_path / "nights" / name]])
        assert 0 == done.exit_code, done.output
    assert "passed over 1 file that earlier runs have read" in done.output

    one, several = (config_of(folder, tmp_path / "o", {"keep": (), "after": a}) for a in (tmp_path, [tmp_path, "b"]))
    assert ((str(tmp_path),), (str(tmp_path), "b")) == (one.input.after, several.input.after)
    assert ("--after", "b") == several.messages.command[-2:]


def test_folder_of_nights_is_one_table_of_the_newest_rows(
    folder: Path, night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = tmp_path / "nights"
    put(folder / "a.jsonl", {"1": "good", "2": "bad"}, 0)
    night("1")
    (nights / "latest").symlink_to("1")
    put(folder / "a.jsonl", {"1": "good plot", "3": "bad"}, 1)
    night("2")
    night("3")
    (nights / "3/manifest.json").unlink()

    def table(*words: object) -> list[tuple[str, ...]]:
        done = CliRunner().invoke(main, ["sql", *map(str, words)])
        assert 0 == done.exit_code, done.output
        db = duckdb.connect()
        db.execute(done.stdout)
        assert ("3 is not finished, so it does not count" in done.stderr) == (words[0] in (nights, "nights"))
        return db.sql("select record_id, split_part(output, '/', -1) from predictions join runs using (run_id) order by"
                      " all").fetchall()  # fmt: skip

    every, newest = [("1", "1"), ("1", "2"), ("2", "1"), ("3", "2")], [("1", "2"), ("2", "1"), ("3", "2")]
    assert (every, newest) == (table(nights), table(nights, "--newest"))
    assert newest == table(nights / "2", nights / "latest", nights / "1", "--newest")
    monkeypatch.chdir(tmp_path)  # where whoever has just set the nights up is
    assert newest == table("nights", "--newest")
    runs = [open_run(nights / name) for name in "21"]
    for options, expected in (({}, every), ({"newest": True}, newest)):
        found = runs[0].to_duckdb(duckdb.connect(), others=runs[1:], **options).sql("select record_id from predictions")
        assert sorted(key for key, _ in expected) == sorted(key for (key,) in found.fetchall())
    refused = CliRunner().invoke(main, ["sql", str(folder)])
    assert (2, True) == (refused.exit_code, "there is no run" in refused.output)
