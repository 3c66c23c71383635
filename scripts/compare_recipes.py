"""Trains several recipes on equal terms, the same tokens or the same time, and shows which learns faster.

    python scripts/compare_recipes.py nanogpt default --tokens 20.48e6
    python scripts/compare_recipes.py "nanogpt --preset nano" nano --minutes 10 --seeds 3
    python scripts/compare_recipes.py nano "nano --optimizer adamw --learning_rate 1e-3"

A recipe is a preset (default, nano, original) or `nanogpt`, with flags of train_improved.py behind it. The first one is
what the others are held against. Each is trained in a process of its own; one that was trained before with the same
settings is not trained again, and an interrupted comparison goes on when it is started again. Ends with a table,
evaluation/results/recipes.json and evaluation/plots/recipes.png.
Exit code: 0 done, 2 a recipe could not be run.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import shlex
from dataclasses import asdict

from evaluation.figures import PLOTS, save_figure
from evaluation.machine import versions
from evaluation.result_files import PACKAGES, RESULTS, ResultError, now, save_result, shown_path
from evaluation.training.recipe_figures import Row, picture, table
from evaluation.training.recipes import FOLDER, Budget, keep_as_reference, learn, run_command
from pretraining.settings import PRESETS, SettingsError

FIRST_SEED = 1337
USUAL_MINUTES = 10.0


def main(arguments: list[str] | None = None) -> int:
    """Train, compare, draw. Returns 0, or 2 with one line on stderr."""
    options, more = parser().parse_known_args(arguments)
    budget = Budget(options.tokens, None if options.tokens else options.minutes)
    try:
        for recipe in options.recipes:
            run_command(recipe, budget, FIRST_SEED, more)  # a misspelt flag is told before an hour has gone by
        rows = train(options, budget, more)
        for row in rows if options.keep_as_reference else ():
            if row.recipe in PRESETS and not more:
                keep_as_reference(row.recipe, row.runs)
        values = {
            "made": now(),
            "versions": versions(PACKAGES),
            "budget": str(budget),
            "seeds": options.seeds,
            "rows": [{"command": command(row.recipe, budget, more), **asdict(row)} for row in rows],
        }
        result = save_result(options.results / "recipes.json", values)
        plot = save_figure(picture(rows, str(budget)), options.plots / "recipes.png")
    except (SettingsError, ResultError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here", file=sys.stderr)
        return 130
    print("\n" + "\n".join(table(rows)))
    print(f"\nResults: {shown_path(result)}\nPicture: {shown_path(plot)}\nRuns: {shown_path(FOLDER)}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line; flags that it does not know are handed on to every training."""
    options = argparse.ArgumentParser(
        description=__doc__,
        epilog="Other flags (--device, --corpus_file, --compile ...) are handed on to every training.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_argument("recipes", nargs="+", metavar="RECIPE", help='such as nano, or "nano --schedule linear"')
    options.add_argument("--tokens", type=float, help="training tokens for each, such as 20.48e6")
    options.add_argument("--minutes", type=float, default=USUAL_MINUTES, help="or minutes for each (default 10)")
    options.add_argument("--seeds", type=int, default=1, help="runs of each recipe (default 1)")
    options.add_argument("--again", action="store_true", help="train anew what was trained before")
    options.add_argument(
        "--keep_as_reference", action="store_true", help="later runs of these presets are held against these"
    )
    options.add_argument("--results", type=Path, default=RESULTS, help="folder for recipes.json")
    options.add_argument("--plots", type=Path, default=PLOTS, help="folder for recipes.png")
    return options


def train(options: argparse.Namespace, budget: Budget, more: list[str]) -> list[Row]:
    """Every recipe with every seed, seed by seed, so that what is there after an interruption can be compared."""
    rows = [Row(recipe, []) for recipe in options.recipes]
    for seed in range(FIRST_SEED, FIRST_SEED + options.seeds):
        for row in rows:
            print(f"\n=== {row.recipe}, {budget}, seed {seed} ===", flush=True)
            row.runs.append(learn(row.recipe, budget, seed, more, options.again))
    return rows


def command(recipe: str, budget: Budget, more: list[str]) -> str:
    """How one run is repeated by hand, without the places of its files."""
    words = run_command(recipe, budget, FIRST_SEED, more)
    for place in ("--checkpoint_dir", "--log_path"):
        at = words.index(place)
        del words[at : at + 2]
    return shlex.join(["python", *words])


if __name__ == "__main__":
    sys.exit(main())
