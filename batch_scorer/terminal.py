"""What a person sees in the terminal: progress, the summary of a run, a model's card.

Everything that comes from data is escaped here, before it is shown.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from batch_scorer import storage

PLAIN_LINE_SECONDS = 10.0
Poll = Callable[[], int]  # reviews done so far


def safe(text: object, width: int | None = None, keep_end: bool = False) -> str:
    """`text` on one line, without control characters, cut to `width`, and with no meaning as markup.

    Args:
        keep_end: cut at the beginning, where paths say least.
    """
    shown = "".join(c if c.isprintable() else " " if c.isspace() else "�" for c in str(text))
    if width is not None and len(shown) > width:
        shown = "…" + shown[1 - width :] if keep_end else shown[: width - 1] + "…"
    return escape(shown)


def reviews_done(output: str) -> Poll:
    """Counts the reviews of finished shards by their markers; each marker is read once."""
    seen: dict[str, int] = {}

    def poll() -> int:
        pattern = storage.join(output, "shards", "*.json")
        for file in storage.match(pattern):
            if file.path not in seen:
                seen[file.path] = json.loads(storage.read_bytes(file.path))["counts"]["read"]
        return sum(seen.values())

    return poll


@contextmanager
def progress(console: Console, poll: Poll, total: int, estimated: bool, every_s: float) -> Iterator[None]:
    """Shows how far the job is while the body runs: a bar in a terminal, a line now and then elsewhere."""
    stop = threading.Event()
    show = _bar if console.is_terminal else _lines
    thread = threading.Thread(target=show, args=(console, poll, total, estimated, every_s, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _bar(console: Console, poll: Poll, total: int, estimated: bool, every_s: float, stop: threading.Event) -> None:
    about = "about " if estimated else ""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(f"{{task.completed:,.0f}} of {about}{total:,} reviews"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=total, rate="")
        start, before = time.monotonic(), poll()
        while not stop.wait(every_s):
            done = poll()
            if done > before:
                rate = (done - before) / (time.monotonic() - start)
                bar.update(task, completed=done, description="scoring", rate=f"{rate:,.0f}/s")


def _lines(console: Console, poll: Poll, total: int, estimated: bool, every_s: float, stop: threading.Event) -> None:
    about = "about " if estimated else ""
    start, before = time.monotonic(), poll()
    while not stop.wait(PLAIN_LINE_SECONDS):
        done = poll()
        elapsed = time.monotonic() - start
        rate = (done - before) / elapsed
        left = f", {max(total - done, 0) / rate:,.0f} s left" if rate else ""
        console.print(f"{done:,} of {about}{total:,} reviews, {rate:,.0f}/s{left}", highlight=False)


def summary(console: Console, output: str, manifest: Mapping[str, Any], seconds: float) -> None:
    """What a run did, where it is, and what to do next."""
    counts = manifest["counts"]
    rate = counts["scored"] / seconds if seconds else 0.0
    console.print(
        f"[bold]{counts['scored']:,} reviews scored[/] in {seconds:,.1f} s ({rate:,.0f}/s), "
        f"{counts['rejected']:,} rejected, {counts['unreadable']:,} unreadable",
        highlight=False,
    )
    for notice in manifest["notices"]:
        console.print(f"[yellow]notice[/] {safe(notice)}", highlight=False)
    console.print(f"  predictions  {safe(storage.join(output, 'predictions', '*.parquet'))}", highlight=False)
    if counts["rejected"] or counts["unreadable"]:
        console.print(f"  errors       {safe(storage.join(output, 'errors', '*.parquet'))}", highlight=False)
    console.print(f"  next         batch-scorer inspect {safe(output)}", highlight=False)


def run_card(console: Console, output: str, manifest: Mapping[str, Any], complete: bool) -> None:
    """The manifest of a run, for reading."""
    counts, run = manifest["counts"], manifest["profile"]["run"]
    read = counts["read"] or 1
    scored = run["reviews"] or 1
    positive = sum(
        n for edge, n in zip(run["probability"]["from"], run["probability"]["reviews"], strict=True) if edge >= 0.5
    )
    rows = [
        ("run", manifest["run_id"]),
        ("state", "complete" if complete else f"not a success: {manifest['not_a_success'] or 'unfinished'}"),
        ("model", f"{manifest['model_name']} {manifest['model_id']}"),
        ("read", f"{counts['read']:,}"),
        ("scored", f"{counts['scored']:,} ({counts['scored'] / read:.1%})"),
        ("rejected", f"{counts['rejected']:,} ({counts['rejected'] / read:.1%})"),
        ("unreadable", f"{counts['unreadable']:,} files or ranges"),
        ("P >= 0.5", f"{positive / scored:.1%} of the reviews"),
        ("words", f"{run['words'] / scored:,.0f} a review; {run['truncated'] / scored:.1%} of the reviews truncated"),
        ("unknown", f"{run['oov_words'] / (run['used_words'] or 1):.2%} of the words read"),
        ("worker time", ", ".join(f"{stage} {seconds:,.1f} s" for stage, seconds in manifest["timings"].items())),
        ("finished", manifest["finished"][:19].replace("T", " ") + " UTC"),
    ]
    _card(console, output, rows)


def model_card(console: Console, directory: str, manifest: Mapping[str, Any], model_id: str) -> None:
    """The manifest of a model, for reading."""
    a, training = manifest["architecture"], manifest["training"]
    found = manifest["metrics"].get("validation", {})
    rows = [
        ("model", f"{manifest['name']} {model_id}"),
        ("network", f"{a['units']} LSTM units a direction, {a['attention_units']} attention units, "
                    f"{a['vocabulary_size']:,} ids, the last {manifest['tokenizer']['max_words']} words"),
        ("calibration", f"temperature {manifest['temperature']:.3f}, threshold {manifest['threshold']:g}"),
        ("trained on", f"{training['reviews']:,} reviews, epoch {training['epoch']} of {training['recipe']['epochs']}"),
        ("data sha256", training["data_sha256"][:12]),
    ]  # fmt: skip
    if found:
        rows.append((
            "validation",
            f"accuracy {found['accuracy']:.3f} ({found['accuracy_low']:.3f} to {found['accuracy_high']:.3f}), "
            f"AUC {found['auc']:.3f}, ECE {found['ece']:.3f}, on {found['reviews']:,} reviews",
        ))  # fmt: skip
    rows.append(("made with", ", ".join(f"{name} {number}" for name, number in manifest["versions"].items())))
    _card(console, directory, rows)


def _card(console: Console, title: str, rows: list[tuple[str, str]]) -> None:
    table = Table(title=safe(title), show_header=False, box=None, title_justify="left", title_style="bold")
    table.add_column(style="dim")
    table.add_column()
    for name, value in rows:
        table.add_row(name, safe(value))
    console.print(table)


def results(console: Console, rows: list[dict[str, Any]], title: str) -> None:
    """Some predictions: id, score, and the words that weighed most, coloured by their sign."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None)
    for name, justify in (("record_id", "left"), ("label", "left"), ("P(positive)", "right")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("words that weighed most")
    for row in rows:
        colour = "green" if row["predicted_label"] == "positive" else "red"
        words = " ".join(
            f"[{'green' if t['contribution'] >= 0 else 'red'}]{safe(t['token'], 20)}[/] {t['contribution']:+.2f}"
            for t in row["top_contributing"][:4]
        )
        label = f"[{colour}]{row['predicted_label']}[/]"
        table.add_row(safe(row["record_id"], 28, keep_end=True), label, f"{row['probability']:.3f}", words)
    console.print(table)


def error_counts(console: Console, counts: Mapping[tuple[str, str], int]) -> None:
    """Rejected records by stage and code."""
    table = Table(title="rejected", title_justify="left", title_style="bold", box=None)
    for name in ("stage", "code", "records"):
        table.add_column(name, justify="right" if name == "records" else "left")
    for (stage, code), count in sorted(counts.items()):
        table.add_row(safe(stage), safe(code), f"{count:,}")
    console.print(table)
