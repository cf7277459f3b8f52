"""What an import refuses, by name and with what would fit; and files that would do harm, of which nothing runs."""

from __future__ import annotations

import base64
import io
import json
import marshal
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from batch_scorer.errors import ScorerError
from tests.train.importing import files
from tests.train.importing.files import A, H, attention, bidirectional, dense, embedding, layer, usual
from train.importing.network import Lengths
from train.importing.run import Request, import_model

MAXIMUM = Lengths()


def refusal(folder: Path, model: Path, **options: Any) -> str:
    """The message of a refused import, which has written nothing."""
    index = files.write_index(folder / "words.json")
    with pytest.raises(ScorerError) as raised:
        import_model(Request(model, word_index=index, **options), folder / "model", lambda _: None)
    assert not (folder / "model").exists()
    assert raised.value.where
    assert raised.value.fix
    return str(raised.value)


LAYERS = {
    "plain LSTM": (usual(rnn=layer("LSTM", "my_lstm", units=H)), "'my_lstm', LSTM"),
    "convolution": (usual(extra=layer("Conv1D", "conv")), "'conv', Conv1D"),
    "activation of the cell": (usual(rnn=bidirectional(activation="relu")), "activation relu"),
    "gates": (usual(rnn=bidirectional(recurrent_activation="softsign")), "recurrent_activation softsign"),
    "last state only": (usual(rnn=bidirectional(return_sequences=False)), "return_sequences=False"),
    "product of directions": (usual(rnn=bidirectional(merge="mul")), "merge_mode 'mul'"),
    "stateful": (usual(rnn=bidirectional(stateful=True)), "stateful=True"),
    "no attention": ([embedding(), bidirectional(), dense()], "'dense', Dense"),
    "hidden relu": (
        [*usual()[:3], dense(2 * H, 3, "relu", "hidden"), dense(3)],
        "contributions would not be exact",
    ),
    "three classes": (usual(head=dense(units=3, activation="softmax")), "3 units, softmax"),
    "no activation": (usual(head=dense(activation="linear")), "does not end in a probability"),
    "weights of no attention": (usual(attention=attention(W=(2 * H, A), V=(7, A), x=(2,))), "'my_attention'"),
    "layer normalisation": ([*usual()[:3], layer("LayerNormalization", "norm"), dense()], "'norm', LayerNormalization"),
    "Lambda": ([*usual()[:3], layer("Lambda", "squeeze_it", function="x"), dense()], "'squeeze_it', Lambda"),
    "model in a model": ([layer("Sequential", "inner"), *usual()[1:]], "'inner', Sequential"),
    "second recurrent layer": (
        [*usual()[:2], {**bidirectional(), "config": {**bidirectional()["config"], "name": "two"}}, *usual()[2:]],
        "'two', Bidirectional",
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_model_with_a_layer_that_does_not_fit_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    layers, expected = LAYERS[name]
    message = refusal(tmp_path, files.write_h5(tmp_path / "model.h5", layers))
    assert expected in message


def test_backward_layer_of_its_own_must_be_like_the_forward_one(tmp_path: Path) -> None:
    rnn = bidirectional()
    inner = rnn["config"]["layer"]
    for change, expected in (({"units": 9}, "9"), ({"go_backwards": False}, "go_backwards=False")):
        settings = {**inner["config"], "go_backwards": True, **change}
        rnn["config"]["backward_layer"] = {**inner, "config": settings}
        assert expected in refusal(tmp_path, files.write_h5(tmp_path / "model.h5", usual(rnn=rnn)))


def test_subclass_of_model_is_refused_with_what_would_fit(tmp_path: Path) -> None:
    model = {"class_name": "MyModel", "config": {"units": 3}}
    message = refusal(tmp_path, files.write_h5(tmp_path / "model.h5", usual(), model))
    assert "MyModel" in message
    assert "keras.Sequential" in message


class Harm:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def _lambda(path: Path, harm: Path) -> Path:
    code = compile(f"__import__('os').mkdir({str(harm)!r})", "x", "exec")
    function = {"class_name": "__lambda__", "config": {"code": base64.b64encode(marshal.dumps(code)).decode()}}
    layers = [*usual()[:3], layer("Lambda", "harm", function=function, module="os"), dense()]
    return files.write_keras(path, files.members(layers))


def _pickle(path: Path, harm: Path) -> Path:
    path.write_bytes(pickle.dumps(Harm(harm)))
    return path


def _pickle_as_weights(path: Path, harm: Path) -> Path:
    return files.write_keras(path, files.members(weights=pickle.dumps(Harm(harm))))


def _object_array(path: Path, harm: Path) -> Path:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers/embedding/vars/0"] = np.void(pickle.dumps(Harm(harm)))
    return files.write_keras(path, files.members(weights=buffer.getvalue()))


def _traversal(path: Path, harm: Path) -> Path:
    return files.write_keras(path, {**files.members(), f"assets/../../{harm.name}/x": b"x"})


def _absolute(path: Path, harm: Path) -> Path:
    return files.write_keras(path, {**files.members(), str(harm): b"x"})


def _bomb(path: Path, harm: Path) -> Path:
    return files.write_keras(path, files.members(weights=bytes(20 << 20)), zipfile.ZIP_DEFLATED)


def _bomb_of_json(path: Path, harm: Path) -> Path:
    return files.write_keras(path, {**files.members(), "config.json": b" " * (17 << 20)}, zipfile.ZIP_DEFLATED)


def _huge_shape(path: Path, harm: Path) -> Path:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("layers/embedding/vars/0", (10**9, 10**6), "f4", chunks=(1, 1000), compression="gzip")
    return files.write_keras(path, files.members(weights=buffer.getvalue()))


def _link_to_a_file(path: Path, harm: Path) -> Path:
    with h5py.File(path.with_suffix(".other"), "w") as file:
        file["x"] = np.zeros((files.V, files.E), "f4")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers/embedding/vars/0"] = h5py.ExternalLink(str(path.with_suffix(".other")), "x")
    return files.write_keras(path, files.members(weights=buffer.getvalue()))


def _data_in_a_file(path: Path, harm: Path) -> Path:
    other = path.with_suffix(".raw")
    other.write_bytes(bytes(4 * files.V * files.E))
    made = path.with_suffix(".h5")
    with h5py.File(made, "w") as file:
        size = (str(other), 0, 4 * files.V * files.E)
        file.create_dataset("layers/embedding/vars/0", (files.V, files.E), "f4", external=[size])
    return files.write_keras(path, files.members(weights=made.read_bytes()))


def _nested_json(path: Path, harm: Path) -> Path:
    return files.write_keras(path, {**files.members(), "config.json": b"[" * 100_000})


def _circle(path: Path, harm: Path) -> Path:
    calls = {"embedding": [[["dense", 0, 0, {}]]], "dense": [[["embedding", 0, 0, {}]]]}
    layers = [embedding(), dense()]
    return files.write_h5(path, layers, files.functional(layers, calls, "dense"))


def _infinite(path: Path, harm: Path) -> Path:
    head = dense()
    head["weights"]["kernel"][0] = np.inf
    return files.write_h5(path, usual(head=head))


def _truncated(path: Path, harm: Path) -> Path:
    path.write_bytes(files.write_h5(path, usual()).read_bytes()[:3_000])
    return path


HARM: dict[str, tuple[Callable[[Path, Path], Path], str]] = {
    "Lambda": (_lambda, "layer 'harm', Lambda"),
    "pickle": (_pickle, "a pickle, which could run code"),
    "pickle as weights": (_pickle_as_weights, "a pickle, which could run code"),
    "array of objects": (_object_array, "expected: an array of numbers"),
    "path traversal": (_traversal, "leads out of it"),
    "absolute path": (_absolute, "leads out of it"),
    "zip bomb": (_bomb, "unpacks to at most 100 times"),
    "bomb of JSON": (_bomb_of_json, "at most 16,777,216 bytes"),
    "huge shape": (_huge_shape, "shape (1000000000, 1000000)"),
    "link to a file": (_link_to_a_file, "a link: ExternalLink"),
    "data in a file": (_data_in_a_file, "stored in another file"),
    "nested JSON": (_nested_json, "expected: JSON"),
    "circle of layers": (_circle, "a circle"),
    "infinite weight": (_infinite, "got:      inf"),
    "truncated": (_truncated, "an HDF5 file that is whole"),
}


@pytest.mark.parametrize("name", HARM)
def test_hostile_or_damaged_file_is_refused_and_nothing_of_it_runs(tmp_path: Path, name: str) -> None:
    make, expected = HARM[name]
    harm = tmp_path / "harm"
    before = set(sys.modules)
    message = refusal(tmp_path, make(tmp_path / "model.keras", harm))
    assert expected in message
    assert not harm.exists()
    assert not {module for module in set(sys.modules) - before if module.partition(".")[0] in ("keras", "tensorflow")}


def test_pipe_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in refusal(tmp_path, tmp_path / "pipe")
    model = files.write_h5(tmp_path / "model.h5", usual())
    assert "no regular file" in refusal(tmp_path, model, config=tmp_path / "pipe")


def test_config_that_asks_for_huge_units_is_refused_by_the_weights(tmp_path: Path) -> None:
    message = refusal(tmp_path, files.write_h5(tmp_path / "model.h5", usual(rnn=bidirectional(units=10**9))))
    assert "a kernel [5, 4 x 1000000000 units]" in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"a": "x"}', "words, each with its id"),
        ("[1, 2]", "a word index"),
        ("{", "JSON, or a token a line"),
        ('{"far": 4000}', "no word of the vocabulary has an id in the embedding"),
        (json.dumps({"config": {"char_level": True, "word_index": "{}"}}), "char_level=True"),
        (json.dumps({"config": {"split": "--", "word_index": '{"a": 1}'}}), "split='--'"),
        (json.dumps({"config": {"filters": "abc", "word_index": '{"a": 1}'}}), "neither letters nor digits"),
    ],
)
def test_word_index_that_is_none_is_refused(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "index.json").write_text(content)
    model = files.write_h5(tmp_path / "model.h5", usual())
    with pytest.raises(ScorerError) as raised:
        import_model(Request(model, word_index=tmp_path / "index.json"), tmp_path / "model", lambda _: None)
    assert expected in str(raised.value)


def test_model_without_words_or_length_asks_for_the_option(tmp_path: Path) -> None:
    model = files.write_h5(tmp_path / "model.h5", usual())
    with pytest.raises(ScorerError, match="words are not known"):
        import_model(Request(model), tmp_path / "model", lambda _: None)
    anywhere = embedding()
    anywhere["config"]["batch_input_shape"] = [None, None]
    message = refusal(tmp_path, files.write_h5(tmp_path / "model.h5", usual(embedding=anywhere)))
    assert "give --max-length N" in message
    other = files.write_h5(tmp_path / "model.h5", usual())
    assert "leave --max-length out" in refusal(tmp_path, other, lengths=Lengths(9))


def test_weights_without_configuration_ask_for_it(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    path.write_bytes(files.by_class(usual()))
    assert "give --config FILE" in refusal(tmp_path, path)


def test_help_of_the_command_imports_no_tensorflow() -> None:
    code = "import sys; from train.cli import main; main(['import', '--help'], standalone_mode=False); "
    code += "print([m for m in sys.modules if m.partition('.')[0] in ('tensorflow', 'keras', 'h5py', 'apache_beam')])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == result.stdout.splitlines()[-1]
