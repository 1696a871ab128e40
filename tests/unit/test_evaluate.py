"""``lammps-les evaluate``: errors that are put in must come out."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from generate import toy_metadata, toy_models
from typer.testing import CliRunner

from lammps_les.analysis.born_charges import fit_born_charges
from lammps_les.analysis.errors import energy_shifts, errors_of
from lammps_les.calculators import LesCalculator
from lammps_les.cli import app
from lammps_les.data.labels import label
from lammps_les.keys import BORN_EFFECTIVE_CHARGES, ENERGY, STRESS
from lammps_les_export import write_model

CELL = np.array([[4.3, 0.0, 0.0], [0.9, 5.1, 0.0], [-1.2, 0.4, 4.8]])


def run(*arguments) -> tuple[int, str]:
    """Exit code and output; the table wide enough not to break lines."""
    runner = CliRunner(env={"COLUMNS": "160", "TERMINAL_WIDTH": "160"})
    result = runner.invoke(app, ["evaluate", *[str(argument) for argument in arguments]])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def table(text: str) -> dict[str, list[float]]:
    """Values, RMSE, MAE, R2 by quantity; not a number where there is none."""
    rows = [line.strip("│ ").split("│") for line in text.splitlines() if line.startswith("│")]
    blank = {"-": "nan", "void": "nan"}
    return {
        row[0].strip(): [float(blank.get(cell.strip(), cell)) for cell in row[2:]]
        for row in rows
        if len(row) == 6
    }


def largest_rounding(quantity: str) -> float:
    """Bound of an error that is none: 1e-7 of eV and e, where energies are in meV and the like."""
    return 1e-4 if quantity in ("energy per atom", "forces", "stress") else 1e-7


def born_table(text: str) -> dict[str, list[float]]:
    """Model and labels by row of the table of Born charges."""
    rows = [line.strip("│ ").split("│") for line in text.splitlines() if line.startswith("│")]
    return {row[0].strip(): [float(cell) for cell in row[1:]] for row in rows if len(row) == 3}


def labeled(path, model, frames=3, force=0.0, energy=(0.0, 0.0), born=0.0, transpose=False):
    """Write structures labeled by a model, with errors added to the labels.

    Every force component is off by `force`, every energy by so much an H and an O, every component
    of the Born charges of O by `born`.
    """
    calculator = LesCalculator(model, multichannel_bec=True)
    generator = np.random.default_rng(3)
    structures = []
    for frame in range(frames):
        n_h, n_o = 3 + frame, 2
        kinds = ["H"] * n_h + ["O"] * n_o
        atoms = Atoms(kinds, generator.random((len(kinds), 3)) @ CELL, cell=CELL, pbc=True)
        calculator.calculate(atoms, ["born_effective_charges"])
        results = calculator.results
        tensor = results["born_effective_charges"].copy()
        tensor[n_h:] += born
        if transpose:
            tensor = tensor.transpose(0, 2, 1)
        atoms.arrays["BEC"] = tensor.reshape(-1, 9)
        shifted = results["energy"] + n_h * energy[0] + n_o * energy[1]
        atoms.calc = SinglePointCalculator(
            atoms, energy=shifted, forces=results["forces"] + force, stress=results["stress"]
        )
        structures.append(atoms)
    ase.io.write(path, structures, format="extxyz")
    return path


def test_own_predictions_have_no_error(tmp_path, toy_model):
    model = toy_model("linear")
    data = labeled(tmp_path / "data.xyz", model)
    code, text = run(model, data, "-o", tmp_path / "out" / "a")
    assert code == 0
    rows = table(text)
    parts = [f"{e}{p}" for e in ("", "H ", "O ") for p in ("diagonal", "off-diagonal")]
    parts[4:4], parts[2:2] = ["O"], ["H"]
    assert list(rows) == ["energy per atom", "forces", "stress", "born effective charges", *parts]
    counts = [3, 54, 18, 162, 54, 108, 108, 36, 72, 54, 18, 36]
    assert [row[0] for row in rows.values()] == counts
    for quantity, (values, rmse, mae, r2) in rows.items():
        assert values > 0
        assert rmse < largest_rounding(quantity)
        assert mae <= rmse
        assert r2 == pytest.approx(1.0, abs=1e-5)
    assert (tmp_path / "out" / "a-parity.png").read_bytes()[:4] == b"\x89PNG"
    predictions = tmp_path / "out" / "a-predictions.xyz"
    code, text = run(model, predictions, "-o", tmp_path / "b")
    assert code == 0
    assert all(row[1] < largest_rounding(name) for name, row in table(text).items())


def test_errors_put_in_come_out(tmp_path, toy_model):
    model = toy_model("linear")
    data = labeled(tmp_path / "data.xyz", model, force=0.125, energy=(0.2, -0.4), born=0.5)
    code, text = run(model, data, "-o", tmp_path / "a")
    assert code == 0
    rows = table(text)
    assert "│ meV/A " in text
    assert "│ meV/atom " in text
    assert rows["forces"][1:3] == pytest.approx([125.0, 125.0], abs=1e-3)
    assert rows["O"][1:3] == pytest.approx([0.5, 0.5], abs=1e-6)
    assert rows["H"][1] < 1e-7
    # 54 of 162 components are off by 0.5
    for part in ("born effective charges", "diagonal", "off-diagonal"):
        assert rows[part][1:3] == pytest.approx([0.288675, 0.166667], rel=1e-4)
    for part in ("diagonal", "off-diagonal"):
        assert rows[f"O {part}"][1:3] == pytest.approx([0.5, 0.5], abs=1e-6)
        assert rows[f"H {part}"][1] < 1e-7
    # (3 + f) 0.2 - 2 0.4 eV on 5 + f atoms: -0.2/5, 0, 0.2/7
    assert rows["energy per atom"][1:3] == pytest.approx([28.3808, 22.8571], rel=1e-4)

    code, text = run(model, data, "-o", tmp_path / "a", "--shift-energies")
    assert code == 0
    assert table(text)["energy per atom, per-element shift removed"][1] < 1e-4
    assert "void" not in text


def test_index_order_of_the_file(tmp_path, toy_model):
    """With two layers the tensor is not symmetric (with pair distances alone it is)."""
    model = toy_model("two_layers")
    data = labeled(tmp_path / "data.xyz", model, transpose=True)
    code, text = run(model, data, "-o", tmp_path / "a", "--bec-order", "r-first")
    assert code == 0
    assert table(text)["born effective charges"][1] < 1e-7
    code, text = run(model, data, "-o", tmp_path / "a")
    assert code == 0
    assert table(text)["born effective charges"][1] > 1e-3


@pytest.mark.parametrize("fitted", [False, True])
def test_several_channels_whose_coupling_no_label_settled_are_noted(tmp_path, fitted):
    network, fields = toy_models()["two_channels"]
    model = tmp_path / "model.pt"
    write_model(model, network, toy_metadata(network, "float64", **fields, bec_fitted=fitted))
    data = labeled(tmp_path / "data.xyz", model)
    code, text = run(model, data, "-o", tmp_path / "a")
    assert code == 0, text
    assert table(text)["born effective charges"][1] < 1e-7
    told = "the model has 2 charge channels, and no label settled how they couple to a field"
    assert (told in text) is not fitted


def test_a_label_that_boundaries_take_the_meaning_from_is_not_looked_at(tmp_path, toy_model):
    """Programs write a stress for molecules too, and it may be anything."""
    model = toy_model("linear")
    atoms = Atoms("OH", [[0, 0, 0], [0, 0, 1.0]])
    atoms.calc = LesCalculator(model)
    energy = atoms.get_potential_energy()
    atoms.calc = SinglePointCalculator(atoms, energy=energy, stress=np.full(6, np.nan))
    ase.io.write(tmp_path / "open.xyz", atoms, format="extxyz")
    code, text = run(model, tmp_path / "open.xyz", "-o", tmp_path / "a")
    assert code == 0, text
    assert table(text)["energy per atom"][1] < 1e-4
    assert "stress" not in table(text)


def test_numbers_that_say_nothing_are_not_printed(tmp_path, toy_model):
    """A shift with a parameter an element takes two structures away; one has no R2."""
    model = toy_model("linear")
    two = labeled(tmp_path / "two.xyz", model, frames=2, energy=(0.2, -0.4))
    code, text = run(model, two, "-o", tmp_path / "a", "--shift-energies")
    assert code == 0
    row = table(text)["energy per atom, per-element shift removed"]
    assert row[0] == 2
    assert np.isnan(row[1:]).all()
    said = " ".join(text.split())
    assert "says nothing: the shift has as many parameters (2) as there are structures (2)" in said
    code, text = run(model, two, "-o", tmp_path / "a")
    assert code == 0
    assert "void" not in text
    one = labeled(tmp_path / "one.xyz", model, frames=1, energy=(0.2, -0.4))
    code, text = run(model, one, "-o", tmp_path / "a")
    assert code == 0
    rows = table(text)
    for name, value in (("energy per atom", 40.0), ("stress", 0.0)):
        assert rows[name][1] == pytest.approx(value, abs=1e-3)
        assert np.isnan(rows[name][3])
        assert f"no R2 of {name}: one structure only" in " ".join(text.split())
    assert rows["forces"][3] == pytest.approx(1.0, abs=1e-6)


def test_born_charges_say_what_scale_sign_and_order_would_fit(tmp_path, toy_model):
    """Labels are 1.5 times the prediction, so epsilon_inf would be 2.25 times as large."""
    model = toy_model("two_layers")  # not symmetric
    data = labeled(tmp_path / "data.xyz", model)
    structures = ase.io.read(data, ":")
    calculator = LesCalculator(model)
    tensors = [calculator.get_property("born_effective_charges", a) for a in structures]
    transposed = [t.transpose(0, 2, 1) for t in tensors]
    for sign, labels in ((1, tensors), (-1, tensors), (1, transposed), (-1, transposed)):
        for atoms, tensor in zip(structures, labels, strict=True):
            atoms.arrays["BEC"] = 1.5 * sign * tensor.reshape(-1, 9)
        ase.io.write(data, structures, format="extxyz")
        code, text = run(model, data, "-o", tmp_path / "a")
        assert code == 0
        said = " ".join(text.split())
        turned, negated = labels is transposed, sign < 0
        kinds = ["negated"] * negated + ["transposed"] * turned
        assert ("warning:" in said) is bool(kinds)
        if kinds:
            assert f"warning: labels fit better {' and '.join(kinds)}: " in said
        assert ("--bec-order" in said) is turned
        assert ("--charge-sign" in said) is negated
        if not kinds:
            assert "best scale 1.5000 (RMSE 0.0000 e): epsilon_inf 4.05 in place of 1.8" in said
            options = ("--epsilon-inf", 7.2, "-o", tmp_path / "b")  # twice the charges
            said_of_other = " ".join(run(model, data, *options)[1].split())
            assert "best scale 0.7500" in said_of_other
            assert "epsilon_inf 4.05 in place of 7.2" in said_of_other
        assert ("best scale -" in said) is negated
        assert ("the sign is wrong" in said) is negated
        rows = born_table(text)
        for symbol in "HO":
            traces = [
                np.trace(t, axis1=1, axis2=2)[a.symbols == symbol] / 3
                for t, a in zip(tensors, structures, strict=True)
            ]
            mean = float(np.concatenate(traces).mean())
            assert rows[f"mean Z of {symbol} (trace / 3)"] == pytest.approx(
                [mean, 1.5 * sign * mean], abs=1e-4
            )
        net = np.mean([np.abs(t.sum(axis=0)).mean() for t in labels])
        assert net > 0.01
        row = rows["mean |sum over atoms of Z| (sum rule: 0)"]
        assert row == pytest.approx([net, 1.5 * net], abs=1e-4)


def test_errors_of_born_charges_that_are_negated_or_transposed():
    """Labels that are 1 e off what the turned prediction is."""
    z = np.random.default_rng(1).normal(size=(4, 3, 3))
    turned = z.transpose(0, 2, 1)
    errors = {"rmse": z, "rmse_negated": -z, "rmse_transposed": turned}
    for name, labels in errors.items():
        fit = fit_born_charges([z], [labels + 1.0], [list("HHOO")])
        assert getattr(fit, name) == pytest.approx(1.0)
        others = [getattr(fit, other) for other in errors if other != name]
        assert min(others) > 1.05


def test_a_model_whose_charges_are_zero_has_no_scale(tmp_path, toy_model):
    data = labeled(tmp_path / "data.xyz", toy_model("linear"))
    for name in ("harmonic", "harmonic_one_channel"):
        code, text = run(toy_model(name), data, "-o", tmp_path / "a")
        assert code == 0, text
        assert "best scale" not in text
        assert "predictions of Born effective charges are zero" in " ".join(text.split())


def test_form_of_the_born_charges_is_that_of_the_file(tmp_path):
    network = toy_models()["linear"][0]
    models = {}
    for form in ("local", "phase"):
        models[form] = tmp_path / f"{form}.pt"
        write_model(models[form], network, toy_metadata(network, "float64", bec_form=form))
    data = labeled(tmp_path / "data.xyz", models["phase"])
    code, text = run(models["phase"], data, "-o", tmp_path / "a")
    assert code == 0
    assert table(text)["born effective charges"][1] < 1e-7
    for arguments in ([models["local"], data], [models["phase"], data, "--bec", "local"]):
        code, text = run(*arguments, "-o", tmp_path / "a")
        assert code == 0
        assert table(text)["born effective charges"][1] > 1e-3


def test_form_of_the_born_charges(tmp_path, toy_model):
    model = toy_model("linear")
    data = labeled(tmp_path / "data.xyz", model)
    code, text = run(model, data, "-o", tmp_path / "a", "--bec", "phase")
    assert code == 0
    assert table(text)["born effective charges"][1] > 1e-3


def test_the_former_name_of_an_option_is_an_error_that_gives_the_new_one(tmp_path, toy_model):
    code, text = run(toy_model("linear"), tmp_path / "data.xyz", "--born", "phase")
    assert code == 2
    assert "'--born': this option is now --bec" in text
    assert "--born" not in run("--help")[1]


def test_names_of_labels(tmp_path, toy_model):
    model = toy_model("linear")
    data = labeled(tmp_path / "data.xyz", model)
    structures = ase.io.read(data, ":")
    for atoms in structures:
        atoms.info["e_dft"] = atoms.calc.results.pop("energy") + 1.0 * len(atoms)
        atoms.arrays["f_dft"] = atoms.calc.results.pop("forces") + 0.25
        del atoms.arrays["BEC"]
    ase.io.write(data, structures, format="extxyz")
    code, text = run(model, data, "-o", tmp_path / "a", "--energy-key", "e_dft")
    assert code == 0
    assert list(table(text)) == ["energy per atom", "stress"]
    assert table(text)["energy per atom"][1:3] == pytest.approx([1e3, 1e3], rel=1e-4)
    code, text = run(model, data, "-o", tmp_path / "a", "--forces-key", "f_dft")
    assert code == 0
    assert table(text)["forces"][1] == pytest.approx(250.0, rel=1e-4)
    code, text = run(model, data, "-o", tmp_path / "a", "--forces-key", "forces")
    assert code == 1
    assert "no structure has a label 'forces' for forces" in text


@pytest.mark.parametrize("name", ["BEC", "bec", "born_charge"])
def test_default_names_of_born_charges(name):
    atoms = Atoms("HO", [[0, 0, 0], [0, 0, 1]])
    atoms.arrays[name] = np.arange(18.0).reshape(2, 9)
    tensor = label(atoms, BORN_EFFECTIVE_CHARGES)
    assert tensor[0, 0].tolist() == [0, 1, 2]
    assert label(atoms, BORN_EFFECTIVE_CHARGES, r_first=True)[0, 0].tolist() == [0, 3, 6]


def test_labels_of_total_energy_and_full_stress():
    atoms = Atoms("HO", [[0, 0, 0], [0, 0, 1]])
    atoms.info["total_energy"] = -3.0
    atoms.info["stress"] = [[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]]
    assert label(atoms, ENERGY) == -3.0
    assert label(atoms, STRESS).tolist() == [1, 2, 3, 4, 5, 6]
    assert label(atoms, BORN_EFFECTIVE_CHARGES) is None
    atoms.info["stress"] = [1.0, 2.0]
    with pytest.raises(ValueError, match=r"'stress': expected stress of shape \(6,\), got \(2,\)"):
        label(atoms, STRESS)


def test_structures_without_labels(tmp_path, toy_model):
    ase.io.write(tmp_path / "bare.xyz", Atoms("HO", [[0, 0, 0], [0, 0, 1]]), format="extxyz")
    code, text = run(toy_model("linear"), tmp_path / "bare.xyz", "-o", tmp_path / "a")
    assert code == 0
    assert "no labels under the names tried; only predictions were made" in " ".join(text.split())
    predicted = ase.io.read(tmp_path / "a-predictions.xyz")
    assert predicted.get_forces().shape == (2, 3)
    assert predicted.get_charges().shape == (2,)


def test_wrong_input_is_one_line(tmp_path, toy_model):
    (tmp_path / "broken.xyz").write_text("hello\n")
    helium = tmp_path / "helium.xyz"
    ase.io.write(helium, Atoms("He"), format="extxyz")
    fine, broken = Atoms("H", info={"energy": 1.0}), Atoms("H", info={"energy": float("nan")})
    names = ("nan", "far", "one_place", "huge")
    nan, far, one_place, huge = (tmp_path / f"{name}.xyz" for name in names)
    ase.io.write(huge, Atoms("H", info={"energy": 1e300}), format="extxyz")
    ase.io.write(far, [fine, Atoms("H2", [[0, 0, 0], [1e20, 0, 0]])], format="extxyz")
    ase.io.write(one_place, [fine, Atoms("H2")], format="extxyz")
    ase.io.write(nan, [fine, broken], format="extxyz")
    cases = {
        (toy_model("linear"), tmp_path / "none.xyz"): "cannot be read as structures",
        (toy_model("linear"), tmp_path / "broken.xyz"): "cannot be read as structures",
        (tmp_path / "none.pt", helium): "none.pt does not exist",
        (toy_model("linear"), nan): "structure 1 of those compared: label 'energy': energy holds a",
        (toy_model("linear"), huge): "energy of 1e+300 eV; expected at most 1e+07",
        (
            toy_model("linear"),
            far,
        ): "far.xyz, frame 1: the atoms of an open structure reach over 1e+20 A",
        (
            toy_model("linear"),
            one_place,
        ): "one_place.xyz, frame 1: atom 0 (H) and atom 1 (H) are 0 A",
        (toy_model("linear"), helium): "has species H O; the structure has He",
        (toy_model("linear"), helium, "--epsilon-inf", "-1"): "epsilon_inf: expected a number from",
    }
    for arguments, message in cases.items():
        code, text = run(*arguments, "-o", tmp_path / "a")
        assert code == 1
        assert text.startswith("error: ")
        assert message in " ".join(text.split())
        assert "Traceback" not in text


def test_measures_of_error():
    """Errors 1 and -3 on reference 2 and 6: RMSE sqrt 5, MAE 2, R2 1 - 10/8."""
    found = errors_of(np.array([3.0, 3.0]), np.array([2.0, 6.0]))
    assert found == pytest.approx((2, 5**0.5, 2.0, -0.25))
    assert np.isnan(errors_of(np.array([1.0]), np.array([2.0])).r2)
    with pytest.raises(ValueError, match=r"cannot compare shapes \(2,\) and \(3,\)"):
        errors_of(np.zeros(2), np.zeros(3))
    shifts = energy_shifts(np.array([5.0, 8.0]), np.array([[2.0, 1.0], [2.0, 2.0]]))
    assert shifts == pytest.approx([1.0, 3.0])
