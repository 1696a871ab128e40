"""The CUDA device that is not there shows the faults for which it was made."""

import subprocess
from pathlib import Path

import pytest
from gpu import LIBRARY, Counts, read_counts


def commit(fault: str, environment: dict[str, str], folder: Path) -> tuple[int, str, list[Counts]]:
    """Run tests/fake_cuda/faults.cpp: status, what it printed, what it asked of the device."""
    report = folder / "report"
    done = subprocess.run(
        [LIBRARY.with_name("fake_cuda_faults"), fault],
        env={**environment, "FAKE_CUDA_DEVICES": "2", "FAKE_CUDA_REPORT": str(report)},
        text=True,
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr, read_counts(report)


def test_right_use_is_let_through(fake_cuda: dict[str, str], tmp_path: Path) -> None:
    status, said, (counts,) = commit("none", fake_cuda, tmp_path)
    assert status == 0
    assert said == "sum 204\n"
    assert counts.waits == {"aten::_local_scalar_dense of Double[] on cuda:0": 1}
    assert counts.transfers == {"to device, pinned": 1, "to host, pageable": 1}
    assert counts.operations["aten::mm.out"] == 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            "two_devices",
            "tensors of two devices: aten::add of Double[2, 3] on cuda:0, Double[2, 3] on cpu",
        ),
        ("two_gpus", "tensors of two devices: aten::add of Double[3] on cuda:0, Double[3] on cuda"),
        ("host_index", "aten::index_select of Double[5, 3] on cuda:0, Long[2] on cpu"),
        ("unwritten", "nobody has written is read by aten::sum.IntList_out of Double[7, 3] on"),
        (
            "unwritten_index",
            "nobody has written is read by aten::index_select of Double[5] on",
        ),
        (
            "partly_unwritten",
            "nobody has written is read by aten::mul.out of Double[4, 3] on",
        ),
        (
            "unwritten_to_host",
            "nobody has written is read by copy_ of Double[2] on cpu",
        ),
        ("freed", "nobody has written is read by aten::sum"),
    ],
)
def test_refused(fault: str, message: str, fake_cuda: dict[str, str], tmp_path: Path) -> None:
    status, said, _ = commit(fault, fake_cuda, tmp_path)
    assert status == 1
    assert message in said


@pytest.mark.parametrize("fault", ["pointer", "write_pointer"])
def test_host_that_touches_device_memory_dies(
    fault: str, fake_cuda: dict[str, str], tmp_path: Path
) -> None:
    status, said, _ = commit(fault, fake_cuda, tmp_path)
    assert status < 0
    assert "the host touched device memory; the last operation on the device was aten::" in said
    assert "Double[4] on cuda:0" in said


def test_waits_are_counted(fake_cuda: dict[str, str], tmp_path: Path) -> None:
    status, _, (counts,) = commit("waits", fake_cuda, tmp_path)
    assert status == 0
    assert sum(counts.waits.values()) == 3
    assert counts.waits["aten::nonzero of Bool[4] on cuda:0"] == 1
