"""Every block of docs/analysts.md runs, and prints what is printed there; BigQuery's are checked and run by DuckDB.

`python -m tests.docs.test_analysts` runs the page and writes the answers into it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from click.testing import CliRunner
from sqlglot.optimizer.qualify import qualify

from batch_scorer.cli.main import main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "analysts.md"
FENCED = re.compile(r"^```(\w*)\n(.*?)^```\n(?:```\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Block:
    """A block of the page: what kind, the section it is in, its line, what it says and what it is said to print."""

    kind: str
    section: str
    line: int
    code: str
    printed: str

    @property
    def name(self) -> str:
        return f"{self.section}, line {self.line}"


def blocks(page: str) -> list[Block]:
    found = []
    for match in FENCED.finditer(page):
        before = page[: match.start()]
        section = re.findall(r"^## (.*)$", before, re.MULTILINE)[-1]
        found.append(Block(match[1], section, before.count("\n") + 1, match[2], match[3] or ""))
    return found


BLOCKS = blocks(PAGE.read_text(encoding="utf-8"))
RUN = [block for block in BLOCKS if block.section != "BigQuery"]
BIGQUERY = [block for block in BLOCKS if block.section == "BigQuery"]


@dataclass
class Reader:
    """Somebody who types in the page from top to bottom; `folder` is where."""

    folder: Path
    names: dict[str, Any] = field(default_factory=dict)
    said: dict[int, str] = field(default_factory=dict)

    def answer(self, block: Block) -> str:
        """What a block prints, those before it in its section being run first."""
        for each in RUN:
            if each.section == block.section and each.line <= block.line and each.line not in self.said:
                self.said[each.line] = self.read(each)
        return self.said[block.line]

    def read(self, block: Block) -> str:
        """Runs a block and returns what it prints."""
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(io.StringIO()) as printed:
            if block.kind == "sh":
                self._shell(block.code)
            elif block.kind == "python":
                exec(compile(block.code, f"analysts.md, line {block.line}", "exec"), self.names)
            elif block.kind == "sql":
                result = self.names["db"].sql(block.code)
                print("" if result is None else result)
            else:
                raise AssertionError(f"nobody runs blocks of the kind {block.kind!r}")
        return "\n".join(line.rstrip() for line in printed.getvalue().strip("\n").splitlines())

    def _shell(self, code: str) -> None:
        # The shell runs all but our own command, which it hands over: a process for each would import TensorFlow again.
        handed = "batch-scorer() { printf '%s\\0' \"$@\" >> asked; printf '\\n\\0' >> asked; }; > asked\n"
        code = re.sub(r"^(batch-scorer sql .*) > (\S+)$", r"\1 TO \2", code, flags=re.MULTILINE)
        subprocess.run(["bash", "-euc", handed + code], check=True)
        for command in Path("asked").read_text(encoding="utf-8").split("\0\n\0")[:-1]:
            words = command.split("\0")
            target = words.pop() if words[-2:-1] == ["TO"] else None
            result = CliRunner().invoke(main, [word for word in words if word != "TO"])
            assert 0 == result.exit_code, result.output
            if target:
                Path(target).write_text(result.stdout, encoding="utf-8")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader in an empty directory beside the samples, who has run the shell's blocks."""
    folder = tmp_path_factory.mktemp("analysts")
    (folder / "batch_scorer").mkdir()
    shutil.copytree(ROOT / "batch_scorer/samples", folder / "batch_scorer/samples")
    made = Reader(folder)
    for block in RUN:
        if block.kind == "sh" or block.section == "Views":
            made.answer(block)
    yield made
    for name in ("db", "spark"):
        if name in made.names:
            (made.names[name].close if name == "db" else made.names[name].stop)()


@pytest.fixture(scope="module")
def spark(reader: Reader) -> None:
    """A Spark on this machine, which `getOrCreate` finds."""
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        pytest.skip("Spark needs Java, which is not installed")
    start_spark(reader.folder)


def start_spark(folder: Path) -> None:
    with warnings.catch_warnings(), contextlib.chdir(folder):  # Java knows no other directory than its first
        warnings.simplefilter("ignore")  # of what it will no longer support, and of files it leaves open
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master("local[1]")
        for name, value in {
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "1",
            "spark.driver.host": "localhost",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.log.level": "ERROR",
            # To compile what runs once, or to compile it well, takes longer than to run it.
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.codegen.factoryMode": "NO_CODEGEN",
            "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        }.items():
            builder = builder.config(name, value)
        builder.getOrCreate()


def agree(printed: str, found: str) -> bool:
    """Whether two answers are the same but for the last digit of a number: processors round differently."""
    if NUMBER.sub("0", printed).split() != NUMBER.sub("0", found).split():
        return False
    for one, other in zip(NUMBER.findall(printed), NUMBER.findall(found), strict=True):
        decimals = len(one.partition(".")[2])
        if abs(float(one) - float(other)) > (1.5 * 10**-decimals if decimals else 0):
            return False
    return True


@pytest.mark.parametrize("block", [b for b in RUN if b.section != "Spark"], ids=lambda block: block.name)
def test_block_prints_what_is_printed(block: Block, reader: Reader) -> None:
    if block.section == "Iceberg":
        pytest.importorskip("pyiceberg", reason="needs pyiceberg")
    found = reader.answer(block)
    assert agree(block.printed, found), found


@pytest.mark.parametrize("block", [b for b in RUN if b.section == "Spark"], ids=lambda block: block.name)
def test_block_prints_what_is_printed_in_spark(block: Block, reader: Reader, spark: None) -> None:
    found = reader.answer(block)
    assert agree(block.printed, found), found


# BigQuery

KEPT = {"kind": "STRING", "true_label": "INTEGER"}  # by the run that the page loads
QUERIES = [block for block in BIGQUERY if block.kind == "sql"]


def bigquery_type(column: dict[str, Any]) -> str:
    if column["mode"] == "REPEATED":
        fields = ", ".join(f"{inner['name']} {bigquery_type(inner)}" for inner in column["fields"])
        return f"ARRAY<STRUCT<{fields}>>"
    return {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}.get(column["type"], column["type"])


def qualified(query: str) -> sqlglot.Expression:
    """A query of BigQuery with every column resolved; raises where it is none, or names no column of ours."""
    columns = json.loads((ROOT / "schemas/predictions.bigquery.json").read_text(encoding="utf-8"))
    types = {**{column["name"]: bigquery_type(column) for column in columns}, **KEPT}
    parsed = sqlglot.parse_one(query, read="bigquery", error_level=sqlglot.ErrorLevel.RAISE)
    return qualify(parsed, dialect="bigquery", schema={"reviews": {"predictions": types}})


@pytest.mark.parametrize("block", QUERIES, ids=lambda block: block.name)
def test_query_of_bigquery_is_one_and_gives_the_answer_of_its_question(block: Block, reader: Reader) -> None:
    qualified(block.code)
    (number,) = re.findall(r"^-- Question (\d+)", block.code)
    (asked,) = [b for b in RUN if b.section.startswith(f"{number} ")]
    db = reader.names["db"]
    db.execute(
        "create schema if not exists reviews; create or replace view reviews.predictions as from main.predictions"
    )
    (translated,) = sqlglot.transpile(block.code, read="bigquery", write="duckdb")
    with contextlib.chdir(reader.folder):
        expected, found = db.sql(asked.code), db.sql(translated)
        assert expected.columns == found.columns
        assert expected.fetchall() == found.fetchall()


@pytest.mark.parametrize(
    "wrong",
    [
        *("select probabilty from reviews.predictions", "select p.no from reviews.predictions p"),
        *(
            "select record_id from reviews.prediction",
            "select record_id from",
            "select run_id frm reviews.predictions x y",
        ),
    ],
)
def test_wrong_query_of_bigquery_is_noticed(wrong: str) -> None:
    with pytest.raises(sqlglot.errors.SqlglotError):
        qualified(wrong)


def test_commands_of_bigquery_load_by_list_inference_into_tables_of_the_schemas() -> None:
    (block,) = [block for block in BIGQUERY if block.kind == "sh"]
    commands = [shlex.split(line) for line in block.code.replace("\\\n", "").splitlines()]
    assert ["bq"] * len(commands) == [words[0] for words in commands]
    made = {words[-2]: words[-1] for words in commands if words[1] == "mk"}
    assert {f"schemas/{name}.bigquery.json" for name in ("predictions", "errors")} == set(made.values())
    assert all((ROOT / path).is_file() for path in made.values())
    loads = {words[-2]: words for words in commands if words[1] == "load"}
    assert set(made) == set(loads)
    assert {"--parquet_enable_list_inference", "--source_format=PARQUET"} <= set(loads["reviews.predictions"])


# The page


def test_every_block_is_of_a_kind_that_is_run() -> None:
    assert {"sh", "sql", "python"} == {block.kind for block in RUN}
    assert {"sh", "sql"} == {block.kind for block in BIGQUERY}
    assert PAGE.read_text(encoding="utf-8").count("\n```") == sum(4 if b.printed else 2 for b in BLOCKS)


def test_every_question_has_an_answer_a_reason_and_a_warning() -> None:
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    questions = [section for section in sections if section[0].isdigit()]
    assert [str(number) for number in range(1, len(questions) + 1)] == [q.split()[0] for q in questions]
    assert 15 <= len(questions)
    for question in questions:
        assert re.match(r".*\?\n\n[\w`].*?```sql\n.*?```\n```\n.+?```\n\n\*Watch for\* ", question, re.DOTALL), question
    for block in RUN:
        assert bool(block.printed) == (block.kind != "sh"), block.name


def test_contents_lead_to_every_section() -> None:
    page = PAGE.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    contents = page[: page.index("\n## ")]
    assert anchors == set(re.findall(r"\]\(#([^)]*)\)", contents))


def test_answers_agree_but_for_a_last_digit() -> None:
    assert agree("a  1.25 x", "a 1.26 x")
    assert not agree("a 1.25 x", "a 1.27 x")
    assert not agree("a 12", "a 13")
    assert not agree("a 12", "b 12")


def write_answers() -> None:
    """Runs the page in a new directory and writes what it prints into it."""
    from tempfile import TemporaryDirectory

    page = PAGE.read_text(encoding="utf-8")
    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "batch_scorer/samples", folder / "batch_scorer/samples")
        one = Reader(folder)
        start_spark(folder)
        parts, end = [], 0
        for match, block in zip(FENCED.finditer(page), BLOCKS, strict=True):
            said = block.printed if block in BIGQUERY else one.read(block) + "\n"
            parts += [page[end : match.start()], f"```{block.kind}\n{block.code}```\n"]
            parts += [f"```\n{said}```\n"] if said.strip() else []
            end = match.end()
    PAGE.write_text("".join([*parts, page[end:]]), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(write_answers())
