"""One app on the platform: what push asks of it, and tells it."""

from __future__ import annotations

from collections.abc import Mapping

from pushkit_heroku.api import Api, segment
from pushkit_heroku.replies import App, Blob, Build, Release, Slug, Source, User
from pushkit_heroku.words import Refused


class Platform:
    """The app ``name``. What it raises is in `Api`."""

    def __init__(self, api: Api, name: str) -> None:
        self.name = name
        self.api = api
        self._path = f"/apps/{segment(name)}"

    def account(self) -> User:
        """Who the token belongs to."""
        return self.api.get("/account", User)

    def app(self) -> App | None:
        """The app, None where there is none, as far as the token can see."""
        try:
            return self.api.get(self._path, App)
        except Refused as error:
            if error.status != 404:
                raise
            return None

    def create(self, region: str, team: str) -> App:
        """Make the app."""
        body = {"name": self.name} | ({"region": region} if region else {}) | ({"team": team} if team else {})
        return self.api.change("/teams/apps" if team else "/apps", App, body)

    def config(self) -> Mapping[str, str | None]:
        """Its config vars."""
        return self.api.get(f"{self._path}/config-vars", dict[str, str | None])

    def configure(self, values: Mapping[str, str]) -> None:
        """Set config vars; the others stay."""
        self.api.change(f"{self._path}/config-vars", dict[str, str | None], values, method="PATCH")

    def releases(self, limit: int) -> list[Release]:
        """The last releases, the newest first."""
        return self.api.get(f"{self._path}/releases", list[Release], Range=f"version ..; order=desc, max={limit}")

    def release(self, release: str) -> Release:
        """A release by its id."""
        return self.api.get(f"{self._path}/releases/{segment(release)}", Release)

    def roll_back(self, release: str) -> Release:
        """Make a release with the slug of an earlier one."""
        return self.api.change(f"{self._path}/releases", Release, {"release": release})

    def slug(self, slug: str) -> Slug:
        """A slug by its id."""
        return self.api.get(f"{self._path}/slugs/{segment(slug)}", Slug)

    def builds(self, limit: int) -> list[Build]:
        """The last builds, the newest first."""
        return self.api.get(f"{self._path}/builds", list[Build], Range=f"created_at ..; order=desc, max={limit}")

    def place(self) -> Blob:
        """A place for an archive."""
        return self.api.send("POST", f"{self._path}/sources", Source, {}).source_blob

    def start_build(self, url: str, version: str, checksum: str) -> Build:
        """Build what is at ``url``, whose sha256 is ``checksum``, in hex."""
        blob = {"url": url, "version": version, "checksum": f"SHA256:{checksum}"}
        return self.api.change(f"{self._path}/builds", Build, {"source_blob": blob})

    def build(self, build: str) -> Build:
        """A build by its id."""
        return self.api.get(f"{self._path}/builds/{segment(build)}", Build)
