"""The benchmark of the engines: its records, its commands, what it compares, and the table that it writes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import EngineError, JobError
from benchmarks.engines import corpus, rates
from benchmarks.engines.rates import Turn, measure, table
from benchmarks.engines.run import (
    LOCAL,
    STORE,
    Result,
    Settings,
    between,
    compare,
    document,
    from_json,
    look,
    page,
    to_json,
)
from benchmarks.engines.ways import WAYS, cluster
from benchmarks.job.processes import Peak, Ran
from benchmarks.job.reviews import Source
from benchmarks.job.servers import free_ports
from scripts.engine_versions import ENGINES
from tests.jobs import part_bytes, rows, score_here

COUNTS = {"read": 8, "scored": 7, "rejected": 1, "unreadable": 0}
PARTS = {"predictions/part-00000.parquet": "a" * 64, "errors/part-00000.parquet": "b" * 64}
SETTINGS = Settings(Source("reviews.parquet"), "model", 8, None, list(WAYS))
ONE, TWO = list(WAYS)[:2]


def result(way: str = ONE, place: str = LOCAL, **change: object) -> Result:
    return dataclasses.replace(Result(way, place, 2.0, COUNTS, PARTS), **change)  # type: ignore[arg-type]


def test_records_are_the_reviews_with_bad_ones_among_them_in_both_formats(tmp_path: Path, tiny_model: Path) -> None:
    texts = [f"good film {i}" for i in range(300)]  # too few: they are repeated
    pq.write_table(pa.table({"text": texts}), tmp_path / "few.parquet")
    paths = corpus.write(Source(str(tmp_path / "few.parquet")), 400, tmp_path)
    assert ["reviews.parquet", *(f"reviews-{number}.csv.gz" for number in range(8))] == [path.name for path in paths]
    assert 200 == pq.ParquetFile(paths[0]).metadata.num_rows
    given = {"id_column": "id", "run_id": "engines", "max_error_rate": 0.05, "workers": 1, "model": str(tiny_model)}
    output = tmp_path / "out"
    manifest = score_here(ScoreConfig.of([str(path) for path in paths], str(output), **given))  # type: ignore[arg-type]
    bad = 400 // corpus.BAD_ONE_IN
    assert (400, 400 - bad, bad) == tuple(manifest["counts"][name] for name in ("read", "scored", "rejected"))
    assert {"missing_text", "no_words"} >= {row["code"] for row in rows(output, "errors")}
    assert texts[: corpus.BAD_ONE_IN - 1] == pq.read_table(paths[0])["text"].to_pylist()[: corpus.BAD_ONE_IN - 1]
    assert len({row["record_id"] for row in rows(output)}) == 400 - bad

    found = look(WAYS[ONE], LOCAL, 1.0, str(output), ())
    assert {path: hashlib.sha256(data).hexdigest() for path, data in part_bytes(output).items()} == found.parts
    assert manifest["counts"] == found.counts


def test_command_of_each_way_finds_its_cluster_and_its_store() -> None:
    words, where, store = ["in", "--output", "out"], ("--cluster", "h:1"), ("--s3_endpoint_url=u",)
    assert ["in", "--output", "out", "--workers", "2", "--", *store] == WAYS[TWO].command(words, (), store)[4:]
    for way in WAYS.values():
        engine = way.name.split(",", maxsplit=1)[0].lower()
        command = way.command(words, where if way.cluster else (), ())
        assert "--" not in command
        if engine in ENGINES:
            assert engine == command[1]
            assert way.cluster in (None, engine)
            assert way.cluster is None or ["--cluster", "h:1", "in"] == command[2:5]


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (result(place=STORE, parts={**PARTS, "errors/part-00000.parquet": "c" * 64}), "1 different or missing of 2"),
        (result(place=STORE, parts={"predictions/part-00000.parquet": "a" * 64}), "1 different or missing of 1"),
        (result(place=STORE, parts={**PARTS, "predictions/part-00001.parquet": "c" * 64}), "0 different or missing of"),
        (result(place=STORE, counts={**COUNTS, "scored": 6}), "'scored': 6"),
    ],
)
def test_way_with_other_parts_or_counts_is_refused(other: Result, told: str) -> None:
    compare([result(), result(TWO)])
    with pytest.raises(EngineError) as refused:
        compare([result(), result(TWO), other])
    assert told in str(refused.value.got)
    assert f"{ONE}, {STORE}; compared with {ONE}, {LOCAL}" == refused.value.where


def test_results_are_kept_for_the_same_corpus_only() -> None:
    told = json.loads(json.dumps(to_json(SETTINGS.only(ONE), [result(), result(place=STORE)])))
    assert [result(), result(place=STORE)] == from_json(told, SETTINGS)
    with pytest.raises(EngineError, match="another corpus"):
        from_json(told, dataclasses.replace(SETTINGS, reviews=9))


def test_table_replaces_the_one_on_the_page_and_nothing_else() -> None:
    text = page().read_text(encoding="utf-8")
    names = [name for name in WAYS if "Spark" not in name]
    made = document(text, [result(name, place) for name in names for place in (LOCAL, STORE)], SETTINGS)
    begin, end = (text.index(remark) for remark in ("<!-- benchmarks.engines -->", "<!-- end -->"))
    assert made.startswith(text[:begin])
    assert made.endswith(text[end:])
    lines = [line for line in made[begin : made.index("<!-- end -->")].splitlines() if line.startswith("| ")]
    assert 1 + len(names) == len(lines)
    digest = result().digest[:12]
    assert f"| {ONE} |  | `{digest}` | `{digest}` |" in lines
    with pytest.raises(ValueError, match="no table to replace"):
        document("a page", [result()], SETTINGS)


def test_cluster_that_does_not_start_is_told_and_free_ports_follow_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCH_SCORER_ENGINES", str(tmp_path / "none"))
    monkeypatch.setenv("BATCH_SCORER_VENV", str(tmp_path / "venv"))
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").write_text("#!/bin/sh\necho 'no engines' >&2\nexit 2\n")
    (tmp_path / "venv/bin/python").chmod(0o755)
    (tmp_path / "venv/.installed").touch()
    with pytest.raises(JobError, match="a command failed") as told, cluster("flink", tmp_path / "logs"):
        pass
    assert "no engines" in str(told.value.got)
    assert 0 < free_ports(2) < 65_535


def test_rates_are_compared_within_a_round_and_written_into_the_page() -> None:
    def turn(way: str, number: int, rate: float, **peaks: list[float]) -> Turn:
        return Turn(way, number, rate, 4.0 + number, 20.0, {"driver": [300.0], "worker": [500.0, 400.0], **peaks})

    flink = "Flink, JobManager and two TaskManagers"
    turns = [turn(TWO, 0, 1_000.0), turn(flink, 0, 900.0, TaskManager=[700.0, 690.0], JobManager=[400.0])]
    turns += [turn(flink, 1, 500.0), turn(TWO, 1, 500.0)]  # a slower hour for both
    made = table(turns, 5_000)
    assert "5,000 reviews, two workers, 2 rounds" in made
    assert f"| {TWO} | 750 |  | 4.5 | 300 | 500 |  |\n" in made
    assert f"| {flink} | 700 | 0.95 (0.90 to 1.00) | 4.5 | 300 | 500 | JobManager 400; TaskManager 700 |\n" in made
    text = page().read_text(encoding="utf-8")
    assert 1 == between(text, "benchmarks.engines.rates", made).count(made)


def test_rate_is_that_of_the_additional_reviews_and_the_start_is_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(pa.table({"text": [f"good film {i}" for i in range(300)]}), tmp_path / "few.parquet")
    peaks = (Peak("driver", 300), Peak("worker", 400), Peak("worker", 500))
    commands: list[str] = []

    def runs(command: list[str], *_: object) -> Ran:
        (reviews,) = (Path(word) for word in command if word.endswith(".parquet"))
        commands.append(" ".join(command))
        return Ran(5.0 + pq.ParquetFile(reviews).metadata.num_rows / 250, peaks)

    monkeypatch.setattr(rates, "run_watched", runs)
    said: list[int] = []
    found = measure(
        Source(str(tmp_path / "few.parquet")),
        "model",
        1_000,
        2,
        [TWO, "Prism"],
        lambda so_far: said.append(len(so_far)),
    )
    assert [(0, TWO), (0, "Prism"), (1, "Prism"), (1, TWO)] == [(one.round, one.way) for one in found]
    for one in found:
        assert (250.0, 5.0, 9.0) == pytest.approx((one.rate, one.start_seconds, one.seconds))
    assert {"driver": [300], "worker": [500, 400]} == found[0].peaks
    assert [1, 2, 3, 4] == said
    assert 8 == len(commands)
