"""Everything without a mouse: the focus is never lost, always visible, and returns."""

from conftest import FIXTURE
from playwright.sync_api import expect
from service import eventually


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


def test_tabs_dialogs_and_cancelling(service, visit, tmp_path):
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
    # A job that waits for a repository that is not there for a while can be cancelled.
    job = service.submit({
        "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "config": {"inline": {}},
        "checkpoint": {"url": "http://192.0.2.1/pytorch_model.bin"}})
    page.goto(f"{service.base}/#/jobs/{job['id']}")
    cancel = page.get_by_role("button", name="Cancel", exact=True)
    if cancel.count():
        cancel.focus()
        page.keyboard.press("Enter")
    eventually(lambda: service.job(job["id"])["status"] in ("cancelled", "failed"), what="the end of the job")
    delete = page.get_by_role("button", name="Delete", exact=True)
    delete.focus()
    page.keyboard.press("Enter")
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(delete).to_be_focused()
    assert service.get(f"/v1/jobs/{job['id']}").status == 200


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
    page.get_by_label("Single keys do this").uncheck()
    page.keyboard.press("Escape")
    page.locator("#help").focus()
    page.keyboard.press("/")
    expect(page.locator("#help")).to_be_focused()
