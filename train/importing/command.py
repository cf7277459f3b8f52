"""`python -m train import`: a model that was trained in Keras becomes an artefact, without training."""

from __future__ import annotations

from pathlib import Path

import click

from batch_scorer.cli.framework import SETTINGS, Command, option, reports_errors
from batch_scorer.cli.numbers import Count
from batch_scorer.errors import OutputError
from batch_scorer.escape import safe

_FIRST, _TEXTS = "Options that matter first", "How texts become ids, where the file does not say"
_SIDES = click.Choice(["pre", "post"])


@click.command("import", cls=Command, context_settings=SETTINGS, short_help="Bring a model that was trained in Keras.")
@click.argument("model", type=click.Path(path_type=Path))
@option(_FIRST, "--word-index", type=click.Path(path_type=Path), metavar="FILE",
        help="Words and their ids: tokenizer.word_index or tokenizer.to_json() as JSON, or a vocabulary of a token a "
             "line. Not needed where a TextVectorization layer is part of the model.")  # fmt: skip
@option(_FIRST, "--output", required=True, type=click.Path(path_type=Path), metavar="DIR",
        help="Directory for the model artefact.")  # fmt: skip
@option(_FIRST, "--expected", metavar="FILE",
        help="A few texts with what model.predict gave for them, in columns text and probability: of several ways to "
             "read the model, the one that fits is taken.")  # fmt: skip
@option(_FIRST, "--config", type=click.Path(path_type=Path), metavar="FILE",
        help="What model.to_json() returns, for a file of weights only (.weights.h5).")  # fmt: skip
@option(_FIRST, "--name", metavar="NAME", help="Name of the model, for people to read.  [default: the file's]")
@option(_TEXTS, "--max-length", type=Count(1), metavar="N",
        help="Ids that are read of a review, the maxlen of pad_sequences.  [default: the model's input]")  # fmt: skip
@option(_TEXTS, "--padding", type=_SIDES,
        help="Side on which short reviews are padded; matters without a mask.  [default: pre, as pad_sequences; post "
             "with a vocabulary of TextVectorization]")  # fmt: skip
@option(_TEXTS, "--truncating", type=_SIDES,
        help="Side on which long reviews are cut.  [default: as for --padding]")  # fmt: skip
@option(_TEXTS, "--index-from", type=Count(0), metavar="N",
        help="What is added to each rank of a word index, as in imdb.load_data; 0: nothing, as Tokenizer does.  "
             "[default: 3 for Keras' imdb_word_index.json, else 0]")  # fmt: skip
@reports_errors
def import_command(
    model: Path, word_index: Path | None, output: Path, expected: str | None, config: Path | None, name: str | None,
    max_length: int | None, padding: str | None, truncating: str | None, index_from: int | None,
) -> None:  # fmt: skip
    """Bring a model that was trained in Keras: a bidirectional LSTM or GRU with additive attention.

    The file is read as data: no code in it runs. Layers are found by what they are; what does not fit is refused, by
    the layer's name.

    \b
    Examples:
      python -m train import model.keras --word-index word_index.json --output model
      python -m train import model.h5 --word-index tokenizer.json --expected predicted.csv --output model
      python -m train import model.weights.h5 --config model.json --word-index tokenizer.json --output model
    """
    if (output / "manifest.json").exists():
        raise OutputError("the output already holds a model", where=str(output), fix="choose another --output")
    from train.importing.network import Lengths
    from train.importing.run import Request, import_model

    def say(text: str) -> None:
        click.echo(safe(text))

    lengths = Lengths(max_length, padding, truncating)
    stem = model.name.partition(".")[0] or "imported"
    request = Request(model, config, word_index, index_from, expected, lengths, (name or stem)[:200])
    try:
        imported = import_model(request, output, say)
    except OSError as error:
        raise OutputError("the output cannot be written", where=error.filename, got=error.strerror) from error
    if imported.error is not None:
        say(f"the expected probabilities are met to within {imported.error:.1e}")
    say(f"model {imported.model_id} in {output}")
