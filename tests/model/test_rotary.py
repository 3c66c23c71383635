"""Rotary positions: only the distance between two tokens may count, in the layout that other programs read."""

import cmath

import torch

from model.architecture.rotary import apply_rotary, rotary_tables

HEAD_SIZE, LENGTH, THETA = 8, 12, 100.0


def turned_everywhere(vector: torch.Tensor) -> torch.Tensor:
    """The same vector at every position, turned: (length, head_size)."""
    cos, sin = rotary_tables(HEAD_SIZE, LENGTH, THETA)
    return apply_rotary(vector.expand(1, 1, LENGTH, HEAD_SIZE), cos.double(), sin.double())[0, 0]


def test_scores_depend_on_the_distance_alone():
    generator = torch.Generator().manual_seed(1)
    query, key = torch.randn(2, HEAD_SIZE, generator=generator, dtype=torch.float64)
    scores = turned_everywhere(query) @ turned_everywhere(key).T  # (query position, key position)
    for distance in range(LENGTH):
        same_distance = scores.diagonal(-distance)
        # The tables are float32, so equal angles differ by its rounding.
        torch.testing.assert_close(same_distance, same_distance[:1].expand_as(same_distance), rtol=0, atol=1e-5)
    by_distance = scores[:, 0]
    assert (by_distance[:, None] - by_distance).abs().fill_diagonal_(1).min() > 1e-3, "distances must be told apart"


def test_each_pair_is_turned_like_a_complex_number():
    """Feature i and feature i + head_size / 2 are the two parts of a number multiplied by exp(i angle)."""
    generator = torch.Generator().manual_seed(2)
    vector = torch.randn(HEAD_SIZE, generator=generator, dtype=torch.float64)
    turned = turned_everywhere(vector)
    half = HEAD_SIZE // 2
    for position in range(LENGTH):
        for pair in range(half):
            angle = position * THETA ** (-2 * pair / HEAD_SIZE)
            expected = complex(vector[pair], vector[pair + half]) * cmath.exp(1j * angle)
            assert abs(complex(turned[position, pair], turned[position, pair + half]) - expected) < 1e-5


def test_the_first_position_is_not_turned():
    vector = torch.arange(1.0, HEAD_SIZE + 1, dtype=torch.float64)
    assert torch.equal(turned_everywhere(vector)[0], vector)
