"""What somebody sees without a token, with a wrong one, with one that may only read, and when it ends in the middle."""

import json
import subprocess

import pytest
from conftest import FIXTURE
from playwright.sync_api import expect
from service import BINARY, Service, environment


def make(service, name, scopes):
    answer = subprocess.run(
        [BINARY, "token", "create", name, "--scope", scopes, f"--data-dir={service.folder}"], capture_output=True, text=True,
        check=True, env=environment())
    return next(word for word in answer.stdout.split() if word.startswith("zpt_"))


def revoke(service, name):
    subprocess.run(
        [BINARY, "token", "revoke", name, f"--data-dir={service.folder}"], check=True, capture_output=True, env=environment())


@pytest.fixture
def closed(tmp_path):
    with Service(tmp_path / "data", disk_floor=0, require_tokens="", log_level="trace") as service:
        yield service


def enter(page, token):
    page.fill("#token", token)
    page.get_by_role("button", name="Use it").click()


def test_a_token_is_asked_for_kept_in_the_tab_and_told_nobody(visit, tmp_path):
    with Service(tmp_path / "data", disk_floor=0, log_level="trace") as service:
        token = make(service, "ann", "submit,read")
        service.token = token
        someone = visit(service)
        page = someone.open()
        page.get_by_role("button", name="Enter a token").click()
        enter(page, "zpt_" + "A" * 43)
        expect(page.locator("dialog")).to_contain_text("does not take the token")
        enter(page, token)
        expect(page.locator("#health")).to_contain_text("running")
        expect(page.locator("dialog")).not_to_be_visible()
        someone.choose(FIXTURE / "config.json", FIXTURE / "pytorch_model.bin")
        someone.wait_for_plan()
        identifier = someone.convert()
        expect(page.locator("#detail .status")).to_have_text("✓done")
        output = service.job(identifier)["outputs"][0]
        # A browser sends no header with a download: the link stands for the token.
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Download {output['name']}").click()
        assert len(download.value.path().read_bytes()) == output["size"]
        with page.expect_download() as archive:
            page.get_by_role("button", name="Download all").click()
        assert archive.value.suggested_filename == f"{identifier}.tar"
        assert not [request.url for request in someone.requests if token in request.url]
        assert token not in page.evaluate("() => JSON.stringify({...localStorage})")
        assert token not in page.content()
        assert token not in service.log.read_text()
        # The tab keeps it over a reload; another tab does not have it.
        page.reload()
        expect(page.locator("#health")).to_contain_text("running")
        other = someone.context.new_page()
        other.goto(service.base + "/")
        expect(other.get_by_role("button", name="Enter a token")).to_be_visible()


def test_a_token_that_may_only_read_shows_nothing_else(visit, tmp_path):
    with Service(tmp_path / "data", disk_floor=0, visibility="all") as service:
        service.token = make(service, "ann", "submit,read")
        job = service.submit({
            "command": "convert-config", "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8",
            "config": {"inline": json.loads((FIXTURE / "config.json").read_text())}})
        service.wait(job["id"])
        someone = visit(service)
        page = someone.open()
        page.get_by_role("button", name="Enter a token").click()
        enter(page, make(service, "viewer", "read"))
        expect(page.locator("#read-only")).to_contain_text("lacks the scope submit")
        expect(page.locator("#form")).not_to_be_visible()
        page.locator(".jobs a").first.click()
        expect(page.locator("#detail .status")).to_have_text("✓done")
        for name in ("Run again", "Delete", "Cancel", "Keep"):
            assert page.get_by_role("button", name=name, exact=True).count() == 0
        with page.expect_download():
            page.get_by_role("button", name="Download").first.click()


def test_a_token_that_ends_in_the_middle_is_asked_for_again_and_the_form_stays(visit, tmp_path):
    with Service(tmp_path / "data", disk_floor=0) as service:
        first = make(service, "ann", "submit,read")
        someone = visit(service)
        page = someone.open()
        page.get_by_role("button", name="Enter a token").click()
        enter(page, first)
        someone.choose(FIXTURE / "config.json", FIXTURE / "pytorch_model.bin")
        someone.wait_for_plan()
        revoke(service, "ann")
        expect(page.locator("dialog")).to_contain_text("the token was revoked")
        enter(page, make(service, "ann", "submit,read"))
        expect(page.locator("#file-list")).to_contain_text("pytorch_model.bin")
        someone.wait_for_plan()
        someone.convert()
        expect(page.locator("#detail .status")).to_have_text("✓done")


def test_required_tokens_and_another_host(closed, service, visit):
    page = visit(closed).open()
    expect(page.locator("#banner")).to_contain_text("asks for an access token")
    # A name that leads to this machine is not this machine: the page says why it stays empty.
    someone = visit(service)
    someone.base = f"http://rebound.localhost:{service.port}"
    page = someone.open()
    expect(page.locator("#banner")).to_contain_text("is not the name of this machine")
