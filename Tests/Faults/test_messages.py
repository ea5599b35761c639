"""A receiver that is down, and a service that dies before its message was taken."""

import json

import checkpoints
import pytest
from receiver import SECRET, Receiver
from service import Service, eventually


@pytest.fixture
def service(tmp_path):
    with Service(tmp_path / "data", webhook_delay=1, allow_private_fetch="127.0.0.1") as service:
        yield service


def submit(service, models, receiver):
    config, weights = service.upload(models["tiny"].config), service.upload(models["tiny"].weights)
    body = checkpoints.job({"upload": config}, {"upload": weights})
    return service.submit(body | {"webhook": {"url": receiver.url, "secret": SECRET}})


def state(service, job):
    return service.job(job["id"])["webhook"]["state"]


def test_message_survives_kill(service, models):
    """The receiver is down, the service is killed in between, twice: the message comes, and is taken once."""
    with Receiver(503, 503, 503, 204) as receiver:
        job = submit(service, models, receiver)
        for count in (1, 2):
            eventually(lambda: len(receiver.messages) >= count, what="a try")
            service.kill()
            service.start()
        eventually(lambda: state(service, job) == "delivered", what="the delivery")
        ended = service.job(job["id"])
        assert ended["status"] == "succeeded"
        assert len({headers["webhook-id"] for headers, _ in receiver.messages}) == 1
        assert ended["webhook"]["id"] == receiver.messages[0][0]["webhook-id"]
        taken = len(receiver.messages)
        for headers, body in receiver.messages:
            event = json.loads(body)
            assert event["type"] == "job.succeeded"
            assert event["data"]["outputs"] == ended["outputs"]
        service.kill()
        service.start()
        other = submit(service, models, receiver)
        eventually(lambda: state(service, other) == "delivered", what="the other delivery")
        assert len(receiver.messages) == taken + 1, "a message that was taken came again"


def test_job_that_is_killed_tells_its_end_later(service, models):
    """kill -9 before the end of the job: nothing is told of it, then the real end is."""
    with Receiver(200) as receiver:
        service.stop()
        service.start()
        job = submit(service, models, receiver)
        service.kill()
        service.start()
        service.wait(job["id"], "succeeded")
        eventually(lambda: state(service, job) == "delivered", what="the delivery")
        assert {json.loads(body)["type"] for _, body in receiver.messages} == {"job.succeeded"}
