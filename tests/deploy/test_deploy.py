"""The image, the template and the steps of `deploy/`: all that can be said without a cloud."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import click
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from batch_scorer.cli import main
from batch_scorer.errors import OptionError
from deploy import launcher
from tests.deploy.test_supply_chain import pinned
from tests.processes import GUARD_S

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
README = (DEPLOY / "README.md").read_text(encoding="utf-8")
METADATA: dict[str, Any] = json.loads((DEPLOY / "metadata.json").read_text(encoding="utf-8"))
PARAMETERS: dict[str, dict[str, Any]] = {parameter["name"]: parameter for parameter in METADATA["parameters"]}
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
TODAY = date(2026, 3, 1)
PLACES = ["--input=gs://b/in", "--output=gs://b/out"]
# As Google's launcher adds them; the labels are JSON.
BEAMS = [
    "--runner=DataflowRunner",
    "--project=p",
    "--region=r",
    "--job_name=j",
    "--staging_location=gs://b/staging",
    "--temp_location=gs://b/tmp",
    "--template_location=gs://b/staging/template_launches/1/job_object",
    '--labels={\n   "goog-dataflow-provided-template-type" : "flex"\n}\n',
    "--service_account_email=w@p",
    "--sdk_container_image=image:1",
]


# The image.


def instructions() -> list[tuple[str, str]]:
    """Instruction and arguments of each line of the Dockerfile; continued lines are joined."""
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines if line)]


def images() -> dict[str, str]:
    return dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", DOCKERFILE, re.MULTILINE))


def test_every_image_has_a_version_or_a_digest_and_none_is_the_latest() -> None:
    assert {"PYTHON_IMAGE", "BEAM_IMAGE", "LAUNCHER_IMAGE"} == set(images())
    for image in images().values():
        assert re.fullmatch(r"[\w./-]+:[\w.-]+(@sha256:[0-9a-f]{64})?", image), image
    assert "latest" not in DOCKERFILE
    bases = [rest.split(" ")[0] for name, rest in instructions() if name == "FROM"]
    assert set(bases) == {f"${{{name}}}" for name in images()}


def test_image_of_beam_is_of_the_version_that_is_installed_and_of_its_python() -> None:
    assert images()["BEAM_IMAGE"].partition("@")[0] == f"apache/beam_python3.11_sdk:{pinned()['apache-beam'][0]}"
    assert images()["PYTHON_IMAGE"].startswith("python:3.11-slim")
    assert "/python311-" in images()["LAUNCHER_IMAGE"]


def test_every_package_is_installed_by_hash_and_ours_without_others() -> None:
    installs = re.findall(r"pip install ([^&\n]*)", DOCKERFILE)
    assert len(installs) == 3
    for options in installs:
        assert "--no-deps" in options
        assert "--require-hashes" in options or options.strip().endswith("--no-build-isolation .")
        assert "--only-binary :all:" in options or "--no-build-isolation" in options


def test_requirements_are_parted_into_wheels_and_the_one_source(tmp_path: Path) -> None:
    (split,) = re.findall(r"awk '.*?' requirements.txt", DOCKERFILE)
    shutil.copy(DEPLOY / "requirements.txt", tmp_path)
    subprocess.run(["bash", "-c", split], cwd=tmp_path, check=True)
    wheels, source = ((tmp_path / name).read_text(encoding="utf-8") for name in ("wheels.txt", "source.txt"))
    packages = re.compile(r"^([\w.-]+)==", re.MULTILINE)
    assert ["google-apitools"] == packages.findall(source)
    assert len(pinned()) - 1 == len(packages.findall(wheels))
    assert "--hash=sha256:" in source
    assert {"setuptools", "wheel"} < set(packages.findall(wheels))  # build the one source, and us


def test_image_holds_no_packages_for_graphics_cards() -> None:
    assert [] == [name for name in pinned() if name.startswith("nvidia")]


def test_image_runs_as_somebody_who_is_not_root() -> None:
    users = [rest for name, rest in instructions() if name == "USER"]
    assert ["${SCORER_USER}"] == users
    assert "ARG SCORER_USER=10001\n" in DOCKERFILE
    assert "useradd --uid 10001 " in DOCKERFILE
    after = [name for name, _ in instructions()][[name for name, _ in instructions()].index("USER") :]
    assert ["USER", "WORKDIR", "RUN", "ENTRYPOINT"] == after  # the model is verified as that user


def test_nothing_is_fetched_but_images_and_packages() -> None:
    assert "ADD" not in {name for name, _ in instructions()}
    assert not re.search(r"curl|wget|https?:|git |apt-get|--index|--trusted", DOCKERFILE.split("ARG PYTHON_IMAGE")[1])


def test_image_starts_as_beam_expects_and_the_launcher_finds_our_file() -> None:
    assert ("ENTRYPOINT", '["/opt/apache/beam/boot"]') == instructions()[-1]
    environment = dict(re.findall(r"(\w+)=(\S+)", next(rest for name, rest in instructions() if "FLEX" in rest)))
    assert "/opt/batch-scorer/launcher.py" == environment["FLEX_TEMPLATE_PYTHON_PY_FILE"]
    assert "deploy/launcher.py /opt/batch-scorer/launcher.py" in [
        rest for name, rest in instructions() if name == "COPY"
    ]
    assert "/opt/batch-scorer/model" == environment["BATCH_SCORER_MODEL"]
    assert ("COPY", "${MODEL} /opt/batch-scorer/model") in instructions()
    assert "1" == environment["TF_NUM_INTRAOP_THREADS"] == environment["TF_NUM_INTEROP_THREADS"]


def test_files_that_are_copied_exist_and_are_let_into_the_build() -> None:
    model = re.findall(r"^ARG MODEL=(\S+)$", DOCKERFILE, re.MULTILINE)
    copied = [rest.split(" ")[:-1] for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    paths = {path.replace("${MODEL}", *model) for paths in copied for path in paths}
    assert {"batch_scorer", "deploy/launcher.py", "deploy/requirements.txt", "setup.py"} < paths
    assert [] == [path for path in paths if not (ROOT / path).exists()]
    let_in = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert [] == [path for path in paths if not any(path == name or path.startswith(f"{name}/") for name in let_in)]
    assert {"deploy/model"} == set(let_in) - {path for path in paths if path in let_in}  # for a model of one's own


def test_cloud_build_builds_that_dockerfile_with_arguments_that_it_takes() -> None:
    text = (DEPLOY / "cloudbuild.yaml").read_text(encoding="utf-8")
    assert "--file=deploy/Dockerfile" in text
    given = dict(re.findall(r"--build-arg=(\w+)=\$(\w+)", text))
    assert {"IMAGE": "_IMAGE", "MODEL": "_MODEL", "SCORER_USER": "_USER"} == given
    for argument, substitution in given.items():
        default = re.findall(rf"^ARG {argument}=?(\S*)$", DOCKERFILE, re.MULTILINE)
        assert default == [*re.findall(rf'^  {substitution}: "?([^"\n]+)"?$', text, re.MULTILINE), ""][:1]


# The parameters of the template.


def options() -> dict[str, click.Parameter]:
    return {("input" if option.name == "inputs" else option.name or ""): option for option in main.score.params}


def test_every_option_of_the_command_is_a_parameter_or_left_out_for_a_reason() -> None:
    assert set() == set(options()) - set(PARAMETERS) - set(launcher.LEFT_OUT)
    assert set() == set(PARAMETERS) & set(launcher.LEFT_OUT)
    assert set(PARAMETERS) == {"input", launcher.IMAGE, *launcher.parameters()}
    assert all(launcher.LEFT_OUT.values())


def test_no_parameter_has_the_name_of_an_option_of_beam() -> None:
    assert {launcher.IMAGE} == set(PARAMETERS) & set(PipelineOptions([]).get_all_options())


@pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=PARAMETERS)
def test_parameter_is_described_as_google_wants_it(parameter: dict[str, Any]) -> None:
    assert {"name", "label", "helpText", "paramType", "isOptional"} <= set(parameter)
    assert set(parameter) <= {"name", "label", "helpText", "paramType", "isOptional", "regexes", "enumOptions"}
    assert parameter["paramType"] in ("TEXT", "ENUM", "NUMBER", "BOOLEAN")
    assert re.fullmatch(r"[A-Z].{3,40}", parameter["label"])
    assert parameter["helpText"].endswith(".")
    for regex in parameter.get("regexes", ()):
        re.compile(regex)
        assert not re.search(r"\\[dwsbB]|\(\?|[*+?}]\?", regex), "not in POSIX"


@pytest.mark.parametrize("name", [name for name in PARAMETERS if name != launcher.IMAGE])
def test_parameter_says_what_the_option_does(name: str) -> None:
    option, parameter = options()[name], PARAMETERS[name]
    assert parameter["isOptional"] is not option.required
    kind = option.type
    if isinstance(kind, click.Choice):
        assert list(kind.choices) == [choice["value"] for choice in parameter["enumOptions"]]
        assert [f"^({'|'.join(kind.choices)})$"] == parameter["regexes"]
    assert isinstance(kind, click.Choice) == (parameter["paramType"] == "ENUM")
    assert isinstance(kind, click.IntRange) == (parameter["paramType"] == "NUMBER")
    assert bool(getattr(option, "is_flag", False)) == (parameter["paramType"] == "BOOLEAN")
    if parameter["isOptional"] and isinstance(option.default, (bool, int, float, str)):
        assert parameter["helpText"].split("Default: ")[1].startswith(str(option.default).lower())
    elif parameter["isOptional"]:
        assert "Default: " in parameter["helpText"]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("input", ["gs://b/in/*", "gs://b/a;gs://b/c/{date}"], ["in.jsonl", "gs://b/a;", "s3://b/a"]),
        ("output", ["gs://b/out"], ["out", "gs://b/a;gs://b/c"]),
        ("delimiter", [";", "\t"], ["", ";;"]),
        ("limit", ["1", "1000"], ["0", "-1", "1e3"]),
        ("top_k", ["0", "10"], ["", "ten"]),
        ("max_error_rate", ["0", "0.01", "1", ".5", "1.0"], ["1.5", "1%", "2"]),
        ("resume", ["true", "false"], ["yes", "True"]),
    ],
)
def test_check_of_a_parameter_takes_what_the_command_takes(name: str, good: list[str], bad: list[str]) -> None:
    (regex,) = PARAMETERS[name]["regexes"]
    assert good == [value for value in [*good, *bad] if re.search(regex, value)]


# The launcher.


def words(*more: str, beams: list[str] = BEAMS, **environment: str) -> list[str]:
    return launcher.command([*PLACES, *more, *beams], environment, TODAY)


def test_parameters_become_options_and_all_else_goes_to_beam_as_it_came() -> None:
    ours = ["--text_column=review.body", "--keep=label=true_label;stars", "--top_k=5", "--no_excerpt=true"]
    found = words(BEAMS[0], *ours, beams=BEAMS[1:])
    expected = [
        "--output=gs://b/out",
        "--text-column=review.body",
        "--keep=label=true_label",
        "--keep=stars",
        "--top-k=5",
    ]
    assert ["batch-scorer", "score", "gs://b/in", *expected, "--no-excerpt", "--", *BEAMS] == found


def test_several_inputs_are_parted_by_semicolons_and_keep_their_commas() -> None:
    found = launcher.command(["--input=gs://b/a,1;gs://b/c d", "--output=gs://b/out", *BEAMS], {}, TODAY)
    assert ["gs://b/a,1", "gs://b/c d"] == found[2:4]


def test_flag_that_is_false_is_left_out() -> None:
    assert words() == words("--resume=false", "--overwrite=False")


def test_days_are_filled_in_where_places_are_named_and_nowhere_else() -> None:
    given = [
        "--input=gs://b/{yesterday}/*",
        "--output=gs://b/out/{date}",
        "--run_id=of-{yesterday}",
        "--id_column={date}",
    ]
    found = launcher.command([*given, *BEAMS], {}, TODAY)
    expected = ["gs://b/2026-02-28/*", "--output=gs://b/out/2026-03-01", "--run-id=of-2026-02-28", "--id-column={date}"]
    assert expected == found[2:6]


def test_image_and_model_are_those_of_the_launchers_own_image_unless_others_are_asked_for() -> None:
    built = {"BATCH_SCORER_IMAGE": "built:1", "BATCH_SCORER_MODEL": "/opt/model"}
    found = words(beams=BEAMS[:-1], **built)
    assert "--sdk_container_image=built:1" == found[-1]
    assert "--model=/opt/model" in found
    asked = words("--model=gs://b/model", **built)
    assert BEAMS == asked[asked.index("--") + 1 :]
    assert ["--model=gs://b/model"] == [word for word in asked if word.startswith("--model")]


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (["--text_column="], "the parameter text_column is empty"),
        (["--text_column"], "the parameter text_column is empty"),
        (["--limit=1", "--limit=2"], "the parameter limit is given twice"),
        (["--keep=a", "--keep=b"], "the parameter keep is given twice"),
        (["--keep=a;;b"], "the parameter keep has an empty value"),
        (["--keep=a;--"], "the parameter keep has an empty value or one that begins with a hyphen"),
        (["--resume=yes"], "the parameter resume is neither true nor false"),
        (["--run_id={day}"], "the parameter run_id has an unknown placeholder"),
        (["--workers=3"], "workers is not a parameter of the template"),
        (["--dry_run=true"], "dry_run is not a parameter of the template"),
    ],
)
def test_wrong_parameter_is_refused_with_its_name(given: list[str], what: str) -> None:
    with pytest.raises(OptionError) as told:
        words(*given)
    assert what in told.value.what
    assert told.value.fix


def test_input_cannot_end_our_options() -> None:
    with pytest.raises(OptionError):
        launcher.command(["--input=--;--runner=X", "--output=gs://b/out", *BEAMS], {}, TODAY)


def test_missing_image_is_refused_since_workers_would_lack_the_package() -> None:
    with pytest.raises(OptionError) as told:
        words(beams=BEAMS[:-1])
    assert "the parameter sdk_container_image is missing" == told.value.what


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs the launcher in this process; returns its exit code and what it wrote to standard error."""
    monkeypatch.setenv("BATCH_SCORER_IMAGE", "image:1")

    def launch(*given: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [str(DEPLOY / "launcher.py"), *given])
        with pytest.raises(SystemExit) as ended:
            launcher.main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return launch


def test_launcher_scores_and_records_the_command_that_can_be_repeated(
    tmp_path: Path, launch: Callable[..., tuple[int, str]]
) -> None:
    samples = ROOT / "batch_scorer/samples/reviews.jsonl"
    given = [f"--input={samples}", f"--output={tmp_path / 'out'}", "--id_column=review_id", "--max_error_rate=0.2"]
    code, said = launch(*given, "--limit=20", "--runner=FnApiRunner")
    assert 0 == code, said
    manifest = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))
    assert 20 == manifest["counts"]["read"]
    expected = ["score", str(samples), f"--output={tmp_path / 'out'}", "--id-column=review_id", "--max-error-rate=0.2"]
    assert ["batch-scorer", *expected] == manifest["command"][:6]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--text_colum=body"], "Beam does not know an option"),
        (["body"], "Beam does not know an option"),
        (["--top_k=ten"], "'ten' is not a valid integer range"),
        (["--resume=maybe"], "the parameter resume is neither true nor false"),
    ],
)
def test_launch_with_a_mistake_is_exit_2_and_writes_nothing(
    given: list[str], told: str, tmp_path: Path, launch: Callable[..., tuple[int, str]]
) -> None:
    samples = ROOT / "batch_scorer/samples/letters"
    code, said = launch(f"--input={samples}", f"--output={tmp_path / 'out'}", "--runner=FnApiRunner", *given)
    assert 2 == code
    assert told in said
    assert [] == list(tmp_path.iterdir())


def test_file_of_the_launcher_is_a_program(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BATCH_SCORER_IMAGE": "image:1"}
    command = [sys.executable, str(DEPLOY / "launcher.py"), *PLACES, "--resume=maybe"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=GUARD_S, check=False)
    assert 2 == done.returncode
    assert "the parameter resume is neither true nor false" in done.stderr


# The steps.

STAND_IN = """
gcloud() { { printf 'gcloud'; printf ' %s' "$@"; echo; } >> "$CALLS"; case "$*" in *value\\(id\\)*) echo job-1;; esac; }
docker() { case "$*" in *imagetools*) echo "sha256:$(printf 'a%.0s' $(seq 64))";; esac; }
bq() { :; }; duckdb() { :; }; pip() { :; }; batch-scorer() { :; }
"""


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Where the README's steps were followed, with stand-ins for what reaches a network, and what gcloud got."""
    place = tmp_path_factory.mktemp("deploy") / "checkout"
    shutil.copytree(DEPLOY, place / "deploy")
    calls = place.parent / "calls"
    steps = "".join(BLOCKS).replace("rm -f launch.json\n", "")
    environment = {"PATH": os.environ["PATH"], "CALLS": str(calls)}
    done = subprocess.run(
        ["bash"], input=STAND_IN + steps, cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)
    return place, calls.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0][:40])
def test_block_of_the_readme_is_valid_shell_and_names_only_files_that_exist(block: str) -> None:
    done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
    assert "" == done.stderr
    assert [] == [path for path in re.findall(r"(?<![\w/])deploy/[\w.]+", block) if not (ROOT / path).exists()]


def test_steps_of_the_readme_go_through_from_the_first_to_the_last(followed: tuple[Path, list[str]]) -> None:
    _, calls = followed
    assert len(calls) > 30
    assert not [call for call in calls if "$" in call]
    assert "gcloud dataflow jobs cancel job-1 --region=europe-west1" in calls


def test_all_that_the_steps_make_is_deleted_by_the_last_of_them(followed: tuple[Path, list[str]]) -> None:
    _, calls = followed
    last = next(i for i, call in enumerate(calls) if "jobs delete" in call)
    made = [call for call in calls[:last] if " create " in call or "projects add-iam" in call]
    assert len(made) >= 9
    for call in made:
        group, verb, name = re.match(r"gcloud (.*?) (create|add-iam-policy-binding)(?: http)? (\S+)", call).groups()  # type: ignore[union-attr]
        undo = {"create": "(delete|rm)", "add-iam-policy-binding": "remove-iam-policy-binding"}[verb]
        group = group.replace("storage buckets", "storage")
        rest = re.findall(r"--(?:member|role)=\S+", call)
        undone = [c for c in calls[last:] if re.match(rf"gcloud {group} {undo} {re.escape(name)}\b", c)]
        assert [c for c in undone if all(word in c for word in rest)], call


def test_rights_are_those_of_the_table_and_no_account_gets_a_basic_role(followed: tuple[Path, list[str]]) -> None:
    _, calls = followed
    given = {match[1] for call in calls if "add-iam" in call and (match := re.search(r"--role=roles/(\S+)", call))}
    assert given == set(re.findall(r"^\|[^|]*\| `([\w.]+)` \| .*\|$", README, re.MULTILINE))
    assert set() == given & {"owner", "editor", "viewer", "storage.admin", "dataflow.admin"}


def test_images_can_be_pinned_by_the_readmes_loop_and_stay_valid(followed: tuple[Path, list[str]]) -> None:
    place, _ = followed
    text = (place / "deploy/Dockerfile").read_text(encoding="utf-8")
    assert [f"{image}@sha256:{64 * 'a'}" for image in images().values()] == re.findall(
        r"^ARG \w+_IMAGE=(\S+)$", text, re.M
    )


def test_scheduled_launch_has_parameters_that_the_template_takes(followed: tuple[Path, list[str]]) -> None:
    place, calls = followed
    asked = json.loads((place / "launch.json").read_text(encoding="utf-8"))["launchParameter"]
    for name, value in asked["parameters"].items():
        for regex in PARAMETERS[name].get("regexes", ()):
            assert re.search(regex, value), name
    assert {"input", "output"} <= set(asked["parameters"])
    assert [asked["containerSpecGcsPath"]] == [c.split()[4] for c in calls if "flex-template build" in c][:1]
    assert launcher.command([f"--{n}={v}" for n, v in asked["parameters"].items()] + BEAMS, {}, TODAY)


def test_bucket_throws_away_what_is_temporary_and_nothing_else(followed: tuple[Path, list[str]]) -> None:
    _, calls = followed
    (rule,) = json.loads((DEPLOY / "lifecycle.json").read_text(encoding="utf-8"))["rule"]
    places = {place for call in calls for place in re.findall(r"=gs://[\w-]+/(build|staging|tmp)\b", call)}
    assert {f"{place}/" for place in places} == set(rule["condition"]["matchesPrefix"])
    assert {"Delete"} == set(rule["action"].values())
