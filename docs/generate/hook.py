"""What mkdocs calls while it builds: pages that are generated from the code take their places beside the others."""

from __future__ import annotations

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from reference import PAGES


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages. What is not documented in the code raises, and ends the build."""
    for path, make in PAGES.items():
        files.append(File.generated(config, path, content=make()))
    return files
