"""The proof must be able to fail: each check is shown a tokenizer with just that fault."""

import importlib

import pytest

from tokenizer.bpe import Tokenizer

script = importlib.import_module("tokenizer.verify_token")


def test_the_committed_tokenizer_holds(capsys):
    assert script.main([]) == 0
    printed = capsys.readouterr().out
    assert "FAIL" not in printed
    assert printed.count("\nok ") == 8


def test_a_missing_tokenizer_cannot_be_checked(tmp_path, capsys):
    assert script.main(["--tokenizer", str(tmp_path / "absent.json")]) == 2
    assert "no tokenizer at" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ({"decode": lambda self, ids: original_decode(self, ids).replace("\r\n", "\n")}, "CRLF come back"),
        ({"decode": lambda self, ids: original_decode(self, ids).replace("\x00", "")}, "emoji, scripts, controls"),
        ({"encode": lambda self, text: [0] if text == "<|endoftext|>" else original_encode(self, text)}, "special"),
        ({"encode_batch": lambda self, texts: original_batch(self, clean(texts))}, "surrogates are refused"),
        ({"token_bytes": lambda self, number: original_bytes(self, number).replace(b"\xff", b"")}, "every byte value"),
    ],
)
def test_a_fault_is_found_and_named(monkeypatch, capsys, fault, check):
    for name, replacement in fault.items():
        monkeypatch.setattr(Tokenizer, name, replacement)
    assert script.main([]) == 1
    printed = capsys.readouterr().out
    assert any(check in line for line in printed.splitlines() if line.startswith("FAIL"))
    assert "the shortest: " in printed


original_decode, original_encode = Tokenizer.decode, Tokenizer.encode
original_batch, original_bytes = Tokenizer.encode_batch, Tokenizer.token_bytes


def clean(texts: list[str]) -> list[str]:
    return [text.encode("utf-8", errors="replace").decode() for text in texts]
