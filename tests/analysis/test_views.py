"""The SQL views of finished runs, as DuckDB sees them: the rows of the parts, whatever paths and columns are called."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from click.testing import CliRunner

from batch_scorer.analysis.quoting import literal
from batch_scorer.analysis.views import statements
from batch_scorer.cli.main import main
from batch_scorer.errors import OptionError
from batch_scorer.runs.finished import open_run
from tests.conftest import REVIEWS
from tests.finished_runs import Original, edit, without
from tests.jobs import rows

Connection = duckdb.DuckDBPyConnection


def views(*outputs: str, prefix: str = "") -> Connection:
    connection = duckdb.connect()
    for statement in statements([open_run(output) for output in outputs], prefix):
        connection.execute(statement)
    return connection


def dicts(connection: Connection, query: str) -> list[dict[str, Any]]:
    result = connection.execute(query)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def columns(connection: Connection, view: str) -> dict[str, str]:
    return {row["column_name"]: row["column_type"] for row in dicts(connection, f"describe {view}")}


def test_predictions_and_errors_have_the_rows_of_the_parts(original: Original) -> None:
    db = views(str(original.output))
    assert rows(original.output) == dicts(db, "from predictions")
    run_id = open_run(str(original.output)).manifest["run_id"]
    assert [{"run_id": run_id, **row} for row in rows(original.output, "errors")] == dicts(db, "from errors")


def test_tokens_have_the_words_of_both_lists_once_each_with_their_ranks(original: Original) -> None:
    expected = {}
    for row in rows(original.output):
        for rank_name, words in (
            ("attended_rank", row["top_attended"]),
            ("contributing_rank", row["top_contributing"]),
        ):
            for rank, word in enumerate(words, 1):
                ranks = expected.setdefault(
                    (row["record_id"], word["position"]), {**word, "record_id": row["record_id"]}
                )
                ranks[rank_name] = rank
    names = (*next(iter(rows(original.output)))["top_attended"][0], "record_id", "contributing_rank", "attended_rank")
    tokens = dicts(views(str(original.output)), f"select {', '.join(names)} from tokens")
    assert [{name: word.get(name) for name in names} for word in expected.values()] == sorted(
        tokens, key=lambda word: list(expected).index((word["record_id"], word["position"]))
    )
    assert any(word["attended_rank"] is None for word in tokens)
    assert any(word["contributing_rank"] is None for word in tokens)


def test_tokens_keep_a_review_without_listed_words(original: Original, tmp_path: Path) -> None:
    def none_listed(table: pa.Table) -> pa.Table:
        for name in ("top_attended", "top_contributing"):
            field = table.field(name)
            table = table.set_column(
                table.schema.get_field_index(name), field, pa.array([[]] * len(table), type=field.type)
            )
        return table

    db = views(original.copy(tmp_path / "run", "none", change=none_listed))
    tokens = dicts(db, "select record_id, probability is null as lost, token, contributing_rank from tokens")
    assert [{"record_id": i, "lost": False, "token": None, "contributing_rank": None} for i, _ in REVIEWS] == tokens


def test_tokens_need_no_join_and_no_sort(original: Original) -> None:
    ((_, plan),) = views(str(original.output)).execute("explain select token, contribution from tokens").fetchall()
    assert "UNNEST" in plan.upper()
    assert [] == [word for word in ("JOIN", "WINDOW", "ORDER", "AGGREGATE") if word in plan.upper()]


def test_words_and_rest_add_up_to_the_logit_in_the_views(original: Original) -> None:
    ((difference,),) = (
        views(str(original.output))
        .execute("""
        select max(abs(bias + words + rest_contribution - p.logit))
        from predictions p join runs using (run_id) join (
            select record_id, sum(contribution) as words from tokens where contributing_rank is not null group by 1
        ) using (record_id)""")
        .fetchall()
    )
    assert difference < 1e-5


def test_runs_have_what_scores_are_computed_from(original: Original) -> None:
    manifest = open_run(str(original.output)).manifest
    ((*run,),) = (
        views(str(original.output))
        .execute("select run_id, bias, temperature, threshold, read, rejected, complete, typeof(finished) from runs")
        .fetchall()
    )
    numbers = (manifest["bias"], manifest["temperature"], manifest["threshold"])
    assert [manifest["run_id"], *numbers, 7, 1, True, "TIMESTAMP"] == run


@pytest.mark.parametrize("kind", ["predictions", "errors"])
def test_view_of_a_run_without_such_parts_is_empty_and_has_the_same_columns(
    kind: str, original: Original, tmp_path: Path
) -> None:
    kept = {"shop": pa.scalar("a")}
    full = original.copy(tmp_path / "full", "full", kept)
    empty = without(original.copy(tmp_path / "empty", "empty", kept), kind)
    for view in ("predictions", "tokens") if kind == "predictions" else ("errors",):
        assert [] == dicts(views(empty), f"from {view}")
        assert columns(views(full), view) == columns(views(empty), view)
    both = views(empty, full)
    assert dicts(views(full), f"from {kind}") == dicts(both, f"from {kind}")
    assert 2 == len(dicts(both, "from runs"))


def test_several_runs_are_one_table_with_null_in_columns_that_one_lacks(original: Original, tmp_path: Path) -> None:
    db = views(
        original.copy(tmp_path / "a", "a", {"stars": pa.scalar(5, pa.int32())}),
        original.copy(tmp_path / "b", "b", {"shop": pa.scalar("x")}),
        prefix="all ",
    )
    counts = dicts(
        db,
        "select run_id, count(*) as n, count(stars) as s, count(shop) as p"
        ' from "all predictions" group by 1 order by 1',
    )
    assert [{"run_id": "a", "n": 6, "s": 6, "p": 0}, {"run_id": "b", "n": 6, "s": 0, "p": 6}] == counts
    counts = dicts(
        db, 'select run_id, count(stars) > 6 as s, count(shop) > 6 as p from "all tokens" group by 1 order by 1'
    )
    assert [{"run_id": "a", "s": True, "p": False}, {"run_id": "b", "s": False, "p": True}] == counts
    assert ["a", "b"] == [row["run_id"] for row in dicts(db, 'from "all errors"')]


def test_newest_rows_of_an_id_are_those_of_the_run_that_was_started_last(original: Original, tmp_path: Path) -> None:
    def fewer(table: pa.Table) -> pa.Table:
        first = table.slice(0, 1)
        return pa.concat_tables([first, *([first.set_column(0, first.field(0), [["new"]])] * 2)])

    places = [original.copy(tmp_path / "b", "b"), original.copy(tmp_path / "a", "a", change=fewer)]
    empty = original.copy(tmp_path / "c", "c", change=lambda table: table.slice(0, 0))
    for number, place in enumerate(places):
        edit(Path(place, "manifest.json"), started=f"2026-01-0{number + 1}T00:00:00+00:00")
    runs = [open_run(place) for place in (*places, empty)]
    ids = [row["record_id"] for row in dicts(views(*places[:1]), "from predictions")]
    db = duckdb.connect()
    for statement in statements(runs[::-1], newest=True):
        db.execute(statement)

    newer = [(row["record_id"], "a") for row in rows(places[1])]
    expected = [*newer, *((key, "b") for key in ids if (key, "a") not in newer)]
    assert 6 == newer.count(("new", "a")) and 0 < len(expected) - len(newer) < len(ids)
    assert sorted(expected) == sorted(db.sql("select record_id, run_id from predictions").fetchall())
    assert {*expected} == {*db.sql("select record_id, run_id from tokens").fetchall()}
    assert columns(views(*places), "predictions") == columns(db, "predictions")
    assert [("a",), ("b",), ("c",)] == db.sql("select distinct run_id from errors order by 1").fetchall()
    assert statements(runs[:1], newest=True) == statements(runs[:1])


DAY = datetime.date(2024, 2, 29)


@pytest.mark.parametrize(
    ("one", "other", "kind", "values"),
    [
        (pa.scalar(7, pa.int8()), pa.scalar(70_000, pa.int32()), "INTEGER", [7, 70_000]),
        (pa.scalar(7), pa.scalar(2.5), "DOUBLE", [7.0, 2.5]),
        (pa.scalar(7), pa.scalar("7 of 10"), "VARCHAR", ["7", "7 of 10"]),
        (pa.scalar(7), pa.scalar(True), "VARCHAR", ["7", "true"]),
        (pa.scalar(7), pa.scalar(DAY), "VARCHAR", ["7", "2024-02-29"]),
        (pa.scalar("x"), pa.scalar([1, 2]), "VARCHAR", ["x", "[1, 2]"]),
        (pa.scalar({"a": 1}), pa.scalar({"b": "x"}), "VARCHAR", ["{'a': 1}", "{'b': x}"]),
        (pa.scalar(DAY), pa.scalar(DAY), "DATE", [DAY, DAY]),
    ],
    ids=["integers", "numbers", "number and text", "number and bool", "number and date", "list", "structs", "the same"],
)
def test_kept_column_of_two_types_gets_the_wider_number_or_text(
    one: pa.Scalar, other: pa.Scalar, kind: str, values: list[object], original: Original, tmp_path: Path
) -> None:
    db = views(
        original.copy(tmp_path / "a", "a", {"it": one}),
        original.copy(tmp_path / "b", "b", {"IT": other}),  # names in another case are one name
    )
    for view in ("predictions", "tokens"):
        assert kind == columns(db, view)["it"]
        by_run = db.execute(f"select any_value(it) from {view} group by run_id order by run_id").fetchall()
        assert [(value,) for value in values] == by_run


@pytest.mark.parametrize("name", ["token", "Attention", "words", "attended", "_word", "w", "rank", "select", 'a "b"'])
def test_kept_column_may_have_any_name_that_the_views_use(name: str, original: Original, tmp_path: Path) -> None:
    db = views(original.copy(tmp_path / "run", "run", {name: pa.scalar(5, pa.int32())}))
    plain = views(str(original.output))
    words = "select record_id, token, position, attention, contributing_rank, attended_rank from tokens"
    assert dicts(plain, words) == dicts(db, words)
    assert "INTEGER" == columns(db, "predictions")[name]
    kind = "VARCHAR" if name == "token" else "FLOAT" if name == "Attention" else "INTEGER"  # two are the words' own
    assert kind == {key.lower(): kind for key, kind in columns(db, "tokens").items()}[name.lower()]


def test_kept_column_with_escape_sequences_in_its_name_reaches_no_terminal_and_is_in_the_views(
    original: Original, tmp_path: Path
) -> None:
    names = ("\x1b]0;owned\x07\x1b[2J", "\u202e'\"(a|b)*\\", "\u202d'\"(a|b)*\\", "two\nlines\tlong")
    output = original.copy(tmp_path / "run", "run", {name: pa.scalar(at) for at, name in enumerate(names)})
    result = CliRunner().invoke(main, ["sql", output])
    assert (0, []) == (result.exit_code, [c for c in result.stdout if not (c.isprintable() or c == "\n")])
    db = views(output)
    assert set(names) <= columns(db, "predictions").keys()
    shown = ("�]0;owned��[2J", "�'\"(a|b)*\\", "�'\"(a|b)*\\_2", "two lines long")
    (row,) = {tuple(row[name] for name in shown) for row in dicts(db, "from tokens")}
    assert (0, 1, 2, 3) == row
    several = views(output, original.copy(tmp_path / "other", "other", {names[0]: pa.scalar(1.5)}))
    assert 12 == len(dicts(several, "select distinct record_id, run_id from tokens"))


@pytest.mark.parametrize("prefix", ["\x1b[2J", "a\nb", "\u202e"])
def test_prefix_that_cannot_be_shown_is_refused(prefix: str, original: Original) -> None:
    result = CliRunner().invoke(main, ["sql", str(original.output), "--prefix", prefix])
    assert (2, "") == (result.exit_code, result.stdout)
    assert "--prefix has a character that cannot be shown" in result.stderr


def test_kept_columns_may_differ_from_others_in_case_only(original: Original, tmp_path: Path) -> None:
    names = {"Stars": pa.scalar(5), "stars": pa.scalar("five"), "Probability": pa.scalar("high")}
    others = {"stars": pa.scalar("none"), "Probability": pa.scalar(1)}
    db = views(original.copy(tmp_path / "a", "a", names), original.copy(tmp_path / "b", "b", others))
    for view in ("predictions", "tokens"):
        assert ("VARCHAR", "FLOAT") == (columns(db, view)["Stars"], columns(db, view)["probability"])
        by_run = db.execute(f"select any_value(stars) from {view} group by run_id order by run_id").fetchall()
        assert [("5",), ("none",)] == by_run
    assert {"stars_1", "Probability_1"} <= columns(db, "predictions").keys()


NEIGHBOURS = {"[1]": "1", "a*b": "axb", "who?": "whom", "[!a]": "b", "{a,b}": "a", "b\\*c": "b*c"}  # as patterns


@pytest.mark.parametrize(
    "name",
    [
        *("it's", 'a "b"', "[1]", "a*b", "who?", "[!a]", "{a,b}", "two words", "naïve слово", "~", "year=2024"),
        *("back\\slash", "b\\*c", "100%", "a;b--c", "esc\x1b[31m", "line\nfeed", "\u202egnp.exe"),
    ],
)
def test_view_reads_the_parts_and_nothing_else_in_a_directory_of_any_name(
    name: str, original: Original, tmp_path: Path
) -> None:
    if name in NEIGHBOURS:
        original.copy(tmp_path / NEIGHBOURS[name], "not it")
    db = views(original.copy(tmp_path / name, "it"))
    assert [("it", 6)] == db.execute("select run_id, count(*) from predictions group by 1").fetchall()
    assert "year" not in columns(db, "predictions")
    assert [(str(tmp_path / name),)] == db.execute("select output from runs").fetchall()


def test_two_runs_with_one_run_id_are_refused_with_both_outputs(original: Original, tmp_path: Path) -> None:
    runs = [open_run(original.copy(tmp_path / name, "same")) for name in ("a", "b")]
    with pytest.raises(OptionError) as refused:
        statements(runs)
    assert "two runs have the run_id same" == refused.value.what
    assert f"{tmp_path / 'a'}, {tmp_path / 'b'}" == refused.value.where


@pytest.mark.parametrize(
    "value", ["it's", "'", "", "\x1b[31m", "a\nb", "é слово 🎬", "\u202e", "--", "\\n", 7, 0.1, True, None]
)
def test_literal_evaluates_to_its_value(value: object) -> None:
    written = literal(value)
    assert written.isprintable()
    assert value == duckdb.execute(f"select {written}").fetchall()[0][0]


def test_path_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(OptionError, match="not valid UTF-8"):
        literal("/tmp/\udcff")


def test_command_prints_sql_that_works_in_any_directory_and_explains_itself(
    original: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Path(original.copy(tmp_path / "it's [1] слово", "r\x1b1"))
    monkeypatch.chdir(place)
    result = CliRunner().invoke(main, ["sql", ".", "../it's [1] слово/../" + place.name, "--prefix", "my "])
    assert (2, "") == (result.exit_code, result.stdout)  # the same run twice
    result = CliRunner().invoke(main, ["sql", ".", "--prefix", "my "])
    assert (0, "") == (result.exit_code, result.stderr)
    assert [] == [c for c in result.stdout if not (c.isprintable() or c == "\n")]
    head = result.stdout.partition("create or replace view")[0]
    assert {"--", ""} == {line[:2] for line in head.splitlines()}
    for words in ("my predictions", "my tokens", "my errors", "my runs", "r\ufffd1"):
        assert words in head
    monkeypatch.chdir(tmp_path)
    db = duckdb.connect()
    db.execute(result.stdout)
    assert [("r\x1b1", 6)] == db.execute('select run_id, count(*) from "my predictions" group by 1').fetchall()


def test_command_writes_utf_8_to_an_ascii_terminal_and_imports_nothing_heavy(
    original: Original, tmp_path: Path
) -> None:
    code = """
import sys
sys.argv = ["batch-scorer", "sql", sys.argv[1]]
from batch_scorer.cli.main import main
main(standalone_mode=False)
heavy = {"tensorflow", "apache_beam", "duckdb"} & sys.modules.keys()
assert not heavy, heavy
"""
    output = original.copy(tmp_path / "слово", "it")
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code, output], capture_output=True, check=True, env=environment)
    assert f"'{output}/predictions/part-00000.parquet'" in done.stdout.decode("utf-8")


def test_command_says_what_duckdb_needs_for_a_store_and_keeps_its_paths(
    original: Original, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batch_scorer import storage

    def local(path: str) -> str:
        return path.replace("s3://bucket/run", str(original.output))

    exists, read = storage.exists, storage.read_bytes
    monkeypatch.setattr(storage, "exists", lambda path: exists(local(path)))
    monkeypatch.setattr(storage, "read_bytes", lambda path: read(local(path)))
    printed = CliRunner().invoke(main, ["sql", "s3://bucket/run"]).stdout
    assert "--   install httpfs; load httpfs; create secret (type s3," in printed
    assert "gcs" not in printed
    assert "'s3://bucket/run/predictions/part-00001.parquet'" in printed
