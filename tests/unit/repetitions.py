"""Is a stated error what it says: of 100 estimates with errors against the truth."""

from collections.abc import Iterable

import numpy as np


def check_coverage(estimates: Iterable[tuple[float, float]], truth: float) -> None:
    """Truth within the error in 60 and within twice it in 90 of 100; errors as large as scatter."""
    found = np.array(list(estimates))
    assert found.shape == (100, 2)
    off = np.abs(found[:, 0] - truth)
    once, twice = (int((off <= n * found[:, 1]).sum()) for n in (1, 2))
    ratio = np.median(found[:, 1]) / found[:, 0].std(ddof=1)
    said = (
        f"mean {found[:, 0].mean():.5g}, truth {truth:.5g}, within one and two errors {once} and "
        f"{twice}, error over scatter {ratio:.2f}"
    )
    print(said)
    assert once >= 60, said
    assert twice >= 90, said
    assert 0.7 < ratio < 1.3, said
