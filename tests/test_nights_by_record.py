"""`--after-by record`: files that are written again every night cost only their new and their changed records."""

from __future__ import annotations

import io
import json
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from batch_scorer.api.job_options import config_of
from batch_scorer.cli.main import main
from batch_scorer.config import ScoreConfig
from batch_scorer.errors import JobError, OptionError, RefusedError
from batch_scorer.planning.options import check_options
from batch_scorer.runners.job import plan_job
from batch_scorer.runs.earlier import open_all
from batch_scorer.runs.hashes import text_hashes
from batch_scorer.runs.record_index import RecordIndex
from batch_scorer.scoring import shard
from batch_scorer.storage.stores import client
from tests.conftest import WORDS
from tests.jobs import part_bytes, rows, score_here
from tests.stubs import gcs
from tests.test_nights import ids, newest, put

MakeConfig = Callable[..., ScoreConfig]
Night = Callable[..., dict[str, Any]]


@pytest.fixture
def nights(tmp_path: Path) -> Path:
    return tmp_path / "nights"


@pytest.fixture
def make(folder: Path, config: MakeConfig, nights: Path) -> MakeConfig:
    """The config of one night, after all nights before."""

    def of(name: str, **options: Any) -> ScoreConfig:
        usual = {"after": (str(nights),), "after_by": "record", "id_column": "id", "max_error_rate": 1.0}
        return config(folder, **{"output": str(nights / name), **usual, **options})

    return of


@pytest.fixture
def night(make: MakeConfig) -> Night:
    return lambda name, **options: score_here(make(name, **options))


def write(path: Path, lines: list[Any], second: int) -> None:
    """Writes any lines; `second` is when."""
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines), "utf-8")
    os.utime(path, (1_790_000_000 + second,) * 2)


def test_nights_over_one_export_have_the_rows_of_one_run_over_its_last_state(
    folder: Path, night: Night, nights: Path, config: MakeConfig, tmp_path: Path
) -> None:
    rng, order, state = random.Random(7), list[str](), dict[str, str]()
    known = dict[str, str]()  # the text of the newest row of each id

    def text() -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(1, 30)))

    for number in range(6):
        for _ in range(rng.randint(1, 12) if number else 40):
            state[f"r{len(known) + len(state)}"] = text()
        for key in rng.sample(sorted(state), 5 if number else 0):
            state[key] = text()
        if number == 3:
            for key in rng.sample(sorted(state), 3):
                del state[key]
        changed = {key for key in state if known.get(key) != state[key]}
        mixed = sorted(state, key=lambda key: rng.random())
        put(folder / "export.jsonl", {key: state[key] for key in mixed}, number)
        order.append(str(number))

        counts = night(str(number), shard_rows=30)["counts"]

        assert changed == {*ids(nights / str(number))}
        assert (len(changed), len(state) - len(changed)) == (counts["read"], counts["passed_over"])
        known |= state
    score_here(config(folder, output=str(tmp_path / "one"), id_column="id"))

    expected, seen = {row["record_id"]: row for row in rows(tmp_path / "one")}, newest(nights, order)
    assert expected.keys() == state.keys()
    for column in ("logit", "probability", "top_contributing", "rest_contribution"):
        assert {key: row[column] for key, row in expected.items()} == {key: seen[key][column] for key in expected}
    assert {key: row["text_hash"] for key, row in seen.items() if key in state} == {
        key: text_hashes([state[key]])[0] for key in state
    }


def test_text_that_was_changed_and_changed_back_is_scored_again(folder: Path, night: Night, nights: Path) -> None:
    for second, text in enumerate(["good", "bad", "good", "good "]):
        put(folder / "a.jsonl", {"1": text, "2": "plot"}, second)
        night(str(second))

    assert [["1", "2"], ["1"], ["1"], ["1"]] == [ids(nights / str(second)) for second in range(4)]


def test_file_that_is_as_it_was_is_not_opened(folder: Path, night: Night, nights: Path) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    put(folder / "b.jsonl", {"2": "good"}, 0)
    night("1")
    write(folder / "a.jsonl", ["x" * (os.path.getsize(folder / "a.jsonl") - 1)], 0)  # of the same size and date
    put(folder / "b.jsonl", {"2": "good", "3": "bad"}, 1)

    manifest = night("2")

    assert ["3"] == ids(nights / "2")
    size = os.path.getsize(folder / "a.jsonl")
    assert {"files": 1, "bytes": size, "records": 1} == manifest["passed_over"]
    counts = {"read": 1, "scored": 1, "rejected": 0, "unreadable": 0, "empty": 0, "passed_over": 1}
    assert ("record", counts) == (manifest["after_by"], manifest["counts"])
    assert "passed over 1 record that earlier runs have read, with the same id and text" in manifest["notices"]


def test_record_that_has_moved_to_another_file_is_passed_over(folder: Path, night: Night, nights: Path) -> None:
    put(folder / "a.jsonl", {"1": "good", "2": "bad"}, 0)
    night("1")
    (folder / "a.jsonl").rename(folder / "b.jsonl")

    manifest = night("2")

    assert ([], 2) == (ids(nights / "2"), manifest["counts"]["passed_over"])
    assert "nothing was scored: the inputs have nothing new" == manifest["notices"][-1]
    assert (nights / "2/_SUCCESS").exists()
    assert "text_hash" in pq.read_schema(nights / "2/predictions/part-00000.parquet").names


def test_all_rows_of_an_id_in_its_newest_run_count(folder: Path, night: Night, nights: Path) -> None:
    twice = [{"id": "1", "text": "good"}, {"id": "1", "text": "bad"}, {"id": "2", "text": "plot"}]
    write(folder / "a.jsonl", twice, 0)
    night("1")
    write(folder / "a.jsonl", [*twice, {"id": "3", "text": "plot"}], 1)
    night("2")
    write(folder / "a.jsonl", [*twice, {"id": "1", "text": "new"}], 2)
    night("3")
    write(folder / "a.jsonl", twice, 3)
    night("4")

    assert [["1", "1", "2"], ["3"], ["1"], ["1", "1"]] == [ids(nights / name) for name in "1234"]


def test_record_without_an_id_is_known_by_its_place(folder: Path, night: Night, nights: Path) -> None:
    lines = [{"id": None, "text": "good"}, {"text": "bad"}]
    write(folder / "a.jsonl", lines, 0)
    night("1")
    write(folder / "a.jsonl", [*lines, {"text": "plot"}], 1)
    night("2")
    write(folder / "a.jsonl", [{"id": "1", "text": "good plot"}, *lines, {"text": "plot"}], 2)  # all others move on
    night("3")

    assert [2, 1, 4] == [len(ids(nights / name)) for name in "123"]


def test_ids_are_compared_as_text(folder: Path, night: Night, nights: Path) -> None:
    write(folder / "a.jsonl", [{"id": 7, "text": "good"}, {"id": "8", "text": "bad"}], 0)
    night("1")
    write(folder / "a.jsonl", [{"id": "7", "text": "good"}, {"id": 8, "text": "bad"}, {"id": 8.5, "text": "plot"}], 1)
    night("2")

    assert ["8.5"] == ids(nights / "2")


def test_record_that_was_rejected_is_listed_again_only_for_another_reason(
    folder: Path, night: Night, nights: Path
) -> None:
    bad: list[Any] = ["no json", {"id": "1", "text": " "}, {"id": "2"}, {"id": "3", "text": "x" * 300}]
    night_of = {"max_text_bytes": 200}
    write(folder / "a.jsonl", [*bad, {"id": "4", "text": "good"}], 0)
    first = night("1", **night_of)["counts"]
    bad[1] = {"id": "1", "text": "..."}  # has no word either
    bad[2] = {"id": "2", "text": 5}
    bad[3] = {"id": "3", "text": "good"}
    write(folder / "a.jsonl", [*bad, {"id": "4", "text": "good"}, {"id": "5", "text": "?"}], 1)
    second = night("2", **night_of)["counts"]
    codes = [[(row["record_id"], row["code"]) for row in rows(nights / name, "errors")] for name in "12"]

    expected = [(None, "malformed_json"), ("2", "missing_text"), ("3", "text_too_large"), ("1", "no_words")]
    assert expected == codes[0]
    assert [("2", "text_not_a_string"), ("5", "no_words")] == codes[1]
    assert (5, 1, 4, 0) == tuple(first[name] for name in ("read", "scored", "rejected", "passed_over"))
    # The line that is no JSON and 1 are among the first night's errors, 4 among its predictions.
    assert (3, 1, 2, 3) == tuple(second[name] for name in ("read", "scored", "rejected", "passed_over"))
    assert ["3"] == ids(nights / "2")


def test_record_that_was_scored_and_is_now_rejected_is_scored_once_it_is_back(
    folder: Path, night: Night, nights: Path
) -> None:
    for second, text in enumerate(["good", " ", "good"]):
        put(folder / "a.jsonl", {"1": text, "2": "bad"}, second)
        night(str(second), allow_empty=True)

    assert [["1", "2"], [], ["1"]] == [ids(nights / str(second)) for second in range(3)]


def test_damage_is_listed_every_night(folder: Path, night: Night, nights: Path) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    (folder / "b.parquet").write_bytes(b"damaged")
    for name in "12":
        night(name, allow_unreadable=True)

    assert [1, 1] == [len(rows(nights / name, "errors")) for name in "12"]


@pytest.mark.parametrize(
    ("options", "needs"),
    [
        ({"after": ()}, "--after"),
        ({"id_column": None}, "--id-column"),
        ({"no_text_hash": True}, "the hash of each text"),
    ],
)
def test_records_are_passed_over_only_with_all_that_takes(
    options: dict[str, Any], needs: str, make: MakeConfig
) -> None:
    with pytest.raises(OptionError, match=f"--after-by record needs {needs}"):
        check_options(make("1", **options))
    with pytest.raises(OptionError, match="--after-by has no such value"):
        check_options(make("1", after_by="line"))


def test_earlier_run_without_hashes_is_refused_with_a_way_on(folder: Path, night: Night, nights: Path) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    night("1", after_by="file", no_text_hash=True)

    with pytest.raises(RefusedError, match="no hashes of its texts") as refused:
        night("2")

    assert str(nights / "1") in str(refused.value) and "--no-text-hash" in str(refused.value)
    assert not (nights / "2").exists()


def test_night_that_is_refused_for_a_damaged_one_starts_once_that_is_gone(
    folder: Path, night: Night, nights: Path
) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    night("1")
    put(folder / "a.jsonl", {"1": "good", "2": "bad"}, 1)
    part = nights / "1/predictions/part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-20])

    with pytest.raises(RefusedError, match="the output of the run is damaged") as refused:
        night("2")
    (nights / "1").rename(nights.parent / "away")
    night("2")

    assert "move it away" in str(refused.value)
    assert ["1", "2"] == ids(nights / "2")


def test_nights_by_file_and_by_record_may_follow_each_other(folder: Path, night: Night, nights: Path) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    night("1", after_by="file")
    put(folder / "a.jsonl", {"1": "good", "2": "bad"}, 1)
    night("2")
    put(folder / "a.jsonl", {"1": "good", "2": "bad", "3": "plot"}, 2)
    night("3", after_by="file")
    put(folder / "b.jsonl", {"4": "film"}, 3)
    night("4", after_by="file", no_text_hash=True)

    assert [["1"], ["2"], ["1", "2", "3"], ["4"]] == [ids(nights / name) for name in "1234"]


def test_night_that_was_killed_goes_on_to_the_same_bytes_and_leaves_no_index(
    folder: Path, night: Night, nights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(9)
    texts = {f"r{i}": " ".join(rng.choices(WORDS, k=5)) for i in range(40)}
    put(folder / "a.jsonl", {key: texts[key] for key in [*texts][:20]}, 0)
    night("1")
    put(folder / "a.jsonl", {**texts, "r3": "good"}, 1)
    usual = {"after": (str(nights / "1"),), "shard_rows": 12, "run_id": "night"}
    night("2", **usual)
    done, score = list[int](), shard.score_shard

    def dies(given: Any, *args: Any) -> Any:
        done.append(given.index)
        if len(done) == 3:
            raise OSError("the machine dies")
        return score(given, *args)

    monkeypatch.setattr(shard, "score_shard", dies)
    with pytest.raises(JobError, match="the machine dies"):
        night("3", **usual)
    (index,) = (nights / "3/earlier").iterdir()
    before, again = index.read_bytes(), list[bytes]()
    index.unlink()  # as cleaning up might

    def scores(*args: Any) -> Any:
        again.append(index.read_bytes())
        return score(*args)

    monkeypatch.setattr(shard, "score_shard", scores)
    night("3", resume=True, **usual)

    assert 16 * 20 == len(before) and {before} == {*again}
    assert part_bytes(nights / "2") == part_bytes(nights / "3")
    assert not (nights / "3/earlier").exists() and not (nights / "2/earlier").exists()
    assert (nights / "3/_SUCCESS").exists()


def test_resumed_night_is_refused_where_the_earlier_runs_are_others(folder: Path, night: Night, nights: Path) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    night("1")
    put(folder / "a.jsonl", {"1": "good", "2": "bad"}, 1)
    night("2", after=(str(nights / "1"),))
    night("3", after=(str(nights / "1"),), run_id="3")

    with pytest.raises(RefusedError, match="what --after names was"):
        night("3", after=(str(nights / "2"),), run_id="3", resume=True)


def test_dry_run_writes_no_index_and_a_quiet_night_needs_none(
    folder: Path, night: Night, nights: Path, make: MakeConfig
) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    night("1")
    (nights / "1/predictions/part-00000.parquet").unlink()  # whoever reads it fails
    night("2", after=(str(nights / "1"),))
    put(folder / "a.jsonl", {"1": "good", "2": "bad"}, 1)

    assert 1 == plan_job(make("3")).plan.earlier_records["rows"]  # type: ignore[index]
    assert not (nights / "3").exists()
    with pytest.raises(RefusedError, match="damaged"):
        night("3")


def test_run_that_began_without_hashes_goes_on_without_them(folder: Path, config: MakeConfig, tmp_path: Path) -> None:
    put(folder / "a.jsonl", {"1": "Good.", "2": " bad\n"}, 0)
    output = str(tmp_path / "out")
    score_here(config(folder, output=output, id_column="id", no_text_hash=True))
    before = part_bytes(tmp_path / "out")
    for made in (*(tmp_path / "out/predictions").iterdir(), tmp_path / "out/_SUCCESS"):
        made.unlink()

    score_here(config(folder, output=output, id_column="id", resume=True))

    assert before == part_bytes(tmp_path / "out")


def test_nights_in_a_store_pass_over_the_same_records(
    folder: Path, night: Night, nights: Path, config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = [{"1": "good", "2": "bad"}, {"1": "good plot", "2": "bad", "3": "film"}]
    indices = list[bytes]()
    client._client.cache_clear()  # of the server of another test
    with gcs.serving("bucket") as store:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
        opened = RecordIndex.open

        def opens(plan: Any, output: str, *more: Any) -> Any:
            names = store.names("bucket", "nights/1/earlier/") if "://" in output else []
            indices.extend(store.read("bucket", name) for name in names)
            return opened(plan, output, *more)

        monkeypatch.setattr(RecordIndex, "open", staticmethod(opens))
        for second, state in enumerate(states):
            put(folder / "a.jsonl", state, second)
            night(str(second))
            store.put("bucket", "in/a.jsonl", (folder / "a.jsonl").read_bytes())
            usual = {"after": ("gs://bucket/nights",), "after_by": "record", "id_column": "id"}
            score_here(config("gs://bucket/in", output=f"gs://bucket/nights/{second}", **usual))
        assert [32] == [*map(len, indices)]
        assert [] == store.names("bucket", "nights/1/earlier")
        found, notices = open_all(["gs://bucket/nights"])
        assert (["gs://bucket/nights/0", "gs://bucket/nights/1"], []) == ([run.output for run in found], notices)
        part = store.read("bucket", "nights/1/predictions/part-00000.parquet")

    there = pq.read_table(io.BytesIO(part)).select(["record_id", "logit", "text_hash"])
    here = pq.read_table(nights / "1/predictions/part-00000.parquet").select(["record_id", "logit", "text_hash"])
    assert ["1", "3"] == there["record_id"].to_pylist() and there.equals(here)


def test_hash_is_a_column_of_its_own_and_runs_without_it_are_as_they_were(
    folder: Path, config: MakeConfig, tmp_path: Path
) -> None:
    put(folder / "a.jsonl", {"1": "Good.", "2": " bad\n"}, 0)
    made = {}
    for name, without in {"none": True, "with": False}.items():
        made[name] = score_here(config(folder, output=str(tmp_path / name), id_column="id", no_text_hash=without))

    assert text_hashes(["Good.", " bad\n"]).tolist() == [row["text_hash"] for row in rows(tmp_path / "with")]
    table, plain = (pq.read_table(tmp_path / name / "predictions/part-00000.parquet") for name in ("with", "none"))
    assert [*plain.column_names[:-2], "text_hash", "model_id", "run_id"] == table.column_names
    assert (b"5", b"1") == (table.schema.metadata[b"schema_version"], plain.schema.metadata[b"schema_version"])
    assert plain.drop(["run_id"]).equals(table.drop(["run_id", "text_hash"]))
    plan = json.loads((tmp_path / "none/plan.json").read_text())
    new = {"text_hash", "after_by", "earlier_records", "passed_over"}
    assert not new & {*plan, *made["none"], *made["none"]["counts"]}
    assert [True, 5] == [
        json.loads((tmp_path / "with/plan.json").read_text())["text_hash"], made["with"]["schema_version"]
    ]  # fmt: skip


def test_command_and_python_go_by_record(folder: Path, tiny_model: Path, nights: Path) -> None:
    put(folder / "a.jsonl", {"1": "good"}, 0)
    words = ["score", folder, "--model", tiny_model, "--id-column", "id", "--after", nights, "--after-by", "record"]

    def command(*more: object) -> Mapping[str, Any]:
        done = CliRunner().invoke(main, [str(word) for word in [*words, *more]])
        return {"code": done.exit_code, "said": done.output}

    assert 0 == command("--output", nights / "1")["code"]
    put(folder / "a.jsonl", {"1": "good", "2": "bad"}, 1)
    second = command("--output", nights / "2")
    assert (0, True) == (second["code"], "0 unreadable, 1 record passed over" in second["said"]), second["said"]
    inspected = CliRunner().invoke(main, ["inspect", str(nights / "2")]).output
    assert "0 files and, of other files, 1 record, which 1 earlier run had read" in " ".join(inspected.split())
    refused = command("--output", nights / "3", "--no-text-hash")
    assert (2, True) == (refused["code"], "leave --no-text-hash out" in refused["said"])

    config = config_of(folder, "o", {"keep": (), "after": "n", "after_by": "record", "id_column": "id"})
    assert "record" == config.input.after_by
    assert ("--after-by", "record") == config.messages.command[-4:-2]
