"""Engines are fetched once and verified, and half a download is never used.

Maven and Go are stand-ins. Pip is the real one: a folder is its index, and the package there builds without setuptools.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from scripts import fetch_engines
from scripts.engine_versions import ENGINES, JavaEngine, Prism
from scripts.fetch_engines import PINS, FetchError, fetch, pin

ROOT = Path(__file__).parents[2]
JAR, SHARED = "org/runner/1/runner-1.jar", "org/shared/2/shared-2.jar"
ENGINE = JavaEngine("storm", "org.Server", "1", "storm-libraries", "9.1", ("deps/lib", "deps/bin"), "1 MB")
BUILD = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
METADATA = "Metadata-Version: 2.1\nName: storm-libraries\nVersion: 9.1\n"
BACKEND = f"""from pathlib import Path
def prepare_metadata_for_build_wheel(folder, *_):
    made = Path(folder, "storm_libraries-9.1.dist-info")
    made.mkdir()
    (made / "METADATA").write_text({METADATA!r})
    return made.name
"""
MAVEN = f"""#!/bin/sh
for word; do
    case "$word" in
        -Dmaven.repo.local=*) repository=${{word#*=}} ;;
        -Dmdep.outputFile=*) output=${{word#*=}} ;;
    esac
done
mkdir -p "$repository" && cp -R "$SERVED/." "$repository"
printf %s "$repository/{JAR}:$repository/{SHARED}" > "$output"
"""
OFFLINE = '#!/bin/sh\necho "[ERROR] Could not transfer artifact: Unknown host"\nexit 1\n'
GO = """#!/bin/sh
if [ "$1" = mod ]; then echo '{"Sum": "h1:served"}'; else echo built > "$GOBIN/prism"; fi
"""


@dataclasses.dataclass(frozen=True)
class Registry:
    """What stands in for the network: `tools` on the path, `served` jars, `pins`, and a `cache` to fetch into."""

    tools: Path
    served: Path
    pins: Path
    cache: Path

    def tool(self, name: str, text: str = "#!/bin/sh\n") -> None:
        (self.tools / name).write_text(text)
        (self.tools / name).chmod(0o755)

    def serve(self, path: str, data: bytes) -> None:
        (self.served / path).parent.mkdir(parents=True, exist_ok=True)
        (self.served / path).write_bytes(data)

    @property
    def leftovers(self) -> list[str]:
        """What is in the cache and would be used, or was forgotten there."""
        found = self.cache.iterdir() if self.cache.exists() else ()
        return sorted(path.name for path in found if path.name not in (".lock", "maven", "packages"))


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    made = Registry(*(tmp_path / name for name in ("tools", "served", "pins", "a cache")))
    for folder in (made.tools, made.served, made.pins):
        folder.mkdir()
    for name, text in {"java": "#!/bin/sh\n", "mvn": MAVEN, "go": GO}.items():
        made.tool(name, text)
    jars = {JAR: b"the runner", SHARED: b"shared"}
    for path, data in jars.items():
        made.serve(path, data)
    lines = (f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in jars.items())
    (made.pins / "storm.sha256").write_text("".join(lines))
    digest = write_package(made.served / "storm-libraries-9.1.tar.gz")
    (made.pins / "storm.txt").write_text(f"storm-libraries==9.1 --hash=sha256:{digest}\n")
    monkeypatch.setenv("PATH", f"{made.tools}:/usr/bin:/bin")
    monkeypatch.setenv("SERVED", str(made.served))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.served))
    monkeypatch.setenv(fetch_engines.CACHE, str(made.cache))
    return made


def write_package(path: Path) -> str:
    """A source package with two jars, a script and things of no use; returns its sha256."""
    files = {"pyproject.toml": BUILD, "backend.py": BACKEND, "PKG-INFO": METADATA}
    files |= {"deps/lib/storm-b.jar": "b", "deps/lib/storm-a.jar": "a", "deps/bin/run": "r", "deps/examples/x": "x"}
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"storm-libraries-9.1/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def class_path(jar: Path) -> list[str]:
    with zipfile.ZipFile(jar) as archive:
        text = archive.read("META-INF/MANIFEST.MF").decode()
    assert 72 >= max(len(line.encode()) for line in text.split("\r\n"))
    attributes = dict(line.split(": ", 1) for line in text.replace("\r\n ", "").split("\r\n") if line)
    assert "org.Server" == attributes["Main-Class"]
    return attributes["Class-Path"].split(" ")


def test_engine_is_assembled_from_what_is_pinned_and_then_is_not_fetched_again(registry: Registry) -> None:
    ready = fetch(ENGINE, registry.cache, registry.pins)
    assert "storm-9.1-beam-1.jar" == ready.name
    home = registry.cache / "storm-9.1"
    expected = [f"maven/{JAR}", f"maven/{SHARED}", "storm-9.1/lib/storm-a.jar", "storm-9.1/lib/storm-b.jar"]
    assert expected == class_path(ready)
    assert ["bin/run", "lib/storm-a.jar", "lib/storm-b.jar"] == sorted(
        path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()
    )
    assert ["storm-9.1", ready.name] == registry.leftovers
    for name in ("java", "mvn"):
        (registry.tools / name).unlink()
    assert ready == fetch(ENGINE, registry.cache, registry.pins)


def test_what_differs_from_its_pin_is_refused_and_the_next_try_fetches_only_that(registry: Registry) -> None:
    registry.serve(SHARED, b"sha")
    with pytest.raises(FetchError, match=r"shared-2\.jar is not the pinned file: expected sha256 ") as told:
        fetch(ENGINE, registry.cache, registry.pins)
    assert "again" in told.value.fix
    assert not (registry.cache / "maven" / SHARED).exists()
    assert [] == registry.leftovers
    registry.serve(SHARED, b"shared")

    package = registry.pins / "storm.txt"
    right = package.read_text()
    package.write_text(right[:-10] + "000000000\n")
    (registry.cache / ".half-of-a-run-that-was-killed").mkdir()
    with pytest.raises(FetchError, match=f"`python.*NOT MATCH THE HASHES.*{right[-10:-1]}"):
        fetch(ENGINE, registry.cache, registry.pins)
    assert [] == registry.leftovers
    package.write_text(right)
    registry.tool("mvn", OFFLINE)  # and is not needed again
    assert fetch(ENGINE, registry.cache, registry.pins).exists()


def test_checksums_are_written_again_from_what_maven_resolves(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fetch_engines, "ENGINES", {"storm": ENGINE})
    table = registry.pins / "storm.sha256"
    right = table.read_text()
    table.write_text("")
    assert table == pin(ENGINE, registry.cache, registry.pins)
    assert right == table.read_text()
    registry.tool("mvn", OFFLINE)
    assert 1 == fetch_engines.main(["--pin", "storm"])
    assert "error: storm: `mvn` ended with exit code 1" in capsys.readouterr().err


def test_network_that_is_down_is_told_with_a_next_step(registry: Registry) -> None:
    registry.tool("mvn", OFFLINE)
    with pytest.raises(FetchError, match=r"`mvn` ended with exit code 1: .* Unknown host") as told:
        fetch(ENGINE, registry.cache, registry.pins)
    assert "check the network" in told.value.fix
    assert [] == registry.leftovers


def test_cache_that_cannot_be_written_to_is_named_with_a_next_step(registry: Registry) -> None:
    registry.cache.write_text("a file")
    with pytest.raises(FetchError, match=f"File exists: '{registry.cache}'") as told:
        fetch(ENGINE, registry.cache, registry.pins)
    assert f"permissions, in {registry.cache}" in told.value.fix


def test_fetching_may_be_interrupted(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch_engines.subprocess, "run", interrupted)
    assert 1 == fetch_engines.main(["prism"])
    assert "error: prism: interrupted\n  to fix:   run the same command again" in capsys.readouterr().err
    assert [] == registry.leftovers


def test_prism_is_built_from_the_pinned_module_only(registry: Registry) -> None:
    right = Prism("beam", "1", "h1:served", "1 MB")
    with pytest.raises(FetchError, match="expected h1:other, got h1:served"):
        fetch(dataclasses.replace(right, checksum="h1:other"), registry.cache)
    assert [] == registry.leftovers
    assert "built\n" == fetch(right, registry.cache).read_text()


def test_missing_tools_are_named_with_a_next_step_and_the_rest_is_fetched(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(registry.tools))
    for name in ("java", "mvn"):
        (registry.tools / name).unlink()
    prism = Prism("beam", "1", "h1:served", "1 MB")
    monkeypatch.setattr(fetch_engines, "ENGINES", {"storm": ENGINE, "prism": prism})
    registry.tool("go", GO.replace("#!/bin/sh", "#!/bin/sh\nPATH=/usr/bin:/bin"))
    assert 1 == fetch_engines.main([])
    told = capsys.readouterr()
    assert "error: storm: java and mvn not found" in told.err
    assert "openjdk-17" in told.err and "install Maven" in told.err
    assert f"prism: fetching up to 1 MB into {registry.cache}" in told.out
    assert f"prism: {registry.cache / 'prism-1'}" in told.out


def test_path_of_an_engine_is_told_only_when_it_is_there(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == fetch_engines.main(["--path", "prism"])
    assert "scripts/engines prism" in capsys.readouterr().err
    ready = registry.cache / ENGINES["prism"].file
    ready.parent.mkdir()
    ready.touch()
    assert 0 == fetch_engines.main(["--path", "prism"])
    assert f"{ready}\n" == capsys.readouterr().out
    with pytest.raises(SystemExit):
        fetch_engines.main(["storm"])


def test_pins_are_checksums_of_the_versions_that_are_fetched() -> None:
    for engine in ENGINES.values():
        if isinstance(engine, Prism):
            assert f"apache-beam=={engine.version}\n" in (ROOT / "constraints.txt").read_text()
            continue
        requirement, _, digest = (PINS / f"{engine.name}.txt").read_text().strip().partition(" --hash=sha256:")
        assert (f"{engine.package}=={engine.version}", 64) == (requirement, len(digest))
        lines = (PINS / f"{engine.name}.sha256").read_text().splitlines()
        assert 100 < len(lines) == len(set(lines))
        for line in lines:
            digest, path = line.split("  ")
            assert (64, ".jar") == (len(bytes.fromhex(digest)) * 2, path[-4:])
        assert f"<version>{engine.beam}</version>" in (PINS / f"{engine.name}.xml").read_text()
        assert f"/{engine.beam}/" in lines[0] and "beam-runners-" in lines[0]


def test_module_needs_nothing_but_pythons_own_library() -> None:
    command = [sys.executable, "-E", "-S", "-m", "scripts.fetch_engines", "--help"]
    assert "--pin" in subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
