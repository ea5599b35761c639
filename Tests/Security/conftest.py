import checkpoints
import pytest
from service import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service that takes 1 MiB at most."""
    with Service(tmp_path_factory.mktemp("service") / "data", max_upload="1MiB", disk_floor=0) as service:
        yield service
        assert service.process.poll() is None, "the service died"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    return checkpoints.make(tmp_path_factory.mktemp("models"), checkpoints.TINY)
