"""The tables: what is read from them, and what every entry must keep to, so that what is held out stays apart."""

import random

import pytest

from evaluation.tasks.cases import draw_cases, edge_cases
from evaluation.tasks.exercises import TRAINING, fill
from evaluation.tasks.inputs import KINDS
from evaluation.tasks.steps import read_steps
from evaluation.tasks.templates import HELD_OUT_FAMILIES, TaskError, Values, Wording, read_families, read_family

TEMPLATES = read_families()
STEPS = read_steps()
BLOCK = """## a heading
=== numbers: ints, n: small; limit = 2, 3 | 4; sep = ", " | "-"
count_above: Return how many of $numbers exceed $limit.
* how_many: How many are more than $limit?
+++
import math
---
return 1
---
for number in numbers:
    pass
return 1

=== amount: natural; class Account(balance: natural); then get name
deposit: Add.
* receive: Get.
---
return amount
"""


def read(tmp_path, text):
    path = tmp_path / "money.txt"
    path.write_text(text, encoding="utf-8")
    return read_family(path)


def test_a_block_is_read_as_its_description_says(tmp_path):
    counting, account = read(tmp_path, BLOCK)
    assert (counting.family, counting.key, counting.manner) == ("money", "count_above", "returns")
    assert counting.parameters == {"numbers": "ints", "n": "small"}
    assert counting.constants == {"limit": Values((2, 3), (4,)), "sep": Values((", ",), ("-",))}
    assert counting.unseen == (Wording("how_many", "How many are more than $limit?"),)
    assert counting.above == "import math\n"
    assert counting.bodies == ("return 1", "for number in numbers:\n    pass\nreturn 1")
    assert (account.manner, account.class_name, account.then) == ("class", "Account", ("get", "name"))
    assert account.class_parameters == {"balance": "natural"}


@pytest.mark.parametrize("mistake", [("* how_many", "how_many"), ("ints,", "numberz,"), ("---", "")])
def test_a_mistake_in_a_table_is_named(tmp_path, mistake):
    with pytest.raises(TaskError, match=r"numberz|money\.txt"):
        read(tmp_path, BLOCK.replace(*mistake))


def test_no_name_is_both_seen_and_unseen():
    """A small model knows a function by its name: an unseen wording with a known name would be half known."""
    trained = [template for template in TEMPLATES if template.family not in HELD_OUT_FAMILIES]
    seen = {wording.name for template in trained for wording in template.seen if not wording.name.startswith("__")}
    held_out = [template for template in TEMPLATES if template.family in HELD_OUT_FAMILIES]
    unseen = {wording.name for template in TEMPLATES for wording in template.unseen}
    unseen |= {wording.name for template in held_out for wording in template.seen}
    assert not seen & unseen
    assert not {w.name for step in STEPS for w in step.seen} & {w.name for step in STEPS for w in step.unseen}


def test_no_text_is_used_twice():
    texts = [wording.text for template in TEMPLATES for wording in (*template.seen, *template.unseen)]
    assert sorted(set(texts)) == sorted(texts)
    phrases = [(step.takes, wording.text) for step in STEPS for wording in (*step.seen, *step.unseen)]
    assert sorted(set(phrases)) == sorted(phrases)


def test_keys_are_unlike_each_other_and_no_builtins():
    keys = [(template.family, template.key) for template in TEMPLATES]
    assert len(set(keys)) == len(keys)
    assert all(not hasattr(__builtins__, step.key) and step.key not in dir(__builtins__) for step in STEPS)


def test_no_constant_is_both_seen_and_unseen():
    """Nor is there none that is unseen, or the side of unseen constants would have nothing to ask."""
    for owner in (*TEMPLATES, *STEPS):
        for values in owner.constants.values():
            assert values.seen and values.unseen, owner.key
            assert not set(map(repr, values.seen)) & set(map(repr, values.unseen)), owner.key


def test_all_ways_to_write_a_template_compute_the_same():
    """Plain exec, since all of this is ours; what the sandbox says of it is asked of a sample elsewhere."""
    for template in TEMPLATES:
        dice = random.Random(template.key)
        exercise = fill(template, TRAINING, dice)
        cases = edge_cases(exercise, dice) + draw_cases(exercise, 40, dice)
        for number in range(len(template.bodies)):
            program = exercise.subject.program(exercise.prompt(cases[:4]) + exercise.body(number))
            wrong = [case for case in cases if program(case.arguments) != case.outcome]
            assert not wrong, (template.family, template.key, template.bodies[number], wrong[0])


def test_references_raise_only_what_they_mean_to_raise():
    """An exception that nobody meant would become the expected outcome, and a crash would pass."""
    for template in TEMPLATES:
        if "raise" not in "".join(template.bodies):
            exercise = fill(template, TRAINING, random.Random(template.key))
            outcomes = [case.outcome for case in draw_cases(exercise, 40, random.Random(1))]
            flat = [part for outcome in outcomes for part in (outcome if isinstance(outcome, list) else [outcome])]
            assert not any(isinstance(part, type) for part in flat), template.key


def test_every_kind_draws_values_of_its_annotation():
    names = {
        "int": int,
        "float": float,
        "bool": bool,
        "str": str,
        "list": list,
        "dict": dict,
        "tuple": tuple,
        "set": set,
    }
    dice = random.Random(0)
    for name, kind in KINDS.items():
        expected = names[kind.annotation.split("[")[0]]
        values = [kind.draw(dice, [3, "ab", 70]) for _ in range(50)] + list(kind.edges)
        assert all(type(value) is expected for value in values), name
        assert len(set(map(repr, values))) > 1, name


def test_draws_meet_limits_exactly():
    """Else `>` and `>=` would look alike."""
    dice = random.Random(0)
    drawn = [KINDS["integer"].draw(dice, [17]) for _ in range(100)]
    assert min(drawn.count(value) for value in (16, 17, 18)) >= 4
