"""A run of LAMMPS as the analyses take it: evenly spaced, in ps, A^3, K and e A/ps."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lammps_les.analysis.lammps_output import Series, read_series
from lammps_les.analysis.statistics import equilibrated_from

STEP = ("TimeStep", "Step", "step")
TIME = ("v_time", "Time", "time")
TEMPERATURE = ("c_thermo_temp", "Temp", "v_temp", "v_temperature", "temperature")
VOLUME = ("v_volume", "Volume", "v_vol", "volume")
PER_PS = {"metal": 1.0, "real": 1000.0}
"""Times of LAMMPS in one ps, by its units; velocities and currents in A/ps are that much larger."""


@dataclass(frozen=True)
class Given:
    """What is said of a run on the command line; None: the file says it.

    Attributes:
        units: ``metal`` or ``real``.
        timestep: in time units of the file, where it has no column of times.
        temperature: K.
        volume: A^3.
        skip: ps at the begin that are left out; None: up to equilibrium, see ``Run.begin``.
    """

    units: str | None = None
    timestep: float | None = None
    temperature: float | None = None
    volume: float | None = None
    skip: float | None = None


@dataclass(frozen=True)
class Run:
    """An evenly spaced series.

    Attributes:
        series: the file, whole.
        per_ps: time units in one ps.
        step: ps between samples.
        begin: first sample that is used. Where nobody says how much to leave out: the begin of
            equilibrium of the temperature, or of the volume, whichever is later.
    """

    series: Series
    given: Given
    per_ps: float
    step: float
    begin: int

    @property
    def name(self) -> str:
        """Of the file, without folder and suffix."""
        return self.series.path.stem

    @property
    def length(self) -> float:
        """Ps that are used."""
        return self.step * (len(self.series) - self.begin)

    @property
    def temperature(self) -> float:
        """Mean, K."""
        return self._mean(self.given.temperature, TEMPERATURE, "--temperature K")

    @property
    def volume(self) -> float:
        """Mean, A^3."""
        return self._mean(self.given.volume, VOLUME, "--volume A^3")

    def take(self, names: str, count: int | None = None) -> np.ndarray:
        """Columns of the part that is used, [samples, columns], in units of the file."""
        return self.series.take(names, count)[self.begin :]

    def constant_or_column(self, text: str) -> np.ndarray:
        """[samples] of a number, or of the column that the text names."""
        value = _number(text)
        samples = len(self.series) - self.begin
        return self.take(text, 1)[:, 0] if value is None else np.full(samples, value)

    def current(self, names: str | None) -> np.ndarray:
        """The current [samples, 3], e A/ps; without a name that of ``c_J`` or ``f_field``.

        Raises:
            ValueError: there are no such columns.
        """
        return self.take(self._known(names, ("c_J[1*3]", "f_field[7*9]")), 3) * self.per_ps

    def polarization(self, names: str | None) -> np.ndarray | None:
        """The itinerant polarization [samples, 3], e A; without a name that of ``f_field``."""
        if names is None and "f_field[4]" not in self.series.columns:
            return None
        return self.take(names or "f_field[4*6]", 3)

    def _known(self, names: str | None, candidates: tuple[str, ...]) -> str:
        if names is not None:
            return names
        for one in candidates:
            try:
                self.series.names(one)
            except ValueError:
                continue
            return one
        raise ValueError(
            f"{self.series.path}: expected columns {' or '.join(candidates)}, found "
            f"{' '.join(self.series.columns)}; name them with --current"
        )

    def _mean(self, given: float | None, candidates: tuple[str, ...], option: str) -> float:
        if given is not None:
            return given
        column = self.series.first(candidates)
        if column is None:
            raise ValueError(
                f"{self.series.path}: expected a column {' or '.join(candidates)}, found "
                f"{' '.join(self.series.columns)}; or give {option}"
            )
        return float(column[self.begin :].mean())


def load_run(path: str | Path, given: Given = Given()) -> Run:  # noqa: B008  (it is frozen)
    """Read a file and see that its samples are evenly spaced.

    Raises:
        ValueError: they are not, the file does not say its times, or units are others than metal
            and real.
    """
    series = read_series(path)
    units = given.units or series.settings.get("units", "metal")
    if units not in PER_PS:
        raise ValueError(f"{path}: expected units metal or real, got {units}")
    per_ps = PER_PS[units]
    times = series.first(TIME)
    if times is None:
        steps = series.first(STEP)
        timestep = given.timestep or _number(series.settings.get("timestep"))
        if steps is None or timestep is None:
            raise ValueError(
                f"{path}: expected a column {' or '.join(TIME)}, found {' '.join(series.columns)}; "
                "or give --timestep for a column of steps"
            )
        times = timestep * steps
    gaps = np.diff(times) / per_ps
    if len(gaps) < 1 or gaps.min() <= 0.0:
        raise ValueError(f"{path}: expected times that grow, over two samples at least")
    step = float(gaps.mean())
    if np.ptp(gaps) > 0.01 * step:
        at = int(np.argmax(np.abs(gaps - np.median(gaps))))
        raise ValueError(
            f"{path}: expected evenly spaced times; samples {at + 1} and {at + 2} are "
            f"{gaps[at]:g} ps apart, most {np.median(gaps):g}"
        )
    if given.skip is None:
        judges = [series.first(names) for names in (TEMPERATURE, VOLUME)]
        begin = max((equilibrated_from(j) for j in judges if j is not None), default=0)
        begin = min(begin, len(times) // 2)
    else:
        begin = round(given.skip / step)
    if len(times) - begin < 2:
        raise ValueError(
            f"{path}: nothing is left of {step * len(times):g} ps after --skip {given.skip}"
        )
    return Run(series, given, per_ps, step, begin)


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
