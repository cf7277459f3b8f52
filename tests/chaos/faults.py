"""The faults: what each does to a running job, how it is repaired, and how a job may end because of it.

A fault is a context manager: on entry it strikes; on exit its cause is repaired (or, with rot, more is damaged while
nobody is looking), after which `--resume` must finish the job.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import disk
from tests.chaos.gate import INSIDE, ROOT
from tests.chaos.jobs import Job, Order

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
PATIENCE_S = 60.0  # within which a job ends after a fault
HANG_S = 8  # --worker-timeout where a worker is to hang: long enough to load a model on a busy machine
MIB = 1 << 20


@dataclass
class Scene:
    """Where a fault strikes.

    Args:
        place: a directory of this job alone.
        done: shards that were done when it struck.
        variant: which form the fault took, for the record.
        complaints: what went wrong while the fault struck.
    """

    job: Job
    order: Order
    place: Path
    rng: random.Random
    done: int = 0
    variant: str = ""
    complaints: list[str] = field(default_factory=list)

    @property
    def output(self) -> Path:
        """Of the job."""
        return self.job.output


Strike = Callable[[Scene], AbstractContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Args:
        ends: the exit codes a job may end with, and what it must say then, as a regular expression.
        after: what must exist before it can strike: nothing but the `start`, the plan (`planned`), a `worker`, or a
            finished `shard`; `loading` strikes soon after a worker has started, `early` soon after the plan is written.
        workers: whether it strikes a worker process.
        disk: whether the output needs a disk of its own, where possible.
        options: of the command.
        environment: of the job, made in its directory.
        lacking: why it cannot be tried on this machine, or None.
    """

    name: str
    strike: Strike
    ends: Mapping[int, str]
    after: str = "start"
    workers: bool = False
    disk: bool = False
    options: tuple[str, ...] = ()
    environment: Callable[[Path, random.Random], Mapping[str, str]] = lambda place, rng: {}
    lacking: Callable[[], str | None] = lambda: None


@contextmanager
def driver_killed(scene: Scene) -> Iterator[None]:
    """SIGKILL for the driver, its workers at work or stopped."""
    if scene.rng.random() < 0.4:
        scene.variant = "workers stopped"
        for pid in scene.job.workers():
            scene.job.signal(signal.SIGSTOP, pid)
    scene.job.signal(signal.SIGKILL, scene.job.pid)
    yield


@contextmanager
def worker_killed(scene: Scene) -> Iterator[None]:
    """SIGKILL for one worker."""
    strike_worker(scene, signal.SIGKILL)
    yield


@contextmanager
def all_killed(scene: Scene) -> Iterator[None]:
    """SIGKILL for every process at once."""
    scene.job.signal(signal.SIGKILL)
    yield


@contextmanager
def terminated(scene: Scene) -> Iterator[None]:
    """SIGTERM, for the driver as `kill` sends it, or for every process as a service manager does."""
    scene.variant = scene.rng.choice(["driver", "all"])
    scene.job.signal(signal.SIGTERM, scene.job.pid if scene.variant == "driver" else None)
    yield


@contextmanager
def interrupted(scene: Scene) -> Iterator[None]:
    """Ctrl-C, once or twice: the terminal sends SIGINT to every process."""
    scene.job.signal(signal.SIGINT)
    if scene.rng.random() < 0.3:
        scene.variant = "twice"
        time.sleep(0.1)
        scene.job.signal(signal.SIGINT)
    yield


@contextmanager
def disk_full(scene: Scene) -> Iterator[None]:
    """The disk of the output has room for only a few more kilobytes, or files."""
    scene.variant = scene.rng.choice(["bytes", "bytes", "files"])
    room = scene.rng.choice([0, scene.rng.randint(0, 64), scene.rng.randint(0, 1_024)])
    disk.leave(scene.output.parent, **({"kibibytes": room} if scene.variant == "bytes" else {"files": room % 12}))
    yield
    disk.enlarge(scene.output.parent)


@contextmanager
def read_only(scene: Scene) -> Iterator[None]:
    """The output becomes read-only: its file system, or its directories where mounting is not allowed."""
    if disk.lacking() is None:
        scene.variant = "file system"
        with disk.read_only(scene.output.parent):
            yield
        return
    scene.variant = "rights"
    folders = [scene.output, *(path for path in scene.output.rglob("*") if path.is_dir())]
    modes = {folder: stat.S_IMODE(folder.stat().st_mode) for folder in folders}
    for folder in modes:
        folder.chmod(0o500)
    yield
    for folder, mode in modes.items():
        if folder.exists():
            folder.chmod(mode)


def no_read_only() -> str | None:
    """Why an output cannot be made read-only: root needs a file system of its own, since it writes past all rights."""
    return disk.lacking() if os.geteuid() == 0 else None


@contextmanager
def input_removed(scene: Scene) -> Iterator[None]:
    """An input disappears, and comes back."""
    path = _input(scene)
    aside = scene.place / "aside"
    path.rename(aside)
    yield
    aside.rename(path)


@contextmanager
def input_truncated(scene: Scene) -> Iterator[None]:
    """An input loses its end, in place or by being rewritten; it is restored with its date."""
    with _put_back(scene) as path:
        data = path.read_bytes()
        _write(scene, path, data[: scene.rng.randint(0, max(len(data) - 1, 0))])
        yield


@contextmanager
def input_replaced(scene: Scene) -> Iterator[None]:
    """An input becomes another of the same size, in place or by being rewritten; it is restored with its date."""
    with _put_back(scene) as path:
        data = path.read_bytes()
        other = data.replace(b"good", b"evil")
        _write(scene, path, other if other != data else data[::-1])
        yield


@contextmanager
def memory_limited(scene: Scene) -> Iterator[None]:
    """A worker may use hardly more memory than it does, or even less."""
    kind, line = scene.rng.choice([(resource.RLIMIT_AS, "VmSize:"), (resource.RLIMIT_DATA, "VmData:")])
    more = scene.rng.choice([-64, 0, 1, 8, 64]) * MIB
    scene.variant = f"{line[:-1]} {more // MIB:+} MiB"
    workers = scene.job.workers()
    try:
        pid = scene.rng.choice(workers)
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        (kibibytes,) = [line_.split()[1] for line_ in status.splitlines() if line_.startswith(line)]
        _, hard = resource.prlimit(pid, kind)
        resource.prlimit(pid, kind, (int(kibibytes) * 1024 + more, hard))
    except (IndexError, ValueError, OSError):
        scene.variant += ", too late"
    yield


@contextmanager
def worker_hangs(scene: Scene) -> Iterator[None]:
    """A worker stops and never continues."""
    strike_worker(scene, signal.SIGSTOP)
    yield


@contextmanager
def suspended(scene: Scene) -> Iterator[None]:
    """The whole job is stopped for longer than a worker may take for a step, and then continues."""
    scene.job.signal(signal.SIGSTOP)
    time.sleep(HANG_S + 3)
    scene.job.signal(signal.SIGCONT)
    yield


@contextmanager
def clock_jumps(scene: Scene) -> Iterator[None]:
    """The time of day jumps back and forth by days, in driver and workers."""
    faked = scene.place / "faketime"
    over = threading.Event()

    def jump() -> None:
        while not over.wait(0.3):
            _put(faked, f"{scene.rng.randint(-400, 400):+}d\n")

    thread = threading.Thread(target=jump)
    scene.variant = "all programs" if faked.exists() else "Python"
    (scene.place / "jumping").touch()
    if faked.exists():
        thread.start()
    try:
        yield
    finally:
        over.set()
        if thread.ident:
            thread.join()


@contextmanager
def rot(scene: Scene) -> Iterator[None]:
    """Everything is killed, and before the run is resumed, something finished is damaged."""
    scene.job.signal(signal.SIGKILL)
    yield
    output, rng = scene.output, scene.rng
    parts, markers = (sorted(output.glob(pattern)) for pattern in ("predictions/*", "shards/[0-9]*.json"))
    part, marker = rng.choice(parts), rng.choice(markers)
    scene.variant = rng.choice(
        ["bit of a part", "part cut", "part gone", "marker cut", "marker empty", "figure in a marker", "piece of plan"]
    )
    if scene.variant == "bit of a part":
        data = bytearray(part.read_bytes())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        part.write_bytes(data)
    elif scene.variant == "part cut":
        os.truncate(part, rng.randrange(part.stat().st_size))
    elif scene.variant == "part gone":
        part.unlink()
    elif scene.variant == "marker cut":
        os.truncate(marker, rng.randrange(marker.stat().st_size - 1))
    elif scene.variant == "marker empty":
        os.truncate(marker, 0)
    elif scene.variant == "figure in a marker":
        text = marker.read_text()
        at = rng.choice([i for i, letter in enumerate(text) if letter.isdigit()])
        marker.write_text(text[:at] + rng.choice([d for d in "123456789" if d != text[at]]) + text[at + 1 :])
    else:
        os.truncate(output / "plan/00000.jsonl", 100)


@contextmanager
def stale(scene: Scene) -> Iterator[None]:
    """Everything is killed, and drafts are left lying around as crashes leave them."""
    scene.job.signal(signal.SIGKILL)
    yield
    drafts = ["plan/.00000.jsonl.1.draft", ".plan.json.1.draft"]
    if (scene.output / "plan.json").exists():
        drafts += [".staging/00003-dead/predictions", ".staging/workers-dead/1", f".staging/workers-dead/{os.getpid()}"]
        drafts += ["shards/.00001.json.1.draft", ".manifest.json.1.draft", "._SUCCESS.1.draft"]
    for path in (scene.output / name for name in drafts):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0 7")


@contextmanager
def two_jobs(scene: Scene) -> Iterator[None]:
    """A second job starts on the same output, and must be refused while the first one runs."""
    scene.variant = scene.rng.choice(["--resume", "--overwrite"])
    second = Job(scene.order.command(scene.output, scene.variant), scene.output, scene.place / "second")
    ended = second.end(PATIENCE_S)
    scene.done = scene.job.markers()
    refused = ended.code == 2 and "another job is writing to this output" in ended.said
    if not refused and scene.job.is_running():
        scene.complaints.append(f"the second job was not refused: exit {ended.code}: {ended.said}")
    if ended.code == 0:
        scene.variant += ", too late"
    yield


def strike_worker(scene: Scene, number: signal.Signals) -> None:
    """Sends a signal to a worker, if there is one."""
    workers = scene.job.workers()
    if workers:
        scene.job.signal(number, scene.rng.choice(workers))
    else:
        scene.variant = "too late"


def jumping_clock(place: Path, rng: random.Random) -> Mapping[str, str]:
    """The environment of a job whose clock will jump: for all programs if libfaketime is installed, else for Python."""
    if FAKETIME.exists() and rng.random() < 0.5:
        _put(place / "faketime", "+0d\n")
        settings = ("NO_CACHE", "DONT_FAKE_MONOTONIC")
        return {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(place / "faketime"),
            "NO_FAKE_STAT": "1",
            **{f"FAKETIME_{name}": "1" for name in settings},
        }
    return {"PYTHONPATH": f"{INSIDE}{os.pathsep}{ROOT}", "CHAOS_CLOCK": str(place / "jumping")}


def _input(scene: Scene) -> Path:
    """One of the inputs, preferably one that still has reviews to score."""
    plan, done = scene.output / "plan/00000.jsonl", {int(path.stem) for path in scene.output.glob("shards/[0-9]*.json")}
    shards = [json.loads(line) for line in plan.read_text().splitlines()] if plan.exists() else []
    ahead = {path for shard in shards if shard["index"] not in done for path in shard["paths"]}
    files = scene.order.corpus.files
    return scene.rng.choice([path for path in files if str(path) in ahead] or files)


@contextmanager
def _put_back(scene: Scene) -> Iterator[Path]:
    """One of the inputs, which is restored with its date afterwards."""
    path = _input(scene)
    aside, date = scene.place / "aside", path.stat()
    shutil.copyfile(path, aside)
    yield path
    shutil.copyfile(aside, path)
    os.utime(path, ns=(date.st_atime_ns, date.st_mtime_ns))


def _write(scene: Scene, path: Path, data: bytes) -> None:
    scene.variant = scene.rng.choice(["in place", "rewritten"])
    if scene.variant == "in place":
        path.write_bytes(data)
    else:
        _put(path, data)


def _put(path: Path, data: bytes | str) -> None:
    draft = path.parent.parent / f"{path.name}.new"  # beside the folder, which may be an input
    draft.write_bytes(data if isinstance(data, bytes) else data.encode())
    draft.replace(path)


KILLED = {-signal.SIGKILL: ""}
DONE = {0: ""}
DIED = r"a worker died[\s\S]*SIGKILL"
STOPPED = {1: r"error: interrupted"}
STUCK = "a worker stopped responding"
LITTLE_MEMORY = "(?i)memory|a worker died|a worker stopped responding|can't start new thread"
CHANGED = {1: "an input has changed since the job was planned"}
HANG = ("--worker-timeout", str(HANG_S))

FAULTS = {
    fault.name: fault
    for fault in (
        Fault("driver killed", driver_killed, KILLED),
        Fault("worker killed", worker_killed, DONE | {1: DIED}, after="worker", workers=True),
        Fault("worker killed while loading", worker_killed, DONE | {1: DIED}, after="loading", workers=True),
        Fault("all killed", all_killed, KILLED),
        Fault("SIGTERM", terminated, DONE | STOPPED),
        Fault("Ctrl-C", interrupted, DONE | STOPPED),
        Fault("disk full", disk_full, DONE | dict.fromkeys((1, 2), "No space left on device"), disk=True,
              lacking=disk.lacking),
        Fault("output read-only", read_only,
              DONE | dict.fromkeys((1, 2), "Read-only file system|[Pp]ermission denied|no permission"), disk=True,
              lacking=no_read_only),
        Fault("input removed", input_removed, DONE | CHANGED | {2: "no input file matches"}),
        Fault("input truncated", input_truncated, DONE | CHANGED, after="planned"),
        Fault("input replaced", input_replaced, DONE | CHANGED, after="planned"),
        Fault("memory limit", memory_limited, DONE | {1: LITTLE_MEMORY}, after="worker",
              workers=True, options=HANG),
        Fault("worker hangs", worker_hangs, DONE | {1: STUCK}, after="worker", workers=True, options=HANG),
        Fault("worker hangs, default timeout", worker_hangs, DONE | {1: STUCK}, after="worker", workers=True),
        Fault("suspended", suspended, DONE, options=HANG),
        # Not earlier: gRPC's server starts by Python's clock and the machine's, which real jumps do not set apart.
        Fault("clock jumps", clock_jumps, DONE, after="shard", environment=jumping_clock),
        Fault("rot after a crash", rot, KILLED, after="shard"),
        Fault("stale drafts after a crash", stale, KILLED),
        Fault("two jobs", two_jobs, DONE, after="early"),
    )
}  # fmt: skip
