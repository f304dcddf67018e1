"""The observer ``slack``: an incoming webhook of Slack, or of what takes the same (Mattermost, Rocket.Chat)."""

from __future__ import annotations

import json
from typing import ClassVar

from pushkit import Observer, hookimpl
from pushkit_notify.message import Message
from pushkit_notify.notifier import Notifier
from pushkit_notify.post import PostOptions, post


class SlackOptions(PostOptions):
    """The table of a ``slack``."""


class Slack(Notifier[SlackOptions]):
    """Posts to a channel of Slack."""

    name: ClassVar[str] = "slack"
    Options = SlackOptions

    def send(self, message: Message) -> None:
        """Post one message."""
        post(self.options, json.dumps({"text": escaped(self.text(message))}).encode(), {})


def escaped(text: str) -> str:
    """``text`` without what Slack would act on: mentions, links (Slack: "Escaping text")."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@hookimpl
def pushkit_observer() -> type[Observer[SlackOptions]]:
    """The observer."""
    return Slack
