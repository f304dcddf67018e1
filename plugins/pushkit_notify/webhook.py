"""The observer ``webhook``: a JSON document to an address of your own, signed.

The signature is that of Stripe's scheme: the header ``Push-Signature: t=SECONDS,v1=HEX``, where ``HEX`` is the
HMAC-SHA256, by the key, of ``SECONDS``, a dot, and the body.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator

from pushkit import Observer, hookimpl
from pushkit_notify.message import Message
from pushkit_notify.notifier import Notifier, NotifierOptions
from pushkit_notify.post import post, problem


class WebhookOptions(NotifierOptions):
    """The table of a ``webhook``."""

    url: SecretStr = Field(description="Where to post to.")
    key: SecretStr | None = Field(default=None, description="Sign each document with this key.")
    ca_file: str = Field(default="", description="Trust the certificates of this file alone.")

    @field_validator("url")
    @classmethod
    def _url(cls, value: SecretStr) -> SecretStr:
        if wrong := problem(value.get_secret_value()):
            raise ValueError(wrong)
        return value


class Webhook(Notifier[WebhookOptions]):
    """Posts a document to an address."""

    name: ClassVar[str] = "webhook"
    Options = WebhookOptions

    def send(self, message: Message) -> None:
        """Post one document."""
        document = message.document() | {"text": self.text(message)}
        body = json.dumps(document).encode()
        headers = {"Content-Type": "application/json"}
        if self.options.key:
            headers["Push-Signature"] = signature(self.options.key.get_secret_value(), body, int(time.time()))
        post(self.options.url.get_secret_value(), body, headers, self.options.ca_file)


def signature(key: str, body: bytes, seconds: int) -> str:
    """The value of the header for ``body``, sent at ``seconds`` since 1970."""
    digest = hmac.new(key.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


@hookimpl
def pushkit_observer() -> type[Observer[WebhookOptions]]:
    """The observer."""
    return Webhook
