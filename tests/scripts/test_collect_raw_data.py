"""The collection as its user meets it: what it says, and that a second run has nothing to do."""

import importlib

import pytest

from data.corpus import CorpusError

script = importlib.import_module("scripts.collect_raw_data")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the script with a collection that takes one package from the installation and none from the network."""
    collected = []

    def collect_installed(raw, requirements, report):
        assert requirements.name == "requirements.txt" and requirements.exists()
        (report.present if collected else report.collected).append("json 1.0: 5 files")
        collected.append("json")

    def collect_pinned(raw, sources, report):
        report.left_out.append("boltons 26.2.0, toolz 1.2.0: no network? ConnectError")

    monkeypatch.setattr(script, "collect_installed", collect_installed)
    monkeypatch.setattr(script, "collect_pinned", collect_pinned)
    return lambda *flags: script.main(["--raw_dir", str(tmp_path / "raw"), *flags])


def test_it_goes_on_without_a_network_and_says_what_is_missing(run, capsys):
    assert run() == 0
    output = capsys.readouterr().out
    assert "+ json 1.0: 5 files" in output and "- left out: boltons 26.2.0, toolz 1.2.0: no network?" in output
    assert "1 sources collected" in output


def test_a_second_run_says_that_there_is_nothing_to_do(run, capsys):
    run()
    capsys.readouterr()
    assert run() == 0
    assert "nothing to do: 1 sources are there already" in capsys.readouterr().out


def test_offline_asks_no_index(run, monkeypatch, capsys):
    monkeypatch.setattr(script, "collect_pinned", lambda *arguments: pytest.fail("the network was asked"))
    assert run("--offline") == 0
    assert "left out: the pinned packages and books: --offline" in capsys.readouterr().out


@pytest.mark.parametrize("error", [CorpusError("broken"), PermissionError(13, "Permission denied", "raw")])
def test_what_stops_it_is_one_line_and_exit_code_2(run, monkeypatch, capsys, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(script, "collect_installed", fail)
    assert run() == 2
    assert capsys.readouterr().err.startswith("error: ")
