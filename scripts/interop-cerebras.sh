#!/usr/bin/env bash
# Checks that the real cerebras_pytorch loads the HDF5 checkpoints that Zooport writes, with equal values.
#
# Makes a virtual environment in .venv-cerebras on the first run (about 3 GB with torch), then runs the interop tests,
# which write checkpoints, load them with cstorch.load and print what was compared. Needs Python 3.11.
set -euo pipefail
cd "$(dirname "$0")/.."

environment=.venv-cerebras
if [ ! -x "$environment/bin/python" ] || ! "$environment/bin/python" -c 'import torch, h5py' 2>/dev/null; then
  python3.11 -m venv "$environment"
  "$environment/bin/pip" install --quiet torch==2.4.0
  # The two packages pin hundreds of megabytes of things that loading does not need.
  "$environment/bin/pip" install --quiet --no-deps cerebras_pytorch==2.10.0 cerebras_appliance==2.10.0
  "$environment/bin/pip" install --quiet numpy==1.25.0 pandas==2.2.3 protobuf==4.21.12 grpcio==1.51.1 \
    grpcio-tools==1.51.1 dill==0.3.8 tblib==3.0.0 h5py==3.13.0 hdf5plugin==5.1.0 psutil==7.1.3 'PyJWT<3' tqdm \
    'packaging<26' pyyaml zstandard multiprocess==0.70.16 boto3 tabulate==0.9.0 tensorboard==2.17.1 'setuptools<70'
fi

export ZOOPORT_CEREBRAS_PYTHON="$PWD/$environment/bin/python"
export ZOOPORT_PYTHON="$ZOOPORT_CEREBRAS_PYTHON"
exec swift test --filter HDF5InteropTests
