"""No name that a client chooses leads out of its folder."""

import http.client
import uuid

import checkpoints
import pytest

NAMES = [
    "..", ".", "../x", "../../etc/passwd", "a/../../x", "/etc/passwd", "..\\x", "a\\b", "x\0y", "x\ny", ".hidden", "x\u202ey",
    "\u2028", "a" * 181, "é" * 91,
]
ENCODED = ["%2e%2e", "%2e%2e%2fx", "..%2fx", "%2fetc%2fpasswd", "..%5cx", "%00", "x%00.bin", "%2e%2e%2f" * 8 + "etc%2fpasswd",
           "%c0%ae%c0%ae%2fx", "%ff", "%zz", "%", "%u002e", "..;", "%252e%252e%252fx"]
#: Harmless as they are: decoded once, they are ordinary names.
HARMLESS = {"%u002e", "..;", "%252e%252e%252fx", "%zz", "%"}


def tree(service):
    return sorted(str(path.relative_to(service.folder)) for path in service.folder.rglob("*") if path.is_file()
                  and "sqlite" not in path.name)


def request(service, method, target, body=b"", headers=None):
    """Sends the target as it is; http.client would refuse or change some."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    connection._validate_path = lambda _: None
    connection.request(method, target, body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.mark.parametrize("segment", ENCODED)
def test_encoded_names_of_uploads(service, segment):
    before = tree(service)
    status, _ = request(service, "PUT", f"/v1/uploads/{segment}", b"x")
    assert status in ((201, 400, 404, 422) if segment in HARMLESS else (400, 404, 405, 422))
    new = [path for path in tree(service) if path not in before]
    assert all(path.startswith("uploads/") and path.count("/") == 2 for path in new)
    assert status == 201 or not new


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("segment", [*ENCODED, "..", "%2e%2e/%2e%2e/lock"])
def test_encoded_ids(service, method, segment):
    for path in (f"/v1/uploads/{segment}", f"/v1/jobs/{segment}", f"/v1/jobs/{segment}/outputs/x"):
        before = tree(service)
        status, body = request(service, method, path)
        assert status in (400, 404, 405), (path, status)
        assert b"root:" not in body
        assert tree(service) == before


@pytest.fixture(scope="module")
def ended(service, tiny):
    ids = [{"upload": service.upload(file)} for file in (tiny.config, tiny.weights)]
    return service.wait(service.submit(checkpoints.job(*ids))["id"])


@pytest.mark.parametrize("segment", [
    *ENCODED, "..%2f..%2fzooport.sqlite", "%2e%2e%2f%2e%2e%2flock", "../../lock", "..//..//lock",
    "config_to_cs-1.8.yaml%00", "config_to_cs-1.8.yaml%2f", "%63onfig_to_cs-1.8.yaml%20"])
def test_names_of_outputs(service, ended, segment):
    status, body = request(service, "GET", f"{ended['url']}/outputs/{segment}")
    assert status in (400, 404), body[:100]
    assert b"SQLite" not in body


def multipart(filename, field="config"):
    boundary = uuid.uuid4().hex
    raw = filename.encode() if isinstance(filename, str) else filename
    disposition = b'Content-Disposition: form-data; name="%s"; filename="%s"' % (field.encode(), raw)
    body = b"--%s\r\n%s\r\n\r\n{}\r\n--%s--\r\n" % (boundary.encode(), disposition, boundary.encode())
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_multipart_file_names(service, name):
    """The submission itself is refused for want of a model: what counts is that nothing is left anywhere."""
    before = tree(service)
    body, headers = multipart(name)
    status, answer = request(service, "POST", "/v1/jobs", body, headers)
    assert status in (400, 422), answer
    assert b"/data" not in answer, "the answer shows a path of the server"
    assert tree(service) == before


@pytest.mark.parametrize("extended", ["UTF-8''..%2f..%2fx", "UTF-8''%00", "ISO-8859-1''x%2f..%2fy"])
def test_multipart_extended_file_names(service, extended):
    before = tree(service)
    boundary = "b"
    body = (f'--b\r\nContent-Disposition: form-data; name="config"; filename*={extended}\r\n\r\n{{}}\r\n--b--\r\n').encode()
    status, _ = request(
        service, "POST", "/v1/jobs", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
    assert status in (400, 422)
    assert tree(service) == before


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("a" * 181, "é" * 91)], ids=repr)
def test_names_in_urls_of_inputs(service, name):
    """The name of a fetched file comes from the URL; what is no name is refused before anything is fetched."""
    url = "http://example.invalid/" + name.encode().hex(" ").replace(" ", "%").join(("%", ""))
    body = checkpoints.job({"inline": {}}, {"url": url})
    answer = service.send("POST", "/v1/jobs", body)
    assert answer.status in (202, 422), answer.body
    if answer.status == 202:
        (shown,) = answer.json["inputs"]["checkpoint"]
        assert "/" not in shown["filename"] and not shown["filename"].startswith(".")
        service.send("DELETE", answer.json["url"])
