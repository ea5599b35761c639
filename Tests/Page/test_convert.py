"""From files, or from a repository, to files: plan, convert, watch, download."""

import hashlib
import json
import re
import subprocess

import pytest
from conftest import FIXTURE
from hub import Hub
from origin import Origin
from playwright.sync_api import expect
from service import BINARY, Service, eventually


def converted(folder, target="cs-2.10"):
    """What the command line makes of the fixture, by name."""
    subprocess.run(
        [BINARY, "convert", "--model", "gpt2", "--src-fmt", "hf", "--tgt-fmt", target, FIXTURE / "pytorch_model.bin",
         "--config", FIXTURE / "config.json", "--output-dir", folder], check=True, capture_output=True)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_files_become_a_plan_a_job_and_downloads(service, visit, tmp_path):
    someone = visit(service)
    page = someone.open()
    expect(page.locator("#submit")).to_be_disabled()
    someone.choose(FIXTURE / "config.json", FIXTURE / "pytorch_model.bin")
    someone.wait_for_plan()
    expect(page.locator(".verdict")).to_contain_text("This converts: 39 tensors for gpt2, Hugging Face to Model Zoo 2.10")
    expect(page.locator(".legend")).to_contain_text("21 copied bit for bit")
    expect(page.locator(".legend")).to_contain_text("18 reshaped or computed")
    row = page.locator(".tensors tr", has_text="transformer_decoder.layers.0.self_attn.proj_k_dense_layer.weight")
    expect(row).to_contain_text("permute[1, 0], slice(axis 0, 48..<96)")
    expect(row).to_contain_text("transformer.h.0.attn.c_attn.weight")
    expect(row).to_contain_text("48 × 48")
    page.get_by_role("button", name=re.compile("^Changed")).click()
    expect(page.locator(".tensors tbody tr")).to_have_count(18)
    page.fill("#tensor-search", "wte")
    expect(page.locator(".tensors tbody tr")).to_have_count(0)
    page.get_by_role("button", name=re.compile("^All 39")).click()
    expect(page.locator(".tensors tbody tr")).to_have_count(1)
    page.get_by_role("tab", name="Config").click()
    expect(page.locator(".lines").nth(0)).to_contain_text('"n_embd": 48')
    expect(page.locator(".lines").nth(1)).to_contain_text('"hidden_size": 48')

    identifier = someone.convert()
    expect(page.locator("#detail .status")).to_have_text("✓done")
    job = service.job(identifier)
    assert (job["model"], job["src_fmt"], job["tgt_fmt"]) == ("gpt2", "hf", "cs-2.10")
    expected = converted(tmp_path / "expected")
    saved = {}
    for output in job["outputs"]:
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Download {output['name']}").click()
        saved[output["name"]] = download.value.path().read_bytes()
        assert hashlib.sha256(saved[output["name"]]).hexdigest() == output["sha256"]
    assert {name: saved[name] for name in expected} == expected
    page.get_by_text("Report of the conversion").click()
    expect(page.locator("#detail details .facts")).to_contain_text("tensors")


def test_csv_of_the_plan_has_every_row(service, visit):
    someone = visit(service)
    page = someone.open()
    someone.choose(FIXTURE / "config.json", FIXTURE / "pytorch_model.bin")
    someone.wait_for_plan()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 40
    assert lines[0] == '"key","kind","transform","sources","dtype","shape"'
    assert '"embedding_layer.word_embeddings.weight","copied","copy","transformer.wte.weight","float32","199 × 48"' in lines


def test_keys_without_a_rule_are_said_and_can_be_left_out(service, visit, tmp_path):
    import torch

    state = torch.load(FIXTURE / "pytorch_model.bin")
    state["transformer.h.0.strange"] = torch.zeros(3)
    torch.save(state, tmp_path / "pytorch_model.bin")
    someone = visit(service)
    page = someone.open()
    someone.choose(FIXTURE / "config.json", tmp_path / "pytorch_model.bin")
    # Nothing is detected with such a key.
    expect(page.locator("#plan-body")).to_contain_text("Choose the model under Conversion")
    page.select_option("#model", "gpt2")
    page.select_option("#src", "hf")
    expect(page.locator(".verdict")).to_contain_text("1 key of the checkpoint matches no rule")
    expect(page.locator("#submit")).to_be_disabled()
    expect(page.locator(".tensors tbody")).to_contain_text("transformer.h.0.strange")
    page.get_by_role("button", name="Leave these keys out").click()
    expect(page.locator(".verdict")).to_contain_text("1 key will be left out")
    job = service.job(someone.convert())
    assert job["options"]["drop_unmatched_keys"] is True


def test_a_config_alone_converts(service, visit):
    someone = visit(service)
    page = someone.open()
    someone.choose(FIXTURE / "config.json")
    someone.wait_for_plan()
    expect(page.locator("#ready")).to_have_text("No checkpoint: the config alone is converted.")
    job = service.wait(someone.convert())
    assert (job["status"], job["command"]) == ("succeeded", "convert-config")
    expect(page.locator("#detail .status")).to_have_text("✓done")


@pytest.fixture(scope="module")
def hub():
    with Hub({"owner/gpt2": FIXTURE, "owner/closed": FIXTURE}, "--token", "owner/closed=hf_secretsecret") as hub:
        yield hub


def test_a_repository_needs_no_upload_and_its_token_stays_secret(visit, hub, tmp_path):
    with Service(
        tmp_path / "data", disk_floor=0, hub_endpoint=hub.endpoint, allow_private_fetch="127.0.0.1", log_level="trace"
    ) as service:
        someone = visit(service)
        page = someone.open()
        # As it stands in the address bar of a browser that looks at the model.
        page.fill("#hub", f"{hub.endpoint}/owner/gpt2/tree/main")
        someone.wait_for_plan()
        expect(page.locator(".totals")).to_contain_text("Commit")
        job = service.wait(someone.convert())
        assert job["status"] == "succeeded" and job["inputs"]["checkpoint"][0]["hub"] == "owner/gpt2"
        expect(page.locator("#detail")).to_contain_text(job["inputs"]["checkpoint"][0]["commit"][:12])

        page.goto(service.base + "/#/")
        page.fill("#hub", "owner/closed")
        expect(page.locator("#hub-error")).not_to_be_empty()
        page.fill("#hub-token", "hf_secretsecret")
        someone.wait_for_plan()
        page.click("#show-commands")
        expect(page.locator("#commands-body")).to_contain_text("--hub-token")
        for tab in ("curl", "Python"):
            page.get_by_role("tab", name=tab).click()
            assert "hf_secretsecret" not in page.inner_text("#commands-body")
        job = service.wait(someone.convert())
        assert job["status"] == "succeeded"
        assert not [request.url for request in someone.requests if "hf_secret" in request.url]
        kept = page.evaluate("() => JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage})")
        assert "hf_secret" not in kept
        assert "hf_secret" not in json.dumps(job)
        assert "hf_secret" not in service.log.read_text()
        for file in service.folder.rglob("*"):
            assert not file.is_file() or b"hf_secret" not in file.read_bytes(), file


def test_addresses_of_models_are_taken_as_people_have_them(visit, hub, tmp_path):
    with Origin(FIXTURE) as origin, Service(
        tmp_path / "data", disk_floor=0, hub_endpoint=hub.endpoint, allow_private_fetch="127.0.0.1"
    ) as service:
        someone = visit(service)
        page = someone.open()
        for address in ("owner/gpt2", " owner/gpt2 ", "huggingface.co/owner/gpt2", "https://huggingface.co/owner/gpt2/blob/main/config.json"):
            page.fill("#hub", "")
            page.fill("#hub", address)
            expect(page.locator("#ready")).to_have_text("This converts. The plan below says how.")
        # What is wrong is said at the field, beside the button, and in place of the plan.
        for address, said in {
            "owner/nothing": "there is no repository owner/nothing, or it is private; if it is private, give a token",
            "no such thing": "'no such thing' is no repository; write OWNER/NAME",
            origin.url("pytorch_model.bin"): "the config is missing: choose its file as well, or give its URL",
        }.items():
            page.fill("#hub", address)
            expect(page.locator("#hub-error")).to_have_text(said)
            expect(page.locator("#ready")).to_have_text("The plan below says why this does not convert.")
            expect(page.locator("#plan-body .error")).to_contain_text(said)
            expect(page.locator("#submit")).to_be_disabled()
        expect(page.locator("#config-url")).to_be_visible()
        page.fill("#config-url", origin.url("config.json"))
        expect(page.locator("#hub-error")).to_be_empty()


def test_what_came_out_goes_back_in(service, visit, tmp_path):
    """The target follows the files, until somebody chooses one; formats come in the order in which they are wanted."""
    someone = visit(service)
    page = someone.open()
    someone.choose(FIXTURE / "config.json", FIXTURE / "pytorch_model.bin")
    someone.wait_for_plan()
    assert page.input_value("#tgt") == "cs-2.10"
    assert page.locator("#tgt option").all_inner_texts()[:4] == ["Choose …", "Hugging Face", "Model Zoo 2.10", "Model Zoo 2.9"]
    page.select_option("#tgt", "cs-2.9")
    job = service.wait(someone.convert())
    for name, content in service.outputs(job).items():
        (tmp_path / name).write_bytes(content)
    page.get_by_role("link", name="New conversion").click()
    for _ in range(2):
        page.get_by_role("button", name="Remove").first.click()
    someone.choose(*sorted(tmp_path.iterdir()))
    expect(page.locator("#file-list tr", has_text="report.json")).to_contain_text("not sent")
    expect(page.locator(".verdict")).to_contain_text("to Hugging Face")
    assert page.input_value("#tgt") == "hf"


def test_again_like_this_keep_and_delete(service, visit, tiny):
    someone = visit(service)
    page = someone.open()
    someone.choose(tiny.config, tiny.weights)
    someone.wait_for_plan()
    first = someone.convert()
    expect(page.locator("#detail .status")).to_have_text("✓done")
    page.get_by_role("button", name="Keep", exact=True).click()
    expect(page.get_by_role("button", name="Let it expire")).to_be_visible()
    assert service.job(first)["pinned"] is True
    page.get_by_role("button", name="Run again").click()
    page.wait_for_url(lambda url: "#/jobs/" in url and first not in url)
    second = page.url.rsplit("/", 1)[1]
    again = service.wait(second)
    assert again["reused"] is False and again["outputs"][0]["sha256"] == service.job(first)["outputs"][0]["sha256"]
    expect(page.locator("#detail .status")).to_have_text("✓done")
    page.get_by_role("button", name="Convert like this").click()
    someone.wait_for_plan()
    assert page.input_value("#model") == "gpt2" and page.input_value("#tgt") == "cs-2.10"
    page.select_option("#tgt", "cs-2.9")
    expect(page.locator(".verdict")).to_contain_text("Model Zoo 2.9")
    page.goto(f"{service.base}/#/jobs/{second}")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("dialog")).to_contain_text("cannot be undone")
    page.locator("dialog").get_by_role("button", name="Delete").click()
    eventually(lambda: service.get(f"/v1/jobs/{second}").status == 404, what="the deletion")
    expect(page.locator("#convert")).to_be_visible()


HOSTILE = "<img src=x onerror=alert(1)>\u202eevil"


def test_hostile_names_and_texts_are_shown_as_text(service, visit, tmp_path):
    import torch

    torch.save({HOSTILE: torch.zeros(2), "x" * 10_000: torch.zeros(1)}, tmp_path / "m.bin")
    config = tmp_path / "<b>config.json"
    config.write_text(json.dumps({"model_type": "gpt2", HOSTILE: HOSTILE}))
    someone = visit(service)
    page = someone.open()
    someone.choose(config, tmp_path / "m.bin")
    page.select_option("#model", "gpt2")
    someone.wait_for_plan()
    expect(page.locator("#file-list")).to_contain_text("<b>config.json")
    assert page.locator("#plan-body img, #file-list b, main script").count() == 0
    assert "\u202e" not in page.inner_text("body")
    assert page.evaluate("() => Math.max(...[...document.querySelectorAll('code')].map(e => e.textContent.length))") < 3000
    answer = service.send("POST", "/v1/jobs", {
        "command": "convert-config", "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8",
        "config": {"inline": {"model_type": "gpt2", "activation_function": HOSTILE}}})
    service.wait(answer.json["id"])
    page.goto(f"{service.base}/#/jobs/{answer.json['id']}")
    expect(page.locator("#detail .notice.error").first).to_contain_text("onerror=alert(1)")
    assert page.locator("#detail img, #job-list img").count() == 0
    expect(page.locator("#job-list small").first).to_contain_text("<img sr")
    # Addresses, and names that no file system has.
    page.goto(service.base + "/#/")
    page.reload()
    page.fill("#hub", HOSTILE)
    expect(page.locator("#hub-error")).to_contain_text("<img src=x onerror=alert(1)>")
    page.fill("#hub", "")
    page.set_input_files("#files", [
        {"name": name, "mimeType": "", "buffer": b"{}"} for name in (HOSTILE + ".json", "n" * 10_000 + ".json")])
    expect(page.locator("#file-list tbody tr")).to_have_count(2)
    expect(page.locator("#file-list")).to_contain_text("u{202e}evil.json")
    assert page.locator("#file-list img, #hub-error img").count() == 0
    assert "\u202e" not in page.inner_text("body")
    assert someone.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
