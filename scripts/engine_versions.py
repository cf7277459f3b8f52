"""The engines that `scripts/engines` fetches, and in which versions. The checksums are in scripts/engine_files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JavaEngine:
    """An engine on the JVM: Beam's job server from Maven, and the engine's own jars from a source package of PyPI.

    Args:
        server: the job server's main class.
        beam: the version of Beam's runner.
        package: the package of PyPI, without its version.
        version: the engine's own version.
        kept: the folders of the package to unpack; the first one has the jars.
        download: the most that comes over the network, roughly.
    """

    name: str
    server: str
    beam: str
    package: str
    version: str
    kept: tuple[str, ...]
    download: str
    needs = ("java", "mvn")

    @property
    def file(self) -> str:
        """The job server in the cache."""
        return f"{self.name}-{self.version}-beam-{self.beam}.jar"


@dataclass(frozen=True)
class Prism:
    """Beam's runner in Go, built from its source.

    Args:
        module: the Go module that contains it.
        version: the version of Beam.
        checksum: the module's, as in `go.sum`.
        download: the most that comes over the network, roughly.
    """

    module: str
    version: str
    checksum: str
    download: str
    name = "prism"
    needs = ("go",)

    @property
    def file(self) -> str:
        """The executable in the cache."""
        return f"prism-{self.version}"


# The newest Beam and the newest Flink for which all parts could be fetched: docs/engines.md says more.
ENGINES: dict[str, JavaEngine | Prism] = {
    engine.name: engine
    for engine in (
        JavaEngine(
            name="flink",
            server="org.apache.beam.runners.flink.FlinkJobServerDriver",
            beam="2.70.0",
            package="apache-flink-libraries",
            version="1.19.3",
            kept=("deps/lib", "deps/bin"),
            download="340 MB",
        ),
        JavaEngine(
            name="spark",
            server="org.apache.beam.runners.spark.SparkJobServerDriver",
            beam="2.70.0",
            package="pyspark",
            version="3.5.9",
            kept=("deps/jars", "deps/bin", "deps/sbin"),
            download="430 MB",
        ),
        Prism(
            module="github.com/apache/beam/sdks/v2",
            version="2.77.0",
            checksum="h1:RsC61pHEvtySEHAURQyP/+CVOJm/hy5hewuG9JF0+Ow=",
            download="130 MB",
        ),
    )
}
