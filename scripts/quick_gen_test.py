"""Lets a model write after a handful of prompts, and judges by program whether that is text.

    python scripts/quick_gen_test.py
    python scripts/quick_gen_test.py --before     # beside what the same model wrote before its training

Says which checkpoint it is, what each prompt led to with its good signs and warnings (evaluation/texts/text_signs.py),
and what to do when they are bad. The same seed gives the same texts, so that two runs compare.
Exit code: 0 it looks like text, 1 most of it is gibberish, 2 there is no model to ask.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import io
import os
import shlex
import shutil
import textwrap
import unicodedata
from collections import Counter
from dataclasses import dataclass
from itertools import zip_longest

from tqdm import tqdm

from evaluation.texts.text_signs import Sign, judge, looks_like_text
from evaluation.untrained import untrained
from pretraining.checkpoint import CHECKPOINT_DIR, CheckpointError, TrainedModel, load_checkpoint
from pretraining.device import DeviceError
from pretraining.generate import open_model
from pretraining.perplexity import grade, perplexity
from pretraining.sampling import SamplingError, SamplingSettings, sample_generator
from pretraining.text_stream import generate_texts
from pretraining.train_improved import CONFIG
from pretraining.watching.same_run import flags_to_lengthen
from tokenizer.bpe import TokenizerError

PROMPTS = (  # and whether it is the beginning of code
    ("Once upon a time in Toronto", False),
    ("def fibonacci(n):", True),
    ("The old man looked at the sea and", False),
    ("class Stack:\n    def push(self, item):", True),
    ("def read_lines(path):", True),
)
FEWEST_TOKENS = 20  # that can be judged
NARROWEST_FOR_TWO_COLUMNS, WIDEST = 76, 120

# What it means when a sign is missing, from the first thing that a model learns to the last.
MEANING = {
    "length": "it ends at once, as after a training text of many tiny documents",
    "characters": "it hardly knows yet which characters follow each other",
    "words": "its words are in pieces",
    "spacing": "its spaces stand in the wrong places",
    "repetition": "it runs in circles; --temperature 1.0 breaks loops, more training makes them rarer",
    "syntax": "syntax comes later than words: with more steps, or in a larger model",
    "names": "keeping to the prompt comes last: with more steps, or in a larger model",
}


@dataclass(frozen=True)
class Answer:
    """What a model wrote after a prompt, and the signs of it."""

    prompt: str
    continuation: str
    ended: bool  # by itself, before the most tokens it was allowed
    signs: list[Sign]


def write_answers(trained: TrainedModel, settings: SamplingSettings, seed: int) -> list[Answer]:
    """Let the model go on from all prompts side by side."""
    texts, counts = [""] * len(PROMPTS), [0] * len(PROMPTS)
    pieces = generate_texts(
        trained.model,
        trained.tokenizer,
        [prompt for prompt, _ in PROMPTS],
        generators=[sample_generator(seed, number) for number in range(len(PROMPTS))],
        settings=settings,
        context_length=trained.context_length,
    )
    for row, text in tqdm(pieces, unit=" tokens", leave=False, disable=None):
        texts[row] += text
        counts[row] += 1
    ended = [count < settings.max_new_tokens for count in counts]
    return [
        Answer(prompt, text, end, judge(prompt, text, is_code=is_code, ended=end))
        for (prompt, is_code), text, end in zip(PROMPTS, texts, ended, strict=True)
    ]


# -- how it looks ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """How wide the terminal is, and which characters it can show."""

    width: int
    good: str = "✓"
    warning: str = "⚠"
    rule: str = "─"
    bar: str = "│"
    cut: str = "…"

    def column(self, answer: Answer, width: int) -> list[str]:
        """An answer and its signs in lines of at most `width`."""
        text = shown(answer.prompt + answer.continuation).rstrip()
        lines = [part for line in text.split("\n") for part in wrapped(line, width)]
        if not answer.ended:
            lines[-1] = lines[-1][: width - len(self.cut) - 1] + f" {self.cut}"
        lines.append("")
        for sign in answer.signs:
            mark = self.good if sign.good else self.warning
            lines += wrapped(f"{mark} {shown(sign.detail)}", width, hanging="  ")
        return lines

    def title(self, text: str) -> str:
        """A line through the whole width that begins with a text."""
        return f"{self.rule * 2} {text} ".ljust(self.width, self.rule)[: self.width]

    def answers(self, title: str, after: Answer, before: Answer | None, step: int) -> list[str]:
        """One prompt's part of the screen: one column, or two where there is room."""
        lines = [self.title(title)]
        if before is None:
            return [*lines, *(f"  {line}".rstrip() for line in self.column(after, self.width - 4)), ""]
        names = ("before training", f"after {step:,} steps")
        if self.width < NARROWEST_FOR_TWO_COLUMNS:
            for name, answer in zip(names, (before, after), strict=True):
                lines += [f"[{name}]", *(f"  {line}".rstrip() for line in self.column(answer, self.width - 4)), ""]
            return lines
        width = (self.width - 4) // 2
        left, right = ([f"[{name}]", *self.column(a, width)] for name, a in zip(names, (before, after), strict=True))
        rows = zip_longest(left, right, fillvalue="")
        return [*lines, *(f"{padded(one, width)} {self.bar} {other}".rstrip() for one, other in rows), ""]


def choose_look() -> Look:
    """The look that fits the terminal; plain ASCII where it can not show more."""
    width = min(WIDEST, shutil.get_terminal_size((80, 24)).columns)
    look = Look(width)
    try:
        "".join((look.good, look.warning, look.rule, look.bar, look.cut)).encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return Look(width, good="+", warning="!", rule="-", bar="|", cut="...")
    return look


def shown(text: str) -> str:
    """A text that is safe to print: tabs as spaces, and no character that would move or recolour the screen."""
    text = text.replace("\r\n", "\n").expandtabs(4)
    return "".join(c if c == "\n" or c.isprintable() else "\ufffd" for c in text)


def columns_of(text: str) -> int:
    """How many places of a terminal a text takes: wide characters two, combining ones none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def padded(text: str, width: int) -> str:
    return text + " " * (width - columns_of(text))


def wrapped(line: str, width: int, hanging: str | None = None) -> list[str]:
    """A line in parts that fit; the later ones are indented as the first, or as `hanging` says."""
    indent = " " * min(len(line) - len(line.lstrip(" ")), width // 2) if hanging is None else hanging
    narrow = width - (columns_of(line) - len(line))  # wide characters need room; a pessimist's estimate is enough
    return textwrap.wrap(line, max(narrow, width // 2), subsequent_indent=indent, break_on_hyphens=False) or [""]


def print_header(trained: TrainedModel, device: str, settings: SamplingSettings, seed: int) -> None:
    """Which model this is, how well it predicts, and how the texts are drawn."""
    path = trained.path.resolve()
    shown_path = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    print(f"Checkpoint  {shown_path}")
    print(f"            {trained.model.parameter_count() / 1e6:.1f}M parameters, step {trained.step:,}")
    for name, loss in trained.losses.items():
        value = perplexity(loss)
        print(f"            {name}: loss {loss:.2f}, perplexity {value:,.1f} ({grade(value)})")
    if not trained.losses:
        print("            never evaluated on held-out text")
    print(f"Device      {device}")
    print(f"Drawing     seed {seed}, temperature {settings.temperature:g}, {settings.max_new_tokens} tokens each\n")


# -- the verdict -------------------------------------------------------------------------------------------------------


def count_good(answers: list[Answer]) -> tuple[int, int, int]:
    """How many answers look like text, how many signs are good, and how many there are."""
    signs = [sign for answer in answers for sign in answer.signs]
    return sum(looks_like_text(answer.signs) for answer in answers), sum(sign.good for sign in signs), len(signs)


def is_gibberish(answers: list[Answer]) -> bool:
    """Whether fewer than half of the answers look like text."""
    return 2 * count_good(answers)[0] < len(answers)


def verdict(answers: list[Answer], before: list[Answer] | None) -> list[str]:
    """What to think of all answers together, with the numbers."""
    texts, good, signs = count_good(answers)
    word = "This is mostly gibberish" if is_gibberish(answers) else "This looks like text"
    lines = [f"{word}: {texts} of {len(answers)} answers look like text, {good} of {signs} signs are good."]
    if before:
        texts, good, signs = count_good(before)
        lines.append(f"Before training: {texts} of {len(before)} answers, {good} of {signs} signs.")
    lines.append("No program judges here whether it makes sense; you can.")
    return lines


def advice(answers: list[Answer], trained: TrainedModel) -> list[str]:
    """What is missing most, and the commands that help."""
    warned = Counter(sign.name for answer in answers for sign in answer.signs if not sign.good)
    asked = Counter(sign.name for answer in answers for sign in answer.signs)
    if not warned:
        return ["Ask it something of your own: python pretraining/generate.py"]
    missing = max(warned, key=lambda name: (warned[name] / asked[name], -list(MEANING).index(name)))
    lines = [f"Missing most ({warned[missing]} of {asked[missing]} times): {MEANING[missing]}."]
    name, value = next(((name, perplexity(loss)) for name, loss in trained.losses.items()), ("held-out text", None))
    if not is_gibberish(answers):
        if value is not None and grade(value) == "poor":
            lines.append(f"It has only begun to learn: perplexity {value:,.0f} on {name} is poor.")
        return [*lines, "More training:", f"  {train_longer(trained)}"]
    known = "" if value is None else f" and has perplexity {value:,.0f} on {name}"
    steps = (
        ("Is its tokenizer sound?", "python scripts/test_tokenizer_quality.py"),
        (f"It was trained for {trained.step:,} steps{known}. Is that all?", "python scripts/status.py"),
        ("Then train longer:", train_longer(trained)),
    )
    return lines + [
        line
        for number, (question, command) in enumerate(steps, start=1)
        for line in (f"{number}. {question}", f"   {command}")
    ]


def train_longer(trained: TrainedModel) -> str:
    """The command that gives this model twice its steps, or another one the whole recipe."""
    script = "python pretraining/train_improved.py"
    if (
        trained.step < 1
        or not (CHECKPOINT_DIR / "last.pt").is_file()
        or trained.path.resolve().parent != CHECKPOINT_DIR
    ):
        return script
    settings = {"preset": "default"} | load_checkpoint(trained.path).get("settings", {})
    return shlex.join([*script.split(), *flags_to_lengthen(settings, CONFIG, 2 * trained.step)])


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Let a model write after a handful of prompts, and judge what it wrote.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--checkpoint", type=Path, help="model to ask; without it the best of the newest run")
    add("--before", action="store_true", help="also show what the same model wrote before training")
    add("--seed", type=int, default=0, help="another seed gives other texts")
    add("--max_new_tokens", "--max-new-tokens", type=int, default=80, help="length of an answer in tokens")
    add("--temperature", type=float, default=0.8, help="lower = more conservative, 0 = no chance")
    add("--device", default="auto", help="auto, cpu, cuda or mps")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Ask, show and judge. Returns the exit code."""
    chosen = parse_arguments(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    look = choose_look()
    try:
        settings = SamplingSettings(chosen.max_new_tokens, chosen.temperature)
        if settings.max_new_tokens < FEWEST_TOKENS:
            raise SamplingError(f"max_new_tokens is {settings.max_new_tokens}; to judge a text takes {FEWEST_TOKENS}")
        trained, device = open_model(chosen.checkpoint, chosen.device)
        print_header(trained, device, settings, chosen.seed)
        answers = write_answers(trained, settings, chosen.seed)
        before = write_answers(untrained(trained, chosen.seed), settings, chosen.seed) if chosen.before else None
        for number, (prompt, _) in enumerate(PROMPTS):
            title = f"{number + 1} of {len(PROMPTS)}: {prompt.splitlines()[0]}"
            earlier = before[number] if before else None
            print("\n".join(look.answers(title, answers[number], earlier, trained.step)))
        print(look.rule * look.width)
        for line in verdict(answers, before) + advice(answers, trained):
            is_command = line.lstrip().startswith("python ")  # to be copied as it is
            print(line if is_command else "\n".join(wrapped(line, look.width)))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read this has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("\nStopped", file=sys.stderr)
        return 130
    except (SamplingError, CheckpointError, DeviceError, TokenizerError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 1 if is_gibberish(answers) else 0


if __name__ == "__main__":
    sys.exit(main())
