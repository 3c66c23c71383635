"""From tokens to text as they come: whole characters only, and nothing of a stop string.

`generate_texts` is what generation and evaluation call. How tokens are drawn is in sampling.py.
"""

import codecs
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import takewhile

import torch

from model.architecture.model import GPT
from pretraining.sampling import SamplingSettings, generate_tokens
from tokenizer.bpe import Tokenizer


class TextStream:
    """Turns the tokens of one text into characters as they come.

    Gives out whole characters only, since a token may end in the middle of one, and nothing of a stop string: what may
    be its beginning is held back until the next token decides. Bytes that are not UTF-8 become U+FFFD.
    """

    def __init__(self, tokenizer: Tokenizer, stop: tuple[str, ...] = (), known_bytes: int = 0) -> None:
        self.stopped = False
        self._known_bytes = known_bytes  # of the first token, which are the end of the prompt already
        self._tokenizer = tokenizer
        self._stop = stop
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""

    def add(self, token: int) -> str:
        """The characters that this token completes, perhaps none. Sets `stopped` when a stop string is complete."""
        # A model may have more outputs than its tokenizer has tokens; these stand for no text.
        new_bytes = self._tokenizer.token_bytes(token) if token < self._tokenizer.vocab_size else b""
        text = self._held + self._decoder.decode(new_bytes[self._known_bytes :])
        self._known_bytes = 0
        found = [text.index(stop) for stop in self._stop if stop in text]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        held = max((n for stop in self._stop for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def end(self) -> str:
        """What was held back, when no token follows. A character whose last bytes never came is left out."""
        held, self._held = self._held, ""
        return held


@lru_cache(maxsize=4)
def tokens_in_order(tokenizer: Tokenizer) -> list[tuple[bytes, int]]:
    """Bytes and ids of all tokens in the order of their bytes, so that those with a common beginning stand together."""
    return sorted((tokenizer.token_bytes(token), token) for token in range(tokenizer.vocab_size))


@lru_cache(maxsize=1 << 16)
def tokens_beginning_with(tokenizer: Tokenizer, beginning: bytes) -> tuple[int, ...]:
    """All tokens whose bytes begin with these."""
    in_order = tokens_in_order(tokenizer)
    first = bisect_left(in_order, (beginning, -1))
    return tuple(token for _, token in takewhile(lambda entry: entry[0].startswith(beginning), in_order[first:]))


def reopen_last_token(tokenizer: Tokenizer, prompt: list[int]) -> tuple[list[int], list[int] | None, int]:
    """Take back the last token of a prompt if a longer one could stand in its place.

    Returns the shortened prompt, the tokens that may come first (those that begin with the bytes taken back), and how
    many bytes that are. In training `):` and the newline behind it are one token, so after a prompt that ends in the
    token `):` the model has only ever seen lines that go on; what a user means is "whatever follows these characters"
    (known as token healing, Lundberg 2023).
    """
    ending = tokenizer.token_bytes(prompt[-1]) if prompt else b""
    if not ending:
        return prompt, None, 0
    longer = tokens_beginning_with(tokenizer, ending)
    return (prompt[:-1], list(longer), len(ending)) if len(longer) > 1 else (prompt, None, 0)


def generate_texts(
    model: GPT,
    tokenizer: Tokenizer,
    prompts: list[str],
    *,
    generators: list[torch.Generator],
    settings: SamplingSettings,
    context_length: int,
    finished: Callable[[int], bool] = lambda row: False,
    weights: str = "float32",
) -> Iterator[tuple[int, str]]:
    """Continue prompts side by side, as `generate_tokens` does; yields (row, new text) once for each token drawn.

    The new text is empty where a token completes no character or may begin a stop string. A row's pieces together
    are what follows its prompt, up to the first stop string. The prompt's last token is drawn anew where it could be
    the beginning of a longer one, and counts as one of `max_new_tokens`. A row also ends when `finished(row)`, asked
    after each of its tokens, is true.
    Raises TokenizerError for a prompt that is not Unicode.
    """
    opened = {prompt: reopen_last_token(tokenizer, tokenizer.encode(prompt)) for prompt in prompts}
    read, first_tokens, known_bytes = zip(*(opened[prompt] for prompt in prompts), strict=True)
    streams = [TextStream(tokenizer, settings.stop, known) for known in known_bytes]
    counts = [0] * len(prompts)
    for row, token in generate_tokens(
        model,
        list(read),
        generators=generators,
        settings=settings,
        end_of_text_id=tokenizer.end_of_text_id,
        context_length=context_length,
        first_tokens=list(first_tokens),
        finished=lambda row: streams[row].stopped or finished(row),
        weights=weights,
    ):
        counts[row] += 1
        text = streams[row].add(token)
        if token == tokenizer.end_of_text_id or counts[row] == settings.max_new_tokens:
            text += streams[row].end()
        yield row, text
