"""The binary alone, addresses that are shared, two tabs, and a clock that is wrong."""

import re
import shutil
import subprocess

import pytest
from conftest import FIXTURE
from playwright.sync_api import expect
from service import BINARY, Service, environment


#: What keeps a page from doing harm, whatever it shows.
CONFINED = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin"}


def test_the_binary_alone_serves_the_page(visit, tmp_path):
    """Copied into an empty folder, away from everything that it was built from."""
    program = tmp_path / "alone/zooport"
    program.parent.mkdir()
    shutil.copy(BINARY, program)
    service = Service(tmp_path / "data", disk_floor=0, launcher=["env", "-C", program.parent, "bash", "-c", 'shift; exec ./zooport "$@"', "-"])
    with service:
        someone = visit(service)
        page = someone.open()
        expect(page.locator("#health")).to_contain_text("0 running")
        document = service.get("/")
        assert document.headers["Cache-Control"] == "no-cache"
        assert service.send("GET", "/", headers={"If-None-Match": document.headers["ETag"]}).status == 304
        head = service.send("HEAD", "/")
        assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(document.body)))
        for path in re.findall(r'"(/ui/[^"]+)"', document.body.decode()):
            answer = service.get(path)
            assert answer.status == 200 and "immutable" in answer.headers["Cache-Control"]
            assert {name: answer.headers[name] for name in CONFINED} == CONFINED, path
        assert {name: document.headers[name] for name in CONFINED} == CONFINED


def test_the_page_can_be_switched_off(tmp_path):
    with Service(tmp_path / "data", disk_floor=0, ui="off") as service:
        assert service.get("/").status == 404
        assert service.get("/v1/jobs").status == 200
    answer = subprocess.run(
        [BINARY, "serve", "--ui=maybe", f"--data-dir={tmp_path}/x"], capture_output=True, text=True, env=environment())
    assert answer.returncode == 2 and "on, off" in answer.stderr


def test_a_job_can_be_shared_and_back_leads_back(service, visit):
    job = service.wait(service.submit({
        "command": "convert-config", "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8",
        "config": {"inline": {"model_type": "gpt2", "vocab_size": 9, "n_embd": 8, "n_head": 2, "n_layer": 1, "n_positions": 4}}})["id"])
    someone = visit(service)
    page = someone.open(f"/#/jobs/{job['id']}")
    expect(page.locator("#detail-title")).to_contain_text("gpt2: Hugging Face → Model Zoo 1.8")
    page.get_by_role("link", name="New conversion").click()
    expect(page.locator("#convert")).to_be_visible()
    expect(page.locator("#detail")).not_to_be_visible()
    page.go_back()
    expect(page.locator("#detail-title")).to_be_visible()
    page.go_forward()
    expect(page.locator("#convert")).to_be_visible()
    # Another tab deletes the job; this one says so when it comes back to it.
    other = someone.context.new_page()
    someone.watch(other)
    other.goto(f"{service.base}/#/jobs/{job['id']}")
    other.get_by_role("button", name="Delete", exact=True).click()
    other.locator("dialog").get_by_role("button", name="Delete").click()
    expect(other.locator("#convert")).to_be_visible()
    page.goto(f"{service.base}/#/jobs/{job['id']}")
    expect(page.locator("#detail")).to_contain_text("no job has the id")


@pytest.mark.parametrize("hours", [1, -1])
def test_ages_come_from_the_clock_of_the_service(service, visit, hours):
    service.wait(service.submit({
        "command": "convert-config", "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "reuse": False,
        "config": {"inline": {"model_type": "gpt2", "vocab_size": 9, "n_embd": 8, "n_head": 2, "n_layer": 1, "n_positions": 4}}})["id"])
    someone = visit(service)
    someone.page.add_init_script(f"{{ const real = Date.now; Date.now = () => real() + {hours} * 3600e3; }}")
    page = someone.open()
    expect(page.locator("#job-list small").first).to_contain_text(re.compile("just now|[0-9]+ s ago"))


def test_a_folder_is_taken_with_its_parts(service, visit, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "pytorch_model.bin"):
        shutil.copy(FIXTURE / name, folder / name)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "README.md").write_text("x")
    someone = visit(service)
    page = someone.open()
    page.set_input_files("#folder-files", str(folder))
    someone.wait_for_plan()
    expect(page.locator("#file-list tr", has_text="tokenizer.json")).to_contain_text("not sent")
    assert service.wait(someone.convert())["status"] == "succeeded"
