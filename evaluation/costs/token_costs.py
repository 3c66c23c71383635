"""What every token of held-out documents costs, in bits: scored once, by a model and by an n-gram, summed in many ways.

A token of probability p costs -log2(p) bits (Shannon 1948): an arithmetic coder that is told the probabilities would
need so many to store it, which is what makes a language model and a compressor comparable.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from evaluation.costs.ngram import NGram
from evaluation.figures import OURS, REFERENCE
from evaluation.held_out import Document
from evaluation.scoring import score_texts
from pretraining.checkpoint import TrainedModel
from tokenizer.bpe import Tokenizer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MODEL, NGRAM = "model", "ngram"
MARKS = {  # how pictures show those who predict; the last is drawn on top
    "gzip": {"label": "gzip", "marker": "x", "color": REFERENCE},
    "xz": {"label": "xz", "marker": "s", "color": REFERENCE},
    NGRAM: {"label": "n-gram with a cache", "marker": "D", "color": "black"},
    MODEL: {"label": "model, 95% interval", "marker": "o", "color": OURS, "s": 70},
}


@dataclass(frozen=True)
class TokenCosts:
    """One document as tokens, each with its size and what it costs."""

    document: Document
    sizes: np.ndarray  # (tokens,) bytes; together those of the document
    bits: dict[str, np.ndarray]  # MODEL and, where there is one, NGRAM: (tokens,)


def measure_costs(trained: TrainedModel, ngram: NGram | None, documents: Sequence[Document]) -> list[TokenCosts]:
    """Score documents, each from its beginning, with a model and with an n-gram (None: without)."""
    size_of, costs = token_sizes(trained.tokenizer), []
    with tqdm(total=sum(d.bytes for d in documents), unit="B", unit_scale=True, leave=False, disable=None) as bar:
        scores = score_texts(trained, (document.text for document in documents))
        for document, scored in zip(documents, scores, strict=True):
            bits = {MODEL: scored.nats / math.log(2)}
            if ngram:
                bits[NGRAM] = ngram.nats(scored.tokens) / math.log(2)
            costs.append(TokenCosts(document, size_of[scored.tokens], bits))
            bar.update(document.bytes)
    return costs


def token_sizes(tokenizer: Tokenizer) -> np.ndarray:
    """The number of bytes that each token stands for: (vocab,)."""
    return np.array([len(tokenizer.token_bytes(token)) for token in range(tokenizer.vocab_size)])


def shown_ratio(ratio: dict | None) -> str:
    """A ratio in a table or title, - where there is none."""
    return "-" if ratio is None or ratio["value"] is None else f"{ratio['value']:.2f}"


def shown_interval(ratio: dict) -> str:
    """The interval of a ratio in a table."""
    return "[{:.2f}, {:.2f}]".format(*ratio["interval"]) if ratio["interval"] else "-"


def mark_ratios(axes: "Axes", rows: Sequence[tuple[float, str, dict[str, dict]]]) -> None:
    """Bits per byte as marks on horizontal lines. A row is (place, label, ratio of each who predicts)."""
    for scorer, style in MARKS.items():
        known = [(ratios[scorer]["value"], place) for place, _, ratios in rows if scorer in ratios]
        if known:
            axes.scatter(*zip(*known, strict=True), zorder=3, **style)
    for place, _, ratios in rows:
        if interval := ratios[MODEL]["interval"]:
            axes.plot(interval, [place, place], color=OURS, linewidth=2)
    axes.set_yticks([place for place, *_ in rows], [label for _, label, _ in rows])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("bits per byte (lower is better)")
