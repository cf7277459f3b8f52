"""The graph's steps, taken without Beam too; and its small parts: the versions that a manifest names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from batch_scorer.config import ScoreConfig
from batch_scorer.runners import graph
from batch_scorer.runners.graph import versions
from tests.conftest import REVIEWS
from tests.jobs import part_bytes, score_here
from tests.straight import beam_jobs, straight_jobs


def test_steps_that_tests_take_without_beam_write_what_the_graph_does(
    config: Callable[..., ScoreConfig], jsonl_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[object] = []

    def build(*given: Any) -> None:
        built.append(given)
        graph.build(*given)

    monkeypatch.setattr("batch_scorer.runners.local.build", build)
    source = jsonl_file(*({"id": name, "text": text} for name, text in REVIEWS), {"id": "b"}, b"{broken")
    common: dict[str, Any] = {"id_column": "id", "run_id": "r", "shard_rows": 2, "max_error_rate": 0.5}
    with straight_jobs():
        straight = score_here(config(source, output=str(tmp_path / "straight"), **common))
    assert [] == built
    with beam_jobs():
        through = score_here(config(source, output=str(tmp_path / "through"), **common))
    assert 1 == len(built)
    assert 4 == len(part_bytes(tmp_path / "through"))
    assert part_bytes(tmp_path / "through") == part_bytes(tmp_path / "straight")
    assert through.keys() == straight.keys()
    for name in ("counts", "parts", "profile", "bias", "versions"):
        assert through[name] == straight[name], name


def test_versions_are_those_of_the_installed_packages() -> None:
    found = versions()
    assert {"python", "batch-scorer", "apache-beam", "tensorflow", "pyarrow", "numpy"} == found.keys()
    assert metadata.version("tensorflow") == found["tensorflow"]


@pytest.mark.parametrize(
    ("installed_as", "expected"),
    [
        (("tensorflow-cpu",), "9.8 (tensorflow-cpu)"),
        (("tf-nightly", "tf_a"), "9.8 (tf-nightly), 9.8 (tf_a)"),
        ((), "unknown"),
    ],
)
def test_package_under_another_name_has_a_version_too(
    installed_as: tuple[str, ...], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package of this environment is hidden, and others that provide it stand in a directory on the path."""
    for name in installed_as:
        info = tmp_path / f"{name.replace('-', '_')}-9.8.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.8\n")
        (info / "top_level.txt").write_text("tensorflow\n")
    discover = metadata.Distribution.discover
    monkeypatch.syspath_prepend(str(tmp_path))

    def without_tensorflow(**query: object) -> Iterator[metadata.Distribution]:
        return (found for found in discover(**query) if (found.metadata["Name"] or "").lower() != "tensorflow")

    monkeypatch.setattr(metadata.Distribution, "discover", without_tensorflow)
    assert expected == versions()["tensorflow"]
