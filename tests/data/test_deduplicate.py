"""MinHash against the sets it estimates, and what follows from it for near duplicates."""

import random
import re

import numpy
import pytest

from data.deduplicate import (
    HASHES,
    STANDARD_ERROR,
    estimate,
    jaccard,
    near_duplicates,
    pairs_alike,
    shingles,
    signature,
)

WORDS = [f"word{number}" for number in range(500)]


def text_of(generator, length=600):
    return " ".join(generator.choice(WORDS) for _ in range(length))


def changed(text, generator, share):
    """The text with about a share of its words replaced."""
    return " ".join(generator.choice(WORDS) if generator.random() < share else word for word in text.split())


def plain_jaccard(text, other):
    """The slow and obvious reference: sets of five words."""

    def runs(text):
        words = re.findall(rb"[\w\x80-\xff]+", text.encode())
        length = max(1, min(5, len(words)))
        return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)} or {()}

    left, right = runs(text), runs(other)
    return len(left & right) / len(left | right)


def test_shingles_are_sets_of_five_words_whatever_stands_between():
    assert jaccard("a = b + c * d - e", "a(b, c)[d]\n\t{e}") == 1
    assert jaccard("one two", "one three") == 0
    assert jaccard("", "...") == 1
    assert len(shingles("a b c d e f a b c d e")) == 6
    assert jaccard("naïve café x y z", "na ve caf x y z") == 0  # letters beyond ASCII belong to their words


def test_similarity_is_that_of_the_plain_sets():
    generator = random.Random(1)
    for share in (0, 0.02, 0.1, 0.5, 1):
        text = text_of(generator)
        other = changed(text, generator, share)
        assert jaccard(text, other) == pytest.approx(plain_jaccard(text, other), abs=1e-12)


def test_signatures_estimate_the_similarity():
    """60 pairs from nearly equal to different: unbiased, and spread no more than 128 coin tosses allow."""
    generator = random.Random(2)
    errors = []
    for number in range(60):
        text = text_of(generator)
        other = changed(text, generator, (number % 12) / 60)
        (estimated,) = estimate(signature(other)[None], signature(text))
        errors.append(estimated - plain_jaccard(text, other))
    assert abs(numpy.mean(errors)) < 3 * STANDARD_ERROR / 60**0.5
    assert numpy.std(errors) < 1.2 * STANDARD_ERROR
    assert max(map(abs, errors)) < 4 * STANDARD_ERROR


def test_a_signature_depends_on_the_text_alone():
    text = text_of(random.Random(3), 20_000)  # more shingles than one block
    assert signature(text).dtype == numpy.uint32 and signature(text).shape == (HASHES,)
    assert (signature(text) == signature(text)).all()
    assert signature("def f():\n    return 1\n")[:2].tolist() == [2660659137, 2595409013]  # on every machine


def near(signatures, keep_anyway=()):
    kept = numpy.zeros(len(signatures), dtype=bool)
    kept[list(keep_anyway)] = True
    return near_duplicates(numpy.array(signatures), kept)


def test_the_later_of_two_alike_goes_unless_it_is_kept_anyway():
    generator = random.Random(4)
    first, other = text_of(generator), text_of(generator)
    copy = changed(first, generator, 0.02)
    assert plain_jaccard(first, copy) > 0.75
    signatures = [signature(text) for text in (first, other, copy)]
    assert near(signatures) == {2: 0}
    assert near(signatures, keep_anyway=[2]) == {}
    assert near([signatures[2], signatures[1], signatures[0]], keep_anyway=[0]) == {2: 0}


def test_texts_that_share_less_are_no_duplicates():
    generator = random.Random(5)
    texts = [text_of(generator)]
    texts += [changed(texts[0], generator, 0.12) for _ in range(5)]
    assert max(plain_jaccard(texts[0], text) for text in texts[1:]) < 0.6
    assert near([signature(text) for text in texts]) == {}


def test_bands_find_nearly_all_pairs_that_are_alike():
    generator = random.Random(6)
    texts = [text_of(generator) for _ in range(150)]
    copies = [changed(text, generator, 0.015) for text in texts]
    found = near([signature(text) for text in texts + copies])
    assert all(found[number] == number - 150 for number in found)
    assert len(found) >= 0.97 * sum(plain_jaccard(*pair) >= 0.75 for pair in zip(texts, copies, strict=True))


def test_held_out_pairs_are_decided_by_the_texts_themselves():
    """Around the threshold an estimate alone would be wrong half of the time."""
    generator = random.Random(7)
    heldout = [text_of(generator) for _ in range(20)]
    training = [changed(text, generator, share) for text in heldout for share in (0.04, 0.06, 0.07, 0.08, 0.2)]
    found = set(
        pairs_alike(
            numpy.array([signature(text) for text in heldout]),
            numpy.array([signature(text) for text in training]),
            heldout.__getitem__,
            training.__getitem__,
        )
    )
    expected = {
        (one, other)
        for one in range(len(heldout))
        for other in range(len(training))
        if plain_jaccard(heldout[one], training[other]) >= 0.5
    }
    assert found == expected
    assert 20 < len(expected) < 80  # the threshold lies in the middle of what was tried
