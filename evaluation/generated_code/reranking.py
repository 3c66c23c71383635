"""Choosing one of several completions without running any: the one that the model itself finds the likeliest.

By the mean over its tokens, as in Chen et al. 2021: the sum would choose whatever is shortest.
"""

import math
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from evaluation.generated_code.attempts import Attempt
from evaluation.scoring import ScoredText, score_texts
from pretraining.checkpoint import TrainedModel
from tokenizer.bpe import Tokenizer


def likeliest(trained: TrainedModel, attempts: Sequence[Attempt], samples: int) -> list[Attempt]:
    """Of each problem's attempts the one with the highest mean log-probability; of several the first."""
    means = mean_log_probabilities(trained, [(attempt.problem.prompt, attempt.completion) for attempt in attempts])
    firsts = range(0, len(attempts), samples)
    return [attempts[max(range(first, first + samples), key=means.__getitem__)] for first in firsts]


def mean_log_probabilities(trained: TrainedModel, texts: Sequence[tuple[str, str]]) -> list[float]:
    """For each prompt and completion the mean log-probability (nats) of the completion's tokens.

    An empty completion has minus infinity. Equal texts are read once.
    """
    means = dict.fromkeys(texts, 0.0)
    scored = score_texts(trained, (prompt + completion for prompt, completion in means))
    shown = tqdm(scored, "reranking", len(means), unit=" programs", leave=False, disable=None)
    for (prompt, completion), text in zip(list(means), shown, strict=True):
        means[prompt, completion] = _mean_behind(trained.tokenizer, text, len(prompt.encode()))
    return [means[text] for text in texts]


def _mean_behind(tokenizer: Tokenizer, text: ScoredText, place: int) -> float:
    """The mean over the tokens that end behind a place (in bytes); the first of them may begin before it."""
    ends = np.cumsum([len(tokenizer.token_bytes(token)) for token in text.tokens.tolist()])
    behind = text.nats[ends > place]
    return -float(behind.mean()) if len(behind) else -math.inf
