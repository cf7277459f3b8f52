"""Privacy: the text of reviews is in the parts and nowhere else, and temporary files are private and gone after."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from batch_scorer.cli.main import main
from batch_scorer.models import engine
from tests.jobs import rows
from tests.processes import GUARD_S, running, wait_until

pytestmark = pytest.mark.usefixtures("through_beam")

GOOD = 3_000
SECRETS = ("Zanzibar", "Quixotic", "Umbrella", "Vermouth", "Wisteria", "Xylophon", "Yosemite")


def lines() -> Iterator[bytes]:
    """Records of every kind that can be rejected, each with a secret in whatever it holds, and good ones."""
    for i in range(GOOD):  # more than are looked at to tell the types of `n` and `flag`
        secret = SECRETS[i % len(SECRETS)]
        yield json.dumps(
            {"id": i, "text": f"a {secret} film, {'very ' * (i % 4)}good" + " " * 60, "n": i, "flag": True}
        ).encode()
    yield b'{"text": "broken Zanzibar'
    yield b'"Quixotic"'
    yield b'{"text": ["Umbrella"]}'
    yield b'{"text": "Vermouth \xff"}'
    yield json.dumps({"text": "good Wisteria", "n": "Xylophon", "flag": True}).encode()
    yield json.dumps({"text": "good Wisteria", "n": 1, "flag": "Yosemite"}).encode()
    yield json.dumps({"text": "\ud800 Zanzibar"}).encode()
    yield json.dumps({"text": "Zanzibar " * 400}).encode()
    yield b'{"text": null, "about": "Zanzibar"}'


def write(folder: Path) -> Path:
    """Those records as a file."""
    path = folder / "in.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines()))
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path)


def options(source: Path, output: Path, model: Path, workers: int, *more: object) -> list[str]:
    """`score` for those records: two shards or more, and a limit that one of the records passes."""
    limits = ("--shard-rows", 800, "--max-text-bytes", 3_000, "--max-error-rate", 1, "--worker-timeout", GUARD_S)
    kept = ("--keep", "n", "--keep", "flag")
    words = ("score", source, "--output", output, "--model", model, "--workers", workers, *limits, *kept, *more)
    return [str(word) for word in words]


def secrets_in(*shown: str) -> list[str]:
    """What of the reviews is in what was shown or written."""
    return [secret for secret in SECRETS if any(secret.lower() in text.lower() for text in shown)]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[[list[str]], tuple[int, str]]:
    """Runs the command in this process; returns its exit code and all that it showed."""

    def run(words: list[str]) -> tuple[int, str]:
        result = CliRunner().invoke(main, words)
        return result.exit_code, result.output + "".join(capfd.readouterr())

    return run


Run = Callable[[list[str]], tuple[int, str]]


def test_debug_log_and_terminal_of_one_process_hold_no_word_of_the_reviews(
    source: Path, tiny_model: Path, tmp_path: Path, run: Run
) -> None:
    log = tmp_path / "log"
    code, shown = run(options(source, tmp_path / "out", tiny_model, 1, "--log-file", log))
    assert (0, GOOD, 9) == (code, len(rows(tmp_path / "out")), len(rows(tmp_path / "out", "errors")))
    assert "DEBUG" in log.read_text() and 20 < len(log.read_text().splitlines())
    assert [] == secrets_in(log.read_text(), shown)


# CSV files whose text stands where no text is expected.
STRAY = {
    "headerless": 'a Quixotic film\n"Umbrella, and very long","Zanzibar, and very long"\n',
    "headerless with numbers": "1,a Zanzibar film\n2,a Quixotic film\n",
    "headerless with labels": "Zanzibar film,negative\nQuixotic film,negative\n",
    "headerless by semicolons": "Zanzibar film; a Quixotic one\ngood;bad\n",
    "a sentence as a header": "id,Vermouth was rude.\n1,good\n",
}


@pytest.mark.parametrize("case", STRAY)
def test_refusal_of_a_file_without_a_header_shows_no_review(
    case: str, tiny_model: Path, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "r.csv").write_text(STRAY[case])
    log = tmp_path / "log"
    words = ["score", str(tmp_path / "r.csv"), "--output", str(tmp_path / "out"), "--model", str(tiny_model)]
    code, shown = run([*words, "--log-file", str(log), "--id-column", "id"])
    assert (2, True, []) == (code, "'text' is missing" in shown, secrets_in(shown, log.read_text()))


def test_errors_without_excerpts_hold_no_text_where_fields_cannot_be_told_apart(
    tiny_model: Path, tmp_path: Path, run: Run
) -> None:
    lines = [
        "text,id",
        "a good film,1",
        "My Zanzibar, said I have Umbrella,2",
        "Quixotic, Vermouth",
        'a "Wisteria,3',
        "x",
    ]
    (tmp_path / "r.csv").write_text("\n".join(lines) + "\n")
    words = ["score", str(tmp_path / "r.csv"), "--output", str(tmp_path / "out"), "--model", str(tiny_model)]
    code, _ = run([*words, "--id-column", "id", "--no-excerpt", "--max-error-rate", "1"])
    errors = rows(tmp_path / "out", "errors")
    assert (0, {"wrong_field_count"}) == (code, {row["code"] for row in errors})
    assert {(None, None)} == {(row["record_id"], row["excerpt"]) for row in errors}
    assert [] == secrets_in(*map(str, errors))


@dataclass(frozen=True)
class Watched:
    """A job of two workers that is over.

    Args:
        code: its exit code.
        shown, log: what it wrote to both outputs, and to its debug log.
        temporary: the directory for temporary files that it had.
        modes: of all that was seen there and in the staging directory of its output.
    """

    code: int
    shown: str
    log: str
    output: Path
    temporary: Path
    modes: set[int]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Watched:
    """A job as a person runs it, verbose and with a debug log, whose temporary files are looked at while it runs."""
    folder = tmp_path_factory.mktemp("watched")
    temporary, output, log, said = (folder / name for name in ("tmp", "out", "log", "said"))
    temporary.mkdir()
    words = options(write(folder), output, tiny_model, 2, "--log-file", log, "--verbose", "--log-format", "json")
    command = [sys.executable, "-m", "batch_scorer", *words]
    modes: set[int] = set()
    with (
        said.open("wb") as file,
        running(command, env={**os.environ, "TMPDIR": str(temporary)}, stdout=file, stderr=file) as job,
    ):

        def has_ended() -> bool:
            for path in (*temporary.iterdir(), output / ".staging"):
                with suppress(FileNotFoundError):
                    modes.add(path.stat().st_mode & 0o777)
            return job.poll() is not None

        wait_until(has_ended)
    return Watched(job.returncode, said.read_text(), log.read_text(), output, temporary, modes)


def test_debug_log_and_terminal_of_a_job_with_workers_hold_no_word_of_the_reviews(watched: Watched) -> None:
    assert 0 == watched.code, watched.shown
    assert (GOOD, 9) == (len(rows(watched.output)), len(rows(watched.output, "errors")))
    assert '"event": "shard"' in watched.shown
    assert '"debug"' in watched.log and 20 < len(watched.log.splitlines())
    assert [] == secrets_in(watched.shown, watched.log)


def test_temporary_files_are_private_while_they_are_there_and_gone_after(watched: Watched) -> None:
    assert 0o700 in watched.modes and watched.modes <= {0o700, 0o600}
    assert [] == list(watched.temporary.iterdir())
    assert {"predictions", "errors", "shards", "plan", "plan.json", "manifest.json", "_SUCCESS"} == {
        path.name for path in watched.output.iterdir()
    }


def test_log_of_a_job_that_fails_holds_no_word_of_the_reviews(
    source: Path, tiny_model: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = engine.load_engine

    def fails(*arguments: Any) -> Any:
        made: Any = load(*arguments)
        made.run = lambda ids: ids.missing
        return made

    monkeypatch.setattr(engine, "load_engine", fails)
    log = tmp_path / "log"
    code, shown = run(options(source, tmp_path / "out", tiny_model, 1, "--log-file", log))
    assert 1 == code
    assert "the engine fails on every review of a batch" in shown and "Traceback" not in shown
    assert "Traceback" in log.read_text()
    assert [] == secrets_in(log.read_text(), shown)


def test_no_excerpt_leaves_nothing_of_the_text_in_errors(
    source: Path, tiny_model: Path, tmp_path: Path, run: Run
) -> None:
    for name, more in (("with", ()), ("without", ("--no-excerpt",))):
        assert 0 == run(options(source, tmp_path / name, tiny_model, 1, *more))[0]
    shown, hidden = (rows(tmp_path / name, "errors") for name in ("with", "without"))
    assert [row["code"] for row in shown] == [row["code"] for row in hidden]
    assert 7 <= sum(row["excerpt"] is not None for row in shown)
    assert {None} == {row["excerpt"] for row in hidden}
    for table in (shown, hidden):
        assert [] == secrets_in(*(row["message"] for row in table))
    assert [] == secrets_in(*(p.read_text() for p in (tmp_path / "without").rglob("*.json*")))
