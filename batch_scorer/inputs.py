"""The inputs: which files, of which format, with which columns. Reads listings and the beginnings of files only."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from batch_scorer import storage
from batch_scorer.config import ScoreConfig
from batch_scorer.errors import InputError, OutputError
from batch_scorer.formats import files, jsonl, parquet
from batch_scorer.records import InputFile, first_line
from batch_scorer.storage import StoredFile

_FORMAT_OF = {".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "files"}
_INSPECT = {"parquet": parquet.inspect, "jsonl": jsonl.inspect, "files": files.inspect}


@dataclass(frozen=True)
class Listing:
    """The files that the inputs name, each once, with its format; per input a summary; notices for the user."""

    files: tuple[tuple[StoredFile, str], ...]
    summaries: tuple[dict[str, Any], ...]
    notices: tuple[str, ...]


def list_inputs(config: ScoreConfig) -> Listing:
    """Matches each input and tells each file's format.

    Raises:
        InputError: an input matches nothing, or a file's format cannot be told.
        OutputError: the output lies inside an input.
    """
    found: dict[str, tuple[StoredFile, str]] = {}
    summaries, notices = [], []
    for pattern in config.inputs:
        _refuse_output_inside(config.output, pattern)
        matched = storage.match(pattern)
        whole_directory = storage.is_directory(pattern)
        known: list[tuple[StoredFile, str]] = []
        unknown: list[StoredFile] = []
        for file in matched:
            name = os.path.basename(file.path)
            if _is_inside(file.path, config.output):
                raise _overlap(
                    "an input lies inside the output, where --overwrite would delete it", config.output, file.path
                )
            kind = config.input_format or _FORMAT_OF.get(os.path.splitext(name)[1].lower())
            if whole_directory and name.startswith(("_", ".")):
                continue
            if kind:
                known.append((file, kind))
            else:
                unknown.append(file)
        if unknown and not whole_directory:
            raise InputError(
                "the format of an input cannot be told from its name",
                where=unknown[0].path,
                expected=f"a name that ends in {', '.join(_FORMAT_OF)}",
                fix="say what it is with --input-format",
            )
        if not known:
            raise InputError(
                "no input file matches",
                where=pattern,
                expected=f"files ending in {', '.join(_FORMAT_OF)}" if whole_directory else "a file, directory or glob",
                got=_count_names(file.path for file in unknown) if unknown else "nothing",
                fix="check the path; quote globs so that the shell leaves them alone",
            )
        if unknown:
            notices.append(f"{pattern}: left out {_count_names(file.path for file in unknown)}")
        twice = sum(_identity(file) in found for file, _ in known)
        if twice:
            notices.append(f"{pattern}: {twice:,} files were named by an earlier input too and are scored once")
        digest = hashlib.sha256()
        for file, _ in known:
            digest.update(f"{file.path}\0{file.size_bytes}\0{file.modified}\n".encode("utf-8", "surrogateescape"))
        for file, kind in known:
            found.setdefault(_identity(file), (file, kind))
        summaries.append(
            {
                "input": pattern,
                "formats": dict(sorted(Counter(kind for _, kind in known).items())),
                "files": len(known),
                "bytes": sum(file.size_bytes for file, _ in known),
                "fingerprint": digest.hexdigest(),
            }
        )
    return Listing(tuple(found.values()), tuple(summaries), tuple(notices))


def _refuse_output_inside(output: str, pattern: str) -> None:
    if storage.is_directory(pattern) and _is_inside(output, pattern):
        raise _overlap("the output lies inside an input, where the next run would read it", output, pattern)


def _is_inside(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or lies below it, links followed."""
    if storage.is_remote(path) or storage.is_remote(folder):
        return f"{path.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([folder, path]) == folder


def _overlap(what: str, output: str, name: str) -> OutputError:
    return OutputError(
        what,
        where=output,
        got=f"input {name}",
        fix="choose an --output beside the inputs",
    )


def _identity(file: StoredFile) -> str:
    return file.path if storage.is_remote(file.path) else os.path.normpath(file.path)


def _count_names(paths: Iterable[str]) -> str:
    endings = Counter(os.path.splitext(path)[1] or os.path.basename(path) for path in paths)
    return ", ".join(f"{count:,} x {ending}" for ending, count in endings.most_common(5))


def inspect(listed: tuple[StoredFile, str], config: ScoreConfig) -> InputFile:
    """Looks into one file and checks that it has the columns asked for.

    A file that cannot be read is no error here: it becomes a row in `errors/`.

    Raises:
        InputError: a column is missing, or the text is not text.
    """
    file, kind = listed
    try:
        found = _INSPECT[kind](file)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        return InputFile(file.path, kind, file.size_bytes, 0, damage=first_line(error))
    if found.columns is not None and found.reviews:
        _check_columns(found.path, found.columns, config)
    return found


def _check_columns(path: str, columns: pa.Schema, config: ScoreConfig) -> None:
    options = [("--text-column", config.text_column), ("--id-column", config.id_column)]
    options += [("--keep", kept.name) for kept in config.kept]
    for option, name in options:
        if name is not None and columns.get_field_index(name) < 0:
            near = difflib.get_close_matches(name, columns.names, 1)
            raise InputError(
                f"the column {name!r} is missing",
                where=path,
                expected=f"a column {name!r}",
                got=f"columns {', '.join(columns.names)}",
                fix=f"name another with {option}" + (f", for instance {option} {near[0]}" if near else ""),
            )
    kind = columns.field(config.text_column).type
    if not is_text(kind):
        raise InputError(
            f"the column {config.text_column!r} does not hold text",
            where=path,
            expected="string, large_string, binary, or a dictionary of these",
            got=str(kind),
            fix="name the column of the review with --text-column",
        )
    if config.id_column is not None:
        kind = columns.field(config.id_column).type
        try:
            pa.array([], kind).cast(pa.string())
        except pa.ArrowException as error:
            raise InputError(
                f"the column {config.id_column!r} cannot be written as text",
                where=path,
                expected="text, numbers or times",
                got=str(kind),
                fix="name another with --id-column, or leave it out",
            ) from error


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold reviews; one that is all null can, and is all rejected."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary,
             pa.types.is_large_binary, pa.types.is_null)  # fmt: skip
    return any(test(kind) for test in tests)


def kept_schema(looked_into: Sequence[InputFile], config: ScoreConfig) -> pa.Schema:
    """The type of each kept column in the output: that of the inputs, or the one that holds all of theirs.

    Raises:
        InputError: the types cannot be brought together, or no input has columns.
    """
    fields = []
    for kept in config.kept:
        found: list[pa.Schema] = []
        for file in looked_into:
            if file.columns is not None and kept.name in file.columns.names:
                kind = file.columns.field(kept.name).type
                kind = kind.value_type if pa.types.is_dictionary(kind) else kind
                schema = pa.schema([pa.field(kept.output_name, kind)])
                if schema not in found:
                    found.append(schema)
        if not found:
            raise InputError(
                f"no input has a column {kept.name!r} to keep",
                where=", ".join(config.inputs),
                expected="Parquet or JSONL inputs with that column",
                fix="leave --keep out; one-review files have no columns",
            )
        try:
            fields.append(pa.unify_schemas(found, promote_options="permissive").field(0))
        except pa.ArrowException as error:
            raise InputError(
                f"the kept column {kept.name!r} has types that do not go together",
                where=", ".join(config.inputs),
                got=", ".join(str(schema.field(0).type) for schema in found),
                fix="score the inputs in separate runs, or leave the column out",
            ) from error
    return pa.schema(fields)
