"""Uploads that are cut off: by the network, by the end of the service, by a page that is loaded again."""

import hashlib
import os
import threading

import pytest
from playwright.sync_api import expect
from service import Service

MIB = 1 << 20


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """200 MiB that no two slices of are alike."""
    file = tmp_path_factory.mktemp("large") / "pytorch_model.bin"
    with file.open("wb") as out:
        for index in range(200):
            out.write(os.urandom(4096) * 255 + index.to_bytes(4096, "little"))
    return file


def digest(file):
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def arrived(service):
    """Bytes of the newest upload."""
    return sum(upload["offset"] for upload in service.get("/v1/uploads?limit=1").json["uploads"])


def test_an_upload_goes_on_after_a_kill_and_after_a_reload(visit, large, tmp_path):
    with Service(tmp_path / "data", disk_floor=0) as service:
        port = service.port
        service.flags.append(f"--port={port}")
        someone = visit(service)
        page = someone.open()
        session = someone.context.new_cdp_session(page)
        session.send("Network.enable")
        limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 12 * MIB}
        session.send("Network.emulateNetworkConditions", limits)
        someone.choose(large)
        someone.eventually(lambda: arrived(service) >= 32 * MIB)
        service.kill()
        service.start()
        someone.eventually(lambda: arrived(service) >= 64 * MIB)
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#file-list")).to_contain_text("paused at")
        someone.page.wait_for_timeout(1500)  # What was under way when it was paused has ended.
        before = service.get("/v1/uploads").json["uploads"][0]
        assert before["sha256"] is None
        session.send("Network.emulateNetworkConditions", {**limits, "uploadThroughput": -1})
        page.reload()
        expect(page.locator("#resume")).to_contain_text("Choose the same file again")
        sent = []
        page.on("request", lambda request: sent.append(request) if request.method == "PATCH" else None)
        someone.choose(large)
        expect(page.locator("#file-list")).to_contain_text("on the service")
        uploads = service.get("/v1/uploads").json["uploads"]
        assert [upload["id"] for upload in uploads] == [before["id"]]
        assert uploads[0]["sha256"] == digest(large)
        # What was there was not sent again.
        offsets = [int(request.headers["upload-offset"]) for request in sent]
        assert min(offsets) == before["offset"] > 0
        # A file that is there is not sent a second time.
        page.reload()
        sent.clear()
        someone.choose(large)
        expect(page.locator("#file-list")).to_contain_text("on the service")
        assert sent == []


def test_refusals_are_said_in_words(visit, tiny, tmp_path):
    with Service(tmp_path / "data", disk_floor=0, max_upload="1KiB") as service:
        someone = visit(service)
        page = someone.open()
        someone.choose(tiny.weights)
        expect(page.locator("#file-list")).to_contain_text("may have at most 1024 bytes")
        expect(page.locator("#file-list").get_by_role("button", name="Try again")).to_be_visible()
        expect(page.locator("#submit")).to_be_disabled()
        page.get_by_role("button", name="Remove").click()
        expect(page.locator("#file-list table")).to_have_count(0)
        expect(page.locator("#files")).to_be_focused()
    with Service(tmp_path / "full", disk_floor="100TiB") as service:
        someone = visit(service)
        page = someone.open()
        someone.choose(tiny.config)
        expect(page.locator("#file-list")).to_contain_text("left above the floor")


def test_a_connection_that_breaks_is_made_again(visit, tiny, service):
    someone = visit(service)
    page = someone.open()
    broken = threading.Event()

    def cut(route):
        if broken.is_set():
            route.fallback()
        else:
            broken.set()
            route.abort("connectionreset")

    page.route("**/v1/uploads/*", lambda route: cut(route) if route.request.method == "PATCH" else route.fallback())
    someone.choose(tiny.weights)
    expect(page.locator("#file-list")).to_contain_text("on the service")
    assert broken.is_set()
    newest = service.get("/v1/uploads").json["uploads"][0]
    assert newest["sha256"] == digest(tiny.weights)
