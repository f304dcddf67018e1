"""`HttpOptions`: what a target with the strategy ``http`` may say."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta, field

from pushkit import Options, Secret, checks
from pushkit_http.address import BY_CONTENT, FIELDS, check_fields, checked, names

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
OURS = {"host", "content-length", "transfer-encoding", "connection", "expect"}
LOCATION = "location"


class StatusOptions(Options):
    """Where the server tells how far it is with what it got."""

    url: Annotated[str, Meta(description="What is asked; `{location}` is where the server's answer says to look.")]
    field: Annotated[str, Meta(description="The field of its JSON, `build.state`; without one, 200 means done.")] = ""
    done: Annotated[tuple[str, ...], Meta(description="Values of the field that mean done.")] = ("done", "success")
    failed: Annotated[tuple[str, ...], Meta(description="Values that mean failed.")] = ("failed", "error")
    within: Annotated[float, Meta(gt=0, description="Seconds after which it is given up.")] = 600
    every: Annotated[float, Meta(ge=0.1, le=600, description="Seconds between two questions.")] = 2


class HttpOptions(Options):
    """Options of the strategy ``http``."""

    url: Annotated[
        str,
        Meta(
            description="Where the archive is sent, with fields: " + ", ".join(f"{{{each}}}" for each in FIELDS) + "."
        ),
    ]
    method: Annotated[
        Literal["PUT", "POST", "multipart"],
        Meta(description="`multipart` is a POST of a form, with the archive as one of its fields."),
    ] = "PUT"
    archive: Annotated[Literal["tar.gz", "zip"], Meta(description="What the snapshot is packed as.")] = "tar.gz"
    headers: Annotated[
        dict[str, Secret], Meta(description="More headers, which may be secrets and have fields as the URL has.")
    ] = field(default_factory=dict)
    token: Annotated[Secret | None, Meta(description="Sent as `Authorization: Bearer TOKEN`.")] = None
    token_header: Annotated[str, Meta(description="The header that the token is sent in, alone: `PRIVATE-TOKEN`.")] = ""
    user: Annotated[str, Meta(description="The user of basic authentication.")] = ""
    password: Annotated[Secret | None, Meta(description="The password of basic authentication.")] = None
    form: Annotated[
        dict[str, str],
        Meta(description="Metadata: the other fields of a `multipart` form, with fields as the URL has."),
    ] = field(default_factory=dict)
    file_field: Annotated[str, Meta(min_length=1, description="The form's field that is the archive.")] = "file"
    replace: Annotated[bool, Meta(description="Whether what is at the URL may be replaced.")] = True
    tls: Annotated[Literal["verified", "none"], Meta(description="`none` allows a URL with `http://`.")] = "verified"
    ca_file: Annotated[str, Meta(description="Certificates of authorities to trust, instead of the system's.")] = ""
    timeout: Annotated[float, Meta(gt=0, description="Seconds that the server may be silent.")] = 60
    retries: Annotated[int, Meta(ge=0, le=20, description="How often what is safe to repeat is tried again.")] = 3
    status: Annotated[StatusOptions | None, Meta(description="Wait until the server is done with the archive.")] = None

    @checks("headers")
    @classmethod
    def _headers(cls, value: dict[str, Secret]) -> dict[str, Secret]:
        for name, content in value.items():
            if not TOKEN.fullmatch(name):
                raise ValueError(f"{name!r} cannot be the name of a header")
            if name.lower() in OURS:
                raise ValueError(f"{name} is set by push")
            _one_line(content.reveal(), name)
            check_fields(content.reveal())
        return value

    @checks("token", "password")
    @classmethod
    def _secret(cls, value: Secret | None) -> Secret | None:
        if value is not None:
            _one_line(value.reveal(), "it")
        return value

    @checks("token_header")
    @classmethod
    def _token_header(cls, value: str) -> str:
        if value and not TOKEN.fullmatch(value):
            raise ValueError("expected the name of a header")
        return value

    @checks("form")
    @classmethod
    def _form(cls, value: dict[str, str]) -> dict[str, str]:
        for content in value.values():
            check_fields(content)
        return value

    @checks()
    def _together(self) -> None:
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

    @property
    def by_content(self) -> bool:
        """Whether the URL names the content: what is there is the same."""
        return self.method == "PUT" and any(name in BY_CONTENT for name in names(self.url))


def _one_line(text: str, name: str) -> None:
    if any(character in text for character in "\r\n\0"):
        raise ValueError(f"{name} has a line end, and a header is one line; is there one at the end of a file?")
