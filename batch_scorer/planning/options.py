"""The options of a job, checked before anything is read. Messages name them as the command line does."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from batch_scorer.config import (
    AFTER_BY,
    LARGEST_COUNT,
    LARGEST_TOTAL,
    LOG_FORMATS,
    PRECISIONS,
    RECORD,
    InputConfig,
    Kept,
    ScoreConfig,
)
from batch_scorer.errors import OptionError
from batch_scorer.escape import command_without_secrets, quoted
from batch_scorer.formats.table import FORMATS, format_of
from batch_scorer.planning.places import is_inside, takes_in


def kept_columns(specs: Iterable[str]) -> tuple[Kept, ...]:
    """The columns to keep, each given as `NAME` or `NAME=NEW`.

    Raises:
        OptionError: the output would have two columns of one name.
    """
    from batch_scorer.schema import OUR_COLUMNS  # imports pyarrow, which a wrong option need not wait for

    kept: list[Kept] = []
    for spec in specs:
        name, _, new = spec.partition("=")
        output_name = new or name
        if Kept(name, output_name) in kept:
            raise OptionError(f"--keep {spec} is given twice", fix="give it once")
        if output_name in OUR_COLUMNS or output_name in [column.output_name for column in kept]:
            raise _taken(name, output_name)
        kept.append(Kept(name, output_name))
    return tuple(kept)


def check_kept(kept: Iterable[Kept], optional: Collection[str]) -> None:
    """Refuses to keep a column under the name of one that the predictions of this job have; SQL ignores case in names.

    Args:
        optional: those of `schema.OPTIONAL_COLUMNS` that the predictions have.

    Raises:
        OptionError: the output would have two columns of one name.
    """
    for column in kept:
        if column.output_name.casefold() in optional:
            raise _taken(column.name, column.output_name)


def _taken(name: str, output_name: str) -> OptionError:
    return OptionError(
        f"the output already has a column {output_name!r}",
        where=f"--keep {name}" if name == output_name else f"--keep {name}={output_name}",
        fix=f"give it another name: --keep {name}={'true_' if name == 'label' else 'input_'}{name}",
    )


def check_options(config: ScoreConfig) -> None:
    """Refuses values that no job can have.

    Raises:
        OptionError: one of them is wrong, or two cannot be combined.
    """
    job = config.job
    check_reading(config.input)
    for name, word in {
        "output": config.output.directory,
        "model": config.scoring.model,
        "run-id": config.output.run_id,
        "log-file": config.messages.log_file,
    }.items():
        check_given(name, word)
    for place in config.input.after:
        check_given("after", place)
        if is_inside(place, config.output.directory):
            raise OptionError(
                "a run cannot come after itself", where=f"--after {place}", got=f"--output {config.output.directory}",
                fix="give the outputs of earlier runs, or a folder that holds them",
            )  # fmt: skip
    _check_by_record(config)
    _check_choice("precision", config.scoring.precision, PRECISIONS)
    _check_choice("log-format", config.messages.log_format, LOG_FORMATS)
    _check_range("top-k", config.scoring.top_k, 0, LARGEST_COUNT)
    _check_range("spans", config.scoring.spans, 0, LARGEST_COUNT)
    _check_range("target-accuracy", config.scoring.target_accuracy, 0.5, 1)
    _check_range("workers", job.workers, 1, LARGEST_COUNT)
    _check_range("shard-rows", job.shard_rows, 1, LARGEST_COUNT)
    _check_range("worker-timeout", job.worker_timeout_s, 1)
    _check_range("max-error-rate", job.max_error_rate, 0, 1)
    _check_range("price-per-vcpu-hour", job.price_per_vcpu_hour, 0)
    _check_log(config)
    if config.output.resume and config.output.overwrite:
        raise OptionError("--resume and --overwrite cannot be combined", fix="give one of them")


def _check_by_record(config: ScoreConfig) -> None:
    reads = config.input
    _check_choice("after-by", reads.after_by, AFTER_BY)
    for is_missing, what, fix in (
        (not reads.after, "--after", "name earlier runs, or the folder that they will be in"),
        (reads.id_column is None, "--id-column", "name the column with the ids, which are to stay the same"),
        (config.scoring.no_text_hash, "the hash of each text", "leave --no-text-hash out, or go by file"),
    ):
        if is_missing and reads.after_by == RECORD:
            raise OptionError(f"--after-by record needs {what}", fix=fix)


def _check_log(config: ScoreConfig) -> None:
    """Refuses a log in a place where it would do harm, before anything is written to it."""
    log = config.messages.log_file
    if log is None:
        return
    output, where, fix = config.output.directory, f"--log-file {log}", "choose another --log-file"
    if is_inside(log, output):
        what, expected = "the log is inside the output, which must be new or empty", f"a file outside --output {output}"
        raise OptionError(what, where=where, expected=expected, fix=fix)
    is_read = bool(config.input.format or format_of(os.path.basename(log)))
    for name in config.input.paths:
        # A directory would not read every file in it.
        if takes_in(name, log) and (is_read or not os.path.isdir(name)):
            raise OptionError("the log is one of the inputs", where=where, got=f"input {name}", fix=fix)


def check_beam_options(words: Sequence[str], ours: Collection[str]) -> None:
    """Refuses options of ours among those for Beam, which would take them for its own and do without them.

    Args:
        words: what was given for Beam.
        ours: the names of our options, as the command line has them: `--dry-run`, `-q`.

    Raises:
        OptionError: one of them is ours.
    """
    letters = {name[1] for name in ours if len(name) == 2}
    for word in words:
        name = word.partition("=")[0]
        # Beam reads hyphens as underscores; its own --dry_run, for Dataflow, is told apart by its spelling.
        spelt = name if name == "--dry_run" else name.replace("_", "-")
        if spelt in ours or (re.fullmatch("-[a-zA-Z]+", name) and letters.issuperset(name[1:])):
            raise OptionError(
                f"{name} is an option of batch-scorer, not of Beam",
                where=f"after --: {' '.join(command_without_secrets(words))}",
                fix=f"put {spelt if spelt in ours else name} before --",
            )


def check_reading(reads: InputConfig) -> None:
    """Refuses values that nothing can be read with.

    Raises:
        OptionError: one of them is wrong.
    """
    for name, word in (
        ("text-column", reads.text_column),
        ("id-column", reads.id_column),
        ("encoding", reads.encoding),
        ("sheet", reads.sheet),
    ):
        check_given(name, word)
    _check_choice("input-format", reads.format, (None, *FORMATS))
    _check_range("limit", reads.limit, 1, LARGEST_TOTAL)
    _check_range("max-text-bytes", reads.max_text_bytes, 1, LARGEST_COUNT)
    _check_encoding(reads.encoding, reads.paths)
    _check_csv(reads)


def _check_csv(reads: InputConfig) -> None:
    delimiter, quote, escape, columns = reads.delimiter, reads.quote, reads.escape, reads.columns
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise OptionError("--delimiter must be one character", got=repr(delimiter), fix="for a tab: $'\\t'")
    if quote != "none" and (len(quote) != 1 or quote in "\r\n \t" or quote == delimiter):
        expected = "one character other than the delimiter, or none where quotes stand for themselves"
        raise OptionError("--quote must be one character", expected=expected, got=repr(quote))
    if escape is not None and (len(escape) != 1 or escape in "\r\n" or escape in (delimiter, quote)):
        expected = "one character other than the delimiter and the quote"
        raise OptionError("--escape must be one character", expected=expected, got=repr(escape))
    if not columns:
        return
    if repeated := [name for name, times in Counter(columns).items() if name and times > 1]:
        raise OptionError("--columns names a column twice", got=repr(repeated[0]), fix="give each its own name")
    if reads.text_column not in columns:
        fix = "give it that name, or name another with --text-column"
        got = f"--columns {','.join(columns)}"
        raise OptionError("--columns lacks the text column", expected=repr(reads.text_column), got=got, fix=fix)


def check_given(name: str, word: str | None) -> None:
    """Refuses an empty value of an option.

    Raises:
        OptionError: it is empty.
    """
    if word == "":  # most likely an unset shell variable
        raise OptionError(f"--{name} is empty", fix="give it a value, or omit it")


def _check_choice(name: str, value: str | None, choices: tuple[str | None, ...]) -> None:
    if value not in choices:
        expected = ", ".join(choice for choice in choices if choice)
        raise OptionError(f"--{name} has no such value", expected=expected, got=repr(value))


def _check_range(name: str, value: float | None, least: float, most: float = math.inf) -> None:
    if value is not None and not (least <= value <= most and math.isfinite(value)):
        expected = f"{least:g} or more" if most == math.inf else f"{least:g} to {most:,}"
        raise OptionError(f"--{name} is out of range", expected=expected, got=repr(value))


def _check_encoding(name: str, paths: Sequence[str]) -> None:
    # The first one detects encodings that read ASCII as something else: host names, and Python's escapes.
    samples = (rb"xn--mnchen-3ya.\x41\u0041", bytes(range(128)))
    try:
        fits = all(sample.decode(name) == sample.decode("ascii") for sample in samples)
    except LookupError:
        raise OptionError(
            "--encoding names no encoding that is known",
            expected="for instance utf-8, latin-1, cp1252 or gb18030",
            got=name,
            fix="leave it out if you do not know it: after a run, the encoding that would read a file is shown",
        ) from None
    except UnicodeError:
        fits = False
    if not fits:
        from batch_scorer.formats.foreign import rewriting  # imports pyarrow, as above

        path = next((path for path in paths if os.path.isfile(path)), "FILE")
        command = f"iconv -f {quoted(name.upper().replace('_', '-'))} -t UTF-8"
        each = "" if [path] == [*paths] else "for each file: "
        raise OptionError(
            "--encoding does not support reading line by line",
            expected="an encoding whose bytes below 128 are ASCII: utf-8, latin-1, cp1252, gb18030 ...",
            got=name,
            fix=f"{each}{rewriting(path, command, after=' without --encoding')}",
        )
