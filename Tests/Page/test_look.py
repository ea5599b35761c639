"""Every state in both schemes at three widths: WCAG 2.2 AA, contrast, no overflow; screenshots on request."""

import pytest
from conftest import FIXTURE, job_id
from playwright.sync_api import expect


@pytest.mark.parametrize("width", [320, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state(service, visit, width, scheme, tmp_path):
    someone = visit(service, width=width, color_scheme=scheme)

    def look(state):
        someone.check_accessibility(f"{state} {scheme} {width}")
        someone.shot(f"{state}-{scheme}-{width}")
        if page.locator("#convert").is_visible():
            places = [page.locator(one).bounding_box()["y"] for one in ("#convert", "#plan")]
            assert places == sorted(places), "the form comes before the plan"

    page = someone.open()
    expect(page.locator("#model option")).not_to_have_count(1)
    look("empty")
    page.get_by_text("More options").click()
    look("options")
    page.get_by_text("More options").click()
    someone.choose(FIXTURE / "config.json", FIXTURE / "pytorch_model.bin")
    someone.wait_for_plan()
    look("plan")
    page.get_by_role("tab", name="Config").click()
    look("plan-config")
    page.get_by_role("tab", name="Findings").click()
    look("plan-findings")
    page.click("#show-commands")
    look("commands")
    page.click("#show-commands")
    someone.convert()
    expect(page.locator("#detail .status")).to_have_text("✓done")
    look("job")
    page.goto(f"{service.base}/#/")
    page.reload()
    page.fill("#hub", "no such thing")
    expect(page.locator("#plan-body .error")).to_be_visible()
    look("refused")
    failed = service.submit({
        "command": "convert-config", "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "reuse": False,
        "config": {"inline": {"model_type": "gpt2", "activation_function": "swoosh"}}})["id"]
    service.wait(failed)
    page.goto(f"{service.base}/#/jobs/{failed}")
    expect(page.locator("#detail .status")).to_have_text("✕failed")
    look("failed")
    page.get_by_role("button", name="Delete", exact=True).click()
    look("dialog")
    page.keyboard.press("Escape")
    page.click("#help")
    look("keys")
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_focused()
    assert job_id(page) == failed


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
