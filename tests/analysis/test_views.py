"""The views of finished runs, asked by DuckDB: the rows of the parts, whatever places and columns are called."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from click.testing import CliRunner

from batch_scorer.analysis.database import tables
from batch_scorer.analysis.views import literal, statements
from batch_scorer.cli.main import main
from batch_scorer.errors import OptionError, RefusedError
from batch_scorer.runs.finished import open_run
from tests.conftest import REVIEWS
from tests.finished_runs import Original, without
from tests.jobs import rows

Connection = duckdb.DuckDBPyConnection


def views(*outputs: str, prefix: str = "") -> Connection:
    connection = duckdb.connect()
    for statement in statements([open_run(output) for output in outputs], prefix):
        connection.execute(statement)
    return connection


def dicts(connection: Connection, query: str) -> list[dict[str, Any]]:
    found = connection.execute(query)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def columns(connection: Connection, view: str) -> dict[str, str]:
    return {row["column_name"]: row["column_type"] for row in dicts(connection, f"describe {view}")}


def test_predictions_and_errors_are_the_rows_of_the_parts(original: Original) -> None:
    asked = views(str(original.output))
    assert rows(original.output) == dicts(asked, "from predictions")
    run_id = open_run(str(original.output)).manifest["run_id"]
    assert [{"run_id": run_id, **row} for row in rows(original.output, "errors")] == dicts(asked, "from errors")


def test_tokens_are_the_words_of_both_lists_once_each_with_their_ranks(original: Original) -> None:
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
    found = dicts(views(str(original.output)), f"select {', '.join(names)} from tokens")
    assert [{name: word.get(name) for name in names} for word in expected.values()] == sorted(
        found, key=lambda word: list(expected).index((word["record_id"], word["position"]))
    )
    assert any(word["attended_rank"] is None for word in found)
    assert any(word["contributing_rank"] is None for word in found)


def test_tokens_keep_a_review_without_listed_words(original: Original, tmp_path: Path) -> None:
    def none_listed(table: pa.Table) -> pa.Table:
        for name in ("top_attended", "top_contributing"):
            field = table.field(name)
            table = table.set_column(
                table.schema.get_field_index(name), field, pa.array([[]] * len(table), type=field.type)
            )
        return table

    asked = views(original.copy(tmp_path / "run", "none", change=none_listed))
    found = dicts(asked, "select record_id, probability is null as lost, token, contributing_rank from tokens")
    assert [{"record_id": i, "lost": False, "token": None, "contributing_rank": None} for i, _ in REVIEWS] == found


def test_tokens_are_found_without_a_join_or_a_sort(original: Original) -> None:
    ((_, plan),) = views(str(original.output)).execute("explain select token, contribution from tokens").fetchall()
    assert "UNNEST" in plan.upper()
    assert [] == [word for word in ("JOIN", "WINDOW", "ORDER", "AGGREGATE") if word in plan.upper()]


def test_runs_say_what_scores_are_computed_from(original: Original) -> None:
    manifest = open_run(str(original.output)).manifest
    ((*found,),) = (
        views(str(original.output))
        .execute("select run_id, bias, temperature, threshold, read, rejected, complete, typeof(finished) from runs")
        .fetchall()
    )
    numbers = (manifest["bias"], manifest["temperature"], manifest["threshold"])
    assert [manifest["run_id"], *numbers, 7, 1, True, "TIMESTAMP"] == found


@pytest.mark.parametrize("kind", ["predictions", "errors"])
def test_run_without_parts_of_a_kind_has_the_view_without_rows_and_the_same_columns(
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


def test_several_runs_are_one_table_and_a_column_that_one_lacks_is_null_there(
    original: Original, tmp_path: Path
) -> None:
    asked = views(
        original.copy(tmp_path / "a", "a", {"stars": pa.scalar(5, pa.int32())}),
        original.copy(tmp_path / "b", "b", {"shop": pa.scalar("x")}),
        prefix="all ",
    )
    found = dicts(
        asked,
        "select run_id, count(*) as n, count(stars) as s, count(shop) as p"
        ' from "all predictions" group by 1 order by 1',
    )
    assert [{"run_id": "a", "n": 6, "s": 6, "p": 0}, {"run_id": "b", "n": 6, "s": 0, "p": 6}] == found
    found = dicts(
        asked, 'select run_id, count(stars) > 6 as s, count(shop) > 6 as p from "all tokens" group by 1 order by 1'
    )
    assert [{"run_id": "a", "s": True, "p": False}, {"run_id": "b", "s": False, "p": True}] == found
    assert ["a", "b"] == [row["run_id"] for row in dicts(asked, 'from "all errors"')]


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
def test_kept_columns_of_one_name_and_two_types_are_the_wider_number_or_text(
    one: pa.Scalar, other: pa.Scalar, kind: str, values: list[object], original: Original, tmp_path: Path
) -> None:
    asked = views(
        original.copy(tmp_path / "a", "a", {"it": one}),
        original.copy(tmp_path / "b", "b", {"IT": other}),  # names in another case are one name
    )
    for view in ("predictions", "tokens"):
        assert kind == columns(asked, view)["it"]
        found = asked.execute(f"select any_value(it) from {view} group by run_id order by run_id").fetchall()
        assert [(value,) for value in values] == found


@pytest.mark.parametrize("name", ["token", "Attention", "words", "attended", "_word", "w", "rank", "select", 'a "b"'])
def test_kept_column_may_be_called_like_anything_in_the_views(name: str, original: Original, tmp_path: Path) -> None:
    asked = views(original.copy(tmp_path / "run", "run", {name: pa.scalar(5, pa.int32())}))
    plain = views(str(original.output))
    words = "select record_id, token, position, attention, contributing_rank, attended_rank from tokens"
    assert dicts(plain, words) == dicts(asked, words)
    assert "INTEGER" == columns(asked, "predictions")[name]
    kind = "VARCHAR" if name == "token" else "FLOAT" if name == "Attention" else "INTEGER"  # two are the words' own
    assert kind == {key.lower(): kind for key, kind in columns(asked, "tokens").items()}[name.lower()]


def test_kept_columns_that_differ_in_case_only_from_each_other_or_from_ours_do_no_harm(
    original: Original, tmp_path: Path
) -> None:
    names = {"Stars": pa.scalar(5), "stars": pa.scalar("five"), "Probability": pa.scalar("high")}
    others = {"stars": pa.scalar("none"), "Probability": pa.scalar(1)}
    asked = views(original.copy(tmp_path / "a", "a", names), original.copy(tmp_path / "b", "b", others))
    for view in ("predictions", "tokens"):
        assert ("VARCHAR", "FLOAT") == (columns(asked, view)["Stars"], columns(asked, view)["probability"])
        found = asked.execute(f"select any_value(stars) from {view} group by run_id order by run_id").fetchall()
        assert [("5",), ("none",)] == found
    assert {"stars_1", "Probability_1"} <= columns(asked, "predictions").keys()


NEIGHBOURS = {"[1]": "1", "a*b": "axb", "who?": "whom", "[!a]": "b", "{a,b}": "a", "b\\*c": "b*c"}  # as patterns


@pytest.mark.parametrize(
    "name",
    [
        *("it's", 'a "b"', "[1]", "a*b", "who?", "[!a]", "{a,b}", "two words", "naïve слово", "~", "year=2024"),
        *("back\\slash", "b\\*c", "100%", "a;b--c", "esc\x1b[31m", "line\nfeed", "\u202egnp.exe"),
    ],
)
def test_view_finds_the_parts_in_a_place_of_any_name_and_nothing_else(
    name: str, original: Original, tmp_path: Path
) -> None:
    if name in NEIGHBOURS:
        original.copy(tmp_path / NEIGHBOURS[name], "not it")
    asked = views(original.copy(tmp_path / name, "it"))
    assert [("it", 6)] == asked.execute("select run_id, count(*) from predictions group by 1").fetchall()
    assert "year" not in columns(asked, "predictions")
    assert [(str(tmp_path / name),)] == asked.execute("select output from runs").fetchall()


def test_two_runs_of_one_name_are_refused_with_both_places(original: Original, tmp_path: Path) -> None:
    runs = [open_run(original.copy(tmp_path / name, "same")) for name in ("a", "b")]
    with pytest.raises(OptionError) as refused:
        statements(runs)
    assert "two runs are called same" == refused.value.what
    assert f"{tmp_path / 'a'}, {tmp_path / 'b'}" == refused.value.where


@pytest.mark.parametrize(
    "value", ["it's", "'", "", "\x1b[31m", "a\nb", "é слово 🎬", "\u202e", "--", "\\n", 7, 0.1, True, None]
)
def test_literal_is_read_as_the_value_it_was_made_of(value: object) -> None:
    written = literal(value)
    assert written.isprintable()
    assert value == duckdb.execute(f"select {written}").fetchall()[0][0]


def test_path_that_is_no_text_is_refused() -> None:
    with pytest.raises(OptionError, match="not in UTF-8"):
        literal("/tmp/\udcff")


# The command


def test_command_prints_what_duckdb_reads_from_anywhere_and_says_what_it_is(
    original: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Path(original.copy(tmp_path / "it's [1] слово", "r\x1b1"))
    monkeypatch.chdir(place)
    result = CliRunner().invoke(main, ["sql", ".", "../it's [1] слово/../" + place.name, "--prefix", "my "])
    assert (2, "") == (result.exit_code, result.stdout)  # twice the same run
    result = CliRunner().invoke(main, ["sql", ".", "--prefix", "my "])
    assert (0, "") == (result.exit_code, result.stderr)
    assert [] == [c for c in result.stdout if not (c.isprintable() or c == "\n")]
    head = result.stdout.partition("create or replace view")[0]
    assert {"--", ""} == {line[:2] for line in head.splitlines()}
    for words in ("my predictions", "my tokens", "my errors", "my runs", "r\ufffd1"):
        assert words in head
    monkeypatch.chdir(tmp_path)
    asked = duckdb.connect()
    asked.execute(result.stdout)
    assert [("r\x1b1", 6)] == asked.execute('select run_id, count(*) from "my predictions" group by 1').fetchall()


def test_command_writes_utf_8_to_a_terminal_that_has_none_and_imports_nothing_heavy(
    original: Original, tmp_path: Path
) -> None:
    code = """
import sys
sys.argv = ["batch-scorer", "sql", sys.argv[1]]
from batch_scorer.cli import main
main(standalone_mode=False)
heavy = {"tensorflow", "apache_beam", "duckdb"} & sys.modules.keys()
assert not heavy, heavy
"""
    output = original.copy(tmp_path / "слово", "it")
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code, output], capture_output=True, check=True, env=environment)
    assert f"'{output}/predictions/part-00000.parquet'" in done.stdout.decode("utf-8")


def test_command_names_what_a_store_needs_and_leaves_its_paths_as_they_are(
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


# The connection of `report` and `compare`


@pytest.fixture
def connected(original: Original, tmp_path: Path) -> Iterator[Connection]:
    old, new = (open_run(original.copy(tmp_path / name, name)) for name in ("old", "new"))
    with tables("report", new=[new], old=[old]) as connection:
        yield connection


def test_tables_have_the_views_of_each_group_by_its_name(connected: Connection) -> None:
    for name in ("new", "old"):
        assert [(name,)] == connected.execute(f"select distinct run_id from {name}_tokens").fetchall()


def test_damaged_part_is_refused_by_name_wherever_it_is_noticed(original: Original, tmp_path: Path) -> None:
    output = Path(original.copy(tmp_path / "run", "it"))
    part = output / "predictions/part-00001.parquet"  # the first one is looked into for its columns
    part.write_bytes(part.read_bytes()[:-9])
    with (
        pytest.raises(RefusedError, match="cannot be read") as refused,
        tables("report", new=[open_run(str(output))]) as connection,
    ):
        connection.execute("select count(*) from new_tokens").fetchall()
    assert str(output) == refused.value.where
    assert "part-00001.parquet" in str(refused.value.got)
    assert "--resume" in str(refused.value.fix)


def test_mistake_in_a_query_stays_a_mistake_in_a_query(original: Original) -> None:
    with (
        pytest.raises(duckdb.BinderException),
        tables("report", new=[open_run(str(original.output))]) as connection,
    ):
        connection.execute("select no_such_column from new_predictions")


def test_tables_say_what_to_install_where_duckdb_is_not(original: Original, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with (
        pytest.raises(RefusedError, match="needs a package") as refused,
        tables("report", new=[open_run(str(original.output))]),
    ):
        pass
    assert "batch-scorer[report]" in str(refused.value.fix)


def test_sum_of_the_words_and_the_rest_is_the_logit_in_the_views(original: Original) -> None:
    found = (
        views(str(original.output))
        .execute("""
        select max(abs(bias + words + rest_contribution - p.logit))
        from predictions p join runs using (run_id) join (
            select record_id, sum(contribution) as words from tokens where contributing_rank is not null group by 1
        ) using (record_id)""")
        .fetchall()
    )
    assert found[0][0] < 1e-5
