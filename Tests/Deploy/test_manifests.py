"""Image, compose file, Kubernetes manifests and systemd unit, as far as they can be checked without running them."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from service import BINARY, Service

#: Of systemd-analyze, 0 (closed) to 10; a service that is not hardened has 9.6.
EXPOSURE = 1.5


def test_image(deploy):
    text = (deploy / "Dockerfile").read_text()
    stages = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert len(stages) == 2 and stages[0].startswith("swift:") and "swift" not in stages[1]
    assert "--static-swift-stdlib" in text
    last = text[text.rindex("FROM "):]
    assert re.search(r"^USER (?!root|0)\w+", last, re.MULTILINE), "the image runs as root"
    assert re.search(r"HEALTHCHECK[^\n]*(\\\n[^\n]*)?/healthz", last)
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        for name in source.split():
            assert list(deploy.parent.glob(name)) or name == "Package.*", f"{name} is not there"
    assert ".build" in (deploy.parent / ".dockerignore").read_text()


def test_image_has_what_its_scripts_need(deploy):
    """The scripts are in the image, and every program that they start is of a package in it or of every Debian."""
    text = (deploy / "Dockerfile").read_text()
    last = text[text.rindex("FROM "):]
    copied = re.search(r"^COPY ((?:deploy/\S+\.sh )+)/usr/local/bin/$", last, re.MULTILINE)[1].split()
    assert copied == ["deploy/backup.sh", "deploy/smoke.sh"]
    for script, programs in {"backup.sh": ["sqlite3"], "smoke.sh": ["curl"]}.items():
        for program in programs:
            assert re.search(rf"\b{program}\b", (deploy / script).read_text())
            assert re.search(rf"\s{program}\s", last[:last.index("rm -rf")]), f"{script} needs {program}"


def test_image_has_the_libraries_of_the_binary(deploy):
    """What the binary is linked with, the Swift runtime aside, which the image's is linked with statically."""
    text = (deploy / "Dockerfile").read_text()
    # Of every Debian.
    installed = {"libc6", "libgcc-s1", "libstdc++6", *re.findall(r"[a-z][a-z0-9.+-]+", text[text.rindex("apt-get install"):])}
    listing = subprocess.run(["readelf", "-d", BINARY], capture_output=True, text=True, check=True).stdout
    libraries = [name for name in re.findall(r"\(NEEDED\).*\[(.*)\]", listing)
                 if not re.match(r"lib(swift|_?Foundation|dispatch|BlocksRuntime)|ld-linux", name)]
    assert "libcurl.so.4" in libraries
    for name in libraries:
        owners = subprocess.run(["dpkg", "-S", f"*/{name}"], capture_output=True, text=True, check=True).stdout
        packages = {line.split(":")[0] for line in owners.splitlines()}
        assert packages & installed, f"{name} of {packages} is not in the image"


def size(text):
    """Bytes of `2GiB`, and of the `4g` of a compose file."""
    number, unit = re.fullmatch(r"(\d+)([kmg])(?:ib)?", text.lower()).groups()
    return int(number) << {"k": 10, "m": 20, "g": 30}[unit]


def test_the_memory_of_the_compose_file_is_enough(deploy, tmp_path):
    """The service takes these settings: every job can run some time."""
    variables = yaml.safe_load((deploy / "compose.yaml").read_text())["services"]["zooport"]["environment"]
    with Service(tmp_path / "data", env={name: variables[name] for name in ("ZOOPORT_WORKERS", "ZOOPORT_TOTAL_MEMORY")}) as service:
        assert service.get("/healthz").status == 200


def test_compose(deploy, settings):
    compose = yaml.safe_load((deploy / "compose.yaml").read_text())
    zooport = compose["services"]["zooport"]
    assert zooport["environment"].keys() <= settings, zooport["environment"].keys() - settings
    assert zooport["read_only"] and zooport["cap_drop"] == ["ALL"]
    assert "ports" not in zooport, "the service would be reached past the proxy"
    assert zooport["build"]["dockerfile"] == "deploy/Dockerfile"
    # Whatever the number of cores, buffers leave room for everything else.
    assert int(zooport["environment"]["ZOOPORT_WORKERS"]) <= 8
    assert 2 * size(zooport["environment"]["ZOOPORT_TOTAL_MEMORY"]) <= size(zooport["mem_limit"])
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (deploy / source).exists() or source == "./metrics-token", f"{name}: {source} is not there"
            else:
                assert source in compose["volumes"], f"{name}: {source} is not declared"
        for port in service.get("ports", []) if name != "proxy" else []:
            assert port.startswith("127.0.0.1:"), f"{name} listens everywhere"


def test_grafana_finds_its_dashboard(deploy):
    """What Grafana reads at its start is where the compose file puts it."""
    services = yaml.safe_load((deploy / "compose.yaml").read_text())["services"]
    mounts = dict(reversed(volume.removesuffix(":ro").split(":")) for volume in services["grafana"]["volumes"])
    provisioning = "/etc/grafana/provisioning"
    (source,) = yaml.safe_load((deploy / mounts[f"{provisioning}/datasources/zooport.yaml"]).read_text())["datasources"]
    host, port = source["url"].removeprefix("http://").split(":")
    assert host in services and services[host]["ports"] == [f"127.0.0.1:{port}:{port}"]
    (provider,) = yaml.safe_load((deploy / mounts[f"{provisioning}/dashboards/zooport.yaml"]).read_text())["providers"]
    dashboard = json.loads((deploy / mounts[provider["options"]["path"] + "/zooport.json"]).read_text())
    variable = dashboard["templating"]["list"][0]
    assert (variable["type"], variable["query"]) == ("datasource", source["type"])


@pytest.fixture(scope="module")
def manifests(deploy):
    documents = yaml.safe_load_all((deploy / "kubernetes.yaml").read_text())
    return {document["kind"]: document for document in documents}


def test_kubernetes_pod(manifests, deploy):
    spec = manifests["StatefulSet"]["spec"]
    assert spec["replicas"] == 1
    pod = spec["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["automountServiceAccountToken"] is False
    # Otherwise the Service named zooport sets ZOOPORT_PORT=tcp://..., and the settings are refused.
    assert pod["enableServiceLinks"] is False
    user = pod["securityContext"]["runAsUser"]
    assert f"--uid {user} " in (deploy / "Dockerfile").read_text(), "the image has another user"
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert manifests["ConfigMap"]["data"]["ZOOPORT_PORT"] == str(ports["http"])
    for probe, path in {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}.items():
        assert container[probe]["httpGet"]["path"] == path
        assert container[probe]["httpGet"]["port"] in ports
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    claims = {claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]}
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert mounts.keys() == claims | volumes
    assert mounts["data"] == manifests["ConfigMap"]["data"]["ZOOPORT_DATA_DIR"]


def test_kubernetes_names_fit(manifests, settings):
    data = manifests["ConfigMap"]["data"]
    assert data.keys() <= settings, data.keys() - settings
    assert all(isinstance(value, str) for value in data.values())
    labels = manifests["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert manifests["StatefulSet"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert manifests["Service"]["spec"]["selector"].items() <= labels.items()
    (container,) = manifests["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": manifests["ConfigMap"]["metadata"]["name"]}}]
    (rule,) = manifests["Ingress"]["spec"]["rules"]
    for path in rule["http"]["paths"]:
        backend = path["backend"]["service"]
        assert backend["name"] == manifests["Service"]["metadata"]["name"]
        assert backend["port"]["name"] in [port["name"] for port in manifests["Service"]["spec"]["ports"]]


def test_kubernetes_routes_all_but_metrics(manifests, service):
    """Every route that the service describes is reached through the Ingress, except the one that is scraped from inside."""
    (rule,) = manifests["Ingress"]["spec"]["rules"]
    paths = [(path["path"], path["pathType"]) for path in rule["http"]["paths"]]

    def is_routed(route):
        return any(
            route == path or kind == "Prefix" and route.startswith(path.rstrip("/") + "/") for path, kind in paths)

    described = service.get("/openapi.json").json["paths"]
    assert "/v1/jobs/{job}" in described
    assert [route for route in [*described, "/openapi.json"] if not is_routed(route)] == ["/metrics"]


@pytest.fixture(scope="module")
def unit(deploy, tmp_path_factory):
    """The unit with the binary under test in the place where it will be installed."""
    assert shutil.which("systemd-analyze"), "systemd-analyze is missing; scripts/setup.sh test installs it"
    text = (deploy / "zooport.service").read_text()
    assert text.count("/usr/local/bin/zooport") == 1
    file = tmp_path_factory.mktemp("unit") / "zooport.service"
    file.write_text(text.replace("/usr/local/bin/zooport", str(BINARY)))
    return file


def test_unit_is_valid(unit):
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "zooport.service" not in result.stderr, result.stderr


def test_unit_with_files_of_secrets_is_valid(unit, settings, tmp_path):
    """The lines that are comments are right as well."""
    text = re.sub(r"^#(LoadCredential|Environment)=", r"\1=", unit.read_text(), flags=re.MULTILINE)
    given = dict(re.findall(r"^Environment=(ZOOPORT_\w+)=%d/(\S+)$", text, re.MULTILINE))
    assert given.keys() == {"ZOOPORT_HUB_TOKEN_FILE", "ZOOPORT_FETCH_CA_FILE", "ZOOPORT_CONFIG"} and given.keys() <= settings
    assert sorted(given.values()) == sorted(re.findall(r"^LoadCredential=([^:]+):/etc/zooport/\1$", text, re.MULTILINE))
    file = tmp_path / "zooport.service"
    file.write_text(text)
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and "zooport.service" not in result.stderr, result.stderr


def test_nobody_kills_before_the_service_has_stopped(unit, deploy, manifests):
    """Open requests have ZOOPORT_SHUTDOWN seconds; who stops the process waits longer."""
    shutdown = int(re.search(r"ZOOPORT_SHUTDOWN=(\d+)", (deploy / "env.example").read_text())[1])
    compose = yaml.safe_load((deploy / "compose.yaml").read_text())["services"]["zooport"]
    patience = {
        "unit": int(re.search(r"TimeoutStopSec=(\d+)", unit.read_text())[1]),
        "compose": int(compose["stop_grace_period"].removesuffix("s")),
        "pod": manifests["StatefulSet"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"],
    }
    assert min(patience.values()) > shutdown + 5, patience


def test_unit_is_closed(unit):
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE * 10:.0f}", unit], capture_output=True,
        text=True, timeout=60)
    overall = re.search(r"Overall exposure level for \S+: ([\d.]+)", result.stdout)
    assert overall, result.stderr
    assert float(overall[1]) <= EXPOSURE, result.stdout
    print(f"\nsystemd-analyze security: {overall[1]}")


@pytest.mark.parametrize("script", ["smoke.sh", "backup.sh"])
def test_scripts_parse(deploy, script):
    assert subprocess.run(["bash", "-n", deploy / script]).returncode == 0
    assert (deploy / script).stat().st_mode & 0o111
