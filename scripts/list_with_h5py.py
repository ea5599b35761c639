"""Reads a checkpoint with h5py alone and prints every dataset and root attribute as JSON."""

import hashlib
import json
import sys

import h5py
import numpy


def main():
    listing = {}
    with h5py.File(sys.argv[1], "r") as file:
        attributes = {name: str(value) for name, value in file.attrs.items()}

        def visit(name, item):
            if not isinstance(item, h5py.Dataset):
                return
            if item.shape is None:
                listing[name] = {"bytes": len(item.attrs["__BYTES__"].tobytes())}
                return
            data = numpy.ascontiguousarray(item[...])
            listing[name] = {
                "dtype": str(item.attrs["dtypes"][0]).removeprefix("torch."),
                "shape": list(item.shape),
                "sha256": hashlib.sha256(data.tobytes()).hexdigest(),
                "attributes": sorted(item.attrs),
            }

        file.visititems(visit)
    print(json.dumps({"attributes": attributes, "datasets": listing}))


main()
