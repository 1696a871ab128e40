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


@pytest.fixture(scope="session")
def fake_cuda() -> dict[str, str]:
    """Environment in which torch has a CUDA device that is not there; skips where it has CUDA."""
    import torch
    from gpu import LIBRARY

    if torch.version.cuda:
        pytest.skip("torch has CUDA, so there is no fake device and nothing is counted")
    assert LIBRARY.is_file(), f"{LIBRARY} does not exist; 'make setup' builds it"
    # kernels are compiled once for all tests, and again when anything about them changes
    return {"LD_PRELOAD": str(LIBRARY), "XDG_CACHE_HOME": str(LIBRARY.parent / "cache")}


@pytest.fixture(scope="session")
def gpu(request: pytest.FixtureRequest) -> dict[str, str]:
    """Environment in which `device cuda` works: on the real device, if torch has CUDA."""
    import torch

    if torch.version.cuda is None:
        return request.getfixturevalue("fake_cuda")
    if not torch.cuda.is_available():
        pytest.skip("torch has CUDA, but there is no GPU here")
    return {}
