"""A target's table against its strategy's options: what pydantic finds, in plain words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from pushkit import expectation
from pushkit.options import schema_of
from pushkit.secrets.references import refers
from pushkit.suggestion import did_you_mean

ModelT = TypeVar("ModelT", bound=BaseModel)
Path = tuple[str | int, ...]

# Of pydantic's own kinds of error one is not listed with the others.
_PYDANTICS_OWN = frozenset(get_args(ErrorType)) | {"path_type"}


class Fault(NamedTuple):
    """One thing that is wrong in a table, at a path within it.

    ``open`` is true where it may be down to a reference that is not resolved yet.
    """

    path: Path
    message: str
    hint: str
    open: bool


def validate(
    model: type[ModelT], table: Mapping[str, Any], raw: Mapping[str, Any]
) -> tuple[ModelT | None, Sequence[Fault]]:
    """The options that ``table`` describes, or every fault in it, one for each path.

    ``raw`` is the table as it is written, with its references: what they stand for is never shown.
    """
    try:
        return model.model_validate(table), ()
    except ValidationError as error:
        details = error.errors(include_url=False)
    schema = schema_of(model)
    faults: dict[Path, Fault] = {}
    of_unions = set()
    for detail in details:
        path, branch = _path(detail, table)
        if branch:
            of_unions.add(path)
        faults.setdefault(path, _fault(detail, path, schema, raw))
    # Where one branch of a union got further into the value, only what it found helps.
    beaten = {path for path in of_unions for other in faults if len(other) > len(path) and other[: len(path)] == path}
    return None, [fault for path, fault in faults.items() if path not in beaten]


def secret_fields(options: BaseModel) -> Iterator[tuple[str, str]]:
    """Every secret that ``options`` hold, at any depth, with the dotted name of its field; none that is `Lazy`."""

    def within(name: str, value: Any) -> Iterator[tuple[str, str]]:
        if isinstance(value, Lazy):
            return
        if isinstance(value, SecretStr):
            yield name, value.get_secret_value()
        elif isinstance(value, BaseModel):
            for field in type(value).model_fields:
                yield from within(f"{name}.{field}", getattr(value, field))
        elif isinstance(value, Mapping):
            for key, item in value.items():
                yield from within(f"{name}.{key}", item)
        elif isinstance(value, (list, tuple, set, frozenset)):
            for item in value:
                yield from within(name, item)

    for name, value in within("", options):
        yield name.removeprefix("."), value


class Lazy(SecretStr):
    """A secret that is resolved when its value is asked for. What it shows of itself does not ask."""

    def __init__(self, resolve: Callable[[], str]) -> None:
        super().__init__("")
        self._resolve = resolve

    def get_secret_value(self) -> str:
        """The value. Raises what resolving it raises."""
        return self._resolve()

    def __bool__(self) -> bool:
        # That there is one is known: an empty one is refused when it is resolved.
        return True

    def __len__(self) -> int:
        return len(self._resolve())


def with_secrets(options: ModelT, later: Callable[[str], Callable[[], str] | None]) -> ModelT:
    """``options`` with each secret, at any depth, resolved when asked by what ``later`` gives for its text."""

    def within(value: Any) -> Any:
        if isinstance(value, SecretStr):
            resolve = later(value.get_secret_value())
            return Lazy(resolve) if resolve else value
        if isinstance(value, BaseModel):
            changed = {name: new for name, old in value if (new := within(old)) is not old}
            return value.model_copy(update=changed) if changed else value
        if isinstance(value, Mapping):
            items = {key: within(item) for key, item in value.items()}
            return items if any(items[key] is not item for key, item in value.items()) else value
        if type(value) in {list, tuple}:
            there = [within(item) for item in value]
            return type(value)(there) if any(new is not old for new, old in zip(there, value, strict=True)) else value
        return value

    result: ModelT = within(options)
    return result


def _path(detail: ErrorDetails, table: Any) -> tuple[Path, bool]:
    """The path within ``table`` that an error is about, and whether it is of one branch of a union.

    pydantic mixes the names of a union's branches into its locations; only what the table has is a path.
    """
    path: Path = ()
    skipped = False
    last = len(detail["loc"]) - 1
    for index, part in enumerate(detail["loc"]):
        inside = (isinstance(table, dict) and part in table) or (
            isinstance(table, list) and isinstance(part, int) and part < len(table)
        )
        if inside:
            table = table[part]
            path = (*path, part)
        elif detail["type"] == "missing" and index == last:
            path = (*path, part)
        else:
            skipped = True
    return path, skipped


def _fault(detail: ErrorDetails, path: Path, schema: expectation.Schema, raw: Any) -> Fault:
    kind = detail["type"]
    ruling = expectation.at(schema, path, schema)
    words = expectation.expected(ruling, schema) if ruling else "another value"
    if kind == "missing":
        return Fault(path, f"missing, expected {words}", "", open=False)
    if kind == "extra_forbidden":
        around = expectation.at(schema, path[:-1], schema) or {}
        known = around.get("properties", {})
        listed = f"known: {', '.join(known)}" if known else ""
        return Fault(path, "unknown option", did_you_mean(str(path[-1]), known) or listed, open=False)
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        # The key that tells which of several tables this one is.
        tag, tags = str(detail["ctx"]["discriminator"]).strip("'"), detail["ctx"].get("expected_tags")
        return Fault((*path, tag), f"expected one of {tags}" if tags else "missing", "", refers(_inside(raw, path)))
    given = detail["input"]
    referring = refers(_inside(raw, path))
    hidden = referring or (ruling is not None and expectation.is_secret(ruling, schema))
    if kind in {"value_error", "assertion_error"}:
        message = str(detail["ctx"]["error"])
    elif kind not in _PYDANTICS_OWN:
        message = detail["msg"]
    else:
        choices = expectation.choices(ruling) if ruling else []
        hint = did_you_mean(given, map(str, choices)) if isinstance(given, str) and not hidden else ""
        return Fault(path, f"expected {words}, found {expectation.found(given, hidden=hidden)}", hint, referring)
    if hidden and isinstance(given, str) and given:
        message = message.replace(given, "[secret]")
    return Fault(path, message or f"expected {words}", "", referring)


def _inside(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value
