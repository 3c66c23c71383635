"""Writes text and code with a trained model: the settings to edit, one function, and the command line.

    python pretraining/generate.py --prompt "def fibonacci(n):" --temperature 0.5
    echo "def fibonacci(n):" | python pretraining/generate.py

Without `--prompt` it answers what is piped into it, or else the prompt of the block below and then, in a terminal, any
others you type. How a token is drawn is in sampling.py, how tokens become characters in text_stream.py.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import io
import os
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from model.architecture.model import GPT
from pretraining.checkpoint import CheckpointError, TrainedModel, best_checkpoint, load_trained_model
from pretraining.device import DeviceError, choose_device, self_check
from pretraining.fast_model import WEIGHTS
from pretraining.sampling import SamplingError, SamplingSettings, sample_generator
from pretraining.text_stream import generate_texts
from tokenizer.bpe import Tokenizer, TokenizerError

if TYPE_CHECKING:
    import torch  # at run time model/__init__.py is the first to import it, and says so where it is missing

# ------------------------------------------------ settings to edit ------------------------------------------------
SETTINGS = {
    "prompt": "def fibonacci(n):",
    "max_new_tokens": 100,  # length of the answer; a token is three to four characters
    "temperature": 0.8,  #    Lower = more conservative (0.5), 0 = always the likeliest token
    #                         Higher = more creative (1.2)
    "top_k": 40,  #           Higher = more diverse (100), 0 = all tokens
    "top_p": 0.9,  #          Lower = more focused (0.8), 1.0 = all tokens
}
# ------------------------------------------------------------------------------------------------------------------


def generate(
    model: GPT,
    tokenizer: Tokenizer,
    device: "torch.device | str",
    *,
    prompt: str = "",
    max_new_tokens: int = 100,
    temperature: float = 0.8,
    top_k: int | None = 40,
    top_p: float = 0.9,
    stop: str | Sequence[str] = (),
    seed: int | None = None,
    context_length: int | None = None,
) -> str:
    """Return the prompt and what the model writes after it, as one string.

    The text ends with `<|endoftext|>`, before the first of the `stop` strings, or after `max_new_tokens`. Without a
    `seed` every call differs. `context_length` is how many tokens the model was trained to see at once (its
    checkpoint knows it); without it `max_seq_len` is used, which may be more than it can make sense of.
    Raises SamplingError for settings that make no sense, TokenizerError for a prompt that is not Unicode.
    """
    stop = (stop,) if isinstance(stop, str) else tuple(stop)
    settings = SamplingSettings(max_new_tokens, temperature, top_k, top_p, stop)
    context_length = context_length or model.config.max_seq_len
    print_if_too_long(tokenizer, prompt, context_length)
    was_training = model.training
    try:
        pieces = generate_texts(
            model.to(device).eval(),
            tokenizer,
            [prompt],
            generators=[sample_generator(fresh_seed() if seed is None else seed)],
            settings=settings,
            context_length=context_length,
        )
        return prompt + "".join(text for _, text in pieces)
    finally:
        model.train(was_training)


def fresh_seed() -> int:
    """A seed that is short enough to type again."""
    return secrets.randbelow(1_000_000)


def print_if_too_long(tokenizer: Tokenizer, prompt: str, context_length: int) -> None:
    """Say so when the model will read only the end of a prompt (one place is taken by what starts every text)."""
    length = len(tokenizer.encode(prompt)) + 1
    if length > context_length:
        print(
            f"Note: the prompt has {length:,} tokens and the model was trained to see {context_length:,} at once; "
            f"it reads the last {context_length:,}."
        )


def write_answers(
    trained: TrainedModel,
    prompt: str,
    settings: SamplingSettings,
    seed: int,
    num_samples: int,
    *,
    weights: str = "float32",
) -> None:
    """Print the answers to one prompt: a single one as it is written, several when all are done.

    Ctrl-C ends them early and keeps what is there. The last line has the speed and the seed that repeats it all.
    """
    from tqdm import tqdm  # not above: where packages are missing, model/__init__.py is to say so

    print_if_too_long(trained.tokenizer, prompt, trained.context_length)
    pieces = generate_texts(
        trained.model,
        trained.tokenizer,
        [prompt] * num_samples,
        generators=[sample_generator(seed, sample) for sample in range(num_samples)],
        settings=settings,
        context_length=trained.context_length,
        weights=weights,
    )
    texts, tokens, stopped = [""] * num_samples, 0, ""
    started = time.perf_counter()
    if num_samples == 1:
        print(prompt, end="", flush=True)
    try:
        for row, text in tqdm(pieces, unit=" tokens", leave=False, disable=num_samples == 1 or None):
            tokens += 1
            texts[row] += text
            if num_samples == 1:
                print(text, end="", flush=True)
    except KeyboardInterrupt:
        stopped = "stopped with Ctrl-C after "
    seconds = time.perf_counter() - started
    if num_samples > 1:
        for sample, text in enumerate(texts, start=1):
            print(f"--- sample {sample} of {num_samples}\n{prompt}{text}")
    print(
        f"\n[{stopped}{tokens} tokens in {seconds:.1f} s, {tokens / seconds:,.0f} tokens/s; --seed {seed}]", flush=True
    )


def typed_prompts() -> Iterator[str]:
    """Ask for prompts in a terminal until an empty line, Ctrl-D or Ctrl-C."""
    while True:
        try:
            prompt = input("\nPrompt (an empty line ends): ")
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if not prompt:
            return
        yield prompt


def piped_prompt() -> str:
    """What is piped in or comes from a file, without the newline that `echo` adds; "" in a terminal.

    Some editors run programs with a pipe into which nothing comes: after a second it says what it waits for.
    Raises SamplingError when it is not text.
    """
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    note = "Reading the prompt from standard input, to its end (Ctrl-D); or give --prompt"
    waiting = threading.Timer(1.0, print, [note], {"file": sys.stderr})
    waiting.start()
    try:
        return sys.stdin.read().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise SamplingError(
            f"what is piped in is not {error.encoding} text; save it as that, or use --prompt"
        ) from None
    finally:
        waiting.cancel()


def open_model(checkpoint: Path | None, device_name: str) -> tuple[TrainedModel, str]:
    """Load a checkpoint (the best of the newest run, if None); returns it and why it runs where it does."""
    device, reason = choose_device(device_name)
    if device.type == "mps" and (differences := self_check(device)):
        (device, _), reason = choose_device("cpu"), f"the Apple GPU computes wrongly here: {differences[0]}"
    return load_trained_model(checkpoint or best_checkpoint(), device), f"{device} ({reason})"


def load(checkpoint: Path | None, device_name: str) -> TrainedModel:
    """Load a checkpoint (the best of the newest run, if None) and say which one it is and where it runs."""
    trained, device = open_model(checkpoint, device_name)
    losses = ", ".join(f"{name} {loss:.2f}" for name, loss in trained.losses.items()) or "not measured"
    print(f"Checkpoint: {trained.path}, step {trained.step:,}, loss: {losses}")
    print(f"Device: {device}\n", flush=True)
    return trained


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line; the settings block gives the defaults."""
    parser = argparse.ArgumentParser(
        description="Write text and code with a trained model.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add(
        "--prompt",
        help=f"answer this and end (without it: what is piped in, else {SETTINGS['prompt']!r}, then what you type)",
    )
    add("--max_new_tokens", "--max-new-tokens", type=int, default=SETTINGS["max_new_tokens"], help="length in tokens")
    add("--temperature", type=float, default=SETTINGS["temperature"], help="lower = more conservative, 0 = no chance")
    add("--top_k", "--top-k", type=int, default=SETTINGS["top_k"], help="draw from so many tokens, 0 = all")
    add("--top_p", "--top-p", type=float, default=SETTINGS["top_p"], help="draw from this share, 1 = all")
    add("--stop", action="append", default=[], help=r"end before this text; may be repeated; \n and \t are understood")
    add("--seed", type=int, help="repeats an answer; without it a new one is drawn and printed")
    add("--num_samples", "--num-samples", type=int, default=1, help="answers to each prompt")
    add(
        "--weights",
        choices=WEIGHTS,
        default="float32",
        help="faster on a CPU for a little quality: int8 for one sample, bfloat16 for many",
    )
    add("--checkpoint", type=Path, help="model to use; without it the best of the newest run")
    add("--device", default="auto", help="auto, cpu, cuda or mps")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Answer prompts. Returns 0, or 2 with one line on stderr when that is not possible."""
    chosen = parse_arguments(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that can not show an emoji shows "?" instead
    try:
        stop = tuple(text.replace(r"\n", "\n").replace(r"\t", "\t") for text in chosen.stop)
        settings = SamplingSettings(chosen.max_new_tokens, chosen.temperature, chosen.top_k, chosen.top_p, stop)
        if chosen.num_samples < 1:
            raise SamplingError(f"num_samples is {chosen.num_samples}; it must be at least 1")
        piped = piped_prompt() if chosen.prompt is None else ""
        trained = load(chosen.checkpoint, chosen.device)
        ask_for_more = chosen.prompt is None and sys.stdin is not None and sys.stdin.isatty()
        first_prompt = (piped or SETTINGS["prompt"]) if chosen.prompt is None else chosen.prompt
        for prompt in chain([first_prompt], typed_prompts() if ask_for_more else []):
            seed = fresh_seed() if chosen.seed is None else chosen.seed
            write_answers(trained, prompt, settings, seed, chosen.num_samples, weights=chosen.weights)
    except BrokenPipeError:  # whoever read this has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (SamplingError, CheckpointError, DeviceError, TokenizerError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
