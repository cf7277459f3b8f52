"""Listing: which objects a path stands for, as it would on a disk."""

from __future__ import annotations

import fnmatch
import glob
import re
from collections.abc import Iterator, Sequence

from batch_scorer.storage.stores.client import Place, asked, no_bucket
from batch_scorer.storage.stores.store import Entry, Page


def stat(path: str) -> Entry | None:
    """The object at `path`, if there is one."""
    place = Place.of(path)
    if place.is_folder():
        return None
    try:
        return asked(place, lambda store: store.stat(place.bucket, place.name))
    except FileNotFoundError:
        return None


def is_folder(path: str) -> bool:
    """Whether `path` stands for what is below it: it ends in a slash, or there is no such object but some below it."""
    place = Place.of(path)
    if place.is_folder():
        return True
    if glob.has_magic(place.name) or stat(path):
        return False
    page = next(_pages(place, f"{place.name}/", deep=True))
    return bool(page.entries)


def names_in(folder: str) -> list[str]:
    """The names of what is in a folder itself: objects, and folders without their slash."""
    place = Place.of(folder if folder.endswith("/") else f"{folder}/")
    found = []
    for page in _pages(place, place.name, deep=False):
        found += [name[len(place.name) :].rstrip("/") for name in (*page.folders, *(e.name for e in page.entries))]
    return [name for name in found if name]


def find(path: str) -> Iterator[tuple[str, Entry]]:
    """The objects that `path` stands for, with their paths: one, a glob, or everything below a folder.

    As on a disk: an object of that very name is taken literally; names that begin with a dot have to be asked for;
    what lies below folders that begin with a dot or an underscore is no data.
    """
    place = Place.of(path)
    entry = stat(path)
    if entry:
        found = iter([entry])
    elif place.is_folder() or not glob.has_magic(place.name):
        found = _below(place, place.name if place.is_folder() else f"{place.name}/")
    else:
        found = _expand(place, "", place.name.split("/"))
    for entry in found:
        if not entry.name.endswith("/"):  # what some tools store to make an empty folder
            yield place.path(entry.name), entry


def find_in(folder: str, pattern: str) -> Iterator[tuple[str, Entry]]:
    """The objects in `folder` itself whose names fit `pattern`; the folder's own name is taken literally."""
    place = Place.of(folder if folder.endswith("/") else f"{folder}/")
    for entry in _expand(place, place.name, [pattern]):
        yield place.path(entry.name), entry


def _pages(place: Place, prefix: str, deep: bool) -> Iterator[Page]:
    """A listing, page by page; a store has no folders, so that one that is not there is an empty one."""
    page = _page(place, prefix, deep, None)
    yield page
    while page.token:
        page = _page(place, prefix, deep, page.token)
        yield page


def _page(place: Place, prefix: str, deep: bool, token: str | None) -> Page:
    try:
        return asked(place, lambda store: store.page(place.bucket, prefix, deep, token), place.path(prefix))
    except FileNotFoundError as error:
        raise no_bucket(place) from error


def _below(place: Place, folder: str) -> Iterator[Entry]:
    for page in _pages(place, folder, deep=True):
        for entry in page.entries:
            folders = entry.name[len(folder) :].split("/")[:-1]
            if not any(name.startswith((".", "_")) for name in folders):
                yield entry


def _expand(place: Place, folder: str, patterns: Sequence[str]) -> Iterator[Entry]:
    """The objects below `folder`, a prefix that is empty or ends in a slash, that the parts of a glob stand for.

    Lists what is in a folder itself as long as the glob allows that: a bucket may hold more than can be listed.
    """
    first, *rest = patterns
    start = f"{folder}{re.split('[*?[]', first, maxsplit=1)[0]}"
    if rest and not glob.has_magic(first):
        yield from _expand(place, f"{folder}{first}/", rest)
    elif "**" in patterns:
        for page in _pages(place, start, deep=True):
            yield from (e for e in page.entries if _fits(e.name[len(folder) :].split("/"), patterns))
    elif not glob.has_magic(first):
        entry = stat(place.path(f"{folder}{first}"))
        yield from [entry] if entry else []
    else:
        for page in _pages(place, start, deep=False):
            if rest:
                for found in page.folders:
                    if _fits([found[len(folder) : -1]], [first]):
                        yield from _expand(place, found, rest)
            else:
                yield from (e for e in page.entries if _fits([e.name[len(folder) :]], [first]))


def _fits(names: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether a relative path fits a glob, both in parts; `**` is any number of folders, none of them hidden."""
    if not names or not patterns:
        return not names and not patterns
    (name, *names), (pattern, *rest) = names, patterns
    hidden = name.startswith(".") and not pattern.startswith(".")
    if pattern == "**":
        return (not hidden and (_fits(names, patterns) or not (names or rest))) or _fits([name, *names], rest)
    return not hidden and fnmatch.fnmatchcase(name, pattern) and _fits(names, rest)
