"""The GPU of the tests: a real one, or one that is not there (tests/fake_cuda), with its counts."""

import json
from dataclasses import dataclass
from pathlib import Path

LIBRARY = Path(__file__).parents[2] / "build" / "fake_cuda" / "libfake_cuda.so"
STAGE = "FAKE_CUDA_STAGE"


@dataclass(frozen=True)
class Counts:
    """What a GPU was asked to do; numbers by name, and bytes that operations read and write."""

    operations: dict[str, int]
    transfers: dict[str, int]
    waits: dict[str, int]
    bytes: int
    peak: int
    """Bytes of device memory, the most at any time of the process."""

    @property
    def totals(self) -> dict[str, int]:
        """Numbers of operations, transfers and waits, and bytes."""
        sums = {name: sum(getattr(self, name).values()) for name in ("operations", "waits")}
        return {**sums, "transfers": sum(self.transfers.values()), "bytes": self.bytes}


def read_counts(report: Path, stage: str = "") -> list[Counts]:
    """Counts of the processes that wrote $FAKE_CUDA_REPORT and used the GPU in this stage."""
    found = []
    for path in sorted(report.parent.glob(f"{report.name}.*")):
        report_of_process = json.loads(path.read_text())
        tables = report_of_process["stages"].get(stage)
        if tables is None:
            continue
        numbers = {
            kind: {what: number for what, (number, _) in table.items()}
            for kind, table in tables.items()
        }
        moved = sum(size for _, size in tables["operations"].values())
        found.append(Counts(**numbers, bytes=moved, peak=report_of_process["peak_bytes"]))
    return found
