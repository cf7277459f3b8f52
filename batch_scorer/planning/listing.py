"""The inputs: which files, and in which format. Opens none of them."""

from __future__ import annotations

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from batch_scorer import storage
from batch_scorer.config import InputConfig, ScoreConfig
from batch_scorer.errors import InputError
from batch_scorer.escape import counted, short
from batch_scorer.formats import foreign
from batch_scorer.formats.table import FORMATS, SUFFIXES, format_of
from batch_scorer.planning.places import Places, is_inside, read_again
from batch_scorer.planning.read_before import NOTHING, ReadBefore
from batch_scorer.planning.tables import Tables
from batch_scorer.storage import StoredFile
from batch_scorer.storage.local import UNREADABLE


@dataclass(frozen=True)
class Listing:
    """What the inputs name.

    Args:
        files: each file once.
        formats: the format of each file.
        summaries: what each input matched.
        notices: what the user should know.
    """

    files: tuple[StoredFile, ...]
    formats: tuple[str, ...]
    summaries: tuple[dict[str, Any], ...]
    notices: tuple[str, ...]

    def __iter__(self) -> Iterator[tuple[StoredFile, str]]:
        """Each file with its format."""
        return zip(self.files, self.formats, strict=True)


def list_inputs(config: ScoreConfig, before: ReadBefore = NOTHING) -> Listing:
    """Finds the files of each input, and their formats; an empty output directory stands for none.

    Args:
        before: what earlier runs have read; it is passed over.

    Raises:
        InputError: an input matches nothing and --allow-empty, which makes that a notice, is not given; a file's format
            is not known, or it is part of a Delta table or the like.
        OutputError: the output is inside an input, or an input inside the output.
    """
    files: list[StoredFile] = []
    formats: list[str] = []
    summaries: list[dict[str, Any]] = []
    notices = [*before.notices]
    output = config.output.directory
    places, tables, earlier = Places(output), Tables(), set[str]()
    for pattern in config.input.paths:
        whole_directory = storage.is_directory(pattern)
        if whole_directory and output and is_inside(output, pattern):
            raise read_again(output, pattern)
        matched = storage.match_all(pattern)
        matches, here, twice = _Matches(whole_directory), set[str](), 0
        for file in matched.files:
            name, link = os.path.basename(file.path), matched.links.get(file.path)
            place = places.of(file.path, link)
            if storage.is_hidden(name) and (whole_directory or (file.path != pattern and format_of(name) is None)):
                continue
            kind = _format(name, config.input)
            if kind is not None and before.has(file):
                matches.pass_over(file)
                continue
            matches.add(file, name, kind)
            if kind is None:
                continue
            if place in here:
                matches.links["symlink" if os.path.islink(file.path) else "hard link"] += 1
                continue
            tables.refuse(file.path, kind)
            here.add(place)
            if place in earlier:
                twice += 1
            else:
                files.append(file)
                formats.append(kind)
        also, others = matched.also, matched.others
        del matched
        skipped = ", ".join([*_count_endings(matches), *_count_kinds(others)])
        _refuse_unknown(pattern, matches, others, whole_directory)
        notices += _without_files(pattern, matches, skipped, whole_directory, config.job.allow_empty)
        if also:
            notices.append(f"{pattern}: read as the name of a file, though as a glob it matches {also:,} more")
        if skipped:
            notices.append(f"{pattern}: skipped {skipped}")
        if twice:
            are = "is in an earlier input too and is" if twice == 1 else "are in an earlier input too and are"
            notices.append(f"{pattern}: {counted(twice, 'file')} {are} scored once")
        notices += (f"{pattern}: {remark}" for remark in matches.remarks())
        earlier |= here
        summaries.append(matches.summary(pattern))
    return Listing(tuple(files), tuple(formats), tuple(summaries), tuple(notices))


def _format(name: str, reads: InputConfig) -> str | None:
    """The format of a file; a text file is CSV where names are given for its columns.

    Raises:
        InputError: names are given, and the format is another one.
    """
    kind = reads.format or format_of(name)
    if not reads.columns or kind in (None, "csv"):
        return kind
    if kind == "files" and reads.format is None:
        return "csv"
    raise InputError(
        "--columns is for CSV files without a header",
        where=name,
        got=f"the format {kind}",
        fix="leave --columns out for this file, or name its format: --input-format csv",
    )


class _Matches:
    """What an input has matched: only counts, since there may be a million files."""

    def __init__(self, whole_directory: bool) -> None:
        self._skips = whole_directory  # what it does not read
        self.kinds = Counter[str]()
        self.endings = Counter[str]()  # of files in no known format
        self.plain_name = ""  # of the first such file without an ending
        self.strange: str | None = None  # the first such file
        self.links = Counter[str]()  # other names of the same files, by kind
        self._size_bytes, self._digest = 0, hashlib.sha256()
        self.passed_files, self._passed_bytes = 0, 0

    def pass_over(self, file: StoredFile) -> None:
        """Counts a file that an earlier run has read."""
        self.passed_files += 1
        self._passed_bytes += file.size_bytes

    def add(self, file: StoredFile, name: str, kind: str | None) -> None:
        if not self._skips and (ending := foreign.ending_of(name)):
            raise foreign.refusal(file.path, ending)
        if kind is None:
            self.strange = self.strange or file.path
            ending = os.path.splitext(name)[1]
            self.plain_name = self.plain_name or ("" if ending else name)
            self.endings[ending] += 1
            return
        self.kinds[kind] += 1
        self._size_bytes += file.size_bytes
        described = f"{file.path}\0{file.size_bytes}\0{file.modified}\n"
        self._digest.update(described.encode("utf-8", "surrogateescape"))

    def remarks(self) -> Iterator[str]:
        """What to say of files that are not read."""
        if self.passed_files:
            yield f"passed over {counted(self.passed_files, 'file')} that earlier runs have read, unchanged since"
        for link, count in self.links.items():
            yield f"skipped {counted(count, link)} to other files of this input"

    def summary(self, pattern: str) -> dict[str, Any]:
        passed_over = {"files": self.passed_files, "bytes": self._passed_bytes}
        return {
            "input": pattern,
            "formats": dict(sorted(self.kinds.items())),
            "files": self.kinds.total(),
            "bytes": self._size_bytes,
            "fingerprint": self._digest.hexdigest(),
            **({"passed_over": passed_over} if self.passed_files else {}),
        }


def _refuse_unknown(pattern: str, matches: _Matches, others: Mapping[str, str], is_directory: bool) -> None:
    if matches.strange and not is_directory:
        raise InputError(
            "the name of an input does not show its format",
            where=matches.strange,
            expected=f"a name that ends in {', '.join(SUFFIXES)}",
            fix=f"name the format with --input-format: {', '.join(FORMATS)}",
        )
    if pattern in others:
        raise _not_a_file(pattern, others[pattern])


def _without_files(
    pattern: str, matches: _Matches, skipped: str, is_directory: bool, allow_empty: bool
) -> Iterator[str]:
    """A notice if an input has no file to read and need not have any; raises InputError if it has to."""
    if matches.kinds or matches.passed_files:
        return
    if allow_empty:
        yield f"{pattern}: {_nothing_in(pattern, is_directory)}, so nothing of it is scored"
        return
    raise InputError(
        "no input file matches",
        where=pattern,
        expected=f"files ending in {', '.join(SUFFIXES)}" if is_directory else "a file, directory or glob",
        got=skipped or "nothing",
        fix=_how_to_match(matches),
    )


def _nothing_in(pattern: str, is_directory: bool) -> str:
    """What is wrong with an input that matches nothing, as far as a misspelt path can be told from a quiet night."""
    if is_directory:
        return "no file in it has a known format"
    if not glob.has_magic(pattern):
        return "no such file or directory"
    parts = pattern.split("/")
    folder = "/".join(parts[: next(at for at, part in enumerate(parts) if glob.has_magic(part))])
    if folder and not storage.is_remote(pattern) and not os.path.isdir(folder):
        return f"no such directory as {folder}"
    return "no file matches"


def _how_to_match(matches: _Matches) -> str:
    """What to do where a directory, or a pattern, has no file of a known format."""
    if matches.strange is None:
        return "check the path; quote globs, so that the shell does not expand them"
    if ending := foreign.ending_of(os.path.basename(matches.strange)):
        return foreign.refusal(matches.strange, ending).fix or ""
    return f"name the format of the files with --input-format: {', '.join(FORMATS)}"


def _not_a_file(pattern: str, kind: str) -> InputError:
    what, expected, fix = f"the input is a {kind}", "a file, which can be read more than once", "check the path"
    if kind == UNREADABLE:
        what, expected, fix = "the directory cannot be listed", "a directory that you may read", "check its permissions"
    elif kind in ("named pipe", "socket", "device"):
        fix = "write it to a file first; <(...) of a shell is a pipe too"
    return InputError(what, where=pattern, expected=expected, fix=fix)


def _count_endings(matches: _Matches) -> list[str]:
    plain, found = f" without an ending ({short(matches.plain_name)})", matches.endings.most_common(5)
    return [counted(n, f"{short(ending)} file") if ending else counted(n, "file") + plain for ending, n in found]


def _count_kinds(others: Mapping[str, str]) -> list[str]:
    """What is not a file, by kind: how many there are, and the name of one."""
    examples = {kind: os.path.basename(path) for path, kind in reversed(list(others.items()))}
    kinds = Counter(others.values()).items()
    return [f"{counted(count, kind)} ({short(examples[kind])})" for kind, count in kinds]
