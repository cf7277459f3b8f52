"""`python -m benchmarks.planning.small`: many files of a review each, scored against one file of the same reviews."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pyarrow.parquet as pq

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import JobError
from batch_scorer.planning.plan import make_plan
from batch_scorer.scoring.read import read as read_shard
from benchmarks.planning.__main__ import ROOT
from benchmarks.planning.corpora import FILES_A_FOLDER
from benchmarks.scoring.machine import machine

SHORT = 20  # words of a short review, the first ones of a long one
HEADINGS = ("files", "texts", "parts", "one file, parts", "CPU s", "one file, CPU s", "ratio", "s", "one file, s")


def _json(at: int, text: str) -> bytes:
    return json.dumps({"id": str(at), "text": text}).encode() + b"\n"


def _csv(at: int, text: str) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow((at, text))
    return line.getvalue().encode()


def _line(_: int, text: str) -> bytes:
    return text.encode() + b"\n"


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, 6, mtime=0)


# Kind -> suffix, header, a record, what is done to a file, options for many files and for one.
Kind = tuple[str, bytes, Callable[[int, str], bytes], Callable[[bytes], bytes], list[str], list[str]]
KINDS: dict[str, Kind] = {
    "jsonl": (".jsonl", b"", _json, bytes, ["--id-column", "id"], ["--id-column", "id"]),
    "csv": (".csv", b"id,text\n", _csv, bytes, ["--id-column", "id"], ["--id-column", "id"]),
    "txt": (".txt", b"", _line, bytes, [], ["--input-format", "lines"]),
    "jsonl.gz": (".jsonl.gz", b"", _json, _gzip, ["--id-column", "id"], ["--id-column", "id"]),
}


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Parquet with a column text, of reviews.")
@click.option("--files", type=click.IntRange(1), default=100_000, help="Number of files, and of reviews.")
@click.option("--kind", "kinds", type=click.Choice([*KINDS]), multiple=True, default=[*KINDS], help="Kind of files.")
@click.option("--texts", type=click.Choice(["long", "short"]), multiple=True, default=["long", "short"],
              help="The reviews as they are, or their first 20 words.")  # fmt: skip
@click.option("--only-read", is_flag=True, help="Plan and read alone, in one process: what is not scoring.")
@click.option("--rounds", type=click.IntRange(1), default=1, help="Times to score each, in turns; the least counts.")
@click.option(
    "--directory", type=click.Path(path_type=Path), metavar="DIR", help="Where files are created and deleted."
)
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", help="Directory for small.json and small.md.")
def main(
    data: Path, files: int, kinds: Sequence[str], texts: Sequence[str], only_read: bool, rounds: int,
    directory: Path | None, output: Path | None,
) -> None:  # fmt: skip
    """Score many files of one review each, and one file of the same reviews, with the shipped model and two workers.

    Processor time is that of the command and of all processes that it started.

    \b
    Example:
      python -m benchmarks.planning.small --data imdb_train.parquet --output results
    """
    column = pq.read_table(data, columns=["text"])["text"]
    results: dict[str, Any] = {"machine": machine(), "load": os.getloadavg()[0], "files": files, "runs": []}
    for length in texts:
        for kind in kinds:
            with tempfile.TemporaryDirectory(dir=directory) as place:
                reviews = (" ".join(column[at % len(column)].as_py().split()) for at in range(files))
                make(kind, (one if length == "long" else " ".join(one.split()[:SHORT]) for one in reviews), Path(place))
                results["runs"].append(
                    {"kind": kind, "texts": length, **compare(kind, Path(place), rounds, read if only_read else score)}
                )
                click.echo(json.dumps(results["runs"][-1]))
                if output:  # before the files are deleted, which takes as long as a run
                    output.mkdir(parents=True, exist_ok=True)
                    (output / "small.json").write_text(json.dumps(results, indent=2) + "\n")
                    (output / "small.md").write_text(markdown(results))
    click.echo(markdown(results))


def make(kind: str, reviews: Any, place: Path) -> None:
    """Writes each review to a file of its own, in folders in `place/many`, and all of them to one in `place/one`."""
    suffix, header, record, packed, _, _ = KINDS[kind]
    (place / "one").mkdir()
    whole = [header]
    for at, text in enumerate(reviews):
        folder, position = divmod(at, FILES_A_FOLDER)
        if position == 0:
            (place / f"many/{folder:04d}").mkdir(parents=True)
        data = record(at, text)
        (place / f"many/{folder:04d}/r{at:06d}{suffix}").write_bytes(packed(header + data))
        whole.append(data)
    (place / f"one/all{suffix}").write_bytes(packed(b"".join(whole)))


def compare(
    kind: str, place: Path, rounds: int, measure: Callable[[Path, Path, Sequence[str]], dict[str, float]]
) -> dict[str, Any]:
    """What both take, the least of each over `rounds`."""
    *_, many, one = KINDS[kind]
    found: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for name, options in (("many", many), ("one", one)):
            cost = measure(place / name, place / "out", options)
            found[name] = {key: min(value, found.get(name, cost)[key]) for key, value in cost.items()}
    return found


def score(inputs: Path, output: Path, options: Sequence[str]) -> dict[str, float]:
    """Scores a directory; returns parts, processor seconds of all processes, and seconds."""
    command = [sys.executable, "-m", "batch_scorer", "score", str(inputs), "--output", str(output), "--workers", "2"]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([*command, "--quiet", *options], cwd=ROOT, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        if status:
            said.seek(0)
            raise JobError("a run failed", where=" ".join(command), got=said.read().decode()[-500:])
    parts = len(list((output / "predictions").iterdir()))
    shutil.rmtree(output)
    return {"parts": parts, "cpu_s": used.ru_utime + used.ru_stime, "seconds": seconds}


def read(inputs: Path, output: Path, options: Sequence[str]) -> dict[str, float]:
    """The same of planning and reading alone, in this process; parts are those that there would be."""
    asked = dict(zip((name[2:].replace("-", "_") for name in options[::2]), options[1::2], strict=True))
    start, used = time.perf_counter(), time.process_time()
    plan, shards = make_plan(ScoreConfig.of((str(inputs),), str(output), **asked), "0" * 12)
    for shard in shards:
        for _ in read_shard(shard, plan.fields):
            pass
    return {
        "parts": plan.shard_count,
        "cpu_s": time.process_time() - used,
        "seconds": time.perf_counter() - start,
    }


def markdown(results: Mapping[str, Any]) -> str:
    """The table as Markdown."""
    lines = [
        (
            run["kind"], run["texts"], f"{run['many']['parts']:,}", f"{run['one']['parts']:,}",
            f"{run['many']['cpu_s']:.1f}", f"{run['one']['cpu_s']:.1f}",
            f"{run['many']['cpu_s'] / run['one']['cpu_s']:.2f}",
            f"{run['many']['seconds']:.0f}", f"{run['one']['seconds']:.0f}",
        )
        for run in results["runs"]
    ]  # fmt: skip
    rules = ["---", "---", *["---:"] * (len(HEADINGS) - 2)]
    table = "".join(f"| {' | '.join(line)} |\n" for line in (HEADINGS, rules, *lines))
    ran = results["machine"]
    return f"""{table}
{results["files"]:,} files of a review each. Machine: {ran["processor"]}, {ran["cores"]} cores, with a load of
{results["load"]:.1f} at the beginning.
"""


if __name__ == "__main__":
    main()
