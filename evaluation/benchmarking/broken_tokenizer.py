"""The project's first tokenizer, rebuilt: what "O n ce u p on a t i me" came from, to compare with.

It was learned from words that had lost their spaces, and from little text. What that does to a text is explained by
scripts/test_tokenizer_quality.py.
"""

import inspect
import pyclbr

import tokenizer  # noqa: F401  says in one line where the package below is missing

# isort: split
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

FIRST_CORPUS_LINES = 284  # how much code there was to learn from
# Any 284 lines of Python give that look; of the standard library's modules this one gives it to the letter.
SIMILAR_CODE = pyclbr


def first_corpus() -> str:
    """As much code as the first tokenizer learned from."""
    return "".join(inspect.getsource(SIMILAR_CODE).splitlines(keepends=True)[:FIRST_CORPUS_LINES])


def broken_tokenizer(text: str, decoder: decoders.Decoder | None = None) -> tokenizers.Tokenizer:
    """The first tokenizer's recipe, as in many quick starts: learned from words that have lost their spaces."""
    broken = tokenizers.Tokenizer(models.BPE())
    broken.pre_tokenizer = pre_tokenizers.Whitespace()
    broken.decoder = decoder
    broken.train_from_iterator([text], trainers.BpeTrainer(vocab_size=8192, min_frequency=2, show_progress=False))
    return broken


def there_and_back(used: tokenizers.Tokenizer, text: str) -> str:
    """What is left of a text that was turned into tokens and back."""
    return used.decode(used.encode(text).ids)
