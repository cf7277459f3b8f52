"""Completion in a shell: what is offered, that a quick look is enough for it, and that it never complains."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from batch_scorer.cli.completion import SHELLS
from batch_scorer.cli.main import main
from tests.processes import GUARD_S


def offered(*words: object) -> list[str]:
    """What is offered for the last of `words`; `<file>` or `<dir>` if the shell finds the names itself."""
    *before, incomplete = map(str, words)
    items = BashComplete(main, {}, "batch-scorer", "_BATCH_SCORER_COMPLETE").get_completions(before, incomplete)
    return [item.value if item.type == "plain" else f"<{item.type}>" for item in items]


def offered_columns(path: Path, *options: str) -> list[str]:
    """The columns that are offered for the input `path`."""
    return offered("score", path, *options, "--keep", "")


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.parquet"
    review = pa.array([{"body": "good", "by": {"name": "A"}}])
    pq.write_table(pa.table({"review_id": ["1"], "stars": [5], "review": review, "a b": [1]}), path)
    return path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([""], ["score", "inspect", "explain", "completion"]),
        (["sc"], ["score"]),
        (["score", "--max-t"], ["--max-text-bytes"]),
        (["score", "in", "--input-format", "l"], ["lines"]),
        (["score", "rev"], ["<file>"]),
        (["score", "in", "--output", ""], ["<dir>"]),
        (["score", "in", "--log-file", ""], ["<file>"]),
        (["inspect", "o"], ["<dir>"]),
        (["completion", "f"], ["fish"]),
        (["score", "in", "--output", "out", "--", "--runn"], ["<file>"]),
        (["score", "--id-column", ""], []),
        (["score", "gs://bucket/in.parquet", "--id-column", ""], []),
        (["score", "nowhere.csv", "--id-column", ""], []),
    ],
    ids=str,
)
def test_words_are_completed(words: list[str], expected: list[str]) -> None:
    names = offered(*words)
    assert expected == (names if words != [""] else [name for name in names if name in expected])


@pytest.mark.parametrize("option", ["--text-column", "--id-column", "--keep"])
def test_columns_of_the_first_input_are_offered_if_they_need_no_quotes(option: str, reviews: Path) -> None:
    expected = ["review_id", "stars", "review", "review.body", "review.by", "review.by.name"]
    assert expected == offered("score", reviews, option, "")
    assert ["stars"] == offered("score", reviews, "other.csv", "--output", "out", option, "st")
    assert ["stars"] == offered("score", reviews.parent / "*.parquet", option, "st")
    assert ["stars"] == offered("score", reviews.parent, option, "st")


JSON = b'{"id": 1, "of": {"text": "x"}}\n{"other": 1}\n'
ZSTD = pa.Codec("zstd").compress(b"id,text\n1,a\n", asbytes=True)


@pytest.mark.parametrize(
    ("name", "content", "options", "expected"),
    [
        ("a.jsonl", JSON, (), ["id", "of", "of.text", "other"]),
        ("a.ndjson.zst", pa.Codec("zstd").compress(JSON, asbytes=True), (), ["id", "of", "of.text", "other"]),
        ("a.jsonl.gz", gzip.compress(b'{"id": 1}\n', mtime=0), (), ["id"]),
        ("a.log", b'{"id": 1}\n', ("--input-format", "jsonl"), ["id"]),
        ("a.csv", b'\xef\xbb\xbfid,"the text",,x\n1,2,3,4\n', (), ["id", "x"]),  # others need quotes, or have no name
        ("a.csv", b'id,"text\nof it",x\n1,2,3\n', (), ["id", "x"]),
        ("a.csv", b"id,id,text\n1,1,a\n", (), ["id", "text"]),
        ("A.CSV", b"id,text\n", (), ["id", "text"]),
        ("a.csv", b"id;text\n1;a\n", ("--delimiter", ";"), ["id", "text"]),
        ("a.csv", b"id;text\n1;a\n", (), []),  # `score` would refuse it, too
        ("a.csv", b"id,caf\xe9\n", ("--encoding", "latin-1"), ["id"]),
        ("a.csv", b"id,text\n", ("--encoding", "no such"), []),
        ("a.tsv.bz2", bz2.compress(b"id\ttext\n"), (), ["id", "text"]),
        ("a.csv.gz", gzip.compress(b"id,text\n", mtime=0), (), ["id", "text"]),
        ("a.csv.zst", ZSTD, (), ["id", "text"]),
        ("a.txt", b"id,text\n", (), []),
        ("a.log", b"id,text\n", ("--input-format", "lines"), []),
        ("a.xml", b"id,text\n", (), []),
    ],
)
def test_columns_are_those_that_score_would_read(
    name: str, content: bytes, options: tuple[str, ...], expected: list[str], tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    assert expected == offered_columns(tmp_path / name, *options)
    assert expected == offered("score", *options, tmp_path / name, "--keep", "")


def test_columns_of_a_directory_are_those_of_the_first_file_that_has_any(tmp_path: Path) -> None:
    for name in ("_left.csv", ".out.csv", "a.xml", "b.txt", "c.csv/d.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("not,this\n")
    assert [] == offered_columns(tmp_path)
    (tmp_path / "e.tsv").write_text("id\ttext\n")
    (tmp_path / "f.csv").write_text("not,this\n")
    assert ["id", "text"] == offered_columns(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("a.parquet", content) for content in (b"", b"PAR1 and then nothing", b"PAR1\xff\xff\xff\x7fPAR1")),
        *(("a.jsonl", content) for content in (b"", b"[1]\n", b"{\xff", b'{"a": ' * 100_000, b"1" * 5_000)),
        *((f"a.csv{ending}", b"\x1f\x8b no") for ending in ("", ".gz", ".bz2", ".zst")),
        *(("a.csv", content) for content in (b"", b'"' + b"x" * 1_000_000, b"x" * 20_000_000)),
    ],
)
def test_damaged_file_offers_no_column_and_raises_nothing(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert [] == offered_columns(tmp_path / name)


def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    assert [] == offered_columns(tmp_path / "a.csv")
    assert [] == offered_columns(tmp_path)


def test_only_the_beginning_of_a_large_file_is_looked_at(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.jsonl.gz", "wb", compresslevel=1) as file:
        file.write(json.dumps({"id": 1}).encode() + b"\n" + bytes(20_000_000))
    os.truncate(tmp_path / "a.jsonl.gz", 8_000)  # what follows is not there to be read
    assert ["id"] == offered_columns(tmp_path / "a.jsonl.gz")


@pytest.mark.parametrize("shell", SHELLS)
def test_script_of_a_shell_names_the_program_and_its_variable(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert (0, "") == (result.exit_code, result.stderr)
    assert f"_BATCH_SCORER_COMPLETE={shell}_complete" in result.stdout and "batch-scorer" in result.stdout


IN_BASH = """
source <("$1/batch-scorer" completion bash)
complete -p batch-scorer
COMP_WORDS=(batch-scorer score {source} --id-column rev) COMP_CWORD=4
_batch_scorer_completion "$1/batch-scorer" rev --id-column
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
HEAVY = """import sys
from batch_scorer.cli.main import main
try:
    main()
finally:
    assert not {"tensorflow", "apache_beam", "rich"} & sys.modules.keys(), "too much for a key press"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_a_column_and_imports_nothing_heavy_for_it(reviews: Path, tmp_path: Path) -> None:
    command = tmp_path / "batch-scorer"
    command.write_text(f"#!{sys.executable}\n{HEAVY}")
    command.chmod(0o755)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    words = ["bash", "-c", IN_BASH.format(source=reviews), "bash", str(tmp_path)]
    done = subprocess.run(words, env=env, check=False, capture_output=True, text=True, timeout=GUARD_S)
    assert (0, "") == (done.returncode, done.stderr)
    first, *more = done.stdout.splitlines()
    assert "-F _batch_scorer_completion batch-scorer" in first
    assert ["review_id", "review", "review.body", "review.by", "review.by.name"] == more
