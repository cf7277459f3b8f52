"""Trials with a store: a job reads and writes through a proxy, which strikes; then `--resume`, and the verdict."""

from __future__ import annotations

import dataclasses
import os
import random
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import corpora, proxy
from tests.chaos.faults import PATIENCE_S, Fault
from tests.chaos.gate import INSIDE, PLAIN, ROOT
from tests.chaos.jobs import Ended, Job, Order, count_markers
from tests.chaos.proxy import Asked, Blow, Proxy
from tests.chaos.store_faults import FAULTS, Blower, StoreFault
from tests.chaos.trials import RUN_SECONDS, Struck
from tests.chaos.verdict import Content, Loss, compare, complaints, content
from tests.conftest import save_tiny
from tests.stubs import gcs, s3
from tests.stubs.both import add_bucket

BUCKET, CLAIM = "chaos", ".claim.json"
SCHEMES = ("s3", "gs")
SHARDS = 5


@dataclass(frozen=True)
class Place:
    """A store with a proxy before it, and the inputs in it."""

    scheme: str
    store: gcs.Store | s3.Store
    proxy: Proxy

    @property
    def environment(self) -> dict[str, str]:
        """What a job needs to find the store, and to lose patience with it sooner."""
        url = self.proxy.url
        return {
            **s3.KEYS,
            "AWS_ENDPOINT_URL_S3": url,
            "STORAGE_EMULATOR_HOST": url,
            "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA": "true",
            "PYTHONPATH": f"{INSIDE}{os.pathsep}{ROOT}",
            "CHAOS_HURRY": "1",
            **PLAIN,
        }

    def path(self, name: str) -> str:
        return f"{self.scheme}://{BUCKET}/{name}"

    def fetch(self, prefix: str, to: Path) -> Path:
        """All objects below a prefix, as files."""
        shutil.rmtree(to, ignore_errors=True)
        for name in self.store.names(BUCKET, f"{prefix}/"):
            target = to / name.removeprefix(f"{prefix}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.store.read(BUCKET, name))
        return to


@contextmanager
def places(schemes: tuple[str, ...]) -> Iterator[dict[str, Place]]:
    """The stores and their proxies, until the body ends."""
    with ExitStack() as stack:
        made = {}
        for scheme in schemes:
            store = stack.enter_context(gcs.serving() if scheme == "gs" else s3.serving())
            add_bucket(store, BUCKET)
            made[scheme] = Place(scheme, store, stack.enter_context(proxy.before(store.url)))
        yield made


class StoreGround:
    """Where trials take place; knows the undisturbed run in each store.

    Args:
        folder: for inputs, models and copies of outputs.
        kept: for the outputs of trials that went wrong.
        records: of the input.
        patience_s: how long a job may take to end after a fault.
    """

    def __init__(
        self, places: dict[str, Place], folder: Path, kept: Path, records: int, patience_s: float = PATIENCE_S
    ) -> None:
        self._places, self._folder, self._kept, self._patience_s = places, folder, kept, patience_s
        self._corpus = corpora.mixed(folder / "in", records)
        self._model, self._number = save_tiny(folder / "model"), 0
        self._undisturbed: dict[str, tuple[Content, int]] = {}
        self._shards: dict[str, int] = {}
        for place in places.values():
            for path in sorted((folder / "in/mixed").iterdir()):
                place.store.put(BUCKET, f"in/{path.name}", path.read_bytes())

    def trial(self, scheme: str, fault: StoreFault, rng: random.Random, workers: int = 1) -> Struck | None:
        """A job that a fault strikes, to its end; None if the job ended before."""
        place, order = self._places[scheme], self._order(scheme, workers)
        whole, requests = self._whole(scheme)
        first = rng.randint(1, requests)
        self._number += 1
        output, folder = f"out/{self._number}", self._folder / "trial"
        folder.mkdir()
        try:
            place.proxy.rest()
            place.proxy.checks_clock = fault.checks_clock
            done = _count_when_it_strikes(place, fault.arm(scheme, first, rng), f"{output}/shards/")
            start = time.monotonic()
            ended, others = self._run(order, place, output, folder, fault)
            struck = place.proxy.struck or fault.doubles or "CHAOS_CLOCK_OFF_S" in fault.environment
            place.proxy.rest()
            if not struck:
                return None
            local = place.fetch(output, folder / "found")
            problems = [*others, *_complaints(ended, fault, local, start, self._patience_s)]
            if ended.code != 0:
                problems += self._resume(order, place, output, folder)
                local = place.fetch(output, folder / "found")
            loss = self._judge(whole, local)
            one = Struck(
                fault=fault.name,
                variant=scheme,
                corpus=self._corpus.name,
                workers=workers,
                moment=f"request {first} of {requests}",
                done=next(iter(done), 0),
                shards=self._shards[scheme],
                code=ended.code,
                end_s=round(ended.at - start, 2),
                said=ended.said,
                identical=not loss.problems,
                lost=loss.lost,
                doubled=loss.doubled,
                problems=(*problems, *loss.problems),
            )
            if one.problems:
                self._keep(folder, one)
            return one
        finally:
            shutil.rmtree(folder)

    def _order(self, scheme: str, workers: int) -> Order:
        remote = dataclasses.replace(self._corpus, inputs=(f"{scheme}://{BUCKET}/in/",))
        return Order(remote, self._model, max(1, self._corpus.records // SHARDS), workers)

    def _whole(self, scheme: str) -> tuple[Content, int]:
        """What an undisturbed job in this store writes, and how many requests that takes."""
        if scheme not in self._undisturbed:
            place, folder = self._places[scheme], self._folder / f"{scheme}-undisturbed"
            place.proxy.rest()
            job = Job(self._order(scheme, 1).command(place.path("whole")), folder, folder, place.environment)
            ended = job.end(RUN_SECONDS)
            assert ended.code == 0, ended.said
            whole = content(place.fetch("whole", folder / "found"))
            loss = self._judge(whole, folder / "found")
            assert not loss.problems, loss.problems
            self._undisturbed[scheme] = whole, place.proxy.count
            self._shards[scheme] = count_markers(folder / "found")
        return self._undisturbed[scheme]

    def _judge(self, whole: Content, local: Path) -> Loss:
        return compare(whole, content(local), self._corpus.records, self._corpus.unreadable)

    def _run(
        self, order: Order, place: Place, output: str, folder: Path, fault: StoreFault
    ) -> tuple[Ended, tuple[str, ...]]:
        """Runs the job and whoever else belongs to the trial, and returns how it ended, with what went wrong beside."""
        command, environment = order.command(place.path(output)), {**place.environment, **fault.environment}
        job = Job(command, folder / "found", folder / "0", environment)
        other = Job(command, folder / "found", folder / "1", environment) if fault.doubles else None
        try:
            if fault.kills:
                job.wait_for(lambda: place.proxy.struck > 0, RUN_SECONDS)
                for pid in job.processes():
                    job.signal(9, pid)  # type: ignore[arg-type]
            ended = job.end(RUN_SECONDS)
            if other is None:
                return ended, ()
            second = other.end(RUN_SECONDS)
        finally:
            job.kill()
            if other:
                other.kill()
        winner, loser = (ended, second) if ended.code == 0 else (second, ended)
        if (winner.code, loser.code) != (0, 2):
            return winner, (f"two drivers ended with {winner.code} and {loser.code}: {loser.said}",)
        known = ("another job is writing to this output", "the output directory is not empty")
        return winner, () if any(words in loser.said for words in known) else (f"the second driver said {loser.said}",)

    def _resume(self, order: Order, place: Place, output: str, folder: Path) -> list[str]:
        command = order.command(place.path(output), "--resume")
        ended = Job(command, folder / "found", folder / "0", place.environment).end(RUN_SECONDS)
        problems = (
            f"exit code {ended.code}: {ended.said}" if ended.code != 0 else "",
            f"left processes {ended.left}" if ended.left else "",
            f"left temporary files {ended.in_tmp}" if ended.in_tmp else "",
            "showed a traceback" if "Traceback" in ended.said else "",
        )
        return [f"--resume: {problem}" for problem in problems if problem]

    def _keep(self, folder: Path, one: Struck) -> None:
        self._kept.mkdir(parents=True, exist_ok=True)
        target = self._kept / f"{len(list(self._kept.iterdir())):03d} {one.variant} {one.fault}"
        shutil.copytree(folder, target)
        (target / "struck.txt").write_text(f"{one}\n", encoding="utf-8")


def _count_when_it_strikes(place: Place, strikes: Blower, markers: str) -> list[int]:
    """Arms the proxy; the list gets the number of finished shards when the first request is struck."""
    done: list[int] = []

    def strike(asked: Asked) -> Blow | None:
        blow = strikes(asked)
        if blow and not done:
            done.append(len(place.store.names(BUCKET, markers)))
        return blow

    place.proxy.blow = strike
    return done


def _complaints(ended: Ended, fault: StoreFault, local: Path, start: float, patience_s: float) -> Iterator[str]:
    """What is wrong with how a job ended; how long it took is not judged, since it is timed from its start."""
    if ended.code == -9 and fault.kills:  # nobody deleted its temporary files; whoever resumes does
        ended = dataclasses.replace(ended, in_tmp=())
    if ended.code not in fault.ends and "error: " not in ended.said:
        yield f"exit code {ended.code}, expected one of {sorted(fault.ends)}, and no message"
    as_here = Fault(fault.name, lambda scene: ExitStack(), fault.ends)
    # Whoever is refused before there is a plan only has to run the same command again.
    said = ended.said if ended.code != 1 or (local / "plan.json").exists() else f"{ended.said}\n--resume"
    for one in complaints(dataclasses.replace(ended, said=said, at=start), as_here, local, start, patience_s):
        # A driver that is cut off after the end can't know that it came: it has to read the manifest.
        if "yet there is a _SUCCESS" not in one or not _BLIND.search(said):
            yield one
    if ended.code is not None and ended.code >= 0 and fault.name not in _CUT_OFF and (local / CLAIM).exists():
        yield "the claim was left"


_BLIND = re.compile(r"^  where: .*/manifest\.json$", re.MULTILINE)
_CUT_OFF = ("credentials expire", "store gone")  # the claim can't be deleted; it lapses


def schedule(schemes: tuple[str, ...], kinds: tuple[str, ...], rng: random.Random) -> Iterator[tuple[str, StoreFault]]:
    """Kinds of faults and the stores that they strike, for ever, each as often as another."""
    while True:
        for name in rng.sample(kinds or tuple(FAULTS), len(kinds or FAULTS)):
            for scheme in schemes:
                if scheme in FAULTS[name].schemes:
                    yield scheme, FAULTS[name]
