"""The hub of the tests is true to a real client: huggingface_hub downloads from it what zooport downloads from it.

The commands of the documents that name a model card run against it as they stand."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import requests
import torch
from documents import blocks
from hub import Hub
from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.utils import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from service import BINARY, Service
from transformers import GPTJConfig, GPTJForCausalLM

FILES = Path(__file__).parents[1] / "Fixtures" / "gpt2"
COMMIT = "c0ffee00" * 5


@pytest.fixture
def hub():
    with Hub({"owner/gpt2": FILES}) as hub:
        yield hub


def environment(hub, folder, **more):
    """What a command needs to find the hub, and nothing of somebody's shell."""
    return {"HF_ENDPOINT": hub.endpoint, "XDG_CACHE_HOME": str(folder / "cache"), "PATH": os.environ["PATH"], **more}


def convert(hub, folder, *arguments, **more):
    """Converts the repository with the real binary; answers the finished process."""
    return subprocess.run(
        [str(BINARY), "convert", "hub://owner/gpt2", "--model", "auto", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8",
         "--output-dir", str(folder / "out"), *arguments],
        capture_output=True, text=True, timeout=120, env=environment(hub, folder, **more))


def test_snapshot(hub, tmp_path):
    folder = Path(snapshot_download("owner/gpt2", endpoint=hub.endpoint, cache_dir=tmp_path))
    assert folder.name == COMMIT
    for name in ("config.json", "pytorch_model.bin"):
        assert (folder / name).read_bytes() == (FILES / name).read_bytes()
    # The large file came from the store that the hub redirects to.
    assert ["GET", "pytorch_model.bin", "store", ""] in hub.requests()


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


def test_gated(tmp_path):
    with Hub({"owner/gpt2": FILES}, "--gated", "owner/gpt2") as hub:
        with pytest.raises(GatedRepoError):
            hf_hub_download("owner/gpt2", "config.json", endpoint=hub.endpoint, cache_dir=tmp_path, token="hf_some")
        process = convert(hub, tmp_path, HF_TOKEN="hf_some")
        assert process.returncode == 5 and "gated" in process.stderr, process.stderr


def test_private(tmp_path):
    with Hub({"owner/gpt2": FILES}, "--token", "owner/gpt2=hf_right") as hub:
        with pytest.raises(RepositoryNotFoundError):
            hf_hub_download("owner/gpt2", "config.json", endpoint=hub.endpoint, cache_dir=tmp_path, token=False)
        assert convert(hub, tmp_path).returncode == 5
        folder = Path(snapshot_download("owner/gpt2", endpoint=hub.endpoint, cache_dir=tmp_path, token="hf_right"))
        assert (folder / "pytorch_model.bin").read_bytes() == (FILES / "pytorch_model.bin").read_bytes()
        process = convert(hub, tmp_path, HF_TOKEN="hf_right")
        assert process.returncode == 0, process.stderr


def test_resumed(tmp_path, monkeypatch):
    cut, path = 200_000, "pytorch_model.bin"
    # What is less than a chunk huggingface_hub forgets.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 50_000)
    with Hub({"owner/gpt2": FILES}, "--drop", f"{path}={cut}") as hub:
        with pytest.raises(requests.exceptions.RequestException):
            hf_hub_download("owner/gpt2", path, endpoint=hub.endpoint, cache_dir=tmp_path)
        file = hf_hub_download("owner/gpt2", path, endpoint=hub.endpoint, cache_dir=tmp_path)
        assert Path(file).read_bytes() == (FILES / path).read_bytes()
        assert [seen[3] for seen in hub.requests() if seen[:3] == ["GET", path, "store"]] == ["", f"bytes={cut}-"]
    with Hub({"owner/gpt2": FILES}, "--drop", f"{path}={cut}") as hub:
        process = convert(hub, tmp_path)
        assert process.returncode == 0, process.stderr
        assert [seen[3] for seen in hub.requests() if seen[:3] == ["GET", path, "store"]] == ["", f"bytes={cut}-"]


def test_zooport_downloads_the_same(hub, tmp_path):
    process = convert(hub, tmp_path)
    assert process.returncode == 0, process.stderr
    files = [path for path in (tmp_path / "cache/zooport/files").iterdir()]
    assert (FILES / "pytorch_model.bin").read_bytes() in [path.read_bytes() for path in files]


@pytest.fixture
def card(tmp_path):
    """EleutherAI/gpt-j-6b in the shape of its files, but tiny."""
    folder = tmp_path / "gpt-j-6b"
    torch.manual_seed(0)
    config = GPTJConfig(vocab_size=64, n_positions=32, n_embd=16, n_layer=2, n_head=2, rotary_dim=4)
    config.architectures = ["GPTJForCausalLM"]
    model = GPTJForCausalLM(config)
    config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    (folder / "merges.txt").write_text("a b\n")
    return folder


def flows(page):
    """The commands of a page that name a model card, one a line."""
    commands = []
    for block in blocks(page):
        for command in block.replace("\\\n", " ").replace("\n  ", " ").splitlines():
            named = "hub://EleutherAI" in command or "huggingface.co/EleutherAI" in command or '"EleutherAI' in command
            if named and command.split()[0] not in ("POST", "GET"):
                commands.append(command)
    return commands


@pytest.mark.parametrize("page, count", [("../README.md", 2), ("rest.md", 1), ("hub.md", 4), ("client.md", 1)])
def test_model_card_flow(page, count, card, tmp_path):
    commands = flows(page)
    assert len(commands) == count, f"the examples of {page} are gone, or not found: {commands}"
    desk = tmp_path / "desk"
    for folder in (desk / ".build/release", tmp_path / "bin"):
        folder.mkdir(parents=True)
        (folder / "zooport").symlink_to(BINARY)
    expected = tmp_path / "expected"
    subprocess.run(
        [str(BINARY), "convert", str(card / "pytorch_model.bin"), "--config", str(card / "config.json"), "--model",
         "gptj", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8", "--output-dir", str(expected)], check=True, timeout=120)
    with Hub({"EleutherAI/gpt-j-6b": card}) as hub, \
            Service(tmp_path / "data", env={"HF_ENDPOINT": hub.endpoint}, disk_floor=0) as service:
        more = environment(hub, tmp_path, BASE=service.base, ZOOPORT_URL=service.base, ZOOPORT_DISK_FLOOR="0")
        more["PATH"] = f"{tmp_path / 'bin'}:{more['PATH']}"
        for command in commands:
            process = subprocess.run(
                ["bash", "-c", command.replace("curl -s ", "curl -s --fail-with-body ")], cwd=desk, env=more,
                capture_output=True, text=True, timeout=120)
            assert process.returncode == 0, f"{command}: {process.stdout} {process.stderr}"
            if " plan " in command:
                assert process.stdout.startswith("Convertible: gptj, hf -> "), process.stdout
                continue
            if "curl" in command:
                job = service.wait(json.loads(process.stdout)["id"], "succeeded")
                outputs = {output["name"]: service.get(output["url"]).body for output in job["outputs"]}
            else:
                folder = desk / "out" if "--output-dir out" in command else desk
                outputs = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
            for path in expected.iterdir():
                assert outputs[path.name] == path.read_bytes(), (command, path.name)
            if "carry" in command:
                assert outputs["tokenizer.json"] == (card / "tokenizer.json").read_bytes(), command

