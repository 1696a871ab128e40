"""Multipoles and response of NequIP-LES and Allegro-LES against the values of their original code.

``nequip_latents.npz`` holds small models with random weights, each under its name: arguments of the
builder, its state, and what nequip 0.19.1, nequip-allegro 0.8.3, nequip-les 0.1 and les give in
float64 for a periodic structure (``positions``, ``cell``, ``species``; edges ``index`` with
``vectors``): latents, total energy with the long-range sum, forces and stress.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from lammps_les.calculators import LesCalculator
from lammps_les.models import network_of
from lammps_les.models.limits import LATENTS
from lammps_les_export.adapters import Choice, UnsupportedModelError
from lammps_les_export.convert import export_model, import_model

VALUES = np.load(Path(__file__).with_name("nequip_latents.npz"))
NAMES = sorted({key.partition("|")[0] for key in VALUES if "|" in key})
SPECIES = ("O", "H", "Si")
FULL = "nequip l2 linear"


def checkpoint(name: str) -> dict[str, Any]:
    """The checkpoint of one of the models."""
    parts = {key.partition("|")[2]: VALUES[key] for key in VALUES if key.startswith(f"{name}|")}
    arguments = json.loads(str(parts.pop("arguments")))
    versions = {"nequip": "0.19.1", "allegro": "0.8.3"}
    state = {k: torch.from_numpy(v) for k, v in parts.items() if not k.startswith("result.")}
    return {
        "hyper_parameters": {"model": arguments, "info_dict": {"versions": versions}},
        "state_dict": state,
    }


def save(tmp_path: Path, content: dict[str, Any]) -> Path:
    torch.save(content, tmp_path / "best.ckpt")
    return tmp_path / "best.ckpt"


def latents(network: torch.nn.Module, turn: np.ndarray | None = None) -> dict[str, np.ndarray]:
    vectors = VALUES["vectors"] if turn is None else VALUES["vectors"] @ turn
    arguments = (torch.from_numpy(x) for x in (vectors, VALUES["index"], VALUES["species"]))
    out = network(*arguments, len(VALUES["species"]))
    return {name: value.detach().numpy() for name, value in out.items()}


def expected(name: str, latent: str) -> np.ndarray:
    """[n, 1, ...] as a model file has it; alpha that is a number stands for a multiple of 1."""
    value = VALUES[f"{name}|result.{latent}"]
    if latent == "alpha" and value.ndim == 2:
        value = value[:, :, None] * np.eye(3)
    return value if latent in ("charge", "kappa") else value[:, None]


@pytest.mark.parametrize("name", NAMES)
def test_latents_are_those_of_the_original(tmp_path, name):
    network = import_model(save(tmp_path, checkpoint(name))).network
    there = [latent for latent in LATENTS if f"{name}|result.{latent}" in VALUES]
    assert network.latent_names == there
    found = latents(network)
    for latent in there:
        value = expected(name, latent)
        assert np.abs(value).max() > 1e-4, latent
        np.testing.assert_allclose(found[latent], value, rtol=0, atol=1e-14, err_msg=latent)


@pytest.mark.parametrize("name", NAMES)
def test_exported_file_gives_energy_forces_and_stress_of_the_original(tmp_path, name):
    path = tmp_path / "model.pt"
    source = save(tmp_path, checkpoint(name))
    export_model(source, path, dtype="float64", charge_sign=[1.0], epsilon_inf=1.0)
    symbols = [SPECIES[s] for s in VALUES["species"]]
    atoms = Atoms(symbols, VALUES["positions"], cell=VALUES["cell"], pbc=True)
    atoms.calc = LesCalculator(path)

    def result(key: str) -> np.ndarray:
        return VALUES[f"{name}|result.{key}"]

    np.testing.assert_allclose(
        atoms.get_potential_energy(), result("total_energy")[0, 0], atol=1e-10
    )
    np.testing.assert_allclose(atoms.get_forces(), result("forces"), rtol=0, atol=1e-10)
    stress = voigt_6_to_full_3x3_stress(atoms.get_stress())
    np.testing.assert_allclose(stress, result("stress")[0], rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", [FULL, "allegro l2 linear"])
def test_latents_turn_with_the_atoms(tmp_path, name):
    network = import_model(save(tmp_path, checkpoint(name))).network
    turn, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))
    for sign in (1.0, -1.0):
        found = latents(network, sign * turn)
        as_were = latents(network)
        np.testing.assert_allclose(found["kappa"], as_were["kappa"], atol=1e-14)
        np.testing.assert_allclose(found["dipole"], as_were["dipole"] @ (sign * turn), atol=1e-14)
        for latent in ("quadrupole", "alpha"):
            turned = turn.T @ as_were[latent] @ turn
            np.testing.assert_allclose(found[latent], turned, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", [FULL, "allegro uQiqiu"])
def test_sizes_say_what_the_network_is_and_elements_may_be_left_out(tmp_path, name):
    path = save(tmp_path, checkpoint(name))
    whole = import_model(path).network
    some = import_model(path, Choice(elements=("H", "O"))).network
    again = network_of(whole.kind, json.loads(json.dumps(dataclasses.asdict(whole.config))))
    assert again.config == whole.config
    again.double().load_state_dict(whole.state_dict())
    for network, species in ((again, [0, 1, 0]), (some, [1, 0, 1])):
        there = torch.tensor([[1.0, 0.3, 0.2], [0.5, -1.1, 0.9]], dtype=torch.float64)
        vectors = torch.stack([there[0], -there[0], there[1], -there[1]])
        index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
        arguments = vectors, index
        ours = network(*arguments, torch.tensor(species), 3)
        reference = whole(*arguments, torch.tensor([0, 1, 0]), 3)
        for latent in whole.latent_names:
            torch.testing.assert_close(ours[latent], reference[latent], rtol=0, atol=1e-14)


def test_averaged_weights_leave_bases_as_they_are(tmp_path):
    content = checkpoint(FULL)
    state = content["state_dict"]
    fixed = ("_rmax_recip", "scales", "shifts", "change_of_basis_2e", "bessel_weights")
    trained = [key for key in state if state[key].numel() and not key.endswith(fixed)]
    for index, key in enumerate(trained):
        state[f"ema.ema_weight_{index}"] = state[key]
        state[key] = state[key] + 1.0
    state["ema._extra_state"] = {"is_holding_ema_weights": True}
    content["hyper_parameters"]["model"]["bessel_trainable"] = False
    found = latents(import_model(save(tmp_path, content)).network)
    np.testing.assert_allclose(found["alpha"], expected(FULL, "alpha"), rtol=0, atol=1e-14)


def les(**changes: Any):
    def change(content: dict[str, Any]) -> None:
        content["hyper_parameters"]["model"]["LES"]["les_args"].update(changes)

    return change


def weights(name: str, value: Any):
    def change(content: dict[str, Any]) -> None:
        (key,) = [key for key in content["state_dict"] if key.endswith(name)]
        content["state_dict"][key] = value(content["state_dict"][key])

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (les(use_dipole="yes"), "use_dipole = 'yes', expected a yes or no"),
        (les(use_dipole=False), "not known here: latent_dipole_readout.linear.weight"),
        (les(use_induced_dipole=False), "use_anisotropic_polarizability with alpha_irreps"),
        (les(alpha_irreps="0e"), "use_anisotropic_polarizability with alpha_irreps '0e'"),
        (les(alpha_scale=float("inf")), "alpha_scale = inf, expected a number"),
        (les(alpha_scale=0.0), "expected a number from -1e.06 to 1e.06, not 0"),
        (les(use_octupole=True), "use_octupole = True, which is not known here"),
        (
            weights("quad_2e_cart.change_of_basis_2e", lambda b: b.flip(0)),
            "quad_2e_cart.change_of_basis_2e is not the basis of symmetric tensors",
        ),
        (weights("quad_1o_readout.linear.weight", lambda w: w[:1]), "has the shape .1., expected"),
    ],
)
def test_what_cannot_be_reproduced_is_refused_by_name(tmp_path, change, message):
    content = checkpoint(FULL)
    change(content)
    with pytest.raises(UnsupportedModelError, match=message):
        import_model(save(tmp_path, content))


def test_sign_and_size_of_the_response_are_said(tmp_path):
    structure = Atoms([SPECIES[s] for s in VALUES["species"]], VALUES["positions"])
    structure.set_cell(VALUES["cell"])
    structure.pbc = True
    given = {"charge_sign": [1.0], "epsilon_inf": 2.0}
    path = tmp_path / "model.pt"

    def export(name: str, **more: Any) -> tuple[Any, list[str]]:
        found = export_model(save(tmp_path, checkpoint(name)), path, **given, **more)
        return found.metadata.response, [
            n for n in found.notes if "warning: " in n and "sign +1" not in n
        ]

    response, warnings = export("nequip uQiqiu", structures=[structure])
    alpha, kappa = expected("nequip uQiqiu", "alpha"), expected("nequip uQiqiu", "kappa")
    volume = abs(np.linalg.det(VALUES["cell"]))
    chi = np.trace(alpha.sum((0, 1))) / 3.0 * 2.0 * 90.4756 / volume
    assert response.susceptibility == pytest.approx(chi, rel=1e-12)
    assert response.softness == pytest.approx(kappa.sum() / volume, rel=1e-12)
    assert response.epsilon_e == pytest.approx(2.0 / (1.0 + chi), rel=1e-12)
    assert warnings == []
    response, warnings = export("nequip uQiqiu")
    assert response.epsilon_e is None
    assert "sign and size of alpha and kappa are not known" in warnings[0]
    _, warnings = export(FULL, structures=[structure])
    assert np.linalg.eigvalsh(expected(FULL, "alpha")).min() < 0.0
    assert any("alpha is negative, -" in text for text in warnings)
    assert any("kappa is negative, -" in text for text in warnings)
