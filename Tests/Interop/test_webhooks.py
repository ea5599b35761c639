"""Messages as the reference implementation of Standard Webhooks sees them, and the code of docs/webhooks.md."""

from pathlib import Path

import pytest
from documents import blocks
from receiver import SECRET, Receiver
from service import Service, eventually
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

GPT2 = Path(__file__).resolve().parent.parent / "Fixtures" / "gpt2"


@pytest.fixture
def message(tmp_path):
    """Headers and body of a message about a real conversion, and the job."""
    with (Service(tmp_path / "data", allow_private_fetch="127.0.0.1") as service, Receiver(204) as receiver):
        files = [{"upload": service.upload(GPT2 / name)} for name in ("config.json", "pytorch_model.bin")]
        job = service.submit({
            "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "config": files[0], "checkpoint": files[1],
            "webhook": {"url": receiver.url, "secret": SECRET}})
        eventually(lambda: service.job(job["id"])["webhook"]["state"] == "delivered", what="the delivery")
        [(headers, body)] = receiver.messages
        yield headers, body, service.job(job["id"])


def test_reference_implementation(message):
    headers, body, job = message
    event = Webhook(SECRET).verify(body, headers)
    assert event["type"] == "job.succeeded"
    assert event["timestamp"] == job["finished_at"]
    assert event["data"]["outputs"] == job["outputs"] != []
    assert event["data"]["webhook"]["state"] == "pending"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"succeeded", b"cancelled"), headers)


def test_example_of_the_page(message):
    headers, body, _ = message
    names = {}
    exec(next(block for block in blocks("webhooks.md") if block.startswith("import ")), names)
    assert names["is_genuine"](headers, body, SECRET)
    assert not names["is_genuine"](headers, body + b" ", SECRET)
    assert not names["is_genuine"](headers, body, "whsec_" + "A" * 32)
    assert not names["is_genuine"](headers | {"webhook-timestamp": "1700000000"}, body, SECRET)
