"""A published version of a function, as push has releases and a log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pushkit import LogEntry, Release, Revision


def released(version: Mapping[str, Any]) -> Release:
    """A version as a release."""
    words = str(version.get("Description") or "")
    return Release(str(version["Version"]), Revision("", False, ""), moment(version), words)


def entry(number: int, version: Mapping[str, Any], outcome: str) -> LogEntry:
    """A version as what was published: all that is known of a push without a deployment."""
    name, words = str(version["Version"]), str(version.get("Description") or "published")
    return LogEntry(number, moment(version), "", words, name, "", outcome)


def moment(version: Mapping[str, Any]) -> datetime:
    """When it was published, in UTC; the beginning of time where Lambda says nothing of use."""
    try:
        found = datetime.fromisoformat(str(version.get("LastModified")))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return found.astimezone(UTC)
