"""The runs: the same records scored in each way, here and in a store; and whether their parts are the same bytes."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from batch_scorer import storage
from batch_scorer.errors import EngineError, JobError
from benchmarks.engines import corpus
from benchmarks.engines.ways import KEYS, WAYS, Way, cluster, environment, run, store
from benchmarks.job import outputs
from benchmarks.job.reviews import Source
from benchmarks.job.sides import ROOT
from scripts.engine_versions import ENGINES, JavaEngine

RUN_ID = "engines"
PLACES = LOCAL, STORE = ("local disk", "s3://")


@dataclass(frozen=True)
class Settings:
    """What to score, and how.

    Args:
        reviews: records in all, of which one in `corpus.BAD_ONE_IN` is bad.
        shard_rows: records in a shard, about; None leaves the choice to the command.
        ways: their names, in the order of `WAYS`; the first one is what the others are compared with.
    """

    source: Source
    model: str
    reviews: int
    shard_rows: int | None
    ways: Sequence[str]

    def only(self, way: str) -> Settings:
        """The same for a single way."""
        return replace(self, ways=[way])


@dataclass(frozen=True)
class Result:
    """What one run wrote.

    Args:
        place: one of `PLACES`.
        seconds: of the complete command, from its start to its end; without the start of a cluster.
        counts: as in the manifest.
        parts: sha256 of every part as it lies there, by its path in the output.
    """

    way: str
    place: str
    seconds: float
    counts: Mapping[str, int]
    parts: Mapping[str, str]

    @property
    def digest(self) -> str:
        """One sha256 for all parts."""
        return hashlib.sha256("".join(f"{d}  {p}\n" for p, d in sorted(self.parts.items())).encode()).hexdigest()


def measure(settings: Settings, before: Sequence[Result], report: Callable[[str], None]) -> list[Result]:
    """Runs each way in each place, unless `before` has the result.

    Args:
        before: results of an earlier command with the same settings.
        report: called with a line of text at each step.

    Returns:
        All results, in the order of `WAYS` and `PLACES`.

    Raises:
        InputError: the reviews cannot be read.
        JobError: a run failed, or a cluster or the store does not start.
        EngineError: the parts are not the same everywhere.
    """
    found = {(result.way, result.place): result for result in before}
    with _folder() as folder, ExitStack() as stack:
        os.environ.update(KEYS)  # for our own look at the store
        inputs = [str(path) for path in corpus.write(settings.source, settings.reviews, folder)]
        bucket, beam_options = stack.enter_context(store(folder / "store.log"))
        for number, way in enumerate(WAYS[name] for name in settings.ways):
            missing = [place for place in PLACES if (way.name, place) not in found]
            if not missing:
                continue
            with cluster(way.cluster, folder / f"cluster-{number}") as submitting:
                for place in missing:
                    report(f"{way.name}, {place}")
                    output = f"{bucket if place == STORE else folder}/out-{number}"
                    options = beam_options if place == STORE else ()
                    words = [*inputs, *_options(settings, output)]
                    seconds = run(way.command(words, submitting, options), environment())
                    found[way.name, place] = look(way, place, seconds, output, options)
                    report(f"  {seconds:,.0f} s; parts {found[way.name, place].digest[:12]}")
    results = [found[name, place] for name in WAYS for place in PLACES if (name, place) in found]
    compare(results)
    return results


@contextmanager
def _folder() -> Iterator[Path]:
    """Always the same, since the parts name their inputs."""
    folder = Path(tempfile.gettempdir()) / "batch-scorer-engines"
    try:
        folder.mkdir()
    except FileExistsError as error:
        fix = "wait for the other benchmark that uses it, or delete it"
        raise JobError("the folder of the benchmark exists", where=str(folder), fix=fix) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _options(settings: Settings, output: str) -> list[str]:
    words = ["--output", output, "--model", settings.model, "--id-column", "id", "--run-id", RUN_ID]
    words += ["--max-error-rate", "0.05", "--quiet"]
    return [*words, *(["--shard-rows", str(settings.shard_rows)] if settings.shard_rows else [])]


def look(way: Way, place: str, seconds: float, output: str, beam_options: Sequence[str]) -> Result:
    """Reads what a run wrote."""
    storage.use_options(tuple(beam_options))
    counts, parts = outputs.look(output)
    return Result(way.name, place, seconds, counts, parts)


def compare(results: Sequence[Result]) -> None:
    """Checks that all results have the same parts, byte for byte, and the same counts.

    Raises:
        EngineError: they do not.
    """
    first = results[0]
    for result in results[1:]:
        where = f"{result.way}, {result.place}; compared with {first.way}, {first.place}"
        outputs.check_same(first, result, where)


def to_json(settings: Settings, results: Sequence[Result]) -> dict[str, Any]:
    """Settings and results, as in `engines.json`."""
    return {"settings": asdict(settings), "results": [asdict(result) for result in results]}


def from_json(told: Mapping[str, Any], settings: Settings) -> list[Result]:
    """The results in `engines.json`.

    Raises:
        EngineError: they are of other settings.
    """
    before = {name: value for name, value in told["settings"].items() if name != "ways"}
    asked = {name: value for name, value in asdict(settings).items() if name != "ways"}
    if before != asked:
        raise EngineError("the results are of another corpus or model", expected=str(asked), got=str(before))
    return [Result(**result) for result in told["results"]]


def version(way: str) -> str:
    """The version of the engine of a way, empty for a local one."""
    engine = ENGINES.get(way.split(",", maxsplit=1)[0].lower())
    if engine is None:
        return ""
    return f"{engine.version}; Beam {engine.beam}" if isinstance(engine, JavaEngine) else engine.version


def document(text: str, results: Sequence[Result], settings: Settings) -> str:
    """The page with its table replaced by that of the results.

    Raises:
        ValueError: the page does not have one.
    """
    return between(text, "benchmarks.engines", table(results, settings))


def between(text: str, name: str, new: str) -> str:
    """The page with `new` in place of what is between the remark with this name and the next remark `end`.

    Raises:
        ValueError: the page does not have them.
    """
    begin, end = f"<!-- {name} -->\n", "<!-- end -->\n"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"no table to replace: expected a line {begin.strip()} and a line {end.strip()}")
    return before + begin + "\n" + new + "\n" + end + after


def table(results: Sequence[Result], settings: Settings) -> str:
    """A sentence and a table, as Markdown."""
    counts, first = results[0].counts, results[0]
    sentence = (
        f"{settings.reviews:,} records, of which {counts['scored']:,} were scored and {counts['rejected']:,} rejected, "
        f"half of them as Parquet, half as gzipped CSV; {len(first.parts):,} parts, two workers.\n\n"
    )
    lines = ["| way | version | parts on local disk | parts on s3:// |", "|---|---|---|---|"]
    for way in WAYS:
        cells = {result.place: f"`{result.digest[:12]}`" for result in results if result.way == way}
        if cells:
            line = (way, version(way), *(cells.get(place, "") for place in PLACES))
            lines.append(f"| {' | '.join(line)} |")
    return sentence + "\n".join(lines) + "\n"


def page() -> Path:
    """Where the table stands."""
    return ROOT / "docs/engines.md"
