"""Streams that are closed or full, and processes that die: the run's own outcome decides what the exit code is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from batch_scorer.config import LARGEST_COUNT, LARGEST_TOTAL, ScoreConfig
from batch_scorer.errors import OptionError
from batch_scorer.events import Event, log, logged
from batch_scorer.planning.options import check_options
from batch_scorer.runners.heartbeat import Watch
from batch_scorer.runners.interruption import Interruption
from batch_scorer.ui import terminal
from tests.jobs import score_here
from tests.processes import GUARD_S, wait_until

COMMAND = (sys.executable, "-m", "batch_scorer")
PREPARED = "import os, sys; from batch_scorer.cli import streams; streams.prepare(); "
GROUP = """
import click, sys
from batch_scorer.cli.framework import JobGroup, reports_errors
from batch_scorer.cli.kinds import EscapingGroup
@click.group(cls=EscapingGroup)
def main(): "Much help."
@main.command()
@reports_errors
def sql():
    click.echo("x" * 100)
main(sys.argv[1:])
"""


def shell(command: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Runs a command line of Bash whose `$@` is `words`."""
    line = ["bash", "-c", command, "bash", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, timeout=GUARD_S, check=False)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_open_on_nothing_and_no_file_takes_their_place(closed: str, tmp_path: Path) -> None:
    code = f"""{PREPARED}
file = open({str(tmp_path / "file")!r}, "w")
assert file.fileno() > 2, file.fileno()
print("out"); print("err", file=sys.stderr); os.write(1, b""); os.write(2, b""); sys.stdin.read()
file.write("done")
"""
    line = f'"$@" {closed}' if "<" in closed else f'"$@" {closed} < /dev/null'
    assert 0 == shell(line, sys.executable, "-c", code).returncode
    assert "done" == (tmp_path / "file").read_text()


@pytest.mark.parametrize("redirected", ["> /dev/full", "2> /dev/full", "> /dev/full 2>&1"])
def test_forgiving_streams_lose_what_cannot_be_written_and_nothing_else(redirected: str, tmp_path: Path) -> None:
    code = f"""{PREPARED}streams.forgive_output()
for _ in range(3):
    print("out" * 10_000); print("err" * 10_000, file=sys.stderr); sys.stdout.flush()
"""
    result = shell(f'"$@" {redirected}', sys.executable, "-c", code)

    assert 0 == result.returncode
    assert ("out" * 10_000 + "\n") * 3 * (redirected == "2> /dev/full") == result.stdout
    assert ("err" * 10_000 + "\n") * 3 * (redirected == "> /dev/full") == result.stderr


@pytest.mark.parametrize("setting", ["log_format='json'", "verbosity='verbose'", "verbosity='quiet'"])
def test_log_on_standard_error_that_is_full_is_lost_and_nothing_else(setting: str) -> None:
    code = f"""{PREPARED}
from batch_scorer.config import MessageConfig
from batch_scorer.events import WARNING, DETAIL, Event, log, logged
streams.forgive_output()
with logged(MessageConfig({setting})):
    for level in (WARNING, DETAIL):
        log(Event("shard", "done", level))
print("done")
"""
    result = shell('"$@" 2> /dev/full', sys.executable, "-c", code)
    assert (0, "done\n") == (result.returncode, result.stdout)


@pytest.mark.parametrize("words", [["sql"], ["--help"], ["sql", "--help"]])
def test_command_whose_result_cannot_be_printed_fails_with_a_message(words: list[str]) -> None:
    result = shell('"$@" > /dev/full', sys.executable, "-c", GROUP, *words)

    assert 1 == result.returncode
    assert result.stderr.startswith("error: standard output cannot be written\n  got:      [Errno 28]")
    assert 3 == len(result.stderr.splitlines())


def test_job_whose_output_cannot_be_printed_is_not_kept_from_its_result(tmp_path: Path) -> None:
    job = GROUP.replace("cls=EscapingGroup", "cls=JobGroup").replace(
        'click.echo("x" * 100)', 'click.echo("x"); open("done", "w")'
    )
    line = f'cd {tmp_path} && PYTHONPATH={os.getcwd()}:$PYTHONPATH "$@" > /dev/full'

    result = shell(line, sys.executable, "-c", job, "sql")
    assert (0, "") == (result.returncode, result.stderr)
    assert (tmp_path / "done").exists()


def test_command_whose_reader_has_gone_ends_without_a_word() -> None:
    result = shell('(sleep 1; "$@"; echo "code $?" >&2) | true', sys.executable, "-c", GROUP, "sql")

    assert "code 1\n" == result.stderr


def test_score_without_streams_is_a_success(reviews_file: Path, tiny_model: Path, tmp_path: Path) -> None:
    words = ("score", reviews_file, "--model", tiny_model, "--workers", 1, "--log-file", tmp_path / "log", "--output")
    closed = shell('"$@" >&- 2>&-', *COMMAND, *words, tmp_path / "closed")
    full = shell('"$@" > /dev/full 2> /dev/full', *COMMAND, *words, tmp_path / "full")
    left = shell('set -o pipefail; "$@" | head -1', *COMMAND, *words, tmp_path / "left")

    for name, result in (("closed", closed), ("full", full), ("left", left)):
        assert (0, "") == (result.returncode, result.stderr), name
        assert (tmp_path / name / "_SUCCESS").exists()
    assert 1 == len(left.stdout.splitlines())  # the plan, or on a busy machine a step before it


DIES = """
import os, sys
from batch_scorer.cli import main as cli
from batch_scorer.scoring import shard
shard.score_shard = lambda *args: os.abort()
cli.main(sys.argv[1:])
"""


def test_job_that_dies_natively_says_so_and_how_to_go_on(reviews_file: Path, tiny_model: Path, tmp_path: Path) -> None:
    words = ("score", reviews_file, "--model", tiny_model, "--output", tmp_path / "out", "--workers", 1)
    for more in ([], ["--log-format", "json"]):
        result = shell('exec "$@"', sys.executable, "-c", DIES, *words, *more, *(["--resume"] if more else []))

        assert -signal.SIGABRT == result.returncode
        if more:
            said = json.loads(result.stderr.splitlines()[-1])
            assert ("error", "the process of the job has died") == (said["event"], said["message"])
            assert said["time"].endswith("Z") and "--resume" in said["fix"]
        else:
            assert result.stderr.startswith(f"error: the process of the job has died\n  where:    {tmp_path / 'out'}\n")
            assert "native code crashed" in result.stderr and "--resume" in result.stderr


@pytest.mark.parametrize(
    ("ending", "said"), [("pass", ""), ("raise SystemExit(3)", ""), ("os.kill(os.getpid(), 9)", "gone")]
)
def test_process_that_can_speak_for_itself_is_not_spoken_for(ending: str, said: str) -> None:
    code = f"""{PREPARED}
with streams.spoken_for("gone"):
    {ending}
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=GUARD_S, check=False)
    assert said == result.stderr


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_hangup_ends_a_job_as_a_termination_does(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # which `nohup` has had a test's process ignore
    try:
        with pytest.raises(KeyboardInterrupt), Interruption():
            os.kill(os.getpid(), number)
        assert signal.SIG_DFL == signal.getsignal(number)
    finally:
        signal.signal(number, before)


def test_hangup_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does
    try:
        with Interruption():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_folder_of_a_driver_that_was_killed_goes_with_the_next_and_those_that_live_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = f"""
import tempfile, time
tempfile.tempdir = {str(tmp_path)!r}
from batch_scorer.runners.heartbeat import Watch
eye = Watch(None, 45, str)
open(eye.directory + "/tmp/predictions", "w").close()
print(eye.directory, flush=True)
time.sleep(3600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        left = Path(driver.stdout.readline().strip())
        (tmp_path / "batch-scorer-workers-link").symlink_to(left)
        with Watch(None, 45, str) as eye:
            assert left.exists() and Path(eye.directory).parent == tmp_path
        driver.kill()
    wait_until(lambda: driver.poll() is not None)
    assert left.exists()

    with Watch(None, 45, str) as eye:
        assert not left.exists()
        assert [eye.directory] == [str(path) for path in tmp_path.iterdir() if path.is_dir()]


def test_log_on_a_full_disk_ends_and_the_job_does_not(capfd: pytest.CaptureFixture[str]) -> None:
    with logged(ScoreConfig.of(["a"], "out", log_file="/dev/full").messages):
        for _ in range(3):
            log(Event("step", "looking"))

    assert "" == capfd.readouterr().err


@pytest.mark.parametrize(
    ("columns", "width"), [("0", 80), ("1", 1), ("132", 132), ("99999999999", 1_000), ("-1", 80), ("wide", 80)]
)
def test_terminal_of_any_width_is_printed_to(columns: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    assert width == terminal.console().width


def test_group_of_commands_forgets_a_width_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    code = f"{PREPARED}print(os.environ.get('COLUMNS'))"
    for columns, expected in (("0", "None"), ("00", "None"), ("", "None"), ("80", "80"), ("wide", "wide")):
        monkeypatch.setenv("COLUMNS", columns)
        result = shell('"$@"', sys.executable, "-c", code)
        assert (f"{expected}\n", "") == (result.stdout, result.stderr)


NUMBERS: dict[str, tuple[object, object]] = {
    "limit": (LARGEST_TOTAL, LARGEST_TOTAL + 1),
    "max_text_bytes": (LARGEST_COUNT, 10**12),
    "top_k": (LARGEST_COUNT, 2**31),
    "shard_rows": (LARGEST_COUNT, 2**63),
    "workers": (1, 2**64),
    "max_error_rate": (1.0, float("nan")),
    "worker_timeout_s": (1e9, float("inf")),
    "price_per_vcpu_hour": (1e9, float("nan")),
}


def test_largest_numbers_work_and_larger_ones_are_refused_by_name(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, text in (("a.txt", "a good film"), ("b.jsonl", '{"text": "bad"}'), ("c.csv", "text\ngood\n")):
        (tmp_path / "in" / name).write_text(text)
    largest = {name: most for name, (most, _) in NUMBERS.items()}
    config = ScoreConfig.of([str(tmp_path / "in")], str(tmp_path / "out"), str(tiny_model), **largest)
    check_options(config)

    assert 3 == score_here(config)["counts"]["scored"]

    for name, (_, more) in NUMBERS.items():
        option = name.removesuffix("_s").replace("_", "-")
        with pytest.raises(OptionError, match=f"--{option} is out of range"):
            check_options(config.with_options(**{name: more}))
