"""What the Platform API answers, as far as push looks at it (devcenter: platform-api-reference)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct


class Reply(Struct, frozen=True, kw_only=True):
    """The base of all: what is not looked at may be anything."""


class Named(Reply, frozen=True, kw_only=True):
    """Something that is spoken of by its name."""

    name: str


class Identified(Reply, frozen=True, kw_only=True):
    """Something that is spoken of by its id."""

    id: str


class User(Reply, frozen=True, kw_only=True):
    """Who did something."""

    email: str


class App(Reply, frozen=True, kw_only=True):
    """An app."""

    id: str
    name: str
    region: Named | None = None
    stack: Named | None = None
    maintenance: bool = False


class SourceBlob(Reply, frozen=True, kw_only=True):
    """What a build is of."""

    version: str | None = None


class Build(Reply, frozen=True, kw_only=True):
    """A build: from an archive to a slug, and a release of it."""

    id: str
    status: Literal["pending", "succeeded", "failed"]
    output_stream_url: str | None = None
    release: Identified | None = None
    source_blob: SourceBlob = SourceBlob()


class Release(Reply, frozen=True, kw_only=True):
    """A release: a slug with config vars and add-ons."""

    id: str
    version: int
    status: Literal["pending", "succeeded", "failed", "expired"]
    description: str = ""
    created_at: datetime
    user: User
    slug: Identified | None = None
    current: bool = False
    output_stream_url: str | None = None

    @property
    def name(self) -> str:
        """As Heroku names it: ``v42``."""
        return f"v{self.version}"

    @property
    def when(self) -> datetime:
        """When it was made, in UTC."""
        return self.created_at if self.created_at.tzinfo else self.created_at.replace(tzinfo=UTC)


class Slug(Reply, frozen=True, kw_only=True):
    """What a build made; ``commit`` is a commit's id, or the version of the build's source."""

    id: str
    commit: str | None = None


class Blob(Reply, frozen=True, kw_only=True):
    """Where an archive is put, and fetched from: both URLs are signed, and so secret."""

    get_url: str
    put_url: str


class Source(Reply, frozen=True, kw_only=True):
    """A place for an archive."""

    source_blob: Blob


class Refusal(Reply, frozen=True, kw_only=True):
    """Why not."""

    id: str = ""
    message: str = ""
