"""Fixtures that tests of every room share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Directory of published checkpoints, data and reference values; skips where it is absent."""
    default = Path(__file__).resolve().parents[1].parent / "shared"
    directory = Path(os.environ.get("LES_SHARED", default))
    if not directory.is_dir():
        pytest.skip(f"reference data not found at {directory} (set LES_SHARED)")
    return directory
