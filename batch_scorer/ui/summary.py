"""The end of a job, for people: what happened, where the time went, where the results are, and what to do next."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from batch_scorer import storage
from batch_scorer.config import ScoreConfig
from batch_scorer.escape import counted, quoted, quoted_path
from batch_scorer.formats.encodings import encoding_of
from batch_scorer.formats.table import FORMATS, format_of, is_compressed
from batch_scorer.report.commands import texts_from
from batch_scorer.runners.result import OTHER, JobResult, caveats, positive_share
from batch_scorer.runs import layout
from batch_scorer.runs.rejections import by_file
from batch_scorer.runs.verdict import ways_out
from batch_scorer.ui import terminal

CODES_SHOWN = 5


def show(console: Console, config: ScoreConfig, result: JobResult) -> None:
    """Shows the end of a job on `console`."""
    manifest, counts = result.manifest, result.manifest["counts"]
    label, share = positive_share(manifest)
    first, comma, rest = result.sentence.partition(" in ")
    console.print(Text.assemble((first, "bold"), comma, rest))
    terminal.notes(console, manifest)
    if counts["scored"] and share is not None:
        terminal.row(console, label, f"{share:.1%}")
    for name, said in caveats(manifest):
        terminal.row(console, name, said)
    terminal.row(console, "time" if OTHER in result.time_shares else "worker time", _shares(result))
    output = config.output.directory
    terminal.row(console, "predictions", layout.part_glob(output, layout.PREDICTIONS), fold=False)
    if counts["rejected"] or counts["unreadable"]:
        terminal.row(console, "errors", layout.part_glob(output, layout.ERRORS), fold=False)
        if result.rejected:
            terminal.row(console, "", _codes(result.rejected))
        if result.first_rejected:
            terminal.row(console, "", result.first_rejected)
        files, more = by_file(result.unreadable, counts["unreadable"])
        for sentence in [*files, *more] if files else ():
            terminal.row(console, "", sentence)
    for at, command in enumerate(next_steps(config, manifest)):
        terminal.row(console, "" if at else "next", command, fold=False)
    if result.badly_encoded is not None:
        for at, line in enumerate(encoding_advice(config, manifest, result.badly_encoded)):
            terminal.row(console, "" if at else "encoding", line, fold=not at)
    for at, (what, command) in enumerate(ways_out(manifest, result.unreadable, config.messages.program)):
        terminal.row(console, "" if at else "or", what)
        terminal.row(console, "", command, fold=False)


def _shares(result: JobResult) -> str:
    shown = [f"{stage} {share:.0%}" for stage, share in result.time_shares.items() if share >= 0.005]
    of = "" if result.processes is None else f" ({counted(result.processes, 'process')})"
    return f"{', '.join(shown) or 'none'}{of}"


def _codes(rejected: Mapping[str, int]) -> str:
    shown = [f"{count:,} {code}" for code, count in list(rejected.items())[:CODES_SHOWN]]
    more = len(rejected) - len(shown)
    return ", ".join([*shown, *([f"and {counted(more, 'other code')}"] if more else [])])


def next_steps(config: ScoreConfig, manifest: Mapping[str, Any]) -> list[str]:
    """Commands that show more of a run."""
    return look_at(
        config.messages.program, config.output.directory, config.input.paths if manifest["counts"]["scored"] else ()
    )


def look_at(program: str, output: str, inputs: Sequence[str], inspected: bool = False) -> list[str]:
    """Commands that show more of a run; without `inputs` there is nothing to report.

    Args:
        program: how this program is called.
        inspected: whether the reader is already looking at `inspect`.
    """
    at = quoted_path(output)
    commands = [] if inspected else [f"{program} inspect {at}"]
    if inputs:
        texts = texts_from(inputs)
        there = bool(texts) and all(map(_is_there, inputs))
        commands += [f"{program} report {at}{texts if there else ''}", f"{program} sql {at}"]
    return commands


def _is_there(name: str) -> bool:
    """Whether an input can be read from here, which may not be where it was given."""
    return storage.is_remote(name) or os.path.exists(name) or any(glob.iglob(name))


def encoding_advice(config: ScoreConfig, manifest: Mapping[str, Any], path: str) -> list[str]:
    """Which encoding would read all of a file of a run, and the command that does so; nothing if none is known.

    An encoding is that of all inputs: of several, others may be in UTF-8, and would be garbled without an error.
    """
    name = encoding_of(path)
    kind = config.input.format or format_of(os.path.basename(path))
    if name is None or name == config.input.encoding or kind is None:
        return []
    is_wide = name.startswith("UTF-")
    converted = f"utf-8-{os.path.basename(path)}"
    iconv = f"iconv -f {name.upper().replace('_', '-')} -t UTF-8 {quoted(path)} > {quoted(converted)}"
    if FORMATS[kind].takes_encoding and not is_wide:
        keeps = manifest["not_a_success"] is None and manifest["counts"]["scored"]  # what nobody wants to lose
        command = f"the same command with --encoding {name} {'and another --output' if keeps else '--overwrite'}"
        command = command if keeps else config.afresh("--encoding", name) or command
        would = f"{path} is not {config.input.encoding}; {name} would read all of it"
        if sum(found["files"] for found in manifest["inputs"]) == 1:
            return [f"{would}:", command]
        convert = [] if is_compressed(path) else [f"{would}; to convert it:", iconv]
        return [*convert, f"{'or, ' if convert else f'{would}; '}if all inputs are in {name}:", command]
    if (kind != "jsonl" and not is_wide) or is_compressed(path):
        return []
    if is_wide:
        return [f"{path} is in {name}; to convert it:", iconv]
    return [f"{path} is not UTF-8, as JSON has to be; from {name}, all of it can be converted:", iconv]
