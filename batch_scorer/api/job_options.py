"""The options of a job from Python: those of the command line, of the types that Python has for them."""

from __future__ import annotations

import difflib
import numbers
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict, get_type_hints

from batch_scorer.config import PROGRAM, InputConfig, ScoreConfig
from batch_scorer.errors import OptionError
from batch_scorer.escape import command_without_secrets
from batch_scorer.formats.table import column_names, null_values
from batch_scorer.planning.options import check_beam_options, check_options, kept_columns

Path = str | os.PathLike[str]
_TYPES: dict[Any, tuple[type, str]] = {
    int: (numbers.Integral, "a whole number"),
    float: (numbers.Real, "a number"),
    bool: (bool, "True or False"),
    str: (str, "a string"),
    Path: (str, "a path"),
}


class JobOptions(TypedDict, total=False):
    """The other options of `score_job`; docs/cli.md says what each does, and has the defaults."""

    limit: int
    input_format: str
    encoding: str
    delimiter: str
    quote: str
    escape: str
    columns: str | Sequence[str]
    max_text_bytes: int
    null_values: str | Sequence[str]
    sheet: str
    after: Path | Sequence[Path]
    after_by: str
    resume: bool
    overwrite: bool
    top_k: int
    sentences: bool
    spans: int
    no_text_hash: bool
    no_excerpt: bool
    run_id: str
    precision: str
    target_accuracy: float
    unusual: bool
    workers: int
    max_error_rate: float
    allow_unreadable: bool
    allow_empty: bool
    shard_rows: int
    worker_timeout: float
    log_file: Path
    log_format: str
    beam_options: str | Sequence[str]


def config_of(inputs: Path | Sequence[Path], output: Path, options: Mapping[str, Any]) -> ScoreConfig:
    """The config that the command line would make of these options.

    Raises:
        TypeError: there is no such option.
        OptionError: one has a value that it cannot have.
    """
    kinds = {**get_type_hints(JobOptions), "model": Path, "text_column": str, "id_column": str, "keep": None}
    named = kinds.keys()
    for name in options.keys() - named:
        near = difflib.get_close_matches(name, JobOptions.__annotations__, 1)
        raise TypeError(f"score_job has no option {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    optional = named - {"text_column"}  # None is as good as nothing
    given = {n: _typed(n, value, kinds[n]) for n, value in options.items() if value is not None or n not in optional}
    paths = [os.fspath(path) for path in ([inputs] if isinstance(inputs, (str, os.PathLike)) else inputs)]
    keep = given.get("keep", ())
    pairs = [f"{name}={new}" for name, new in keep.items()] if isinstance(keep, Mapping) else keep
    given["keep"] = specs = _texts("keep", pairs, lambda name: [name])
    if "after" in given:
        places = given["after"]
        given["after"] = tuple(os.fspath(place) for place in ([places] if isinstance(places, str) else places))
    for name, split in (("columns", column_names), ("null_values", lambda values: null_values([values]))):
        if name in given:
            given[name] = _texts(name, given[name], split)
    beam_options = _texts("beam_options", given.pop("beam_options", ()), shlex.split)
    command = _command(paths, os.fspath(output), given, beam_options)
    del given["keep"]
    check_beam_options(beam_options, {"--output", "--dry-run", *(f"--{name.replace('_', '-')}" for name in named)})
    if "no_excerpt" in given:
        given["excerpts"] = not given.pop("no_excerpt")
    if "worker_timeout" in given:
        given["worker_timeout_s"] = given.pop("worker_timeout")
    config = ScoreConfig.of(
        paths, os.fspath(output), kept=kept_columns(specs), beam_options=beam_options, command=command, **given
    )
    check_options(config)
    return config


def _typed(name: str, value: Any, kind: Any) -> Any:
    """A value of an option, as the type that is asked for; numbers may be NumPy's.

    Raises:
        OptionError: it is of another type.
    """
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if kind not in _TYPES:
        return value  # is taken apart, and checked, below
    accepted, expected = _TYPES[kind]
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise OptionError(f"--{name.replace('_', '-')} is of the wrong type", expected=expected, got=repr(value))
    return kind(value) if kind in (int, float) and type(value) not in (int, float) else value


def _texts(name: str, values: Any, split: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
    """Several strings; a single one is taken as the command line takes it, and not letter by letter.

    Raises:
        OptionError: they are something else.
    """
    texts = tuple(split(values) if isinstance(values, str) else values if isinstance(values, Iterable) else [values])
    for text in texts:
        if not isinstance(text, str):
            raise OptionError(f"--{name.replace('_', '-')} is of the wrong type", expected="strings", got=repr(text))
    return texts


def _command(
    paths: Sequence[str], output: str, options: Mapping[str, Any], beam_options: Sequence[str]
) -> tuple[str, ...]:
    """The command line that does the same: for the run's manifest, and for errors that say how to continue."""
    words = [PROGRAM, "score", *paths, "--output", output]
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if name == "keep":
            words += [word for spec in value for word in (option, spec)]
        elif name in ("columns", "null_values"):
            words += [option, ",".join(value)] if value else []
        elif name == "after":
            words += [word for place in value for word in (option, place)]
        elif value is True:
            words.append(option)
        elif value is not False and value != getattr(InputConfig, name, None):
            words += [option, str(value)]
    return command_without_secrets([*words, *(("--", *beam_options) if beam_options else ())])
