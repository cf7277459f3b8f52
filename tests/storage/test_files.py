"""Storage: what a pattern matches, and files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from batch_scorer import storage
from batch_scorer.storage import StoredFile


def names(pattern: Path | str, below: Path) -> list[str]:
    """What `pattern` matches, relative to `below`."""
    return [os.path.relpath(file.path, below) for file in storage.match(str(pattern))]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with files, hidden files and folders."""
    for name in ("b.txt", "a.txt", "sub/c.txt", "sub/deep/d.txt", ".git/e.txt", ".hidden"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "tree"


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("", [".hidden", "a.txt", "b.txt", "sub/c.txt", "sub/deep/d.txt"]),
        ("sub/", ["sub/c.txt", "sub/deep/d.txt"]),
        ("a.txt", ["a.txt"]),
        ("*.txt", ["a.txt", "b.txt"]),
        ("[b-z].txt", ["b.txt"]),
        ("*", ["a.txt", "b.txt"]),
        ("**/*.txt", ["a.txt", "b.txt", "sub/c.txt", "sub/deep/d.txt"]),
        ("**/**/*.txt", ["a.txt", "b.txt", "sub/c.txt", "sub/deep/d.txt"]),
        ("missing.txt", []),
        ("missing/*.txt", []),
        ("a.txt/x", []),
    ],
)
def test_match_local_pattern_lists_files_once_and_in_order(pattern: str, matched: list[str], tree: Path) -> None:
    assert matched == names(f"{tree}/{pattern}", tree)


@pytest.mark.parametrize("name", ["what?.txt", "star*.txt", "set[ab].txt", "caf\udce9.txt"])
def test_match_file_whose_name_looks_like_a_glob_is_taken_literally(name: str, tmp_path: Path) -> None:
    for other in (name, "whats.txt", "starry.txt", "seta.txt"):
        (tmp_path / other).write_text("a")

    assert [name] == names(tmp_path / name, tmp_path)


def test_match_directory_whose_name_looks_like_a_glob_is_taken_literally(tmp_path: Path) -> None:
    for folder in ("part[1]", "part1"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text("a")

    assert ["part[1]/a.txt"] == names(tmp_path / "part[1]", tmp_path)


def test_match_gives_size_and_time_and_skips_what_is_not_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"12345")
    os.utime(path, (1_000, 2_000.5))
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.txt")

    assert [StoredFile(str(path), 5, 2_000.5)] == storage.match(f"{tmp_path}/*.txt")


@pytest.mark.parametrize(
    ("base", "parts", "joined"),
    [
        ("gs://bucket/out", ("plan.json",), "gs://bucket/out/plan.json"),
        ("gs://bucket/out/", ("shards", "00000.json"), "gs://bucket/out/shards/00000.json"),
        ("gs://bucket/out/", ("",), "gs://bucket/out/"),
        ("out/", ("plan.json",), "out/plan.json"),
        ("/", ("plan.json",), "/plan.json"),
    ],
)
def test_join_puts_single_slashes_between(base: str, parts: tuple[str, ...], joined: str) -> None:
    assert joined == storage.join(base, *parts)


def test_publish_bytes_over_an_older_file_replaces_it_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    storage.publish_bytes(b"old and longer", str(path))
    reader = storage.open_read(str(path))
    storage.publish_bytes(b"new", str(path))

    with reader:
        assert b"old and longer" == reader.read()  # a reader of the old file still gets all of it
    assert b"new" == storage.read_bytes(str(path))
    assert ["file"] == os.listdir(path.parent)


def test_publish_bytes_that_fails_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    with pytest.raises(TypeError):
        storage.publish_bytes("not bytes", str(path))  # type: ignore[arg-type]

    assert b"old" == path.read_bytes()


def test_publish_file_moves_it(tmp_path: Path) -> None:
    local = tmp_path / "draft"
    local.write_bytes(b"rows")

    storage.publish_file(str(local), str(tmp_path / "out" / "part"))

    assert b"rows" == (tmp_path / "out" / "part").read_bytes()
    assert not local.exists()


def test_delete_files_directories_and_links_leaves_what_a_link_points_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("a")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    (tmp_path / "file").write_text("a")

    storage.delete([str(tmp_path / name) for name in ("link", "folder", "file", "missing")])

    assert ["kept/file"] == names(tmp_path, tmp_path)
    assert ["kept"] == os.listdir(tmp_path)
