"""The artefact: what is saved is what is loaded, and whatever is wrong with it is found and named."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from safetensors.numpy import load_file, save_file

from batch_scorer.errors import ArtifactError
from batch_scorer.models import artifact
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.calibration import Calibration
from batch_scorer.models.tokenizer import APOSTROPHES, PATTERN, RESERVED
from batch_scorer.ui import cards
from tests.conftest import FORMAT_2, TINY, WORDS, random_tensors, save_tiny

FILES = ("MODEL_ID", "manifest.json", "vocabulary.txt", "weights.safetensors")


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny artefact, to damage."""
    return Path(shutil.copytree(tiny_model, tmp_path / "copy"))


@pytest.fixture
def copy_2(tiny_model_2: Path, tmp_path: Path) -> Path:
    """A copy of the tiny artefact of format 2, to damage."""
    return Path(shutil.copytree(tiny_model_2, tmp_path / "copy"))


def manifest_of(directory: Path) -> Any:
    return json.loads((directory / "manifest.json").read_text(encoding="utf-8"))


def seal(directory: Path, manifest: Any) -> None:
    """Writes a manifest, raw bytes as they are, with a MODEL_ID that fits."""
    text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    (directory / "manifest.json").write_bytes(text)
    (directory / "MODEL_ID").write_text(hashlib.sha256(text).hexdigest() + "\n")


def reseal(directory: Path) -> None:
    """Makes every hash fit the files as they are now."""
    manifest = manifest_of(directory)
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((directory / name).read_bytes()).hexdigest()
    seal(directory, manifest)


def refusal(directory: Path) -> ArtifactError:
    with pytest.raises(ArtifactError) as caught:
        artifact.load(str(directory))
    return caught.value


def test_load_of_saved_model_returns_what_was_saved(tiny: Artifact, tiny_model: Path) -> None:
    expected = random_tensors(TINY, seed=7)

    assert TINY == tiny.architecture
    assert (*RESERVED, *WORDS) == tiny.vocabulary == tuple(tiny.tokenizer.vocabulary)
    assert (1.3, 0.5, TINY.max_length - 1) == (tiny.temperature, tiny.threshold, tiny.tokenizer.max_words)
    assert expected.keys() == tiny.tensors.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(value, tiny.tensors[name], err_msg=name)
    assert 1 == tiny.training_profile.reviews
    assert hashlib.sha256((tiny_model / "manifest.json").read_bytes()).hexdigest()[:12] == tiny.model_id


def test_save_of_same_model_twice_gives_same_bytes(tiny_model: Path, tmp_path: Path) -> None:
    again = save_tiny(tmp_path / "again")
    assert [(tiny_model / f).read_bytes() for f in FILES] == [(again / f).read_bytes() for f in FILES]


FIGURES = ("accuracy", "accuracy_low", "accuracy_high", "auc", "ece")
UNLOADABLE = {
    "metrics, validation, auc": {
        "metrics": {"validation": {"reviews": 9, **dict.fromkeys(FIGURES, 0.5), "auc": float("nan")}}
    },
    "temperature": {"temperature": float("inf")},
    "training, labels, counts": {
        "training": {
            **{"reviews": 1, "epoch": 1, "recipe": {"epochs": 1}, "data_sha256": "0" * 64},
            "labels": {"column": "stars", "positive": ["5"], "negative": [], "counts": {"positive": 1}},
        }
    },
    "vocabulary.txt": {"vocabulary": [*RESERVED, *WORDS[:-1], WORDS[0]]},
    "weights.safetensors": {"tensors": {**random_tensors(TINY, 7), "head.bias": np.array([np.nan], np.float32)}},
}


@pytest.mark.parametrize("where", UNLOADABLE)
def test_model_that_would_be_refused_when_loaded_is_not_written(where: str, tiny: Artifact, tmp_path: Path) -> None:
    m = tiny.manifest
    model = {
        **{name: m[name] for name in ("name", "temperature", "threshold", "metrics", "training", "versions")},
        **{"architecture": tiny.architecture, "vocabulary": tiny.vocabulary, "tensors": tiny.tensors},
        **{"max_words": tiny.tokenizer.max_words, "training_profile": tiny.training_profile},
        "probe_text": m["probe"]["text"],
    }
    assert tiny.model_id == artifact.save(str(tmp_path / "as it was"), **model)
    with pytest.raises(ArtifactError, match="could not be loaded again") as refused:
        artifact.save(str(tmp_path / "model"), **{**model, **UNLOADABLE[where]})
    assert where in str(refused.value.where)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("file", FILES)
def test_missing_file_is_named(copy: Path, file: str) -> None:
    (copy / file).unlink()
    assert str(copy / file) == refusal(copy).where


def test_missing_directory_is_refused(tmp_path: Path) -> None:
    assert "--model" in str(refusal(tmp_path / "nowhere").fix)


@pytest.mark.parametrize(
    ("version", "word", "fix"),
    [
        (3, "newer", "install a newer batch-scorer"),
        (10**30, "newer", "install a newer batch-scorer"),
        *(
            (version, "different", "install the batch-scorer that wrote it")
            for version in (0, -1, 1.0, True, "1", None, [1])
        ),
    ],
)
def test_other_format_version_is_refused_as_such(copy: Path, version: Any, word: str, fix: str) -> None:
    seal(copy, {"format_version": version, "whatever": "a later version puts here"})
    error = refusal(copy)
    assert f"this version cannot read the model artefact: its format is {word}" == error.what
    assert fix in str(error.fix)
    assert "format_version 1 or 2" == error.expected
    assert f"format_version {version!r}" == error.got


@pytest.mark.parametrize(
    ("name", "value", "expected", "got"),
    [
        ("head.bias", None, "F32 [1]", "nothing"),
        ("extra", np.zeros(3, np.float32), "nothing by that name", "F32 [3]"),
        ("head.kernel", np.zeros((1, 10), np.float32), "F32 [10, 1]", "F32 [1, 10]"),
        ("head.bias", np.zeros(1, np.float64), "F32 [1]", "F64 [1]"),
        ("head.bias", np.zeros(1, np.float16), "F32 [1]", "F16 [1]"),
        ("head.bias", np.zeros(1, np.int32), "F32 [1]", "I32 [1]"),
    ],
)
def test_wrong_tensor_is_named(copy: Path, name: str, value: Any, expected: str, got: str) -> None:
    tensors = load_file(copy / "weights.safetensors") | {name: value}
    save_file({n: v for n, v in tensors.items() if v is not None}, copy / "weights.safetensors")
    reseal(copy)

    error = refusal(copy)
    assert str(error.where).endswith(f"weights.safetensors, tensor {name}")
    assert (expected, got) == (error.expected, error.got)


def test_changed_weight_fails_the_probe(copy: Path) -> None:
    tensors = load_file(copy / "weights.safetensors")
    tensors["head.bias"] += np.float32(0.01)
    save_file(tensors, copy / "weights.safetensors")
    reseal(copy)
    assert "probe" in refusal(copy).what


def test_probe_off_by_more_than_the_tolerance_is_refused(copy: Path) -> None:
    manifest = manifest_of(copy)
    logit = manifest["probe"]["logit"]
    manifest["probe"]["logit"] = logit + 0.9 * artifact.PROBE_TOLERANCE
    seal(copy, manifest)
    artifact.load(str(copy))

    manifest["probe"]["logit"] = logit + 1.1 * artifact.PROBE_TOLERANCE
    seal(copy, manifest)
    error = refusal(copy)
    assert "probe" in error.what and f"{logit:.6f}" in str(error.got)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe", b"[]", b'"text"', b"null", b"1", b"{}", b"[" * 100_000, b"9" * 10_000]
)
def test_manifest_that_is_not_an_object_is_refused(copy: Path, text: bytes) -> None:
    seal(copy, text)
    assert str(refusal(copy).where).startswith(str(copy / "manifest.json"))


WRONG = [
    *(((key,), None) for key in ("name", "architecture", "tokenizer", "training_profile", "files", "versions")),
    *(((key,), []) for key in ("architecture", "tokenizer", "training_profile", "files", "probe", "metrics")),
    *((("architecture", key), wrong) for key in ("units", "max_length") for wrong in (-5, 0, 5.0, "5", True, None)),
    *((("architecture", "batch_norm_epsilon"), wrong) for wrong in (-1, 0, "0.001", float("nan"))),
    (("architecture", "layers"), 2),
    *((("architecture", "recurrent_activation"), wrong) for wrong in ("tanh", None, 1)),
    *((("architecture", "masked"), wrong) for wrong in ("no", 0, None)),
    *((("tokenizer", "max_words"), wrong) for wrong in (0, -1, TINY.max_length, 10**400, "19")),
    (("tokenizer", "pattern"), r"(\w+)*$"),
    (("tokenizer", "read_as_space"), " "),
    (("tokenizer", "lowercase"), "all at once"),
    (("tokenizer", "reserved"), ["<pad>", "<start>"]),
    *((("temperature",), wrong) for wrong in (0, -1.0, float("nan"), float("inf"), 10**400, "1", None)),
    *((("threshold",), wrong) for wrong in (-0.1, 1.1, "0.5", False)),
    *((("training_profile", "length"), wrong) for wrong in ([], {}, {"reviews": 3}, None)),
    (("training_profile", "reviews"), "1"),
    (("training", "recipe"), {}),
    (("files", "weights.safetensors"), 7),
    (("files", "../../etc/passwd"), "0" * 64),
    (("files", "/etc/passwd"), "0" * 64),
    (("files", "aliases.txt"), "0" * 64),
    (("name",), "x" * 201),
    (("versions", "numpy"), "x" * 201),
    *((("metrics", "validation"), wrong) for wrong in ([], {}, {"accuracy": "0.9"}, 1)),
    *((("probe", "logit"), wrong) for wrong in ("0", float("nan"), [0.0])),
    *((("probe", "text"), wrong) for wrong in (5, "good " * 2_001)),
]


@pytest.mark.parametrize(("path", "wrong"), WRONG, ids=[f"{'.'.join(p)}={w!r:.10}" for p, w in WRONG])
def test_manifest_with_a_wrong_value_is_refused_and_the_value_named(
    copy: Path, path: tuple[str, ...], wrong: Any
) -> None:
    manifest = manifest_of(copy)
    parent = manifest
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = wrong
    seal(copy, manifest)

    error = refusal(copy)
    assert str(error.where).startswith(str(copy / "manifest.json"))
    assert path[-1] in str(error)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
def test_any_value_in_place_of_a_manifest_value_loads_or_is_refused(
    tiny_model: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = Path(shutil.copytree(tiny_model, tmp_path_factory.mktemp("any") / "copy"))
    manifest = manifest_of(directory)
    parent, key = manifest, data.draw(st.sampled_from(sorted(manifest)))
    while isinstance(parent[key], dict) and parent[key] and data.draw(st.booleans()):
        parent = parent[key]
        key = data.draw(st.sampled_from(sorted(parent)))
    parent[key] = data.draw(json_values)
    seal(directory, manifest)
    try:
        loaded = artifact.load(str(directory))
    except ArtifactError:
        return
    # What was let through does all that a run asks of it, and can be shown.
    assert loaded.temperature > 0 and loaded.training_profile.to_json()["reviews"] >= 0
    on = Console(file=io.StringIO())
    cards.model_card(on, str(directory), loaded.manifest, loaded.model_id)
    assert isinstance(on.file, io.StringIO)
    assert loaded.model_id in on.file.getvalue()


def test_load_of_saved_model_of_format_2_returns_what_was_saved(tiny_2: Artifact) -> None:
    reads = tiny_2.tokenizer
    assert 2 == tiny_2.manifest["format_version"]
    assert FORMAT_2["aliases"] == tiny_2.aliases == reads.aliases
    assert (APOSTROPHES, 7, 4) == (reads.pattern, reads.max_words, reads.max_windows)
    assert (FORMAT_2["calibration"], 1.4) == (tiny_2.calibration, tiny_2.temperature)
    assert FORMAT_2["confidence_curve"] == tiny_2.confidence_curve
    assert (("temperature",), "windows") == (tiny_2.optional_columns, tiny_2.long_texts)
    assert [2.5, 1.9] == tiny_2.temperatures(np.array([2, 5]), np.array([0.0, 0.5])).round(6).tolist()


def test_model_of_format_1_has_no_more_than_it_had(tiny: Artifact) -> None:
    assert (1, 1, PATTERN) == (tiny.manifest["format_version"], tiny.tokenizer.max_windows, tiny.tokenizer.pattern)
    assert (None, None, (), "last") == (tiny.calibration, tiny.confidence_curve, tiny.optional_columns, tiny.long_texts)
    assert [1.3, 1.3] == tiny.temperatures(np.array([2, 5]), np.array([0.0, 0.5])).tolist()
    assert not {"type", "long_texts", "max_windows"} & tiny.manifest["tokenizer"].keys()
    assert {"vocabulary.txt", "weights.safetensors"} == tiny.manifest["files"].keys()


@pytest.mark.parametrize("name", [*FORMAT_2, None])
def test_format_is_2_only_where_older_versions_would_score_otherwise(tmp_path: Path, name: str | None) -> None:
    needed = name in ("max_windows", "pattern", "aliases", "calibration")
    save_tiny(tmp_path, **({name: FORMAT_2[name]} if name else {}))
    loaded = artifact.load(str(tmp_path))
    assert (2 if needed else 1) == loaded.manifest["format_version"]
    assert ("aliases.txt" in loaded.manifest["files"]) == (name == "aliases") == (tmp_path / "aliases.txt").exists()


@pytest.mark.parametrize("more", [{"max_windows": 64}, {"pattern": APOSTROPHES}, {"calibration": {}}])
def test_what_format_1_does_not_know_is_not_used_of_it(copy: Path, more: dict[str, Any]) -> None:
    manifest = manifest_of(copy)
    for name, value in more.items():
        (manifest if name == "calibration" else manifest["tokenizer"])[name] = value
    seal(copy, manifest)
    if "pattern" in more:
        assert "pattern" in str(refusal(copy).where)
        return
    loaded = artifact.load(str(copy))
    assert (1, None) == (loaded.tokenizer.max_windows, loaded.calibration)


WRONG_2 = [
    *((("tokenizer", "max_windows"), wrong) for wrong in (0, -1, 1.0, "4", None, 10**9)),
    *((("tokenizer", "long_texts"), wrong) for wrong in ("first", None, 1)),
    *((("tokenizer", "type"), wrong) for wrong in ("subwords", None)),
    (("tokenizer", "pattern"), r"(\w+)*$"),
    *((("calibration", "words"), wrong) for wrong in ([], [4, 1, 9], [1, 4], [-1, 4, 9], ["1", 4, 9], None)),
    *((("calibration", "oov_rate"), wrong) for wrong in ([], [0.3, 0.0], [0.0], [0.0, 2.0], 0.3)),
    *((("calibration", "temperature"), wrong) for wrong in ([], [[1.0, 1.0]], [[0.0, 1.0]] * 3, [[1.0]] * 3, None)),
    *((("metrics", "confidence_curve"), wrong) for wrong in ([], {}, {"from": [0.5], "reviews": [1], "correct": [2]})),
    (("files", "aliases.txt"), None),
    (("files", "other.txt"), "0" * 64),
]


@pytest.mark.parametrize(("path", "wrong"), WRONG_2, ids=[f"{'.'.join(p)}={w!r:.16}" for p, w in WRONG_2])
def test_manifest_of_format_2_with_a_wrong_value_is_refused_and_the_value_named(
    copy_2: Path, path: tuple[str, ...], wrong: Any
) -> None:
    manifest = manifest_of(copy_2)
    manifest[path[0]][path[1]] = wrong
    seal(copy_2, manifest)
    error = refusal(copy_2)
    assert str(error.where).startswith(str(copy_2 / "manifest.json"))
    assert "damaged" in error.what
    assert any(word in str(error) for word in (path[-1], "words", "temperature", "correct"))


def test_long_texts_that_contradict_the_number_of_windows_are_refused(copy_2: Path) -> None:
    manifest = manifest_of(copy_2)
    manifest["tokenizer"]["long_texts"] = "last"
    seal(copy_2, manifest)
    assert ("1", "4") == (refusal(copy_2).expected, refusal(copy_2).got)


FILM = len(RESERVED) + WORDS.index("film")
BAD_ALIASES = [
    (b"movie\t6", "line end"),
    (b"movie\n", "line 1"),
    (b"movie\tsix\n", "line 1"),
    (b"movie\t6\t7\n", "line 1"),
    (b"movie\t06\n", "line 1"),
    (b"movie\t-1\n", "line 1"),
    (b"movie\t99999999999999999999\n", "line 1"),
    (b"movie\t2\n", "an id from 3 to"),
    (b"movie\t21\n", "an id from 3 to 20"),
    (b"movie\t6\n\n", "line 2"),
    (b"Movie\t6\n", "lower case"),
    (b"two words\t6\n", "one word"),
    (b"<oov>\t6\n", "one word"),
    ("it\u2019s\t6\n".encode(), "plain apostrophes"),
    (b"\t6\n", "one word"),
    (b"movie\t6\nfilms\t7\nmovie\t6\n", "line 3"),
    (b"caf\xe9\t6\n", "UTF-8"),
]


@pytest.mark.parametrize(("data", "said"), BAD_ALIASES, ids=[f"{data!r:.30}" for data, _ in BAD_ALIASES])
def test_aliases_that_are_not_words_with_ids_are_refused(copy_2: Path, data: bytes, said: str) -> None:
    (copy_2 / "aliases.txt").write_bytes(data)
    reseal(copy_2)
    error = refusal(copy_2)
    assert "damaged" in error.what
    assert str(error.where).startswith(str(copy_2 / "aliases.txt"))
    assert said in f"{error.where} {error.expected}"


@pytest.mark.parametrize("data", [b"", b"movie\t6\n", "слово\t20\nit's\t3\n".encode()])
def test_aliases_that_are_words_with_ids_are_loaded(copy_2: Path, data: bytes) -> None:
    (copy_2 / "aliases.txt").write_bytes(data)
    reseal(copy_2)
    pairs = (line.split("\t") for line in data.decode().splitlines())
    assert {word: int(at) for word, at in pairs} == artifact.load(str(copy_2)).aliases


@pytest.mark.parametrize("change", [None, b"movie\t7\n"])
def test_aliases_that_are_missing_or_others_are_refused(copy_2: Path, change: bytes | None) -> None:
    (copy_2 / "aliases.txt").unlink()
    if change is not None:
        (copy_2 / "aliases.txt").write_bytes(change)
    assert str(refusal(copy_2).where) == str(copy_2 / "aliases.txt")


@pytest.mark.parametrize("alias", [{"Movie": FILM}, {"two words": FILM}, {"movie": 2}, {"movie": 21}, {"": FILM}])
def test_save_refuses_an_alias_that_load_would_refuse(tmp_path: Path, alias: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"alias .* expected"):
        save_tiny(tmp_path / "model", aliases=alias)
    assert not (tmp_path / "model" / "MODEL_ID").exists()


def test_card_of_a_model_of_format_2_says_how_much_it_reads_and_its_temperatures(tiny_2: Artifact) -> None:
    on = Console(file=io.StringIO(), width=120)
    cards.model_card(on, "model", tiny_2.manifest, tiny_2.model_id)
    assert isinstance(on.file, io.StringIO)
    shown = " ".join(on.file.getvalue().split())
    assert "all words of a review up to the last 28, 7 at a time" in shown
    assert "temperature 1.100 to 3.000 by length and unknown words" in shown
    assert Calibration.from_json(tiny_2.manifest["calibration"]) == tiny_2.calibration
