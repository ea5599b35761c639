"""Many tensors, many jobs, a large output: the page stays quick and small."""

import contextlib
import json
import os
import resource
import sqlite3
import threading
from pathlib import Path

import checkpoints
import pytest
from clock import Clock
from playwright.sync_api import expect
from service import Service, eventually
from test_tokens import enter, make

CONFIG = {"inline": {"model_type": "gpt2", "vocab_size": 97, "n_embd": 32, "n_head": 4, "n_layer": 3, "n_positions": 24}}


def test_a_plan_with_100000_tensors(visit, tmp_path):
    checkpoint = checkpoints.make_names(tmp_path / "many", 75_000)
    layers = 75_000 // 12
    checkpoint.config.write_text(json.dumps({
        "model_type": "gpt2", "vocab_size": 4, "n_embd": 2, "n_head": 1, "n_layer": layers, "n_positions": 4,
        "activation_function": "gelu_new", "tie_word_embeddings": False}))
    with Service(tmp_path / "data", disk_floor=0, memory_budget="2GiB", total_memory="8GiB", plan_time=300) as service:
        someone = visit(service)
        page = someone.open()
        page.evaluate("""() => { window.times = {}; const real = window.fetch;
          window.fetch = async (...args) => { const answer = await real(...args); if (args[0] === '/v1/plans') {
            const json = answer.json.bind(answer); answer.json = async () => { const value = await json(); window.times.answer = performance.now(); return value; }; }
            return answer; };
          new MutationObserver(() => { if (document.querySelector('.tensors tbody tr') && !window.times.rows) window.times.rows = performance.now(); })
            .observe(document.querySelector('#plan-body'), { childList: true, subtree: true }); }""")
        someone.choose(checkpoint.config, checkpoint.weights)
        expect(page.locator(".verdict")).to_be_visible(timeout=200_000)
        assert page.locator(".verdict").inner_text().startswith("✓ This converts: 100,"), page.inner_text(".verdict")
        times = page.evaluate("() => window.times")
        assert times["rows"] - times["answer"] < 1000, times
        assert page.locator(".tensors tbody tr").count() == 200
        took = page.evaluate("""() => { const field = document.querySelector('#tensor-search'); field.value = 'layers.6000.'; const start = performance.now();
          field.dispatchEvent(new Event('input')); return performance.now() - start; }""")
        assert took < 100, took
        expect(page.locator(".tensors tbody tr")).to_have_count(16)
        session = someone.context.new_cdp_session(page)
        session.send("HeapProfiler.collectGarbage")
        heap = session.send("Runtime.getHeapUsage")["usedSize"]
        assert heap < 300e6, heap


def hide(page, hidden):
    """Puts the tab into the background, or back, as far as the page can tell."""
    page.evaluate("""hidden => { Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event('visibilitychange')); }""", hidden)


def test_1000_jobs_and_20_that_run_ask_for_one_list_every_two_seconds(visit, slow, tmp_path):
    with Service(tmp_path / "data", disk_floor=0, workers=21, allow_private_fetch="127.0.0.1") as service:
        job = {"command": "convert-config", "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "config": CONFIG}
        first = service.wait(service.submit(job)["id"])
        for _ in range(979):
            service.submit(job)
        running = [slow(service) for _ in range(20)]
        eventually(lambda: service.get("/v1/jobs?counts=true&limit=1").json["counts"]["running"] == 20, what="20 running jobs")
        someone = visit(service)
        page = someone.open(f"/#/jobs/{running[-1]}")
        expect(page.locator("#statuses")).to_contain_text("All 1,000")
        expect(page.locator("#statuses")).to_contain_text("Running 20")
        expect(page.locator("#job-list li")).to_have_count(50)
        expect(page.locator("#job-list progress")).to_have_count(20)
        page.get_by_role("button", name="Show more").click()
        expect(page.locator("#job-list li")).to_have_count(200)
        expect(page.locator("#detail .phases")).to_contain_text("Fetch")

        def asked(seconds):
            """Paths that were asked for within so many seconds."""
            before = len(someone.requests)
            page.wait_for_timeout(seconds * 1000)
            return [one.url.removeprefix(service.base).partition("?")[0] for one in someone.requests[before:]]

        # One list each two seconds, and nothing for each job; the one that is looked at has a stream.
        paths = asked(7)
        assert set(paths) == {"/v1/jobs"} and 3 <= len(paths) <= 4, paths
        assert 1 <= someone.streams() <= 2
        # Nothing is asked for in a tab that nobody sees; back again it is fresh at once.
        hide(page, True)
        someone.eventually(lambda: someone.streams() == 0)
        assert asked(4) == []
        service.send("DELETE", f"/v1/jobs/{first['id']}")
        service.send("POST", f"/v1/jobs/{running[-1]}/cancel")
        page.evaluate("""() => new MutationObserver((_, observer) => {
            const shown = place => document.querySelector(place)?.textContent ?? '';
            if (!shown('#statuses').includes('All 999') || !shown('#detail .status').includes('cancelled')) return;
            observer.disconnect();
            window.fresh = performance.now();
          }).observe(document.querySelector('main'), { childList: true, subtree: true, characterData: true })""")
        start = page.evaluate("() => performance.now()")
        hide(page, False)
        expect(page.locator("#statuses")).to_contain_text("All 999")
        expect(page.locator("#detail .status")).to_have_text("–cancelled")
        assert page.evaluate("() => window.fresh") - start < 1000
        for one in running:
            service.send("POST", f"/v1/jobs/{one}/cancel")
        # However many jobs there are, the plan stays near the form.
        page.get_by_role("link", name="New conversion").click()
        expect(page.locator("#job-list li")).to_have_count(200)
        assert page.locator("#plan").bounding_box()["y"] < 1200
        # Several at once, with the range between two boxes.
        boxes = page.locator("#job-list input[type=checkbox]")
        boxes.nth(0).click()
        boxes.nth(9).click(modifiers=["Shift"])
        expect(page.locator("#bulk")).to_contain_text("10 selected")
        page.get_by_role("button", name="Delete 10").click()
        page.locator("dialog").get_by_role("button", name="Delete").click()
        expect(page.locator("#statuses")).to_contain_text("All 989")
        page.fill("#search", "zzz")
        expect(page.locator("#jobs-empty")).to_have_text("No job fits.")


def resident(root):
    """Bytes that a process and all below it have in memory, shared pages counted once for each."""
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
            waiting += [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def resident(root):
    """Bytes that a process and all below it have in memory, shared pages counted once for each."""
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
            waiting += [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    return total


def test_a_large_output_goes_to_the_disk_and_not_into_memory(visit, browser, tmp_path):
    """`make faults` takes 5 GiB. The link that a download has does not outlive its hour: the next press of the button gets another one."""
    clock = Clock(tmp_path / "clock")
    with Service(tmp_path / "data", disk_floor=0, env=clock.env, launcher=["env"]) as service:
        job = service.wait(service.submit({
            "command": "convert-config", "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "config": CONFIG})["id"])
        # The output becomes a sparse file of another size; the record says so, too.
        output = job["outputs"][0]
        size = int(os.environ.get("ZOOPORT_DOWNLOAD_GIB", "2")) << 30
        file = next((service.folder / "outputs" / job["id"]).rglob(output["name"]))
        with file.open("r+b") as content:
            content.truncate(size)
        service.stop()
        with sqlite3.connect(service.folder / "zooport.sqlite") as database:
            database.execute("UPDATE outputs SET size = ? WHERE name = ?", (size, output["name"]))
        service.start()
        token = make(service, "ann", "read,admin")
        someone = visit(service)
        page = someone.open(f"/#/jobs/{job['id']}")
        page.get_by_role("button", name="Enter a token").click()
        enter(page, token)
        expect(page.locator("#detail .status")).to_have_text("✓done")
        session = browser.new_browser_cdp_session()
        root = next(one["id"] for one in session.send("SystemInfo.getProcessInfo")["processInfo"] if one["type"] == "browser")
        button = page.get_by_role("button", name=f"Download {output['name']}")
        before, samples, done = resident(root), [], threading.Event()

        def watch():
            while not done.wait(0.2):
                samples.append(resident(root))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            with page.expect_download(timeout=60_000) as begun:
                button.click()
            saved = begun.value.path()
        finally:
            done.set()
            watcher.join()
        assert saved.stat().st_size == size
        assert len(samples) > 3 and max(samples) - before < 200e6, (before, samples)
        address = begun.value.url
        begun.value.delete()
        # Two hours later that address is worth nothing, and says why; the button gets another.
        path = address.removeprefix(service.base)
        part = {"Range": "bytes=0-9"}
        assert service.get(path, headers=part).status == 206
        clock.set(7200)
        late = service.get(path, headers=part)
        assert late.status == 401 and late.json["detail"] == "the link has expired; ask for another one"
        with page.expect_download() as again:
            button.click()
        assert again.value.url != address and again.value.url.startswith(service.base + "/v1/jobs/")
        again.value.cancel()
