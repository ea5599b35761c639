"""Every state in both schemes at three widths: WCAG 2.2 AA, contrast, no overflow; screenshots on request."""

import pytest
from conftest import FIXTURE, job_id
from playwright.sync_api import expect
from service import Service


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    with Service(tmp_path_factory.mktemp("closed") / "data", disk_floor=0, require_tokens="") as service:
        yield service


def look(someone, state):
    """Looks at a page as it is in each scheme and at each width."""
    page = someone.page
    for width in (320, 768, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            someone.check_accessibility(f"{state} {scheme} {width}")
            someone.shot(f"{state}-{scheme}-{width}")
        if page.locator("#convert").is_visible():
            places = [page.locator(one).bounding_box()["y"] for one in ("#convert", "#plan")]
            assert places == sorted(places), "the form comes before the plan"


def test_every_state_of_a_conversion(service, visit):
    someone = visit(service)
    page = someone.open()
    expect(page.locator("#model option")).not_to_have_count(1)
    look(someone, "empty")
    page.get_by_text("More options").click()
    look(someone, "options")
    page.get_by_text("More options").click()
    someone.choose(FIXTURE / "config.json", FIXTURE / "pytorch_model.bin")
    someone.wait_for_plan()
    look(someone, "plan")
    page.get_by_role("tab", name="Config").click()
    look(someone, "plan-config")
    page.get_by_role("tab", name="Findings").click()
    look(someone, "plan-findings")
    page.click("#show-commands")
    look(someone, "commands")
    page.click("#show-commands")
    someone.convert()
    expect(page.locator("#detail .status")).to_have_text("✓done")
    look(someone, "job")


def test_every_state_of_what_fails(service, visit):
    someone = visit(service)
    page = someone.open()
    page.fill("#hub", "no such thing")
    expect(page.locator("#plan-body .error")).to_be_visible()
    look(someone, "refused")
    failed = service.submit({
        "command": "convert-config", "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "reuse": False,
        "config": {"inline": {"model_type": "gpt2", "activation_function": "swoosh"}}})["id"]
    service.wait(failed)
    page.goto(f"{service.base}/#/jobs/{failed}")
    expect(page.locator("#detail .status")).to_have_text("✕failed")
    look(someone, "failed")
    page.get_by_role("button", name="Delete", exact=True).click()
    look(someone, "dialog")
    page.keyboard.press("Escape")
    page.click("#help")
    look(someone, "keys")
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_focused()
    assert job_id(page) == failed


def test_every_state_that_passes(service, visit, slow, tmp_path):
    someone = visit(service)
    page = someone.open()
    # Jobs that run and wait, some of them selected.
    running, waiting = slow(service), slow(service)
    service.wait(running, "running", phase="fetching")
    page.goto(f"{service.base}/#/jobs/{running}")
    expect(page.locator("#detail progress")).to_be_visible()
    page.locator("#job-list input").nth(0).check()
    page.locator("#job-list input").nth(2).check()
    look(someone, "running")
    for job in (waiting, running):
        service.send("POST", f"/v1/jobs/{job}/cancel")
    # An upload on its way.
    page.goto(f"{service.base}/#/")
    page.reload()
    someone.limit(100_000)
    (tmp_path / "model.safetensors").write_bytes(bytes(1 << 20))
    someone.choose(FIXTURE / "config.json", tmp_path / "model.safetensors")
    expect(page.get_by_role("button", name="Pause model.safetensors")).to_be_visible()
    look(someone, "sending")
    page.get_by_role("button", name="Remove model.safetensors").click()
    someone.limit()


def test_every_state_without_a_token(closed, visit):
    someone = visit(closed)
    page = someone.open()
    button = page.get_by_role("button", name="Enter a token")
    expect(button).to_be_visible()
    look(someone, "closed")
    button.click()
    look(someone, "token")


def test_colours_can_be_chosen_and_are_remembered(service, visit):
    someone = visit(service, color_scheme="light")
    page = someone.open()
    light = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    page.select_option("#theme", "dark")
    dark = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert light != dark
    page.reload()
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == dark
    page.select_option("#theme", "")
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == light


@pytest.mark.parametrize("zoom", [2, 4])
def test_nothing_is_lost_at_a_zoom(service, visit, zoom):
    """200 % and 400 % of a window of 1280 pixels, and the colours of the system."""
    someone = visit(service, width=1280 // zoom, height=900 // zoom, device_scale_factor=zoom, forced_colors="active")
    page = someone.open()
    someone.choose(FIXTURE / "config.json", FIXTURE / "pytorch_model.bin")
    someone.wait_for_plan()
    hidden = someone.run("""[...document.querySelectorAll('button, input, select, a')].filter(e => e.checkVisibility() && !e.closest('.hidden, .skip'))
      .filter(e => { const box = e.getBoundingClientRect(); return box.right > innerWidth + 1 || box.left < -1; }).map(e => e.outerHTML.slice(0, 100))""")
    assert hidden == []
    assert someone.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_nothing_moves_for_those_who_want_that(service, visit):
    moving = "[...document.querySelectorAll('*')].filter(e => ['', '::before'].some(p => getComputedStyle(e, p).transitionDuration !== '0s')).length"
    calm = visit(service)
    calm.open()
    calm.choose(FIXTURE / "config.json", FIXTURE / "pytorch_model.bin")
    calm.wait_for_plan()
    assert calm.run(moving) == 0
    calm.page.emulate_media(reduced_motion="no-preference")
    assert calm.run(moving) > 0


def test_targets_are_large_enough(service, visit):
    someone = visit(service, width=320)
    page = someone.open()
    someone.choose(FIXTURE / "config.json", FIXTURE / "pytorch_model.bin")
    someone.wait_for_plan()
    small = someone.run("""[...document.querySelectorAll('button, select, input:not([type=file]):not([type=checkbox]), summary, .check, .pick')]
      .filter(e => e.checkVisibility()).filter(e => { const box = e.getBoundingClientRect(); return box.height < 43.5 || box.width < 24; })
      .map(e => e.outerHTML.slice(0, 100))""")
    assert small == []
    assert page.locator("h1").count() == 1
