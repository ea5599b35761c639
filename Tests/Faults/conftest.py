"""What the fault tests share: checkpoints that are made once, and what an undisturbed service makes of them."""

import hashlib

import checkpoints
import pytest
from service import Service


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Checkpoints by name: tiny, middle, deep."""
    folder = tmp_path_factory.mktemp("models")
    return {
        shape.name: checkpoints.make(folder, shape) for shape in (checkpoints.TINY, checkpoints.MIDDLE, checkpoints.DEEP)}


@pytest.fixture(scope="session")
def undisturbed(models, tmp_path_factory):
    """Name -> verify -> what a job of the checkpoint has as outputs: name -> digest."""
    digests = {}
    with Service(tmp_path_factory.mktemp("undisturbed") / "data") as service:
        for name, model in models.items():
            config, weights = service.upload(model.config), service.upload(model.weights)
            for verify in (False, True):
                job = service.submit(checkpoints.job({"upload": config}, {"upload": weights}, verify=verify))
                ended = service.wait(job["id"])
                assert ended["status"] == "succeeded", ended["error"]
                files = service.outputs(ended)
                assert {o["name"]: o["sha256"] for o in ended["outputs"]} == digest_all(files)
                digests[name, verify] = digest_all(files)
    return digests


def digest_all(files):
    """Name -> digest of some contents."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
