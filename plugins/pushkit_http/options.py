"""`HttpOptions`: what a target with the strategy ``http`` may say."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from pushkit import Options
from pushkit_http.address import BY_CONTENT, FIELDS, check_fields, checked, names

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
OURS = {"host", "content-length", "transfer-encoding", "connection", "expect"}
LOCATION = "location"


class StatusOptions(Options):
    """Where the server tells how far it is with what it got."""

    url: str = Field(description="What is asked; `{location}` is where the server's answer says to look.")
    field: str = Field(default="", description="The field of its JSON, `build.state`; without one, 200 means done.")
    done: tuple[str, ...] = Field(default=("done", "success"), description="Values of the field that mean done.")
    failed: tuple[str, ...] = Field(default=("failed", "error"), description="Values that mean failed.")
    within: float = Field(default=600, gt=0, allow_inf_nan=False, description="Seconds after which it is given up.")
    every: float = Field(default=2, ge=0.1, le=600, description="Seconds between two questions.")


class HttpOptions(Options):
    """Options of the strategy ``http``."""

    url: str = Field(
        description="Where the archive is sent, with fields: " + ", ".join(f"{{{each}}}" for each in FIELDS) + "."
    )
    method: Literal["PUT", "POST", "multipart"] = Field(
        default="PUT", description="`multipart` is a POST of a form, with the archive as one of its fields."
    )
    archive: Literal["tar.gz", "zip"] = Field(default="tar.gz", description="What the snapshot is packed as.")
    headers: dict[str, SecretStr] = Field(
        default_factory=dict, description="More headers, which may be secrets and have fields as the URL has."
    )
    token: SecretStr | None = Field(default=None, description="Sent as `Authorization: Bearer TOKEN`.")
    token_header: str = Field(default="", description="The header that the token is sent in, alone: `PRIVATE-TOKEN`.")
    user: str = Field(default="", description="The user of basic authentication.")
    password: SecretStr | None = Field(default=None, description="The password of basic authentication.")
    form: dict[str, str] = Field(
        default_factory=dict,
        description="Metadata: the other fields of a `multipart` form, with fields as the URL has.",
    )
    file_field: str = Field(default="file", min_length=1, description="The form's field that is the archive.")
    replace: bool = Field(default=True, description="Whether what is at the URL may be replaced.")
    tls: Literal["verified", "none"] = Field(default="verified", description="`none` allows a URL with `http://`.")
    ca_file: str = Field(default="", description="Certificates of authorities to trust, instead of the system's.")
    timeout: float = Field(default=60, gt=0, allow_inf_nan=False, description="Seconds that the server may be silent.")
    retries: int = Field(default=3, ge=0, le=20, description="How often what is safe to repeat is tried again.")
    status: StatusOptions | None = Field(default=None, description="Wait until the server is done with the archive.")

    @field_validator("headers")
    @classmethod
    def _headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, content in value.items():
            if not TOKEN.fullmatch(name):
                raise ValueError(f"{name!r} cannot be the name of a header")
            if name.lower() in OURS:
                raise ValueError(f"{name} is set by push")
            _one_line(content.get_secret_value(), name)
            check_fields(content.get_secret_value())
        return value

    @field_validator("token", "password")
    @classmethod
    def _secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _one_line(value.get_secret_value(), "it")
        return value

    @field_validator("token_header")
    @classmethod
    def _token_header(cls, value: str) -> str:
        if value and not TOKEN.fullmatch(value):
            raise ValueError("expected the name of a header")
        return value

    @field_validator("form")
    @classmethod
    def _form(cls, value: dict[str, str]) -> dict[str, str]:
        for content in value.values():
            check_fields(content)
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        checked(self.url, self.tls)
        if self.status:
            try:
                checked(self.status.url, self.tls, (*FIELDS, LOCATION))
            except ValueError as error:
                raise ValueError(f"`status.url`: {error}") from None
            if LOCATION in names(self.status.url) and self.status.url != f"{{{LOCATION}}}":
                raise ValueError("`status.url`: `{location}` is a whole URL; nothing stands beside it")
        if self.form and self.method != "multipart":
            raise ValueError('`form` is for `method = "multipart"`; otherwise metadata travels in `headers`')
        if self.token and (self.user or self.password):
            raise ValueError("expected either `token` or `user` and `password`, found both")
        if bool(self.user) != bool(self.password):
            raise ValueError("`user` and `password` belong together")
        if ":" in self.user:
            raise ValueError("`user` cannot hold a colon in basic authentication (RFC 7617)")
        if self.token_header and not self.token:
            raise ValueError("`token_header` is the header of `token`, which is missing")
        if not self.replace and self.method != "PUT":
            raise ValueError('`replace = false` is for `method = "PUT"`, which puts the archive at its URL')
        return self

    @property
    def by_content(self) -> bool:
        """Whether the URL names the content: what is there is the same."""
        return self.method == "PUT" and any(name in BY_CONTENT for name in names(self.url))


def _one_line(text: str, name: str) -> None:
    if any(character in text for character in "\r\n\0"):
        raise ValueError(f"{name} has a line end, and a header is one line; is there one at the end of a file?")
