"""Fine-tunes a trained network on a few labelled texts, several times from the same weights.

Unlike `train.trainer`, which starts from nothing or from language models, this keeps to where it starts: the statistics
of the batch normalisation and the scale of the embeddings stay as they are, and each step pulls the weights back.
Shapes as in `batch_scorer.models.network`; U of the V ids occur in the texts.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from batch_scorer.models.network import Architecture, Floats
from batch_scorer.models.tokenizer import OOV, PAD, START
from train.data import Ids, pad
from train.lstm import TrainedClassifier
from train.material.parts import Part, batches
from train.network import map_batches, without_values, without_words, worst_step

WARM_UP = 10  # steps over which the rate rises: Adam's first steps rely on very few texts


@dataclass(frozen=True)
class Recipe:
    """Settings of adapting, chosen on held-out labels of airline tweets, speaker reviews and app reviews.

    Args:
        folds: into how many parts the labels are divided; each network is fitted to all but one.
        networks: how many of these networks are fitted at most. The model's weights are the mean of all.
        many: labels from which there are `many_folds` instead, so that each network is fitted to more of them.
        new_words: the most words that are added to the vocabulary.
        least_count: how often a word has to occur to be added.
        epochs: passes over the labels, if these are more steps than `least_steps`.
        least_steps: steps of a network at least.
        batch_size: texts per step; of fewer than 10 batches, fewer.
        learning_rate: of Adam, at its peak; it falls to zero along a cosine.
        clip_norm: global norm to which the gradient of a step is clipped.
        pull: how strongly weights are drawn back to where they started, as a share of their distance per step, times
            the learning rate (L2-SP, Li et al. 2018, decoupled from Adam as in Loshchilov and Hutter 2019).
        word_dropout: share of words replaced by the unknown word.
        embedding_dropout: share of embedding values dropped.
        perturbation: L2 norm of the adversarial step on a text's embeddings (Miyato et al. 2017, eq. 7); 0 turns it
            off.
        curve: how many networks are also fitted to parts of the labels, to see whether more labels would help.
        seed: of order and dropout.
    """

    folds: int = 5
    networks: int = 5
    many: int = 3_000
    many_folds: int = 10
    many_networks: int = 3
    new_words: int = 3_000
    least_count: int = 2
    epochs: int = 4
    least_steps: int = 100
    batch_size: int = 32
    learning_rate: float = 3e-3
    clip_norm: float = 1.0
    pull: float = 0.1
    word_dropout: float = 0.1
    embedding_dropout: float = 0.3
    perturbation: float = 1.0
    curve: int = 2
    seed: int = 20


class Tuner:
    """The network, the steps that change it, and the weights that it starts from each time.

    Only U of its V embeddings occur in the texts, and only these are in the network: a step over a few short texts
    would otherwise spend most of its time on embeddings whose gradient is zero.
    """

    def __init__(
        self, recipe: Recipe, architecture: Architecture, start: Mapping[str, Floats], texts: Sequence[Ids]
    ) -> None:
        """
        Args:
            start: the tensors that each fine-tuning starts from.
            texts: all that is trained on and predicted, int32[n] each.
        """
        self.recipe, self._whole = recipe, dict(start)
        self._used = np.unique(np.concatenate([[PAD, START, OOV], *texts]))  # int64[U]; the reserved ids come first
        self._place = np.zeros(architecture.vocabulary_size, np.int32)
        self._place[self._used] = np.arange(len(self._used))
        self.start: Weights = {**start, "embedding": start["embedding"][self._used]}
        self._network = TrainedClassifier(dataclasses.replace(architecture, vocabulary_size=len(self._used)))
        self._network.assign(self.start)
        self._variables = self._network.trainable_variables
        self._anchors = [tf.constant(variable.numpy()) for variable in self._variables]
        self._optimizer = tf.keras.optimizers.Adam(global_clipnorm=recipe.clip_norm)
        self._optimizer.build(self._variables)
        self._taken, self._turn = tf.Variable(0), tf.Variable(0)
        ids, numbers = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.float32)
        self._step = tf.function(self._train_batch, input_signature=[ids, numbers, numbers])
        self._predict = tf.function(lambda ids: self._network(ids)[0], input_signature=[ids])

    def steps(self, part: Part) -> int:
        """How many steps a network takes that is fitted to `part`."""
        return max(self.recipe.least_steps, self.recipe.epochs * part.steps)

    def fit(self, part: Part, turn: int, on_step: Callable[[int, int, float], None] = lambda *_: None) -> Weights:
        """Fits the network to labelled texts, from the start.

        Args:
            turn: which of several fine-tunings this is; order and dropout depend on it.
            on_step: called with steps done, steps in all, and the loss.

        Returns:
            The tensors, with U embeddings: see `expanded`.
        """
        steps = self.steps(part)
        self._network.assign(self.start)
        for variable in self._optimizer.variables:
            if variable is not self._optimizer.learning_rate:
                variable.assign(tf.zeros_like(variable))
        self._taken.assign(0)
        self._turn.assign(turn)
        for done, batch in zip(range(steps), self._endless(part, turn), strict=False):
            rate = 0.5 * (1 + math.cos(math.pi * done / steps)) * min(1.0, (1 + done) / WARM_UP)
            self._optimizer.learning_rate.assign(self.recipe.learning_rate * rate)
            texts = self._place[pad([part.ids[i] for i in batch])]
            on_step(done + 1, steps, float(self._step(texts, part.targets[batch], part.weights[batch])))
        return {name: variable.numpy() for name, variable in self._network.tensor_variables().items()}

    def logits(self, weights: Mapping[str, Floats], texts: Sequence[Ids]) -> npt.NDArray[np.float64]:
        """Logits of texts, int32[n] each, by a network with these weights: float64[N]."""
        self._network.assign(weights)
        return map_batches(self._predict, [self._place[ids] for ids in texts]).astype(np.float64)

    def expanded(self, weights: Mapping[str, Floats]) -> Weights:
        """The tensors with all V embeddings: those of other ids are as they were at the start."""
        embedding = self._whole["embedding"].copy()
        embedding[self._used] = weights["embedding"]
        return {**weights, "embedding": embedding}

    def _endless(self, part: Part, turn: int) -> Iterator[npt.NDArray[np.int64]]:
        rng = np.random.default_rng((self.recipe.seed, turn))
        while True:
            yield from (batch for _, batch in batches([part], rng))

    def _train_batch(self, ids: Any, targets: Any, weights: Any) -> Any:
        """One step on ids [B, T] with targets and weights [B]; returns the loss on the unperturbed texts."""
        r, network, variables = self.recipe, self._network, self._variables
        seeds = tf.stack([self._taken, r.seed + self._turn])
        mask = ids != PAD
        ids = without_words(ids, seeds, r.word_dropout)

        def embed() -> Any:
            embedded = network.embedding(ids)  # [B, T, E]
            return without_values(embedded, seeds + 1, r.embedding_dropout)

        def loss_of(embedded: Any) -> Any:
            logits = network.decide(network.attend(embedded, mask, training=True)[0])
            return tf.reduce_mean(weights * tf.nn.sigmoid_cross_entropy_with_logits(targets, logits))

        with tf.GradientTape() as tape:
            embedded = embed()
            loss = loss_of(embedded)
        slope, *gradients = map(tf.convert_to_tensor, tape.gradient(loss, [embedded, *variables]))
        if r.perturbation:
            # A second pass after the worst small step of each text's embeddings (Miyato et al. 2017, eq. 8).
            with tf.GradientTape() as tape:
                worst = loss_of(embed() + worst_step(slope, r.perturbation))
            second = map(tf.convert_to_tensor, tape.gradient(worst, variables))
            gradients = [a + b for a, b in zip(gradients, second, strict=True)]
        self._optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self._taken.assign_add(1)
        for variable, anchor in zip(variables, self._anchors, strict=True):
            variable.assign_sub(self._optimizer.learning_rate * r.pull * (variable - anchor))
        return loss


Weights = dict[str, Floats]


def blended(old: Mapping[str, Floats], new: Mapping[str, Floats], share: float) -> Weights:
    """``(1 - share) * old + share * new`` of each tensor (WiSE-FT, Wortsman et al. 2022, section 4).

    Both are in the same basin of the loss, since `new` started from `old`; what lies between them is often better on
    new texts than `new`, and worse by less on old ones.
    """
    return {name: ((1 - share) * old[name] + share * new[name]).astype(np.float32) for name in old}
