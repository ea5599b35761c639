"""Uploads by tuspy, an independent client of the tus protocol, with everything that can go wrong on the way."""

import hashlib
import socket
import threading
from pathlib import Path

import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from service import Service

GPT2 = Path(__file__).resolve().parent.parent / "Fixtures" / "gpt2"


class Breaker(threading.Thread):
    """A proxy to the service that cuts each connection after so many bytes towards it."""

    def __init__(self, port, limits):
        super().__init__(daemon=True)
        self.target = port
        self.limits = list(limits)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.cuts = 0
        self.start()

    def run(self):
        while True:
            client, _ = self.listener.accept()
            limit = self.limits.pop(0) if self.limits else None
            threading.Thread(target=self.serve, args=(client, limit), daemon=True).start()

    def serve(self, client, limit):
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            client.close()
            return
        back = threading.Thread(target=self.copy, args=(server, client, None), daemon=True)
        back.start()
        self.copy(client, server, limit)
        back.join()
        # Bytes that nobody reads any more make this a reset, which the sender notices.
        client.close()
        server.close()

    def copy(self, source, sink, limit):
        passed = 0
        try:
            while data := source.recv(65536):
                if limit is not None and passed + len(data) > limit:
                    sink.sendall(data[:limit - passed])
                    self.cuts += 1
                    break
                passed += len(data)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@pytest.fixture
def service(tmp_path):
    with Service(tmp_path / "data", disk_floor=0) as service:
        yield service


@pytest.fixture
def big(tmp_path):
    """A file of 48 MiB and its digest."""
    path = tmp_path / "big.bin"
    content = hashlib.shake_256(b"zooport").digest(1 << 20) * 48
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def restart(service, uploader):
    """The next life listens on another port."""
    service.start()
    uploader.url = f"{service.base}/v1/uploads/{identifier(uploader)}"


def identifier(uploader):
    return uploader.url.rsplit("/", 1)[1]


def document(service, uploader):
    return service.get(f"/v1/uploads/{identifier(uploader)}").json


def upload(service, path, **options):
    client = TusClient(f"{service.base}/v1/uploads")
    return client.uploader(str(path), metadata={"filename": Path(path).name}, **options)


def test_whole_file(service, big):
    path, digest = big
    uploader = upload(service, path, chunk_size=5 << 20, upload_checksum=True)
    uploader.upload()
    stored = document(service, uploader)
    assert (stored["filename"], stored["size"], stored["sha256"]) == ("big.bin", path.stat().st_size, digest)


def test_connections_that_break(service, big):
    path, digest = big
    # The creation passes; of the next requests some break off early, some late, one within its head.
    breaker = Breaker(service.port, [None, 300_000, None, 9_000_000, None, 100, None, 16_000_000])
    client = TusClient(f"http://127.0.0.1:{breaker.port}/v1/uploads")
    uploader = client.uploader(str(path), chunk_size=20 << 20, metadata={"filename": "big.bin"}, retries=20, retry_delay=0.3)
    uploader.upload()
    assert breaker.cuts == 4
    stored = document(service, uploader)
    assert (stored["size"], stored["sha256"]) == (path.stat().st_size, digest)


def test_service_killed_between_and_within_chunks(service, big):
    path, digest = big
    uploader = upload(service, path, chunk_size=8 << 20)
    uploader.upload_chunk()
    service.kill()
    with pytest.raises(TusCommunicationError):
        uploader.upload_chunk()
    restart(service, uploader)
    assert uploader.get_offset() == 8 << 20

    # Killed while a chunk arrives: what is told afterwards is what is on the disk, and no more.
    proxy = Breaker(service.port, [])
    slow = TusClient(f"http://127.0.0.1:{proxy.port}/v1/uploads").uploader(
        str(path), url=f"http://127.0.0.1:{proxy.port}/v1/uploads/{identifier(uploader)}", chunk_size=32 << 20)
    killer = threading.Timer(0.03, service.kill)
    killer.start()
    try:
        slow.upload_chunk()
    except TusCommunicationError:
        pass
    killer.join()
    restart(service, uploader)
    offset = uploader.get_offset()
    file = service.folder / "partial" / identifier(uploader) / "big.bin"
    assert 8 << 20 <= offset <= file.stat().st_size
    assert file.read_bytes()[:offset] == path.read_bytes()[:offset]

    uploader.offset = offset
    uploader.upload()
    stored = document(service, uploader)
    assert (stored["size"], stored["sha256"]) == (path.stat().st_size, digest)
    assert not file.exists()


def test_conversion_of_an_upload_that_was_interrupted(service, zooport, tmp_path):
    checkpoint, config = GPT2 / "pytorch_model.bin", GPT2 / "config.json"
    uploader = upload(service, checkpoint, chunk_size=1000)
    for _ in range(3):
        uploader.upload_chunk()
    service.kill()
    restart(service, uploader)
    uploader.offset = uploader.get_offset()
    uploader.chunk_size = 1 << 20
    uploader.upload()
    other = upload(service, config)
    other.upload()
    job = service.submit({
        "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8",
        "config": {"upload": identifier(other)}, "checkpoint": {"upload": identifier(uploader)}})
    outputs = service.outputs(service.wait(job["id"], "succeeded"))
    zooport("convert", "--model", "gpt2", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8", "--output-dir", tmp_path / "cli",
            checkpoint, "--config", config)
    for name in ("pytorch_model_to_cs-1.8.mdl", "config_to_cs-1.8.yaml"):
        assert outputs[name] == (tmp_path / "cli" / name).read_bytes()
