"""Requests that two servers might read differently are answered 400, and nothing after them is read."""

from pathlib import Path

import pytest
from wire import Wire

#: What must not be run: it hides in, or behind, the ambiguous request.
HIDDEN = "PUT /v1/uploads/hidden HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nhidden"


def put(*fields, body=""):
    lines = ["PUT /v1/uploads/x HTTP/1.1", "Host: localhost", *fields]
    return "\r\n".join(lines) + "\r\n\r\n" + body


CHUNKED = "Transfer-Encoding: chunked"
AMBIGUOUS = {
    "length and chunked": put("Content-Length: 6", CHUNKED, body="0\r\n\r\n"),
    "chunked and length": put(CHUNKED, "Content-Length: 6", body="0\r\n\r\n"),
    "two lengths": put("Content-Length: 3", "Content-Length: 0", body="abc"),
    "two lengths in one field": put("Content-Length: 3, 0", body="abc"),
    "length with a plus": put("Content-Length: +3", body="abc"),
    "length below zero": put("Content-Length: -1"),
    "length in hexadecimal": put("Content-Length: 0x3", body="abc"),
    "length with a blank": put("Content-Length: 1 3", body="abc"),
    "length that is empty": put("Content-Length: "),
    "length beyond 64 bits": put("Content-Length: 99999999999999999999"),
    "coding that ends in chunked": put("Transfer-Encoding: xchunked", body="0\r\n\r\n"),
    "coding beside chunked": put("Transfer-Encoding: gzip, chunked", body="0\r\n\r\n"),
    "chunked in two fields": put(CHUNKED, CHUNKED, body="0\r\n\r\n"),
    "coding that is unknown": put("Transfer-Encoding: gzip", body="0\r\n\r\n"),
    "chunked not last": put("Transfer-Encoding: chunked, identity", body="0\r\n\r\n"),
    "chunked twice": put("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body="0\r\n\r\n"),
    "chunked with a vertical tab": put("Transfer-Encoding: \x0bchunked", body="0\r\n\r\n"),
    "chunk size of letters": put(CHUNKED, body="zz\r\nabc\r\n0\r\n\r\n"),
    "chunk size below zero": put(CHUNKED, body="-1\r\nabc\r\n0\r\n\r\n"),
    "chunk size with 0x": put(CHUNKED, body="0x3\r\nabc\r\n0\r\n\r\n"),
    "chunk size beyond 64 bits": put(CHUNKED, body="fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
    "chunk longer than its size": put(CHUNKED, body="3\r\nabcd\r\n0\r\n\r\n"),
    "chunk ended by LF": put(CHUNKED, body="3\nabc\r\n0\r\n\r\n"),
    "chunk data ended by LF": put(CHUNKED, body="3\r\nabc\n0\r\n\r\n"),
    "folded field": put("X: a\r\n b", "Content-Length: 3", body="abc"),
    "folded length": put("Content-Length:\r\n 3", body="abc"),
    "field after a blank": "GET /healthz HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "lines ended by LF": "GET /healthz HTTP/1.1\nHost: localhost\n\n",
    "one line ended by LF": "GET /healthz HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",
    "CR in a field": "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\rContent-Length: 6\r\n\r\n",
    "NUL in a field": "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
    "blank before the colon": put("Content-Length : 3", body="abc"),
    "blank in a name": put("Content Length: 3", body="abc"),
    "field without a name": put(": 3", body="abc"),
    "field without a colon": put("Content-Length", body="abc"),
    "no version": "GET /healthz\r\n\r\n",
    "unknown version": "GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "blank in the path": "GET /healthz x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "control character in the path": "GET /heal\x01thz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no request": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no host": "GET /healthz HTTP/1.1\r\n\r\n",
    "connect": "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two hosts": "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: y\r\n\r\n",
    "chunked in HTTP/1.0": "PUT /v1/uploads/x HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_ambiguous_request_is_refused_and_the_connection_closed(service, name):
    with Wire(service.port) as wire:
        wire.send(AMBIGUOUS[name] + HIDDEN)
        answer = wire.read()
    assert answer.startswith("HTTP/1.1 400 "), answer[:200] or "closed without an answer"
    assert answer.count("HTTP/1.1 ") == 1, f"answered what came after: {answer}"
    assert stored(service) == []
    assert service.get("/healthz").status == 200


def stored(service):
    return [file.name for file in (service.folder / "uploads").glob("*/*")]


def test_body_of_a_refused_request_is_not_run(service):
    """An early answer leaves the body unread; it must not become the next request."""
    for head in ("POST /v1/models HTTP/1.1", "PUT /v1/uploads/.x HTTP/1.1", "PUT /zork HTTP/1.1"):
        with Wire(service.port) as wire:
            wire.send(f"{head}\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n")
            assert wire.read(until=b"\r\n\r\n").startswith("HTTP/1.1 4")
            wire.send(HIDDEN)
            assert "201 Created" not in wire.read()
    assert stored(service) == []


def test_pipelined_requests_are_answered_in_turn(service):
    with Wire(service.port) as wire:
        wire.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + "GET /v1/models/gpt2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
                  + "GET /zork HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = wire.read()
    assert [line.split()[1] for line in answer.splitlines() if line.startswith("HTTP/1.1 ")] == ["200", "200", "404"]


UPGRADE = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"


def test_a_wish_for_another_protocol_is_ignored(service):
    """curl and Java send it; what follows is the next request, and not another protocol's."""
    get = f"GET /healthz HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n"
    with Wire(service.port) as wire:
        wire.send(get + get + put(*UPGRADE.splitlines(), "Content-Length: 3", body="abc")
                  + "GET /zork HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = wire.read()
    assert [line.split()[1] for line in answer.splitlines() if line.startswith("HTTP/1.1 ")] == ["200", "200", "201", "404"]


@pytest.mark.parametrize("start", [
    f"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n", "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"], ids=["upgrade", "connect", "close"])
def test_what_comes_after_the_end_takes_no_memory(service, start):
    before = resident(service)
    with Wire(service.port) as wire:
        wire.send(start)
        for _ in range(200):
            wire.send(b"\0" * (1 << 20))
    assert resident(service) - before < 64 << 20


def resident(service):
    """Bytes of memory that the service has."""
    fields = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in fields if line.startswith("VmRSS"))
