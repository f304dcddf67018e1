"""`Options`: what a plugin's table in the Pushfile may hold."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, create_model
from pydantic_core import CoreSchema

from pushkit.errors import PluginError
from pushkit.expectation import PUBLIC


class Public(Struct, frozen=True):
    """Marks an option whose value others can see, such as a command line: ``Annotated[str, Public("...")]``.

    A reference (``${env:NAME}``) in it, or below it, is an error of the Pushfile; ``instead`` says what to write.
    ``push explain`` says so.
    """

    instead: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The field's schema, with the mark."""
        return {**handler(schema), PUBLIC: self.instead}


class Options(BaseModel):
    """The base of a strategy's options: the target's table in the Pushfile, validated.

    Each field has a description (``Field(description=...)``), which is what ``push explain`` prints, and a type with
    a JSON Schema. Unknown keys are errors. A field that holds a secret is a `pydantic.SecretStr`; one whose value
    others can see is marked with `Public`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


@cache
def schema_of(options: type[BaseModel]) -> Mapping[str, Any]:
    """The JSON Schema of ``options``, which says what a wrong value should have been. Raises `PluginError` without."""
    if field := without_schema(options):
        raise PluginError(
            f"{options.__module__} has an option that nothing can explain, {field}",
            hint="this is for its authors: push plugins --check",
        )
    return options.model_json_schema()


@cache
def without_schema(options: type[BaseModel]) -> str:
    """The field of ``options`` that has no JSON Schema, and why; empty where all have one.

    Without one nothing can say what the option may be: no command, and no message about a wrong value.
    """
    try:
        options.model_json_schema()
    except Exception as error:  # a type may bring a schema of its own, and that may raise anything
        for name, field in options.model_fields.items():
            alone: dict[str, Any] = {name: (field.annotation, field)}
            try:
                create_model(options.__name__, __config__=options.model_config, **alone).model_json_schema()
            except Exception as reason:
                return f"`{name}`: {_first_line(reason)}"
        return f"`{options.__name__}`: {_first_line(error)}"
    return ""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
