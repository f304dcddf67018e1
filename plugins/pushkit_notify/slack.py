"""The observer ``slack``: an incoming webhook of Slack, or of what takes the same (Mattermost, Rocket.Chat)."""

from __future__ import annotations

import json
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator

from pushkit import Observer, hookimpl
from pushkit_notify.message import Message
from pushkit_notify.notifier import Notifier, NotifierOptions
from pushkit_notify.post import post, problem


class SlackOptions(NotifierOptions):
    """The table of a ``slack``."""

    url: SecretStr = Field(description="The address of the incoming webhook, which is a secret.")
    ca_file: str = Field(default="", description="Trust the certificates of this file alone.")

    @field_validator("url")
    @classmethod
    def _url(cls, value: SecretStr) -> SecretStr:
        if wrong := problem(value.get_secret_value()):
            raise ValueError(wrong)
        return value


class Slack(Notifier[SlackOptions]):
    """Posts to a channel of Slack."""

    name: ClassVar[str] = "slack"
    Options = SlackOptions

    def send(self, message: Message) -> None:
        """Post one message."""
        body = json.dumps({"text": escaped(self.text(message))}).encode()
        post(self.options.url.get_secret_value(), body, {"Content-Type": "application/json"}, self.options.ca_file)


def escaped(text: str) -> str:
    """``text`` without what Slack would act on: mentions, links (Slack: "Escaping text")."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@hookimpl
def pushkit_observer() -> type[Observer[SlackOptions]]:
    """The observer."""
    return Slack
