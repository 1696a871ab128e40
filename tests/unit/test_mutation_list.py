"""The list of planted faults of `tests/mutation` is about the sources and the tests as they are."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "mutation"))
from mutants import ROOT, mutants  # noqa: E402

MUTANTS = list(mutants())


def test_every_old_text_stands_in_its_file_once():
    for mutant in MUTANTS:
        original = (ROOT / mutant.file).read_text()
        assert mutant.text(original) != original, mutant
    assert len({(m.file, m.new, m.old) for m in MUTANTS}) == len(MUTANTS) >= 60


def test_an_old_text_that_is_gone_or_stands_twice_is_refused():
    mutant = MUTANTS[0]
    for original, times in (("", 0), (2 * mutant.old, 2)):
        with pytest.raises(ValueError, match=f"once, found it {times} times"):
            mutant.text(original)


def test_every_test_that_is_named_is_there():
    for test in {test for mutant in MUTANTS for test in mutant.tests}:
        file, *name = test.split("::")
        source = (ROOT / file).read_text()
        if name:
            assert re.search(rf"^def {name[0].split('[')[0]}\(", source, re.M), test
