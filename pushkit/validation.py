"""A target's table against its strategy's options: everything that is wrong, in plain words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin

from msgspec import Struct
from msgspec.structs import fields

from pushkit import expectation
from pushkit.options import Options, checks_of, converted, schema_of
from pushkit.secret import Lazy, Secret
from pushkit.secrets.references import refers
from pushkit.suggestion import did_you_mean

OptionsT = TypeVar("OptionsT", bound=Options)
Path = tuple[str | int, ...]

UNKNOWN = "unknown option"
"""What is wrong with a key that no option has."""


class Fault(NamedTuple):
    """One thing that is wrong in a table, at a path within it.

    ``open`` is true where it may be down to a reference that is not resolved yet.
    """

    path: Path
    message: str
    hint: str
    open: bool


def validate(
    model: type[OptionsT], table: Mapping[str, Any], raw: Mapping[str, Any]
) -> tuple[OptionsT | None, Sequence[Fault]]:
    """The options that ``table`` describes, or every fault in it, one for each path.

    ``raw`` is the table as it is written, with its references: what they stand for is never shown.
    """
    try:
        return converted(table, model), ()
    except ValueError:
        return None, list(Search(model, raw).options(model, table, ()))


class Search:
    """Goes through a table that is not as ``model`` has it, and says what is wrong in it."""

    def __init__(self, model: type[Options], raw: Mapping[str, Any]) -> None:
        self.schema = schema_of(model)
        self.raw = raw

    def within(self, kind: Any, value: Any, path: Path) -> Iterator[Fault]:
        """The faults of ``value``, at ``path``, which should be a ``kind``."""
        bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        faults: Sequence[Fault] = ()
        if get_origin(bare) in {Union, UnionType}:
            faults = list(self.union(bare, value, path))
        elif get_origin(bare) is Annotated:
            faults = list(self.within(bare, value, path))
        elif isinstance(bare, type) and issubclass(bare, Struct) and isinstance(value, Mapping):
            faults = list(self.options(bare, value, path))
        elif isinstance(value, list):
            faults = [
                fault
                for index, each in self.items(bare, value)
                for fault in self.within(each, value[index], (*path, index))
            ]
        elif isinstance(value, Mapping) and len(args := get_args(bare)) == 2:
            faults = [fault for key, item in value.items() for fault in self.within(args[1], item, (*path, key))]
        yield from faults
        if faults:
            return
        try:
            found = converted(value, kind)
        except ValueError as error:
            yield self.of_error(error, value, path)
        else:
            if isinstance(found, float) and not math.isfinite(found):
                yield self.other_than_expected(value, path)

    def union(self, kind: Any, value: Any, path: Path) -> Iterator[Fault]:
        """The faults of what may be one of several kinds: those of the one that ``value`` is to be."""
        arms = [arm for arm in get_args(kind) if arm is not NoneType]
        fitting = [arm for arm in arms if fits(arm, value)]
        tables = [arm for arm in fitting if isinstance(arm, type) and issubclass(arm, Struct)]
        if len(tables) > 1 and (field := tables[0].__struct_config__.tag_field):
            tags = {arm.__struct_config__.tag: arm for arm in tables}
            if (tag := value.get(field)) in tags:
                yield from self.within(tags[tag], value, path)
            else:
                message = f"expected one of {', '.join(map(repr, tags))}" if field in value else "missing"
                yield Fault((*path, field), message, "", refers(_inside(self.raw, path)))
        elif len(fitting) == 1:
            yield from self.within(fitting[0], value, path)

    @staticmethod
    def items(kind: Any, value: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Each item's index, and what kind it has to be."""
        args = get_args(kind)
        if get_origin(kind) is tuple and args[-1] is not ...:
            args = args if len(args) == len(value) else ()
            yield from enumerate(args)
        elif args:
            yield from ((index, args[0]) for index in range(len(value)))

    def options(self, model: type[Struct], table: Mapping[str, Any], path: Path) -> Iterator[Fault]:
        """The faults of a table that should be a ``model``."""
        known = {each.encode_name: each for each in fields(model)}
        tag = model.__struct_config__.tag_field
        sound = True
        for key in table:
            if key not in known and key != tag:
                sound = False
                listed = f"known: {', '.join(known)}" if known else ""
                yield Fault((*path, key), UNKNOWN, did_you_mean(key, known) or listed, open=False)
        for name, each in known.items():
            if name in table:
                faults = list(self.within(each.type, table[name], (*path, name)))
                faults = faults or list(self.checked(model, each.name, each.type, table[name], (*path, name)))
            elif each.required:
                faults = [Fault((*path, name), f"missing, expected {self.words((*path, name))}", "", open=False)]
            else:
                faults = []
            sound = sound and not faults
            yield from faults
        if sound:
            try:
                converted(table, model)
            except ValueError as error:
                yield self.of_error(error, None, path)

    def checked(self, model: type[Struct], name: str, kind: Any, value: Any, path: Path) -> Iterator[Fault]:
        """What the checks of one option say."""
        found = converted(value, kind)
        for each in checks_of(model) if issubclass(model, Options) else ():
            if name in each.names:
                try:
                    found = getattr(model, each.method)(found)
                except ValueError as error:
                    yield self.told(str(error), value, path)
                    return

    def of_error(self, error: ValueError, value: Any, path: Path) -> Fault:
        """What an error is that one value's kind has raised: in the kind's own words, where it has any."""
        cause = error.__cause__
        if isinstance(cause, ValueError):
            return self.told(str(cause), value, path)
        return self.other_than_expected(value, path)

    def told(self, message: str, value: Any, path: Path) -> Fault:
        """A fault in words that came with it."""
        if self.hidden(path) and isinstance(value, str) and value:
            message = message.replace(value, "[secret]")
        return Fault(path, message or f"expected {self.words(path)}", "", self.refers(path))

    def other_than_expected(self, value: Any, path: Path) -> Fault:
        """A fault of which the schema says what it should have been."""
        ruling = expectation.at(self.schema, path, self.schema)
        hidden = self.hidden(path)
        choices = expectation.choices(ruling) if ruling else []
        hint = did_you_mean(value, map(str, choices)) if isinstance(value, str) and not hidden else ""
        message = f"expected {self.words(path)}, found {expectation.found(value, hidden=hidden)}"
        return Fault(path, message, hint, self.refers(path))

    def words(self, path: Path) -> str:
        """What is expected at ``path``."""
        ruling = expectation.at(self.schema, path, self.schema)
        return expectation.expected(ruling, self.schema) if ruling else "another value"

    def hidden(self, path: Path) -> bool:
        """Whether the value at ``path`` is not to be shown."""
        ruling = expectation.at(self.schema, path, self.schema)
        return self.refers(path) or (ruling is not None and expectation.is_secret(ruling, self.schema))

    def refers(self, path: Path) -> bool:
        """Whether the value at ``path`` is made of a reference."""
        return refers(_inside(self.raw, path))


def fits(kind: Any, value: Any) -> bool:
    """Whether ``value`` has the shape of a ``kind``: a table, a list, or neither."""
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    plain = get_origin(kind) or kind
    if not isinstance(plain, type):
        return not isinstance(value, (Mapping, list))
    if issubclass(plain, (Struct, Mapping)):
        return isinstance(value, Mapping)
    if issubclass(plain, (list, tuple, set, frozenset)):
        return isinstance(value, list)
    return not isinstance(value, (Mapping, list))


def secret_fields(options: Options) -> Iterator[tuple[str, str]]:
    """Every secret that ``options`` hold, at any depth, with the dotted name of its field; none that is `Lazy`."""

    def within(name: str, value: Any) -> Iterator[tuple[str, str]]:
        if isinstance(value, Lazy):
            return
        if isinstance(value, Secret):
            yield name, value.reveal()
        elif isinstance(value, Struct):
            for field in value.__struct_fields__:
                yield from within(f"{name}.{field}", getattr(value, field))
        elif isinstance(value, Mapping):
            for key, item in value.items():
                yield from within(f"{name}.{key}", item)
        elif isinstance(value, (list, tuple, set, frozenset)):
            for item in value:
                yield from within(name, item)

    for name, value in within("", options):
        yield name.removeprefix("."), value


def with_secrets(options: OptionsT, later: Callable[[str], Callable[[], str] | None]) -> OptionsT:
    """``options`` with each secret, at any depth, resolved when asked by what ``later`` gives for its text."""

    def within(value: Any) -> Any:
        if isinstance(value, Secret):
            resolve = later(value.reveal())
            return Lazy(resolve) if resolve else value
        if isinstance(value, Options):
            changes = {
                name: new for name in value.__struct_fields__ if (new := within(old := getattr(value, name))) is not old
            }
            return value.changed(**changes) if changes else value
        if isinstance(value, Mapping):
            items = {key: within(item) for key, item in value.items()}
            return items if any(items[key] is not item for key, item in value.items()) else value
        if type(value) in {list, tuple}:
            there = [within(item) for item in value]
            return type(value)(there) if any(new is not old for new, old in zip(there, value, strict=True)) else value
        return value

    result: OptionsT = within(options)
    return result


def _inside(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value
