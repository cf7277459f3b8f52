"""Hostile input: the targets of the fuzzing over some hundred inputs, properties beyond bytes, every bug it found."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import InputError
from batch_scorer.formats import json_records
from batch_scorer.planning.plan import make_plan
from batch_scorer.runners.progress import ShardCounter
from batch_scorer.runs import layout, markers
from batch_scorer.scoring.read import Chunk
from tests.fuzz import loaders, printers, run
from tests.fuzz.__main__ import main
from tests.fuzz.case import ENDINGS, Case, compressed
from tests.fuzz.oracle import Unaccounted, scored
from tests.fuzz.targets import TARGETS, Target, input_of, named
from tests.processes import tied
from tests.scoring.test_read import read_all

MakeConfig = Callable[..., ScoreConfig]
INPUTS = 600  # over all targets; `python -m tests.fuzz` takes a hundred thousand


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A directory for the targets, in memory where there is such a thing: a disk would take most of the time."""
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=run.fast_directory()) as made:
        yield Path(made)


@pytest.mark.parametrize("target", [t for t in TARGETS if t.name != "parquet"], ids=lambda target: target.name)
def test_target_over_inputs_of_a_fixed_seed_has_no_crash_and_loses_no_record(target: Target, scratch: Path) -> None:
    for number in range(round(INPUTS * target.share)):
        target.check(input_of(target, 2, number), scratch)


def test_parquet_over_inputs_of_a_fixed_seed_has_no_crash_and_loses_no_record(tmp_path: Path) -> None:
    # In a process of its own: Arrow's C++ may end it.
    tally = run.run("parquet", 2, 40, tmp_path)

    assert ({}, 0, 0, 40) == (tally.ways, tally.crashes, tally.unaccounted, tally.inputs)
    assert 30 < tally.peak_mb < 500


def test_inputs_of_one_seed_are_the_same_again_and_of_another_seed_are_others() -> None:
    for target in TARGETS:
        first = [input_of(target, 1, number) for number in range(5)]
        assert first == [input_of(target, 1, number) for number in range(5)]
        assert first != [input_of(target, 2, number) for number in range(5)]


def test_oracle_of_lines_sees_a_record_that_is_lost(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"\0" * 8 + b"one\ntwo\nthree\n"
    named("lines").check(data, scratch)
    monkeypatch.setattr("batch_scorer.formats.text_lines.read_lines", lambda *_: iter([(0, b"one"), (4, b"two")]))

    with pytest.raises(Unaccounted, match="other records"):
        named("lines").check(data, scratch)


CHILD = """
import sys, time
from pathlib import Path
from tests.fuzz import run
from tests.fuzz.oracle import Unaccounted
from tests.fuzz.targets import Target

place, first, stop = sys.argv[sys.argv.index("--child") + 1 :]
place = Path(place)

def check(data, scratch):
    if data == b"3":
        {code}

run.input_of = lambda target, seed, number: str(number).encode()
run.child(Target("t", 1, None, check), 1, place, int(first), int(stop))
"""


@pytest.mark.parametrize(
    ("code", "way"),
    [
        ("import os; os.abort()", "SIGABRT: File"),
        ("raise ValueError('x')", "ValueError"),
        ("raise Unaccounted('lost: 1')", "Unaccounted lost"),
        ("(place.parent / 'hangs').touch(); time.sleep(3600)", "hangs: File"),
    ],
)
def test_run_in_which_an_input_fails_counts_it_and_goes_on(
    code: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The child is this program with another target in place of the one it is asked for.
    program = tmp_path / "child.py"
    program.write_text(CHILD.format(code=code))
    popen, hours, folder = subprocess.Popen, count(), tmp_path

    def instead(command: list[str], **given: Any) -> Any:
        nonlocal folder
        folder = Path(command[command.index("--child") + 1]).parent
        (folder / "hangs").unlink(missing_ok=True)  # the child before this one did
        words = [sys.executable, str(program), *command[command.index("--target") :]]
        return popen(tied(words), env={"PYTHONPATH": str(run.ROOT)}, **given)

    def clock() -> float:
        """Stands still until the child hangs, and makes a leap at each look from then on."""
        return 3_600.0 * next(hours) if (folder / "hangs").exists() else 0.0

    monkeypatch.setattr(run.subprocess, "Popen", instead)
    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=clock))

    tally = run.run("lines", 1, 6, None)

    (found,) = tally.ways
    assert found.startswith(way)
    assert (1, 3) == tally.ways[found]
    assert 1 == tally.crashes + tally.unaccounted


def test_guided_run_without_atheris_names_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert 2 == main(["--coverage-guided", "--target", "csv"])
    assert "atheris" in capsys.readouterr().err


# Properties: what must hold of any input of a shape, where bytes alone seldom have that shape.


def header(**chosen: int) -> bytes:
    """Eight bytes of options: compression, damage, place (of 65 536), shard_rows, encoding and delimiter, flags."""
    places = {"ending": 0, "damage": 1, "place": 2, "rows": 4, "encoding": 5, "flags": 6}
    made = bytearray(8)
    for name, value in chosen.items():
        at = places[name]
        made[at : at + (2 if name == "place" else 1)] = value.to_bytes(2 if name == "place" else 1, "big")
    return bytes(made)


@given(content=st.text(st.sampled_from('a",\n\r \ufeff\0'), max_size=40), rows=st.integers(0, 6))
@settings(max_examples=60)
def test_csv_of_any_quotes_and_line_ends_is_read_as_its_states_say(scratch: Path, content: str, rows: int) -> None:
    named("csv").check(header(rows=rows) + b"text,b\n" + content.encode(), scratch)


@given(content=st.binary(max_size=60), encoding=st.integers(0, 15), limited=st.booleans())
@settings(max_examples=40)
def test_any_bytes_behind_a_csv_header_are_accounted_for(
    scratch: Path, content: bytes, encoding: int, limited: bool
) -> None:
    delimiter = Case.of(header(encoding=encoding)).delimiter or ","
    data = header(encoding=encoding, flags=64 * limited) + f"text{delimiter}b\n".encode() + content
    named("csv").check(data, scratch)


@given(
    texts=st.lists(st.text(max_size=20), max_size=8),
    ending=st.integers(1, 3),
    damage=st.integers(0, 6),
    place=st.integers(0, 65_535),
)
@settings(max_examples=40)
@pytest.mark.parametrize("target", ["jsonl", "lines"])
def test_compressed_lines_damaged_anywhere_give_what_comes_before_and_one_unreadable(
    scratch: Path, target: str, texts: list[str], ending: int, damage: int, place: int
) -> None:
    lines = [json.dumps({"text": text}) if target == "jsonl" else text.replace("\n", " ") for text in texts]
    content = "".join(line + "\n" for line in lines).encode()
    named(target).check(header(ending=ending, damage=damage, place=place) + content, scratch)


@given(text=st.text())
@settings(max_examples=100)
def test_any_text_is_tokenized_and_shown(scratch: Path, text: str) -> None:
    printers.check_tokenizer(b"\0" + text.encode(), scratch)
    printers.check_terminal(b"\1" + text.encode(), scratch)


@given(depth=st.integers(1, 1_200), shape=st.sampled_from(["[]", '{"a":}']), stack=st.integers(0, 700))
@settings(max_examples=40)
def test_json_nested_to_any_depth_means_the_same_however_deep_the_caller_stands(
    depth: int, shape: str, stack: int
) -> None:
    middle = len(shape) - 1
    line = (shape[:middle] * depth + ("1" if len(shape) > 2 else "") + shape[middle:] * depth).encode()

    def outcome() -> str:
        try:
            return type(json_records.parse(line)).__name__
        except ValueError as error:
            return str(error)

    def deeper(levels: int) -> str:
        return outcome() if not levels else deeper(levels - 1)

    assert outcome() == deeper(stack)


# Bugs: one test for each that was found, with the smallest input that shows it.


def found(chunks: list[Chunk]) -> tuple[list[str], list[tuple[int | None, str]]]:
    """Texts, and offset and code of what was rejected."""
    texts = [text for chunk in chunks for text in chunk.texts]
    return texts, [(r.offset, r.code) for chunk in chunks for r in chunk.rejected]


def test_csv_whose_header_is_not_in_the_encoding_is_read(tmp_path: Path, config: MakeConfig) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,caf\xe9\na good film,1\n")
    assert (["a good film"], []) == found(read_all(config(tmp_path / "a.csv")))


def test_csv_with_a_byte_order_mark_in_another_encoding_has_its_first_column(
    tmp_path: Path, config: MakeConfig
) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbftext,id\ncaf\xe9,1\n")
    assert (["café"], []) == found(read_all(config(tmp_path / "a.csv", encoding="latin-1")))


def test_csv_of_which_every_line_opens_a_quote_is_read_in_linear_time(tmp_path: Path, config: MakeConfig) -> None:
    lines = 20_000
    (tmp_path / "a.csv").write_bytes(b"text,b\n" + b'a","\n' * lines)
    start = time.process_time()
    texts, rejected = found(read_all(config(tmp_path / "a.csv")))
    assert ([], [(i, "malformed_csv") for i in range(lines)]) == (texts, rejected)
    assert time.process_time() - start < 15  # it took a minute, and four for twice as many


def test_json_key_with_half_a_character_does_not_end_the_plan(
    jsonl_file: Callable[..., Path], config: MakeConfig
) -> None:
    path = jsonl_file({"text": "a"}, rb'{"\ud800": 1, "text": "b"}')
    assert (["a", "b"], []) == found(read_all(config(path)))


def test_json_of_many_keys_is_planned_in_linear_time() -> None:
    records = [{f"key {i}": 1, "text": "a"} for i in range(20_000)]
    start = time.process_time()
    assert 20_001 == len(json_records.infer_columns(records))
    assert time.process_time() - start < 15  # it took a minute


def test_json_key_of_endless_length_is_no_column() -> None:
    records = [{"x" * 100_000: {str(i): 1 for i in range(100)}, "text": "a"}]
    assert ["text"] == json_records.infer_columns(records).names


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".log", ".log.gz"])
@pytest.mark.parametrize(("data", "records"), [(b"\xef\xbb\xbf", 0), (b"\xef\xbb\xbf\n", 0), (b"\x0c\n", 1)])
def test_line_of_a_mark_or_a_form_feed_alone_counts_the_same_compressed_or_not(
    ending: str, data: bytes, records: int, tmp_path: Path, config: MakeConfig
) -> None:
    path = tmp_path / f"a{ending}"
    path.write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    texts, rejected = found(read_all(config(path, input_format="lines" if "log" in ending else None)))
    assert records == len(texts) + len(rejected)


STREAM = bz2.compress(b"".join(b"%d\n" % (i * 7919) for i in range(500)))


@pytest.mark.parametrize("second", [b"BZh9" + b"x" * 20, STREAM[:4] + b"\0" + STREAM[5:], STREAM[:9], b"x", b"more"])
def test_bzip2_file_damaged_at_its_second_stream_is_unreadable_there(
    second: bytes, tmp_path: Path, config: MakeConfig
) -> None:
    path = tmp_path / "a.log.bz2"
    path.write_bytes(bz2.compress(b"one\ntwo\n") + second)
    assert (["one", "two"], [(None, "unreadable")]) == found(read_all(config(path, input_format="lines")))


@pytest.mark.parametrize("ending", ENDINGS)
def test_empty_file_is_no_records_however_it_is_compressed(ending: str, tmp_path: Path, config: MakeConfig) -> None:
    path = tmp_path / f"a.jsonl{ending}"
    path.write_bytes(b"")
    assert ([], []) == found(read_all(config(path)))


@pytest.mark.parametrize("ending", [".gz", ".bz2"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_file_damaged_before_its_columns_are_seen_is_unreadable_and_refuses_no_job(
    kind: str, ending: str, tmp_path: Path, config: MakeConfig
) -> None:
    other, path = tmp_path / "good.jsonl", tmp_path / f"a.{kind}{ending}"
    other.write_text('{"text": "a", "id": "1"}\n')
    content = b"id,text\n" if kind == "csv" else b'{"text": "b"}\n' + b'{"text": "c", "id": 1}\n' * 99
    data = compressed(content, ending)
    path.write_bytes(data[: len(data) - 12])
    texts, rejected = found(read_all(config(other, path, id_column="id")))
    assert "a" == texts[0]
    assert [(None, "unreadable")] == rejected


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


BODIES = pa.array([{"c": "a good film"}, None])


@pytest.mark.parametrize(
    ("name", "column"),
    [("a.b.c", ("a.b", BODIES)), ("x.a.b", ("x", pa.array([{"a.b": "a good film"}, None]))), ("a.c", ("a", BODIES))],
)
def test_parquet_column_whose_name_holds_dots_is_read(
    name: str, column: tuple[str, pa.Array], tmp_path: Path, config: MakeConfig
) -> None:
    path = parquet(tmp_path / "a.parquet", **dict([column]))
    kept = (Kept(name, "kept"),)
    chunks = read_all(config(path, text_column=name, id_column=name, kept=kept))
    assert (["a good film"], [(1, "missing_text")]) == found(chunks)
    assert ["a good film"] == chunks[0].reviews["record_id"].to_pylist() == chunks[0].reviews["kept"].to_pylist()


@pytest.mark.parametrize("kind", [pa.binary(), pa.binary_view(), pa.binary(1)], ids=str)
def test_parquet_id_that_is_not_utf8_loses_no_review(kind: pa.DataType, tmp_path: Path, config: MakeConfig) -> None:
    path = parquet(tmp_path / "a.parquet", text=["a", "b"], id=pa.array([b"1", b"\xff"], kind))
    chunks = read_all(config(path, id_column="id"))
    assert (["a", "b"], []) == found(chunks)
    assert ["1", "0xff"] == chunks[0].reviews["record_id"].to_pylist()


def test_parquet_id_in_an_unknown_time_zone_is_refused_before_the_start(tmp_path: Path, config: MakeConfig) -> None:
    path = parquet(tmp_path / "a.parquet", text=["a"], id=pa.array([1], pa.timestamp("us", "Nowhere/At all")))
    with pytest.raises(InputError, match="cannot be written as text"):
        make_plan(config(path, id_column="id"), "0" * 12)


NESTED = [
    (pa.list_(pa.list_(pa.int8())), [[None, [1]], None, [[None]]]),
    (pa.list_(pa.map_(pa.string(), pa.int8())), [[None, [("a", 1)]], None, []]),
    (pa.map_(pa.string(), pa.list_(pa.int8())), [[("a", None)], None, [("b", [1])]]),
    (pa.large_list(pa.list_(pa.string())), [[None, ["x"]], None, []]),
    (pa.list_(pa.struct([("x", pa.list_(pa.int8()))])), [[{"x": None}, None], None, []]),
    (pa.string_view(), ["x", None, "y" * 40]),
    (pa.binary_view(), [b"x", None, b"\xff"]),
    (pa.list_(pa.string_view()), [["x", None], None, []]),
    (pa.struct([("x", pa.string_view())]), [{"x": "y"}, None, {"x": None}]),
]


@pytest.mark.parametrize(("kind", "values"), NESTED, ids=[str(kind) for kind, _ in NESTED])
def test_kept_column_of_any_type_comes_out_as_it_came(
    kind: pa.DataType, values: list[Any], scratch: Path, tmp_path: Path
) -> None:
    path = parquet(tmp_path / "a.parquet", text=["a", "?", "b"], kept=pa.array(values, kind))
    config = ScoreConfig.of((str(path),), output=str(scratch / "out"), kept=(Kept("kept", "other"),))
    rows, unreadable, (predictions,) = scored(*make_plan(config, "0" * 12), scratch)
    assert ([(str(path), i) for i in range(3)], 0) == (rows, unreadable)
    assert [values[0], values[2]] == predictions["other"].to_pylist()


FLIPS = """
import sys
from pathlib import Path
import pyarrow as pa, pyarrow.parquet as pq
from batch_scorer.config import ScoreConfig
from batch_scorer.errors import InputError
from batch_scorer.planning.plan import make_plan
from tests.fuzz.oracle import outcome_of

out = pa.BufferOutputStream()
pq.write_table(pa.table({"text": ["a good film", "b"]}), out, compression="none", store_schema=False)
good = out.getvalue().to_pybytes()
length = int.from_bytes(good[-8:-4], "little")
for bit in range(0, 8 * length, 3):
    data, at = bytearray(good), len(good) - 8 - length + bit // 8
    data[at] ^= 1 << bit % 8
    path = Path(sys.argv[1]) / f"{bit}.parquet"
    path.write_bytes(data)
    try:
        outcome_of(*make_plan(ScoreConfig.of((str(path),), output=sys.argv[1] + "/out"), "0" * 12))
    except InputError:
        pass
print("all")
"""


def test_parquet_footer_with_any_bit_flipped_ends_no_process(tmp_path: Path) -> None:
    # In a process of its own, since Arrow's C++ may end it.
    command = [sys.executable, "-X", "faulthandler", "-c", FLIPS, str(tmp_path)]
    done = subprocess.run(command, cwd=run.ROOT, capture_output=True, text=True, check=False)
    assert (0, "all\n") == (done.returncode, done.stdout), done.stderr[-3_000:]


def test_damaged_input_alone_is_a_row_in_errors_even_if_a_column_is_to_be_kept(
    tmp_path: Path, config: MakeConfig
) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 and no more")
    assert ([], [(None, "unreadable")]) == found(read_all(config(path, kept=(Kept("k", "k"),))))


@pytest.mark.parametrize(
    "change",
    [
        lambda marker: b"[" * 100_000,
        lambda marker: marker.replace(b'"rows": 3', b'"rows": 4', 1),
        lambda marker: marker.replace(b'"scored": 3', b'"scored": 2').replace(b'"rejected": 3', b'"rejected": 4'),
        lambda marker: marker.replace(b'"read": 0.5', b'"read": "0"'),
        lambda marker: marker.replace(b'"read": 6', b'"read": 1e999'),
        lambda marker: marker.replace(b'"score": 0.5', b'"other": 0.5'),
        lambda marker: marker[:-3],
        lambda marker: b"null",
    ],
)
def test_damaged_marker_is_none_and_does_not_stop_the_progress_bar(
    change: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    marker = loaders.marked(tmp_path)
    out, plan = str(tmp_path / "marked"), loaders.plan_of(1)
    assert 6 == ShardCounter(out, [6])()
    sound = markers.finished_shard(0, plan, out)
    assert sound is not None
    assert 6 == sound.counts.read
    damaged = change(marker)
    assert damaged != marker

    Path(layout.marker_path(out, 0)).write_bytes(damaged)

    assert markers.finished_shard(0, plan, out) is None
    assert 6 == ShardCounter(out, [6])()


def test_marker_of_another_shard_is_none(tmp_path: Path) -> None:
    marker = loaders.marked(tmp_path)
    out = str(tmp_path / "marked")
    Path(layout.marker_path(out, 1)).write_bytes(marker)
    assert markers.finished_shard(1, loaders.plan_of(2), out) is None
