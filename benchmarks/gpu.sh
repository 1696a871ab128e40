#!/usr/bin/env bash
# Everything to run on a machine with a GPU: correctness against the CPU, then timings.
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
TESTS=${TESTS:-tests/lammps/test_computes.py}
folder=${1:-build/bench/gpu}

mkdir -p "$folder"
if command -v nvidia-smi > /dev/null; then nvidia-smi > "$folder/nvidia-smi.txt"; fi
"$PYTHON" -m pytest -q "$TESTS" -k "$DEVICE" | tee "$folder/tests.txt"
"$PYTHON" -m lammps_les.cli export water_rpbe-d3 -o "$folder/water.pt"
"$PYTHON" -m lammps_les.cli bench "$folder/water.pt" --device "$DEVICE" --atoms "$ATOMS" \
    --ranks 1,2 --steps "$STEPS" --repeats "$REPEATS" --field -o "$folder/water"
