"""Collect real Python code and public-domain books into data/raw.

python scripts/collect_raw_data.py
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import time

from data.collect import ROOT, SOURCES, Report, collect_installed, collect_pinned
from data.corpus import CorpusError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--raw_dir", type=Path, default=ROOT / "data" / "raw", help="folder to fill")
    parser.add_argument("--offline", action="store_true", help="only what this installation holds, nothing fetched")
    options = parser.parse_args(arguments)
    started, report = time.monotonic(), Report()
    try:
        print("[Collect] the standard library and the packages of requirements.txt")
        collect_installed(options.raw_dir, ROOT / "requirements.txt", report)
        if options.offline:
            report.left_out.append("the pinned packages and books: --offline")
        else:
            print("[Collect] the pinned packages and books of data/sources")
            collect_pinned(options.raw_dir, SOURCES, report)
    except (CorpusError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped: run it again to go on from here", file=sys.stderr)
        return 2
    for line in report.collected:
        print(f"  + {line}")
    for line in report.left_out:
        print(f"  - left out: {line}")
    if not report.collected:
        print(f"[Collect] nothing to do: {len(report.present)} sources are there already")
    else:
        print(f"[Collect] {len(report.collected)} sources collected, {len(report.present)} were there already, "
              f"{time.monotonic() - started:.0f} s; next: python scripts/create_mixed_corpus.py")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
