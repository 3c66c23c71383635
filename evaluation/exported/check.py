"""Compares an export, read by another program, with our own model: token ids, probabilities, and what both write.

What differs is told by the first place where it does. Nothing is deleted or repaired here.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from evaluation.exported.own_reader import OwnReader
from evaluation.exported.reader import UNTOLD, Reader, RefusedError, open_reader, refused
from evaluation.exported.rounding import as_stored, rounding_cost, rounding_error
from evaluation.exported.texts import CONTINUED, compared_texts, encoded_texts
from evaluation.held_out import Document
from pretraining.checkpoint import TrainedModel

CONTINUATION = 48  # tokens that are written after each prompt
LONGEST_NAME = 80  # characters of a text that stand for it


@dataclass
class Comparison:
    """How an export stands to our model."""

    program: str
    limit: float
    texts: int = 0
    equal_texts: int = 0  # whose token ids are the same, and which come back from them unchanged
    places: int = 0  # tokens behind which probabilities were compared
    largest_difference: float = 0.0  # between log-probabilities, in nats
    continued: int = 0  # tokens written greedily and compared
    differences: list[str] = field(default_factory=list)  # the first of each kind; none: the export is the model

    @property
    def same(self) -> bool:
        return not self.differences


def check_export(
    trained: TrainedModel, kind: str, dtype: str, path: Path, documents: list[Document]
) -> tuple[Comparison, dict | None]:
    """Read an export back and compare it; also what its dtype costs on `documents`, where it rounds and is right.

    A program that does not take the export, or fails on it, is a difference, too.
    """
    try:
        with closing(open_reader(kind, path, dtype)) as theirs:
            found = compare(theirs, as_stored(trained, kind, dtype))
            if dtype == "f32" or not documents or not found.same:
                return found, None
            return found, rounding_cost(theirs, OwnReader(trained), documents, trained.context_length)
    except RefusedError as error:
        return Comparison("its own program", 0.0, differences=[str(error)]), None


def compare(theirs: Reader, trained: TrainedModel) -> Comparison:
    """Put all questions to both. `trained` has the weights that the export should have."""
    ours = OwnReader(trained)
    longest = trained.context_length - 1  # llama.cpp wants room for one token more
    texts = {name: ours.encode_prompt(text)[:longest] for name, text in compared_texts().items()}
    limit = max(theirs.limit, 2 * rounding_error(trained, theirs.products, list(texts.values())))
    found = Comparison(theirs.program, limit)
    try:
        found.differences += _token_ids(found, theirs, ours)[:1]
        found.differences += _log_probabilities(found, theirs, ours, texts)[:1]
        found.differences += _continuations(found, theirs, ours, trained.context_length)[:1]
    except RefusedError:
        raise
    except (RuntimeError, ValueError, LookupError, TypeError) as error:  # other programs' ways to stumble
        raise refused(theirs.program, "what it has opened", f"{type(error).__name__}: {error}") from error
    return found


def _token_ids(found: Comparison, theirs: Reader, ours: Reader) -> list[str]:
    differences = []
    for text in encoded_texts():
        found.texts += 1
        expected, seen = ours.encode(text), theirs.encode(text)
        if seen != expected:
            place = _first_difference(expected, seen)
            shown = [_token(ours, tokens[place : place + 1]) for tokens in (expected, seen)]
            differences.append(
                f"token ids of the text {_begin(text)}, token {place}: ours {shown[0]}, there {shown[1]}"
            )
        elif (back := theirs.decode(seen)) != text:
            place = _first_difference(text, back)
            shown = [repr(written[place : place + 12]) for written in (text, back)]
            where = f"text from token ids of {_begin(text)}, character {place}"
            differences.append(f"{where}: ours {shown[0]}, there {shown[1]}")
        else:
            found.equal_texts += 1
    for prompt in CONTINUED:
        if (expected := ours.encode_prompt(prompt)) != (seen := theirs.encode_prompt(prompt)):
            differences.append(f"what is read for the prompt {prompt!r}: ours {expected[:8]}, there {seen[:8]}")
    if theirs.end_tokens != ours.end_tokens:
        differences.append(f"tokens that end a text: ours {ours.end_tokens}, there {theirs.end_tokens}")
    return differences


def _log_probabilities(found: Comparison, theirs: Reader, ours: Reader, texts: dict[str, list[int]]) -> list[str]:
    differences = []
    for name, tokens in tqdm(texts.items(), unit=" texts", leave=False, disable=None):
        expected, seen = ours.log_probabilities(tokens), theirs.log_probabilities(tokens)
        if seen.shape != expected.shape:
            return [f"a vocabulary of another size: ours {expected.shape[1]}, there {seen.shape[1]}"]
        told = seen != UNTOLD
        expected, seen = _normalised(expected, told), _normalised(seen, told)
        gaps = np.where(told, np.abs(expected - seen), 0.0)
        found.places += len(tokens)
        found.largest_difference = float(np.maximum(found.largest_difference, gaps.max()))  # NaN stays NaN
        beyond = ~(gaps.max(axis=1) <= found.limit)
        if beyond.any():
            place = int(beyond.argmax())
            token = int(np.nan_to_num(gaps[place], nan=np.inf).argmax())
            differences.append(
                f"log-probability in the text {name!r}, behind token {place} ({_token(ours, tokens[place:][:1])}), of "
                f"{_token(ours, [token])}: ours {expected[place, token]:.6f}, there {seen[place, token]:.6f} "
                f"(at most {found.limit:g} apart is the same)"
            )
    return differences


def _normalised(table: np.ndarray, told: np.ndarray) -> np.ndarray:
    """Log-probabilities among the tokens told: llama.cpp sums up all of them in float32, and errs by up to 1e-4."""
    return table - np.log(np.exp(np.where(told, table, -np.inf)).sum(axis=1, keepdims=True))


def _continuations(found: Comparison, theirs: Reader, ours: Reader, context_length: int) -> list[str]:
    differences = []
    for prompt in CONTINUED:
        read = ours.encode_prompt(prompt)[: context_length // 2]
        count = min(CONTINUATION, context_length - len(read))
        expected, seen = ours.continue_greedily(read, count), theirs.continue_greedily(read, count)
        place = _first_difference(expected, seen)
        found.continued += place
        if place == len(expected) == len(seen) or _as_good(
            ours, read + expected[:place], expected[place:], seen[place:], found.limit
        ):
            continue
        shown = [_token(ours, tokens[place : place + 1]) for tokens in (expected, seen)]
        differences.append(f"continuation of {prompt!r}, token {place}: ours {shown[0]}, there {shown[1]}")
    return differences


def _as_good(ours: Reader, read: list[int], expected: list[int], seen: list[int], limit: float) -> bool:
    """Whether two texts go on with tokens that are equally probable, as far as `limit` lets both programs tell."""
    if not expected or not seen:
        return False
    scores = ours.log_probabilities(read)[-1]
    return scores[expected[0]] - scores[seen[0]] <= 2 * limit


def _first_difference(one: Sequence, other: Sequence) -> int:
    """The first place where two sequences differ; where one ends, if the other begins with it."""
    places = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(places, min(len(one), len(other)))


def _begin(text: str) -> str:
    """A text as it is named in a message."""
    return repr(text if len(text) <= LONGEST_NAME else text[:LONGEST_NAME] + "...")


def _token(ours: Reader, tokens: Sequence[int]) -> str:
    return f"{tokens[0]} {ours.decode(tokens)!r}" if tokens else "nothing more"
