"""The graph's own small parts: the versions that a manifest names."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from batch_scorer.runners.graph import versions


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
