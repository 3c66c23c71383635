"""Text to token ids and back: byte-level BPE, the only way in and out of the model's vocabulary.

Text is cut into words by one regular expression, each word is written as its UTF-8 bytes, and learned merges join
neighbouring bytes into longer tokens (Sennrich et al. 2016; bytes as in GPT-2). Because all 256 bytes are tokens, every
text can be encoded and comes back unchanged; there is no "unknown" token and no normalisation.

Always load through this module, not with `tokenizers.Tokenizer.from_file`: the library does not save the setting that
keeps a text which merely mentions `<|endoftext|>` from producing the special token.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

DEFAULT_TOKENIZER = Path(__file__).with_name("tokenizer_8k.json")

# The fim (fill in the middle) tokens are reserved: no training uses them yet, but their ids will not have to move.
SPECIAL_TOKENS = ("<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")

# Qwen2's pattern: contractions | word with one leading mark or space | single digit | punctuation | newlines | spaces.
# llama.cpp, Ollama and MLX know it by name, so an exported model cuts text exactly as here.
SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

SMALLEST_VOCABULARY = 256 + len(SPECIAL_TOKENS)
LARGEST_VOCABULARY = 65_535  # token files hold uint16

HOW_TO_TRAIN = "train one with: python tokenizer/train_tokenizer_improved.py"


class TokenizerError(ValueError):
    """A tokenizer file, a text or an id that cannot be used; the message is meant for the user as it is."""


class Tokenizer:
    """A trained vocabulary. Make one with `load`, `from_json` or `train`."""

    def __init__(self, json_text: str, source: str):
        self._json = json_text
        self._backend = _checked_backend(json_text, source)
        # Text must never produce a special token; the library forgets this setting when it saves.
        self._backend.encode_special_tokens = True
        self.vocab_size: int = self._backend.get_vocab_size()
        self.end_of_text_id: int = SPECIAL_TOKENS.index("<|endoftext|>")
        self.sha256: str = hashlib.sha256(json_text.encode()).hexdigest()
        names = [self._backend.id_to_token(token_id) for token_id in range(len(SPECIAL_TOKENS), self.vocab_size)]
        byte_of = {character: byte for byte, character in enumerate(byte_characters())}
        regular = [bytes(byte_of[character] for character in name) for name in names]
        self._token_bytes = [b""] * len(SPECIAL_TOKENS) + regular
        self._shown_bytes = [name.encode() for name in SPECIAL_TOKENS] + regular

    @classmethod
    def load(cls, path: str | Path = DEFAULT_TOKENIZER) -> "Tokenizer":
        """Reads a tokenizer file. Raises TokenizerError where it is missing, unreadable, damaged or of another kind."""
        try:
            json_text = Path(path).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise TokenizerError(f"no tokenizer at {path}; {HOW_TO_TRAIN}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise TokenizerError(f"cannot read the tokenizer {path}: {error}; {HOW_TO_TRAIN}") from None
        return cls(json_text, str(path))

    @classmethod
    def from_json(cls, json_text: str) -> "Tokenizer":
        """The tokenizer that `to_json` wrote, for example into a checkpoint."""
        return cls(json_text, "the given JSON text")

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> "Tokenizer":
        """Learns `vocab_size` tokens from texts: the most frequent neighbouring pair is joined, again and again.

        The same texts give the same tokenizer, byte for byte. Texts with too few repeated pairs give fewer tokens
        than asked for; compare `vocab_size` of the result.
        """
        if not SMALLEST_VOCABULARY <= vocab_size <= LARGEST_VOCABULARY:
            raise TokenizerError(
                f"a vocabulary of {vocab_size:,} tokens is not possible: choose {SMALLEST_VOCABULARY} (256 bytes and "
                f"{len(SPECIAL_TOKENS)} special tokens) to {LARGEST_VOCABULARY:,} (token files hold 16-bit numbers)"
            )
        backend = _untrained_backend()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=2,  # a pair seen once teaches nothing
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer)
        return cls.from_json(backend.to_str())

    def to_json(self) -> str:
        """The text of the tokenizer file; Hugging Face tokenizers and transformers read it too."""
        return self._json

    def encode(self, text: str) -> list[int]:
        """Token ids of a text. The name of a special token in the text is plain characters like any other.

        Raises TokenizerError where the text holds a lone surrogate, which UTF-8 cannot express.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Like `encode` for each text, on all processor cores: fastest with many texts, some 16 MB at a time."""
        try:
            encodings = self._backend.encode_batch_fast(texts, add_special_tokens=False)
        except TypeError:
            _refuse_what_is_not_unicode(texts)
            raise
        return [encoding.ids for encoding in encodings]

    def decode(self, token_ids: Iterable[int]) -> str:
        """The text of token ids. Special tokens appear by name; bytes that are not valid UTF-8 become U+FFFD."""
        token_ids = list(token_ids)
        self._check_ids(token_ids)
        return b"".join(map(self._shown_bytes.__getitem__, token_ids)).decode("utf-8", errors="replace")

    def token_bytes(self, token_id: int) -> bytes:
        """The raw bytes that one token stands for, perhaps only part of a character; b"" for a special token."""
        self._check_ids([token_id])
        return self._token_bytes[token_id]

    def _check_ids(self, token_ids: list[int]) -> None:
        if token_ids and (min(token_ids) < 0 or max(token_ids) >= self.vocab_size):
            wrong = next(token_id for token_id in token_ids if not 0 <= token_id < self.vocab_size)
            raise TokenizerError(f"token id {wrong} is not in the vocabulary, whose ids are 0 to {self.vocab_size - 1}")


def byte_characters() -> list[str]:
    """The character that the tokenizer file writes for each byte value: printable ones as they are, others from U+0100.

    GPT-2's table (a space is written as Ġ, a newline as Ċ), which every byte-level BPE file uses.
    """
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def _untrained_backend() -> tokenizers.Tokenizer:
    """Every setting but the vocabulary and its merges."""
    backend = tokenizers.Tokenizer(models.BPE())
    split_words = pre_tokenizers.Split(tokenizers.Regex(SPLIT_PATTERN), behavior="isolated")
    write_as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([split_words, write_as_bytes])
    backend.decoder = decoders.ByteLevel()
    return backend


def _checked_backend(json_text: str, source: str) -> tokenizers.Tokenizer:
    """The library's tokenizer, after making sure that every setting and special token is the one written above.

    A file with another split pattern or a normalizer would load and run, and quietly lose or change text.
    """
    try:
        backend = tokenizers.Tokenizer.from_str(json_text)
    except Exception as error:  # the library raises nothing more precise
        raise TokenizerError(f"{source} is not a tokenizer file ({error}); {HOW_TO_TRAIN}") from None
    found, expected = _settings(backend), _settings(_untrained_backend())
    differences = [name for name in expected if found[name] != expected[name]]
    added = [(token_id, str(token), token.special) for token_id, token in backend.get_added_tokens_decoder().items()]
    if added != [(token_id, name, True) for token_id, name in enumerate(SPECIAL_TOKENS)]:
        differences.append("special tokens")
    vocabulary = backend.get_vocab()
    if sorted(vocabulary.values()) != list(range(len(vocabulary))) or len(vocabulary) > LARGEST_VOCABULARY:
        differences.append("token ids")
    if not vocabulary.keys() >= set(byte_characters()) or set("".join(vocabulary)) != set(byte_characters()):
        differences.append("alphabet")
    if differences:
        raise TokenizerError(
            f"{source} is a tokenizer of another kind: its {', '.join(differences)} differ from what this project "
            f"writes; {HOW_TO_TRAIN}"
        )
    return backend


def _settings(backend: tokenizers.Tokenizer) -> dict[str, object]:
    """How a tokenizer works, without what it has learned."""
    described = json.loads(backend.to_str())
    model = described.pop("model")
    del described["added_tokens"], model["vocab"], model["merges"]
    return described | {f"model {name}": value for name, value in model.items()}


def _refuse_what_is_not_unicode(texts: Sequence[str]) -> None:
    for number, text in enumerate(texts):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            where = f"at position {error.start}" + (f" of text {number}" if len(texts) > 1 else "")
            raise TokenizerError(
                f"the text has a lone surrogate U+{ord(text[error.start]):04X} {where}: half a character, which UTF-8 "
                "cannot express; read files with encoding='utf-8' and errors='strict' or 'replace'"
            ) from None
