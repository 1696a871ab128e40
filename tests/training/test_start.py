"""What a training starts from: signs of the charges, energies of atoms, and what is remarked on."""

from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from generate import changed, toy_metadata
from training_toys import (
    LONG_RANGE,
    command,
    eager_energy,
    network_of,
    settings,
    teacher_labels,
    waters,
)

from lammps_les import pretrained
from lammps_les.pretrained import save_folder
from lammps_les.training.charge_signs import GIVEN, STATED, TOTAL_CHARGES, final_signs
from lammps_les.training.config import RunConfig
from lammps_les.training.frames import join
from lammps_les.training.prediction import predict
from lammps_les.training.preparation import Prepared, prepare
from lammps_les_export.convert import WARNING

PROVENANCE = dict.fromkeys(("source", "program", "version", "date", "citation"), "test")


def started(folder: Path, structures: list[Atoms], **changes: object) -> Prepared:
    """What the toy configuration prepares."""
    ase.io.write(folder / "data.xyz", structures)
    content = settings(loss={"weights": {"energy": 1.0, "forces": 1.0}})
    content["data"] |= {"split": {"validation": 1, "test": 0}, **changes.pop("data", {})}
    if "init_from" in changes:
        del content["network"], content["long_range"]
    content |= changes
    return prepare(RunConfig.model_validate(content), folder)


def with_energy(atoms: Atoms, energy: float) -> Atoms:
    atoms = atoms.copy()
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.zeros((len(atoms), 3)))
    return atoms


def test_energies_of_atoms_are_fitted_with_the_sign_that_the_start_states(tmp_path):
    """A model of charge +1 e and sign -1 labels its own data, less 9 eV a molecule."""
    network = network_of()
    metadata = toy_metadata(
        network,
        "float64",
        long_range=LONG_RANGE._asdict(),
        unit=0.3,
        sign=[-1.0],
        total=1.0,
        provenance=PROVENANCE,
    )
    start = tmp_path / "start"
    save_folder(start, network.state_dict(), metadata, {}, [1.0])
    structures = []
    for seed in range(5):
        atoms = waters("open", 1 + seed % 2, seed)
        energy = eager_energy(start, atoms, 1.0) - 9.0 * (1 + seed % 2)
        structures.append(with_energy(atoms, energy))
        structures[-1].info["total_charge"] = 1.0
    prepared = started(tmp_path, structures, init_from="start", dtype="float64")
    assert prepared.physics.charge_sign == (-1.0,)
    # least norm under 2 H + O = -9 eV
    assert prepared.atomic_energies == pytest.approx({"H": -3.6, "O": -1.8}, abs=1e-6)


def shipped_with_sign(folder: Path, sign: float, **changes: object) -> None:
    """The model that ships as ``start``; -1 makes oxygen negative."""
    network, metadata = pretrained.load("water_rpbe-d3")
    fields = changed(metadata.model_dump(), sign=[sign], provenance=PROVENANCE, **changes)
    save_folder(folder / "start", network.state_dict(), fields, {})


def with_born_charges(seed: int, oxygen: float) -> Atoms:
    """Water with Born charges of O and H that are numbers."""
    atoms = teacher_labels(waters("triclinic", 2, seed))
    charges = np.where(atoms.numbers == 8, oxygen, -0.5 * oxygen)
    atoms.arrays["BEC"] = (charges[:, None, None] * np.eye(3)).reshape(-1, 9)
    return atoms


@pytest.mark.parametrize("weight", [0.0, 1.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_born_charges_in_the_data_decide_over_the_sign_of_the_start(tmp_path, sign, weight):
    shipped_with_sign(tmp_path, sign)
    structures = [with_born_charges(seed, -1.0) for seed in range(3)]
    weights = {"forces": 1.0, "born_effective_charges": weight}
    prepared = started(tmp_path, structures, init_from="start", loss={"weights": weights})
    assert prepared.physics.charge_sign == (-1.0,)
    said = "charge sign -1 by labels, where start states +1"
    assert (said in prepared.notes) is (sign > 0)


def test_fine_tuning_on_energies_keeps_the_sign_of_its_start_or_refuses_it(tmp_path):
    structures = [teacher_labels(waters("triclinic", 2, seed)) for seed in range(3)]
    for atoms in structures:
        del atoms.arrays["BEC"]
    shipped_with_sign(tmp_path, -1.0)
    prepared = started(tmp_path, structures, init_from="start")
    assert prepared.physics.charge_sign == (-1.0,)
    assert prepared.sign_origin == STATED
    shipped_with_sign(tmp_path, 1.0)
    with pytest.raises(ValueError, match="which start states, is against the electronegativities"):
        started(tmp_path, structures, init_from="start")
    asked = started(tmp_path, structures, init_from="start", charges={"sign": [1]})
    assert asked.physics.charge_sign == (1.0,)
    assert asked.sign_origin == GIVEN


def test_a_network_without_charges_gets_some(tmp_path):
    """All else is as it was; the sum over charges is that of the configuration."""
    short = network_of(channels=0)
    metadata = toy_metadata(short, "float64", provenance=PROVENANCE)
    save_folder(tmp_path / "start", short.state_dict(), metadata, {})
    structures = [teacher_labels(waters("triclinic", 2, seed)) for seed in range(3)]
    changes = {"init_from": "start", "dtype": "float64"}
    sums = {"sigma": 1.5, "dl": 1.0}
    prepared = started(tmp_path, structures, init={"channels": 2}, long_range=sums, **changes)
    assert prepared.network.channels == 2
    assert prepared.network.config.channels == 2
    state = prepared.network.state_dict()
    for name, value in short.state_dict().items():
        assert torch.equal(state.pop(name), value)
    assert state
    assert all(name.startswith("charge_readout.") for name in state)
    assert prepared.physics.long_range[:2] == (1.5, 1.0)
    assert prepared.physics.charge_sign == (1.0, 1.0)
    frame = prepared.frames["training"][0]
    found = predict(prepared.network, join([frame]), prepared.physics, ["energy"])
    assert float(found["latent_charges"].abs().max()) > 1e-3
    with pytest.raises(ValueError, match="long_range comes from init_from"):
        started(tmp_path, structures, long_range=sums, **changes)
    charged = network_of()
    metadata = toy_metadata(charged, "float64", provenance=PROVENANCE)
    save_folder(tmp_path / "start", charged.state_dict(), metadata, {})
    with pytest.raises(ValueError, match=r"init\.channels: the network has 1 latent charge"):
        started(tmp_path, structures, init={"channels": 2}, **changes)


@pytest.mark.parametrize("labelled", [True, False])
def test_signs_after_the_training(tmp_path, labelled):
    """Of the shipped network, whose right sign is -1: labels, electronegativities, or a warning."""
    shipped_with_sign(tmp_path, -1.0)
    structures = [with_born_charges(seed, -1.0) for seed in range(3)]
    if not labelled:
        for atoms in structures:
            del atoms.arrays["BEC"]
    prepared = started(tmp_path, structures, init_from="start")

    def final(origin: str, sign: float) -> tuple[list[float], str, str]:
        physics = replace(prepared.physics, charge_sign=(sign,))
        return final_signs(prepared.network, physics, origin, prepared.structures)

    for origin in ("", STATED):
        for sign in (1.0, -1.0):
            signs, _, text = final(origin, sign)
            assert signs == [-1.0]
            how = "by labels (born effective charges)" if labelled else "by electronegativities"
            assert text.startswith(f"charge sign -1, {how}: mean Z H +0.")
            assert ("(labels H +0.50 O -1.00 e)" in text) is labelled
    for origin in (GIVEN, TOTAL_CHARGES):
        signs, _, text = final(origin, 1.0)
        assert signs == [1.0]
        assert text.startswith(f"{WARNING}charge sign +1, {origin}: mean Z H -0.")
        against = "would make it -1" if labelled else "that is against the electronegativities"
        assert text.endswith(against)
        signs, _, text = final(origin, -1.0)
        assert signs == [-1.0]
        assert not text.startswith(WARNING)


def test_a_sign_that_nothing_tells_is_called_a_guess(tmp_path):
    structures = [Atoms("H2", [[0, 0, 0], [0, 0, 0.7 + 0.1 * n]]) for n in range(3)]
    prepared = started(tmp_path, [with_energy(atoms, -1.0) for atoms in structures])
    signs, _, text = final_signs(prepared.network, prepared.physics, "", prepared.structures)
    assert signs == [1.0]
    assert text.startswith(f"{WARNING}charge sign +1, a guess: mean Z H ")
    assert "fewer than two species" in text


def test_form_of_born_charges_is_that_of_the_start_unless_given(tmp_path):
    shipped_with_sign(tmp_path, -1.0, bec_form="phase", bec_fitted=True)
    structures = [teacher_labels(waters("triclinic", 2, seed)) for seed in range(3)]
    prepared = started(tmp_path, structures, init_from="start")
    assert prepared.physics.bec_form == "phase"
    assert prepared.bec_fitted
    local = started(tmp_path, structures, init_from="start", charges={"bec_form": "local"})
    assert local.physics.bec_form == "local"
    fresh = started(tmp_path, structures)
    assert fresh.physics.bec_form == "local"
    assert not fresh.bec_fitted
    weights = {"forces": 1.0, "born_effective_charges": 0.1}
    assert started(tmp_path, structures, loss={"weights": weights}).bec_fitted
    for atoms in structures:
        del atoms.arrays["BEC"]
    structures[0].arrays["BEC"] = np.zeros((len(structures[0]), 9))
    held_out = {"split": {"training": [1, 2], "validation": [0], "test": []}}
    assert not started(tmp_path, structures, data=held_out).bec_fitted


def test_epsilon_inf_that_nobody_gave_is_remarked_on(tmp_path):
    structures = [teacher_labels(waters("triclinic", 2, seed)) for seed in range(3)]

    def remarks(**changes: object) -> list[str]:
        prepared = started(tmp_path, structures, **changes)
        return [text for text in prepared.notes if "epsilon_inf" in text]

    (text,) = remarks()
    for part in (
        "counts as 1 (vacuum)",
        "square root",
        "charges.epsilon_inf",
        "lammps-les export --epsilon-inf",
        "pair_style les epsilon_inf",
    ):
        assert part in text
    assert remarks(charges={"epsilon_inf": 1.0}) == []
    assert remarks(network={"channels": 0}) == []
    assert remarks(init_from="water_rpbe-d3") == []
    assert started(tmp_path, structures).physics.epsilon_inf == 1.0
    assert started(tmp_path, structures, init_from="water_rpbe-d3").physics.epsilon_inf == 1.83


def test_remarks_are_on_the_console_and_in_the_report(tmp_path):
    structures = [teacher_labels(waters("triclinic", 1, seed)) for seed in range(3)]
    ase.io.write(tmp_path / "data.xyz", structures)
    content = settings(training={"epochs": 1})
    content["data"]["split"] = {"validation": 1, "test": 0}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(content))
    shown = " ".join(command(str(tmp_path / "run.yaml")).split())
    assert shown.count("epsilon_inf is not given and counts as 1") == 1
    assert shown.index("epsilon_inf is not given") < shown.index("epoch 1/1")
    report = (tmp_path / "run" / "report.md").read_text()
    assert "- epsilon_inf is not given and counts as 1" in report


def test_isolated_atoms_are_looked_for_in_all_parts(tmp_path):
    single = [with_energy(Atoms("H"), -1.5), with_energy(Atoms("O"), -3.5)]
    ase.io.write(tmp_path / "atoms.xyz", single)
    water = [with_energy(waters("open", 1, seed), -9.0) for seed in range(3)]
    files = [{"path": "data.xyz"}, {"path": "atoms.xyz", "part": "test"}]
    data = {"files": files, "atomic_energies": "isolated"}
    prepared = started(tmp_path, water, data=data)
    assert prepared.atomic_energies == {"H": -1.5, "O": -3.5}


def test_an_atom_whose_images_are_neighbors_is_not_isolated(tmp_path):
    """One atom of copper in its primitive cell, and one in a box."""
    crystal = with_energy(bulk("Cu"), -7.0)
    data = {"atomic_energies": "isolated"}
    with pytest.raises(ValueError, match="isolated") as error:
        started(tmp_path, [crystal] * 3, data=data)
    assert "no structure with an energy is an isolated atom of Cu" in str(error.value)
    assert "no neighbor within 3.2 A, images included" in str(error.value)
    box = with_energy(Atoms("Cu", cell=[9.0] * 3, pbc=True), -0.5)
    prepared = started(tmp_path, [crystal, crystal, crystal, box], data=data)
    assert prepared.atomic_energies == {"Cu": -0.5}
