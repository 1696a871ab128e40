"""Files of LAMMPS are read by the names in their headers, and faults are named."""

from pathlib import Path

import numpy as np
import pytest

from lammps_les.analysis.lammps_output import read_series
from lammps_les.analysis.runs import Given, load_run

AVE_TIME = """\
# Time-averaged data for fix series
# TimeStep v_time c_J[2] c_J[1] c_J[3] c_thermo_temp
0 0 2 1 3 300
4 0.002 5 4 6 310
8 0.004 8 7 9 290
"""
LOG = """\
LAMMPS (22 Jul 2025)
units           real
timestep        0.5
fix series all ave/time 4 1 4 v_time file x.dat
Per MPI rank memory allocation (min/avg/max) = 3.1 | 3.1 | 3.1 Mbytes
   Step          Temp          Volume
         0   300            1000
        10   301            1000
Loop time of 0.1 on 1 procs for 10 steps with 3 atoms

run 10
Per MPI rank memory allocation (min/avg/max) = 3.1 | 3.1 | 3.1 Mbytes
   Step          Temp          Volume
        10   302            1000
WARNING: something (src/x.cpp:1)
        20   303            1000
Loop time of 0.1 on 1 procs for 10 steps with 3 atoms
"""


@pytest.fixture
def write(tmp_path: Path):
    """A file with some text."""

    def put(text: str) -> Path:
        path = tmp_path / "series.dat"
        path.write_text(text)
        return path

    return put


def test_fix_ave_time_by_names_not_positions(write) -> None:
    series = read_series(write(AVE_TIME))
    assert list(series.columns)[:2] == ["TimeStep", "v_time"]
    expected = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    np.testing.assert_array_equal(series.take("c_J[1],c_J[2],c_J[3]"), expected)
    np.testing.assert_array_equal(series.take("c_J[*]", 3), expected)
    np.testing.assert_array_equal(series.take("c_J[2*3]", 2), np.array(expected)[:, 1:])
    run = load_run(series.path, Given(skip=0.0))
    assert run.step == pytest.approx(0.002)
    assert run.temperature == pytest.approx(300.0)
    np.testing.assert_array_equal(run.current(None), expected)


def test_units_real_become_ps(write) -> None:
    run = load_run(write(AVE_TIME), Given(units="real", skip=0.002e-3))
    assert run.step == pytest.approx(2e-6)
    np.testing.assert_allclose(run.current("c_J[*]"), [[4000, 5000, 6000], [7000, 8000, 9000]])


def test_log_of_two_runs(write) -> None:
    """The later of two rows of one step counts; units and time step are those of the input."""
    run = load_run(write(LOG), Given(skip=0.0))
    np.testing.assert_array_equal(run.series.columns["Temp"], [300, 302, 303])
    assert run.step == pytest.approx(0.005)
    assert run.volume == 1000.0
    with pytest.raises(ValueError, match=r"expected columns c_J\[1\*3\] or .*, found Step"):
        run.current(None)


def test_log_in_yaml(write) -> None:
    text = """\
LAMMPS (22 Jul 2025)
Per MPI rank memory allocation (min/avg/max) = 3.1 | 3.1 | 3.1 Mbytes
---
keywords: ['Step', 'Temp', 'f_field[4]', ]
data:
  - [0, 300, 0.5, ]
  - [5, 302, 0.25, ]
...
Loop time of 0.1 on 1 procs for 10 steps with 3 atoms
"""
    series = read_series(write(text))
    np.testing.assert_array_equal(series.take("Temp,f_field[4]"), [[300, 0.5], [302, 0.25]])


def test_fix_print_and_csv(write) -> None:
    for text in ("# step time P\n0 0.0 1.5\n1 0.5 2.5\n", "step,time,P\n0,0.0,1.5\n1,0.5,2.5\n"):
        series = read_series(write(text))
        np.testing.assert_array_equal(series.take("time,P"), [[0.0, 1.5], [0.5, 2.5]])


def test_last_line_that_is_being_written_is_left_out(write) -> None:
    assert len(read_series(write(AVE_TIME + "12 0.006 1 2"))) == 3
    assert len(read_series(write(AVE_TIME + "12 0.006 1 2 3 30"))) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# Fix print output for fix 1\n0 1.0\n", "expected a line '# name name ...' of 2 names"),
        (AVE_TIME + "12 0.006 1\n", "line 6: expected 6 numbers .* got 3"),
        (AVE_TIME + "12 0.006 1 2 3 x\n", "line 6: 'x' is no number"),
        (AVE_TIME + "12 0.006 1 2 3 nan\n", "line 6: c_thermo_temp is nan"),
        ("# TimeStep a a\n0 1 1\n", "the column a stands twice"),
        ("# TimeStep Number-of-rows\n# Row c_1\n0 1\n1 5\n", "mode vector; expected mode scalar"),
        ("# TimeStep a\n", "has no rows of numbers"),
        ("LAMMPS (22 Jul 2025)\n", "is a log without thermo output"),
    ],
)
def test_faults_are_named(write, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_series(write(text))


def test_columns_that_are_missing_are_named_with_those_found(write) -> None:
    series = read_series(write(AVE_TIME))
    for name in ("c_K[1]", "c_J[1*4]", "c_K[*]"):
        with pytest.raises(ValueError, match="series.dat: expected a column .*, found TimeStep v_"):
            series.take(name)
    with pytest.raises(ValueError, match=r"expected 3 columns, 'c_J\[1\*2\]' names 2"):
        series.take("c_J[1*2]", 3)
    with pytest.raises(ValueError, match=r"expected a column v_volume or .*; or give --volume"):
        _ = load_run(series.path).volume


def test_times_that_jump_are_refused(write) -> None:
    with pytest.raises(ValueError, match="samples 3 and 4 are 0.008 ps apart, most 0.002"):
        load_run(write(AVE_TIME + "12 0.012 1 2 3 300\n"))
    with pytest.raises(ValueError, match="or give --timestep"):
        load_run(write("# Step P\n0 1\n1 2\n"))
    with pytest.raises(ValueError, match="nothing is left of 0.006 ps after --skip 1.0"):
        load_run(write(AVE_TIME), Given(skip=1.0))
    with pytest.raises(ValueError, match="expected units metal or real, got lj"):
        load_run(write(LOG.replace("real", "lj")))
