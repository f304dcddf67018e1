"""The section ``permissions`` of an AppSpec: modes, owners, access control lists, SELinux contexts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pushkit_aws.appspec.model import AccessEntry, Context, Permission
from pushkit_aws.appspec.nodes import Node
from pushkit_aws.appspec.report import Report, dotted, kind, meant

_KEYS = ("object", "pattern", "except", "owner", "group", "mode", "type", "acls", "context")
_CONTEXT_KEYS = ("user", "type", "range", "role")
_TYPES = ("file", "directory")
_KINDS = {"u": "user", "user": "user", "g": "group", "group": "group"}
_KINDS |= {"m": "mask", "mask": "mask", "o": "other", "other": "other"}
_RANGE = re.compile(r"s(\d{1,9})(?:-s(\d{1,9}))?(?::(c\d{1,9}(?:\.c\d{1,9})?(?:,c\d{1,9}(?:\.c\d{1,9})?)*))?", re.ASCII)


def read_permissions(node: Node | None, report: Report) -> Iterator[Permission]:
    """The permissions of ``node``, in order."""
    for path, item in report.sequence(node, "permissions"):
        values = report.mapping(item, path, _KEYS)
        pattern = report.text(item, values, "pattern", path, required=False) or "**"
        excepts = tuple(_globs(values.get("except"), dotted(path, "except"), report))
        if pattern != "**":
            _look_at_glob(values["pattern"], pattern, dotted(path, "pattern"), report)
        yield Permission(
            report.text(item, values, "object", path),
            pattern,
            excepts,
            _types(values.get("type"), dotted(path, "type"), report),
            report.text(item, values, "owner", path, required=False),
            report.text(item, values, "group", path, required=False),
            _mode(values.get("mode"), dotted(path, "mode"), report),
            tuple(_acls(values.get("acls"), dotted(path, "acls"), report)),
            _context(values.get("context"), dotted(path, "context"), report),
            item.line,
        )


def _globs(node: Node | None, path: str, report: Report) -> Iterator[str]:
    for each, item in report.sequence(node, path):
        text = report.text(item, {"": item}, "", each)
        if text:
            _look_at_glob(item, text, each, report)
            yield text


def _look_at_glob(node: Node, text: str, path: str, report: Report) -> None:
    """A pattern is compared with one name, and knows no wildcard but ``*``."""
    if "/" in text:
        report.warning(node, path, f"{text!r} matches nothing: it is compared with names, which have no slash")
    elif "**" in text:
        report.warning(node, path, f"{text!r} is no more than one star")
    elif re.search(r"[?\[]", text):
        report.warning(node, path, f"{text!r} is taken as it is: the only wildcard is *")


def _types(node: Node | None, path: str, report: Report) -> tuple[str, ...]:
    found = []
    for each, item in report.sequence(node, path):
        if item.value in _TYPES:
            found.append(str(item.value))
        else:
            report.problem(item, each, f"is {kind(item)}", meant(str(item.value), _TYPES) or "it is file or directory")
    return tuple(found) if node is not None and node.value is not None else _TYPES


def _mode(node: Node | None, path: str, report: Report) -> str:
    """The mode as the agent understands it, who gets what YAML makes of it: ``0644`` is the number 420."""
    if node is None or node.value is None:
        return ""
    mode = str(node.value)
    octal = node.plain and isinstance(node.value, int) and not isinstance(node.value, bool) and node.raw != mode
    right = f'quote it: mode: "{node.raw}"'
    if isinstance(node.value, (dict, list)) or not re.fullmatch("[0-7]{1,4}", mode, re.ASCII):
        if octal:
            report.problem(node, path, f"YAML reads {node.raw} as the number {mode}, which is no mode", right)
        else:
            report.problem(node, path, f"is {kind(node)}", "one to four octal digits are expected, such as 644")
        return ""
    if octal:
        report.warning(node, path, f"YAML reads {node.raw} as the number {mode}: the mode becomes {mode}", right)
    return mode


def _acls(node: Node | None, path: str, report: Report) -> Iterator[AccessEntry]:
    for each, item in report.sequence(node, path):
        if not isinstance(item.value, str):
            report.problem(item, each, f"is {kind(item)}", "an entry is like u:deploy:rwx; quote it")
            continue
        try:
            entry = access_entry(item.value)
        except ValueError as error:
            report.problem(item, each, f"{item.value!r} {error}", "an entry is like u:deploy:rwx or d:g:www:r-x")
            continue
        if not entry.name and not entry.default and entry.kind in {"user", "group", "other"}:
            report.problem(item, each, f"{item.value!r} is what the mode is for", "use mode, or name a user or a group")
        yield entry


def access_entry(text: str) -> AccessEntry:
    """An entry in the short or the long form of setfacl(1): ``[d:][u|g|m|o:][name]:rights``. Raises `ValueError`.

    Without a kind it is a user's; rights are one octal digit or letters of ``rwx-``.
    """
    *front, rights = text.strip().split(":")
    default = bool(front) and front[0] in {"d", "default"} and len(front) > 1
    front = front[default:]
    if not 1 <= len(front) <= 2:
        raise ValueError("is no entry of an access control list")
    # "m:rw" and "o:rw" have no name, and "deploy:rw" has no kind.
    if len(front) == 1:
        word = front[0]
        kind_, name = (_KINDS[word], "") if _KINDS.get(word) in {"mask", "other"} else ("user", word)
    elif front[0] in _KINDS:
        kind_, name = _KINDS[front[0]], front[1]
    else:
        raise ValueError(f"begins with {front[0]!r}, which is no u, g, m or o")
    if kind_ in {"mask", "other"} and name:
        raise ValueError(f"names somebody, and the {kind_} is nobody's")
    if re.search(r"[\s,#\\]", name):
        raise ValueError("has a name that no user or group can have")
    return AccessEntry(default, kind_, name, _rights(rights))


def _rights(text: str) -> str:
    if re.fullmatch("[0-7]", text, re.ASCII):
        return "".join(letter if int(text) & bit else "-" for letter, bit in zip("rwx", (4, 2, 1), strict=True))
    if not text or set(text) - set("rwx-"):
        raise ValueError(f"has the rights {text!r}, which are no letters of rwx")
    return "".join(letter if letter in text else "-" for letter in "rwx")


def _context(node: Node | None, path: str, report: Report) -> Context | None:
    if node is None or node.value is None:
        return None
    values: Mapping[str, Node] = report.mapping(node, path, _CONTEXT_KEYS)
    if "role" in values and values["role"].value is not None:
        report.problem(values["role"], dotted(path, "role"), "is not supported", "leave it out")
    found = Context(
        report.text(node, values, "type", path),
        report.text(node, values, "user", path, required=False),
        report.text(node, values, "range", path, required=False),
    )
    if any(text.startswith("-") for text in (found.type, found.user)):
        report.problem(node, path, "has a name that begins with a hyphen")
    if found.range and not _is_range(found.range):
        hint = "a range is like s0, s0-s3 or s0-s3:c0.c5,c9"
        report.problem(values["range"], dotted(path, "range"), f"is {found.range!r}", hint)
    return found


def _is_range(text: str) -> bool:
    """Whether sensitivities and categories are in order, no category is there twice, and none is over 1023."""
    match = _RANGE.fullmatch(text)
    if not match or (match[2] and int(match[2]) < int(match[1])):
        return False
    seen: set[int] = set()
    for part in match[3].split(",") if match[3] else ():
        first, _, last = part.replace("c", "").partition(".")
        low, high = int(first), int(last or first)
        if high > 1023 or high < low or seen & set(range(low, high + 1)):
            return False
        seen |= set(range(low, high + 1))
    return True
