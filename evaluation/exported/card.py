"""README.md of an export: what a stranger should know of the model before using it, out of what is known here.

What is not known is not said: each part stands only where its source does (the manifest beside the corpus, the training
log of this very run, results of this very checkpoint).
"""

import datetime
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from evaluation.exported.check import Comparison
from evaluation.result_files import RESULTS, ResultError, load_result
from evaluation.targets import CODE_EVAL, target_lines
from model.export.gguf_file import modelfile
from model.export.portable import PortableModel
from pretraining import dataset
from pretraining.checkpoint import TrainedModel

LOG = dataset.ROOT / "logs" / "training_log.json"
HOW_TO_RUN = {
    "hf": """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{folder}")
model = AutoModelForCausalLM.from_pretrained("{folder}")
inputs = tokenizer("def fibonacci(n):", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=100)[0], skip_special_tokens=True))
```
""",
    "gguf": """```bash
llama-server -m {file}                              # llama.cpp, then open the address that it prints
ollama create {name} -f Modelfile && ollama run {name} "def fibonacci(n):"
lms import {file}                                   # LM Studio; it is a model to complete text, not to chat
```
""",
    "mlx": """```bash
mlx_lm.generate --model {folder} --prompt "def fibonacci(n):" --temp 0.8 --top-k 40 --top-p 0.9
```
""",
}
LIBRARY = {"hf": "transformers", "gguf": "llama.cpp", "mlx": "mlx"}


@dataclass(frozen=True)
class Subject:
    """What a card is about."""

    trained: TrainedModel
    settings: dict  # of the training
    sha256: str  # of the checkpoint
    model: PortableModel
    kind: str
    dtype: str
    file: Path  # with the weights


def model_card(subject: Subject, compared: Comparison, cost: dict | None) -> str:
    """The whole page."""
    found = {name: _result_of(subject.sha256, name) for name in (CODE_EVAL, "language_modelling")}
    parts = [
        _head(subject),
        "## Run it\n",
        HOW_TO_RUN[subject.kind].format(file=subject.file.name, name=subject.model.name, folder="."),
        _habits(subject),
        "## What it was trained on\n",
        _training(subject),
        *_corpus(subject),
        *_quality(found),
        _limits(subject, found),
        _sameness(subject, compared, cost),
    ]
    return "\n".join(parts)


def _head(subject: Subject) -> str:
    sizes = subject.model.config
    millions = subject.trained.model.parameter_count() / 1e6
    return (
        f"---\nlibrary_name: {LIBRARY[subject.kind]}\npipeline_tag: text-generation\nlanguage: en\n"
        f"tags: [code, python, from-scratch]\n---\n\n"
        f"# {subject.model.name}\n\n"
        f"A small language model that was trained from nothing to go on with Python code and English prose: "
        f"{millions:.1f} million parameters in {sizes.n_layers} layers of the Qwen3 shape, {sizes.vocab_size:,} tokens "
        f"of its own, a context of {subject.model.context_length}. Weights: `{subject.file.name}`, {subject.dtype}.\n"
    )


def _habits(subject: Subject) -> str:
    drawn = ", ".join(f"{name} {value:g}" for name, value in subject.model.sampling.items())
    text = (
        f"It has seen every document begin with `<|endoftext|>`; the files here make programs put it before a prompt. "
        f"It never saw more than {subject.model.context_length} tokens at once. Drawn with {drawn} and no penalty for "
        "repetition it writes as it does in the project that trained it. Programs turn the text `<|endoftext|>` within "
        "a prompt into the token that ends a document; that project reads it as plain characters.\n"
    )
    if subject.kind == "gguf":
        recipe = modelfile(subject.model, subject.file.name)
        text += f"\nThe `Modelfile` for Ollama says the same:\n\n```\n{recipe}```\n"
    return text


def _training(subject: Subject) -> str:
    settings, step = subject.settings, subject.trained.step
    tokens = step * settings["batch_size"] * settings["block_size"] * settings["gradient_accumulation"]
    taken = _seconds_taken(subject)
    duration = f" in {datetime.timedelta(seconds=round(taken))} (h:mm:ss)" if taken else ""
    return (
        f"{step:,} steps, {tokens / 1e6:,.2f} million tokens{duration}, with the optimizer {settings['optimizer']}. "
        f"Corpus: `{Path(settings['corpus_file']).name}`.\n"
    )


def _seconds_taken(subject: Subject) -> float | None:
    """From the training log, if it is the log of this run."""
    try:
        log = json.loads(LOG.read_text(encoding="utf-8"))
        if log["run"]["settings"] != subject.settings:
            return None
        return max((row["seconds"] for row in log["train"] if row["step"] <= subject.trained.step), default=None)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _corpus(subject: Subject) -> list[str]:
    """Sizes and licences of the corpus out of the manifest beside it."""
    corpus = Path(subject.settings["corpus_file"])
    try:
        manifest = json.loads((dataset.PROCESSED / "manifest.json").read_text(encoding="utf-8"))
        held, sources = manifest["corpora"][corpus.stem], manifest["sources"]
        held_out = {entry["source"] for entry in manifest["heldout_code"]["documents"]}
    except (OSError, ValueError, KeyError, TypeError):
        return ["No manifest names its sources.\n"]
    kinds = ("code",) if corpus.stem == "code_corpus" else ("code", "books")
    used = [source for source in sources if source["kind"] in kinds and source["name"] not in held_out]
    count, size = Counter(), Counter()
    for source in used:
        count[source.get("licence", "not stated")] += 1
        size[source.get("licence", "not stated")] += source["bytes_used"]
    rows = [f"| {licence} | {count[licence]} | {size[licence] / 1e6:,.1f} |" for licence, _ in size.most_common()]
    return [
        f"As the manifest beside it says today, it has {held['documents']:,} documents, {held['bytes'] / 1e6:,.1f} MB. "
        "These are its sources by the licence that each states (MB before repetition and subsampling):\n",
        "| licence | sources | MB |\n|---|---:|---:|",
        *rows,
        "\nThis page grants no licence to anything. A model can repeat passages of what it was trained on, and those "
        "stay under the licence of their source; who passes the model on should look at them.\n",
    ]


def _result_of(sha256: str, name: str) -> dict | None:
    """A results file, if it is about this checkpoint."""
    for folder in (RESULTS, *sorted((RESULTS / "measured").glob("*/"))):
        try:
            values = load_result(folder / f"{name}.json")
            if values["about"]["checkpoint"]["sha256"] == sha256:
                return values
        except (ResultError, KeyError, TypeError):
            continue
    return None


def _quality(found: dict[str, dict | None]) -> list[str]:
    if not any(found.values()):
        return ["## How good it is\n", "Not measured: there are no results of this very checkpoint.\n"]
    lines = ["## How good it is\n", "On whole packages and books that it has not seen; intervals are of 95%.\n"]
    if found["language_modelling"]:
        lines.append("| | perplexity | bits per byte |\n|---|---|---|")
        for name, measured in found["language_modelling"]["sets"].items():
            perplexity, bits = measured["all"]["perplexity"], measured["all"]["bits_per_byte"]["model"]
            lines.append(f"| {name} | {_with_interval(perplexity, 1)} | {_with_interval(bits, 3)} |")
        lines.append("")
    if found[CODE_EVAL]:
        lines += ["```", *target_lines({CODE_EVAL: found[CODE_EVAL]}), "```\n"]
    return lines


def _with_interval(measured: dict, digits: int) -> str:
    value, interval = f"{measured['value']:.{digits}f}", measured["interval"]
    return f"{value} ({' to '.join(f'{end:.{digits}f}' for end in interval)})" if interval else value


def _limits(subject: Subject, found: dict[str, dict | None]) -> str:
    functions = (found[CODE_EVAL] or {}).get("function_completion", {}).get("score")
    share = "" if functions is None else f" ({functions:.0%} of the bodies it wrote compile and use what is there)"
    return (
        "## What it can not do\n\n"
        "* It answers no questions and follows no instructions: it goes on with a text. There is no chat template.\n"
        f"* It writes no programs to rely on{share}, and knows no facts: names, numbers and quotations are made up.\n"
        f"* It forgets what lies more than {subject.model.context_length} tokens back, and knows little besides Python "
        "and English.\n"
        "* Nothing was done against harmful, biased or copied text, nor against leaking what stood in its sources.\n"
    )


def _sameness(subject: Subject, compared: Comparison, cost: dict | None) -> str:
    title = "## Is it the same model?\n\n"
    if not compared.same:
        differences = "".join(f"* {difference}\n" for difference in compared.differences)
        return f"{title}**No. Do not use these files.** Read by {compared.program} they differ:\n\n{differences}"
    text = title + (
        f"Read by {compared.program} and compared with the checkpoint (sha256 `{subject.sha256[:16]}`, its weights "
        f"rounded to {subject.dtype}): token ids are equal on {compared.equal_texts} of {compared.texts} texts, "
        f"log-probabilities differ by at most {compared.largest_difference:.1e} behind {compared.places} tokens, and "
        f"{compared.continued} tokens written greedily are the same.\n"
    )
    if cost:
        interval = cost["cost"]["interval"]
        ends = f" ({interval[0]:+.5f} to {interval[1]:+.5f})" if interval else ""
        text += (
            f"Rounding to {subject.dtype} costs {cost['cost']['value']:+.5f} bits per byte{ends} on "
            f"{cost['tokens']:,} tokens of held-out code.\n"
        )
    return text
