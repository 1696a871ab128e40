"""The command line: help, info, and errors without a traceback."""

import json

import pytest
from typer.testing import CliRunner

from lammps_les import __version__
from lammps_les.cli import app
from lammps_les.model_file import read_metadata

ANALYSES = ["ir", "raman", "conductivity", "dielectric", "polarization", "hysteresis", "bec"]
COMMANDS = [
    "bench",
    "born",
    "export",
    "info",
    "evaluate",
    "train",
    *(f"analyze {a}" for a in ANALYSES),
]


def run(*arguments) -> tuple[int, str]:
    """Exit code and all output, with line breaks of the terminal taken out."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command):
    code, text = run(*command.split(), "--help")
    assert code == 0
    assert f"Example: lammps-les {command} " in text


def test_version():
    assert run("--version") == (0, f"lammps-les {__version__}")


def test_info_shows_every_field(toy_model):
    code, text = run("info", toy_model("two_channels", "float32"))
    assert code == 0
    for name, value in json.loads(
        read_metadata(toy_model("two_channels")).model_dump_json()
    ).items():
        sections = name in ("network", "long_range", "charges", "response")
        for field in [f"{name}.{inner}" for inner in value] if sections else [name]:
            assert field in text or field == "network.config"
    assert "charges.sign │ +1 -1 │" in text
    assert "remove_self │ yes │" in text
    assert "dtype │ float32 │" in text
    assert "1.9 0.1 0" in run("info", toy_model("by_hand"))[1]


def test_info_of_no_model_is_one_line(tmp_path):
    (tmp_path / "x.pt").write_text("hello")
    code, text = run("info", tmp_path / "x.pt")
    assert code == 1
    assert text.startswith(f"error: model file {tmp_path}/x.pt is no TorchScript archive")
    code, text = run("info", tmp_path / "[y].pt")
    missing = "does not exist; write one with 'lammps-les export'"
    assert (code, text) == (1, f"error: model file {tmp_path}/[y].pt {missing}")
