#!/usr/bin/env bash
# Everything to run on a machine with a GPU: correctness against the CPU, kernels under compute-sanitizer, then timings, with kernels and without.
#
#   benchmarks/gpu.sh [folder]          results: build/bench/gpu, or the folder
#
# DEVICE=cpu ATOMS=192 STEPS=2 benchmarks/gpu.sh tries the script itself on any machine.
# Two ranks share the GPU where there is only one. Beyond 2,000 atoms the default of STEPS takes more
# steps than `lammps-les bench` would, and so gives the time to the first 100 steps for every size.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
DEVICE=${DEVICE:-cuda}
ATOMS=${ATOMS:-192,7680,98304,1000000}
STEPS=${STEPS:-100}
REPEATS=${REPEATS:-3}
TESTS=${TESTS:-tests/kernels tests/lammps/test_device.py tests/lammps/test_computes.py}
KERNELS="edges neighbors tally triclinic points small"
folder=${1:-build/bench/gpu}

mkdir -p "$folder"
if command -v nvidia-smi > /dev/null; then nvidia-smi > "$folder/nvidia-smi.txt"; fi
"$PYTHON" -m pytest -q $TESTS | tee "$folder/tests.txt"
if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck initcheck; do
        # each tensor has memory of its own, so that what lies beyond it is seen
        PYTORCH_NO_CUDA_MEMORY_CACHING=1 compute-sanitizer --tool "$tool" --error-exitcode 1 \
            "$PYTHON" tests/kernels/played.py "$folder/played.npz" $KERNELS > "$folder/$tool.txt" 2>&1 \
            && echo "$tool: no errors" || echo "$tool: see $folder/$tool.txt"
    done
else
    echo "compute-sanitizer is not in the PATH: no memcheck, no racecheck"
fi
"$PYTHON" -m lammps_les.cli export water_rpbe-d3 -o "$folder/water.pt"
"$PYTHON" -m lammps_les.cli bench "$folder/water.pt" --device "$DEVICE" --atoms "$ATOMS" \
    --ranks 1,2 --steps "$STEPS" --repeats "$REPEATS" --field -o "$folder/water"
if [ "$DEVICE" != cpu ]; then
    "$PYTHON" -m lammps_les.cli bench "$folder/water.pt" --device "$DEVICE" --atoms "$ATOMS" \
        --ranks 1 --steps "$STEPS" --repeats "$REPEATS" --style "gpu_kernels no" -o "$folder/water-without-kernels"
fi
