"""The house: which package may import which, and how large a room may be."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "batch_scorer"

# Each package, and those it may import directly; what these may import, it may import too.
# `top` is what lies in `batch_scorer/` itself; `__init__` re-exports `api`, lazily, and is exempt.
MAY_IMPORT = {
    "top": "",
    "storage": "top",
    "formats": "storage",
    "models": "storage",
    "planning": "formats",
    "runs": "planning models",
    "scoring": "runs",
    "runners": "scoring",
    "analysis": "runs",
    "compare": "analysis",
    "check": "analysis",
    "report": "analysis scoring",
    "labelling": "analysis scoring",
    "ui": "runners compare report check labelling",
    "api": "runners analysis",
    "cli": "ui api",
    "__main__": "cli",
}
# With `scoring`, since it reads what `score` reads, and judges models by the answers that users get; with `report`, by
# whose means it writes a page.
TRAIN = "top storage formats models scoring report analysis.statistics cli.framework cli.inputs cli.numbers"


def paths(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def room_of(module: str) -> str:
    """The package of a module, by its dotted name: `batch_scorer.formats.csv` -> `formats`."""
    parts = module.split(".")[1:]
    if parts and (HOUSE / parts[0]).is_dir():
        return parts[0]
    return "__main__" if parts == ["__main__"] else "top"


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path, for_types: bool = True) -> set[str]:
    """The modules of the project that `path` imports anywhere, inside functions too, and `for_types` alone."""
    found, tree = set(), ast.parse(path.read_text(encoding="utf-8"))
    if not for_types:
        tree.body = [n for n in tree.body if not (isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test))]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                below = f"{node.module}.{alias.name}".replace(".", "/")
                is_module = (ROOT / f"{below}.py").exists() or (ROOT / below).is_dir()
                found.add(f"{node.module}.{alias.name}" if is_module else node.module)
    return {name for name in found if name.split(".")[0] in ("batch_scorer", "train", "benchmarks", "tests")}


def allowed(room: str) -> set[str]:
    """A room and all that it may import, through others too."""
    found, left = {room}, [room]
    while left:
        for other in MAY_IMPORT[left.pop()].split():
            if other not in found:
                found.add(other)
                left.append(other)
    return found


def test_table_names_every_room_and_no_other() -> None:
    rooms = {room_of(dotted(path)) for path in paths("batch_scorer")}
    assert rooms == MAY_IMPORT.keys()


def test_table_has_no_cycle() -> None:
    order = list(TopologicalSorter({room: set(below.split()) for room, below in MAY_IMPORT.items()}).static_order())
    assert len(order) == len(MAY_IMPORT)


@pytest.mark.parametrize("path", [p for p in paths("batch_scorer") if p != HOUSE / "__init__.py"], ids=dotted)
def test_module_imports_only_rooms_below_its_own(path: Path) -> None:
    may = allowed(room_of(dotted(path)))
    assert set() == {name for name in imported(path) if not name.startswith("batch_scorer") or room_of(name) not in may}


def test_no_two_modules_import_each_other() -> None:
    modules = {dotted(path): path for path in paths("batch_scorer") if path != HOUSE / "__init__.py"}
    TopologicalSorter(
        {name: imported(path, for_types=False) & modules.keys() - {name} for name, path in modules.items()}
    ).prepare()


@pytest.mark.parametrize("path", paths("train"), ids=dotted)
def test_train_imports_only_what_scoring_shares_with_it(path: Path) -> None:
    may = TRAIN.split()
    ours = {name for name in imported(path) if name.startswith("batch_scorer")}
    assert set() == {
        name for name in ours if room_of(name) not in may and name.removeprefix("batch_scorer.") not in may
    }


@pytest.mark.parametrize(
    "path", [*paths("batch_scorer"), *paths("train"), *paths("benchmarks"), *paths("deploy")], ids=dotted
)
def test_module_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250
    assert path.name == "__main__.py" or ast.get_docstring(ast.parse(text))


def test_only_a_few_modules_lie_flat() -> None:
    assert len(list(HOUSE.glob("*.py"))) <= 8
