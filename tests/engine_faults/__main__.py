"""What happens to a job on a real cluster of Flink or Spark when something dies: `python -m tests.engine_faults`.

Each trial starts a job, waits until all Python workers are in the middle of their shards, lets a fault strike, and
judges how the job ends, and what is there in the end: every row, once, byte for byte as a local job wrote it. A job
that ended is resumed first, on the same engine or by local processes. The clusters are those that `deploy/flink` and
`deploy/spark` start.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from batch_scorer.runs import layout
from benchmarks.engines.ways import BUCKET, PORTABLE, ROOT, SCORE
from tests.chaos import corpora
from tests.chaos.gate import INSIDE, PLAIN
from tests.chaos.jobs import Ended, Job
from tests.chaos.verdict import Content, compare, content
from tests.engine_faults.faults import FAULTS, LOCAL, OTHER, SAME, TOLD, Fault
from tests.engine_faults.grounds import Cluster, Store
from tests.processes import GUARD_S, wait_until

RECORDS, SHARD_ROWS = 1_000, 25
END_SECONDS = 600.0  # after a fault: an engine may wait minutes for what is gone
HEADINGS = ("engine", "fault", "times", "went on, exit 0", "exit 1, with a message", "killed",
            "byte-identical in the end", "rows lost", "rows duplicated")  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What a trial showed.

    Args:
        resumed: by what it was resumed, empty if it was not.
        problems: what should not be so, in words.
        lost, doubled: rows.
    """

    engine: str
    fault: str
    code: int | None
    resumed: str
    lost: int
    doubled: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Trials:
    """What all trials have in common.

    Args:
        words: inputs and options of `score`, but for the output.
        whole: what an undisturbed job wrote.
    """

    folder: Path
    words: tuple[str, ...]
    whole: Content
    store: Store

    def run(self, cluster: Cluster, fault: Fault, number: int) -> Result:
        """One trial; the cluster is whole again afterwards."""
        place = self.folder / f"{number}"
        output, stored = place / "out", f"s3://{BUCKET}/{cluster.engine}-{number}"
        words = [*self.words, "--output", stored if fault.stored else str(output)]
        cluster.shut()
        job = Job(cluster.command(words), output, place)
        problems = []
        if fault.stored:
            cluster.gate.open()
            wait_until(lambda: bool(layout.finished_shards(stored)) or not job.is_running())
        else:
            wait_until(lambda: len(cluster.gate.waiting()) > 1 or not job.is_running())
        if job.is_running():
            fault.strike(cluster, job, self.store)
        else:
            problems.append("it ended before the fault could strike")
        cluster.gate.open()
        ended = job.end(END_SECONDS)
        problems += wrong(fault, cluster.engine, ended)
        if fault.stops and cluster.states()[-1:] not in ([], ["CANCELED"]):
            problems.append(f"Flink went on with the job: {cluster.states()}")
        resumed = ""
        if ended.code != 0:
            resumed = fault.resumed
            again = {
                SAME: cluster.command(words),
                OTHER: [*PORTABLE, {"flink": "spark", "spark": "flink"}[cluster.engine], *words],
                LOCAL: [*SCORE, *words, "--workers", "1"],
            }[resumed]
            at = again.index("--") if "--" in again else len(again)
            ran = Job([*again[:at], "--resume", *again[at:]], output, place / "again", _local()).end(END_SECONDS)
            problems += [] if ran.code == 0 else [f"--resume ended with {ran.code}: {ran.said}"]
        if fault.stored:
            self.store.copy(stored, output)
        loss = compare(self.whole, content(output), RECORDS, 0)
        cluster.start()
        every = (*problems, *loss.problems)
        return Result(cluster.engine, fault.name, ended.code, resumed, loss.lost, loss.doubled, every)


def wrong(fault: Fault, engine: str, ended: Ended) -> list[str]:
    """What should not be so about the end of a job on `engine` that the fault has struck."""
    code, said = (1, TOLD) if engine == fault.gives_up and ended.code == 1 else fault.ends
    found = [] if ended.code == code else [f"exit code {ended.code}, expected {code}: {ended.said[-2000:]}"]
    if not re.search(said, ended.said) or "Traceback" in ended.said:
        found.append(f"it said {ended.said[-2000:]}")
    return found + [f"left over: {name}" for name in ended.left]


def _local() -> Mapping[str, str]:
    """The environment of a job on this machine."""
    return {"PYTHONPATH": f"{INSIDE}{os.pathsep}{ROOT}", **PLAIN}


def table(results: Sequence[Result]) -> str:
    """The results, as Markdown."""
    lines = [HEADINGS, ("---", "---", *(["--:"] * (len(HEADINGS) - 2)))]
    kinds = list(dict.fromkeys((result.engine, result.fault) for result in results))
    for engine, fault in [*sorted(kinds), ("all", f"{len({name for _, name in kinds})} kinds")]:
        rows = [one for one in results if engine == "all" or (one.engine, one.fault) == (engine, fault)]
        codes = [one.code for one in rows]
        ends = (codes.count(0), codes.count(1), codes.count(-signal.SIGKILL))
        right = sum(not one.problems for one in rows)
        cells = (len(rows), *ends, right, sum(one.lost for one in rows), sum(one.doubled for one in rows))
        lines.append((engine.capitalize() if engine != "all" else engine, fault, *map(str, cells)))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _whole(folder: Path, words: Sequence[str]) -> Content:
    """What an undisturbed job of this machine writes."""
    output = folder / "whole"
    ended = Job([*SCORE, *words, "--output", str(output), "--workers", "1"], output, folder, _local()).end(GUARD_S)
    if ended.code != 0:
        raise click.ClickException(f"the undisturbed job failed: {ended.said}")
    return content(output)


@click.command(context_settings={"show_default": True})
@click.option("--engine", "engines", multiple=True, type=click.Choice(["flink", "spark"]), help="Only this one.")
@click.option("--fault", "names", multiple=True, type=click.Choice([f.name for f in FAULTS]), help="Only this one.")
@click.option("--times", default=1, help="How often each fault strikes.")
@click.option("--add", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Keep the results there, as JSON, with those that are there already.")  # fmt: skip
def main(engines: tuple[str, ...], names: tuple[str, ...], times: int, add: Path | None) -> None:
    """Let each fault strike a job on each engine; fail if anything is lost, doubled, or not said. Linux only."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # stops the cluster first
    told: list[dict[str, Any]] = json.loads(add.read_text()) if add and add.exists() else []
    results = [Result(**{**one, "problems": tuple(one["problems"])}) for one in told]
    with tempfile.TemporaryDirectory(prefix="batch-scorer-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        corpus = corpora.parquet(folder, RECORDS)
        given = ("--model", corpora.small_model(folder), "--run-id", corpora.RUN_ID, "--shard-rows", SHARD_ROWS)
        words = tuple(map(str, (*corpus.inputs, *given, "--max-error-rate", 0.1, *corpus.options)))
        store = stack.enter_context(Store(folder))
        trials = Trials(folder, words, _whole(folder, words), store)
        for engine in engines or ("flink", "spark"):
            for restarts in (True, False):
                faults = [f for f in FAULTS if f.restarts == restarts and (not names or f.name in names)]
                if not faults:
                    continue
                cluster = Cluster(engine, restarts, folder / f"{engine}-{restarts}")
                try:
                    cluster.start()
                    for fault in faults * times:
                        results.append(trials.run(cluster, fault, len(results)))
                        click.echo(f"{engine}, {fault.name}: {'; '.join(results[-1].problems) or 'as it should be'}")
                        if add:
                            add.write_text(json.dumps([asdict(one) for one in results], indent=1) + "\n")
                finally:
                    cluster.stop()
    click.echo(table(results))
    sys.exit(any(result.problems for result in results))


if __name__ == "__main__":
    main()
