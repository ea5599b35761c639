"""Everything without a mouse: the focus is never lost, always visible, and returns."""

from conftest import FIXTURE
from playwright.sync_api import expect


def focused(page):
    """What has the focus, and whether that can be seen."""
    return page.evaluate("""() => {
      const at = document.activeElement;
      const shown = at.closest('.drop') ?? at;
      const box = shown.getBoundingClientRect();
      return { name: at.id || at.getAttribute('aria-label') || at.textContent.trim().slice(0, 60), body: at === document.body,
        outline: getComputedStyle(shown).outlineStyle !== 'none' && parseFloat(getComputedStyle(shown).outlineWidth) >= 2, inside: box.width > 0 };
    }""")


def tab_to(page, name, limit=80):
    """Presses Tab until something has the focus, and checks everything on the way."""
    for _ in range(limit):
        page.keyboard.press("Tab")
        at = focused(page)
        if at["body"]:
            continue
        assert at["outline"] and at["inside"], at
        if at["name"] == name:
            return
    raise AssertionError(f"Tab does not lead to {name}")


def test_a_conversion_without_a_mouse(service, visit):
    someone = visit(service)
    page = someone.open()
    expect(page.locator("#model option")).not_to_have_count(1)
    page.keyboard.press("Tab")
    assert focused(page)["name"] == "Skip to the content"
    page.keyboard.press("Enter")
    tab_to(page, "files")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files([FIXTURE / "config.json", FIXTURE / "pytorch_model.bin"])
    someone.wait_for_plan()
    tab_to(page, "model")
    page.keyboard.type("gpt2")
    tab_to(page, "tgt")
    tab_to(page, "submit")
    expect(page.locator("#submit")).to_be_enabled()
    page.keyboard.press("Enter")
    expect(page.locator("#detail-title")).to_be_focused()
    expect(page.locator("#detail .status")).to_have_text("✓done")
    name = service.job(page.url.rsplit("/", 1)[1])["outputs"][0]["name"]
    tab_to(page, f"Download {name}")
    with page.expect_download():
        page.keyboard.press("Enter")
    assert focused(page)["name"] == f"Download {name}"
    page.keyboard.press("Home")


def test_tabs_dialogs_and_cancelling(service, visit, slow):
    someone = visit(service)
    page = someone.open()
    someone.choose(FIXTURE / "config.json", FIXTURE / "pytorch_model.bin")
    someone.wait_for_plan()
    page.get_by_role("tab", name="Tensors").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Config")).to_be_focused()
    expect(page.locator("[role=tabpanel]")).to_contain_text("the key is on this side only")
    page.keyboard.press("End")
    expect(page.get_by_role("tab", name="Findings")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Tensors")).to_be_focused()
    # A job that runs is cancelled; the focus does not fall out of the job when the button goes.
    job = slow(service)
    page.goto(f"{service.base}/#/jobs/{job}")
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_visible()
    tab_to(page, "Cancel")
    page.keyboard.press("Enter")
    expect(page.locator("#detail .status")).to_have_text("–cancelled")
    assert service.job(job)["status"] == "cancelled"
    assert page.evaluate("() => document.activeElement.closest('#detail') !== null")
    delete = page.get_by_role("button", name="Delete", exact=True)
    tab_to(page, "Delete")
    page.keyboard.press("Enter")
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(delete).to_be_focused()
    assert service.get(f"/v1/jobs/{job}").status == 200


def test_single_keys_and_their_switch(service, visit):
    page = visit(service).open()
    expect(page.locator("#model option")).not_to_have_count(1)
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("?")
    assert page.input_value("#search") == "?"
    page.locator("#search").fill("")
    page.locator("#help").focus()
    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(page.locator("#files")).to_be_focused()
    page.locator("#help").focus()
    page.keyboard.press("?")
    expect(page.locator("dialog")).to_be_visible()
    page.get_by_label("These keys are on").uncheck()
    page.keyboard.press("Escape")
    page.locator("#help").focus()
    page.keyboard.press("/")
    expect(page.locator("#help")).to_be_focused()
