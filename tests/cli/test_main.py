"""The command line: what is printed, which exit code, what is imported, and what is asked of a network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from batch_scorer.cli.main import main
from tests.conftest import REVIEWS
from tests.processes import GUARD_S

Jsonl = Callable[..., Path]

OPTIONS = {
    *("--output", "--model", "--input-format", "--text-column", "--id-column", "--keep", "--top-k", "--workers"),
    *(
        "--shard-rows",
        "--max-text-bytes",
        "--null-values",
        "--sheet",
        "--sentences",
        "--spans",
        "--precision",
        "--target-accuracy",
        "--unusual",
        "--max-error-rate",
        "--allow-unreadable",
        "--after",
        "--after-by",
        "--no-text-hash",
        "--allow-empty",
        "--run-id",
    ),
    *("--resume", "--overwrite", "--dry-run", "--limit", "--encoding", "--delimiter"),
    *("--quote", "--escape", "--columns"),
    *("--no-excerpt", "--worker-timeout", "--log-file", "--price-per-vcpu-hour"),
    *("--quiet", "--verbose", "--log-format", "--json"),
}

# Stands in for `-m batch_scorer`, and says afterwards which of the heavy modules it has imported.
SHOW_IMPORTS = """
import runpy, sys
try:
    runpy.run_module("batch_scorer", run_name="__main__", alter_sys=True)
finally:
    print("imported:", *sorted({"tensorflow", "apache_beam", "keras", "pyarrow", "numpy"} & sys.modules.keys()))
"""

# Found by every Python process on its path, workers included: nothing but this machine may be reached.
NO_NETWORK = """
import os, socket
def watch(real, address_of):
    def guarded(*args, **kwargs):
        host = address_of(args)
        if isinstance(host, str) and host not in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "", socket.gethostname()):
            with open(os.environ["ATTEMPTS"], "a") as file:
                file.write(f"{host}\\n")
            raise OSError(f"no network in this test: {host}")
        return real(*args, **kwargs)
    return guarded
def of_socket(args):
    return args[1][0] if isinstance(args[1], tuple) else None
socket.socket.connect = watch(socket.socket.connect, of_socket)
socket.socket.connect_ex = watch(socket.socket.connect_ex, of_socket)
socket.getaddrinfo = watch(socket.getaddrinfo, lambda args: args[0])
"""


def run(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def score(source: object, model: Path, output: Path, *more: object) -> Result:
    """Runs `score` in this process."""
    return run("score", source, "--model", model, "--output", output, "--workers", 1, *more)


def process(*args: object, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs Python as a process of its own."""
    command = [sys.executable, *map(str, args)]
    env = {**os.environ, **env}
    return subprocess.run(command, capture_output=True, text=True, timeout=GUARD_S, check=False, cwd=cwd, env=env)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[Path, Result]:
    """The output of a run over six good reviews, a wordless one and a broken line, with what it printed."""
    folder = tmp_path_factory.mktemp("finished")
    lines = [json.dumps({"id": i, "text": text}) for i, text in [*REVIEWS, ("r7", "?!")]]
    (folder / "in.jsonl").write_text("\n".join([*lines, "{broken"]) + "\n", encoding="utf-8")
    more = ("--id-column", "id", "--run-id", "the-run", "--max-error-rate", 0.5)
    return folder / "out", score(folder / "in.jsonl", tiny_model, folder / "out", *more)


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["score", "--help"],
        ["inspect", "-h"],
        ["report", "-h"],
        ["compare", "-h"],
        ["sql", "-h"],
        ["review", "-h"],
        ["completion", "zsh"],
        ["--version"],
    ],
)
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    done = process("-c", SHOW_IMPORTS, *args)
    assert (0, "") == (done.returncode, done.stderr)
    assert "imported:" == done.stdout.splitlines()[-1]


def test_refusing_a_wrong_option_imports_nothing_heavy() -> None:
    done = process("-c", SHOW_IMPORTS, "score", "in.jsonl", "--output", "out", "--worker", "2")
    assert 2 == done.returncode
    assert "imported:" == done.stdout.splitlines()[-1]


def test_help_of_score_has_every_option_and_exit_code() -> None:
    text = run("score", "--help").stdout
    assert [] == [code for code in ("0  done", "1  the job", "2  refused", "3  finished") if code not in text]
    options = text.split("Options that matter first:")[1]
    assert OPTIONS | {"--help"} == set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", options, re.MULTILINE))


def test_run_is_exit_0_and_prints_counts_and_paths(reviews_file: Path, tiny_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    result = score(reviews_file, tiny_model, output, "--run-id", "mine", "--top-k", 2, "--keep", "id=key")

    assert (0, "") == (result.exit_code, result.stderr)
    for text in ("6 reviews in 1 shard", "run mine", "6 reviews scored in", "0 rejected, 0 unreadable"):
        assert text in result.stdout
    assert f"predictions  {output}/predictions/*.parquet" in result.stdout
    assert f"batch-scorer inspect {output}" in result.stdout
    assert "errors  " not in result.stdout
    assert {"_SUCCESS", "manifest.json", "plan", "plan.json", "predictions", "shards"} == set(os.listdir(output))
    assert [name for name, _ in REVIEWS] == pq.read_table(output / "predictions/part-00000.parquet")["key"].to_pylist()


def test_run_with_too_many_rejected_is_exit_3_until_resumed_with_a_higher_limit(
    jsonl_file: Jsonl, tiny_model: Path, tmp_path: Path
) -> None:
    source, output = (
        jsonl_file({"text": "good film"}, {"text": 7}, {"body": "?"}, {"text": "bad"}),
        tmp_path / "out",
    )
    result = score(source, tiny_model, output)
    assert 3 == result.exit_code
    assert "2 of 4 records (50.0%) were rejected" in result.stderr
    assert f"errors       {output}/errors/*.parquet" in result.stdout
    assert (output / "manifest.json").exists() and not (output / "_SUCCESS").exists()

    part = output / "predictions" / "part-00000.parquet"
    written = part.stat().st_mtime_ns
    assert 2 == score(source, tiny_model, output).exit_code
    assert 2 == score(source, tiny_model, output, "--resume", "--top-k", 3).exit_code
    assert 3 == score(source, tiny_model, output, "--resume").exit_code
    assert 0 == score(source, tiny_model, output, "--resume", "--max-error-rate", 0.5).exit_code
    assert (output / "_SUCCESS").exists()
    assert written == part.stat().st_mtime_ns, "what was done was to be kept"
    assert 0 == score(source, tiny_model, output, "--overwrite", "--max-error-rate", 0.5).exit_code
    assert written != part.stat().st_mtime_ns


def test_damaged_file_is_exit_3_unless_allowed(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "in.parquet").write_bytes(b"PAR1 and then nothing")
    (tmp_path / "in.jsonl").write_text('{"text": "good"}\n')
    for more, code in (((), 3), (("--resume", "--allow-unreadable"), 0)):
        assert code == score(f"{tmp_path}/in.*", tiny_model, tmp_path / "out", *more).exit_code
        assert (code == 0) == (tmp_path / "out" / "_SUCCESS").exists()


# Without a runner and with Beam's own by name, in a process that imports TensorFlow and Beam once.
SCORES_TWICE = """
import sys
from batch_scorer.cli.main import main
for output, more in (("default", []), ("DirectRunner", ["--", "--runner=DirectRunner"])):
    try:
        main([*sys.argv[1:], "--output", output, *more])
    except SystemExit as ended:
        assert not ended.code, output
"""


def test_local_run_of_the_whole_process_tries_no_network(reviews_file: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(NO_NETWORK)
    path = os.pathsep.join([str(tmp_path / "guard"), str(Path(__file__).parents[2])])
    env = {"PYTHONPATH": path, "ATTEMPTS": str(tmp_path / "attempts")}
    probe = process("-c", "import socket; socket.create_connection(('192.0.2.1', 9), 1)", **env)
    assert "192.0.2.1\n" == (tmp_path / "attempts").read_text(), probe.stderr
    (tmp_path / "attempts").unlink()

    words = ("score", reviews_file, "--model", tiny_model, "--workers", 1, "--worker-timeout", GUARD_S)
    done = process("-c", SCORES_TWICE, *words, cwd=tmp_path, **env)

    assert (0, "") == (done.returncode, done.stderr)
    assert 2 == done.stdout.count("6 reviews scored")
    assert not (tmp_path / "attempts").exists(), (tmp_path / "attempts").read_text()


def test_inspect_of_a_model_shows_its_card(tiny_model: Path, tmp_path: Path) -> None:
    odd = shutil.copytree(tiny_model, tmp_path / ":boom:[red]")
    result = run("inspect", odd)
    assert 0 == result.exit_code
    shown = " ".join(result.stdout.split())
    for text in (":boom:[red]", "tiny", (odd / "MODEL_ID").read_text()[:12], "temperature 1.300", "the last 19 words"):
        assert text in shown


def test_inspect_of_a_finished_run_shows_counts_reviews_and_rejected(finished: tuple[Path, Result]) -> None:
    output, scored = finished
    assert 0 == scored.exit_code, scored.output
    text = run("inspect", output, "--rows", 3).stdout
    labels = pq.read_table(output / "predictions", columns=["predicted_label"])["predicted_label"].to_pylist()
    share = labels.count("positive") / len(labels)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    expected = ("run the-run", "state complete", "read 8", "scored 6 (75.0%)", "rejected 2 (25.0%)",
                f"positive {share:.1%}")  # fmt: skip
    assert [] == [line for line in expected if line not in lines]
    for rejected in ("decode malformed_json 1 the line or", "encode no_words 1 the text holds"):
        assert [rejected] == [line[: len(rejected)] for line in lines if line.startswith(rejected[:12])]
    assert ["r1", "r2", "r3"] == [line.split()[0] for line in lines if line[:1] == "r" and line[1:2].isdigit()]


@pytest.mark.parametrize("damage", ["byte", "cut", "gone", "column"])
def test_inspect_of_a_run_with_a_damaged_part_is_exit_2_and_shows_no_figures(
    damage: str, finished: tuple[Path, Result], tmp_path: Path
) -> None:
    output = Path(shutil.copytree(finished[0], tmp_path / "damaged"))
    part = output / "predictions/part-00000.parquet"
    data = part.read_bytes()
    if damage == "gone":
        part.unlink()
    elif damage == "column":
        pq.write_table(pq.read_table(part).drop_columns(["top_contributing"]), part)
    else:
        part.write_bytes(data[:-1] if damage == "cut" else data[:100] + bytes([data[100] ^ 1]) + data[101:])
    result = run("inspect", output)
    assert 2 == result.exit_code
    assert "the output of the run is damaged" in result.stderr
    assert ("is missing" if damage == "gone" else "its sha256 is another one") in result.stderr
    assert "" == result.stdout


def test_inspect_of_an_unfinished_run_says_how_far_it_is(finished: tuple[Path, Result], tmp_path: Path) -> None:
    output = Path(shutil.copytree(finished[0], tmp_path / "cut"))
    for path in (output / "_SUCCESS", output / "manifest.json", output / "shards" / "00000.json"):
        path.unlink()
    result = run("inspect", output)
    assert 0 == result.exit_code
    assert "unfinished: 0 of 1 shard" in result.stdout
    assert "--resume" in result.stdout


@pytest.mark.parametrize(("name", "got"), [("nowhere", "no such file or directory"), ("", "neither")])
def test_inspect_of_nothing_is_exit_2(tmp_path: Path, name: str, got: str) -> None:
    result = run("inspect", tmp_path / name)
    assert 2 == result.exit_code
    assert f"got:      {got}" in result.stderr


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["score", "--input", "a.csv", "--output", "out"], "INPUT..."),
        (["inspect", "--model", "shipped"], "MODEL|OUT"),
        (["inspect", "-model", "shipped"], "MODEL|OUT"),
        (["check", "--output", "out"], "OUT"),
        (["report", "--run", "out"], "OUT..."),
        (["compare", "a", "--after", "b"], "B"),
        (["score", "--data", "a.csv", "--output", "out"], "INPUT..."),
        (["report", "--scores", "out"], None),
    ],
)
def test_argument_that_is_given_like_an_option_is_named(words: list[str], place: str | None) -> None:
    result = CliRunner().invoke(main, words)
    assert 2 == result.exit_code and "No such option" in result.output
    said = re.search(r"'\. (\S+) is given without a name\.", result.output)
    assert place == (said and said[1])


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["score", "a.csv", "-output", "out"], "No such option '-output'. Did you mean '--output'?"),
        (["score", "a.csv", "-id-column=id", "--output", "out"], "'-id-column'. Did you mean '--id-column'?"),
        (["score", "a.csv", "-o", "out"], "No such option '-o'."),
        (
            ["score", "a.csv", "--output", "out", "--runner=FlinkRunner"],
            "Options for Beam follow --",
        ),
        (["score", "a.csv", "--output", "out", "--temp_location", "gs://b"], "Options for Beam follow --"),
        (["score", "a.csv", "--output", "out", "--text_column", "t"], "--text-column"),
        (["train", "--data", "a.csv"], "`python -m train` trains models"),
        (["predict", "a.csv"], "Did you mean 'score'?"),
        (["explain", "a", "good", "film"], "A TEXT of several words goes into quotes: 'a good film'"),
        (["explain", "it's", "good", "--top-k", "3"], "goes into quotes: 'it'\"'\"'s good'"),
    ],
)
def test_command_that_is_nearly_right_says_what_is_meant(words: list[str], hint: str) -> None:
    result = CliRunner().invoke(main, words)
    assert 2 == result.exit_code and hint in result.output
