"""The tokenizer: nothing is lost, no text makes a special token, and a wrong file is refused in one line."""

import ast
import inspect
import json
import random
from itertools import pairwise

import pytest
import tokenizers

from tokenizer.bpe import DEFAULT_TOKENIZER, SPECIAL_TOKENS, Tokenizer, TokenizerError, byte_characters


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load()


def random_text(generator: random.Random, length: int) -> str:
    codes = (
        generator.choice((generator.randrange(0x80), generator.randrange(0xE000, 0x110000))) for _ in range(length)
    )
    return "".join(map(chr, codes))


def test_the_committed_vocabulary_is_what_the_model_configs_expect(tokenizer):
    assert tokenizer.vocab_size == 8192
    assert tokenizer.end_of_text_id == 0
    assert [tokenizer.decode([token_id]) for token_id in range(4)] == list(SPECIAL_TOKENS)


@pytest.mark.parametrize("seed", range(20))
def test_random_unicode_comes_back_unchanged(tokenizer, seed):
    text = random_text(random.Random(seed), 500)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()


def test_code_keeps_every_tab_carriage_return_and_blank_line(tokenizer):
    text = "\ufeffdef f():\r\n\t return 'é 👩‍👩‍👧'   \r\n\r\n\n\n        # end\x0c\x00" + inspect.getsource(ast)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_any_bytes_can_be_written_since_each_byte_is_a_token(tokenizer):
    single = {tokenizer.token_bytes(token_id) for token_id in range(tokenizer.vocab_size)}
    assert single >= {bytes([value]) for value in range(256)}


@pytest.mark.parametrize("name", SPECIAL_TOKENS)
@pytest.mark.parametrize("frame", ["{}", "a{}b", "{}{}", "<|{}|>", " {}\n"])
def test_text_that_names_a_special_token_never_becomes_it(tokenizer, name, frame):
    """A document that mentions <|endoftext|> would otherwise end in the middle, for the model."""
    text = frame.replace("{}", name)
    for ids in (tokenizer.encode(text), *tokenizer.encode_batch([text, text])):
        assert min(ids) >= len(SPECIAL_TOKENS)
        assert tokenizer.decode(ids) == text


def test_special_tokens_are_shown_by_name_and_have_no_bytes(tokenizer):
    assert tokenizer.decode([0, *tokenizer.encode("x"), 3]) == "<|endoftext|>x<|fim_suffix|>"
    assert [tokenizer.token_bytes(token_id) for token_id in range(4)] == [b""] * 4


def test_half_a_character_is_shown_as_a_replacement_character(tokenizer):
    byte_ids = {tokenizer.token_bytes(token_id): token_id for token_id in range(tokenizer.vocab_size)}
    first, second = (byte_ids[bytes([value])] for value in "é".encode())
    assert tokenizer.decode([first]) == "\ufffd"
    assert tokenizer.decode([first, second]) == "é"


@pytest.mark.parametrize(("text", "position"), [("\ud800", 0), ("good\udfff", 4), ("\ud83d\ude00", 0)])
def test_a_lone_surrogate_is_refused_with_its_position(tokenizer, text, position):
    """Such a string has no UTF-8 form; a silent replacement would change the user's text."""
    with pytest.raises(TokenizerError, match=f"at position {position}:"):
        tokenizer.encode(text)
    with pytest.raises(TokenizerError, match=f"at position {position} of text 1"):
        tokenizer.encode_batch(["fine", text])


@pytest.mark.parametrize("wrong", [-1, 8192, 10**6])
def test_an_id_outside_the_vocabulary_is_refused(tokenizer, wrong):
    """Python would count -1 from the end, and the library would skip 8192 in silence."""
    with pytest.raises(TokenizerError, match=f"token id {wrong} "):
        tokenizer.decode([5, wrong])
    with pytest.raises(TokenizerError, match=f"token id {wrong} "):
        tokenizer.token_bytes(wrong)


def test_a_batch_is_its_texts_one_by_one(tokenizer):
    texts = [
        "",
        "a",
        "def f(x):\n    return x\n" * 50,
        "日本語",
        *(random_text(random.Random(n), 30) for n in range(50)),
    ]
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(text) for text in texts]
    assert tokenizer.encode_batch([]) == []


def test_digits_stand_alone_and_no_token_spans_a_line_start(tokenizer):
    """Numbers keep their place values, and a text cut at the start of an unindented line encodes as the whole."""
    assert [tokenizer.token_bytes(token_id) for token_id in tokenizer.encode("2024")] == [b"2", b"0", b"2", b"4"]
    source = inspect.getsource(json)
    starts = [0, *(at + 1 for at, (this, after) in enumerate(pairwise(source)) if this == "\n" and not after.isspace())]
    parts = [source[start:end] for start, end in pairwise([*starts, len(source)])]
    assert [token_id for part in parts for token_id in tokenizer.encode(part)] == tokenizer.encode(source)


def test_the_bare_library_encodes_and_decodes_the_file_as_we_do(tokenizer):
    """Exported models are decoded by others, with the settings in the JSON alone."""
    text = inspect.getsource(ast) + "👍🏽 naïve"
    library = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    assert library.encode(text).ids == tokenizer.encode(text)
    assert library.decode(tokenizer.encode(text), skip_special_tokens=False) == text


def test_byte_characters_are_the_library_s_own_alphabet():
    assert sorted(byte_characters()) == sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())


def test_a_tokenizer_carried_as_text_is_the_same_tokenizer(tokenizer):
    """Checkpoints carry the JSON text; its sha256 decides whether a token cache still fits."""
    carried = Tokenizer.from_json(tokenizer.to_json())
    assert carried.sha256 == tokenizer.sha256
    assert carried.to_json() == DEFAULT_TOKENIZER.read_text(encoding="utf-8")
    assert carried.encode("<|endoftext|> def") == tokenizer.encode("<|endoftext|> def")


def test_training_twice_gives_the_same_file_byte_for_byte():
    """The library counts on several threads; a file that changed by itself would make every token cache stale."""
    texts = inspect.getsource(ast).splitlines(keepends=True)
    first, second = (Tokenizer.train(iter(texts), 600) for _ in range(2))
    assert first.to_json() == second.to_json()
    assert first.vocab_size == 600


@pytest.mark.parametrize("size", [-1, 0, 259, 65_536])
def test_a_vocabulary_that_cannot_work_is_refused_before_any_work(size):
    with pytest.raises(TokenizerError, match=r"260 .* to 65,535"):
        Tokenizer.train((pytest.fail("the texts were read") for _ in range(1)), size)


def test_a_missing_file_is_one_line_with_the_command_to_make_it(tmp_path):
    with pytest.raises(TokenizerError, match=r"no tokenizer at .*absent\.json; train one with: python tokenizer/train"):
        Tokenizer.load(tmp_path / "absent.json")


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b"\xff\xfe\x00", b'{"version": "1.0"', b"[]"])
def test_a_damaged_file_is_one_line_that_names_it(tmp_path, content):
    path = tmp_path / "damaged.json"
    path.write_bytes(content)
    with pytest.raises(TokenizerError, match=r"damaged\.json.*train one with"):
        Tokenizer.load(path)


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    with pytest.raises(TokenizerError, match="cannot read"):
        Tokenizer.load(tmp_path)


def changed(tokenizer: Tokenizer, change) -> str:
    described = json.loads(tokenizer.to_json())
    change(described)
    return json.dumps(described)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda file: file.update(normalizer={"type": "Lowercase"}), "normalizer"),
        (lambda file: file.update(pre_tokenizer={"type": "Whitespace"}), "pre_tokenizer"),
        (lambda file: file.update(decoder=None), "decoder"),
        (lambda file: file.update(truncation={"max_length": 5, "stride": 0, "strategy": "LongestFirst"}), "truncation"),
        (lambda file: file["model"].update(dropout=0.1), "model dropout"),
        (lambda file: file["added_tokens"].pop(), "special tokens"),
        (lambda file: file["added_tokens"][1].update(special=False), "special tokens"),
        (lambda file: file["model"]["vocab"].update({"日": 8192}), "alphabet"),
        (lambda file: file["model"]["vocab"].update({"zzzzzzzz": 9000}), "token ids"),
    ],
)
def test_a_tokenizer_with_other_settings_is_refused_by_name(tokenizer, change, named):
    """It would load and run, and quietly change or lose the user's text."""
    with pytest.raises(TokenizerError, match=f"of another kind: its .*{named}"):
        Tokenizer.from_json(changed(tokenizer, change))
