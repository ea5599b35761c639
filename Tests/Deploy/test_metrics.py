"""The exposition, the alerts and the dashboard, judged by Prometheus's own tool and against docs/metrics.md."""

import json
import re
import shutil
import subprocess

import checkpoints
import pytest
import yaml

SUFFIXES = ("_bucket", "_sum", "_count")


def promtool(*arguments, stdin=None):
    program = shutil.which("promtool")
    assert program, "promtool is missing; scripts/setup.sh test installs it"
    return subprocess.run([program, *arguments], input=stdin, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="session")
def documented(deploy):
    """Names of the metrics in docs/metrics.md and their labels."""
    found = {}
    for line in (deploy.parent / "docs/metrics.md").read_text().splitlines():
        cells = line.split("|")
        if line.startswith("| `zooport_"):
            labels = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", cells[2]))
            for name in re.findall(r"`(zooport_\w+)`", cells[1]):
                found[name] = set(labels)
    assert len(found) > 8
    return found


@pytest.fixture(scope="session")
def queries(deploy):
    """Every expression of the dashboard and the alerts, with where it stands."""
    dashboard = json.loads((deploy / "grafana-dashboard.json").read_text())
    found = {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
        for panel in dashboard["panels"] for target in panel.get("targets", [])}
    for group in yaml.safe_load((deploy / "alerts.yaml").read_text())["groups"]:
        found.update({rule["alert"]: rule["expr"] for rule in group["rules"]})
    return found


def test_exposition_passes_and_is_documented(service, tiny, documented):
    ids = [{"upload": service.upload(file)} for file in (tiny.config, tiny.weights)]
    job = service.wait(service.submit(checkpoints.job(*ids))["id"])
    service.outputs(job)
    failing = service.submit(checkpoints.job({"inline": {"model_type": "zork"}}, {"upload": ids[1]["upload"]}))
    service.wait(failing["id"])
    service.get("/zork")
    text = service.get("/metrics").body.decode()
    result = promtool("check", "metrics", stdin=text)
    assert result.returncode == 0, result.stderr
    exposed = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    assert exposed == documented.keys()


def test_queries_name_what_there_is(queries, documented):
    for place, query in queries.items():
        for name, labels in re.findall(r"(zooport_\w+)(?:\{([^}]*)\})?", query):
            base = next((name.removesuffix(end) for end in SUFFIXES if name.removesuffix(end) in documented), name)
            assert base in documented, f"{place}: there is no {name}"
            used = set(re.findall(r"(\w+)\s*[=!]~?", labels or ""))
            assert used <= documented[base] | {"instance", "job", "le"}, f"{place}: {name} has no {used - documented[base]}"


def test_queries_parse(queries, tmp_path):
    rules = [{"record": f"q:{index}", "expr": query} for index, query in enumerate(queries.values())]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    result = promtool("check", "rules", file)
    assert result.returncode == 0, result.stdout + result.stderr


def test_alerts_fire_and_are_silent(deploy, tmp_path):
    """Each alert once with what it is for, and all of them on a service that is well."""
    well = [
        {"series": 'up{job="zooport"}', "values": "1x120"}, {"series": "zooport_queue_age_seconds", "values": "5x120"},
        {"series": 'zooport_jobs_ended_total{status="succeeded"}', "values": "0+10x120"},
        {"series": "zooport_disk_free_bytes", "values": "100x120"}, {"series": "zooport_disk_floor_bytes", "values": "10x120"},
        {"series": 'zooport_http_requests_total{status="2xx"}', "values": "0+100x120"},
        {"series": "zooport_leases_lost_total", "values": "0x120"}]
    ill = {
        "ZooportDown": {'up{job="zooport"}': "0x120"},
        "ZooportQueueStuck": {"zooport_queue_age_seconds": "700x120", 'zooport_jobs_ended_total{status="succeeded"}': "7x120"},
        "ZooportQueueOld": {"zooport_queue_age_seconds": "4000x120"},
        "ZooportDiskLow": {"zooport_disk_free_bytes": "15x120"},
        "ZooportServerErrors": {'zooport_http_requests_total{status="5xx"}': "0+20x120"},
        "ZooportInternalErrors": {'zooport_job_errors_total{code="internal"}': "0x60 1x60"},
        "ZooportLeasesLost": {"zooport_leases_lost_total": "0x60 1x60"},
    }
    rules = yaml.safe_load((deploy / "alerts.yaml").read_text())["groups"][0]["rules"]
    assert [rule["alert"] for rule in rules] == list(ill)

    def case(changes, fires):
        series = {entry["series"]: entry["values"] for entry in well} | changes
        return {
            "interval": "1m", "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [{
                "expr": "count by (alertname) (ALERTS{alertstate=\"firing\"})", "eval_time": "90m",
                "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in fires]}]}

    tests = {
        "rule_files": [str(deploy / "alerts.yaml")], "evaluation_interval": "1m",
        "tests": [case({}, []), *(case(changes, [name]) for name, changes in ill.items())]}
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump(tests))
    result = promtool("test", "rules", file)
    assert result.returncode == 0, result.stdout + result.stderr


def test_scrape_configuration(deploy, tmp_path):
    for name in ("prometheus.yaml", "alerts.yaml"):
        shutil.copy(deploy / name, tmp_path)
    (tmp_path / "metrics-token").write_text("zpt_x")
    result = promtool("check", "config", tmp_path / "prometheus.yaml")
    assert result.returncode == 0, result.stdout + result.stderr


def test_runbook_has_every_alert(deploy):
    runbook = (deploy / "RUNBOOK.md").read_text()
    for group in yaml.safe_load((deploy / "alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            assert f"`{rule['alert']}`" in runbook, rule["alert"]
