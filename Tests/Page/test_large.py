"""Many tensors, many jobs, a large output: the page stays quick and small."""

import time
from pathlib import Path

import checkpoints
import pytest
from playwright.sync_api import expect
from service import Service

CONFIG = {"inline": {"model_type": "gpt2", "vocab_size": 97, "n_embd": 32, "n_head": 4, "n_layer": 3, "n_positions": 24}}


def test_a_plan_with_100000_tensors(visit, tmp_path):
    import json

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


def test_1000_jobs_ask_for_one_list_every_two_seconds(visit, tmp_path):
    with Service(tmp_path / "data", disk_floor=0, workers=1) as service:
        first = service.submit({
            "command": "convert-config", "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "config": CONFIG})
        service.wait(first["id"])
        for _ in range(999):
            service.submit({
                "command": "convert-config", "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "config": CONFIG})
        someone = visit(service)
        page = someone.open()
        expect(page.locator("#statuses")).to_contain_text("All 1,000")
        expect(page.locator("#job-list li")).to_have_count(50)
        page.get_by_role("button", name="Show more").click()
        expect(page.locator("#job-list li")).to_have_count(200)

        def lists(seconds):
            before = len(someone.requests)
            page.wait_for_timeout(seconds * 1000)
            return [one for one in someone.requests[before:] if "/v1/jobs?" in one.url]

        assert 2 <= len(lists(8)) <= 5
        # Nothing is asked for in a tab that nobody sees; back again it is fresh at once.
        page.evaluate("() => { Object.defineProperty(document, 'hidden', { configurable: true, get: () => true }); document.dispatchEvent(new Event('visibilitychange')); }")
        assert lists(5) == []
        service.send("DELETE", f"/v1/jobs/{first['id']}")
        page.evaluate("() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }")
        start = time.monotonic()
        expect(page.locator("#statuses")).to_contain_text("All 999")
        assert time.monotonic() - start < 2
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


@pytest.mark.parametrize("gigabytes", [5])
def test_a_large_output_goes_to_the_disk_and_not_into_memory(visit, tmp_path, gigabytes, browser):
    with Service(tmp_path / "data", disk_floor=0) as service:
        job = service.wait(service.submit({
            "command": "convert-config", "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "config": CONFIG})["id"])
        # The output becomes a sparse file of another size; the record says so, too.
        import sqlite3

        output = job["outputs"][0]
        size = gigabytes << 30
        file = next((service.folder / "outputs" / job["id"]).rglob(output["name"]))
        with file.open("r+b") as content:
            content.truncate(size)
        service.stop()
        with sqlite3.connect(service.folder / "zooport.sqlite") as database:
            database.execute("UPDATE outputs SET size = ? WHERE name = ?", (size, output["name"]))
        service.start()
        someone = visit(service)
        page = someone.open(f"/#/jobs/{job['id']}")
        expect(page.locator("#detail .status")).to_have_text("✓done")
        session = someone.context.new_cdp_session(page)
        session.send("HeapProfiler.collectGarbage")
        before = session.send("Runtime.getHeapUsage")["usedSize"]
        with page.expect_download(timeout=60_000) as download:
            page.get_by_role("button", name=f"Download {output['name']}").click()
        page.wait_for_timeout(3000)
        assert session.send("Runtime.getHeapUsage")["usedSize"] - before < 20e6
        address = download.value.url
        assert "?link=" in address
        download.value.cancel()
