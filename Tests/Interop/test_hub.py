"""The hub of the tests is true to a real client: huggingface_hub downloads from it what zooport downloads from it."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.utils import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

FILES = Path(__file__).parents[1] / "Fixtures" / "gpt2"
COMMIT = "c0ffee00" * 5


@pytest.fixture
def hub():
    """The test hub with one repository; calling it answers the requests so far."""
    program = Path(os.environ.get("ZOOPORT_BINARY", ".build/release/zooport")).resolve().parent / "hub-server"
    process = subprocess.Popen([str(program), f"owner/gpt2={FILES}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)

    def requests():
        process.stdin.write("\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    requests.endpoint = process.stdout.readline().strip()
    yield requests
    process.stdin.close()
    process.wait(timeout=10)


def test_snapshot(hub, tmp_path):
    folder = Path(snapshot_download("owner/gpt2", endpoint=hub.endpoint, cache_dir=tmp_path))
    assert folder.name == COMMIT
    for name in ("config.json", "pytorch_model.bin"):
        assert (folder / name).read_bytes() == (FILES / name).read_bytes()
    # The large file came from the store that the hub redirects to.
    assert ["GET", "pytorch_model.bin", "store", ""] in hub()


def test_one_file_and_metadata(hub, tmp_path):
    path = hf_hub_download("owner/gpt2", "pytorch_model.bin", revision=COMMIT, endpoint=hub.endpoint, cache_dir=tmp_path)
    assert Path(path).read_bytes() == (FILES / "pytorch_model.bin").read_bytes()
    info = HfApi(endpoint=hub.endpoint).model_info("owner/gpt2")
    assert info.sha == COMMIT
    assert sorted(sibling.rfilename for sibling in info.siblings) == ["config.json", "pytorch_model.bin"]


def test_refusals(hub, tmp_path):
    for arguments, error in [(("owner/none", "config.json", "main"), RepositoryNotFoundError),
                             (("owner/gpt2", "config.json", "none"), RevisionNotFoundError),
                             (("owner/gpt2", "none.bin", "main"), EntryNotFoundError)]:
        repository, name, revision = arguments
        with pytest.raises(error):
            hf_hub_download(repository, name, revision=revision, endpoint=hub.endpoint, cache_dir=tmp_path)


def test_zooport_downloads_the_same(hub, tmp_path):
    binary = os.environ.get("ZOOPORT_BINARY", ".build/release/zooport")
    environment = {"HF_ENDPOINT": hub.endpoint, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": os.environ["PATH"]}
    process = subprocess.run(
        [str(Path(binary).resolve()), "convert", "hub://owner/gpt2", "--model", "auto", "--src-fmt", "hf", "--tgt-fmt",
         "cs-1.8", "--output-dir", str(tmp_path / "out")],
        capture_output=True, text=True, timeout=120, env=environment)
    assert process.returncode == 0, process.stderr
    files = [path for path in (tmp_path / "cache/zooport/files").iterdir()]
    assert (FILES / "pytorch_model.bin").read_bytes() in [path.read_bytes() for path in files]
