"""What an input takes in: an output or a log that it would read is refused, and names say what is data."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import InputError, OptionError, OutputError
from batch_scorer.planning.listing import list_inputs
from batch_scorer.planning.options import check_options
from batch_scorer.planning.places import takes_in
from batch_scorer.planning.plan import make_plan
from batch_scorer.runs.directory import prepare
from batch_scorer.storage import is_hidden
from tests.conftest import write

MakeConfig = Callable[..., ScoreConfig]


def listed(config: ScoreConfig, folder: Path) -> list[str]:
    return [os.path.relpath(file.path, folder) for file in list_inputs(config).files]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("_SUCCESS", True), (".git", True), ("._a.csv", True), ("_batch=1", False), (".a=1", True), ("a_b", False)],
)
def test_name_is_hidden_as_spark_has_it(name: str, expected: bool) -> None:
    assert expected is is_hidden(name)


def test_partitions_that_begin_with_an_underscore_are_read(folder: Path, config: MakeConfig) -> None:
    write(folder, "_batch=1/x.jsonl", "_batch=2/_day=3/x.jsonl", "_temporary/y.jsonl", "_part=1.jsonl", "z.jsonl")

    expected = ["_batch=1/x.jsonl", "_batch=2/_day=3/x.jsonl", "_part=1.jsonl", "z.jsonl"]
    assert expected == listed(config(folder), folder)
    assert {*expected, "_temporary/y.jsonl"} == {*listed(config(f"{folder}/**/*.jsonl"), folder)}


def test_glob_leaves_out_hidden_files_whose_names_show_no_format(folder: Path, config: MakeConfig) -> None:
    write(folder, "a", "_SUCCESS", "_b.jsonl")

    assert ["_b.jsonl", "a"] == listed(config(f"{folder}/*", input_format="jsonl"), folder)
    os.remove(folder / "a")
    assert ["_b.jsonl"] == listed(config(f"{folder}/*"), folder)
    assert ["_SUCCESS"] == listed(config(folder / "_SUCCESS", input_format="jsonl"), folder)


def test_hard_links_to_one_file_are_scored_once_with_a_notice(folder: Path, config: MakeConfig) -> None:
    (first,) = write(folder, "a.jsonl")
    write(folder, "c.jsonl")
    for name in ("b.jsonl", "sub/d.jsonl"):
        (folder / name).parent.mkdir(exist_ok=True)
        os.link(first, folder / name)

    listing = list_inputs(config(folder))
    assert ["a.jsonl", "c.jsonl"] == [os.path.basename(file.path) for file in listing.files]
    assert (f"{folder}: skipped 2 hard links to other files of this input",) == listing.notices

    apart = list_inputs(config(first, folder / "b.jsonl"))
    assert [first] == [file.path for file in apart.files]
    assert (f"{folder / 'b.jsonl'}: 1 file is in an earlier input too and is scored once",) == apart.notices


def test_name_of_a_file_that_looks_like_a_glob_is_read_with_a_notice(folder: Path, config: MakeConfig) -> None:
    write(folder, "*.jsonl", "a.jsonl", "b.jsonl")

    listing = list_inputs(config(f"{folder}/*.jsonl"))

    assert [f"{folder}/*.jsonl"] == [file.path for file in listing.files]
    (notice,) = listing.notices
    assert f"{folder}/*.jsonl: read as the name of a file, though as a glob it matches 2 more" == notice
    assert ["*.jsonl", "a.jsonl", "b.jsonl"] == listed(config(folder), folder)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("in/**/*.parquet", "in/out/predictions/part-00000.parquet", True),
        ("in/**", "in/out/plan.json", True),
        ("in/*/*", "in/out/plan.json", True),
        ("in/*", "in/out/plan.json", False),
        ("in/*.json", "out/plan.json", False),
        ("*/*.json", "out/plan.json", True),
        ("in/link/*/*.json", "in/real/out/plan.json", True),
        ("in/real", "in/link/a.log", True),
        ("in/a[1].log", "in/a1.log", True),
        ("in/a.log", "in/a.log", True),
        ("gs://b/in/**/*.parquet", "gs://b/in/out/predictions/part-00000.parquet", True),
        ("gs://b/in", "gs://b/in/out/plan.json", True),
        ("gs://b/in/*.parquet", "gs://b/in/out/predictions/part-00000.parquet", False),
        ("gs://b/**", "plan.json", False),
    ],
)
def test_takes_in_says_whether_an_input_would_read_a_path(
    pattern: str, path: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "real").mkdir(parents=True)
    (tmp_path / "in" / "link").symlink_to("real")

    assert expected is takes_in(pattern, path)
    if "://" not in pattern:
        assert expected is takes_in(str(tmp_path / pattern), path)


@pytest.mark.parametrize(
    ("pattern", "output"), [("**/*.jsonl", "out"), ("**/*.jsonl", "new/out"), ("**", "out"), ("*/*/*.jsonl", "out")]
)
def test_output_that_a_glob_takes_in_is_refused(pattern: str, output: str, folder: Path, config: MakeConfig) -> None:
    write(folder, "a/b/x.jsonl")
    inside = config(f"{folder}/{pattern}", output=str(folder / output))
    plan, shards = make_plan(inside, "model")

    with pytest.raises(OutputError, match="inside an input"):
        prepare(inside.output, plan, shards)


def test_log_in_the_output_or_among_the_inputs_is_refused_by_name(folder: Path, config: MakeConfig) -> None:
    (source,) = write(folder, "a.jsonl")
    for inputs, log in [
        (folder / "a.jsonl", f"{config().output.directory}/job.log"),
        (folder / "a.jsonl", source),
        (folder, f"{folder}/log.jsonl"),
        (f"{folder}/*.jsonl", f"{folder}/log.jsonl"),
        (f"{folder}/a*", f"{folder}/a.log"),
    ]:
        with pytest.raises(OptionError, match="the log is") as refused:
            check_options(config(inputs, log_file=log))
        assert f"--log-file {log}" == refused.value.where
    check_options(config(folder, log_file=f"{folder}/job.log"))  # no file that the input would read


TABLES = {
    "_delta_log/00000000000000000000.json": ("Delta", "DeltaTable"),
    "metadata/v1.metadata.json": ("Iceberg", "StaticTable.from_metadata"),
    ".hoodie/hoodie.properties": ("Hudi", "HudiTable"),
}


@pytest.mark.parametrize("sign", TABLES)
@pytest.mark.parametrize("named", ["", "t", "t/*.parquet", "t/day=1", "t/data/*", "t/data/b.parquet", "**/*.parquet"])
def test_files_of_a_table_are_refused_with_the_command_that_exports_its_rows(
    sign: str, named: str, folder: Path, config: MakeConfig
) -> None:
    write(folder, f"t/{sign}", "t/a.parquet", "t/day=1/c.parquet", "t/data/b.parquet")

    with pytest.raises(InputError) as refused:
        list_inputs(config(folder / named))

    kind, reader = TABLES[sign]
    assert f"{kind} table" in refused.value.what
    assert str(folder / "t") == refused.value.where
    assert f'{reader}("{folder}/t' in str(refused.value.fix)
    assert "score t.parquet" in str(refused.value.fix)


def test_folder_called_metadata_makes_no_table(folder: Path, config: MakeConfig) -> None:
    write(folder, "metadata/columns.json", "a.jsonl", "_delta_log/notes.txt")

    assert ["a.jsonl", "metadata/columns.json"] == listed(config(folder), folder)
