from pathlib import Path

import checkpoints
import pytest
from service import Service


@pytest.fixture(scope="session")
def deploy():
    """The folder with everything that is deployed."""
    return Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    return checkpoints.make(tmp_path_factory.mktemp("models"), checkpoints.TINY)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with Service(tmp_path_factory.mktemp("service") / "data", disk_floor=0, allow_private_fetch="127.0.0.1") as service:
        yield service


@pytest.fixture(scope="session")
def settings(deploy):
    """The names of all settings; another test compares env.example with the program."""
    lines = (deploy / "env.example").read_text().splitlines()
    return {line.strip("#").split("=")[0] for line in lines if line.startswith("#ZOOPORT_")}
