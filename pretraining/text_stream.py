"""From tokens to text as they come: whole characters only, and nothing of a stop string.

`generate_texts` is what generation and evaluation call. How tokens are drawn is in sampling.py.
"""

import codecs
from collections.abc import Iterator

import torch

from model.architecture.model import GPT
from pretraining.sampling import SamplingSettings, generate_tokens
from tokenizer.bpe import Tokenizer


class TextStream:
    """Turns the tokens of one text into characters as they come.

    Gives out whole characters only, since a token may end in the middle of one, and nothing of a stop string: what may
    be its beginning is held back until the next token decides. Bytes that are not UTF-8 become U+FFFD.
    """

    def __init__(self, tokenizer: Tokenizer, stop: tuple[str, ...] = ()) -> None:
        self.stopped = False
        self._tokenizer = tokenizer
        self._stop = stop
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""

    def add(self, token: int) -> str:
        """The characters that this token completes, perhaps none. Sets `stopped` when a stop string is complete."""
        # A model may have more outputs than its tokenizer has tokens; these stand for no text.
        new_bytes = self._tokenizer.token_bytes(token) if token < self._tokenizer.vocab_size else b""
        text = self._held + self._decoder.decode(new_bytes)
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


def generate_texts(
    model: GPT,
    tokenizer: Tokenizer,
    prompts: list[str],
    *,
    generators: list[torch.Generator],
    settings: SamplingSettings,
    context_length: int,
) -> Iterator[tuple[int, str]]:
    """Continue prompts side by side, as `generate_tokens` does; yields (row, new text) once for each token drawn.

    The new text is empty where a token completes no character or may begin a stop string. A row's pieces together
    are what follows its prompt, up to the first stop string. Raises TokenizerError for a prompt that is not Unicode.
    """
    streams = [TextStream(tokenizer, settings.stop) for _ in prompts]
    counts = [0] * len(prompts)
    for row, token in generate_tokens(
        model,
        tokenizer.encode_batch(prompts),
        generators=generators,
        settings=settings,
        end_of_text_id=tokenizer.end_of_text_id,
        context_length=context_length,
        finished=lambda row: streams[row].stopped,
    ):
        counts[row] += 1
        text = streams[row].add(token)
        if token == tokenizer.end_of_text_id or counts[row] == settings.max_new_tokens:
            text += streams[row].end()
        yield row, text
