"""The tokenizer room: byte-level BPE between text and the numbers that the model reads.

`bpe.py` loads, encodes and decodes; `train_tokenizer_improved.py` makes `tokenizer_8k.json`; `verify_token.py` proves
that nothing is lost on the way.
"""

import sys
from importlib.util import find_spec

if find_spec("tokenizers") is None:
    print(
        "error: the package `tokenizers` is not installed in this Python; "
        "run: pip install -r requirements.txt (or use .venv/bin/python)",
        file=sys.stderr,
    )
    sys.exit(2)
