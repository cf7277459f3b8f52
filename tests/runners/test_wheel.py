"""The wheel that workers are sent: it installs without a tool or a network, and is the package as it runs here."""

from __future__ import annotations

import ast
import re
from importlib import metadata
from pathlib import Path

import pytest

from batch_scorer.errors import OptionError
from batch_scorer.runners import wheel
from tests.stubs.environment import Environment

ROOT = Path(__file__).parents[2]


def test_wheel_in_a_clean_environment_is_imported_from_there_and_has_the_shipped_model(clean: Environment) -> None:
    said = clean.python(
        "import batch_scorer; from batch_scorer.models import artifact; print(batch_scorer.__file__); "
        "print(artifact.load(artifact.SHIPPED).manifest['name'])"
    )
    path, name = said.split()
    assert Path(path).is_relative_to(clean.directory)
    assert "imdb" == name


def test_installed_package_makes_the_same_wheel_as_the_checkout(clean: Environment, tmp_path: Path) -> None:
    clean.python(f"from batch_scorer.runners import wheel; wheel.write_wheel({str(tmp_path)!r})")
    (made,) = tmp_path.iterdir()
    assert clean.wheel.name == made.name
    assert clean.wheel.read_bytes() == made.read_bytes()


def test_wheel_asks_for_what_setup_py_asks_for_at_the_versions_installed_here() -> None:
    declared = re.search(r"install_requires=(\[.*?\])", (ROOT / "setup.py").read_text(encoding="utf-8"), re.DOTALL)
    assert declared
    names = [re.split(r"[^\w-]", text)[0] for text in ast.literal_eval(declared[1])]
    names += ["tokenizers"]  # for models whose ids are pieces of words
    assert [f"{name}=={metadata.version(name)}" for name in names] == wheel.requirements()


def test_package_for_some_models_is_asked_for_only_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "_MODEL_PACKAGES", ("no-such-package", "click"))
    monkeypatch.setattr(metadata, "requires", lambda _: ["rich>=13"])
    assert [f"rich=={metadata.version('rich')}", f"click=={metadata.version('click')}"] == wheel.requirements()


def test_requirement_that_another_package_stands_in_for_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: ["no-such-package>=2", "click>=8", "mypy; extra == 'test'"])
    monkeypatch.setattr(wheel, "_MODEL_PACKAGES", ())
    assert ["no-such-package", f"click=={metadata.version('click')}"] == wheel.requirements()


def test_package_that_is_not_installed_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "_NAME", "no-such-package")
    with pytest.raises(OptionError, match="cannot be sent") as told:
        wheel.requirements()
    assert "pip install -e '.[gcp]'" in str(told.value.fix)
