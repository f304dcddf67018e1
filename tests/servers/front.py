"""A real nginx in front of two pools: it hands on to the one that it includes, as docs/how-to/blue-green.md has it."""

from __future__ import annotations

import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pushkit.testing import Nginx, Sshd
from pushkit.testing.processes import descendants
from pushkit.testing.server import free_port

DOCUMENTATION = Path(__file__).parents[2] / "docs/how-to/blue-green.md"


class Front(Nginx):
    """nginx that serves each host's live release on the host's own address, and one pool of them on its own."""

    def __init__(self, directory: Path, pools: Mapping[str, Sequence[Sshd]], path: str) -> None:
        super().__init__(directory, host="127.0.0.1")
        self._path = path
        self._pools = pools
        self._port_of = {each.host: free_port(each.host) for pool in pools.values() for each in pool}
        self.include = directory / "pools"
        self.include.mkdir()
        for name, servers in pools.items():
            lines = "".join(f"    server {each.host}:{self._port_of[each.host]};\n" for each in servers)
            told = f'map "" $pool {{ default {name}; }}\n'
            (self.include / f"{name}.conf").write_text(f"upstream site {{\n{lines}}}\n{told}")
        (self.include / "live.conf").symlink_to("blue.conf")

    def script(self) -> str:
        """The script of the documentation that turns the traffic, for where this nginx is."""
        (found,) = re.findall(r"```sh\n(#!/bin/sh\n# bin/traffic.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
        text: str = found.replace("/etc/nginx/pools", str(self.include))
        return text.replace("nginx -s", f"nginx -p {self._directory} -e {self._log} -c {self._directory}/nginx.conf -s")

    def _servers(self) -> str:
        front, _pool = re.findall(r"```nginx\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
        text = front.replace("/etc/nginx/pools", str(self.include)).replace(
            "listen 80", f"listen {self.host}:{self.port}"
        )
        own = [
            f"server {{ listen {each.host}:{self._port_of[each.host]}; root {each.files / self._path}/current; }}"
            for servers in self._pools.values()
            for each in servers
        ]
        return "\n".join([text, *own])

    @contextmanager
    def asked(self) -> Iterator[list[str]]:
        """Somebody asks for the page without a pause; each other answer than the last one. None is an error."""
        self._settle()
        over = threading.Event()
        seen: list[str] = []
        answers = 0

        def ask() -> None:
            nonlocal answers
            while not over.is_set():
                try:
                    with urllib.request.urlopen(f"{self.url}/index.html", timeout=5) as answer:
                        said = answer.read().decode().strip()
                except (OSError, urllib.error.URLError) as error:
                    said = f"error: {error}"
                if seen[-1:] != [said]:
                    seen.append(said)
                answers += 1

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield seen
            self._settle()
            # The answer that is under way may be an old worker's.
            end, enough = time.monotonic() + 10, answers + 2
            while answers < enough:
                assert time.monotonic() < end
                time.sleep(0.01)
        finally:
            over.set()
            thread.join()

    def _settle(self) -> None:
        """Wait for the workers from before the last reload, who may still answer for the other pool, to be gone."""
        assert self._process
        end = time.monotonic() + 10
        while len(descendants(self._process.pid)) > 1:
            assert time.monotonic() < end
            time.sleep(0.01)
