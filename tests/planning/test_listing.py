"""Inputs: which files an argument names, and what is refused before the start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import InputError, OutputError
from batch_scorer.planning.listing import list_inputs
from tests.conftest import write

MakeConfig = Callable[..., ScoreConfig]


def test_list_inputs_of_a_directory_takes_known_endings_and_skips_hidden_files(
    folder: Path, config: MakeConfig
) -> None:
    known = write(folder, "a.JSONL", "b.ndjson", "c.txt", "sub/d.parquet", "sub/e.pq")
    write(folder, "_SUCCESS", "_metadata.parquet", ".part.jsonl.crc", ".hidden.jsonl", ".git/f.jsonl")

    listing = list_inputs(config(folder))

    expected = list(zip(known, ["jsonl", "jsonl", "files", "parquet", "parquet"], strict=True))
    assert expected == [(file.path, kind) for file, kind in listing]
    assert () == listing.notices
    (summary,) = listing.summaries
    counts = {"input": str(folder), "formats": {"files": 1, "jsonl": 2, "parquet": 2}, "files": 5, "bytes": 70}
    assert {**counts, "fingerprint": summary["fingerprint"]} == summary


def test_list_inputs_of_a_directory_says_what_it_skipped(folder: Path, config: MakeConfig) -> None:
    write(folder, "a.jsonl", "b.xml", "c.xml", "d.xml", "README", "TODO", "_d.xml")

    skipped = f"{folder}: skipped 3 .xml files, 2 files without an ending (README)"
    assert (skipped,) == list_inputs(config(folder)).notices


def test_list_inputs_files_named_twice_are_scored_once_with_a_notice(folder: Path, config: MakeConfig) -> None:
    named = write(folder, "a.jsonl", "b.jsonl", "c.jsonl")

    listing = list_inputs(config(named[1], folder))

    assert [named[1], named[0], named[2]] == [file.path for file in listing.files]
    assert (f"{folder}: 1 file is in an earlier input too and is scored once",) == listing.notices


def test_list_inputs_with_a_format_given_takes_every_name_as_that(folder: Path, config: MakeConfig) -> None:
    named = write(folder, "a.json", "b.parquet", "c")

    listing = list_inputs(config(folder, input_format="jsonl"))

    assert [(path, "jsonl") for path in named] == [(file.path, kind) for file, kind in listing]


@pytest.mark.parametrize("name", ["a[1].jsonl", "_a.jsonl", ".a.jsonl"])
def test_list_inputs_unusual_name_that_exists_is_taken_literally(name: str, folder: Path, config: MakeConfig) -> None:
    write(folder, "a1.jsonl")
    (named,) = write(folder, name)

    assert [named] == [file.path for file in list_inputs(config(named)).files]


@pytest.mark.parametrize("change", ["content", "time", "name", "another"])
def test_list_inputs_of_changed_files_has_another_fingerprint(change: str, folder: Path, config: MakeConfig) -> None:
    path = Path(write(folder, "a.jsonl")[0])
    before = list_inputs(config(folder)).summaries
    if change == "content":
        path.write_text("longer than before\n")
    elif change == "time":
        path.touch()
    elif change == "name":
        path.rename(folder / "b.jsonl")
    else:
        write(folder, "b.jsonl")

    after = list_inputs(config(folder)).summaries

    assert before[0]["fingerprint"] != after[0]["fingerprint"]


@pytest.mark.parametrize(
    ("pattern", "what", "got"),
    [
        ("missing.jsonl", "no input file matches", "nothing"),
        ("*.jsonl", "no input file matches", "nothing"),
        ("", "no input file matches", "1 .log file"),
        ("a.log", "the name of an input does not show its format", None),
        ("*", "the name of an input does not show its format", None),
    ],
)
def test_list_inputs_that_name_nothing_known_are_refused(
    pattern: str, what: str, got: str | None, folder: Path, config: MakeConfig
) -> None:
    write(folder, "a.log")

    with pytest.raises(InputError, match=what) as refused:
        list_inputs(config(f"{folder}/{pattern}"))
    assert got == refused.value.got
    assert str(folder) in (refused.value.where or "")


@pytest.mark.parametrize("output", ["in", "in/out", "in/new/../deep/out", "link/out", "link"])
@pytest.mark.parametrize("pattern", ["in", "in/", "link"])
def test_list_inputs_output_inside_an_input_is_refused(
    pattern: str, output: str, folder: Path, config: MakeConfig, tmp_path: Path
) -> None:
    write(folder, "a.jsonl")
    (tmp_path / "link").symlink_to(folder)

    with pytest.raises(OutputError, match="the output is inside an input"):
        list_inputs(config(f"{tmp_path}/{pattern}", output=str(tmp_path / output)))


def test_list_inputs_input_inside_the_output_is_refused(folder: Path, config: MakeConfig, tmp_path: Path) -> None:
    write(folder, "a.jsonl")

    with pytest.raises(OutputError, match="an input is inside the output"):
        list_inputs(config(f"{tmp_path}/**/*.jsonl", output=str(folder)))


def test_list_inputs_that_are_the_output_itself_are_refused(folder: Path, config: MakeConfig) -> None:
    named = write(folder, "a.jsonl", "b.jsonl")

    with pytest.raises(OutputError, match="an input is inside the output") as refused:
        list_inputs(config(f"{folder}/*.jsonl", output=named[1]))
    assert f"input {named[1]}" == refused.value.got


@pytest.mark.parametrize("name", ["in/./a.jsonl", "in//a.jsonl", "in/../in/a.jsonl", "link/a.jsonl", "other.jsonl"])
@pytest.mark.parametrize("order", [1, -1])
def test_list_inputs_file_named_in_two_ways_is_listed_once(
    name: str, order: int, folder: Path, config: MakeConfig, tmp_path: Path
) -> None:
    write(folder, "a.jsonl")
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "other.jsonl").symlink_to(folder / "a.jsonl")
    inputs = [f"{tmp_path}/in/a.jsonl", f"{tmp_path}/{name}"]

    assert inputs[::order][:1] == [file.path for file in list_inputs(config(*inputs[::order])).files]
    assert 1 == len(list_inputs(config(*inputs, folder)).files)


@pytest.mark.parametrize(("pattern", "output"), [("in", "in-out"), ("in", "out"), ("in/a.jsonl", "in/out")])
def test_list_inputs_output_beside_an_input_is_fine(
    pattern: str, output: str, folder: Path, config: MakeConfig, tmp_path: Path
) -> None:
    write(folder, "a.jsonl")

    assert 1 == len(list_inputs(config(tmp_path / pattern, output=str(tmp_path / output))).files)


def test_list_inputs_without_an_output_lists_what_is_in_the_working_directory(
    folder: Path, config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "a.jsonl", "sub/b.jsonl")
    monkeypatch.chdir(folder)
    for pattern in (".", str(folder), "*/../**/*.jsonl"):
        assert 2 <= len(list_inputs(config(pattern, output="")).files), pattern


def test_list_inputs_output_inside_a_stores_folder_is_refused(config: MakeConfig) -> None:
    with pytest.raises(OutputError, match="the output is inside an input"):
        list_inputs(config("gs://bucket/in/", output="gs://bucket/in/out"))
