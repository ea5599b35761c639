"""The commands that the page shows are run in a shell and make the job that the form makes."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import FIXTURE
from playwright.sync_api import expect
from service import BINARY, environment

NAMES = ["pytorch model.bin", "it's $HOME `x` \"y\";z,=@.bin", "-dash.bin"]


def facts(job):
    return {
        **{name: job[name] for name in ("command", "model", "src_fmt", "tgt_fmt", "options")},
        "inputs": [one["filename"] for one in [job["inputs"]["config"], *job["inputs"]["checkpoint"]]],
        "outputs": [output["sha256"] for output in job["outputs"] if not output["name"].endswith("report.json")]}


@pytest.mark.parametrize("name", NAMES)
def test_commands_make_the_job_of_the_form(service, visit, tmp_path, name):
    shutil.copy(FIXTURE / "pytorch_model.bin", tmp_path / name)
    shutil.copy(FIXTURE / "config.json", tmp_path / "config.json")
    someone = visit(service)
    page = someone.open()
    someone.choose(tmp_path / "config.json", tmp_path / name)
    page.select_option("#model", "gpt2")
    page.select_option("#src", "hf")
    page.select_option("#tgt", "cs-1.8")
    page.locator("label.check", has_text="Drop unmatched keys").click()
    page.get_by_text("More options").click()
    page.select_option("#option-dtype", "float16")
    someone.wait_for_plan()
    page.click("#show-commands")
    commands = {}
    for tab in ("zooport submit", "curl", "Python"):
        page.get_by_role("tab", name=tab).click()
        commands[tab] = page.inner_text("pre.command")
    job = facts(service.wait(someone.convert()))
    # `zooport` and `python3` of the shell are those of this suite.
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "zooport").symlink_to(BINARY)
    variables = environment(PATH=f"{tools}:{os.environ['PATH']}", XDG_CACHE_HOME=tmp_path / "cache")
    for tab, command in commands.items():
        argv = [sys.executable, "-c", command] if tab == "Python" else ["bash", "-c", command]
        answer = subprocess.run(argv, cwd=tmp_path, env=variables, capture_output=True, text=True)
        assert answer.returncode == 0, (tab, command, answer.stderr)
        newest = service.wait(service.jobs()[0]["id"])
        assert newest["id"] in answer.stdout, (tab, answer.stdout)
        assert facts(newest) == job, tab


def test_a_config_alone_and_a_repository(service, visit):
    someone = visit(service)
    page = someone.open()
    someone.choose(FIXTURE / "config.json")
    someone.wait_for_plan()
    page.click("#show-commands")
    expect(page.locator("pre.command")).to_contain_text("zooport submit convert-config")
    page.get_by_role("button", name="Remove").click()
    page.fill("#hub", "owner/name")
    page.get_by_text("Revision, folder, token").click()
    page.fill("#revision", "v1.0")
    expect(page.locator("pre.command")).to_contain_text("hub://owner/name@v1.0")
    page.get_by_role("tab", name="curl").click()
    expect(page.locator("pre.command")).to_contain_text('"checkpoint":{"hub":"owner/name","revision":"v1.0"}')
