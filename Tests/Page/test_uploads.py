"""Uploads that are cut off: by the network, by the end of the service, by a page that is loaded again."""

import base64
import hashlib
import os
import threading

import pytest
from playwright.sync_api import expect
from service import Service
from wire import Wire

MIB = 1 << 20
#: Bytes that the page sends in one request.
SLICE = 32 * MIB


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


def sent(requests, size):
    """Bytes that uploads may have sent at most: a request that was cut off counts as a whole."""
    offsets = [int(one.headers["upload-offset"]) for one in requests if one.method == "PATCH"]
    return sum(min(SLICE, size - offset) for offset in offsets)


def test_an_upload_goes_on_after_a_kill_and_after_a_reload(visit, large, tmp_path):
    size = large.stat().st_size
    with Service(tmp_path / "data", disk_floor=0) as service:
        service.flags.append(f"--port={service.port}")
        someone = visit(service)
        page = someone.open()
        someone.limit(16 * MIB)
        someone.choose(large)
        someone.eventually(lambda: arrived(service) >= SLICE)
        service.kill()
        service.start()
        someone.eventually(lambda: arrived(service) >= 2 * SLICE)
        assert sent(someone.requests, size) <= arrived(service) + 2 * SLICE
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#file-list")).to_contain_text("paused at")
        page.wait_for_timeout(1500)  # What was under way when it was paused has ended.
        before = service.get("/v1/uploads").json["uploads"][0]
        assert before["sha256"] is None and before["offset"] >= 2 * SLICE
        # The browser is closed, and the service ends once more before the file is chosen again.
        someone.context.close()
        service.kill()
        service.start()
        someone = visit(service)
        page = someone.open()
        expect(page.locator("#resume")).to_contain_text("pytorch_model.bin is on the service to")
        someone.choose(large)
        expect(page.locator("#file-list")).to_contain_text("on the service", timeout=120_000)
        uploads = service.get("/v1/uploads").json["uploads"]
        assert [upload["id"] for upload in uploads] == [before["id"]]
        assert uploads[0]["sha256"] == digest(large)
        assert 0 < sent(someone.requests, size) <= size - before["offset"] + 2 * SLICE
        # A file that is there is not sent a second time.
        page.reload()
        someone.requests.clear()
        someone.choose(large)
        expect(page.locator("#file-list")).to_contain_text("on the service")
        assert sent(someone.requests, size) == 0


def test_another_sender_is_waited_for(visit, service, tiny):
    """423: a program sends the same file, a few bytes at a time; the page says so, and goes on when that ends."""
    content = tiny.weights.read_bytes()
    name = base64.b64encode(tiny.weights.name.encode()).decode()
    answer = service.send("POST", "/v1/uploads", headers={
        "Tus-Resumable": "1.0.0", "Upload-Length": str(len(content)), "Upload-Metadata": f"filename {name}"})
    address = answer.headers["Location"]
    patch = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
    service.send("PATCH", address, content[:1000], {**patch, "Upload-Offset": "0"})
    enough = threading.Event()

    def trickle():
        with Wire(service.port) as wire:
            head = {**patch, "Host": f"127.0.0.1:{service.port}", "Upload-Offset": "1000", "Content-Length": len(content) - 1000}
            wire.send(f"PATCH {address} HTTP/1.1\r\n" + "".join(f"{key}: {value}\r\n" for key, value in head.items()) + "\r\n")
            for at in range(1000, len(content), 10):
                if enough.wait(0.1):
                    return
                wire.send(content[at:at + 10])

    sender = threading.Thread(target=trickle)
    sender.start()
    try:
        someone = visit(service)
        page = someone.open()
        expect(page.locator("#resume")).to_contain_text("Choose the same file again")
        someone.choose(tiny.weights)
        expect(page.locator("#file-list")).to_contain_text("another tab or program is sending this file")
        expect(page.locator("#submit")).to_be_disabled()
    finally:
        enough.set()
        sender.join()
    expect(page.locator("#file-list")).to_contain_text("on the service")
    upload = service.get("/v1/uploads?limit=1").json["uploads"][0]
    assert address.endswith(upload["id"]) and upload["sha256"] == digest(tiny.weights)
    assert page.locator("#file-list .error-text").count() == 0


def test_a_part_that_arrives_damaged_is_sent_again(visit, service, tiny):
    """460: a bit turns over on the way. The page says so, and what is stored is right."""
    content = tiny.weights.read_bytes()
    someone = visit(service)
    page = someone.open()
    statuses = []
    page.on("response", lambda answer: statuses.append(answer.status) if answer.request.method == "PATCH" else None)

    def damage(route):
        if route.request.method == "PATCH" and len(statuses) < 2:
            route.continue_(post_data=content[:-1] + bytes([content[-1] ^ 1]))
        else:
            route.continue_()

    page.route("**/v1/uploads/*", damage)
    someone.choose(tiny.weights)
    expect(page.locator("#file-list .error-text")).to_have_text("a part arrived damaged; it is sent again")
    expect(page.locator("#file-list")).to_contain_text("on the service")
    assert statuses == [460, 460, 204]
    assert service.get("/v1/uploads?limit=1").json["uploads"][0]["sha256"] == digest(tiny.weights)
    assert page.locator("#file-list .error-text").count() == 0


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
