"""What comes from others: packages by hash, actions by commit, and a workflow that may do little."""

from __future__ import annotations

import ast
import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PINS = ROOT / "deploy" / "requirements.txt"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
LINUX = {"python_version": "3.11", "python_full_version": "3.11.0", "implementation_name": "cpython",
         "platform_python_implementation": "CPython", "platform_machine": "x86_64", "platform_system": "Linux",
         "sys_platform": "linux", "os_name": "posix"}  # fmt: skip


def named(package: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def pinned() -> dict[str, tuple[str, list[str]]]:
    """Package -> version and hashes, of `deploy/requirements.txt`; every line of it is one of these or a remark."""
    found: dict[str, tuple[str, list[str]]] = {}
    entry: list[str] = []
    for line in PINS.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        if match := re.fullmatch(r"([\w.-]+)==([\w.+!-]+) \\", line):
            entry = []
            found[named(match[1])] = match[2], entry
        else:
            hashed = re.fullmatch(r" {4}--hash=sha256:([0-9a-f]{64})( \\)?", line)
            assert hashed, f"neither a version nor a sha256: {line}"
            entry.append(hashed[1])
    return found


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {named(name): version for name, version in (line.split("==") for line in lines if not line.startswith("#"))}


def wanted() -> list[Requirement]:
    """What `setup.py` asks for at run time, on Dataflow too, and for models of any kind."""
    (call,) = (
        node.value
        for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    )
    given = {word.arg: word.value for word in call.keywords}
    extras = ast.literal_eval(given["extras_require"])
    names = ast.literal_eval(given["install_requires"]) + extras["gcp"] + extras["subwords"]
    return [Requirement(name) for name in names]


def test_every_requirement_is_pinned_at_the_tested_version_with_its_hashes() -> None:
    found, tested = pinned(), constraints()
    for requirement in wanted():
        version, hashes = found[named(requirement.name)]
        assert tested[named(requirement.name)] == version
        assert requirement.specifier.contains(version)
        assert hashes


def test_every_pin_has_hashes_and_the_tested_version() -> None:
    tested = constraints()
    for name, (version, hashes) in pinned().items():
        assert len(hashes) == len(set(hashes)) > 0, name
        assert tested.get(name, version) == version, f"{name}: run scripts/pin"


def test_whatever_a_pinned_package_needs_is_pinned_too() -> None:
    found = pinned()
    todo, seen = [(named(r.name), frozenset(r.extras)) for r in wanted()], set()
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        assert name in found, f"{name} is needed and not pinned: run scripts/pin"
        try:
            needs = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:
            continue  # only on Dataflow, and not installed here
        for need in needs:
            if any(need.marker is None or need.marker.evaluate({**LINUX, "extra": e}) for e in ("", *extras)):
                todo.append((named(need.name), frozenset(need.extras)))
    assert len(seen) > 30


def test_pins_name_no_place_to_fetch_from() -> None:
    text = PINS.read_text(encoding="utf-8")
    assert not re.search(r"://|--(index|extra-index|find-links|trusted)|file:|/(root|home|opt|tmp)/| @ ", text)


def test_there_is_a_workflow_and_it_runs_what_everybody_runs() -> None:
    assert [ROOT / ".github" / "workflows" / "ci.yml"] == WORKFLOWS
    assert "- run: scripts/test\n" in WORKFLOWS[0].read_text(encoding="utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_a_whole_commit_and_its_version_is_said(path: Path) -> None:
    used = re.findall(r"uses:(.*)", path.read_text(encoding="utf-8"))
    assert used
    for action in used:
        assert re.fullmatch(r" [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_may_read_the_code_and_nothing_else(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert 1 == text.count("permissions:")
    assert "\npermissions:\n  contents: read\n\n" in text
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")
    assert not re.search(r"secrets\.|pull_request_target|workflow_run|self-hosted|GITHUB_TOKEN|: write", text)
    # What somebody else chose, the name of a branch for one, must not become part of a command.
    assert not re.search(r"run:.*\$\{\{", text)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_each_job_of_a_workflow_ends_and_runs_on_a_known_system(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    jobs = re.findall(r"^  [\w-]+:$", text.split("\njobs:\n")[1], re.MULTILINE)
    assert len(jobs) == len(re.findall(r"^    timeout-minutes: \d+$", text, re.MULTILINE)) > 0
    assert len(jobs) == len(re.findall(r"^    runs-on: ubuntu-\d+\.\d+$", text, re.MULTILINE))
    assert "\nconcurrency:\n" in text


def test_every_test_that_the_threat_model_names_exists() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named_tests = re.findall(r"`((?:\w+/)*test_\w+\.py)(?:::(test_\w+))?`", text)
    assert len(named_tests) == len(re.findall(r"test_\w+\.py", text)) >= 15
    for file, test in named_tests:
        assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8") if test else True, (file, test)


def test_every_row_of_the_threat_model_names_what_holds_it() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert len(rows) > 10
    assert [] == [row for row in rows[2:] if not re.search(r"`(\w+/)*test_|`tests/", row[-1])]
