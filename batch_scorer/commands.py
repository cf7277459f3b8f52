"""What each command does, once its options are checked: it runs, prints, and says with which code to exit.

Heavy modules are imported where they are used: `batch-scorer --help` has to be quick.
"""

from __future__ import annotations

import codecs
import json
import logging
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import InputError, OutputError, RefusedError, StoppedError

if TYPE_CHECKING:
    from rich.console import Console

    from batch_scorer.artifact import Artifact
    from batch_scorer.plan import Plan
    from batch_scorer.records import Shard

STDIN = "-"


def score(config: ScoreConfig) -> int:
    """Plans, runs and sums up a job.

    Returns:
        0, or 3 where the run is not a success.

    Raises:
        StoppedError: by Ctrl-C or SIGTERM.
    """
    try:
        with _terminated_like_interrupted():
            return _score(config)
    except KeyboardInterrupt:
        raise StoppedError(
            "interrupted",
            where=config.output,
            got="a job that a service runs goes on there, until it is cancelled" if config.beam_options else None,
            fix=f"to go on, {config.how_to_resume()}",
        ) from None


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Lets SIGTERM end the body as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _score(config: ScoreConfig) -> int:
    console, start = _console(), time.monotonic()
    model, made, shards = _planned(config)
    from batch_scorer import outputs, pipeline, plan, progress, storage, terminal

    beam_options = pipeline.options(config)
    console.print(f"{terminal.plan_line(made, model)}; run {terminal.safe(made.run_id)}", highlight=False)
    try:
        outputs.begin(config)
        plan.write_plan(made, shards, config.output)
    except OSError as error:
        raise OutputError(
            "the output cannot be written",
            where=config.output,
            expected="a directory in which files can be made",
            got=str(error),
            fix="choose another --output, or mend its rights or its disk",
        ) from error
    every_s = 10.0 if storage.is_remote(config.output) else 0.5
    with progress.progress(console, progress.reviews_done(config.output), made.reviews, made.estimated, every_s):
        pipeline.run(made, config, beam_options)
    outputs.finish(config)
    manifest = json.loads(storage.read_bytes(storage.join(config.output, "manifest.json")))
    terminal.summary(console, config.output, manifest, time.monotonic() - start)
    reason = manifest["not_a_success"]
    if reason:
        click.secho("not a success: ", fg="yellow", bold=True, err=True, nl=False)
        click.echo(reason, err=True)
        return 3
    return 0


def dry_run(config: ScoreConfig) -> int:
    """Shows what `score` would do, and how long it would take here. Writes nothing."""
    console, start = _console(), time.monotonic()
    model, made, shards = _planned(config)
    from batch_scorer import pipeline, terminal
    from batch_scorer.estimate import estimate

    beam_options = pipeline.options(config)
    local = pipeline.is_local(beam_options)
    console.print(f"would score {terminal.plan_line(made, model)}", highlight=False)
    terminal.plan_card(console, config, made)
    if local and made.reviews:
        terminal.estimate_line(console, estimate(made, shards, model, config, time.monotonic() - start))
    console.print("nothing was written", highlight=False)
    return 0


def _planned(config: ScoreConfig) -> tuple[Artifact, Plan, list[Shard]]:
    """Everything that can be refused, before anything is written."""
    _quieten()
    from batch_scorer import artifact, engine, outputs, plan

    model = artifact.load(config.model or artifact.SHIPPED)
    engine.check_precision(model, config.precision)
    made, shards = plan.make_plan(config, model.model_id)
    return model, outputs.prepare(config, made), shards


def explain(text: str, model: str | None, top_k: int, as_json: bool) -> None:
    """Scores one review, given or (`-`) from standard input, and shows why; as JSON, its row."""
    from batch_scorer.review import check, explain_review, to_json

    if text == STDIN:
        text, where = _read_stdin(), "standard input"
    else:
        where = "TEXT"
    check(text, where)  # before the model is loaded, which takes seconds
    console = _console()
    _quieten()
    waits: AbstractContextManager[Any] = nullcontext()
    if console.is_terminal and not as_json:
        waits = console.status("loading the model")
    with waits:
        from batch_scorer import artifact, highlight
        from batch_scorer.engine import load_engine
        from batch_scorer.shard import Scorer

        loaded = artifact.load(model or artifact.SHIPPED)
        explained = explain_review(text, Scorer(loaded, load_engine(loaded)), top_k)
    if as_json:
        click.echo(json.dumps(to_json(explained), ensure_ascii=False))
    else:
        highlight.show(console, explained)


def _read_stdin() -> str:
    from batch_scorer.review import MAX_TEXT_BYTES, too_large

    data = sys.stdin.buffer.read(len(codecs.BOM_UTF8) + MAX_TEXT_BYTES + 1)
    data = data.removeprefix(codecs.BOM_UTF8)
    if len(data) > MAX_TEXT_BYTES:
        raise too_large("standard input", "more")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            "the text is not UTF-8",
            where=f"standard input, byte {error.start}",
            expected="UTF-8",
            got=f"{data[error.start]:#04x}: {error.reason}",
            fix="convert it first, for example with `iconv -f latin1 -t utf-8`",
        ) from error


def inspect(path: str | None, rows: int) -> None:
    """Shows a model, after verifying it, or the output of a run with its first `rows` predictions."""
    from batch_scorer import artifact, storage, terminal

    console = _console()
    path = path or artifact.SHIPPED
    if storage.exists(storage.join(path, "MODEL_ID")):
        model = artifact.load(path)
        terminal.model_card(console, path, model.manifest, model.model_id)
    elif storage.exists(storage.join(path, "plan.json")):
        try:
            _show_run(console, path, rows)
        except (OSError, ValueError, LookupError, TypeError) as error:  # pyarrow's errors are ValueErrors
            raise RefusedError(
                "the output of the run is damaged",
                where=path,
                expected="plan.json, manifest.json and the parts that it names",
                got=f"{type(error).__name__}: {error}",
                fix="run the same `batch-scorer score` with --resume, which mends what is missing",
            ) from error
    else:
        raise RefusedError(
            "there is nothing to inspect",
            where=path,
            expected="a model artefact (MODEL_ID) or the output of `batch-scorer score` (plan.json)",
            got="neither" if storage.exists(path) else "nothing there",
        )


def _show_run(console: Console, output: str, rows: int) -> None:
    """Prints what a run's output holds: its manifest, some predictions, and the rejected by code."""
    import pyarrow.parquet as pq

    from batch_scorer import storage, terminal

    manifest_path = storage.join(output, "manifest.json")
    if not storage.exists(manifest_path):
        plan = json.loads(storage.read_bytes(storage.join(output, "plan.json")))
        done = len(storage.match_in(storage.join(output, "shards"), "*.json"))
        console.print(f"unfinished: {done:,} of {plan['shards']:,} shards are done; --resume goes on", highlight=False)
        return
    manifest = json.loads(storage.read_bytes(manifest_path))
    terminal.run_card(console, output, manifest, storage.exists(storage.join(output, "_SUCCESS")))
    terminal.notes(console, manifest)
    shown: list[dict[str, Any]] = []
    columns = ["record_id", "predicted_label", "probability", "top_contributing"]
    rejected: Counter[tuple[str, str]] = Counter()
    for part in manifest["parts"]:
        is_errors = part["path"].startswith("errors/")
        if not is_errors and len(shown) >= rows:
            continue
        with storage.open_read(storage.join(output, part["path"])) as file, pq.ParquetFile(file) as parquet:
            if is_errors:
                found = parquet.read(["stage", "code"]).to_pylist()
                rejected.update((row["stage"], row["code"]) for row in found)
            else:
                batch = next(parquet.iter_batches(rows - len(shown), columns=columns))
                shown += batch.to_pylist()
    if shown:
        console.print()
        terminal.results(console, shown, "the first predictions")
    if rejected:
        console.print()
        terminal.error_counts(console, rejected)


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=False, soft_wrap=True, emoji=False)  # `:heart:` in a file's name is a name


def _quieten() -> None:
    """Keeps TensorFlow and Beam from talking over our own output, here and in the workers."""
    for name, value in {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "GRPC_VERBOSITY": "ERROR"}.items():
        os.environ.setdefault(name, value)
    logging.getLogger().setLevel(logging.CRITICAL)  # Beam's imports warn there of extras that are not installed
    for name in ("apache_beam", "tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
