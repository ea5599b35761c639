"""deploy/smoke.sh and deploy/backup.sh against the real binary."""

import subprocess

import checkpoints
import pytest
from service import BINARY, Service, environment
from nginx import free_port
from origin import Origin


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
    if made.returncode == 2 and "token" not in subprocess.run([BINARY, "--help"], capture_output=True, text=True).stdout:
        pytest.skip("this version has no access tokens")
    assert made.returncode == 0, made.stderr
    with Service(folder, disk_floor=0) as service:
        yield service, made.stdout.strip()


def test_smoke_with_a_token(deploy, guarded):
    service, token = guarded
    assert smoke(deploy, service.base, ZOOPORT_TOKEN=token).returncode == 0
    refused = smoke(deploy, service.base)
    assert refused.returncode != 0 and "ZOOPORT_TOKEN" in refused.stderr


def test_backup_of_a_running_service_and_restore(deploy, tmp_path, tiny):
    """What had succeeded is there with its outputs; what ran is run again."""
    with Origin(tiny.weights.parent, rate=2000) as slow, Service(
            tmp_path / "data", disk_floor=0, allow_private_fetch="127.0.0.1") as service:
        ids = [{"upload": service.upload(file)} for file in (tiny.config, tiny.weights)]
        ended = service.wait(service.submit(checkpoints.job(*ids))["id"])
        outputs = service.outputs(ended)
        running = service.submit(checkpoints.job({"url": slow.url("config.json")}, {"url": slow.url("pytorch_model.bin")}))
        service.wait(running["id"], "running", phase="fetching")
        process = subprocess.run(
            [deploy / "backup.sh", service.folder, tmp_path / "copy"], capture_output=True, text=True, timeout=60)
        assert process.returncode == 0, process.stderr
        assert "2 jobs" in process.stdout
        again = subprocess.run([deploy / "backup.sh", service.folder, tmp_path / "copy"], capture_output=True)
        assert again.returncode == 2, "an older backup would be overwritten"
        service.send("DELETE", ended["url"])
        service.kill()
        slow.rate = None
        with Service(tmp_path / "copy", disk_floor=0, allow_private_fetch="127.0.0.1") as restored:
            assert restored.outputs(restored.job(ended["id"])) == outputs
            assert restored.wait(running["id"])["status"] == "succeeded"
