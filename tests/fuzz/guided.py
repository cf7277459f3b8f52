"""The targets under atheris: libFuzzer looks for inputs that reach new code of batch_scorer; ours are the first.

In: a target and its seconds. Out: figures; inputs that failed lie in the corpus' directory under `failures`.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

_ROOT = Path(__file__).parent.parent.parent
_SEEDS = 300
_LONGEST = 1 << 16
_STATUS = re.compile(r"#(\d+)\s+(INITED|\S+)\s+cov: (\d+) ft: (\d+) corp: (\d+)/\S+")
_PEAK = re.compile(r"stat::peak_rss_mb:\s+(\d+)")
HANGS_AFTER_S = 60
MEMORY_MB = 4_096


@dataclass(frozen=True)
class Progress:
    """What libFuzzer says of a run: executions, edges and features covered, inputs in the corpus."""

    executions: int = 0
    edges: int = 0
    features: int = 0
    corpus: int = 0


def main(asked: argparse.Namespace) -> int:
    """Runs one target for so many seconds, in as many processes as die; 2 without atheris."""
    if importlib.util.find_spec("atheris") is None:
        print("coverage-guided runs need the package atheris: pip install atheris", file=sys.stderr)
        return 2
    if asked.target is None:
        print("say which: --target NAME", file=sys.stderr)
        return 2
    from tests.fuzz.run import fast_directory

    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=fast_directory()) as folder:
        corpus = asked.corpus or Path(folder) / "corpus"
        return _guided(asked.target, asked.seed, asked.seconds, corpus, Path(folder))


def _guided(target: str, seed: int, seconds: int, corpus: Path, scratch: Path) -> int:
    failures = corpus.parent / f"{corpus.name}.failures"
    for directory in (corpus, failures):
        directory.mkdir(parents=True, exist_ok=True)
    first, last, executions, peak, deaths = Progress(), Progress(), 0, 0, 0
    end = time.monotonic() + seconds
    while (left := int(end - time.monotonic())) > 0:
        words = ["--target", target, "--seed", str(seed + deaths)]
        words += ["--guided-child", str(corpus), str(failures), str(left), str(scratch)]
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz", *words],
            check=False,  # it dies where native code does
            cwd=_ROOT,
            capture_output=True,
            text=True,
            errors="replace",
        )
        steps = [Progress(*(int(m[i]) for i in (1, 3, 4, 5))) for m in _STATUS.finditer(done.stderr)]
        if not steps:
            print(done.stderr[-3_000:], file=sys.stderr)
            return 1
        first, last = first if first.edges else steps[0], steps[-1]
        executions += last.executions
        peak = max([peak, *map(int, _PEAK.findall(done.stderr))])
        if done.returncode:
            deaths += 1
            (failures / f"death-{deaths}.txt").write_text(done.stderr[-20_000:])
    told = Counter(json.loads(path.read_text())["way"] for path in failures.glob("*.json"))
    print("| target | seconds | executions | edges | features | corpus | failures | deaths | peak resident MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    print(f"| {target} | {seconds:,} | {executions:,} | {first.edges:,} to {last.edges:,} | {first.features:,} to "
          f"{last.features:,} | {last.corpus:,} | {len(told):,} | {deaths:,} | {peak:,} |")  # fmt: skip
    for way in told:
        print(f"{target}: {way}")
    return int(bool(told) or bool(deaths))


def child(target: str, corpus: str, failures: str, seconds: str, scratch: str) -> None:
    """The process in which libFuzzer runs; it does not return."""
    import atheris

    with atheris.instrument_imports(include=["batch_scorer"]):
        from tests.fuzz.run import failure
        from tests.fuzz.targets import input_of, named

    chosen = named(target)
    for number in range(_SEEDS):
        data = input_of(chosen, 0, number)
        (Path(corpus) / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    here = Path(tempfile.mkdtemp(dir=scratch))

    def check(data: bytes) -> None:
        try:
            chosen.check(data, here)
        except Exception as error:  # noted once for each way to fail, since libFuzzer would end here
            told = failure(error)
            path = Path(failures) / hashlib.sha256(told["way"].encode()).hexdigest()[:16]
            if not path.with_suffix(".json").exists():
                path.with_suffix(".bin").write_bytes(data)
                path.with_suffix(".json").write_text(json.dumps(told))

    def other(data: bytes, longest: int, seed: int) -> bytes:
        """Half of the time what libFuzzer does, half of it what we do."""
        from tests.fuzz.mutate import mutated

        rng = Random(seed)
        if rng.random() < 0.5:
            return bytes(atheris.Mutate(data, longest))
        return mutated(data, rng, lambda: chosen.make(rng))[:longest]

    words: list[Any] = [sys.argv[0], corpus, f"-max_total_time={seconds}", f"-max_len={_LONGEST}"]
    words += [f"-timeout={HANGS_AFTER_S}", f"-rss_limit_mb={MEMORY_MB}", "-print_final_stats=1"]
    words += [f"-artifact_prefix={failures}/"]
    atheris.Setup(words, check, custom_mutator=other)
    atheris.Fuzz()
