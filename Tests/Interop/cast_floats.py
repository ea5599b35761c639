"""Casts raw elements with the real torch: cast_floats.py SOURCE_TYPE TARGET_TYPE < elements > elements."""

import sys

import numpy as np
import torch

source, target = (getattr(torch, name) for name in sys.argv[1:3])
elements = torch.from_numpy(np.frombuffer(sys.stdin.buffer.read(), dtype=np.uint8).copy()).view(source)
sys.stdout.buffer.write(elements.to(target).view(torch.uint8).numpy().tobytes())
