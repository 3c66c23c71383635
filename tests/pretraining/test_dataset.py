"""What training reads: every token once an epoch in an order that needs no memory, and held-out text that stays out."""

import numpy as np
import pytest
import torch

from data.corpus import CorpusError
from pretraining import dataset
from pretraining.dataset import IGNORED, HeldOutText, TrainingWindows, open_tokenizer, open_training_data
from pretraining.token_files import tokenize_corpus
from tokenizer.bpe import Tokenizer

LENGTHS = [17, 31, 32, 33, 100, 257, 1000]


def numbered(count: int) -> np.ndarray:
    """Tokens that tell their own place."""
    return np.arange(count, dtype="<u2")


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_an_epoch_shows_every_window_once_and_leaves_out_less_than_one(length, epoch):
    """Text read twice is learnt by heart, text left out is wasted."""
    windows = TrainingWindows(numbered(length), block_size=16, seed=5)
    count = windows.windows_per_epoch
    inputs, targets = windows.batch(epoch * count, count)
    assert len(inputs.unique()) == inputs.numel(), "no token is an input twice"
    assert length - len(targets.unique()) <= 16
    assert torch.equal(inputs.diff(dim=1), torch.ones_like(inputs[:, 1:])), "each window is a stretch of the corpus"


def test_targets_are_the_next_tokens():
    inputs, targets = TrainingWindows(numbered(500), 16, seed=0).batch(0, 20)
    assert torch.equal(targets, inputs + 1) and inputs.dtype == torch.int64 and inputs.shape == (20, 16)


def test_a_window_depends_on_seed_and_place_alone():
    """Resuming asks for the next window without having asked for those before."""
    windows = TrainingWindows(numbered(333), 16, seed=3)
    in_order = torch.cat([windows.batch(first, 1)[0] for first in range(100)])
    dice = np.random.default_rng(0)
    for place in dice.permutation(100).tolist():
        assert torch.equal(windows.batch(place, 1)[0][0], in_order[place])
    fresh = TrainingWindows(numbered(333), 16, seed=3)
    assert torch.equal(fresh.batch(57, 30)[0], in_order[57:87]), "across the border of an epoch"
    assert not torch.equal(TrainingWindows(numbered(333), 16, seed=4).batch(0, 20)[0], in_order[:20])


def test_batches_can_be_shared_out():
    """Two processes, or two accumulated halves, must see what one whole batch shows."""
    windows = TrainingWindows(numbered(333), 16, seed=3)
    whole, first, second = windows.batch(15, 8), windows.batch(15, 4), windows.batch(19, 4)
    for kind in (0, 1):
        assert torch.equal(whole[kind], torch.cat((first[kind], second[kind])))


def test_the_next_epoch_has_another_order_and_other_cuts():
    windows = TrainingWindows(numbered(1000), 16, seed=1)
    count = windows.windows_per_epoch
    starts = [windows.batch(epoch * count, count)[0][:, 0] for epoch in range(6)]
    assert not torch.equal(starts[0].sort().indices, starts[1].sort().indices)
    assert len({int(start.min()) for start in starts}) > 1


@pytest.mark.parametrize("length", [0, 1, 16])
def test_a_corpus_shorter_than_a_window_is_refused_with_a_block_size_that_fits(length):
    with pytest.raises(CorpusError, match=rf"{length} tokens.*block_size 16.*--block_size {max(1, length // 2)}"):
        TrainingWindows(numbered(length), 16, seed=0)


@pytest.fixture(scope="module")
def held_out_tokens(tmp_path_factory, tokenizer, random_text) -> np.ndarray:
    """Enough for several spans with gaps between them."""
    path = tmp_path_factory.mktemp("held_out") / "text.txt"
    path.write_text("<|endoftext|>\n".join(random_text(80, seed) for seed in range(9)), encoding="utf-8")
    return tokenize_corpus(path, tokenizer).open()


def scored(text: HeldOutText) -> list[int]:
    return text.targets[text.targets != IGNORED].tolist()


@pytest.mark.parametrize("share", [1.0, 0.4, 0.07])
def test_held_out_text_is_the_same_whatever_the_block_size(held_out_tokens, tokenizer, share):
    """Losses of two recipes compare only when they are of the same tokens."""
    tokens = held_out_tokens[: int(share * len(held_out_tokens))]
    whole = HeldOutText.sample("x", tokens, 1024, tokenizer)
    for block_size in (1, 7, 64, 512, 4096):
        text = HeldOutText.sample("x", tokens, block_size, tokenizer)
        assert text.inputs.shape == text.targets.shape and text.inputs.shape[1] == block_size
        assert scored(text) == scored(whole) and text.text_bytes == whole.text_bytes


def test_held_out_targets_follow_their_inputs(held_out_tokens, tokenizer):
    text = HeldOutText.sample("x", held_out_tokens, 100, tokenizer)
    for inputs, targets in zip(text.inputs, text.targets, strict=True):
        valid = targets != IGNORED
        assert torch.equal(inputs[1:][valid[1:]], targets[:-1][valid[1:]])


def test_held_out_bytes_are_those_of_the_scored_text(held_out_tokens, tokenizer):
    """Bits per byte divide by them; characters, or the name of <|endoftext|>, would flatter the model."""
    text = HeldOutText.sample("x", held_out_tokens, 64, tokenizer)
    assert tokenizer.end_of_text_id in scored(text)
    pieces = [token for token in scored(text) if token != tokenizer.end_of_text_id]
    assert text.text_bytes == len(b"".join(map(tokenizer.token_bytes, pieces)))
    short = HeldOutText.sample("x", np.array([0, *tokenizer.encode("größe 日本")], dtype="<u2"), 64, tokenizer)
    assert short.text_bytes == len("größe 日本".encode())


def test_held_out_spans_come_from_the_whole_text(held_out_tokens, tokenizer, monkeypatch):
    """The first pages of one package would not speak for all that is held out."""
    monkeypatch.setattr(dataset, "SPANS", 4)
    monkeypatch.setattr(dataset, "SPAN_TOKENS", 50)
    text = HeldOutText.sample("x", numbered(5000), 25, tokenizer=FakeSizes())
    starts = text.inputs[::2, 0]
    assert starts[0] == 0 and text.targets.max() == 4999 and starts.diff().min() > 1600


class FakeSizes:
    """A tokenizer as far as sizes go."""

    vocab_size = 5000

    def token_bytes(self, token: int) -> bytes:
        return b"x"


def test_an_own_corpus_never_trains_on_its_tail(corpus, processed, tokenizer, capsys):
    data = open_training_data(corpus, 16, 0, tokenizer)
    tokens = data.corpus.open()
    assert np.array_equal(data.windows.tokens, tokens[: data.corpus.tail_token])
    assert [text.name for text in data.held_out] == ["heldout_own"]
    held_out = data.held_out[0]
    tail = tokens[data.corpus.tail_token :]
    assert held_out.inputs[0, 0] == tail[0] and scored(held_out) == tail[1 : 1 + len(scored(held_out))].tolist()
    assert "last 5% are kept from training" in capsys.readouterr().out


def test_an_own_corpus_is_shown_beside_the_held_out_sets_but_decides(corpus, processed, tokenizer, random_text):
    (processed / "heldout_code.txt").write_text(random_text(20), encoding="utf-8")
    (processed / "heldout_books.txt").write_text("", encoding="utf-8")
    data = open_training_data(corpus, 16, 0, tokenizer)
    assert [text.name for text in data.held_out] == ["heldout_own", "heldout_code"]


def test_a_made_corpus_trains_on_all_of_itself(processed, tokenizer, random_text):
    for name in ("mixed_corpus", "code_corpus", "heldout_code", "heldout_books"):
        (processed / f"{name}.txt").write_text(random_text(50), encoding="utf-8")
    data = open_training_data(processed / "mixed_corpus.txt", 16, 0, tokenizer)
    assert len(data.windows.tokens) == data.corpus.tokens
    assert [text.name for text in data.held_out] == ["heldout_code", "heldout_books"]


def forbid_scripts(monkeypatch) -> None:
    monkeypatch.setattr(dataset.subprocess, "run", lambda *_, **__: pytest.fail("a script was started"))


def test_a_mistyped_path_names_what_is_there_and_makes_nothing(processed, tokenizer, monkeypatch):
    """Minutes of rebuilding, and a training on something else, is no answer to a typing error."""
    forbid_scripts(monkeypatch)
    (processed / "code_corpus.txt").write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"no corpus file .*mixed_corpsu\.txt.*holds: code_corpus\.txt"):
        open_training_data(processed / "mixed_corpsu.txt", 16, 0, tokenizer)
    assert [path.name for path in processed.iterdir()] == ["code_corpus.txt"]


@pytest.mark.parametrize("lines", ["", "x\n", "one line " * 50])
def test_an_own_corpus_that_is_too_short_is_refused(tmp_path, processed, tokenizer, lines):
    (tmp_path / "short.txt").write_text(lines, encoding="utf-8")
    with pytest.raises(CorpusError, match=r"short\.txt (holds no text|is too short)"):
        open_training_data(tmp_path / "short.txt", 16, 0, tokenizer)


def test_missing_corpora_are_made_by_the_users_script_once(processed, tokenizer, random_text, monkeypatch, capsys):
    started = []

    def create(command, check):
        started.append(command[1])
        for name in ("mixed_corpus", "code_corpus", "heldout_code", "heldout_books"):
            (processed / f"{name}.txt").write_text(random_text(50), encoding="utf-8")
        return dataset.subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(dataset.subprocess, "run", create)
    for _ in range(2):
        open_training_data(processed / "code_corpus.txt", 16, 0, tokenizer)
    assert started == [str(dataset.ROOT / "scripts" / "create_mixed_corpus.py")]
    assert "making the corpora" in capsys.readouterr().out


def test_a_script_that_fails_stops_the_training(processed, tokenizer, monkeypatch):
    monkeypatch.setattr(dataset.subprocess, "run", lambda command, check: dataset.subprocess.CompletedProcess([], 2))
    with pytest.raises(CorpusError, match=r"create_mixed_corpus\.py did not succeed"):
        open_training_data(processed / "mixed_corpus.txt", 16, 0, tokenizer)


def test_a_tokenizer_of_the_users_own_is_never_trained_over(tmp_path, tokenizer, monkeypatch):
    forbid_scripts(monkeypatch)
    (tmp_path / "own.json").write_text(tokenizer.to_json(), encoding="utf-8")
    assert open_tokenizer(tmp_path / "own.json").sha256 == tokenizer.sha256
    with pytest.raises(ValueError, match="no tokenizer at"):
        open_tokenizer(tmp_path / "missing.json")
    assert isinstance(open_tokenizer(dataset.DEFAULT_TOKENIZER), Tokenizer)
