"""Texts on which programs that read a model differently would give themselves away."""

import random
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

COMPARED = {  # log-probabilities are compared at every token of these
    "code": 'def mean(values: list[float]) -> float:\n    """The average."""\n    return sum(values) / len(values)\n',
    "prose": "Once upon a time in Toronto there was a captain who didn't speak; nobody knew why, and they'd all tried.",
    "emoji": "naïve café cafe\u0301 🙂🙂 déjà vu 👩‍🚀 你好, мир! ½ × π ≈ 1.57 \u00a0\u2003end",
    "tabs": "class Stack:\n\tdef push(self, item):\n\t\tself.items.append(item)\t# tabs\n",
    "line ends of Windows": "import os\r\n\r\nfor name in os.listdir('.'):\r\n    print(name)\r\n\r\n",
    "spaces": "    x  =   1 \n\n\n        y = 2345678 ;  z=(x ,y)   \n  ",
    "names of special tokens": "a document ends with <|endoftext|> here\n<|fim_prefix|>x<|fim_suffix|>y<|fim_middle|>z",
    "signs": '!@#$%^&*()_+-=[]{}|;:",./<>?`~ \\ \\\\ """ \'\'\' // -> == != ** >>= ...',
}
LONG = Path("model/architecture/layers.py")  # fills the context, where an error of the positions is largest
CONTINUED = ("def fibonacci(n):", "Once upon a time in Toronto", "import numpy as np\n\n\nclass ", "")

ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "0123456789",
    " \t\n\r\v\f\u00a0\u2003\u3000",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "äöüßéèñçøåÀÉ\u0301\u0308\u200d\ufe0f",
    "你好世界мирλόγοςשלוםمرحبا한국어",
    "🙂🚀👩🏽‍💻🇨🇦½²Ⅷ→∑«»“”…—\u0000\ufeff\ufffd",
)
FRAGMENTS = (
    *("'s", "'RE", "don't", "\r\n", "\n\n\n", "        ", "\t\t", " \n ", "def ", "self.", "__init__", "1234", "0x1F"),
    *("<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|im_start|>", "Ġ", "Ċ", "Ã©", "▁", "##"),
)


def compared_texts() -> dict[str, str]:
    """Texts by name; the last is longer than any context that a model of this project is trained at."""
    return COMPARED | {str(LONG): (ROOT / LONG).read_text(encoding="utf-8")}


def encoded_texts(seed: int = 0) -> list[str]:
    """The texts above, pieces of this project's own files, and hostile mixtures: 600 whose token ids are compared."""
    dice = random.Random(seed)
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *sorted(ROOT.glob("model/**/*.py")))]
    pieces = []
    while len(pieces) < 250:
        text = dice.choice(files)
        start = dice.randrange(len(text))
        pieces.append(text[start : start + dice.randrange(1, 300)])
    mixtures = ["".join(_part(dice) for _ in range(dice.randrange(1, 12))) for _ in range(600)]
    texts = dict.fromkeys((*compared_texts().values(), *pieces, *mixtures))  # each once
    return list(texts)[:600]


def _part(dice: random.Random) -> str:
    if dice.random() < 0.4:
        return dice.choice(FRAGMENTS)
    return "".join(dice.choices(dice.choice(ALPHABETS), k=dice.randrange(1, 8)))
