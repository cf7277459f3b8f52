"""docs/nightly.md: its script does its nights, its queries run, its manifest for Kubernetes is one."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "nightly.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
HOME = "/data/reviews"
ENVIRONMENT = {"CHAOS_PLAIN": "any", "PYTHONPATH": os.pathsep.join([str(ROOT / "tests/chaos/inside"), str(ROOT)])}


def block(kind: str) -> str:
    (code,) = (code for of, code in BLOCKS if of == kind)
    return code


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder as the script expects it, and beside it the programs that it calls."""
    home, programs = tmp_path / "reviews", tmp_path / "bin"
    for folder in (home / "incoming", home / "nights", programs):
        folder.mkdir(parents=True)
    script = block("sh")
    assert HOME in script
    (home / "nightly.sh").write_text(script.replace(HOME, str(home)))
    (programs / "batch-scorer").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m batch_scorer "$@"\n')
    (programs / "date").write_text('#!/bin/sh\necho "$NIGHT"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    return home


def nightly(home: Path, night: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(home.parent / "bin"), os.environ["PATH"]])
    environment = {**os.environ, **ENVIRONMENT, "PATH": path, "NIGHT": night}
    return subprocess.run(
        ["sh", str(home / "nightly.sh")], env=environment, capture_output=True, text=True, check=False
    )


def put(home: Path, name: str, texts: list[str]) -> None:
    lines = [json.dumps({"id": f"{name}-{i}", "text": text, "product": "lamp"}) for i, text in enumerate(texts)]
    (home / "incoming" / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_script_of_the_page_does_a_night_and_stops_one_that_is_wrong(home: Path) -> None:
    put(home, "a", ["A good film.", "It was bad.", "I liked the plot."] * 20)
    first = nightly(home, "2026-11-27")
    assert (0, True) == (first.returncode, "within all limits" in first.stdout), first.stderr
    put(home, "b", ["ужасный фильм о слонах и людях"] * 60)
    wrong = nightly(home, "2026-11-29")

    assert (4, "the night failed with exit code 4") == (wrong.returncode, wrong.stdout.splitlines()[-1]), wrong.stderr
    assert {"script", "words"} <= set(re.findall(r"^broken +(\w+)", wrong.stdout, re.MULTILINE))
    assert "2026-11-27" == os.readlink(home / "nights/latest")
    manifest = json.loads((home / "nights/2026-11-29/manifest.json").read_text())
    assert (1, 60) == (manifest["passed_over"]["files"], manifest["counts"]["read"])


@pytest.mark.skipif(not shutil.which("flock"), reason="needs flock")
def test_crontab_prints_of_a_night_that_failed_and_leaves_one_that_runs_alone(home: Path) -> None:
    (line,) = re.findall(r"^30 2 \* \* \* +(.*)$", PAGE, re.MULTILINE)
    (home / "nightly.sh").write_text("#!/bin/sh\necho said\nexit $(cat code)\n")
    (home / "nightly.sh").chmod(0o755)

    def cron() -> str:
        return subprocess.run(
            ["sh", "-c", line.replace(HOME, str(home))], capture_output=True, text=True, check=False
        ).stdout

    for code, printed in (("0", ""), ("4", "said\n")):
        (home / "code").write_text(code)
        assert printed == cron()
    with (home / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (home / "last.txt").write_text("of a night that runs")
        assert ("", "of a night that runs") == (cron(), (home / "last.txt").read_text())


def test_kubernetes_manifest_is_a_cron_job_whose_exit_codes_are_those_of_the_page() -> None:
    (job,) = yaml.safe_load_all(block("yaml"))

    assert ("batch/v1", "CronJob", "Forbid") == (job["apiVersion"], job["kind"], job["spec"]["concurrencyPolicy"])
    spec = job["spec"]["jobTemplate"]["spec"]
    (rule,) = spec["podFailurePolicy"]["rules"]
    codes = {int(code) for code in re.findall(r"^\| (\d) \|", PAGE, re.MULTILINE)}
    assert codes - {0, 1} == {*rule["onExitCodes"]["values"]}
    assert "Never" == spec["template"]["spec"]["restartPolicy"]  # which a policy for failed pods requires


def test_query_of_the_page_keeps_the_newest_row_of_each_id() -> None:
    db = duckdb.connect()
    db.execute("create table runs as select * from (values ('1', date '2026-11-27'), ('2', date '2026-11-28'))"
               " as r(run_id, started)")  # fmt: skip
    db.execute("create table predictions as select * from (values ('a', '1', 0.1), ('b', '1', 0.2), ('a', '2', 0.3))"
               " as p(record_id, run_id, probability)")  # fmt: skip

    newest = db.sql(block("sql").rstrip().rstrip(";"))

    assert [("a", "2"), ("b", "1")] == newest.project("record_id, run_id").order("record_id").fetchall()
