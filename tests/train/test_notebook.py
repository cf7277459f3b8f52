"""The notebook's variant: the same layers, ids and scores as in Keras, from its data to the rows of a job."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import InputError, JobError
from batch_scorer.models import artifact
from batch_scorer.models.artifact import SHIPPED, Artifact
from batch_scorer.models.cells import sigmoid
from batch_scorer.models.engine import load_engine
from batch_scorer.models.folded_engine import FoldedEngine
from batch_scorer.models.keras_engine import KerasEngine
from batch_scorer.models.keras_model import from_tensors, notebook_network
from batch_scorer.models.network import forward
from batch_scorer.models.tokenizer import OOV, RESERVED, START, Tokenizer, words
from tests.conftest import TINY, WORDS, random_tensors, save_tiny
from tests.engines import tensorflow_engines
from tests.jobs import rows, score_here
from train import notebook
from train.cli import main
from train.data import pad
from train.keras_files import UNUSED, read_keras_files, to_ids
from train.prepare import from_ranks, from_texts
from train.reading import Reading
from train.run import Run

TINY_NOTEBOOK = dataclasses.replace(TINY, recurrent_activation="relu", masked=False)
LENGTHS = (1, 7, 18, 19, 20, 21, 45)  # words; 20 ids are read, so that from 20 words on there is no start mark


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "notebook", seed=1, architecture=TINY_NOTEBOOK)


@pytest.fixture(scope="module")
def loaded(model: Path) -> Artifact:
    return artifact.load(str(model))


def texts() -> list[str]:
    rng = np.random.default_rng(5)
    return [" ".join(rng.choice([*WORDS, "unheard"], length)) for length in LENGTHS]


@pytest.fixture(scope="module")
def predicted_logits(loaded: Artifact) -> np.ndarray:
    return predicted(loaded, texts())


def predicted(model: Artifact, texts: list[str]) -> np.ndarray:
    """Logits by `predict` of the notebook's own network, on ids cut and padded by Keras."""
    import keras

    index = {word: i for i, word in enumerate(model.vocabulary)}
    ids = [[START, *(index.get(word, OOV) for word in words(text))] for text in texts]
    padded = keras.utils.pad_sequences(ids, maxlen=model.architecture.max_length)
    p = from_tensors(model.architecture, model.tensors).predict(padded, verbose=0)[:, 0].astype(np.float64)
    return np.asarray(np.log(p / (1 - p)))


def test_network_has_the_layers_and_parameters_of_the_notebook() -> None:
    layers = notebook_network(notebook.architecture(10_000), dropout=0.3).layers
    expected = [
        ("InputLayer", 0),
        ("Embedding", 10_000 * 128),
        ("Bidirectional", 2 * 4 * 128 * (128 + 128 + 1)),
        ("Concatenate", 0),
        ("BahdanauAttention", 2 * (256 * 128 + 128) + 128 + 1),
        ("BatchNormalization", 4 * 256),
        ("Dense", 256 + 1),
    ]
    assert expected == [(type(layer).__name__, layer.count_params()) for layer in layers]
    lstm = layers[2].forward_layer
    assert (0.3, "relu", "tanh") == (lstm.dropout, lstm.recurrent_activation.__name__, lstm.activation.__name__)
    assert "GlorotUniform" == type(lstm.recurrent_initializer).__name__


def test_artifact_holds_the_variant_only_where_it_is_one(loaded: Artifact, tiny: Artifact) -> None:
    assert TINY_NOTEBOOK == loaded.architecture
    assert TINY_NOTEBOOK.max_length == loaded.tokenizer.max_words == loaded.tokenizer.max_ids
    for usual in (tiny, artifact.load(SHIPPED)):
        assert not {"masked", "recurrent_activation"} & set(usual.manifest["architecture"])
        assert usual.architecture.masked


def test_ranks_become_ids_as_in_keras() -> None:
    assert [START, 4, 9999, OOV, OOV] == to_ids(np.array([1, 9996, 9997, 88584]), 10_000).tolist()


@pytest.mark.parametrize("length", [0, 3, 498, 499, 500, 501, 800])
def test_ids_are_cut_as_keras_cuts_them(length: int) -> None:
    import keras

    tokenizer = Tokenizer([*RESERVED, UNUSED, "good", "bad"], max_words=500, max_ids=500)
    found = [("good", "bad", "odd")[i % 3] for i in range(length)]
    whole = [START, *((4, 5, OOV)[i % 3] for i in range(length))]
    np.testing.assert_array_equal(keras.utils.pad_sequences([whole], maxlen=500), pad([tokenizer.ids(found)], 500))


def keras_files(directory: Path, lengths: tuple[int, ...] = (3, 600, 12, 40) * 10) -> tuple[Path, Path]:
    """`imdb.npz` and `imdb_word_index.json` of random reviews over 30 words, positive where word 5 comes first."""
    rng = np.random.default_rng(3)
    reviews = [[5 if i % 2 else 9, *rng.integers(1, 31, n - 1).tolist()] for i, n in enumerate(lengths)]
    x = np.array(reviews, dtype=object)
    y = np.arange(len(lengths)) % 2
    np.savez(directory / "imdb.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    index = {f"w{rank}": rank for rank in range(1, 31)}
    (directory / "imdb_word_index.json").write_text(json.dumps(index))
    return directory / "imdb.npz", directory / "imdb_word_index.json"


def test_keras_files_give_the_ids_of_load_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from keras.src.datasets import imdb

    reviews, index = keras_files(tmp_path)
    monkeypatch.setattr(imdb, "get_file", lambda **_: str(reviews))  # it would download what has another hash
    (x, y), _ = imdb.load_data(num_words=20)
    expected = sorted((list(ids)[-500:], int(label)) for ids, label in zip(x, y, strict=True))

    data = from_ranks(read_keras_files(reviews, index), 0.2, 20, 500, 500)
    sides = (data.training, data.validation)
    found = [(i.tolist(), int(y)) for side in sides for i, y in zip(side.ids, side.labels, strict=True)]
    assert expected == sorted(found)
    assert len(data.validation) > 0
    assert [*RESERVED, UNUSED, *(f"w{rank}" for rank in range(1, 17))] == list(data.vocabulary)
    assert (601, len(y)) == (data.lengths().max(), len(data.lengths()))


def test_texts_are_numbered_as_in_keras(tmp_path: Path) -> None:
    from train.data import Columns, read_examples

    path = tmp_path / "reviews.jsonl"
    path.write_text("".join(json.dumps({"text": "the the film", "label": i % 2}) + "\n" for i in range(20)))
    data = from_texts(read_examples([str(path)], Columns()), 0.0, 5, Reading(500, 500), as_keras=True)
    assert [*RESERVED, UNUSED, "the"] == data.vocabulary
    assert [START, 4, 4, OOV] == data.training.ids[0].tolist()
    assert [0, 20, 20, 0, 40] == data.counts.tolist()


class _Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("harm",))


def test_keras_files_that_hold_code_are_refused_and_the_code_is_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, index = keras_files(tmp_path)
    harm = np.array([_Harm(), [1]], dtype=object)
    np.savez(tmp_path / "bad.npz", x_train=harm, y_train=np.array([0, 1]))
    with pytest.raises(InputError, match="not those of Keras") as caught:
        read_keras_files(tmp_path / "bad.npz", index)
    assert "builtins.print" in str(caught.value)
    assert "harm" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["imdb.npz", "imdb_word_index.json"])
@pytest.mark.parametrize("data", [None, b"", b"[1]", b"PK\x03\x04"])
def test_keras_files_missing_or_damaged_are_named(tmp_path: Path, name: str, data: bytes | None) -> None:
    files = keras_files(tmp_path)
    (tmp_path / name).unlink()
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match="Keras") as caught:
        read_keras_files(*files)
    assert str(tmp_path / name) == caught.value.where


def test_network_written_out_agrees_with_predict(loaded: Artifact, predicted_logits: np.ndarray) -> None:
    found = [forward(loaded.tensors, loaded.architecture, loaded.tokenizer.ids(words(text))) for text in texts()]
    np.testing.assert_allclose([f.logit for f in found], predicted_logits, atol=1e-5)
    assert {20} == {len(f.attention) for f in found} == {len(f.contribution) for f in found}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_engine_for_each_variant_agrees_with_the_network_written_out(masked: bool, activation: str) -> None:
    a = dataclasses.replace(TINY, masked=masked, recurrent_activation=activation)
    model = Artifact("0" * 12, {"architecture": a.to_json()}, (), random_tensors(a, seed=1))
    engine = KerasEngine(model, batch_size=4)
    batch = [np.array([START, *range(2, 2 + n)], np.int32) for n in (1, 8, 19)]
    scores = engine.run(batch)
    assert (20, 3) == scores.attention.shape
    for column, ids in enumerate(batch):
        expected = forward(model.tensors, a, ids)
        n = len(expected.attention)
        assert expected.logit == pytest.approx(scores.logit[column], abs=1e-5)
        np.testing.assert_allclose(scores.attention[-n:, column], expected.attention, atol=1e-6)
        np.testing.assert_allclose(scores.contribution[-n:, column], expected.contribution, atol=1e-5)
        assert 0 == np.abs(scores.contribution[:-n, column]).sum()


@tensorflow_engines()
def test_engine_is_chosen_by_the_architecture(loaded: Artifact, tiny: Artifact) -> None:
    assert KerasEngine is type(load_engine(loaded))
    assert FoldedEngine is type(load_engine(tiny))


def test_job_gives_what_predict_gives_and_splits_it_over_the_words(
    jsonl_file: Callable[..., Path],
    config: Callable[..., ScoreConfig],
    model: Path,
    loaded: Artifact,
    predicted_logits: np.ndarray,
) -> None:
    path = jsonl_file(*({"id": str(i), "text": text} for i, text in enumerate(texts())))
    job = config(path, id_column="id", model=str(model), top_k=25)
    manifest = score_here(job)
    found = rows(job.output.directory)
    np.testing.assert_allclose([row["logit"] for row in found], predicted_logits, atol=1e-5)
    for row, text in zip(found, texts(), strict=True):
        listed, n = row["top_contributing"], len(words(text))
        by_position = {word["position"]: word for word in listed}
        total = manifest["bias"] + sum(word["contribution"] for word in listed) + row["rest_contribution"]
        assert row["logit"] == pytest.approx(total, abs=1e-5)
        assert (n, min(n, 20), n > 20) == (row["n_tokens"], row["n_tokens_used"], row["truncated"])
        # All words used are listed, and nothing else: not the padding, nor the start mark.
        assert list(range(max(n - 20, 0), n)) == sorted(by_position)
        assert words(text)[-20:] == [by_position[i]["token"] for i in sorted(by_position)]
        expected = forward(loaded.tensors, loaded.architecture, loaded.tokenizer.ids(words(text)))
        in_order = [by_position[i]["contribution"] for i in sorted(by_position)]
        np.testing.assert_allclose(in_order, expected.contribution[-min(n, 20) :], atol=1e-5)
        assert (n < 20) == (row["rest_contribution"] != 0)
        unknown = sum(word not in loaded.vocabulary for word in words(text)[-20:])
        assert unknown / min(n, 20) == pytest.approx(row["oov_rate"])


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A model of the preset, trained on Keras' files with an interruption, and what the resumed command said.

    The network is tiny: that of the preset would take minutes.
    """
    directory = tmp_path_factory.mktemp("trained")
    reviews, index = keras_files(directory)
    arguments = ("--preset", "notebook", "--data", reviews, "--word-index", index, "--output", directory / "m",
                 "--epochs", 2)  # fmt: skip
    begin = notebook._Report.on_epoch_begin

    def dies_in_epoch_2(self: Any, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            raise KeyboardInterrupt
        begin(self, epoch, logs)

    with pytest.MonkeyPatch.context() as patch:
        tiny = functools.partial(dataclasses.replace, TINY_NOTEBOOK, max_length=60)
        patch.setattr(notebook, "architecture", lambda size: tiny(vocabulary_size=size))
        with pytest.MonkeyPatch.context() as dying:
            dying.setattr(notebook._Report, "on_epoch_begin", dies_in_epoch_2)
            assert 0 != CliRunner().invoke(main, [str(a) for a in arguments]).exit_code
        result = run(*arguments, "--resume")
    assert 0 == result.exit_code, result.output
    return directory / "m", result.output


def test_preset_trains_on_keras_files_and_its_artefact_scores(trained: tuple[Path, str]) -> None:
    path, output = trained
    assert "the longest review has 601 ids, the mean is 164.75" in " ".join(output.split())
    model = artifact.load(str(path))
    assert (60, 34, False) == (model.tokenizer.max_words, len(model.vocabulary), model.architecture.masked)
    recipe = {"learning_rate": 1e-4, "clip_norm": 1.0, "dropout": 0.3, "epochs": 2}
    assert recipe.items() <= model.manifest["training"]["recipe"].items()
    texts = ["w1 w2 w3", "w4 " * 80]
    scores = load_engine(model).run([model.tokenizer.ids(words(text)) for text in texts])
    np.testing.assert_allclose(sigmoid(scores.logit), sigmoid(predicted(model, texts)), atol=1e-5)


def test_resumed_preset_goes_on_after_the_last_epoch(trained: tuple[Path, str]) -> None:
    _, output = trained
    assert ("epoch 2:" in output, "epoch 1:" in output) == (True, False)


def test_loss_that_is_no_number_stops_training(tmp_path: Path) -> None:
    reviews, index = keras_files(tmp_path)
    data = from_ranks(read_keras_files(reviews, index), 0.2, 20, 20, 20)
    recipe = dataclasses.replace(notebook.Recipe(), learning_rate=float("nan"), batch_size=8)
    a = dataclasses.replace(TINY_NOTEBOOK, vocabulary_size=len(data.vocabulary))
    with pytest.raises(JobError, match="not a number"):
        notebook.fit(recipe, a, data, Run(tmp_path / "w", False, {}))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--data", "imdb.npz", "--preset", "notebook"),
        ("--data", "imdb.npz", "--word-index", "index.json"),
        ("--data", "reviews.jsonl", "--word-index", "index.json", "--preset", "notebook"),
    ],
)
def test_keras_files_one_without_the_other_or_the_preset_are_refused(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    result = run(*arguments, "--output", tmp_path / "m")
    assert 2 == result.exit_code
    assert "go together" in result.output
