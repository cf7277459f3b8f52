"""The command line, refusing: exit 2, a message that helps, and nothing left behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.test_main import run, score


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--ouput", "x"], "--ouput"),
        (["--output", "x", "--runner=DirectRunner"], "--runner"),
        (["--output", "x", "--workers", "0"], "--workers"),
        (["--output", "x", "--max-error-rate", "1.5"], "--max-error-rate"),
        (["--output", "x", "--input-format", "xml"], "xml"),
        ([], "--output"),
        (["--", "--output", "x"], "--output"),
    ],
)
def test_wrong_option_before_the_dashes_is_exit_2_and_named(args: list[str], named: str) -> None:
    result = run("score", "in.jsonl", *args)
    assert 2 == result.exit_code
    assert named in result.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--runner=DirectRunner --dry-run", "--dry-run"),
        ("--limit=3", "--limit"),
        ("--top_k 3", "--top-k"),
        ("--output elsewhere", "--output"),
        ("-q", "-q"),
        ("-qv", "-qv"),
        ("--s3_secret_access_key SECRET --resume", "--resume"),
        ("--help", "--help"),
    ],
)
def test_option_of_ours_after_the_dashes_is_refused_and_nothing_runs(
    words: str, named: str, reviews_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    result = score(reviews_file, tiny_model, tmp_path / "out", "--", *words.split())

    assert 2 == result.exit_code
    assert f"to fix:   put {named} before --" in result.stderr
    assert "SECRET" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_dry_run_of_beam_is_refused_where_the_runner_would_run_the_job(
    reviews_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    result = score(reviews_file, tiny_model, tmp_path / "out", "--", "--dry_run=True")

    assert 2 == result.exit_code
    assert "the runner has no dry run" in result.stderr
    assert "got:      --runner=DirectRunner" in result.stderr
    assert not (tmp_path / "out").exists()


# name of the case -> arguments after the input, and what the message must hold. {model} and {tmp} are filled in.
REFUSED = {
    "missing input": (
        "{tmp}/no.jsonl --output {tmp}/out",
        ["where:    {tmp}/no.jsonl", "expected:", "got:", "to fix:"],
    ),
    "unknown format": ("{tmp}/in.log --output {tmp}/out", ["where:    {tmp}/in.log", "--input-format"]),
    "missing text column": (
        "{tmp}/in.parquet --output {tmp}/out --text-column txet",
        ["'txet'", "where:    {tmp}/in.parquet", "got:      columns id, text", "--text-column text"],
    ),
    "output not empty": ("{tmp}/in.parquet --output {tmp}/full", ["where:    {tmp}/full", "not a run", "to fix:"]),
    "output is a file": ("{tmp}/in.parquet --output {tmp}/in.log", ["not a directory", "where:    {tmp}/in.log"]),
    "output inside input": ("{tmp}/folder --output {tmp}/folder/out", ["inside", "got:      input {tmp}/folder"]),
    "broken model": (
        "{tmp}/in.parquet --output {tmp}/out --model {tmp}/broken",
        ["damaged", "where:    {tmp}/broken/vocabulary.txt", "expected: sha256", "got:      sha256", "to fix:"],
    ),
    "no model": (
        "{tmp}/in.parquet --output {tmp}/out --model {tmp}/none",
        ["where:    {tmp}/none/", "leave --model out"],
    ),
    "keep onto ours": (
        "{tmp}/in.parquet --output {tmp}/out --keep id=logit",
        ["'logit'", "where:    --keep id=logit", "to fix:   give it another name: --keep id=input_id"],
    ),
    "keep twice": ("{tmp}/in.parquet --output {tmp}/out --keep id=x --keep text=x", ["'x'", "--keep text=x"]),
    "keep one twice": (
        "{tmp}/in.parquet --output {tmp}/out --keep id --keep id",
        ["given twice", "fix:   give it once"],
    ),
    "resume and overwrite": ("{tmp}/in.parquet --output {tmp}/out --resume --overwrite", ["--resume and --overwrite"]),
    "overwrite of what is not ours": ("{tmp}/in.parquet --output {tmp}/full --overwrite", ["where:    {tmp}/full"]),
    "stray word for Beam": (
        "{tmp}/in.parquet --output {tmp}/out -- runner=FlinkRunner",
        ["got:      runner=FlinkRunner"],
    ),
    "unknown Beam option": ("{tmp}/in.parquet --output {tmp}/out -- --streeming=1", ["got:      --streeming"]),
    "unknown runner": ("{tmp}/in.parquet --output {tmp}/out -- --runner=Nope", ["after --", "runner: Nope", "to fix:"]),
    "runner without its options": (
        "{tmp}/in.parquet --output {tmp}/out -- --runner=DataflowRunner",
        ["after --", "project"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_job_is_exit_2_says_why_and_leaves_nothing_behind(case: str, tmp_path: Path, tiny_model: Path) -> None:
    pq.write_table(pa.table({"id": ["1"], "text": ["good"]}), tmp_path / "in.parquet")
    for name in ("in.log", "folder/in.txt", "full/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("good")
    broken = shutil.copytree(tiny_model, tmp_path / "broken")
    (broken / "vocabulary.txt").write_text("good")
    before = sorted(tmp_path.rglob("*"))
    args, expected = REFUSED[case]

    given = args.format(tmp=tmp_path).split()
    result = run("score", *([] if "--model" in given else ["--model", tiny_model]), *given)

    assert 2 == result.exit_code, result.output
    assert "" == result.stdout
    assert result.stderr.startswith("error: ")
    assert [] == [text for text in expected if text.format(tmp=tmp_path) not in result.stderr]
    assert before == sorted(tmp_path.rglob("*"))


def test_refusal_shows_control_characters_of_a_file_name_as_text(tmp_path: Path, tiny_model: Path) -> None:
    result = score(tmp_path / "a\x1b[2J\u202e.jsonl", tiny_model, tmp_path / "out")
    assert 2 == result.exit_code
    assert "a�[2J�.jsonl" in result.stderr
    assert not {"\x1b", "\u202e"} & set(result.stderr)
