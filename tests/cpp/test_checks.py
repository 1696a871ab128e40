"""What `_core` is given is checked: odd arguments end in an exception that names them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lammps_les import _core
from lammps_les.electrostatics import wave_vector_triples

NAN, INF = float("nan"), float("inf")
N, E = 4, 6
CELL = 9.0 * torch.eye(3, dtype=torch.float64)
CONSTANTS = {"sigma": 1.0, "dl": 2.0, "norm": 1.0, "remove_self": True}


def rows(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def with_value(tensor: Tensor, value: float) -> Tensor:
    changed = tensor.clone()
    changed.view(-1)[1] = value
    return changed


# wrong in the place of any float64 tensor [n, 3]
ODD_ROWS = {
    "float32": rows(N, 3).float(),
    "complex": rows(N, 3).to(torch.complex128),
    "integers": torch.ones(N, 3, dtype=torch.int64),
    "two columns": rows(N, 2),
    "flat": rows(3 * N),
    "one axis more": rows(N, 3, 1),
    "no axis": torch.tensor(1.0, dtype=torch.float64),
    "sparse": rows(N, 3).to_sparse(),
    "of no device": rows(N, 3).to("meta"),
    "nan": with_value(rows(N, 3), NAN),
    "inf": with_value(rows(N, 3), -INF),
    "far away": with_value(rows(N, 3), -1.1e8),
}
ODD_CELLS = {
    "a number": torch.tensor(9.0, dtype=torch.float64),
    "two vectors": CELL[:2],
    "flat": CELL.view(-1),
    "no volume": torch.ones(3, 3, dtype=torch.float64),
    "nearly none": torch.cat([CELL[:2], CELL[:1] + CELL[1:2] + 1e-13]),
    "zero": torch.zeros(3, 3, dtype=torch.float64),
    "nan": with_value(CELL, NAN),
    "inf": with_value(CELL, INF),
    "integers": CELL.to(torch.int64),
}


def edges() -> Tensor:
    return torch.tensor([[0, 0, 1, 1, 2, 3], [1, 2, 0, 3, 0, 1]])


def indices(*, place: tuple[int, int] = (1, 0), value: int = 0) -> Tensor:
    index = edges()
    index[place] = value
    return index


GRAPH = {
    "positions": rows(N, 3),
    "n_owned": N,
    "species": torch.tensor([0, 1, 1, 0]),
    "edge_vectors": rows(E, 3) + 1.0,
    "edge_index": edges(),
    "cell": CELL,
}
# argument: wrong values, each of which is named in the error
ODD_GRAPHS: dict[str, list] = {
    "positions": [*ODD_ROWS.values(), rows(N + 1, 3), rows(0, 3)],
    "n_owned": [-1, N + 1, 2**62, -(2**62)],
    "species": [
        torch.tensor([0, 1, 1]),
        torch.tensor([0, 1, 1, 2]),
        torch.tensor([0, 1, 1, -1]),
        torch.tensor([0, 1, 1, 2**60]),
        torch.tensor([0, 1, 1, 0], dtype=torch.int32),
        torch.tensor([0.0, 1.0, 1.0, 0.0]),
        torch.tensor([[0, 1, 1, 0]]),
    ],
    "edge_vectors": [*ODD_ROWS.values(), rows(E - 1, 3), rows(0, 3), with_value(rows(E, 3), NAN)],
    "edge_index": [
        indices(value=N),
        indices(value=-1),
        indices(value=2**60),
        indices(place=(0, 0), value=-1),
        indices(place=(0, 5), value=N),
        indices(place=(0, 0), value=3),
        edges().t().contiguous(),
        edges().int(),
        edges().double(),
        edges()[:1],
        edges()[0],
    ],
    "cell": list(ODD_CELLS.values()),
    "reference_cell": list(ODD_CELLS.values()),
}


@pytest.mark.parametrize("name", ["linear", "two_layers", "deep", "wrapped"])
def test_evaluator(name: str, toy_model: Callable[..., Path]) -> None:
    evaluator = _core.Evaluator(str(toy_model(name)))
    right = evaluator.evaluate(**GRAPH)
    for argument, values in ODD_GRAPHS.items():
        for value in values:
            about = argument
            if argument == "positions" and isinstance(value, Tensor) and value.dim() == 2:
                about = "positions|species"  # which has another number of rows then
            with pytest.raises(ValueError, match=rf"^({about})\b.*: expected"):
                evaluator.evaluate(**{**GRAPH, argument: value})
    # nothing of that is left
    again = evaluator.evaluate(**GRAPH)
    for key, value in right.items():
        torch.testing.assert_close(again[key], value, rtol=0, atol=0)


def test_ghosts_are_for_networks_of_one_piece(toy_model: Callable[..., Path]) -> None:
    ghosts = {**GRAPH, "n_owned": 3, "edge_index": indices(place=(0, 5), value=2)}
    one_layer = _core.Evaluator(str(toy_model("linear"))).evaluate(**ghosts)
    assert one_layer["energies"].shape == (3, 2)
    assert one_layer["forces"].shape == (N, 3)
    with pytest.raises(ValueError, match="edge_index: centers: expected integers from 0 to 2"):
        _core.Evaluator(str(toy_model("linear"))).evaluate(**{**GRAPH, "n_owned": 3})
    with pytest.raises(ValueError, match="n_owned: expected the number of atoms, or fewer for a"):
        _core.Evaluator(str(toy_model("two_layers"))).evaluate(**ghosts)


def test_nothing_at_all(toy_model: Callable[..., Path]) -> None:
    none = {"positions": rows(0, 3), "n_owned": 0, "species": torch.zeros(0, dtype=torch.int64)}
    none |= {"edge_vectors": rows(0, 3), "edge_index": torch.zeros(2, 0, dtype=torch.int64)}
    for name in ("linear", "two_layers", "harmonic"):
        evaluator = _core.Evaluator(str(toy_model(name)))
        for cell in (CELL, None):
            result = evaluator.evaluate(**none, cell=cell, bec=True, centroid_virial=True)
            assert result["energies"].shape == (0, 2)
            assert result["bec"].shape == (0, 3, 3)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"bec": "global"}, "bec: expected one of 'local', 'phase', got global"),
        ({"kspace": ""}, "kspace: expected one of 'auto', 'direct', 'mesh', got "),
        ({"store": -1.0}, "store: expected a number from 0 to 1e"),
        ({"store": NAN}, "store: expected a number from 0 to 1e"),
        ({"store": 1e300}, "store: expected a number from 0 to 1e"),
        *(
            ({"device": name}, f"device: expected cpu, cuda or cuda:N, got {name}$")
            for name in ("", "gpu", "meta", "mps", "cuda:-1", "cuda:", "cuda:1e1", "cpu cuda")
        ),
        ({"device": "cuda:100"}, "device: expected one that is there, and torch sees . CUDA GPU"),
        ({"epsilon_inf": torch.eye(2, dtype=torch.float64)}, r"epsilon_inf: expected .*\[3, 3\]"),
        ({"epsilon_inf": -CELL}, "epsilon_inf: expected a symmetric matrix with eigenvalues"),
        ({"epsilon_inf": CELL + CELL.flip(0).triu()}, "epsilon_inf: expected a symmetric matrix"),
        ({"epsilon_inf": NAN * CELL}, "epsilon_inf: expected finite numbers"),
    ],
)
def test_options_of_the_evaluator(options: dict, text: str, toy_model: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match=text) as raised:
        _core.Evaluator(str(toy_model("linear")), **options)
    assert "\n" not in str(raised.value)


def test_long_range() -> None:
    right = {"positions": rows(N, 3), "charges": rows(N, 2), "cell": CELL, **CONSTANTS}
    _core.long_range(**right)
    mesh = {"mesh_accuracy": 1e-4}
    wrong: list[tuple[str, dict]] = [
        *(("positions", {"positions": value}) for value in ODD_ROWS.values()),
        *(
            ("charges", {"charges": value})
            for name, value in ODD_ROWS.items()
            if name not in ("float32", "two columns", "far away")
        ),
        *(("cell", {"cell": value}) for value in ODD_CELLS.values()),
        *(("setup_cell", {"setup_cell": value}) for value in ODD_CELLS.values()),
        ("charges", {"charges": rows(N + 1, 2)}),
        ("charges", {"charges": rows(N, 2).half()}),
        ("charges", {"charges": torch.ones(N, 2, dtype=torch.int64)}),
        ("charges", {"charges": with_value(rows(N, 2), NAN)}),
        *((name, {name: value}) for name in ("sigma", "dl") for value in (0.0, -1.0, NAN, INF)),
        *(("norm", {"norm": value}) for value in (NAN, INF, -INF)),
        *(("self_factor", {"self_factor": value}) for value in (NAN, INF)),
        *(("open_shift", {"open_shift": value}) for value in (-1.0, NAN, INF)),
        *(("accuracy", {"mesh_accuracy": value}) for value in (0.0, -1.0, 2.0, NAN, INF)),
        *(("spacing", {**mesh, "mesh_spacing": value}) for value in (-1.0, NAN, INF)),
    ]
    for name, change in wrong:
        with pytest.raises(ValueError, match=name):
            _core.long_range(**{**right, **change})
    for order in (-1, 4, 11, 2**31 - 1):
        with pytest.raises(RuntimeError, match=f"a window of {order} points is not implemented"):
            _core.long_range(**right, **mesh, mesh_order=order)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"dl": 1e-3}, r"the direct sum would need 2\.92e\+12 wave vectors in a cell of 9 x 9 x 9"),
        ({"dl": 1e-300}, "the direct sum would need inf wave vectors"),
        ({"cell": 1e9 * CELL}, "the direct sum would need .* use kspace mesh"),
        ({"mesh_accuracy": 1e-5, "mesh_spacing": 1e-4}, r"a mesh of 7\.29e\+14 points would be"),
        ({"mesh_accuracy": 1e-5, "mesh_spacing": 1e-300}, "a mesh of .* give a larger spacing"),
        ({"mesh_accuracy": 1e-5, "cell": 1e4 * CELL}, "a mesh of .*; take more ranks"),
        ({"mesh_accuracy": 1e-5, "dl": 1e-300}, "a mesh of .* points would be needed"),
        ({"mesh_accuracy": 1e-12}, "a window of 10 points cannot reach the accuracy asked for"),
    ],
)
def test_what_is_too_large_is_told_before_it_is_made(change: dict, text: str) -> None:
    arguments = {"positions": rows(N, 3), "charges": rows(N, 1), "cell": CELL, **CONSTANTS}
    with pytest.raises(RuntimeError, match=text) as raised:
        _core.long_range(**{**arguments, **change})
    assert "\n" not in str(raised.value)


def test_the_plain_sums_have_the_same_bound() -> None:
    """The smallest cube beyond it, |n| <= 171."""
    cell = 343.0 * CELL / 9.0
    with pytest.raises(RuntimeError, match=r"need 2\.02e\+07 wave vectors .* more than the 2e\+07"):
        _core.long_range(rows(1, 3), rows(1, 1), cell, **CONSTANTS)
    with pytest.raises(ValueError, match=r"need 20176803\.5 wave .* more than 20000000\.0"):
        wave_vector_triples(cell, CONSTANTS["dl"])


def test_solver() -> None:
    constants = {"sigma": 1.0, "dl": 2.0, "norm": 1.0}
    for kind, cell, text in (
        ("ewald", CELL, "kind: expected one of 'direct', 'mesh', 'open', got ewald"),
        ("direct", None, "cell: expected three lattice vectors, and none for 'open', got none"),
        ("mesh", None, "cell: expected three lattice vectors, and none for 'open', got none"),
        ("open", CELL, "cell: expected three lattice vectors, and none for 'open', got some"),
        ("direct", 0.0 * CELL, "cell: expected three lattice vectors that span a volume"),
    ):
        with pytest.raises(ValueError, match=text):
            _core.Solver(kind, cell, **constants)
    direct, mesh = (_core.Solver(kind, CELL, **constants) for kind in ("direct", "mesh"))
    positions, sources = rows(N, 3), rows(N, 2, 1)
    for name, arguments in (
        ("sources", (positions, sources[:-1])),
        ("sources", (positions, sources[:, :, 0])),
        ("sources", (positions, with_value(sources, INF))),
        ("positions", (positions.float(), sources)),
    ):
        for call in (direct.apply, mesh.moments):
            with pytest.raises(ValueError, match=f"^{name}: expected"):
                call(*arguments)
    of_direct = direct.apply(positions, sources)
    for call, r, s in (
        (mesh.apply, positions, sources),
        (direct.apply, positions[:2], sources[:2]),
        (direct.apply, positions, sources[:, :1]),
        (direct.apply, positions, sources.float()),
    ):
        with pytest.raises(ValueError, match="earlier: expected what this solver gave for sources"):
            call(r, s, of_direct)


def test_long_range_sum() -> None:
    for change, text in (
        ({"method": "pppm"}, "method: expected one of 'auto', 'direct', 'mesh', got pppm"),
        ({"mesh_error": ""}, "mesh_error: expected one of 'auto', 'yes', 'no', got "),
        ({"accuracy": NAN}, "accuracy of the mesh: expected a number"),
        ({"sigma": -1.0}, "sigma: expected a positive number"),
    ):
        with pytest.raises(ValueError, match=text):
            _core.LongRangeSum(**{**CONSTANTS, **change})
    total = _core.LongRangeSum(**CONSTANTS)
    positions, charges = rows(N, 3), rows(N, 1)
    for call in (total.description, lambda: total.compute(positions, charges, CELL)):
        with pytest.raises(RuntimeError, match=r"choose\(\) was not called"):
            call()
    with pytest.raises(ValueError, match="n_atoms: expected a number from 0"):
        total.choose([True] * 3, CELL, NAN)
    with pytest.raises(ValueError, match="cell: expected"):
        total.choose([True] * 3, 0.0 * CELL, N)
    with pytest.raises(RuntimeError, match="the direct sum would need"):
        total.choose([True] * 3, 1e9 * CELL, N)
    total.choose([True] * 3, CELL, N)
    total.compute(positions, charges, CELL)
    more = total.compute(rows(2 * N, 3), rows(2 * N, 1), 1.1 * CELL)  # of another size
    assert more["forces"].shape == (2 * N, 3)
    with pytest.raises(ValueError, match="^cell: expected"):
        total.compute(positions, charges, NAN * CELL)


def solver() -> _core.Solver:
    return _core.Solver("direct", CELL, sigma=1.0, dl=2.0, norm=1.0)


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        (_core.Evaluator, lambda evaluator: evaluator.metadata),
        (_core.Evaluator, lambda evaluator: evaluator.evaluate(*[torch.zeros(1)] * 6)),
        (_core.Solver, lambda solver: solver.apply(torch.zeros(1, 3), torch.zeros(1, 1))),
        (_core.Solver, lambda solver: solver.moments(torch.zeros(1, 3), torch.zeros(1, 1))),
        (_core.LongRangeSum, lambda total: total.is_mesh()),
        (_core.LongRangeSum, lambda total: total.choose([True] * 3, torch.eye(3), 1.0)),
        (_core.Fields, lambda fields: fields.virial),
        (_core.Fields, lambda fields: solver().apply(rows(N, 3), rows(N, 1, 1), fields)),
    ],
)
def test_objects_that_were_never_initialized_are_refused(kind, call):
    with pytest.raises(TypeError):
        call(kind.__new__(kind))
