"""deploy/smoke.sh against the real binary."""

import subprocess

import pytest
from nginx import free_port
from service import BINARY, Service, environment


def smoke(deploy, base, **variables):
    return subprocess.run(
        [deploy / "smoke.sh", base], capture_output=True, text=True, timeout=120, env=environment(**variables))


def test_smoke_passes_and_leaves_nothing(deploy, service):
    process = smoke(deploy, service.base)
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.endswith(f"All is well at {service.base}.\n")
    assert service.jobs() == []
    assert not list((service.folder / "uploads").iterdir()) + list((service.folder / "outputs").iterdir())


def test_smoke_fails_where_nobody_answers(deploy):
    process = smoke(deploy, f"http://127.0.0.1:{free_port()}")
    assert process.returncode != 0 and "FAILED" in process.stderr


def test_smoke_fails_when_the_service_is_not_ready(deploy, tmp_path):
    with Service(tmp_path / "data", disk_floor="100000GiB") as service:
        process = smoke(deploy, service.base)
    assert process.returncode != 0 and '"disk"' in process.stderr


@pytest.fixture
def guarded(tmp_path):
    """A service with tokens, and a token."""
    folder = tmp_path / "data"
    folder.mkdir()
    made = subprocess.run(
        [BINARY, "token", "create", "smoke", "--scope", "submit,read", "--data-dir", folder], capture_output=True,
        text=True, env=environment())
    assert made.returncode == 0, made.stderr
    with Service(folder, disk_floor=0) as service:
        yield service, made.stdout.strip()


def test_smoke_with_a_token(deploy, guarded):
    service, token = guarded
    assert smoke(deploy, service.base, ZOOPORT_TOKEN=token).returncode == 0
    refused = smoke(deploy, service.base)
    assert refused.returncode != 0 and "ZOOPORT_TOKEN" in refused.stderr
