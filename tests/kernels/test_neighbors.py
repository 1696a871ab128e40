"""Kernels of the neighbor list, played or on a GPU, against all pairs."""

from pathlib import Path

import numpy as np
import pytest
from played import CUTOFF, LISTS, REACH, Played, assert_same_bits, complaint, neighbor_input, play


@pytest.fixture(scope="module")
def results(gpu: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play(tmp_path_factory.mktemp("played"), gpu, ["neighbors"])


def test_order_of_threads_does_not_matter(results: Played) -> None:
    assert_same_bits(results)


def assert_list(name: str, found: dict[str, np.ndarray]) -> None:
    """All pairs of centers and atoms that are seen, each once."""
    given = neighbor_input(name)
    x, number = given["x"].numpy(), given["number"].numpy()
    seen = number >= 0
    own = np.flatnonzero(seen[: given["centers"]])
    distance = np.sqrt(((x[own, None] - x) ** 2).sum(2))
    distance[:, ~seen] = np.inf
    distance[np.arange(len(own)), own] = np.inf
    first, atom = found[f"neighbors {name}_first"], found[f"neighbors {name}_atom"]
    assert first[0] == 0
    assert first[-1] == len(atom) > 0
    np.testing.assert_array_equal(found[f"neighbors {name}_own"], own)
    np.testing.assert_array_equal(found[f"neighbors {name}_number"], number[atom])
    for row, d in enumerate(distance):
        listed = atom[first[row] : first[row + 1]]
        np.testing.assert_array_equal(np.sort(listed), np.flatnonzero(d < REACH))
    assert found[f"neighbors {name}_most"] == (distance < CUTOFF).sum(1).max()


@pytest.mark.parametrize("name", LISTS)
def test_all_pairs(name: str, results: Played) -> None:
    assert_list(name, results["ascending"])


def assert_lists(found: dict[str, np.ndarray]) -> None:
    for name in LISTS:
        assert_list(name, found)


FAULTS = {
    "the last cell left out": ("high[k] = c < a.cells.count[k] - 1 ? c + 1 : c;", "high[k] = c;"),
    "an atom neighbors itself": ("t < end && t != s && square", "t < end && square"),
    "hidden atoms are seen": ("if (a.number[i] >= 0) {", "if (true) {"),
    "ghosts are centers": ("a.atom[s] < a.centers && ", ""),
    "lanes beyond the end": ("visit(t < end && t != s", "visit(t != s"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_noticed(fault: str, fake_cuda: dict[str, str], tmp_path: Path) -> None:
    check = {"neighbors": assert_lists}
    assert complaint(tmp_path, fake_cuda, "=>".join(FAULTS[fault]), check) != ""
