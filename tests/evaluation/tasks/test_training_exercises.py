"""What training gets: nothing of what is held out, all of it run, the same file for the same seed."""

import re
from itertools import islice

import pytest

from data.corpus import read_documents
from evaluation.tasks import training_exercises
from evaluation.tasks.cases import fingerprint
from evaluation.tasks.catalogue import evaluation_tasks
from evaluation.tasks.chains import is_held_out
from evaluation.tasks.exercises import CONSTANTS, TRAINING, WORDING
from evaluation.tasks.steps import read_steps
from evaluation.tasks.templates import HELD_OUT_FAMILIES, TaskError, read_families
from evaluation.tasks.training_exercises import Report, documents, write_exercises


@pytest.fixture(scope="module")
def held_out():
    return [task for task in evaluation_tasks() if task.side != TRAINING]


def test_no_held_out_prompt_begins_a_document(written, held_out):
    heads = {task.prompt for task in held_out}
    assert not [d.text for d in written if any(d.text.startswith(head) for head in heads)]


def test_no_held_out_family_is_there(written):
    assert not {document.exercise.template.family for document in written} & set(HELD_OUT_FAMILIES)
    names = {w.name for t in read_families() if t.family in HELD_OUT_FAMILIES for w in (*t.seen, *t.unseen)}
    assert not [d.text for d in written if names & set(re.findall(r"def (\w+)", d.text))]


def telling(text):
    """The longest stretch of a wording that no constant and no name interrupts, if it is long enough to be its own."""
    longest = max(re.split(r"\$\w+", text), key=len).strip()
    return longest if len(longest) > 18 else ""


def test_no_held_out_wording_is_there(written):
    """By the text alone, whatever the generator believes of it."""
    texts = "\n".join(" ".join(document.text.split()) for document in written)
    for template in read_families():
        for wording in template.unseen:
            if not wording.name.startswith("__"):
                assert f"def {wording.name}(" not in texts, wording
            assert not telling(wording.text) or telling(wording.text) not in texts, wording
    for step in read_steps():
        for wording in step.unseen:
            assert not telling(wording.text) or telling(wording.text) not in texts, wording


def test_no_held_out_constant_is_there(written):
    for document in written:
        for name, value in document.exercise.constants.items():
            assert value not in document.exercise.template.constants[name].unseen, document.text


def test_no_held_out_composition_is_there(written):
    chains = [document for document in written if document.exercise.template.steps]
    assert len(chains) > 200
    assert not [document.text for document in chains if is_held_out(document.exercise.template.steps)]


def test_nothing_computes_what_a_held_out_task_computes(written, held_out):
    """`multiply_all` with an unseen constant may be a chain of one step: other words, the same function."""
    known = {fingerprint(task.exercise) for task in held_out if task.side not in (TRAINING, WORDING)} - {None}
    assert not [document.text for document in written if fingerprint(document.exercise) in known]


def test_the_fingerprint_tells_constants_apart(held_out):
    """Else the last test would pass because nothing is told apart."""
    known = [
        fingerprint(task.exercise)
        for task in held_out
        if task.side == CONSTANTS and not task.exercise.template.class_name
    ]
    assert len(set(known)) > 0.9 * len(known)


def test_documents_differ_and_depend_on_the_seed_alone(written):
    texts = [document.text for document in written]
    assert len(set(texts)) == len(texts)
    assert [document.text for document in islice(documents(3, Report()), 100)] == texts[:100]
    assert [document.text for document in islice(documents(4, Report()), 100)] != texts[:100]


def test_training_is_told_the_same_in_different_words(written):
    """All families, layouts, beginnings and ways to write it, or the tables were for nothing."""
    families = {document.exercise.template.family for document in written}
    assert families >= {template.family for template in read_families()} - set(HELD_OUT_FAMILIES)
    assert {document.exercise.side for document in written} == {TRAINING}
    text = "\n".join(document.text for document in written)
    for part in ('"""Return the ', '"""Get the ', '"""\n    Return', ">>> ", ": list[int]) -> ", "\nassert ", " for "):
        assert part in text, part
    bodies = {}
    for document in written:
        bodies.setdefault(document.exercise.name, set()).add(document.text.split('"""\n', 1)[1])
    assert len(bodies["sum_list"] | bodies["total"]) > 1


def test_a_file_of_exercises(tmp_path, sandbox):
    path = tmp_path / "exercises.txt"
    report = write_exercises(path, 25, 3, sandbox)
    written = list(read_documents(path))
    assert len(written) == 25 == sum(report.families.values())
    for text in written:
        exec(compile(text, "<exercise>", "exec"), {"__name__": "exercise"})  # asserts included
    again = tmp_path / "again.txt"
    write_exercises(again, 25, 3, sandbox)
    assert again.read_bytes() == path.read_bytes()


def test_a_wrong_solution_is_never_written(tmp_path, sandbox, monkeypatch):
    """The sandbox has the last word: where it does not pass a document the run ends, and no file is left."""
    monkeypatch.setattr(training_exercises, "ASSERTS_SHARE", 1)
    monkeypatch.setattr(training_exercises, "_asserts", lambda exercise, cases: "\nassert False\n")
    with pytest.raises(TaskError, match="AssertionError"):
        write_exercises(tmp_path / "exercises.txt", 5, 0, sandbox)
    assert not list(tmp_path.iterdir())


def test_more_than_there_are_is_refused(tmp_path, sandbox, monkeypatch):
    monkeypatch.setattr(training_exercises, "FRUITLESS", 20)
    one = next(training_exercises.draw_exercises(0))
    monkeypatch.setattr(training_exercises, "draw_exercises", lambda seed: iter([one] * 500))
    with pytest.raises(TaskError, match="--count"):
        write_exercises(tmp_path / "exercises.txt", 400, 0, sandbox)
