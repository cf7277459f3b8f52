"""Trials: a job, a fault at a random moment, a repair, `--resume`; sometimes a fault strikes that run too."""

from __future__ import annotations

import dataclasses
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import disk
from tests.chaos.faults import FAULTS, PATIENCE_S, Fault, Scene
from tests.chaos.gate import COMMAND, Gate
from tests.chaos.jobs import PROGRAM, Ended, Job, Order, count_markers
from tests.chaos.verdict import Content, compare, complaints, content

# Only a guard against a job that hangs: however busy the machine is, no job takes as long.
START_SECONDS = 600.0  # until a fault can strike
RUN_SECONDS = 1_200.0  # for a job that nobody disturbs


@dataclass(frozen=True)
class Undisturbed:
    """A run of an order that nothing disturbed.

    Args:
        shards: how many the plan has.
        first_s: seconds until the first of them was done.
    """

    content: Content
    shards: int
    first_s: float


@dataclass(frozen=True)
class Moment:
    """When to strike: `seconds` after an event.

    Args:
        event: the `start` of the command, `planned`, a `worker` is there, or `shard`: so many more are done; or
            `scoring` or `loading`: every process of the job that scores waits there, at a `Gate`, for the fault.
        stay: whether the processes that the fault leaves alone keep waiting.
    """

    event: str
    shards: int = 0
    seconds: float = 0.0
    stay: bool = False

    @property
    def at_gate(self) -> bool:
        """Whether the job waits for the fault."""
        return self.event in ("scoring", "loading")

    def __str__(self) -> str:
        event = f"{self.shards} shards" if self.shards else self.event
        return f"{event} + {self.seconds:.2f} s"


@dataclass(frozen=True)
class Struck:
    """One fault and its consequences.

    Args:
        done, shards: shards that were done when it struck, of how many.
        code: exit code of the job.
        end_s: from the fault to the end of the job.
        said: what the job said on both outputs.
        identical: whether the output in the end, resumed or not, is that of an undisturbed run; with the rows that it
            lacks or has twice.
        problems: in words.
    """

    fault: str
    variant: str
    corpus: str
    workers: int
    moment: str
    done: int
    shards: int
    code: int | None
    end_s: float
    said: str
    identical: bool = False
    lost: int = 0
    doubled: int = 0
    problems: tuple[str, ...] = ()

    @property
    def midway(self) -> bool:
        """Whether it struck in the middle of scoring."""
        return 0 < self.done < self.shards


class Ground:
    """Where trials take place; knows the undisturbed run of each order.

    Args:
        folder: for outputs, which are deleted once they are judged.
        kept: for the outputs of trials that went wrong.
        patience_s: how long a job may take to end after a fault.
    """

    def __init__(self, folder: Path, kept: Path, patience_s: float = PATIENCE_S) -> None:
        self._folder, self._kept, self._patience_s = folder, kept, patience_s
        self._undisturbed: dict[str, Undisturbed] = {}

    def undisturbed(self, order: Order) -> Undisturbed:
        """The undisturbed run of an order; the number of workers does not change its bytes.

        Raises:
            AssertionError: it does not end well.
        """
        name = order.corpus.name
        if name not in self._undisturbed:
            output, place = self._folder / f"{name}-undisturbed", self._folder / f"{name}-place"
            start = time.monotonic()
            job = Job(order.command(output), output, place)
            job.wait_for(lambda: job.markers() > 0, RUN_SECONDS)
            first_s = time.monotonic() - start
            ended = job.end(RUN_SECONDS)
            assert ended.code == 0, ended.said
            self.take_undisturbed(order, output, first_s)
            shutil.rmtree(output)
            shutil.rmtree(place)
        return self._undisturbed[name]

    def take_undisturbed(self, order: Order, output: Path, first_s: float = 0.0) -> None:
        """Takes `output` as the undisturbed run of an order."""
        whole = content(output)
        loss = compare(whole, whole, order.corpus.records, order.corpus.unreadable)
        assert not loss.problems, loss.problems
        self._undisturbed[order.corpus.name] = Undisturbed(whole, count_markers(output), first_s)

    def trial(
        self, order: Order, faults: Sequence[Fault], rng: random.Random, moments: Sequence[Moment] = ()
    ) -> tuple[Struck, ...]:
        """Scores an order while the faults strike, one in each run, until the job finishes before the next one can.

        Args:
            moments: when each of them strikes; by default, at random.
        """
        whole = self.undisturbed(order)
        with self._place(order, faults) as (place, output):
            struck: list[Struck] = []
            for number, fault in enumerate(faults):
                (place / str(number)).mkdir()
                moment = moments[number] if moments else None
                moment = moment or choose_moment(fault, whole, count_markers(output), rng, order.workers)
                one = self._strike(order, fault, whole, output, place / str(number), rng, moment, bool(struck))
                if one is None:
                    break
                if one.code == 0:
                    one = _judged(one, whole, output, order)
                struck.append(one)
            if struck and struck[-1].code != 0:
                problems = self.resume(order, output, place / "last")
                struck[-1] = _judged(struck[-1], whole, output, order, problems)
            for i, one in enumerate(struck[:-1]):  # what the last run came to, they came to
                struck[i] = dataclasses.replace(one, identical=struck[-1].identical)
            if any(one.problems for one in struck):
                self._keep(place, struck)
        return tuple(struck)

    def _strike(
        self,
        order: Order,
        fault: Fault,
        whole: Undisturbed,
        output: Path,
        place: Path,
        rng: random.Random,
        moment: Moment,
        resume: bool,
    ) -> Struck | None:
        """Runs the job until it ends, one way or another; None if it ended before the fault could strike."""
        before = count_markers(output)
        more = ("--resume", *fault.options) if resume else fault.options
        gate = Gate(place / "gate", "loading" if moment.event == "loading" else "scoring") if moment.at_gate else None
        environment = {**(gate.environment if gate else {}), **fault.environment(place, rng)}
        command = order.command(output, *more, program=COMMAND if gate else PROGRAM)
        job = Job(command, output, place, environment)
        scene = Scene(job, order, place, rng)
        try:
            if not job.wait_for(lambda: _has_come(moment, job, before, gate, order.workers), START_SECONDS):
                return _unstruck(order, whole, moment, job.end(RUN_SECONDS))
            time.sleep(moment.seconds)
            if not job.is_running():
                return _unstruck(order, whole, moment, job.end(RUN_SECONDS))
            scene.done = job.markers()
            with fault.strike(scene):
                struck_at = time.monotonic()
                if gate:
                    (gate.wake_watch if moment.stay else gate.open)()
                ended = job.end(self._patience_s + 5)
                untrue = _untrue_success(ended, whole, output, order)
        finally:
            job.kill()
        complained = complaints(ended, fault, output, struck_at, self._patience_s)
        return Struck(
            fault=fault.name,
            variant=scene.variant,
            corpus=order.corpus.name,
            workers=order.workers,
            moment=str(moment),
            done=scene.done,
            shards=whole.shards,
            code=ended.code,
            end_s=round(ended.at - struck_at, 2),
            said=ended.said,
            problems=(*scene.complaints, *complained, *untrue),
        )

    def resume(self, order: Order, output: Path, place: Path) -> tuple[str, ...]:
        """Finishes a run, and returns what went wrong with that."""
        ended = Job(order.command(output, "--resume"), output, place).end(RUN_SECONDS)
        problems = (
            f"exit code {ended.code}: {ended.said}" if ended.code != 0 else "",
            f"left processes {ended.left}" if ended.left else "",
            f"left temporary files {ended.in_tmp}" if ended.in_tmp else "",
            "showed a traceback" if "Traceback" in ended.said else "",
        )
        return tuple(f"--resume: {problem}" for problem in problems if problem)

    @contextmanager
    def _place(self, order: Order, faults: Sequence[Fault]) -> Iterator[tuple[Path, Path]]:
        place = self._folder / "trial"
        place.mkdir()
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, place)
            (place / "disk").mkdir()
            if any(fault.disk for fault in faults) and disk.lacking() is None:
                stack.enter_context(disk.mounted(place / "disk"))
            yield place, place / "disk" / "out"

    def _keep(self, place: Path, struck: Sequence[Struck]) -> None:
        self._kept.mkdir(parents=True, exist_ok=True)
        number = len(list(self._kept.iterdir()))
        target = self._kept / f"{number:03d} {struck[-1].fault}"
        shutil.copytree(place, target)
        (target / "struck.txt").write_text("\n\n".join(map(str, struck)) + "\n", encoding="utf-8")


def choose_moment(fault: Fault, whole: Undisturbed, before: int, rng: random.Random, workers: int) -> Moment:
    """When to strike a run that begins with `before` shards finished."""
    left = whole.shards - before
    chance = rng.random()
    if fault.after == "early":
        return Moment("planned", 0, rng.uniform(0, 0.5))
    if fault.after == "loading" or (fault.after != "shard" and workers > 1 and chance < 0.1):
        return Moment("worker", 0, rng.uniform(0, 2.5))
    if fault.after == "start" and chance < 0.25:
        return Moment("start", 0, rng.uniform(0.05, whole.first_s))
    if fault.after in ("start", "planned") and (chance < 0.3 or not left):
        return Moment("planned", 0, rng.uniform(0, 1))
    if chance > 0.93:  # when the last shard is done, and the job has to come to its end
        return Moment("shard", left, rng.uniform(0, 0.5))
    return Moment("shard", min(left, rng.randint(1, max(1, left))), rng.uniform(0, 0.05))


def _has_come(moment: Moment, job: Job, before: int, gate: Gate | None, workers: int) -> bool:
    if gate:
        return len(gate.waiting()) == workers
    if moment.event == "start":
        return True
    if not job.is_planned():
        return False
    if moment.event == "worker":
        return bool(job.workers())
    return moment.event == "planned" or job.markers() >= before + moment.shards


def _unstruck(order: Order, whole: Undisturbed, moment: Moment, ended: Ended) -> Struck | None:
    """A job that ended before the fault could strike: None if it ended well, else a problem that we did not cause."""
    if ended.code == 0:
        return None
    return Struck(
        fault="none",
        variant="",
        corpus=order.corpus.name,
        workers=order.workers,
        moment=str(moment),
        done=0,
        shards=whole.shards,
        code=ended.code,
        end_s=0.0,
        said=ended.said,
        problems=(f"exit code {ended.code} before anything struck",),
    )


def _untrue_success(ended: Ended, whole: Undisturbed, output: Path, order: Order) -> tuple[str, ...]:
    """What is missing in spite of `_SUCCESS`, after a job that did not end well; it may have left drafts."""
    if ended.code == 0 or not (output / "_SUCCESS").exists():
        return ()
    found = dataclasses.replace(content(output), strangers=())
    loss = compare(whole.content, found, order.corpus.records, order.corpus.unreadable)
    return tuple(f"_SUCCESS exists, but {problem}" for problem in loss.problems)


def _judged(struck: Struck, whole: Undisturbed, output: Path, order: Order, problems: tuple[str, ...] = ()) -> Struck:
    """With a verdict on the output, compared with the undisturbed one."""
    loss = compare(whole.content, content(output), order.corpus.records, order.corpus.unreadable)
    return dataclasses.replace(
        struck,
        identical=not loss.problems,
        lost=loss.lost,
        doubled=loss.doubled,
        problems=(*struck.problems, *problems, *loss.problems),
    )


def draw(kinds: Sequence[str], workers: int | None, rng: random.Random) -> tuple[tuple[Fault, ...], int]:
    """A fault of the first of `kinds`, sometimes followed by another, and how many workers the job has."""
    faults = [FAULTS[kinds[0]]]
    if rng.random() < 0.25:
        faults.append(FAULTS[rng.choice(kinds)])
    return tuple(faults), workers or (2 if any(f.workers for f in faults) or rng.random() < 0.75 else 1)
