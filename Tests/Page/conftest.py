"""The page in a real browser against the real binary. Nothing of the service is mocked."""

import contextlib
import json
import os
import re
import shutil
import time
from pathlib import Path

import axe_playwright_python
import checkpoints
import needs
import pytest
from origin import Origin
from playwright.sync_api import expect, sync_playwright
from service import Service

expect.set_options(timeout=30_000)

FIXTURE = Path(__file__).parents[1] / "Fixtures/gpt2"
#: Where screenshots go, if anywhere.
SCREENSHOTS = os.environ.get("ZOOPORT_SCREENSHOTS")
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


class Visit:
    """One tab of one person, and what went wrong in it."""

    def __init__(self, context, base):
        self.context, self.base = context, base
        self.faults, self.requests, self.ended = [], [], []
        self.network = None
        # What the policy forbids is a fault of its own, whatever the console makes of it.
        context.add_init_script("addEventListener('securitypolicyviolation', event => console.error('policy', event.violatedDirective, event.blockedURI))")
        self.page = context.new_page()
        self.watch(self.page)

    def watch(self, page):
        page.set_default_timeout(30_000)
        page.on("console", lambda message: self.note(message))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda request: self.requests.append(request))
        # From the beginning on: the browser learns that file choosers are watched a moment after the first listener is there,
        # and a chooser that is opened within that moment is never heard of.
        page.on("filechooser", lambda chooser: None)
        for end in ("requestfinished", "requestfailed"):
            page.on(end, lambda request: self.ended.append(request))

    def note(self, message):
        # An answer that is no success is a line of the console, too; tests of refusals look at the page.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.faults.append(message.text)

    def strangers(self):
        """Addresses of requests to anywhere but this service."""
        return [one.url for one in self.requests if not self.is_own(one.url)]

    def is_own(self, address):
        return address.startswith((self.base + "/", f"blob:{self.base}/"))

    def streams(self):
        """Requests for events that have not ended."""
        return len([one for one in self.requests if one.url.endswith("/events") and one not in self.ended])

    def eventually(self, condition, limit=60):
        """Waits until `condition()` is true, while the browser goes on telling what happens in it."""
        deadline = time.monotonic() + limit
        while not condition():
            assert time.monotonic() < deadline, f"not within {limit} s"
            self.page.wait_for_timeout(100)

    def open(self, path="/"):
        self.page.goto(self.base + path)
        return self.page

    def choose(self, *files):
        """Chooses files as somebody does who clicks on the field."""
        self.page.set_input_files("#files", [str(file) for file in files])

    def wait_for_plan(self):
        expect(self.page.locator(".verdict")).to_be_visible()

    def convert(self):
        """Presses Convert and answers the id of the job."""
        expect(self.page.locator("#submit")).to_be_enabled()
        self.page.click("#submit")
        expect(self.page.locator("#detail")).to_be_visible()
        self.page.wait_for_url("**/#/jobs/*")
        return self.page.url.rsplit("/", 1)[1]

    def limit(self, rate=-1):
        """Makes uploads as slow as so many bytes a second."""
        if not self.network:
            self.network = self.context.new_cdp_session(self.page)
            self.network.send("Network.enable")
        self.network.send("Network.emulateNetworkConditions", {
            "offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": rate})

    def run(self, script):
        """Runs a script outside of the content security policy, as the developer tools do."""
        session = self.context.new_cdp_session(self.page)
        try:
            answer = session.send("Runtime.evaluate", {"expression": script, "awaitPromise": True, "returnByValue": True})
            assert "exceptionDetails" not in answer, answer["exceptionDetails"]
            return answer["result"].get("value")
        finally:
            session.detach()

    def shot(self, name):
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            # A window as high as the page, so that nothing that sticks to its edge covers the rest.
            before = self.page.viewport_size
            self.page.set_viewport_size({**before, "height": max(before["height"], self.run("document.body.scrollHeight"))})
            self.page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")
            self.page.set_viewport_size(before)

    def check_accessibility(self, where):
        """No violation of WCAG 2.2 AA that axe finds, and contrast computed from the colours themselves."""
        options = json.dumps({"runOnly": {"type": "tag", "values": AXE_TAGS}, "resultTypes": ["violations"]})
        if not self.run("'axe' in window"):
            self.run(AXE + "; undefined")
        found = self.run(f"axe.run(document, {options}).then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html.slice(0, 200)).join(' | ')))")
        assert found == [], (where, found)
        faint = self.run(CONTRAST)
        assert faint == [], (where, faint)
        overflow = self.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, (where, overflow)


#: Every visible text and the edges of controls: colour, ground and ratio of those that are too faint.
CONTRAST = r"""(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const parse = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const luminance = ([r, g, b]) => [r, g, b].map(v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; })
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const over = (top, ground) => [0, 1, 2].map(i => top[i] * top[3] / 255 + ground[i] * (1 - top[3] / 255));
  const ground = element => { const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, layer) => layer[3] ? [...over(layer, below), 255] : below, [255, 255, 255, 255]); };
  const ratio = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const found = [];
  const seen = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || seen.has(element) || element.closest('.hidden, noscript, option, .skip')) continue;
    seen.add(element);
    if (!element.checkVisibility()) continue;
    const [text, below] = [parse(getComputedStyle(element).color), ground(element)];
    const value = ratio(over(text, below), below);
    if (value < 4.5) found.push([element.outerHTML.slice(0, 120), value.toFixed(2)]);
  }
  for (const element of document.querySelectorAll('input:not([type=file]):not([type=checkbox]), select, button:not(.quiet):not([role=tab])')) {
    const style = getComputedStyle(element);
    const edge = parse(style.borderTopColor);
    if (!element.checkVisibility() || !edge[3]) continue;
    const value = Math.max(ratio(edge, ground(element.parentElement)), ratio(ground(element), ground(element.parentElement)));
    if (value < 3) found.push([element.outerHTML.slice(0, 120), value.toFixed(2)]);
  }
  return found;
})()"""


def chromium():
    """The browser of the system; playwright brings none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    return path or needs.missing("chromium is not installed")


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        # Nothing leaves this machine, whatever the page asks for; a test fails for the try alone.
        arguments = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE *.localhost"]
        arguments += ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium(), args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with Service(
        tmp_path_factory.mktemp("page") / "data", disk_floor=0, workers=2, allow_private_fetch="127.0.0.1"
    ) as service:
        yield service


@pytest.fixture
def visit(browser):
    """Makes visits: visit(service, viewport=...). Every one must have been without a fault at the end."""
    with contextlib.ExitStack() as stack:
        visits = []

        def make(service, width=1280, height=900, **options):
            context = browser.new_context(
                viewport={"width": width, "height": height}, accept_downloads=True, reduced_motion="reduce", **options)
            stack.callback(context.close)
            visits.append(Visit(context, service.base))
            return visits[-1]

        yield make
        for one in visits:
            assert one.faults == []
            assert one.strangers() == []


@pytest.fixture
def slow(tmp_path_factory, tiny):
    """Starts jobs that go on fetching for minutes: slow(service) answers the id of one more."""
    with Origin(tiny.weights.parent, rate=100) as origin:
        count = iter(range(1000))

        def start(service):
            return service.submit({
                "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "reuse": False,
                "config": {"inline": json.loads(tiny.config.read_text())},
                "checkpoint": {"url": origin.url(f"{tiny.weights.name}?{next(count)}")}})["id"]

        yield start


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    return checkpoints.make(tmp_path_factory.mktemp("models"), checkpoints.TINY)


def job_id(page):
    return re.search(r"#/jobs/(\w+)", page.url)[1]
