"""Writes a format-0.5 checkpoint with h5py whose datasets use every way of storing data that Zooport reads, and prints
what it holds as JSON. A second argument `latest` lets h5py use newer structures, which Zooport refuses."""

import hashlib
import json
import sys

import h5py
import numpy

LEAF = {"type": None, "context": None, "children_spec": []}


def spec(keys):
    node = {"type": "builtins.dict", "context": json.dumps(keys), "children_spec": [LEAF] * len(keys)}
    return [{key: "*" for key in keys}, json.dumps([1, node])]


def main():
    path, libver = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "earliest"
    rng = numpy.random.default_rng(3)
    smooth = (numpy.arange(90 * 70).reshape(90, 70) // 9).astype("f4")
    cube = rng.integers(0, 5, (7, 11, 13)).astype("i8")
    with h5py.File(path, "w", libver=libver) as file:
        file.create_dataset("gzip", data=smooth, chunks=(32, 16), compression="gzip")
        file.create_dataset("shuffled", data=smooth, chunks=(16, 64), compression="gzip", shuffle=True)
        file.create_dataset("lzf", data=smooth, chunks=(90, 7), compression="lzf")
        file.create_dataset("plain_chunks", data=smooth.astype("f2"), chunks=(1, 70))
        file.create_dataset("cube", data=cube, chunks=(2, 5, 4), compression="gzip")
        file.create_dataset("deep", data=numpy.arange(20000, dtype="i4"), chunks=(3,))
        file.create_dataset("big_endian", data=smooth.astype(">f8"))
        file.create_dataset("big_endian_chunks", data=cube.astype(">i2"), chunks=(3, 3, 3), compression="gzip")
        file.create_dataset("unwritten", shape=(5, 6), dtype="f4", fillvalue=2.5)
        partly = file.create_dataset("partly", shape=(50, 40), dtype="i4", chunks=(8, 8), fillvalue=-7)
        partly[10:12, 3:9] = 1
        file.create_dataset("flags", data=cube > 2)
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((3, 3))
        low = h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32BE, space, compact)
        low.write(h5py.h5s.ALL, h5py.h5s.ALL, numpy.arange(9, dtype="f4").reshape(3, 3))
        keys = sorted(file)
        listing = {}
        for key in keys:
            data = file[key][...]
            native = data.astype(data.dtype.newbyteorder("<"))
            listing[key] = {
                "dtype": native.dtype.name,
                "shape": list(data.shape),
                "sha256": hashlib.sha256(native.tobytes()).hexdigest(),
            }
            metadata = {"__TYPE__": "NumpyArraySerializer", "__NUMPY__": True, "is_bfloat16": False}
            file.attrs[f"{key}.__metadata__"] = json.dumps(
                {"__spec__": spec([key]), "__objects__": [key], f"{key}.__metadata__": metadata}
            )
        file.attrs["__version__"] = 0.5
        file.attrs["__spec__"] = json.dumps(spec(keys))
        file.attrs["__SUCCESS__"] = True
    print(json.dumps(listing))


main()
