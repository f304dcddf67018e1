"""The observer ``webhook``: a JSON document to an address of your own, signed.

The signature is that of Stripe's scheme: the header ``Push-Signature: t=SECONDS,v1=HEX``, where ``HEX`` is the
HMAC-SHA256, by the key, of ``SECONDS``, a dot, and the body.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Annotated, ClassVar

from msgspec import Meta

from pushkit import Observer, Secret, hookimpl
from pushkit_notify.message import Message
from pushkit_notify.notifier import Notifier
from pushkit_notify.post import PostOptions, post


class WebhookOptions(PostOptions):
    """The table of a ``webhook``."""

    key: Annotated[Secret | None, Meta(description="Sign each document with this key.")] = None


class Webhook(Notifier[WebhookOptions]):
    """Posts a document to an address."""

    name: ClassVar[str] = "webhook"
    Options = WebhookOptions

    def send(self, message: Message) -> None:
        """Post one document."""
        document = message.document() | {"text": self.text(message)}
        body = json.dumps(document).encode()
        key = self.options.key
        signed = {"Push-Signature": signature(key.reveal(), body, int(time.time()))} if key else {}
        post(self.options, body, signed)


def signature(key: str, body: bytes, seconds: int) -> str:
    """The value of the header for ``body``, sent at ``seconds`` since 1970."""
    digest = hmac.new(key.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


@hookimpl
def pushkit_observer() -> type[Observer[WebhookOptions]]:
    """The observer."""
    return Webhook
