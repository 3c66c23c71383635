"""The comparison of model sizes: a table that adds up and fits, a picture, and failures that are told."""

import importlib
import json
import os
import subprocess

import pytest

script = importlib.import_module("scripts.compare_model_sizes")
MB = 1_000_000
TRAINING = {
    "batch_size": 16, "block_size": 512, "precision": "bfloat16", "weights": 100 * MB, "gradients": 100 * MB,
    "optimizer": 150 * MB, "before": 250 * MB, "peak": 1600 * MB, "tokens_per_second": 2000.0,
}  # fmt: skip
GENERATION = {"context": 1024, "weights": 100 * MB, "cache": 25 * MB, "peak": 400 * MB, "tokens_per_second": 150.0}


@pytest.fixture
def config_path(tmp_path):
    path = tmp_path / "tiny_config.json"
    path.write_text('{"n_layers": 1, "n_heads": 2, "hidden_size": 64, "max_seq_len": 64, "dropout": 0.0}')
    return path


@pytest.fixture
def measurements(monkeypatch):
    """Stands for the measuring processes: answers at once, and remembers how it was asked."""
    asked = []

    def run(command, **options):
        asked.append(command[2:])
        answer = TRAINING if command[2] == "training" else GENERATION
        return subprocess.CompletedProcess(command, 0, stdout=f"a warning\n{json.dumps(answer)}\n", stderr="")

    monkeypatch.setattr(script.subprocess, "run", run)
    return asked


def compare(capsys, tmp_path, *arguments: str) -> tuple[int, str, str]:
    code = script.main([*map(str, arguments), "--device", "cpu", "--plot", str(tmp_path / "sizes.png")])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def values_of(printed: str, label: str) -> list[str]:
    line = next(line for line in printed.splitlines() if line.startswith(label))
    return [part.strip() for part in line[33:].split("  ") if part.strip()]


def megabytes(printed: str, label: str) -> int:
    return int(values_of(printed, label)[0].removesuffix(" MB").replace(",", ""))


def test_it_measures_each_config_in_processes_of_its_own_and_draws(capsys, tmp_path, config_path):
    """The real thing, once, on a model of one layer, started by a process that has held much more than it needs.

    (On Linux, getrusage's ru_maxrss of a new process begins with what its parent held.)
    """
    ballast = bytearray(1 << 30)
    ballast[::4096] = b"x" * (1 << 18)
    code, out, err = compare(capsys, tmp_path, config_path, "--batch_size", "2")
    assert (code, err) == (0, "")
    assert values_of(out, "Parameters") == ["1,089,792"]
    assert values_of(out, "  batch x block") == ["2 x 64"]
    assert megabytes(out, "  weights") == 4
    assert megabytes(out, "  Python and PyTorch") + 4 < megabytes(out, "  all of it, at its peak") < 1000
    assert (tmp_path / "sizes.png").read_bytes().startswith(b"\x89PNG")


def test_all_committed_configs_are_compared_smallest_first_in_80_columns(capsys, tmp_path, measurements):
    code, out, _ = compare(capsys, tmp_path)
    assert code == 0
    table = out[out.index("\n\n") : out.index("*  measured")]
    assert table.split("\n")[2].split() == ["gpt_nano", "gpt_tiny", "gpt_small"]
    assert max(map(len, table.splitlines())) <= 80
    assert values_of(out, "Parameters") == ["7,211,776", "27,073,792", "45,758,464"]
    assert values_of(out, "Training, preset") == ["nano", "default", "default"]
    assert [command[0] for command in measurements] == ["training", "generation"] * 3
    assert len({tuple(command[2:]) for command in measurements}) == 1, "on one device, in one precision"
    assert measurements[0][2:4] == ["--device", "cpu"] and measurements[0][5] in ("float32", "bfloat16")


def test_the_memory_of_training_adds_up_to_its_peak(capsys, tmp_path, measurements):
    _, out, _ = compare(capsys, tmp_path)
    labels = ("  weights", "  gradients", "  optimizer state", "  activations and the rest", "  Python and PyTorch")
    parts = [megabytes(out, label) for label in labels]
    assert parts == [100, 100, 150, 1000, 250]
    assert values_of(out, "  all of it, at its peak")[0] == f"{sum(parts):,} MB"


def test_the_hours_are_computed_from_the_speed(capsys, tmp_path, measurements):
    _, out, _ = compare(capsys, tmp_path)
    assert values_of(out, "  hours for 20.48M tokens") == ["2.8"] * 3  # 20,480,000 / 2,000 / 3,600
    assert "** computed from the speed" in out


def test_many_configs_make_several_tables(capsys, tmp_path, config_path, measurements):
    paths = []
    for number in range(4):
        paths.append(tmp_path / f"size{number}_config.json")
        paths[-1].write_text(config_path.read_text())
    _, out, _ = compare(capsys, tmp_path, *paths)
    assert out.count("Generation, context") == 2
    assert max(len(line) for line in out.splitlines() if "MB" in line) <= 80


def test_a_measurement_that_fails_leaves_a_gap_and_exit_code_1(capsys, tmp_path, monkeypatch, config_path):
    """The largest model may not fit into memory: the others are worth knowing all the same."""

    def run(command, **options):
        if command[2] == "training":
            return subprocess.CompletedProcess(command, -9, stdout="", stderr="")
        return subprocess.CompletedProcess(command, 0, stdout=json.dumps(GENERATION), stderr="")

    monkeypatch.setattr(script.subprocess, "run", run)
    code, out, err = compare(capsys, tmp_path, config_path)
    assert code == 1
    assert err.startswith("error: tiny, training: the system ended it, most likely because memory ran out")
    assert values_of(out, "  gradients") == ["-"]
    assert values_of(out, "  keys and values") == ["25 MB"]
    assert (tmp_path / "sizes.png").exists()


def test_where_the_system_tells_no_peak_the_rest_is_shown(capsys, tmp_path, monkeypatch, config_path):
    """Windows has no counter that the standard library could read."""
    answer = TRAINING | GENERATION | {"peak": None, "before": None}
    done = subprocess.CompletedProcess([], 0, stdout=json.dumps(answer), stderr="")
    monkeypatch.setattr(script.subprocess, "run", lambda command, **options: done)
    code, out, _ = compare(capsys, tmp_path, config_path, config_path)
    assert code == 0
    assert values_of(out, "  all of it, at its peak") == values_of(out, "  activations and the rest") == ["-"] * 2
    assert values_of(out, "  tokens per second") == ["150"] * 2


def test_a_wrong_config_is_refused_before_anything_is_measured(capsys, tmp_path, config_path, measurements):
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"n_layers": 1, "n_heads": 3, "hidden_size": 64, "max_seq_len": 64}')
    code, out, err = compare(capsys, tmp_path, config_path, wrong)
    assert (code, out) == (2, "")
    assert "hidden_size 64 does not divide by n_heads 3" in err
    assert not measurements


def test_a_busy_or_small_machine_is_mentioned(capsys, tmp_path, config_path, measurements, monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (99.0, 0, 0), raising=False)
    assert "load 99.0" in compare(capsys, tmp_path, config_path)[1]
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0, 0))
    monkeypatch.setattr(script, "physical_memory", lambda: 8 << 30)
    assert "more than 8 GB; if it crawls, try --batch_size 4" in compare(capsys, tmp_path, config_path)[1]
    monkeypatch.setattr(script, "physical_memory", lambda: None)
    assert "Note" not in compare(capsys, tmp_path, config_path)[1]
