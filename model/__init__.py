"""The transformer: architecture as plain PyTorch modules, sizes as JSON files in `config/`.

Everything that needs PyTorch imports from here, so this is where its absence is explained once.
"""

import sys

try:
    import torch  # noqa: F401
except ModuleNotFoundError:
    print(
        "error: PyTorch is not installed for this Python. Run: pip install -r requirements.txt "
        "(or use .venv/bin/python, if there is a .venv here)",
        file=sys.stderr,
    )
    raise SystemExit(2) from None
