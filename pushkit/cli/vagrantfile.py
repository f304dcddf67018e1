"""The pushes of a Vagrantfile, read and never executed: plain values are understood, and what is not is told."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct, field

Value = str | bool | int | list[str]

STRING = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
DEFINE = re.compile(
    rf"\w+\.push\.define\s*\(?\s*(?P<name>{STRING}|:\w+)"
    rf"(?:\s*,\s*\{{?\s*(?:strategy:|:strategy\s*=>)\s*(?P<strategy>{STRING}|:\w+)\s*\}}?)?\s*\)?\s*do\s*\|\s*(?P<variable>\w+)\s*\|"
)
ENVIRONMENT = re.compile(rf"ENV(?:\[\s*({STRING})\s*\]|\.fetch\(\s*({STRING})\s*\))")
HEREDOC = re.compile(r"<<(?P<kind>[-~]?)(?P<quote>[\"']?)(?P<word>\w+)(?P=quote)")
OPENS = re.compile(r"(?:if|unless|case|begin|while|until|for|def)\b|.*\bdo(?:\s*\|[^|]*\|)?$|.*\{\s*(?:\|[^|]*\|)?$")
CODE = re.compile(r"""(?:[^#"']|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|["'])*?(?=#|$)""")
WORDS = re.compile(r"%w(?:\[([^\]]*)\]|\(([^)]*)\)|\{([^}]*)\})")
QUOTED = re.compile(r"%q(?:\[([^\[\]\\]*)\]|\(([^()\\]*)\)|\{([^{}\\]*)\})")
#: What a list begins with, by what it ends with.
LISTS = {"[": "]", "%w[": "]", "%w(": ")", "%w{": "}"}
#: Options that add to a list, whether they are called or assigned to.
GATHERED = {"include": "includes", "exclude": "excludes"}
ESCAPES = {"n": "\n", "t": "\t", "e": "\x1b", "s": " ", "r": "\r"}


class Environment(Struct, frozen=True):
    """The variable of the environment that a value is taken from."""

    name: str


class Push(Struct):
    """One ``config.push.define`` and its options; ``unread`` are the lines that only Ruby can read."""

    name: str
    strategy: str
    line: int
    options: dict[str, Value | Environment] = field(default_factory=dict)
    unread: list[tuple[int, str]] = field(default_factory=list)

    def take(self, key: str, given: Value | Environment) -> None:
        """Note an option. Each `exclude` is one more; any other option is what was said last."""
        key = GATHERED.get(key, key)
        if key not in GATHERED.values():
            self.options[key] = given
            return
        before = self.options.get(key, [])
        if not isinstance(before, list) or not isinstance(given, str | list):
            raise ValueError(given)
        self.options[key] = [*before, *([given] if isinstance(given, str) else given)]


class Vagrantfile(Struct):
    """The pushes of a Vagrantfile, and the definitions of others that only Ruby can read, with their lines."""

    pushes: list[Push]
    unread: list[tuple[int, str]]


def read(text: str) -> Vagrantfile:
    """What a Vagrantfile says of its pushes."""
    found = Vagrantfile([], [])
    lines = _lines(text)
    for number, code, _ in lines:
        if match := DEFINE.match(code):
            try:
                name = str(value(match["name"]))
                strategy = str(value(match["strategy"] or match["name"]))
            except ValueError:
                found.unread.append((number, code))
                continue
            push = Push(name, strategy, number)
            _read_block(push, match["variable"], lines)
            found.pushes.append(push)
        elif ".push.define" in code:
            found.unread.append((number, code))
    return found


def _read_block(push: Push, variable: str, lines: Iterator[tuple[int, str, str | None]]) -> None:
    """The options of a push, up to its ``end``."""
    option = re.compile(rf"{variable}\.(?P<key>\w+)\s*(?:=(?![=~])\s*|\s|(?=\())(?P<value>.+)")
    depth = 0
    for number, code, heredoc in lines:
        if code == "end":
            if not depth:
                return
            depth -= 1
        elif not depth and (match := option.fullmatch(code)):
            try:
                text = _whole(match["value"], lines)
                push.take(match["key"], heredoc if heredoc is not None else value(text))
            except ValueError:
                push.unread.append((number, code))
        elif code:
            # What stands in a condition or a loop is for Ruby to decide.
            push.unread.append((number, code))
            depth += bool(OPENS.fullmatch(code) or re.match(r"(?:if|unless|case|begin|while|until|for|def)\b", code))


def _whole(text: str, lines: Iterator[tuple[int, str, str | None]]) -> str:
    """A list to its end, which may be lines below."""
    end = next((end for begin, end in LISTS.items() if text.startswith(begin)), "")
    parts = [text]
    while end and end not in parts[-1]:
        _, code, _ = next(lines, (0, end, None))
        parts.append(code)
    return " ".join(parts)


def value(text: str) -> Value | Environment:  # noqa: PLR0911  (a return for each kind of value)
    """A plain value of Ruby. Raises `ValueError` for anything that has to be executed."""
    text = text.strip()
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    if text in {"true", "false"}:
        return text == "true"
    if re.fullmatch(r"\d+", text):
        return int(text)
    if re.fullmatch(r":\w+", text):
        return text[1:]
    if match := ENVIRONMENT.fullmatch(text):
        return Environment(_string(match[1] or match[2]))
    if match := QUOTED.fullmatch(text):
        return match[1] or match[2] or match[3] or ""
    if match := WORDS.fullmatch(text):
        return (match[1] or match[2] or match[3] or "").split()
    if match := re.fullmatch(rf"\[\s*((?:{STRING}\s*(?:,\s*)?)*)\]", text):
        return [_string(each) for each in re.findall(STRING, match[1])]
    if re.fullmatch(rf"{STRING}(?:\s*,\s*{STRING})+", text):
        return [_string(each) for each in re.findall(STRING, text)]
    return _string(text)


def _string(text: str) -> str:
    """A string of Ruby without interpolation."""
    if not re.fullmatch(STRING, text, re.DOTALL):
        raise ValueError(text)
    inside = text[1:-1]
    if text[0] == "'":
        return re.sub(r"\\([\\'])", r"\1", inside)
    if re.search(r"(?<!\\)#[{$@]", inside) or re.search(r"\\[^\"\\nters#]", inside):
        raise ValueError(text)
    return re.sub(r"\\(.)", lambda match: ESCAPES.get(match[1], match[1]), inside)


def _lines(text: str) -> Iterator[tuple[int, str, str | None]]:
    """The number and the code of each line, without comments; with the text of the heredoc that begins there."""
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if line.startswith("=begin"):
            for _, other in lines:
                if other.startswith("=end"):
                    break
            continue
        if line.strip() == "__END__":
            return
        match = CODE.match(line)
        code = (match[0] if match else line).strip()
        heredoc = HEREDOC.search(code)
        if not heredoc:
            yield number, code, None
            continue
        body = []
        for _, other in lines:
            if (other.strip() if heredoc["kind"] else other) == heredoc["word"]:
                break
            body.append(other)
        plain = heredoc["quote"] == "'" or not re.search(r"#[{$@]|\\", "\n".join(body))
        ends = heredoc.end() == len(code)
        yield number, code, _dedented(body, heredoc["kind"]) if plain and ends else None


def _dedented(lines: list[str], kind: str) -> str:
    """The text of a heredoc; ``<<~`` takes the indentation that all lines share."""
    if kind == "~":
        margin = min((len(each) - len(each.lstrip()) for each in lines if each.strip()), default=0)
        lines = [each[margin:] for each in lines]
    return "".join(f"{each}\n" for each in lines)
