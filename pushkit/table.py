"""`Table`: a table of the Pushfile, from which options are made once its references are resolved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from pushkit import expectation, toml_lines
from pushkit.errors import Interrupted, PluginError, PushfileError, PushkitError, PushRefused
from pushkit.pushfile_reader import Finding
from pushkit.secrets import references
from pushkit.secrets.redaction import SHORTEST, can_be_hidden

if TYPE_CHECKING:
    from pushkit.options import Options
    from pushkit.resolver import Resolver
    from pushkit.validation import Fault


class Table(NamedTuple):
    """The table of a target or an observer, and what resolves the references in it.

    ``raw`` is the table as it stands in the Pushfile, ``model`` what it may hold. ``target`` is the target's name,
    empty for an observer. ``error`` makes the error that says everything that is wrong.
    """

    raw: Mapping[str, Any]
    model: type[Options]
    resolver: Resolver
    target: str
    error: Callable[[Sequence[Finding]], PushfileError]

    def options(self) -> Options:
        """What the table describes, every reference in it resolved."""
        from pushkit.validation import validate  # noqa: PLC0415  (only for those who need it)

        findings: list[Finding] = []

        def resolved(path: toml_lines.Path, text: str) -> str:
            try:
                return self.text(path, text)
            except (PluginError, PushRefused, Interrupted):
                raise
            except PushkitError as error:
                findings.append(Finding(path, error.message, error.hint))
                return ""

        self.resolver.ahead(self.target, self.references())
        result, faults = validate(self.model, references.replaced(self.raw, resolved), self.raw)
        if result is not None and not findings:
            self.hide(result)
            return result
        # An option that could not be resolved is wrong for that reason only.
        unresolved = [found.place for found in findings]
        wrong = [fault for fault in faults if not any(each[: len(fault.path)] == fault.path for each in unresolved)]
        raise self.error([*findings, *map(self.finding, wrong)])

    def lazy(self) -> Options | None:
        """What the table describes, each secret resolved when somebody asks for its value.

        None when that cannot be: something is wrong, or an option's own check has to see the value.
        """
        from pushkit.validation import secret_fields, validate, with_secrets  # noqa: PLC0415  (as above)

        places = {text: path for path, text in references.texts(self.raw) if self.is_later(path, text)}

        def later(text: str) -> Callable[[], str] | None:
            path = places.get(text)
            return partial(self.asked_for, path, text) if path else None

        try:
            result, _ = validate(self.model, references.replaced(self.raw, self.unless_later), self.raw)
        except (PluginError, PushRefused, Interrupted):
            raise
        except PushkitError:
            return None
        if result is None:
            return None
        result = with_secrets(result, later)
        known = list(secret_fields(result))
        if any(references.refers(value) for _, value in known):
            return None  # changed on its way into the options: what refers to a secret must not be taken for it
        self.hide(result)
        return result

    def asked_for(self, path: toml_lines.Path, text: str) -> str:
        """What a secret at ``path`` is, now that somebody asks. Raises as `options`."""
        from pushkit.validation import validate  # noqa: PLC0415  (as above)

        def this(place: toml_lines.Path, other: str) -> str:
            return value if place == path else self.unless_later(place, other)

        try:
            value = self.text(path, text)
        except (PluginError, PushRefused, Interrupted):
            raise
        except PushkitError as error:
            raise self.error([Finding(path, error.message, error.hint)]) from None
        _, faults = validate(self.model, references.replaced(self.raw, this), self.raw)
        if wrong := [fault for fault in faults if fault.path[: len(path)] == path]:
            raise self.error([*map(self.finding, wrong)])
        return value

    def text(self, path: toml_lines.Path, text: str) -> str:
        """``text`` with its references replaced. Raises `PushkitError` for one that cannot be at ``path``."""
        parts = references.parse(text)
        return "".join(part if isinstance(part, str) else self.value(path, part) for part in parts)

    def value(self, path: toml_lines.Path, reference: references.Reference) -> str:
        """What ``reference`` stands for. Raises `PushkitError`."""
        value = self.resolver.value(self.target, reference)
        if not can_be_hidden(value) and self.is_secret(path):
            if not value:
                raise PushkitError(
                    f"what ${{{reference}}} stands for is empty",
                    hint="give it its value; CI leaves the variable of a secret that it does not know empty",
                )
            raise PushkitError(
                f"what ${{{reference}}} stands for has fewer than {SHORTEST} characters: too short to be hidden",
                hint="what is no secret can stand in the Pushfile as it is",
            )
        return value

    def hide(self, options: Options) -> None:
        """Let the redactor know the secrets of ``options``; none that the table says openly beside it.

        ``environment = { STAGE = "production" }`` of the target ``production`` is no secret: marks in the place of it
        would be all over what is told, and would tell it.
        """
        from pushkit.validation import secret_fields  # noqa: PLC0415  (only for those who need it)

        known = list(secret_fields(options))
        if not known:
            return
        texts = list(references.texts(self.raw))
        variables = {".".join(map(str, path)) for path, text in texts if self.is_variable(path, text)}
        said = [self.target, *(text for path, text in texts if not self.is_secret(path))] if variables else []
        for name, value in known:
            if name not in variables or not any(value in text for text in said):
                self.resolver.redactor.add(name, value)

    def is_variable(self, path: toml_lines.Path, text: str) -> bool:
        """Whether ``text``, at ``path``, is one of many values by name, and stands in the Pushfile as it is."""
        from pushkit.options import schema_of  # noqa: PLC0415  (only for those who need it)

        if len(path) == 1 or references.refers(text):
            return False
        schema = schema_of(self.model)
        around = expectation.at(schema, path[:-1], schema)
        return around is not None and "additionalProperties" in around

    def references(self) -> Iterator[references.Reference]:
        """Every reference in the table. What is none is told of where it is read."""
        for _, text in references.texts(self.raw):
            with suppress(PushkitError):
                yield from (part for part in references.parse(text) if isinstance(part, references.Reference))

    def unless_later(self, path: toml_lines.Path, text: str) -> str:
        """``text``, its references replaced unless it is a secret's."""
        return text if self.is_later(path, text) else self.text(path, text)

    def is_later(self, path: toml_lines.Path, text: str) -> bool:
        """Whether ``text``, at ``path``, is a secret that has to be resolved."""
        return references.refers(text) and self.is_secret(path)

    def is_secret(self, path: toml_lines.Path) -> bool:
        """Whether the option at ``path`` is one for a secret."""
        from pushkit.options import schema_of  # noqa: PLC0415  (only for those who need it)

        schema = schema_of(self.model)
        part = expectation.at(schema, path, schema)
        return part is not None and expectation.is_secret(part, schema)

    def finding(self, fault: Fault) -> Finding:
        redactor = self.resolver.redactor
        return Finding(fault.path, redactor(fault.message), redactor(fault.hint))
