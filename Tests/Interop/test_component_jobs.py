"""Models of several components over HTTP: what a service makes of their folders, sent in every way, is what the command line makes."""

import hashlib
import json
import subprocess
import tarfile
from pathlib import Path

import pytest
from hub import Hub
from service import BINARY, Service

GOLDENS = Path(__file__).parents[1] / "Fixtures" / "goldens" / "cs-2.10"
SOURCES = {name: GOLDENS / name / "hf-to-cs-2.9-base" / "source" for name in ("llava", "dragon")}
PARTS = {"llava": ("image_model", "text_model"), "dragon": ("q_encoder", "ctx_encoder")}


@pytest.fixture
def service(tmp_path):
    with Service(tmp_path / "data") as service:
        yield service


def curl(*arguments):
    process = subprocess.run(["curl", "-sS", "--fail-with-body", *map(str, arguments)], capture_output=True, timeout=120)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def contents(folder):
    """Bytes by name, without the report, which says when and how."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.endswith(".report.json")}


def form(name):
    """The files of a model as parts of a form, each under the name of its folder."""
    parts = []
    for part in PARTS[name]:
        parts += ["-F", f"config=@{SOURCES[name] / part / 'config.json'};filename={part}/config.json"]
        parts += ["-F", f"checkpoint=@{SOURCES[name] / part / 'pytorch_model.bin'};filename={part}/pytorch_model.bin"]
    return [*parts, "-F", f"model={name}", "-F", "src_fmt=hf", "-F", "tgt_fmt=cs-2.9"]


def archive(service, job, folder):
    """The outputs of a job that has ended well, from its archive; every output alone has the same bytes."""
    ended = service.wait(job["id"])
    assert ended["status"] == "succeeded", ended["error"]
    folder.mkdir()
    (folder / "all.tar").write_bytes(curl(f"{service.base}/v1/jobs/{job['id']}/outputs"))
    with tarfile.open(folder / "all.tar") as tar:
        tar.extractall(folder / "all", filter="data")
    files = {str(path.relative_to(folder / "all")): path for path in (folder / "all").rglob("*") if path.is_file()}
    assert sorted(files) == sorted(output["name"] for output in ended["outputs"])
    for output in ended["outputs"]:
        assert output["url"] == f"/v1/jobs/{job['id']}/outputs/{output['name']}"
        alone = curl(service.base + output["url"])
        assert alone == files[output["name"]].read_bytes()
        assert hashlib.sha256(alone).hexdigest() == output["sha256"] and len(alone) == output["size"]
    return folder / "all", ended


@pytest.mark.parametrize("name", PARTS)
def test_forms_there_and_back(zooport, service, tmp_path, name):
    zooport("convert", SOURCES[name], "--model", name, "--src-fmt", "hf", "--tgt-fmt", "cs-2.9", "--output-dir", tmp_path / "cs")
    there, ended = archive(service, json.loads(curl(*form(name), f"{service.base}/v1/jobs")), tmp_path / "there")
    assert contents(there) == contents(tmp_path / "cs")
    assert sorted(contents(there)) == ["config_to_cs-2.9.yaml", "pytorch_model_to_cs-2.9.mdl"]
    assert [entry["filename"] for entry in ended["inputs"]["config"]] == [f"{part}/config.json" for part in PARTS[name]]
    report = json.loads((there / "pytorch_model_to_cs-2.9.report.json").read_text())
    assert sorted(entry["name"] for entry in report["inputs"]) == sorted(
        f"{part}/{file}" for part in PARTS[name] for file in ("config.json", "pytorch_model.bin"))

    files = there / "pytorch_model_to_cs-2.9.mdl", there / "config_to_cs-2.9.yaml"
    zooport("convert", files[0], "--config", files[1], "--model", name, "--src-fmt", "cs-2.9", "--tgt-fmt", "hf",
            "--output-dir", tmp_path / "hf")
    job = json.loads(curl("-F", f"checkpoint=@{files[0]}", "-F", f"config=@{files[1]}", "-F", f"model={name}", "-F", "src_fmt=cs-2.9",
                          "-F", "tgt_fmt=hf", f"{service.base}/v1/jobs"))
    back, ended = archive(service, job, tmp_path / "back")
    assert contents(back) == contents(tmp_path / "hf")
    assert {Path(file).parts[0] for file in contents(back)} == set(PARTS[name])
    (report,) = back.glob("*.report.json")
    digests = {entry["name"]: entry["sha256"] for entry in json.loads(report.read_text())["outputs"]}
    assert digests == {output["name"]: output["sha256"] for output in ended["outputs"] if output["name"] != report.name}

    # An equal job gets the same outputs by links, folders and all.
    again = json.loads(curl("-F", f"checkpoint=@{files[0]}", "-F", f"config=@{files[1]}", "-F", f"model={name}", "-F", "src_fmt=cs-2.9",
                            "-F", "tgt_fmt=hf", f"{service.base}/v1/jobs"))
    assert again["reused"] is True
    assert contents(archive(service, again, tmp_path / "again")[0]) == contents(back)


@pytest.mark.parametrize("way", ["upload", "component"])
def test_json_names_components(zooport, service, tmp_path, way):
    zooport("convert", SOURCES["llava"], "--model", "llava", "--src-fmt", "hf", "--tgt-fmt", "cs-2.9", "--output-dir", tmp_path / "cs")
    configs, files = [], []
    for part in PARTS["llava"]:
        source = SOURCES["llava"] / part
        prefix = f"{part}%2F" if way == "upload" else ""
        said = {} if way == "upload" else {"component": part}
        upload = json.loads(curl("-T", source / "pytorch_model.bin", f"{service.base}/v1/uploads/{prefix}pytorch_model.bin"))
        files.append({"upload": upload["id"], **said})
        if way == "upload":
            upload = json.loads(curl("-T", source / "config.json", f"{service.base}/v1/uploads/{prefix}config.json"))
            assert upload["filename"] == f"{part}/config.json"
            configs.append({"upload": upload["id"]})
        else:
            configs.append({"inline": json.loads((source / "config.json").read_text()), **said})
    body = {"model": "llava", "src_fmt": "hf", "tgt_fmt": "cs-2.9", "config": configs, "checkpoint": files}
    sent = ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    plan = json.loads(curl(*sent, f"{service.base}/v1/plans"))
    assert plan["convertible"] is True, plan["error"]
    assert [entry["name"] for entry in plan["inputs"]] == [
        "image_model/pytorch_model.bin", "text_model/pytorch_model.bin", "image_model/config.json", "text_model/config.json"]
    there, _ = archive(service, json.loads(curl(*sent, f"{service.base}/v1/jobs")), tmp_path / "there")
    assert contents(there) == contents(tmp_path / "cs")


def test_client_commands_send_and_fetch_folders(zooport, service, tmp_path):
    zooport("convert", SOURCES["llava"], "--model", "llava", "--src-fmt", "hf", "--tgt-fmt", "cs-2.9", "--output-dir", tmp_path / "cs")
    server = ("--url", service.base)
    zooport("submit", SOURCES["llava"], "--model", "llava", "--src-fmt", "hf", "--tgt-fmt", "cs-2.9", "--output-dir", tmp_path / "there",
            *server)
    assert contents(tmp_path / "there") == contents(tmp_path / "cs")
    made = tmp_path / "cs" / "pytorch_model_to_cs-2.9.mdl", tmp_path / "cs" / "config_to_cs-2.9.yaml"
    pair = ("--config", made[1], "--model", "llava", "--src-fmt", "cs-2.9", "--tgt-fmt", "hf")
    zooport("convert", made[0], *pair, "--output-dir", tmp_path / "hf")
    ran = zooport("submit", made[0], *pair, "--wait", *server)
    job = ran.stdout.split()[0]
    for _ in range(2):  # what is there already is left alone
        zooport("download", job, "--output-dir", tmp_path / "back", *server)
        assert contents(tmp_path / "back") == contents(tmp_path / "hf")
    zooport("download", job, "image_model/config.json", "--output-dir", tmp_path / "one", *server)
    assert list(contents(tmp_path / "one")) == ["image_model/config.json"]
    # A config alone: the folder above those of the components.
    zooport("convert-config", SOURCES["llava"], "--model", "llava", "--src-fmt", "hf", "--tgt-fmt", "cs-2.9", "--output-dir",
            tmp_path / "config")
    zooport("submit", "convert-config", SOURCES["llava"], "--model", "llava", "--src-fmt", "hf", "--tgt-fmt", "cs-2.9", "--output-dir",
            tmp_path / "sent", *server)
    assert contents(tmp_path / "sent") == contents(tmp_path / "config")


def test_each_component_is_a_repository(zooport, tmp_path):
    zooport("convert", SOURCES["llava"], "--model", "llava", "--src-fmt", "hf", "--tgt-fmt", "cs-2.9", "--output-dir", tmp_path / "cs")
    with Hub({"owner/clip": SOURCES["llava"] / "image_model", "owner/vicuna": SOURCES["llava"] / "text_model"}) as hub:
        with Service(tmp_path / "data", env={"HF_ENDPOINT": hub.endpoint}) as service:
            body = {"model": "llava", "src_fmt": "hf", "tgt_fmt": "cs-2.9", "checkpoint": [
                {"hub": "owner/clip", "component": "image_model"},
                {"hub": "owner/vicuna", "revision": "main", "component": "text_model"}]}
            sent = ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
            plan = json.loads(curl(*sent, f"{service.base}/v1/plans"))
            assert plan["convertible"] is True, plan["error"]
            assert sorted(entry["name"] for entry in plan["inputs"]) == sorted(
                f"{part}/{file}" for part in PARTS["llava"] for file in ("config.json", "pytorch_model.bin"))
            for stream in (False, True):
                body["options"] = {"stream": stream}
                sent[-1] = json.dumps(body)
                there, ended = archive(
                    service, json.loads(curl(*sent, f"{service.base}/v1/jobs")), tmp_path / f"there-{stream}")
                assert contents(there) == contents(tmp_path / "cs")
                assert all(entry["commit"] for entry in ended["inputs"]["config"] + ended["inputs"]["checkpoint"])
                assert [entry["hub"] for entry in ended["inputs"]["checkpoint"]] == ["owner/clip", "owner/vicuna"]


def test_commands_take_a_repository_for_each_component(zooport, tmp_path, monkeypatch):
    way = ("--model", "llava", "--src-fmt", "hf", "--tgt-fmt", "cs-2.9")
    zooport("convert", SOURCES["llava"], *way, "--output-dir", tmp_path / "cs")
    zooport("convert-config", SOURCES["llava"], *way, "--output-dir", tmp_path / "config")
    with Hub({"owner/clip": SOURCES["llava"] / "image_model", "owner/vicuna": SOURCES["llava"] / "text_model"}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        clip = ("--component", "image_model=hub://owner/clip")
        places = {
            "repositories": (*clip, "--component", f"text_model={hub.endpoint}/owner/vicuna/tree/main"),
            "streamed": (*clip, "--component", "text_model=hub://owner/vicuna", "--stream"),
            "one is a folder": (*clip, "--component", f"text_model={SOURCES['llava'] / 'text_model'}"),
            "folders": [word for part in PARTS["llava"] for word in ("--component", f"{part}={SOURCES['llava'] / part}")],
        }
        for name, components in places.items():
            zooport("convert", *components, *way, "--output-dir", tmp_path / name)
            assert contents(tmp_path / name) == contents(tmp_path / "cs"), name
        planned = json.loads(zooport("plan", *places["repositories"], *way, "--json").stdout)
        assert planned["convertible"] is True
        assert sorted(entry["name"] for entry in planned["inputs"]) == sorted(
            f"{part}/{file}" for part in PARTS["llava"] for file in ("config.json", "pytorch_model.bin"))
        zooport("convert-config", *places["one is a folder"], *way, "--output-dir", tmp_path / "config there")
        assert contents(tmp_path / "config there") == contents(tmp_path / "config")
        with Service(tmp_path / "data", env={"HF_ENDPOINT": hub.endpoint}) as service:
            for name in ("repositories", "one is a folder"):
                zooport("submit", *places[name], *way, "--output-dir", tmp_path / f"sent {name}", "--url", service.base)
                assert contents(tmp_path / f"sent {name}") == contents(tmp_path / "cs"), name
            zooport("submit", "convert-config", *places["repositories"], *way, "--output-dir", tmp_path / "sent", "--url", service.base)
            assert contents(tmp_path / "sent") == contents(tmp_path / "config")


@pytest.mark.parametrize("components, said", [
    (["image_model=hub://owner/clip"], "made of image_model and text_model"),
    (["image_model=hub://owner/clip", "image_model=hub://owner/clip"], "image_model twice"),
    (["image_model=hub://owner/clip", "other=hub://owner/clip"], "made of image_model and text_model"),
    (["image_model=https://example.org/a.bin", "text_model=hub://owner/clip"], "no repository of a hub"),
    (["image_model=/no/such/folder", "text_model=/no/such/folder"], "is no folder"),
    (["image_model"], "invalid"),
])
def test_components_that_mean_nothing_are_refused_at_once(components, said):
    options = [word for component in components for word in ("--component", component)]
    ran = subprocess.run([BINARY, "convert", *options, "--model", "llava", "--src-fmt", "hf", "--tgt-fmt", "cs-2.9"],
                         capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2 and said in ran.stderr, ran.stderr
