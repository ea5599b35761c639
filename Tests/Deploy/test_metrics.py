"""The exposition, the alerts and the dashboard, judged by Prometheus's own tool and against docs/metrics.md."""

import json
import re
import shutil
import subprocess

import checkpoints
import pytest
import yaml
from service import Service

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


def test_every_metric_is_in_an_alert_or_the_dashboard(queries, documented):
    """As docs/metrics.md says; that it names all that are exported is another test."""
    used = {name for query in queries.values() for name in re.findall(r"zooport_\w+", query)}
    assert {name for name in documented if not used & {name, *(name + end for end in SUFFIXES)}} == set()


def test_queries_parse(queries, tmp_path):
    rules = [{"record": f"q:{index}", "expr": query} for index, query in enumerate(queries.values())]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    result = promtool("check", "rules", file)
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_alerts_count_is_there_before_it_happens(tmp_path):
    """A counter that is born with 1 has no increase, so the first event would go unseen."""
    with Service(tmp_path / "data", disk_floor=0) as service:
        series = set(service.get("/metrics").body.decode().splitlines())
    assert 'zooport_job_errors_total{code="internal"} 0' in series
    assert "zooport_leases_lost_total 0" in series
    ended = {line for line in series if line.startswith("zooport_jobs_ended_total{")}
    assert ended and all(line.endswith(" 0") for line in ended)
    assert 'zooport_jobs{model="all",status="running"} 0' in {sort_labels(line) for line in series}


def sort_labels(line):
    return re.sub(r"\{(.*)\}", lambda match: "{" + ",".join(sorted(match[1].split(","))) + "}", line)


def test_requests_are_counted_by_their_status(tmp_path):
    """The full status, so that alerts can leave 507 out."""
    with Service(tmp_path / "data", disk_floor="100000GiB") as service:
        assert service.get("/readyz").status == 503
        assert service.send("PUT", "/v1/uploads/x", b"x").status == 507
        counted = re.findall(r'zooport_http_requests_total\{.*route="([^"]*)".*status="(\d+)"\}', service.get("/metrics").body.decode())
    assert {("/readyz", "503"), ("/v1/uploads/{upload}", "507")} <= set(counted)


def requests(status, route="/v1/jobs"):
    return f'zooport_http_requests_total{{method="GET", route="{route}", status="{status}"}}'


def jobs(status):
    return f'zooport_jobs{{model="all", status="{status}"}}'


ENDED = 'zooport_jobs_ended_total{status="succeeded", model="gpt2"}'
#: A service that is well. Every series that the service emits from its start is there, those of requests since they came.
WELL = {
    'up{job="zooport"}': "1x120", "zooport_queue_age_seconds": "5x120", jobs("queued"): "1x120", jobs("running"): "1x120",
    ENDED: "0+10x120", "zooport_disk_free_bytes": "100x120", "zooport_disk_floor_bytes": "10x120",
    requests(200): "0+100x120", 'zooport_job_errors_total{code="internal"}': "0x120", "zooport_leases_lost_total": "0x120"}
#: An alert, what is otherwise when it fires, and how it is called.
FIRING = [
    ("ZooportDown", {'up{job="zooport"}': "0x120"}),
    ("ZooportQueueStuck", {"zooport_queue_age_seconds": "700x120", jobs("running"): "0x120", ENDED: "7x120"}),
    ("ZooportQueueStuck", {"zooport_queue_age_seconds": "700x120", jobs("running"): "0x120", ENDED: "_x120"}),
    ("ZooportQueueOld", {"zooport_queue_age_seconds": "4000x120"}),
    ("ZooportDiskLow", {"zooport_disk_free_bytes": "15x120"}),
    ("ZooportServerErrors", {requests(500): "_x40 0+20x80"}),
    ("ZooportServerErrors", {requests(503): "_x40 0+20x80"}),
    ("ZooportServerErrors", {  # probes do not thin errors out
        requests(200): "0+10x120", requests(200, "/healthz"): "0+600x120", requests(500): "0+2x120"}),
    ("ZooportInternalErrors", {'zooport_job_errors_total{code="internal"}': "0x60 1x60"}),
    ("ZooportLeasesLost", {"zooport_leases_lost_total": "0x60 1x60"}),
]
SILENT = {
    "well": {},
    "a long job keeps others waiting": {"zooport_queue_age_seconds": "700x120", ENDED: "7x120"},
    "short jobs run between the scrapes": {"zooport_queue_age_seconds": "700x120", jobs("running"): "0x120"},
    "a restart": {"zooport_queue_age_seconds": "5x80 3000x6 5x40", jobs("running"): "1x80 0x6 1x40", ENDED: "0+1x80 0x40"},
    "probes of a service that is not ready": {requests(503, "/readyz"): "0+100x120"},
    "a full disk": {requests(507): "0+100x120"},
    "one error among many requests": {requests(500): "_x60 1x60"},
}


def rule_test(changes, fires):
    series = WELL | changes
    return {
        "interval": "1m", "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{
            "expr": "count by (alertname) (ALERTS{alertstate=\"firing\"})", "eval_time": "90m",
            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in fires]}]}


def test_alerts_fire_and_are_silent(deploy, tmp_path):
    """Each alert with what it is for, and none on what looks like it and is not."""
    rules = yaml.safe_load((deploy / "alerts.yaml").read_text())["groups"][0]["rules"]
    assert [rule["alert"] for rule in rules] == list(dict.fromkeys(name for name, _ in FIRING))
    tests = {
        "rule_files": [str(deploy / "alerts.yaml")], "evaluation_interval": "1m",
        "tests": [*(rule_test(changes, []) for changes in SILENT.values()),
                  *(rule_test(changes, [name]) for name, changes in FIRING)]}
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
