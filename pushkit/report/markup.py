"""Elements of HTML. Text becomes an element's text or an attribute's value, never markup."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree.ElementTree import Element, tostring

from pushkit.ui.text import visible

Child = Element | str


def element(tag: str, *children: Child, **attributes: str | int) -> Element:
    """An element. ``class_`` is the attribute ``class``, ``aria_label`` is ``aria-label``.

    What a terminal would obey, and direction marks, are shown as their escapes.
    """
    made = Element(tag, {name.rstrip("_").replace("_", "-"): visible(str(value)) for name, value in attributes.items()})
    for child in children:
        if isinstance(child, Element):
            made.append(child)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + visible(child)
        else:
            made.text = (made.text or "") + visible(child)
    return made


def document(root: Element) -> str:
    """The text of a page."""
    return f"<!doctype html>\n{tostring(root, encoding='unicode', method='html')}\n"


def moment(time: datetime) -> Element:
    """A time, in UTC."""
    there = time.astimezone(UTC)
    return element("time", f"{there:%Y-%m-%d %H:%M} UTC", datetime=there.isoformat(timespec="seconds"))
