"""The observer ``slack``: an incoming webhook of Slack, or of what takes the same (Mattermost, Rocket.Chat)."""

from __future__ import annotations

import json
import re
from typing import ClassVar

from pushkit import Observer, hookimpl
from pushkit_notify.message import Message
from pushkit_notify.notifier import Notifier
from pushkit_notify.post import PostOptions, post

# A space without width: what stands on both sides of it is no word.
NOTHING = "\u200b"


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
    """``text`` without what Slack would act on: mentions, links (Slack: "Escaping text"); nor what others would, to
    whom ``@channel`` and ``@all`` are mentions, and ``[text](address)`` is a link (Mattermost, Rocket.Chat).
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"(?<!\w)@(?=\w)|\](?=\()", lambda found: f"{found[0]}{NOTHING}", text)


@hookimpl
def pushkit_observer() -> type[Observer[SlackOptions]]:
    """The observer."""
    return Slack
