"""A model brought from Keras gives the probabilities that it gave there; what its file leaves open is asked."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from batch_scorer.models import artifact
from batch_scorer.models.exact_engine import ExactEngine
from batch_scorer.scoring.chunk import Scorer
from batch_scorer.scoring.review import explain_review
from tests.train.importing import files
from tests.train.importing.files import A, H, T, attention, bidirectional, embedding, usual
from train.cli import main
from train.importing.expected import probability_of
from train.importing.network import Network
from train.importing.run import Imported, Request, import_model

TEXTS = (
    "A good film.",
    "Bad, bad plot: not very good!",
    "the film was not boring",
    "Never ever a wonderful end, nothing but a good actor and it's very very bad. The start was good.",
    "unheard of words, the END",
    "It's<br />good",
)
TRIED = ("notebook", "cell state as query", "one column, post padding", "spelt out with query", "end to end")


@dataclass(frozen=True)
class Saved:
    """A model of Keras, saved: the arguments of the command, and what it says of `TEXTS`."""

    arguments: list[str]
    probabilities: np.ndarray
    is_open: bool


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Saved]:
    import keras

    from tests.train.importing.public_models import Sizes, Words, predicted, public_models, save

    found, sizes, rng = {}, Sizes(), np.random.default_rng(8)
    models = public_models(Words(TEXTS))
    for name in TRIED:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = models[name].build(sizes)
            for weight in model.weights:
                values = rng.normal(0, 0.6, weight.shape)
                weight.assign(np.abs(values) + 0.5 if "variance" in weight.name else values)
            folder = tmp_path_factory.mktemp("keras")
            arguments = save(models[name], model, sizes, folder)
            found[name] = Saved(arguments, predicted(models[name], model, TEXTS, sizes), models[name].is_open)
        keras.backend.clear_session()
    return found


def run(arguments: list[str], output: Path) -> Result:
    return CliRunner().invoke(main, ["import", *arguments, "--output", str(output)])


def expected_file(folder: Path, probabilities: np.ndarray, texts: tuple[str, ...] = TEXTS) -> str:
    rows = [{"text": text, "probability": p} for text, p in zip(texts, probabilities.tolist(), strict=True)]
    path = folder / "expected.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("name", TRIED)
def test_imported_model_gives_the_probabilities_that_keras_gave(
    saved: Mapping[str, Saved], name: str, tmp_path: Path
) -> None:
    model = saved[name]
    arguments = [*model.arguments]
    if model.is_open:
        refused = run(arguments, tmp_path / "refused")
        assert 2 == refused.exit_code
        assert "W1/vars/0 takes the states and W2/vars/0 the query, or (2)" in refused.output
        assert "give --expected FILE" in refused.output
        arguments += ["--expected", expected_file(tmp_path, model.probabilities)]
    result = run(arguments, tmp_path / "model")
    assert 0 == result.exit_code, result.output
    loaded = artifact.load(str(tmp_path / "model"))
    assert loaded.model_id in result.output
    scorer = Scorer(loaded, ExactEngine(loaded))
    for text, probability in zip(TEXTS, model.probabilities, strict=True):
        review = explain_review(text, scorer, top_k=3)
        assert probability == pytest.approx(review.row["probability"], abs=1e-6)
        listed = review.row["top_contributing"]
        assert [text[w["char_start"] : w["char_end"]].lower() for w in listed] == [w["token"] for w in listed]
        sum_ = review.bias + sum(w["contribution"] for w in listed) + review.row["rest_contribution"]
        assert review.row["logit"] == pytest.approx(sum_, abs=1e-5)
    assert np.ptp(model.probabilities) > 0.001  # else any reading would do


def test_expected_probabilities_that_no_reading_gives_are_an_error(saved: Mapping[str, Saved], tmp_path: Path) -> None:
    model = saved["notebook"]
    wrong = expected_file(tmp_path, 1 - model.probabilities)
    result = run([*model.arguments, "--expected", wrong], tmp_path / "model")
    assert 2 == result.exit_code
    assert "no reading of the model gives the expected probabilities" in result.output
    assert not (tmp_path / "model").exists()


def test_padding_that_is_not_given_is_found_by_the_expected_probabilities(
    saved: Mapping[str, Saved], tmp_path: Path
) -> None:
    model = saved["one column, post padding"]
    without = model.arguments[:-4]
    assert ["--padding", "post", "--truncating", "post"] == model.arguments[-4:]
    result = run([*without, "--expected", expected_file(tmp_path, model.probabilities)], tmp_path / "model")
    assert 0 == result.exit_code, result.output
    assert "padding: on the right" in result.output
    assert "the first 12 ids are read of a longer review" in result.output


def test_two_texts_that_tell_no_readings_apart_are_not_enough(tmp_path: Path) -> None:
    # Of the length that the model reads, texts are not padded: nothing shows whether padding is attended to.
    model = files.write_h5(tmp_path / "model.h5", usual(embedding=embedding(mask=True)))
    index = files.write_index(tmp_path / "words.json")
    text = " ".join(files.WORDS)
    assert T == len(files.WORDS)
    readings = {choice: p for choice, p in _both(model, index, tmp_path, text)}
    assert 1 == len(set(readings.values()))
    (tmp_path / "e.csv").write_text(f"text,probability\n{text},{next(iter(readings.values()))!r}\n")
    result = run([str(model), "--word-index", str(index), "--expected", str(tmp_path / "e.csv")], tmp_path / "model")
    assert 2 == result.exit_code
    assert "do not tell the readings apart" in result.output
    assert "the mask: padding left out" in result.output


def _both(model: Path, index: Path, folder: Path, text: str) -> Iterator[tuple[str, float]]:
    from train.importing.model_file import read_model
    from train.importing.network import Lengths
    from train.importing.readings import explore
    from train.importing.run import _numbering, _read

    file, numbered = read_model(model, None), _numbering(index, None)
    for reading in explore(lambda choices: _read(file, numbered, Lengths(truncating="pre"), choices)):
        yield str(reading), probability_of(reading.model, text)


def imported(folder: Path, layers: list[Any] | None = None, **options: Any) -> Imported:
    """A model made of these layers, imported from a file of Keras 2."""
    version = options.pop("version", "2.15.0")
    model = files.write_h5(folder / "model.h5", layers or usual(), version=version)
    index = files.write_index(folder / "words.json", options.pop("index", None))
    return import_model(Request(model, word_index=index, **options), folder / "model", lambda _: None)


@pytest.mark.parametrize(
    ("version", "gate"),
    [("2.2.4", "hard_sigmoid_keras_2"), ("2.15.0", "hard_sigmoid_keras_2"), ("3.4.1", "hard_sigmoid")],
)
def test_hard_sigmoid_is_that_of_the_version_that_wrote_the_file(tmp_path: Path, version: str, gate: str) -> None:
    found = imported(tmp_path, usual(rnn=bidirectional(recurrent_activation="hard_sigmoid")), version=version)
    assert gate == found.network.architecture.recurrent_activation


@pytest.mark.parametrize(
    ("kind", "settings", "cell"),
    [
        ("LSTM", {}, "lstm"),
        ("GRU", {"reset_after": False}, "gru"),
        ("GRU", {"reset_after": True}, "gru_reset_after"),
    ],
)
def test_cell_is_what_the_configuration_and_the_bias_say(
    tmp_path: Path, kind: str, settings: dict[str, Any], cell: str
) -> None:
    found = imported(tmp_path, usual(rnn=bidirectional(kind, **settings)))
    assert cell == found.network.architecture.cell
    assert {name.partition(".")[0] for name in found.network.tensors} == {
        *("embedding", "attention", "head", "lstm" if cell == "lstm" else "gru")
    }
    assert "attention.w2.kernel" not in found.network.tensors


def test_layer_by_any_name_is_recognised_by_the_shapes_of_its_weights(tmp_path: Path) -> None:
    shapes: list[dict[str, tuple[int, ...]]] = [
        {"W": (2 * H, A), "b": (A,), "u": (A,)},
        {"att_kernel": (2 * H, A), "att_bias": (A,), "context_vector": (A, 1)},
        {"dense__kernel": (2 * H, A), "dense__bias": (A,), "dense_1__kernel": (A, 1), "dense_1__bias": (1,)},
        {"W": (2 * H, 1), "b": (T, 1)},
        {"W": (2 * H,), "b": (T,)},
        {"W": (2 * H, 1), "b": (1,)},
    ]
    for number, weights in enumerate(shapes):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = imported(folder, usual(attention=attention(**weights)))
        a = found.network.architecture
        assert (A if number < 3 else 1, number in (3, 4), "none") == (a.attention_units, a.position_bias, a.query)


def test_column_alone_leaves_two_readings(tmp_path: Path) -> None:
    from batch_scorer.errors import InputError

    with pytest.raises(InputError, match="several ways") as raised:
        imported(tmp_path, usual(attention=attention(w=(2 * H, 1))))
    assert "tanh(h W + b)" in str(raised.value)
    assert "tanh(h) . w" in str(raised.value)


def ids(network: Network, text: str) -> list[int]:
    return network.tokenizer.ids(network.tokenizer.words(text)).tolist()


def test_ids_follow_the_numbering_of_the_index(tmp_path: Path) -> None:
    ranks = {"the": 1, "film": 2, "good": 3}
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"index": {"<OOV>": 1, "the": 2, "film": 3}}, ["the", "<oov>", "film"]),
        ({"index": ranks}, ["the", "film"]),
        ({"index": {"<PAD>": 0, "<START>": 1, "<UNK>": 2, "the": 4, "film": 5}}, ["<start>", "the", "<oov>", "film"]),
        ({"index": ranks, "index_from": 3}, ["<start>", "the", "<oov>", "film"]),
    ]
    for number, (options, expected) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        network = imported(folder, **options).network
        read = [network.tokenizer.vocabulary[i] for i in ids(network, "The unheard FILM!") if i >= 0]
        assert expected == read


@pytest.mark.parametrize("first", ["\n[UNK]\n", "[UNK]\n", ""])
def test_vocabulary_of_a_token_a_line_is_that_of_text_vectorization(tmp_path: Path, first: str) -> None:
    (tmp_path / "vocabulary.txt").write_text(first + "film\nits\ngood")
    model = files.write_h5(tmp_path / "model.h5", usual())
    request = Request(model, word_index=tmp_path / "vocabulary.txt")
    network = import_model(request, tmp_path / "model", lambda _: None).network
    assert ("<pad>", "<start>", "<oov>", "film", "its", "good") == tuple(network.tokenizer.vocabulary)
    assert [4, 5, 2, 3] == ids(network, "It's good -- unheard film!")
    assert ("post", True) == (network.architecture.padding, network.tokenizer.pattern.reads_first)  # type: ignore[union-attr]


def test_embedding_rows_follow_their_words(tmp_path: Path) -> None:
    network = imported(tmp_path, index={"<OOV>": 1, "film": 5, "good": 9, "rare": 400}).network
    table = embedding()["weights"]["embeddings"]
    assert ("<pad>", "<start>", "<oov>", "film", "good") == tuple(network.tokenizer.vocabulary)
    np.testing.assert_array_equal(table[[0, 1, 5, 9]], network.tensors["embedding"][[0, 2, 3, 4]])


def test_directory_with_a_model_is_not_written_over(tmp_path: Path) -> None:
    imported(tmp_path)
    before = (tmp_path / "model" / "manifest.json").read_bytes()
    result = run([str(tmp_path / "model.h5"), "--word-index", str(tmp_path / "words.json")], tmp_path / "model")
    assert (2, before) == (result.exit_code, (tmp_path / "model" / "manifest.json").read_bytes())
