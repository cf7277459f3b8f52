"""Special files, circular symlinks and confusing names: reported, refused or scored, but never lost."""

from __future__ import annotations

import contextlib
import datetime
import encodings.aliases
import glob
import itertools
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer import storage
from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import InputError, OptionError
from batch_scorer.planning import options
from batch_scorer.planning.listing import list_inputs
from batch_scorer.planning.plan import make_plan
from batch_scorer.scoring.read import read
from batch_scorer.storage import local
from tests.cli.test_main import score
from tests.conftest import write
from tests.jobs import rows, score_here

MakeConfig = Callable[..., ScoreConfig]


@pytest.fixture
def odd(folder: Path) -> Path:
    """A directory with two files and some special files."""
    write(folder, "a.jsonl", "sub/b.jsonl")
    os.mkfifo(folder / "pipe.jsonl")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(folder / "socket.jsonl"))  # a path of at most 108 bytes
    (folder / "null.jsonl").symlink_to("/dev/null")
    (folder / "gone.jsonl").symlink_to("nowhere.jsonl")
    (folder / "circle.jsonl").symlink_to("circle.jsonl")
    (folder / "up").symlink_to(folder)
    return folder


SKIPPED = {
    "1 named pipe (pipe.jsonl)",
    "1 socket (socket.jsonl)",
    "1 device (null.jsonl)",
    "1 broken symlink (gone.jsonl)",
    "1 circular symlink (circle.jsonl)",
}


@pytest.mark.parametrize(
    ("pattern", "more"),
    [("", {"1 symlinked directory (up)"}), ("*.jsonl", set()), ("**/*.jsonl", {"1 symlinked directory (up)"})],
)
def test_special_files_are_skipped_with_a_notice(pattern: str, more: set[str], odd: Path, config: MakeConfig) -> None:
    listing = list_inputs(config(f"{odd}/{pattern}"))

    expected = ["a.jsonl"] if pattern == "*.jsonl" else ["a.jsonl", "sub/b.jsonl"]
    assert expected == [os.path.relpath(file.path, odd) for file in listing.files]
    (notice,) = listing.notices
    head, _, said = notice.partition(": skipped ")
    assert (f"{odd}/{pattern}", SKIPPED | more) == (head, set(said.split(", ")))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("pipe.jsonl", "named pipe"),
        ("socket.jsonl", "socket"),
        ("null.jsonl", "device"),
        ("gone.jsonl", "broken symlink"),
        ("circle.jsonl", "circular symlink"),
    ],
)
def test_special_file_given_as_input_is_refused_by_its_kind(
    name: str, kind: str, odd: Path, config: MakeConfig
) -> None:
    with pytest.raises(InputError, match=f"the input is a {kind}") as refused:
        list_inputs(config(odd / name))

    assert str(odd / name) == refused.value.where
    assert ("write it to a file" in (refused.value.fix or "")) == (kind in ("named pipe", "socket", "device"))


def test_output_of_a_program_given_as_a_file_is_refused(config: MakeConfig) -> None:
    end, other = os.pipe()
    try:
        with pytest.raises(InputError, match="named pipe") as refused:
            list_inputs(config(f"/dev/fd/{end}", input_format="lines"))
    finally:
        os.close(end)
        os.close(other)
    assert "<(...)" in (refused.value.fix or "")


def test_glob_that_matches_nothing_but_a_pipe_says_so(folder: Path, config: MakeConfig) -> None:
    os.mkfifo(folder / "pipe.jsonl")

    with pytest.raises(InputError, match="no input file matches") as refused:
        list_inputs(config(f"{folder}/*.jsonl"))

    assert "1 named pipe (pipe.jsonl)" == refused.value.got


def test_unreadable_directory_is_skipped_with_a_notice(
    folder: Path, config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "a.jsonl", "closed/b.jsonl")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if os.path.basename(path) == "closed":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)

    listing = list_inputs(config(folder))

    assert (f"{folder}: skipped 1 unreadable directory (closed)",) == listing.notices
    assert ["a.jsonl"] == [os.path.basename(file.path) for file in listing.files]
    with pytest.raises(InputError, match="the directory cannot be listed") as refused:
        list_inputs(config(folder / "closed"))
    assert "check its permissions" == refused.value.fix


def test_long_names_of_skipped_files_are_shortened(folder: Path, config: MakeConfig) -> None:
    write(folder, "a.jsonl", f"b.{'x' * 200}")
    os.mkfifo(folder / f"{'p' * 200}.jsonl")

    (notice,) = list_inputs(config(folder)).notices

    assert len(notice) < len(str(folder)) + 200


@pytest.mark.parametrize("pattern", ["**/*.jsonl", "*/**/*.jsonl", "**/**/*.jsonl", "**/sub/**/*.jsonl", ""])
def test_circular_symlinks_give_each_file_once(pattern: str, folder: Path, config: MakeConfig) -> None:
    write(folder, "sub/a.jsonl", "sub/deep/b.jsonl")
    for place, target in (("loop", folder), ("sub/loop", folder), ("sub/deep/loop", folder / "sub")):
        (folder / place).symlink_to(target)

    listing = list_inputs(config(f"{folder}/{pattern}"))

    paths = [os.path.realpath(file.path) for file in listing.files]
    assert [str(folder / "sub/a.jsonl"), str(folder / "sub/deep/b.jsonl")] == sorted(paths)


@pytest.mark.parametrize("order", [1, -1])
def test_file_and_a_link_to_it_are_scored_once_with_a_notice(order: int, folder: Path, config: MakeConfig) -> None:
    (named,) = write(folder, "data/a.jsonl")
    (folder / "link.jsonl").symlink_to(named)
    (folder / "data/link.jsonl").symlink_to("a.jsonl")
    (folder / "folder").symlink_to("data")

    together = list_inputs(config(folder))
    apart = list_inputs(config(*[str(folder / "folder"), str(folder / "link.jsonl"), named][::order]))

    assert 1 == len(together.files) == len(apart.files)
    assert f"{folder}: skipped 2 symlinks to other files of this input" in together.notices[-1]
    assert 2 == sum("in an earlier input too" in notice for notice in apart.notices)


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A file this many directories below the current one. Deleted afterwards, which pytest could not do."""
    depth = 1_200
    monkeypatch.chdir(tmp_path)
    for _ in range(depth):
        os.mkdir("d")
        os.chdir("d")
    Path("a.jsonl").write_text("{}")
    os.chdir(tmp_path)
    yield depth
    os.remove("d/" * depth + "a.jsonl")
    os.removedirs("d/" * (depth - 1) + "d")


def test_tree_deeper_than_python_recurses_is_walked(deep: int) -> None:
    for pattern in (".", "**/*.jsonl", "**"):
        (file,) = storage.match(pattern)
        assert deep == file.path.count("d/")


SEGMENTS = ["*", "**", "a", "b", "?", "[ab]", ".*", "*.txt", "x.*", ".h", "c[1]", "c[[]1]", "_t", "**.txt", "."]


def test_globs_without_symlinks_match_what_the_library_matches(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        folder, "a/x.txt", "a/b/x.txt", "a/.h/x.txt", ".h/x.txt", ".h/a/y.txt", "b/_t/x.txt", "c[1]/x.txt", "c1/x.txt"
    )
    write(folder, "x.txt", ".x.txt", "_t/a/b/x.jsonl", "a/b/caf\udce9.txt", "b/a/b/a/z.txt")
    monkeypatch.chdir(folder)
    wrong = []
    for size in (1, 2, 3):
        for segments in itertools.product(SEGMENTS, repeat=size):
            for pattern in ("/".join(segments), f"{folder}/{'/'.join(segments)}"):
                if os.path.lexists(pattern):
                    continue
                expected = {path for path in glob.iglob(pattern, recursive=True) if os.path.isfile(path)}
                if expected != set(local.find(pattern).files):
                    wrong.append(pattern)
    assert [] == wrong


NAMES = [
    "line\nbreak.jsonl",
    "tab\tand\rreturn.jsonl",
    "bell\a and \x1b[31mred\x1b[0m.jsonl",
    "caf\udce9.jsonl",
    "star*.jsonl",
    "set[ab].jsonl",
    "what?.jsonl",
    "{braces}.jsonl",
    "-rf.jsonl",
    " blanks .jsonl",
    "right\u202eto left.jsonl",
    "nul-like \u2400 and \u2028.jsonl",
    "x" * 249 + ".jsonl",
    "#hash%20percent=equals;semicolon'quote\"double.jsonl",
]


@pytest.mark.parametrize("whole_directory", [True, False])
def test_files_with_confusing_names_are_all_scored(whole_directory: bool, folder: Path, config: MakeConfig) -> None:
    for number, name in enumerate(NAMES):
        (folder / name).write_text(f'{{"id": "{number}", "text": "a good film"}}\n{{"id": "bad"}}\n')

    job = config(
        *([folder] if whole_directory else [folder / name for name in NAMES]), id_column="id", max_error_rate=1
    )
    counts = score_here(job)["counts"]

    assert {"read": 28, "scored": 14, "rejected": 14, "unreadable": 0, "empty": 0} == counts
    shown = {str(number): f"{folder}/{name}".replace("\udce9", "\ufffd") for number, name in enumerate(NAMES)}
    assert shown == {row["record_id"]: row["source"] for row in rows(job.output.directory)}
    assert sorted(shown.values()) == sorted(row["source"] for row in rows(job.output.directory, "errors"))


def test_command_prints_no_confusing_name_raw(folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    for name in NAMES:
        (folder / name).write_text('{"text": "a good film"}\n')
    os.mkfifo(folder / "\x1b[2Jpipe.jsonl")

    result = score(folder, tiny_model, tmp_path / "out")

    assert 0 == result.exit_code
    assert "named pipe" in result.stdout + result.stderr
    assert [] == [sign for sign in ("\x1b[2J", "\x1b[31m", "\a", "\u202e") if sign in result.stdout + result.stderr]


def test_files_that_differ_in_brackets_only_are_not_confused(folder: Path, config: MakeConfig) -> None:
    for name, word in (("set[ab]", "good"), ("seta", "bad"), ("set[[]ab]", "film")):
        pq.write_table(pa.table({"text": [word], "id": [name]}), folder / f"{name}.parquet")

    job = config(folder, id_column="id")
    score_here(job)

    assert {"set[ab]": "good", "seta": "bad", "set[[]ab]": "film"} == {
        row["record_id"]: row["top_attended"][0]["token"] for row in rows(job.output.directory)
    }


def test_csv_header_longer_than_the_sample_is_read_whole(tmp_path: Path, config: MakeConfig) -> None:
    names = [*(f"column{i}" for i in range(40_000)), "text"]
    (tmp_path / "wide.csv").write_text(",".join(names) + "\n" + "1," * 40_000 + "a good film\n")

    job = config(tmp_path / "wide.csv")
    score_here(job)

    assert [3] == [row["n_tokens"] for row in rows(job.output.directory)]


def test_csv_header_with_very_many_columns_is_shown_in_part(tmp_path: Path, config: MakeConfig) -> None:
    (tmp_path / "wide.csv").write_text(",".join(f"column{i}" for i in range(20_000)) + "\n1\n")

    with pytest.raises(InputError, match="the column 'text' is missing") as refused:
        make_plan(config(tmp_path / "wide.csv"), "model")

    assert len(str(refused.value)) < 2_000
    assert "and 19,980 more" in (refused.value.got or "")


def _text_encodings() -> list[str]:
    """Every encoding that `--encoding` accepts."""
    names = []
    for name in sorted({*encodings.aliases.aliases.values(), "idna", "punycode", "palmos", "charmap", "undefined"}):
        with contextlib.suppress(OptionError):
            options._check_encoding(name, ("reviews.txt",))
            names.append(name)
    return names


@pytest.mark.parametrize(
    "name", ["idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf_7", "undefined", "hz"]
)
def test_encoding_that_is_not_for_text_is_refused(name: str) -> None:
    with pytest.raises(OptionError):
        options._check_encoding(name, ("reviews.txt",))


@pytest.mark.parametrize("kind", ["lines", "csv", "files"])
def test_any_bytes_in_any_encoding_are_read_or_rejected(kind: str, folder: Path, config: MakeConfig) -> None:
    random = np.random.default_rng(7)
    lines = [random.integers(0, 256, 60, np.uint8).tobytes().replace(b"\n", b"") for _ in range(40)]
    ending = {"lines": "log", "csv": "csv", "files": "txt"}[kind]
    (folder / f"in.{ending}").write_bytes(b"text\n" + b"\n".join(lines))
    names = _text_encodings()
    assert len(names) > 60

    for name in names:
        plan, shards = make_plan(config(folder, encoding=name, input_format=kind), "model")
        chunks = [chunk for shard in shards for chunk in read(shard, plan.fields)]
        rejected = [r for chunk in chunks for r in chunk.rejected]
        assert [] == [r.code for r in rejected if r.code == "unreadable"], name
        # Of CSV, fewer: random quotes hold lines together.
        assert (
            sum(len(chunk.texts) for chunk in chunks) + len(rejected) == (1 if kind == "files" else 41) or kind == "csv"
        )


def test_messages_about_kept_values_that_do_not_fit_show_no_value(folder: Path, config: MakeConfig) -> None:
    values = [1, 2.75, 2**70 + 12_345, "secret words", [98_765]]
    lines = [json.dumps({"text": "good", "k": value}) + "\n" for value in values]
    (folder / "in.jsonl").write_text(lines[0] + "\n" * 300_000 + "".join(lines[1:]))  # the type is that of the first
    late = datetime.datetime(9_876, 5, 4)
    pq.write_table(pa.table({"text": ["a"], "t": pa.array([1], pa.timestamp("ns"))}), folder / "a.parquet")
    pq.write_table(pa.table({"text": ["b"], "t": pa.array([late], pa.timestamp("us"))}), folder / "b.parquet")

    messages = []
    for pattern, name in (("in.jsonl", "k"), ("*.parquet", "t")):
        plan, shards = make_plan(config(f"{folder}/{pattern}", kept=(Kept(name, name),)), "model")
        chunks = [chunk for shard in shards for chunk in read(shard, plan.fields)]
        messages += [r.message for chunk in chunks for r in chunk.rejected]

    assert 5 == len(messages)
    micros = str(round(late.replace(tzinfo=datetime.UTC).timestamp()) * 1_000_000)
    for secret in ("2.75", "118059", "12345", "secret", "98765", micros[:6], "9876"):
        assert [] == [message for message in messages if secret in message.replace(str(folder), "")]
