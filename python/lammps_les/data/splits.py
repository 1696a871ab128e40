"""Dealing structures out to training, validation and test."""

from collections.abc import Sequence

import numpy as np

PARTS = ("training", "validation", "test")


def split_by_fraction(
    n: int, validation: float | None, test: float | None, seed: int
) -> tuple[list[int], list[int], list[int]]:
    """Indices of training, validation and test out of n, dealt at random.

    Args:
        n: number of structures.
        validation: share below 1, or number of structures from 1 on; None: none are wanted.
        test: likewise.
        seed: of the shuffle; the same seed gives the same parts.

    Raises:
        ValueError: nothing is left for training, or for validation where some are wanted.
    """
    n_validation, n_test = (_count(n, share or 0.0) for share in (validation, test))
    if (n_validation < 1 and validation is not None) or n - n_validation - n_test < 1:
        raise ValueError(
            f"data.split: {n} structures give {n - n_validation - n_test} for training, "
            f"{n_validation} for validation and {n_test} for test; training and validation need "
            "at least one each"
        )
    order = np.random.default_rng(seed).permutation(n).tolist()
    held_out = n_validation + n_test
    return sorted(order[held_out:]), sorted(order[n_test:held_out]), sorted(order[:n_test])


def _count(n: int, share: float) -> int:
    return round(share * n) if share < 1.0 else int(share)


def check_indices(n: int, parts: Sequence[Sequence[int]]) -> None:
    """Refuse index lists that overlap or go out of range.

    Raises:
        ValueError: says which index.
    """
    seen: set[int] = set()
    for name, part in zip(PARTS, parts, strict=True):
        for index in part:
            if not 0 <= index < n:
                raise ValueError(f"data.split.{name}: index {index}, but there are {n} structures")
            if index in seen:
                raise ValueError(f"data.split.{name}: index {index} stands in the split twice")
            seen.add(index)
