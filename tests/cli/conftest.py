"""The project directory that the tests of the command line type ``push`` in."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.project import ACME, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with three files, a Pushfile with one ``dir`` target, and acme-push installed beside it."""
    site = tmp_path / "site"
    metadata = site / "acme_push-1.5.dist-info"
    metadata.mkdir(parents=True)
    (site / "acme_push.py").write_text(ACME)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-push\nVersion: 1.5\n")
    (metadata / "RECORD").write_text("acme_push.py,,\nacme_push-1.5.dist-info/METADATA,,\n")
    (metadata / "entry_points.txt").write_text(
        "[pushkit.strategies]\nacme = acme_push\n\n[pushkit.commands]\nshout = acme_push:commands\n"
    )
    root = tmp_path / "blog"
    (root / "css").mkdir(parents=True)
    (root / "index.html").write_text("<h1>one</h1>\n")
    (root / "css" / "site.css").write_text("h1 { color: red }\n")
    (root / "about.txt").write_text("about\n")
    made = Project(root, site)
    made.write(production='strategy = "dir"\npath = "../live"')
    return made
