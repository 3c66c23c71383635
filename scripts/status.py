"""Shows on one screen how the project stands: environment, data, models, training, settings, and what to do next.

    python scripts/status.py
    python scripts/status.py --plan --preset nano    # times some steps and says what a training will take

It only looks. The standard library is enough, and a missing or damaged file is part of the answer, not an error.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import from the repository root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

if sys.version_info < (3, 11):  # noqa: UP036 - the line is for those who run an older one
    sys.stderr.write(f"error: Python 3.11 or newer is needed, this is {sys.version.split()[0]}; try python3.11\n")
    sys.exit(2)

import argparse
import contextlib
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import textwrap
from dataclasses import dataclass, field

from data.own_files import SUFFIXES, own_files, unseen_kinds
from pretraining.lock import running_process
from pretraining.perplexity import grade, perplexity
from pretraining.settings import PRESETS, ROOT, SettingsError, read_settings
from pretraining.watching.monitor_screen import duration
from pretraining.watching.places_to_edit import GENERATE, MIX, TRAIN, lines_to_edit, plain_values
from pretraining.watching.run_facts import RunFacts, read_facts
from pretraining.watching.same_run import flags_of_run, flags_to_lengthen
from pretraining.watching.wording import age, plural, size

MEASURES = ("perplexity", "average_perplexity", "score")  # what a results file calls its most important numbers
PLAN = "scripts/plan_training.py"
INDENT, WIDTH = 13, 79
# What comes of reading a damaged file, or that of another version.
UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, SyntaxError, RecursionError)


@dataclass
class Project:
    """What several sections need to know; what can not be read stays empty, and the section it belongs to says so."""

    root: Path
    environment: list[str]
    python: str  # as the user types it
    serves: bool  # it has what requirements.txt asks for
    config: dict = field(default_factory=dict)  # CONFIG of train_improved.py
    manifest: dict = field(default_factory=dict)  # of data/processed
    unseen: list[str] = field(default_factory=list)  # kinds of the user's files that the mix does not know
    run: RunFacts | None = None
    process: int | None = None  # that trains now

    def path(self, key: str) -> Path:
        """Where a path of CONFIG leads."""
        return self.root / str(self.config.get(key, PRESETS["default"][key]))

    @property
    def state(self) -> str:
        """Of the training: as the log and the lock have it; "preparing" where the log is not begun; or "none"."""
        state = self.run.progress.state if self.run else "none"
        if state == "running":
            return state if self.process is not None else "interrupted"  # in a log that was copied from elsewhere
        return "preparing" if self.process is not None else state


def look(root: Path) -> Project:
    """Find out what the sections tell."""
    project = Project(root, *look_at_environment(root))
    with contextlib.suppress(*UNREADABLE):
        project.config = plain_values(root / TRAIN)
    with contextlib.suppress(*UNREADABLE):
        path = root / "data/processed/manifest.json"
        manifest = json.loads(path.read_text("utf-8"))
        project.unseen, project.manifest = unseen_kinds(root / "data/raw", manifest, path.stat().st_mtime), manifest
    with contextlib.suppress(*UNREADABLE):
        project.run = read_facts(project.path("log_path"))
    project.process = running_process(project.path("checkpoint_dir"))
    return project


def look_at_environment(root: Path) -> tuple[list[str], str, bool]:
    """Lines about this Python, .venv and the disk; the first that serves, as it is typed; whether there is one."""
    this, own = Path(sys.executable), root / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    names, lines, serving = {this: f"this Python ({sys.version.split()[0]})", own: ".venv"}, [], []
    for python in [python for python in names if python.exists()]:
        command = [str(python), str(root / "scripts/make_environment.py"), "--check"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=30, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            lines.append(f"{names[python]} does not answer: {error}")
            continue
        serving += [python] if done.returncode == 0 else []
        answer = (done.stdout + done.stderr).strip() or f"{python} does not answer"
        lines.append(answer.splitlines()[-1].partition(". Try: ")[0].replace(str(python), names[python]))
    free = f"{size(shutil.disk_usage(root).free)} of disk are free"
    missing = "broken" if own.parents[1].exists() else "not there"
    lines.append(free if own.exists() else f".venv is {missing}{' (nor needed)' if serving else ''}; {free}")
    python = [*serving, this][0]
    if python == this and os.sep not in sys.orig_argv[0]:  # a name, found on the PATH
        return lines, sys.orig_argv[0], bool(serving)
    return lines, str(python.relative_to(root) if python.is_relative_to(root) else python), bool(serving)


def tell_data(project: Project) -> list[str]:
    raw, processed, lines = project.root / "data/raw", project.root / "data/processed", []
    for kind in SUFFIXES:
        sources = plural(len([*raw.glob(f"{kind}/collected/*/source.json")]), "source")
        files = plural(len(own_files(raw, kind)), "file")
        lines.append(f"{'data/raw/' + kind:18} {sources} collected, {files} of yours")
    corpora = sorted(processed.glob("*.txt"), key=lambda path: (path.name.startswith("heldout"), path.name))
    for path in corpora:
        about = project.manifest.get("corpora", {}).get(path.stem)
        documents = plural(about["documents"], "document") if about else ""
        lines.append(f"{path.name:18} {size(path.stat().st_size):>9} {documents:>16}  {age(path)}")
    if not project.manifest and (processed / "manifest.json").is_file():
        lines.append("manifest.json      is damaged; create_mixed_corpus.py writes it anew")
    lines += [] if corpora else ["data/processed     no corpus yet; the first training makes it"]
    return lines + [f"create_mixed_corpus.py has not seen your newest {kind} yet" for kind in project.unseen]


def tell_tokenizer(project: Project) -> list[str]:
    path = project.path("tokenizer_path")
    if not path.is_file():
        return [f"{path.name} is missing; the next training makes one"]
    content = path.read_bytes()
    tokens = len(json.loads(content)["model"]["vocab"])
    return [f"{path.name:18} {tokens:,} tokens, sha256 {hashlib.sha256(content).hexdigest()[:8]}, {age(path)}"]


def tell_models(project: Project) -> list[str]:
    chosen, rows = project.path("config_path").name, []
    with contextlib.suppress(SettingsError):  # an edited preset may name another one
        chosen = Path(read_settings(project.config, [])["config_path"]).name
    for path in sorted((project.root / "model/config").glob("*.json")):
        try:
            sizes = json.loads(path.read_text("utf-8"))
            count = parameter_count(sizes)
            told = f"{count / 1e6:5.1f}M parameters, {sizes['n_layers']} layers of {sizes['hidden_size']}"
        except UNREADABLE as error:
            count, told = 0, f" is damaged: {type(error).__name__}: {error}"
        rows.append((count, f"{path.name:21}{told}{'  <- CONFIG' if path.name == chosen else ''}"))
    return [row for _, row in sorted(rows)] or ["model/config is empty"]


def parameter_count(config: dict) -> int:
    """The trained numbers of a model with these sizes, as GPT(config).parameter_count() counts them."""
    hidden, layers, vocabulary = config["hidden_size"], config["n_layers"], config.get("vocab_size", 8192)
    feed_forward = config.get("ffn_hidden_size") or max(64, hidden * 8 // 3 // 64 * 64)
    norms = 2 * hidden + 2 * (hidden // config["n_heads"])
    return 2 * vocabulary * hidden + layers * (4 * hidden**2 + 3 * hidden * feed_forward + norms) + hidden


def tell_training(project: Project) -> list[str]:
    run, log_path, lines = project.run, project.path("log_path"), []
    if project.state == "preparing":
        lines.append(f"preparing now (process {project.process}): no step is done yet")
    if run is None:
        damaged = [f"{log_path.name} is damaged: nothing is known of the last run"] if log_path.is_file() else []
        return lines + damaged or ["nothing was trained here yet"]
    progress, steps = run.progress, f"step {run.progress.step:,}"
    if run.last_step:
        steps += f" of {run.last_step:,} ({min(1, progress.step / run.last_step):.0%})"
    if project.state == "running":
        left = "" if progress.seconds_left is None else f", {duration(progress.seconds_left)} left"
        lines += [f"running now (process {project.process})", steps + left]
    else:
        ended = ("before that: " if lines else "") + progress.state.replace("running", "interrupted")
        lines.append(f"{ended} {age(log_path)}: {steps} in {duration(progress.seconds)}")
    lines.append(", ".join(run.title + [f"{speed:,.0f} tokens/s" for speed in run.speeds[-1:]]))
    lines += [f"{'training text':14} loss {loss:.3f}" for _, loss in run.training[-1:]]
    for curve in run.held_out:
        value, step = perplexity(curve.latest), curve.points[-1][0]
        when = "" if step == progress.step else f", step {step:,.0f}"
        lines.append(f"{curve.key:14} loss {curve.latest:.3f}, perplexity {value:,.1f} ({grade(value)}{when})")
    return lines


def tell_checkpoints(project: Project) -> list[str]:
    folder, lines = project.path("checkpoint_dir"), []
    best = f"  step {project.run.held_out[0].best[0]:,.0f}" if project.run and project.run.held_out else ""
    for path, step in ((folder / "best.pt", best), (folder / "last.pt", "")):
        if path.is_file():
            lines.append(f"{path.name:18} {size(path.stat().st_size):>9}  {age(path)}{step}")
    if steps := sorted(folder.glob("step_*.pt")):
        whole = size(sum(path.stat().st_size for path in steps))
        lines.append(f"{'step_*.pt':18} {whole:>9}  {plural(len(steps), 'file')}, the newest {steps[-1].name}")
    if earlier := sorted(path.name for path in folder.glob("archive/*/")):
        lines.append(f"{'archive':18} {plural(len(earlier), 'run')}, the newest {earlier[-1]}")
    return lines or ["none yet"]


def tell_evaluation(project: Project) -> list[str]:
    newest, numbers, told = newest_result(project.root), [], "nothing evaluated yet"
    if newest:
        result = json.loads(newest.read_text("utf-8"))
        parts = [(name, part) for name, part in {"": result, **result}.items() if isinstance(part, dict)]
        numbers = [f"{name} {key} {part[key]:.4g}".strip() for name, part in parts for key in MEASURES if key in part]
        told = f"{newest.name}, {age(newest)}"
    plots = ", ".join(path.name for path in sorted((project.root / "evaluation/plots").glob("*.png")))
    return [told + (f"; plots: {plots}" if plots else ""), *([", ".join(numbers[:3])] if numbers else [])]


def tell_settings(project: Project) -> list[str]:
    places, problems = lines_to_edit(project.root)
    try:
        read_settings(project.config, [])
    except SettingsError as error:
        problems.append(f"CONFIG can not be run: {error}")
    head = f"edit them here, or give them as flags; preset of CONFIG: {project.config.get('preset', 'default')}"
    return [
        head,
        *problems,
        *(f"  {place}" for place in places),
        f"  {project.python} {PLAN}   # how long it will take",
    ]


def tell_next(project: Project) -> list[str]:
    """Why, and the one command that makes sense now."""
    state, folder, evaluate = project.state, project.path("checkpoint_dir"), "scripts/full_evaluation.py"
    model = next((path for path in (folder / "best.pt", folder / "last.pt") if path.is_file()), None)
    if state in ("running", "preparing"):
        why, command = "watch the training:", ["scripts/monitor_training.py"]
    elif state == "none" and model is None and not project.manifest:
        why, command = "all the way to a first model, in one command:", ["scripts/quickstart.py"]
    elif not project.serves:
        why, command = "no Python here has what is needed; this makes one:", ["scripts/make_environment.py"]
    elif state in ("stopped", "interrupted"):
        saved = (folder / "last.pt").is_file()
        why, command = "go on where it was saved last:" if saved else "begin again; nothing was saved yet:", [TRAIN]
        with contextlib.suppress(SettingsError):  # what is wrong with CONFIG stands above
            command += flags_of_run(project.run.log["run"]["settings"], project.config, saved)
    elif state == "failed":
        why, command = "it printed what to change; how it went:", ["scripts/monitor_training.py", "--summary"]
    elif project.unseen:
        why, command = "mix your files in:", [MIX]
    elif model is None:
        untouched = project.config.items() <= {**PRESETS["default"], "preset": "default"}.items()
        why, command = "train a model:", [TRAIN, "--preset", "nano"] if untouched else [TRAIN]
    elif written(project.path("corpus_file")) > written(model):
        why, command = "the corpus is newer than the model; train on it:", [TRAIN]
    elif state == "finished" and (folder / "last.pt").is_file() and is_poor(project.run):
        why, command = "it has learnt too little to be looked at; go on:", [TRAIN]
        with contextlib.suppress(SettingsError):
            steps = 2 * project.run.progress.step
            command += flags_to_lengthen(project.run.log["run"]["settings"], project.config, steps)
    elif written(newest_result(project.root)) > written(model):
        why, command = "let the model write:", [GENERATE]
    elif (project.root / evaluate).is_file():
        why, command = "see how good the model is:", [evaluate, "--quick"]
    else:
        why, command = "see what the model writes:", ["scripts/quick_gen_test.py"]
    there = "" if Path.cwd() == project.root else f"cd {shlex.quote(str(project.root))} && "
    return [why, f"  {there}{shlex.join([project.python, *command])}"]


def is_poor(run: RunFacts | None) -> bool:
    """Whether the run's model predicts held-out text so badly that only more training helps."""
    return bool(run and run.held_out) and grade(perplexity(run.held_out[0].latest)) == "poor"


def newest_result(root: Path) -> Path | None:
    """What was evaluated last; the user's first results were another model's."""
    results = [path for path in (root / "evaluation/results").glob("*.json") if path.name != "baseline_v0.json"]
    return max(filter(is_answer, results), key=written, default=None)


def is_answer(path: Path) -> bool:
    """Whether a results file answers a question about a model, and not about speed or exports; a damaged one may."""
    try:
        content = json.loads(path.read_text("utf-8"))
        return not isinstance(content, dict) or "question" in content
    except UNREADABLE:
        return True


def written(path: Path | None) -> float:
    """When a file was written; long ago where there is none."""
    return path.stat().st_mtime if path and path.is_file() else 0.0


GROUPS = (
    {"environment": lambda project: project.environment},
    {"data": tell_data, "tokenizer": tell_tokenizer, "models": tell_models},
    {"training": tell_training, "checkpoints": tell_checkpoints, "evaluation": tell_evaluation},
    {"settings": tell_settings},
    {"next": tell_next},
)


def report(project: Project) -> list[str]:
    """All sections. A line that begins with two spaces is there to be copied or clicked, and stays as it is."""
    lines, margin = [], " " * INDENT
    for group in GROUPS:
        for label, tell in group.items():
            try:
                told = tell(project)
            except UNREADABLE as error:
                told = [f"can not be told, a file is damaged: {type(error).__name__}: {error}"]
            for number, line in enumerate(told):
                head = margin if number else f"{label:{INDENT}}"
                wrapped = textwrap.wrap(line, WIDTH, initial_indent=head, subsequent_indent=margin)
                lines += [line] if line.startswith("  ") else wrapped
        lines.append("")
    return lines[:-1]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", action="store_true", help="what the next training will take; flags of it may follow")
    options, flags = parser.parse_known_args(arguments)
    if options.plan:
        python = look_at_environment(ROOT)[1]  # this one may be bare
        python = str(ROOT / python) if os.sep in python else python
        return subprocess.run([python, str(ROOT / PLAN), *flags], check=False).returncode
    if flags:
        parser.error(f"unrecognized arguments: {' '.join(flags)}")
    sys.stdout.reconfigure(errors="replace")  # for a name that the terminal can not show
    try:
        print("\n".join(report(look(ROOT))), flush=True)
    except BrokenPipeError:  # whoever read this has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
