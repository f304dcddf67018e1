"""How a push ended, as a mark: by its shape as well as its colour."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from pushkit.report.history import Verdict
from pushkit.report.markup import element

MARKS = {Verdict.GOOD: "✓", Verdict.BACK: "↶", Verdict.BAD: "✕", Verdict.OTHER: "•"}


def mark(ended: Verdict) -> Element:
    """The mark of a verdict, beside which words say the same."""
    return element("span", MARKS[ended], class_=f"mark {css(ended)}", aria_hidden="true")


def css(ended: Verdict) -> str:
    """The class of a verdict."""
    return f"is-{ended.name.lower()}"
