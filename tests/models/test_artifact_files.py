"""The artefact's files: of each, every flipped byte is found, and nothing is read, allocated or believed unchecked."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import random
import shutil
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from batch_scorer.errors import ArtifactError
from batch_scorer.models import artifact
from batch_scorer.models.artifact import SHIPPED, Artifact
from batch_scorer.models.artifact_files import HEADER_BYTES, LARGEST_WEIGHT, MODEL_BYTES, check_size
from batch_scorer.models.folded_engine import FoldedEngine
from batch_scorer.models.network import Architecture
from batch_scorer.models.tokenizer import RESERVED, START
from batch_scorer.storage.stores import client
from tests.conftest import TINY, WORDS, random_tensors, save_tiny
from tests.models.test_artifact import FILES, json_values, manifest_of, refusal, reseal, seal
from tests.stubs import gcs

FLIPS = 200  # in each file
SHAPES = TINY.tensor_shapes()


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny artefact, to damage."""
    return Path(shutil.copytree(tiny_model, tmp_path / "copy"))


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("model", ["tiny", "shipped"])
def test_any_flipped_byte_is_found_and_its_file_is_named(
    model: str, file: str, tiny_model: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(tiny_model if model == "tiny" else SHIPPED, tmp_path / "copy"))
    whole, rng = (copy / file).read_bytes(), random.Random(file)
    sure = file in ("vocabulary.txt", "weights.safetensors")  # else both the manifest and its hash may be named
    for _ in range(FLIPS):
        place, flip = rng.randrange(len(whole)), rng.randrange(1, 256)
        with (copy / file).open("r+b") as damaged:
            damaged.seek(place)
            damaged.write(bytes([whole[place] ^ flip]))
        error = refusal(copy)
        assert "the model artefact is damaged" == error.what
        assert str(copy / file) in str(error.where), f"byte {place} by {flip:#04x}"
        assert file == "MODEL_ID" or "sha256" in str(error.expected), "parsed before its hash was known to be right"
        assert not sure or str(copy / file) == error.where
        (copy / file).write_bytes(whole)
    assert artifact.load(str(copy)).model_id == (copy / "MODEL_ID").read_text()[:12]


def test_model_id_that_is_another_hash_names_both_files_that_may_be_at_fault(copy: Path) -> None:
    (copy / "MODEL_ID").write_text("0" * 64 + "\n")
    assert f"{copy / 'manifest.json'}, or {copy / 'MODEL_ID'}" == refusal(copy).where


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text[:-1] + b" ",
        lambda text: text[:-1] + b"\r\n",
        lambda text: text + b"\n",
        lambda text: b" " + text,
        lambda text: text.upper(),
        lambda text: text[:12] + b"\n",
        lambda text: b"",
        lambda text: text[:-2] + "é".encode(),
    ],
)
def test_model_id_is_64_hex_digits_and_a_line_end_and_nothing_else(
    change: Callable[[bytes], bytes], copy: Path
) -> None:
    path = copy / "MODEL_ID"
    path.write_bytes(change(path.read_bytes()))
    assert str(path) == refusal(copy).where


@pytest.mark.parametrize("file", FILES)
def test_file_of_a_terabyte_is_refused_without_being_read(file: str, copy: Path) -> None:
    os.truncate(copy / file, 1 << 40)  # a sparse file: no block of it is on the disk
    tracemalloc.start()
    try:
        error = refusal(copy)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (str(copy / file), "more") == (error.where, error.got)
    assert peak < 8 << 20


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", ["pipe", "device without end", "directory"])
def test_what_is_no_regular_file_is_refused_and_never_waited_for(kind: str, file: str, copy: Path) -> None:
    path = copy / file
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    error = refusal(copy)
    assert ("the model artefact cannot be read", str(path)) == (error.what, error.where)


SIZES = ("vocabulary_size", "embedding_dim", "units", "attention_units", "max_length")


@pytest.mark.parametrize("name", SIZES)
def test_size_that_asks_for_more_memory_than_a_model_may_take_is_refused_before_a_file_is_read(
    name: str, copy: Path
) -> None:
    manifest = manifest_of(copy)
    manifest["architecture"][name] = 10**9
    seal(copy, manifest)
    for file in ("vocabulary.txt", "weights.safetensors"):
        (copy / file).unlink()
    error = refusal(copy)
    assert ("the model is too large", f"{copy / 'manifest.json'}, architecture") == (error.what, error.where)


@given(sizes=st.fixed_dictionaries(dict.fromkeys(SIZES, st.integers(1, 10**6))))
def test_sizes_that_are_let_through_ask_for_less_than_the_limit(sizes: dict[str, int]) -> None:
    architecture = Architecture(**sizes)
    try:
        check_size(architecture, "manifest.json")
    except ArtifactError:
        return
    tensors = 4 * sum(math.prod(shape) for shape in architecture.tensor_shapes().values())
    tables = 2 * 4 * sizes["vocabulary_size"] * 4 * sizes["units"]
    assert tensors + tables <= MODEL_BYTES


def test_sizes_ten_times_those_of_the_shipped_model_are_let_through() -> None:
    check_size(Architecture(vocabulary_size=100_000, units=256, embedding_dim=300), "manifest.json")


def test_save_of_a_model_that_load_would_refuse_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="too large"):
        save_tiny(tmp_path / "new", architecture=dataclasses.replace(TINY, max_length=10**9))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "text",
    ["\n".join([*RESERVED, *WORDS[:-1]]), "\n".join([*RESERVED, *WORDS, ""]), "\n".join([*WORDS, *RESERVED]), ""],
    ids=["a word short", "a line end at the end", "reserved last", "empty"],
)
def test_wrong_vocabulary_is_refused(copy: Path, text: str) -> None:
    (copy / "vocabulary.txt").write_text(text, encoding="utf-8")
    reseal(copy)
    error = refusal(copy)
    assert str(copy / "vocabulary.txt") == error.where
    assert f"{TINY.vocabulary_size} tokens" in str(error.expected)


def test_vocabulary_that_is_not_utf8_is_refused_and_the_byte_named(copy: Path) -> None:
    path = copy / "vocabulary.txt"
    data = path.read_bytes().replace("café".encode(), "café".encode("latin-1"))
    path.write_bytes(data)
    reseal(copy)
    error = refusal(copy)
    assert str(path) == error.where
    assert f"byte {data.index(0xE9)} (0xe9)" in str(error.got)


def with_vocabulary(copy: Path, **changes: str) -> None:
    """Puts other words in the place of some."""
    tokens = [changes.get(token, token) for token in (copy / "vocabulary.txt").read_text(encoding="utf-8").split("\n")]
    (copy / "vocabulary.txt").write_text("\n".join(tokens), encoding="utf-8")
    reseal(copy)


def test_word_that_stands_twice_in_the_vocabulary_is_named_with_its_lines(copy: Path) -> None:
    with_vocabulary(copy, wonderful="bad")
    error = refusal(copy)
    first, second = (len(RESERVED) + WORDS.index(word) + 1 for word in ("bad", "wonderful"))
    assert f"{copy / 'vocabulary.txt'}, line {second}" == error.where
    assert f"'bad', as in line {first}" == error.got


def test_ids_without_a_word_may_share_a_name_that_no_word_can_have(copy: Path) -> None:
    with_vocabulary(copy, wonderful="<unused>", boring="<unused>")
    assert ("<unused>",) * 2 == tuple(t for t in artifact.load(str(copy)).vocabulary if t == "<unused>")


def entries() -> dict[str, Any]:
    """The header of the tiny model's tensors, one after the other."""
    found, end = {}, 0
    for name, shape in SHAPES.items():
        begin, end = end, end + 4 * math.prod(shape)
        found[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
    return found


def safetensors(header: Any, size: int | None = None, extra: int = 0) -> bytes:
    """A file of this header, raw bytes as they are, that says it is of this size, and of zeros."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    zeros = bytes(4 * sum(math.prod(shape) for shape in SHAPES.values()) + extra)
    return struct.pack("<Q", len(text) if size is None else size) + text + zeros


def weights_refusal(copy: Path, data: bytes) -> ArtifactError:
    (copy / "weights.safetensors").write_bytes(data)
    reseal(copy)
    error = refusal(copy)
    assert str(error.where).startswith(str(copy / "weights.safetensors"))
    assert "the model artefact is damaged" == error.what
    return error


def test_header_that_is_right_is_read_with_its_remarks_left_out(copy: Path) -> None:
    header = {"__metadata__": {"format": "pt"}, **entries()}
    (copy / "weights.safetensors").write_bytes(safetensors(header))
    reseal(copy)
    assert "probe" in refusal(copy).what  # all weights are zero


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        b"not tensors",
        b"\xff" * 64,
        safetensors(b""),
        safetensors(b"{"),
        safetensors(b"[]"),
        safetensors(b"null"),
        safetensors(b'"text"'),
        safetensors(b"\xff\xfe"),
        safetensors(json.dumps(entries()).encode("utf-16")),
        safetensors(b"[" * 60_000),
        safetensors(b"9" * 60_000),
        safetensors({}),
        safetensors({"__metadata__": {}}),
        safetensors(entries(), size=0),
        safetensors(entries(), size=HEADER_BYTES),
        safetensors(entries(), size=1 << 63),
        safetensors({**entries(), "__metadata__": "x" * HEADER_BYTES}),
        safetensors(json.dumps(entries()).replace('"head.bias"', '"head.kernel"').encode()),
        safetensors(b'{"head.bias": 1, ' + json.dumps(entries()).encode()[1:]),
        safetensors(entries(), extra=4),
        safetensors(entries(), extra=-4),
        safetensors(entries())[:-1],
    ],
    ids=lambda data: f"{len(data)} bytes, {data[8:20]!r}",
)
def test_file_that_is_no_safetensors_file_is_refused(data: bytes, copy: Path) -> None:
    weights_refusal(copy, data)


def test_header_beyond_its_size_is_refused_before_it_is_parsed(copy: Path) -> None:
    text = json.dumps(entries()).encode()
    text += b" " * (HEADER_BYTES + 1 - len(text))
    error = weights_refusal(copy, struct.pack("<Q", len(text)) + text)
    assert "header of at most 65,536 bytes" in str(error.expected)
    assert "65,537" == error.got


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"data_offsets": [0, 4]}, "bytes"),
        ({"data_offsets": [4, 0]}, "bytes"),
        ({"data_offsets": [-4, 0]}, "bytes"),
        ({"data_offsets": [1 << 40, (1 << 40) + 4]}, "bytes"),
        ({"data_offsets": [1 << 64, (1 << 64) + 4]}, "bytes"),
        ({"data_offsets": [0]}, "F32"),
        ({"data_offsets": [0.0, 4.0]}, "F32"),
        ({"data_offsets": [False, True]}, "F32"),
        ({"data_offsets": None}, "F32"),
        ({"data_offsets": {"0": 4}}, "F32"),
        ({"dtype": "BF16"}, "BF16"),
        ({"dtype": "I32"}, "I32"),
        ({"dtype": None}, "None"),
        ({"dtype": "F32 [1]", "shape": []}, "F32"),
        ({"shape": [2]}, "[2]"),
        ({"shape": []}, "[]"),
        ({"shape": [1, 1]}, "[1, 1]"),
        ({"shape": [-1]}, "[-1]"),
        ({"shape": [1 << 62]}, str(1 << 62)),
        ({"shape": [True]}, "True"),
        ({"shape": "[1]"}, "[1]"),
        ({"more": 1}, "more"),
    ],
)
def test_tensor_that_the_header_describes_wrongly_is_named(change: dict[str, Any], named: str, copy: Path) -> None:
    header = entries()
    header["head.bias"] |= change  # the last one, of one value
    error = weights_refusal(copy, safetensors(header))
    assert "tensor " in str(error.where)
    assert named in str(error)


def test_tensors_that_lie_in_another_order_or_at_odd_addresses_are_read_as_they_were(copy: Path) -> None:
    saved = random_tensors(TINY, seed=7)
    header, values, end = {"__metadata__": {}}, b"", 0
    for name in sorted(SHAPES, reverse=True):
        begin, end = end, end + saved[name].nbytes
        header[name] = {"dtype": "F32", "shape": list(SHAPES[name]), "data_offsets": [begin, end]}
        values += saved[name].tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8 + 1)
    (copy / "weights.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + values)
    reseal(copy)
    loaded = artifact.load(str(copy)).tensors
    assert 1 == len(text) % 8
    for name, value in saved.items():
        assert loaded[name].flags.aligned and loaded[name].flags.writeable
        np.testing.assert_array_equal(value, loaded[name])


@pytest.mark.parametrize("name", ["embedding", "lstm.backward.recurrent_kernel", "batch_norm.variance", "head.bias"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2 * LARGEST_WEIGHT, -2 * LARGEST_WEIGHT])
def test_weight_that_is_no_number_or_beyond_all_measure_is_named(name: str, value: float, copy: Path) -> None:
    tensors = load_file(copy / "weights.safetensors")
    tensors[name].reshape(-1)[-1] = value
    save_file(tensors, copy / "weights.safetensors")
    error = weights_refusal(copy, (copy / "weights.safetensors").read_bytes())
    assert str(error.where).endswith(f"tensor {name}")
    assert str(float(value)) == error.got


def test_negative_variance_is_named(copy: Path) -> None:
    tensors = load_file(copy / "weights.safetensors")
    tensors["batch_norm.variance"][3] = -0.25
    save_file(tensors, copy / "weights.safetensors")
    error = weights_refusal(copy, (copy / "weights.safetensors").read_bytes())
    assert ("values from 0 to 1e+09", "-0.25") == (error.expected, error.got)


def test_largest_weights_that_are_let_through_overflow_nowhere(tiny: Artifact) -> None:
    rng = np.random.default_rng(1)
    tensors = {
        name: rng.choice([-1, 1], shape).astype("f4") * np.float32(LARGEST_WEIGHT) for name, shape in SHAPES.items()
    }
    tensors["batch_norm.variance"][:] = 0
    manifest = {**tiny.manifest, "architecture": {**tiny.manifest["architecture"], "batch_norm_epsilon": 1e-9}}
    engine = FoldedEngine(dataclasses.replace(tiny, manifest=manifest, tensors=tensors))
    scores = engine.run([np.array([START, *rng.integers(2, TINY.vocabulary_size, 9)], np.int32) for _ in range(8)])
    assert np.isfinite(scores.logit.astype(np.float32)).all()
    assert np.isfinite(scores.attention).all() and np.isfinite(scores.contribution).all()


def test_gates_without_an_upper_bound_that_overflow_are_refused_by_the_probe(tmp_path: Path) -> None:
    unbounded = dataclasses.replace(TINY, recurrent_activation="relu", masked=False, max_length=60)
    save_tiny(tmp_path / "relu", architecture=unbounded)
    tensors = load_file(tmp_path / "relu" / "weights.safetensors")
    for way in ("forward", "backward"):
        tensors[f"lstm.{way}.recurrent_kernel"][:] = LARGEST_WEIGHT
        tensors[f"lstm.{way}.bias"][:] = LARGEST_WEIGHT
    save_file(tensors, tmp_path / "relu" / "weights.safetensors")
    reseal(tmp_path / "relu")
    error = refusal(tmp_path / "relu")
    assert "probe" in error.what and "nan" in str(error.got)


@given(data=st.binary(max_size=200))
def test_any_bytes_in_place_of_the_weights_are_refused(
    data: bytes, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = Path(shutil.copytree(tiny_model, tmp_path_factory.mktemp("any") / "copy"))
    weights_refusal(copy, data)
    weights_refusal(copy, safetensors(data))


@given(data=st.data())
def test_any_value_in_the_place_of_one_in_the_header_is_refused_or_says_the_same(
    data: st.DataObject, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = Path(shutil.copytree(tiny_model, tmp_path_factory.mktemp("any") / "copy"))
    header = entries()
    name = data.draw(st.sampled_from(sorted(header)))
    before = json.dumps(header[name])
    if data.draw(st.booleans()):
        header[name] = data.draw(json_values)
    else:
        header[name][data.draw(st.sampled_from(["dtype", "shape", "data_offsets", "other"]))] = data.draw(json_values)
    if json.dumps(header[name]) != before:
        weights_refusal(copy, safetensors(header))


def test_artefact_in_a_store_is_loaded_and_verified_as_one_on_this_machine(
    copy: Path, tiny: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    client._client.cache_clear()  # of the server of another test
    place = "gs://bucket/model"
    with gcs.serving("bucket") as store:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
        for file in FILES:
            store.put("bucket", f"model/{file}", (copy / file).read_bytes())
        assert tiny.model_id == artifact.load(place).model_id
        for file in FILES:
            whole = (copy / file).read_bytes()
            store.put("bucket", f"model/{file}", whole[:-1] + bytes([whole[-1] ^ 1]))
            assert f"{place}/{file}" in str(refusal_of(place).where)
            del store.buckets["bucket"][f"model/{file}"]
            assert f"{place}/{file}" == refusal_of(place).where
            store.put("bucket", f"model/{file}", whole)
        store.put("bucket", "model/MODEL_ID", b"0" * 10_000)
        assert (f"{place}/MODEL_ID", "more") == (refusal_of(place).where, refusal_of(place).got)
    client._client.cache_clear()


def refusal_of(place: str) -> ArtifactError:
    with pytest.raises(ArtifactError) as caught:
        artifact.load(place)
    return caught.value
