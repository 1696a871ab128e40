"""Fixtures that tests of every room share."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "models"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Directory of published checkpoints, data and reference values; skips where it is absent."""
    default = Path(__file__).resolve().parents[1].parent / "shared"
    directory = Path(os.environ.get("LES_SHARED", default))
    if not directory.is_dir():
        pytest.skip(f"reference data not found at {directory} (set LES_SHARED)")
    return directory


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Path of a toy model file by name and dtype; the toys are listed in models/generate.py."""
    from generate import write_toy_model

    directory = tmp_path_factory.mktemp("toy_models")

    def path(name: str, dtype: str = "float64") -> Path:
        file = directory / f"{name}-{dtype}.pt"
        if not file.exists():
            write_toy_model(file, name, dtype)
        return file

    return path
