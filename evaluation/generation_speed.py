"""How fast does a model write on this machine, beside other programs, and what do rounded weights cost?

    python evaluation/generation_speed.py
    python evaluation/generation_speed.py --device cuda     # on a GPU: ours alone, float32, up to 512 texts at once

Every way writes in turn, round after round, and its best times count, since other work on the machine can only slow it:
only times of one run compare. Speed does not depend on what was learned, so the weights are random; what rounding costs
is measured with a trained model on held-out code. Several rows are samples of one prompt, which is read once. On a GPU
the time of recording a step is part of that of the tokens after the first.
Peers (transformers, llama.cpp) take part where evaluation/requirements-export.txt is installed.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch.nn import functional as F
from tqdm import tqdm

from evaluation.held_out import HeldOutError, read_held_out
from evaluation.machine import describe_machine, machine, other_work
from evaluation.result_files import RESULTS, ResultError, describe, now, save_result, shown_path
from model.architecture.config import ConfigError, ModelConfig
from model.architecture.layers import KeyValueCache
from model.architecture.model import GPT
from model.export.gguf_file import write_gguf
from model.export.hugging_face import write_hugging_face
from model.export.portable import PortableModel
from pretraining.checkpoint import CheckpointError, TrainedModel, best_checkpoint, load_trained_model
from pretraining.device import DeviceError, choose_device, synchronize
from pretraining.fast_model import WEIGHTS, FastModel
from pretraining.sampling import SamplingSettings, generate_tokens, sample_generator
from tokenizer.bpe import Tokenizer

CONFIG = RESULTS.parents[1] / "model" / "config" / "gpt_tiny_config.json"
PROMPT_TOKENS, NEW_TOKENS, MANY_ROWS, ROWS_OF_A_GPU = 20, 128, 64, (1, 64, 512)
CPU = torch.device("cpu")
PACKAGES = ("torch", "tokenizers", "transformers", "xllamacpp")

Way = Callable[[], tuple[float, float]]  # writes; returns seconds until the first token of each row and until the last


def measure(config: ModelConfig, rounds: int = 3, device: torch.device = CPU) -> list[dict]:
    """One row for each way of writing: program, weights, rows, milliseconds to the first token, tokens per second.

    A text is read and then continued; the speed is that of the tokens after the first.
    """
    torch.manual_seed(0)
    model = GPT(config).eval()
    for parameter in model.parameters():  # nothing may be zero, as some is in a new model
        torch.nn.init.normal_(parameter, mean=float(parameter.ndim == 1), std=0.03)
    model = model.to(device)
    ways: dict[tuple[str, str, int], Way] = {("GPT, a token at a time", "float32", 1): lambda: _plain(model)}
    on_cpu = [(1, weights) for weights in WEIGHTS] + [(MANY_ROWS, "float32"), (MANY_ROWS, "bfloat16")]
    for rows, weights in on_cpu if device.type == "cpu" else [(rows, "float32") for rows in ROWS_OF_A_GPU]:
        ways["ours", weights, rows] = lambda rows=rows, weights=weights: _ours(model, rows, weights)
    with tempfile.TemporaryDirectory() as folder:
        ways |= _peers(model, Path(folder)) if device.type == "cpu" else {}
        times = {way: [] for way in ways}
        for _ in tqdm(range(1 + rounds), unit=" rounds", leave=False, disable=None):
            for way, write in ways.items():
                times[way].append(write())
    results = []
    for (program, weights, rows), (_, *timed) in times.items():  # the first round warms up
        before, whole = (min(column) for column in zip(*timed, strict=True))
        about = {"program": program, "weights": weights, "rows": rows}
        speed = rows * (NEW_TOKENS - 1) / (whole - before)
        results.append(about | {"first_token_milliseconds": before * 1e3, "tokens_per_second": speed})
    return results


def _ours(model: GPT, rows: int, weights: str) -> tuple[float, float]:
    """As generate.py writes, sampling included."""
    prompts = [list(range(100, 100 + PROMPT_TOKENS))] * rows
    start = time.perf_counter()
    tokens = generate_tokens(
        model,
        prompts,
        generators=[sample_generator(0, row) for row in range(rows)],
        settings=SamplingSettings(NEW_TOKENS),
        end_of_text_id=0,
        context_length=model.config.max_seq_len,
        weights=weights,
    )
    for _ in range(rows):
        next(tokens)
    first = time.perf_counter()
    behind_first = sum(1 for _ in tokens)  # rows may end early
    after = (time.perf_counter() - first) * rows * (NEW_TOKENS - 1) / max(1, behind_first)
    return first - start, first - start + after


@torch.inference_mode()
def _plain(model: GPT) -> tuple[float, float]:
    """The model as it is trained, with a cache: what FastModel and GraphedModel replace."""
    device = model.head.weight.device
    start = time.perf_counter()
    cache = KeyValueCache(model.config, 1, PROMPT_TOKENS + NEW_TOKENS, device=device)
    scores = model(torch.arange(100, 100 + PROMPT_TOKENS, device=device)[None], cache)
    token = scores[:, -1:].argmax(-1)
    synchronize(device)
    first = time.perf_counter()
    for _ in range(NEW_TOKENS - 1):
        token = model(token, cache).argmax(-1)
    synchronize(device)
    return first - start, time.perf_counter() - start


def _peers(model: GPT, folder: Path) -> dict[tuple[str, str, int], Way]:
    """Other programs that are installed, with the same weights from files written into `folder`."""
    config, tokenizer = model.config, Tokenizer.load()
    weights = model.state_dict()
    portable = PortableModel("random", config, weights, tokenizer.to_json(), 0, config.max_seq_len, sampling={})
    ways: dict[tuple[str, str, int], Way] = {}
    if find_spec("transformers") and find_spec("safetensors"):
        write_hugging_face(folder, portable, "f32")
        ways["transformers", "float32", 1] = _transformers(folder)
    if find_spec("xllamacpp") and find_spec("gguf"):
        for dtype in ("f32", "q8_0"):
            path = write_gguf(folder / f"{dtype}.gguf", portable, dtype)
            ways["llama.cpp", dtype.upper(), 1] = lambda path=path: _llama_cpp(path)
    return ways


def _transformers(folder: Path) -> Way:
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    prompt = torch.arange(100, 100 + PROMPT_TOKENS)[None]

    def write() -> tuple[float, float]:
        seconds = []
        for count in (1, NEW_TOKENS):
            start = time.perf_counter()
            model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=count,
                min_new_tokens=count,
                pad_token_id=0,
            )
            seconds.append(time.perf_counter() - start)
        return seconds[0], seconds[1]

    return write


def _llama_cpp(path: Path) -> tuple[float, float]:
    """Its own times, as its server tells them; loading and the way through the server are not in them."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx, settings.n_parallel, settings.n_gpu_layers, settings.verbosity = 512, 1, 0, -1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = torch.get_num_threads()
    settings.offline = True
    prompt = list(range(100, 100 + PROMPT_TOKENS))
    question = {"prompt": prompt, "n_predict": NEW_TOKENS, "ignore_eos": True, "cache_prompt": False}
    times = xllamacpp.Server(settings).handle_completions(question)["timings"]
    before, after = times["prompt_ms"] / 1e3, times["predicted_ms"] / 1e3
    return before, before + after * (NEW_TOKENS - 1) / times["predicted_n"]


@torch.inference_mode()
def loss_of_weights(trained: TrainedModel, rows: int = 64) -> list[dict]:
    """What rounding the weights costs on the first tokens of `rows` held-out files: nats per token, bits per byte.

    Raises HeldOutError where the held-out set is missing.
    """
    tokenizer, config, length = trained.tokenizer, trained.model.config, trained.context_length
    texts = (tokenizer.encode(document.text)[: length - 1] for document in read_held_out("heldout_code"))
    texts = [text for text in texts if len(text) == length - 1]
    rows = min(rows, len(texts))
    texts = [texts[row * len(texts) // rows] for row in range(rows)]  # from all packages
    tokens = torch.tensor([[tokenizer.end_of_text_id, *text] for text in texts])
    size = sum(len(tokenizer.token_bytes(token)) for text in texts for token in text)
    results = []
    for weights in tqdm(WEIGHTS, leave=False, disable=None):
        fast, cache = FastModel(trained.model, len(texts), weights), KeyValueCache(config, len(texts), length)
        nats = 0.0
        for place in range(length - 1):
            scores = fast.next_scores(tokens[:, place].tolist(), cache)
            nats += F.cross_entropy(scores, tokens[:, place + 1], reduction="sum").item()
        count = len(texts) * (length - 1)
        rounded = {"weights": weights, "tokens": count, "nats_per_token": nats / count}
        results.append(rounded | {"bits_per_byte": nats / math.log(2) / size})
    return results


def table(speeds: list[dict], losses: list[dict]) -> list[str]:
    """Both results as lines of text."""
    lines = [f"{'program':24}{'weights':10}{'rows':>6}{'first token':>14}{'tokens/s':>11}"]
    for row in speeds:
        first, speed = f"{row['first_token_milliseconds']:,.0f} ms", f"{row['tokens_per_second']:,.0f}"
        lines.append(f"{row['program']:24}{row['weights']:10}{row['rows']:>6}{first:>14}{speed:>11}")
    if losses:
        lines += ["", f"{'weights':10}{'nats per token':>16}{'bits per byte':>16}{'cost in nats':>15}"]
    for row in losses:
        cost = row["nats_per_token"] - losses[0]["nats_per_token"]
        lines.append(f"{row['weights']:10}{row['nats_per_token']:>16.4f}{row['bits_per_byte']:>16.4f}{cost:>+15.4f}")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and keep. Returns 0, or 2 with one line on stderr when that is not possible."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=CONFIG, help="the sizes to measure speed with")
    parser.add_argument(
        "--device", default="cpu", help="cpu, cuda or mps: what to write on; weights are rounded on a CPU"
    )
    parser.add_argument("--checkpoint", type=Path, help="the trained model; without it the best of the newest run")
    parser.add_argument("--rounds", type=int, default=3, help="times that each way writes; the best counts")
    parser.add_argument(
        "--output", type=Path, default=RESULTS / "generation_speed.json", help="where to keep the result"
    )
    chosen = parser.parse_args(arguments)
    try:
        config = ModelConfig.load(chosen.config)
        device, _ = choose_device(chosen.device)
        result: dict = {"loss_of": None, "loss": []}
        if device.type == "cpu":
            trained = load_trained_model(chosen.checkpoint or best_checkpoint())
            result = {"loss_of": describe(trained), "loss": loss_of_weights(trained)}
        about = {"made": now(), "config": shown_path(chosen.config), "other_work": other_work()}
        about |= describe_machine(device, PACKAGES)
        if about["other_work"]:
            print(about["other_work"])
        result = {"about": about, "speed": measure(config, chosen.rounds, device), **result}
        path = save_result(chosen.output, result)
    except (CheckpointError, ConfigError, DeviceError, HeldOutError, ResultError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(table(result["speed"], result["loss"])))
    print(f"\nSpeed: {about['config']} with random weights, on {machine(str(device), 'as in the table')}.")
    if result["loss"]:
        print(f"Loss: {result['loss_of']['checkpoint']['path']}, the first tokens of held-out code.")
    print(f"Kept in {shown_path(path)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
