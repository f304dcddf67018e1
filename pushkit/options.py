"""`Options`: what a plugin's table in the Pushfile may hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from functools import cache, partial
from pathlib import PurePath
from typing import Any, NamedTuple, Self, TypeVar, dataclass_transform

import msgspec
from msgspec import Meta, Struct, StructMeta, field
from msgspec.structs import force_setattr

from pushkit.errors import PluginError
from pushkit.expectation import PUBLIC

FunctionT = TypeVar("FunctionT")
#: Where a schema refers to what it defines.
DEFINITION = "#/$defs/{name}"
_CHECKED = "__pushkit_checked__"


def public(instead: str) -> Meta:
    """Marks an option whose value others can see, such as a command line: ``Annotated[str, public("...")]``.

    A reference (``${env:NAME}``) in it, or below it, is an error of the Pushfile; ``instead`` says what to write.
    ``push explain`` says so.
    """
    return Meta(extra_json_schema={PUBLIC: instead})


def checks(*names: str) -> Callable[[FunctionT], FunctionT]:
    """Marks a method of `Options` as a check, which raises ValueError with what is wrong, in plain words.

    With ``names`` it is a class method, called with the value of each of these options; what it returns takes the
    value's place. Without, it looks at the options as a whole, when each of them is right.
    """

    def marked(function: FunctionT) -> FunctionT:
        setattr(function, _CHECKED, names)
        return function

    return marked


class Check(NamedTuple):
    """A method that checks the options ``names``, or, where there are none, all of them together."""

    names: tuple[str, ...]
    method: str


class OptionsKind(StructMeta):
    """The class of every class of options: each is frozen, is made by keywords, and knows what it does not know."""

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **config: Any) -> Any:
        """The new class."""
        config = {"frozen": True, "kw_only": True, "forbid_unknown_fields": True, **config}
        for key in namespace.get("__annotations__", ()):
            if hasattr(type(default := namespace.get(key)), "of_option"):
                # A schema shows defaults, which are of its own types.
                namespace[key] = field(default_factory=partial(_same, default))
        return super().__new__(mcls, name, bases, namespace, **config)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
class Options(Struct, frozen=True, kw_only=True, metaclass=OptionsKind):
    """The base of a strategy's options: the target's table in the Pushfile, validated.

    Each field has a type with a JSON Schema, and a description, ``Annotated[str, Meta(description="...")]``, which is
    what ``push explain`` prints. Unknown keys are errors. A field that holds a secret is a `Secret`; one whose value
    others can see is marked with `public`. What a type cannot say is a method that is marked with `checks`.

    A type of your own has two methods: ``of_option``, a class method that makes one of what stands in the Pushfile, and
    raises ValueError with what is wrong, or TypeError; and ``option_schema``, which returns its JSON Schema.
    """

    def __post_init__(self) -> None:
        """Check what the types cannot say. Raises ValueError with everything that is wrong."""
        wrong = []
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, float) and not math.isfinite(value):
                wrong.append(f"`{name}`: expected a number that is finite")
        checks = checks_of(type(self))
        for each in checks:
            for name in each.names:
                value = getattr(self, name)
                try:
                    new = getattr(self, each.method)(value)
                except ValueError as error:
                    wrong.append(f"`{name}`: {error}")
                else:
                    if new is not value:
                        force_setattr(self, name, new)
        if wrong:
            raise ValueError("; ".join(wrong))
        for each in checks:
            if not each.names:
                getattr(self, each.method)()

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Self:
        """The options that ``table`` describes. Raises ValueError, and `PluginError` for a type that is none."""
        found: Self = converted(table, cls)
        return found

    def changed(self, **changes: Any) -> Self:
        """These options with ``changes``, which are not checked."""
        new = copy(self)
        for name, value in changes.items():
            force_setattr(new, name, value)
        return new

    def is_set(self, name: str) -> bool:
        """Whether the option ``name`` differs from its default."""
        return bool(getattr(self, name) != defaults_of(type(self)).get(name))


@cache
def checks_of(options: type[Options]) -> tuple[Check, ...]:
    """The checks of ``options``, those of its bases first."""
    found = {
        name: Check(names, name)
        for kind in reversed(options.__mro__)
        for name, value in vars(kind).items()
        if (names := getattr(value, _CHECKED, None)) is not None
    }
    return tuple(found.values())


@cache
def defaults_of(options: type[Options]) -> Mapping[str, Any]:
    """What each option of ``options`` is where nothing is said."""
    return {
        each.name: each.default_factory() if each.default_factory is not msgspec.NODEFAULT else each.default
        for each in msgspec.structs.fields(options)
        if not each.required
    }


def converted(value: Any, kind: Any) -> Any:
    """``value``, as TOML has it, as a ``kind``; text that came from a reference may be a number.

    Raises ValueError, and `PluginError` when it cannot be a ``kind`` whatever it is.
    """
    try:
        return msgspec.convert(value, kind, strict=False, dec_hook=_made)
    except (TypeError, NameError) as error:
        raise PluginError(
            f"{getattr(kind, '__module__', kind)} has an option that nothing can be: {_first_line(error)}",
            hint="this is for its authors: push plugins --check",
        ) from error


def schema_of(options: type[Options], template: str = DEFINITION) -> dict[str, Any]:
    """The JSON Schema of ``options``, which says what a wrong value should have been.

    What it refers to stands in its ``$defs``, and is referred to by ``template``. Raises `PluginError` without one.
    """
    if field := without_schema(options):
        raise PluginError(
            f"{options.__module__} has an option that nothing can explain, {field}",
            hint="this is for its authors: push plugins --check",
        )
    return dict(_schema(options, template))


@cache
def without_schema(options: type[Options]) -> str:
    """The field of ``options`` that has no JSON Schema, and why; empty where all have one.

    Without one nothing can say what the option may be: no command, and no message about a wrong value.
    """
    try:
        _schema(options, DEFINITION)
    except Exception as error:  # a type may bring a schema of its own, and that may raise anything
        for name, kind in _hints(options):
            try:
                msgspec.json.schema(kind, schema_hook=_explained)
            except Exception as reason:
                return f"`{name}`: {_first_line(reason)}"
        return f"`{options.__name__}`: {_first_line(error)}"
    return ""


@cache
def _schema(options: type[Options], template: str) -> dict[str, Any]:
    _, definitions = msgspec.json.schema_components([options], schema_hook=_explained, ref_template=template)
    for part in definitions.values():
        for each in part.get("properties", {}).values():
            _lift(each)
    schema = definitions.pop(options.__name__)
    return {**schema, "$defs": definitions} if definitions else schema


def _lift(part: dict[str, Any]) -> None:
    """What is said of the one thing that an option may be, where it may be left out, is said of the option."""
    branches = [branch for branch in part.get("anyOf", ()) if branch.get("type") != "null"]
    if len(branches) == 1:
        for key in ("description", PUBLIC):
            if key in branches[0]:
                part[key] = branches[0].pop(key)


def _hints(options: type[Options]) -> Iterator[tuple[str, Any]]:
    try:
        for each in msgspec.structs.fields(options):
            yield each.name, each.type
    except (NameError, TypeError):
        return


def _made(kind: type, value: object) -> Any:
    """A value of a type that is not msgspec's."""
    if make := getattr(kind, "of_option", None):
        return make(value)
    if issubclass(kind, PurePath):
        if isinstance(value, str):
            return kind(value)
        raise TypeError("not text")
    raise PluginError(
        f"an option is a {kind.__module__}.{kind.__qualname__}, which nothing can make of a Pushfile's value",
        hint="this is for its authors: give it the methods of_option and option_schema",
    )


def _explained(kind: type) -> dict[str, Any]:
    """The schema of a type that is not msgspec's."""
    if explain := getattr(kind, "option_schema", None):
        return dict(explain())
    if issubclass(kind, PurePath):
        return {"type": "string", "format": "path"}
    raise TypeError(f"{kind.__module__}.{kind.__qualname__} has no option_schema")


def _same(value: Any) -> Any:
    return value


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
