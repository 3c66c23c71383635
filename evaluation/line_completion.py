"""Can the model finish a line? Exact match and edit similarity on held-out code, as CodeXGLUE defines them.

    python evaluation/line_completion.py --quick

Each line is asked for twice: the rest of it behind a random token, as in CodeXGLUE, and all of it. The model goes on
greedily to the end of the line. Beside it stand answers that need no model, and published results on py150, whose
texts are easier (see `NOTE`).
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import random
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from evaluation.figures import REFERENCE, bars_with_intervals, new_figure, save_figure
from evaluation.held_out import MAKE_THEM, HeldOutError, read_held_out, sample_documents
from evaluation.lines.edit_similarity import edit_similarity, is_exact
from evaluation.lines.line_guessers import guess_best_constant, guess_longest_match, guess_newest_alike
from evaluation.lines.line_items import LineItem, draw_items
from evaluation.question import Effort, Question, ask
from evaluation.statistics import Interval, share_of_items
from evaluation.writing import write_texts
from pretraining.checkpoint import TrainedModel
from pretraining.sampling import SamplingSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES_PER_PACKAGE, QUICK_LINES_PER_PACKAGE = 300, 30
QUICK_BYTES = 1_000_000  # of held-out code from which quick samples are drawn
LONGEST_ANSWER = 48  # tokens; fewer than 1 in 100 lines of the held-out code are longer
LONGEST_TOKEN = 24  # characters that no text worth reading exceeds on average
FEWEST_DRAWN = 15  # lines; the score of fewer says nothing
SHOWN = 4  # examples of each sort that are kept
TASKS = {"rest_of_line": "rest of the line", "whole_line": "whole line"}
GUESSERS = {
    "longest_match": "copy the longest match",
    "newest_alike": "copy the newest alike",
    "best_constant": "best constant answer",
}
PUBLISHED = {  # exact match and edit similarity, from the README of microsoft/CodeXGLUE's CodeCompletion-line
    "LSTM": (0.2377, 0.5626),
    "Transformer": (0.3851, 0.6901),
    "GPT-2": (0.4173, 0.7060),
    "CodeGPT-adapted": (0.4237, 0.7159),
}
NOTE = (
    "py150 (10,000 lines, rest of the line) is easier: rare strings and numbers are",
    "blanked out, files are split at random, so that a project may be on both sides,",
    "and answers come from beam search. Here: raw text of unseen packages, greedy.",
)


def measure(trained: TrainedModel, effort: Effort) -> dict:
    """Ask for lines of held-out code, equally many from each package; `score_task` says what each task's values are."""
    documents = sample_documents(read_held_out("heldout_code"), QUICK_BYTES if effort.quick else None, effort.seed)
    items = draw_items(documents, QUICK_LINES_PER_PACKAGE if effort.quick else LINES_PER_PACKAGE, effort.seed)
    if not items:
        raise HeldOutError(f"heldout_code has no line of Python that can be asked for. {MAKE_THEM}")
    whole = [item.whole() for item in items]
    answers = complete_lines(trained, [*items, *whole])
    return {
        "held_out": "heldout_code",
        "packages": sorted({item.source for item in items}),
        "decoding": {"temperature": 0, "max_new_tokens": LONGEST_ANSWER, "stop": "\n"},
        "rest_of_line": score_task(items, answers[: len(items)]),
        "whole_line": score_task(whole, answers[len(items) :]),
        "published": {
            name: {"exact_match": exact, "edit_similarity": near} for name, (exact, near) in PUBLISHED.items()
        },
        "published_note": " ".join(NOTE),
    }


def complete_lines(trained: TrainedModel, items: Sequence[LineItem]) -> list[str]:
    """What the model writes up to the end of each line, greedily."""
    answer_length = min(LONGEST_ANSWER, trained.context_length // 2)
    settings = SamplingSettings(answer_length, temperature=0, stop=("\n",))
    room = trained.context_length - answer_length - 1  # one place is taken by what starts every text
    prompts = fitting_contexts(trained, [item.before + item.start for item in items], room)
    written = write_texts(trained, prompts, settings=settings, seed=0, unit=" lines")  # nothing is drawn
    return [answer.text for answer in written]


def fitting_contexts(trained: TrainedModel, texts: Sequence[str], room: int) -> list[str]:
    """The end of each text that has about `room` tokens at most, from the start of a line where one starts there."""
    contexts = []
    for tokens in trained.tokenizer.encode_batch([text[-room * LONGEST_TOKEN :] for text in texts]):
        end = trained.tokenizer.decode(tokens[-room:])
        contexts.append(end[end.find("\n", 0, -1) + 1 :] if len(tokens) > room else end)
    return contexts


def score_task(items: Sequence[LineItem], answers: Sequence[str]) -> dict:
    """Scores of all answers, those of the guessers on the same items, both by kind and by package, and examples."""
    copied = [guess_longest_match(item) for item in items]
    most_often, nearest = guess_best_constant(items)
    constant = score(items, [most_often] * len(items))
    constant["edit_similarity"] = score(items, [nearest] * len(items))["edit_similarity"]
    return {
        **score(items, answers),
        "guessers": {
            "longest_match": score(items, copied),
            "newest_alike": score(items, [guess_newest_alike(item) for item in items]),
            "best_constant": constant | {"answers": [most_often, nearest]},
        },
        "by_kind": score_groups([item.kind for item in items], items, answers, copied),
        "by_package": score_groups([item.source for item in items], items, answers, copied),
        "examples": choose_examples(items, answers),
    }


def score(items: Sequence[LineItem], answers: Sequence[str]) -> dict:
    """Exact match and mean edit similarity, with intervals over packages, or over files where there are too few."""
    pairs, origins = list(zip(answers, items, strict=True)), [item.origin for item in items]
    return {
        "exact_match": share_of_items([is_exact(answer, item.rest) for answer, item in pairs], origins),
        "edit_similarity": share_of_items([edit_similarity(answer, item.rest) for answer, item in pairs], origins),
    }


def score_groups(
    groups: Sequence[str], items: Sequence[LineItem], answers: Sequence[str], copied: Sequence[str]
) -> dict[str, dict]:
    """The scores of each group (`groups` names that of each item), the largest first, with those of copying."""
    scores = {}
    for group, _ in Counter(groups).most_common():
        members = [number for number, name in enumerate(groups) if name == group]
        own = [items[number] for number in members]
        scores[group] = score(own, [answers[number] for number in members])
        scores[group]["longest_match"] = score(own, [copied[number] for number in members])
    return scores


def choose_examples(items: Sequence[LineItem], answers: Sequence[str]) -> dict[str, list[dict]]:
    """The longest exact answers, some of middling and some of the least similarity; drawn by lot where equal."""
    shown = [
        {
            "from": f"{item.path}:{item.line}",
            "line_above": item.before.rstrip("\n").rpartition("\n")[2],
            "start": item.start,
            "truth": item.rest,
            "answer": answer,
            "edit_similarity": edit_similarity(answer, item.rest),
        }
        for item, answer in zip(items, answers, strict=True)
    ]
    random.Random(0).shuffle(shown)
    shown.sort(key=lambda example: -example["edit_similarity"])
    exact = [example for example in shown if is_exact(example["answer"], example["truth"])]
    middle = max(0, len(shown) - SHOWN) // 2
    return {
        "best": sorted(exact, key=lambda example: -len(example["truth"].strip()))[:SHOWN],
        "typical": shown[middle : middle + SHOWN],
        "worst": shown[-SHOWN:],
    }


def table(values: dict) -> list[str]:
    """The scores beside those of guessers and published ones, then by kind of line and by package."""
    tasks = [values[task] for task in TASKS]
    count = tasks[0]["exact_match"]["n"]
    columns = f"{'exact':<17}{'similar':<8}" * len(tasks)
    lines = [
        f"Line completion: {count:,} lines of {len(values['packages'])} held-out packages, greedy.",
        "Exact match in % (95% interval: over packages; of each package over files), edit",
        "similarity in %. Copying may see all of the file above.",
        "",
        " " * 24 + "".join(f"{name:<25}" for name in TASKS.values()),
        f"{'':<24}{columns}",
        f"{'this model':<24}" + "".join(map(_cells, tasks)),
    ]
    for name, label in GUESSERS.items():
        lines.append(f"{label:<24}" + "".join(_cells(task["guessers"][name]) for task in tasks))
    for name, result in values["published"].items():
        exact, near = 100 * result["exact_match"], 100 * result["edit_similarity"]
        lines.append(f"{f'py150: {name}':<24}{exact:<17.1f}{near:.1f}")
    lines += ["", *NOTE]
    for title, key in (("by kind of line", "by_kind"), ("by package", "by_package")):
        lines += ["", f"{title:<24}{columns}    n"]
        for group, scores in tasks[0][key].items():
            cells = "".join(_cells(task[key][group]) for task in tasks)
            lines.append(f"{group:<24}{cells}{scores['exact_match']['n']:>5,}")
    return [line.rstrip() for line in lines]


def _cells(scores: dict) -> str:
    exact = scores["exact_match"]
    low, high = exact["interval"]
    interval = f"{100 * exact['score']:.1f} ({100 * low:.1f}-{100 * high:.1f})"
    return f"{interval:<17}{100 * scores['edit_similarity']['score']:<8.1f}"


def draw(values: dict, folder: Path) -> list[Path]:
    """One picture of exact matches: among guessers and published results, by kind of line and by package."""
    task = values["rest_of_line"]
    figure, (standing, kinds, packages) = new_figure(1, 3, size=(15, 5.5))
    _draw_standing(standing, task, values["published"])
    for axes, key, title in ((kinds, "by_kind", "By kind of line"), (packages, "by_package", "By held-out package")):
        groups = {name: scores for name, scores in task[key].items() if scores["exact_match"]["n"] >= FEWEST_DRAWN}
        exact = [scores["exact_match"] for scores in groups.values()]
        bars_with_intervals(
            axes,
            [f"{name} ({share['n']})" for name, share in zip(groups, exact, strict=True)],
            [share["score"] for share in exact],
            [Interval(*share["interval"]) for share in exact],
            guesses=[scores["longest_match"]["exact_match"]["score"] for scores in groups.values()],
        )
        axes.set_title(f"{title}\n(and how many were asked)")
        axes.legend(axes.collections[-1:], [GUESSERS["longest_match"]], loc="upper left", bbox_to_anchor=(0, -0.1))
    for axes in (standing, kinds, packages):
        axes.set_xlabel("rest exactly right (share, 95% interval)")
        axes.set_xlim(0, 1.12 * axes.get_xlim()[1])
    return [save_figure(figure, folder / "line_completion.png")]


def _draw_standing(axes: "Axes", task: dict, published: dict) -> None:
    """The model's bar above those of guessers (grey) and of published models (light grey)."""
    shares = {"this model": task["exact_match"]}
    shares |= {label: task["guessers"][name]["exact_match"] for name, label in GUESSERS.items()}
    model, copy = (shares[label]["score"] for label in ("this model", GUESSERS["longest_match"]))
    for name, result in published.items():
        shares[f"{name} on py150*"] = {"score": result["exact_match"], "interval": [result["exact_match"]] * 2}
    bars_with_intervals(
        axes,
        list(shares),
        [share["score"] for share in shares.values()],
        [Interval(*share["interval"]) for share in shares.values()],
    )
    for place, bar in enumerate(axes.patches[1:]):
        bar.set(color=REFERENCE, alpha=1.0 if place < len(GUESSERS) else 0.5)
    axes.set_title(f"The model finishes {model:.0%} of lines exactly,\ncopying from the lines above {copy:.0%}")
    axes.annotate("* easier: literals blanked out, split by file", (0, -0.17), xycoords="axes fraction", fontsize=9)


QUESTION = Question(
    "line_completion", "How well does the model finish lines of Python it has never seen?", measure, table, draw
)


def main(arguments: list[str] | None = None) -> int:
    """Ask. Returns 0, or 2 with one line on stderr when that is not possible."""
    return ask(QUESTION, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
