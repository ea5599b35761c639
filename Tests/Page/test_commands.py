"""The commands that the page shows are run in a shell and make the job that the form makes."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import FIXTURE
from hub import Hub
from playwright.sync_api import expect
from service import BINARY, Service, environment

NAMES = ["pytorch model.bin", "it's $HOME `x` \"y\";z,=@.bin", "-dash.bin"]


def facts(job):
    return {
        **{name: job[name] for name in ("command", "model", "src_fmt", "tgt_fmt", "options")},
        "inputs": [one["filename"] for one in [job["inputs"]["config"], *job["inputs"]["checkpoint"]]],
        "outputs": [output["sha256"] for output in job["outputs"] if not output["name"].endswith("report.json")]}


def shown(page):
    """The commands that the page shows, by tab."""
    commands = {}
    for tab in ("zooport submit", "curl", "Python"):
        page.get_by_role("tab", name=tab).click()
        commands[tab] = page.inner_text("pre.command")
    return commands


def run(service, tab, command, folder):
    """Runs a command in a folder and answers the job that it made. `zooport` of the shell is the one under test."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    if not (tools / "zooport").exists():
        (tools / "zooport").symlink_to(BINARY)
    variables = environment(PATH=f"{tools}:{os.environ['PATH']}", XDG_CACHE_HOME=folder / "cache")
    argv = [sys.executable, "-c", command] if tab == "Python" else ["bash", "-c", command]
    answer = subprocess.run(argv, cwd=folder, env=variables, capture_output=True, text=True)
    assert answer.returncode == 0, (tab, command, answer.stderr)
    newest = service.wait(service.jobs()[0]["id"])
    assert newest["id"] in answer.stdout, (tab, answer.stdout)
    return newest


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
    page.get_by_text("More options").click()
    page.locator("label.check", has_text="Drop unmatched keys").click()
    page.select_option("#option-dtype", "float16")
    someone.wait_for_plan()
    page.click("#show-commands")
    commands = shown(page)
    job = facts(service.wait(someone.convert()))
    for tab, command in commands.items():
        assert facts(run(service, tab, command, tmp_path)) == job, tab


def test_a_config_alone_and_a_repository(service, visit, tmp_path):
    someone = visit(service)
    page = someone.open()
    someone.choose(FIXTURE / "config.json")
    page.select_option("#model", "gpt2")
    page.select_option("#src", "hf")
    someone.wait_for_plan()
    page.click("#show-commands")
    expect(page.locator("pre.command")).to_contain_text("zooport submit convert-config")
    commands = shown(page)
    job = service.wait(someone.convert())
    assert job["command"] == "convert-config"
    shutil.copy(FIXTURE / "config.json", tmp_path)
    for tab, command in commands.items():
        assert facts(run(service, tab, command, tmp_path)) == facts(job), tab
    page.get_by_role("link", name="New conversion").click()
    page.get_by_role("button", name="Remove").click()
    page.fill("#hub", "owner/name")
    page.get_by_text("Revision, folder, token").click()
    page.fill("#revision", "v1.0")
    expect(page.locator("pre.command")).to_contain_text("hub://owner/name@v1.0")
    page.get_by_role("tab", name="curl").click()
    expect(page.locator("pre.command")).to_contain_text('"checkpoint":{"hub":"owner/name","revision":"v1.0"}')


def test_commands_for_a_repository_make_the_job_of_the_form(visit, tmp_path):
    with Hub({"owner/gpt2": FIXTURE}) as hub, Service(
        tmp_path / "data", disk_floor=0, hub_endpoint=hub.endpoint, allow_private_fetch="127.0.0.1"
    ) as service:
        someone = visit(service)
        page = someone.open()
        page.fill("#hub", "owner/gpt2")
        page.get_by_text("Revision, folder, token").click()
        page.fill("#revision", "main")
        someone.wait_for_plan()
        page.click("#show-commands")
        commands = shown(page)
        job = service.wait(someone.convert())
        assert job["inputs"]["checkpoint"][0]["revision"] == "main"

        def compared(job):
            sources = [{name: one[name] for name in ("hub", "revision", "commit")} for one in job["inputs"]["checkpoint"]]
            return sources, [output["sha256"] for output in job["outputs"] if not output["name"].endswith("report.json")]

        for tab, command in commands.items():
            assert compared(run(service, tab, command, tmp_path)) == compared(job), tab
