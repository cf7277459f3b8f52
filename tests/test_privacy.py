"""Privacy: the text of reviews is in the parts and nowhere else, and temporary files are private and gone after."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.jobs import rows

GOOD = 3_000
SECRETS = ("Zanzibar", "Quixotic", "Umbrella", "Vermouth", "Wisteria", "Xylophon", "Yosemite")


def lines() -> Iterator[bytes]:
    """Records of every kind that can be rejected, each with a secret in whatever it holds, and good ones."""
    for i in range(GOOD):  # more than are looked at to tell the types of `n` and `flag`
        secret = SECRETS[i % len(SECRETS)]
        yield json.dumps({"id": i, "text": f"a {secret} film, very good" + " " * 60, "n": i, "flag": True}).encode()
    yield b'{"text": "broken Zanzibar'
    yield b'"Quixotic"'
    yield b'{"text": ["Umbrella"]}'
    yield b'{"text": "Vermouth \xff"}'
    yield json.dumps({"text": "good Wisteria", "n": "Xylophon", "flag": True}).encode()
    yield json.dumps({"text": "good Wisteria", "n": 1, "flag": "Yosemite"}).encode()
    yield json.dumps({"text": "\ud800 Zanzibar"}).encode()
    yield json.dumps({"text": "Zanzibar " * 400}).encode()
    yield b'{"text": null, "about": "Zanzibar"}'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Those records as a file."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines()))
    return path


def run(source: Path, output: Path, *more: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a person runs it."""
    words = ("score", source, "--output", output, "--max-error-rate", 1, *more)
    command = [sys.executable, "-m", "batch_scorer", *map(str, words)]
    env = {**os.environ, **environment}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=env, timeout=300)


def job_options(tiny_model: Path, workers: int = 2) -> tuple[object, ...]:
    """Options for those records: two shards or more, and a limit that one of them passes."""
    keep = ("--keep", "n", "--keep", "flag")
    return ("--model", tiny_model, "--workers", workers, "--shard-rows", 800, "--max-text-bytes", 3_000, *keep)


@pytest.mark.parametrize("workers", [1, 2])
def test_debug_log_and_terminal_hold_no_word_of_the_reviews(
    workers: int, source: Path, tiny_model: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    more = ("--verbose", "--log-format", "json") if workers > 1 else ()
    job = run(source, tmp_path / "out", "--log-file", log, *more, *job_options(tiny_model, workers))
    written = log.read_text()
    assert (0, GOOD) == (job.returncode, len(rows(tmp_path / "out")))
    assert 9 == len(rows(tmp_path / "out", "errors"))
    assert ('"debug"' if more else "DEBUG") in written and 20 < len(written.splitlines())
    assert bool(more) == ('"event": "shard"' in job.stderr)
    for shown in (written, job.stdout, job.stderr):
        assert [] == [secret for secret in SECRETS if secret.lower() in shown.lower()]


def test_log_of_a_job_that_fails_holds_no_word_of_the_reviews(source: Path, tiny_model: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    fails = (
        "import sys\nfrom batch_scorer.cli import main as cli\n"
        "from batch_scorer.models import engine\nload = engine.load_engine\n"
        "def load_engine(*args):\n    made = load(*args)\n    made.run = lambda ids: ids.missing\n    return made\n"
        "engine.load_engine = load_engine\ncli.main(sys.argv[1:])\n"
    )
    words = ("score", source, "--output", tmp_path / "out", "--log-file", log, *job_options(tiny_model, 1))
    job = subprocess.run([sys.executable, "-c", fails, *map(str, words)], check=False, capture_output=True, text=True)
    assert 1 == job.returncode
    assert "the engine fails on every review of a batch" in job.stderr and "Traceback" not in job.stderr
    assert "Traceback" in log.read_text()
    for shown in (log.read_text(), job.stdout, job.stderr):
        assert [] == [secret for secret in SECRETS if secret.lower() in shown.lower()]


def test_no_excerpt_leaves_nothing_of_the_text_in_errors(source: Path, tiny_model: Path, tmp_path: Path) -> None:
    for name, more in (("with", ()), ("without", ("--no-excerpt",))):
        assert 0 == run(source, tmp_path / name, *job_options(tiny_model, 1), *more).returncode
    shown, hidden = (rows(tmp_path / name, "errors") for name in ("with", "without"))
    assert [row["code"] for row in shown] == [row["code"] for row in hidden]
    assert 7 <= sum(row["excerpt"] is not None for row in shown)
    assert {None} == {row["excerpt"] for row in hidden}
    for table in (shown, hidden):
        messages = " ".join(row["message"] for row in table)
        assert [] == [secret for secret in SECRETS if secret in messages]
    everything = "".join(p.read_text() for p in (tmp_path / "without").rglob("*.json*"))
    assert [] == [secret for secret in SECRETS if secret in everything]


def test_temporary_files_are_private_while_they_are_there_and_gone_after(
    source: Path, tiny_model: Path, tmp_path: Path
) -> None:
    temporary, output = tmp_path / "tmp", tmp_path / "out"
    temporary.mkdir()
    words = ("score", source, "--output", output, "--max-error-rate", 1, *job_options(tiny_model))
    command = [sys.executable, "-m", "batch_scorer", *map(str, words)]
    env = {**os.environ, "TMPDIR": str(temporary)}
    job = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    modes, end = set(), time.monotonic() + 120
    while job.poll() is None and time.monotonic() < end:
        for path in (*temporary.iterdir(), output / ".staging"):
            try:
                modes.add(path.stat().st_mode & 0o777)
            except FileNotFoundError:
                continue
        time.sleep(0.01)
    assert 0 == job.wait(timeout=10), job.stderr and job.stderr.read()
    assert job.stderr
    job.stderr.close()
    assert 0o700 in modes and modes <= {0o700, 0o600}
    assert [] == list(temporary.iterdir())
    assert {"predictions", "errors", "shards", "plan", "plan.json", "manifest.json", "_SUCCESS"} == {
        path.name for path in output.iterdir()
    }


def test_debug_log_over_5000_real_reviews_holds_none_of_their_sentences(imdb: Path, tmp_path: Path) -> None:
    source, log = imdb / "imdb_test_open.parquet", tmp_path / "log"
    job = run(source, tmp_path / "out", "--workers", 2, "--log-file", log)
    assert 0 == job.returncode, job.stderr
    shown = " ".join((log.read_text() + job.stdout + job.stderr).split())
    texts = pq.read_table(source, columns=["text"])["text"].to_pylist()
    sentences = {" ".join(s.split()) for text in texts for s in re.split(r"[.!?]|<br />", text)}
    sentences = {sentence for sentence in sentences if len(sentence) >= 20}
    assert 5_000 == len(texts) and 40_000 < len(sentences) and 5_000 < len(shown)
    assert [] == [sentence for sentence in sentences if sentence in shown]
