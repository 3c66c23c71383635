"""Trains several recipes on equal terms, the same tokens or the same time, and shows which learns faster.

    python scripts/compare_recipes.py nanogpt default --tokens 20.48e6
    python scripts/compare_recipes.py "nanogpt --preset nano --learning_rate 3e-3" nano --minutes 10 --seeds 3
    python scripts/compare_recipes.py nano "nano --optimizer adamw --learning_rate 1e-3"

A recipe is a preset (default, nano, original) or `nanogpt`, with flags of train_improved.py behind it. The first one is
what the others are held against. Each is trained in a process of its own, one after the other. One that was trained
before, with the same model, tokenizer, corpus and settings, is taken from there; Ctrl-C saves, and the same command
goes on. Ends with a table, evaluation/results/recipes.json and evaluation/plots/recipes.png.
Exit code: 0 done, 2 a recipe could not be run, 130 stopped.
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
from evaluation.training.learned import keep_as_reference
from evaluation.training.recipe_figures import Row, picture, table
from evaluation.training.recipes import FOLDER, Budget, learn, put_aside, refuse_different_texts, run_command
from pretraining.settings import PRESETS, SettingsError
from pretraining.train_improved import EXPLAINED

FIRST_SEED = 1337
USUAL_MINUTES = 10.0


def main(arguments: list[str] | None = None) -> int:
    """Train, compare, draw. Returns 0, 2 with one line on stderr, or 130 after Ctrl-C."""
    options, more = parser().parse_known_args(arguments)
    try:
        compare(options, more)
    except (*EXPLAINED, ResultError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        without = ", without --again," if options.again else ""  # which would begin anew
        print(f"\nStopped. The same command{without} goes on from here", file=sys.stderr)
        return 130
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
    options.add_argument("--minutes", type=float, help=f"or minutes for each (default {USUAL_MINUTES:g})")
    options.add_argument("--seeds", type=int, default=1, help="runs of each recipe (default 1)")
    options.add_argument("--again", action="store_true", help="put aside what was trained before, and train anew")
    options.add_argument(
        "--keep_as_reference", action="store_true", help="later runs of these presets are held against these"
    )
    options.add_argument("--results", type=Path, default=RESULTS, help="folder for recipes.json")
    options.add_argument("--plots", type=Path, default=PLOTS, help="folder for recipes.png")
    return options


def compare(options: argparse.Namespace, more: list[str]) -> None:
    """Train everything, save and print what came out. Raises what main explains."""
    budget = read_budget(options)
    kept = presets_to_keep(options, more)
    refuse_different_texts(options.recipes, budget, more)  # reads every recipe: a misspelt flag costs no hour
    rows = train(options, budget, more)
    values = {
        "made": now(),
        "versions": versions(PACKAGES),
        "budget": str(budget),
        "seeds": options.seeds,
        "rows": [{"command": command(row.recipe, budget, more), **asdict(row)} for row in rows],
    }
    result = save_result(options.results / "recipes.json", values)
    plot = save_figure(picture(rows, str(budget)), options.plots / "recipes.png")
    print("\n" + "\n".join(table(rows)))
    print(f"\nResults: {shown_path(result)}\nPicture: {shown_path(plot)}\nRuns: {shown_path(FOLDER)}")
    for row in rows:
        if row.recipe in kept:
            keep_as_reference(row.recipe, row.runs)
            print(f"Kept as reference: {row.recipe}, {budget}, {options.seeds} seeds")


def read_budget(options: argparse.Namespace) -> Budget:
    """How long each recipe learns. Raises SettingsError for impossible amounts, of seeds too."""
    if options.seeds < 1:
        raise SettingsError(f"--seeds is {options.seeds}; it must be 1 or more")
    if options.tokens is None and options.minutes is None:
        return Budget(minutes=USUAL_MINUTES)
    return Budget(options.tokens, options.minutes)


def presets_to_keep(options: argparse.Namespace, more: list[str]) -> list[str]:
    """The recipes whose runs become references. Raises SettingsError where that was asked for and can not be."""
    if not options.keep_as_reference:
        return []
    kept = [recipe for recipe in options.recipes if recipe in PRESETS]
    if options.tokens is None:
        raise SettingsError("--keep_as_reference keeps the band of runs that saw equally many tokens: give --tokens")
    if more or not kept:
        flags = f", without {shlex.join(more)}" if more else ""
        raise SettingsError(f"--keep_as_reference keeps presets as they are: name one of {', '.join(PRESETS)}{flags}")
    return kept


def train(options: argparse.Namespace, budget: Budget, more: list[str]) -> list[Row]:
    """Every recipe with every seed, seed by seed, so that fewer --seeds compare what an interruption left."""
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    if options.again:  # all at once, so that after an interruption the rest is trained anew as well
        for recipe in options.recipes:
            for seed in seeds:
                put_aside(recipe, budget, seed, more)
    rows = [Row(recipe, []) for recipe in options.recipes]
    for seed in seeds:
        for row in rows:
            print(f"\n=== {row.recipe}, {budget}, seed {seed} ===", flush=True)
            row.runs.append(learn(row.recipe, budget, seed, more))
    return rows


def command(recipe: str, budget: Budget, more: list[str]) -> str:
    """How one run is repeated by hand, without the places of its files."""
    words = run_command(recipe, budget, FIRST_SEED, more)
    return shlex.join(["python", *words[: words.index("--checkpoint_dir")]])


if __name__ == "__main__":
    sys.exit(main())
