"""What the wheel brings beside its packages: the manual page, completions for three shells, and a bill of materials.

All of it is computed from the tree alone, so that a wheel is the same bytes whenever and wherever it is built.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from click.shell_completion import get_completion_class
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: Where each shell looks for what completes a program.
COMPLETIONS = {
    "bash": "share/bash-completion/completions/{program}",
    "zsh": "share/zsh/site-functions/_{program}",
    "fish": "share/fish/vendor_completions.d/{program}.fish",
}
#: The programs, as in ``[project.scripts]``.
PROGRAMS = ("push", "pushkit")
MANUAL = "share/man/man1/{program}.1"
BILL = "pushkit.cdx.json"


class Extras(BuildHookInterface[Any]):
    """Adds them to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write them below ``build``, and say where in the wheel each belongs."""
        made = Path(self.root, "build", "extras")
        for place, text in {**shared(Path(self.root)), BILL: bill(self.metadata)}.items():
            file = made / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            if place != BILL:
                build_data["shared_data"][str(file)] = place
        build_data["sbom_files"].append(str((made / BILL).relative_to(self.root)))


def shared(root: Path) -> Mapping[str, str]:
    """The files of the directory ``share``, by path."""
    sys.path.insert(0, str(root))
    try:
        from pushkit.cli import manual  # noqa: PLC0415  (it is there once the tree is on the path)
    finally:
        sys.path.remove(str(root))
    found = {}
    for program in PROGRAMS:
        # The twin's page is the other's.
        found[MANUAL.format(program=program)] = (
            manual.page() if program == PROGRAMS[0] else f".so man1/{PROGRAMS[0]}.1\n"
        )
        for shell, place in COMPLETIONS.items():
            found[place.format(program=program)] = completion(shell, program)
    return found


def completion(shell: str, program: str) -> str:
    """What makes ``shell`` ask ``program`` itself, which knows the targets of the Pushfile."""
    kind = get_completion_class(shell)
    assert kind is not None, shell
    made = kind(None, {}, program, f"_{program.upper()}_COMPLETE")  # type: ignore[arg-type]  (no command is asked)
    return made.source_template % made.source_vars()


def bill(metadata: Any) -> str:
    """What pushkit is made of, by the wheel's metadata, as CycloneDX 1.6: https://cyclonedx.org/docs/1.6/json/."""
    core = metadata.core
    name, version = core.name, metadata.version
    own = f"pkg:pypi/{name}@{version}"
    found = dict(sorted(components(core)))
    record = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        # Of what it says, since the same wheel has the same.
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, f'{own} {sorted(found)}')}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": name,
                "version": version,
                "description": core.description,
                "licenses": [{"expression": core.license_expression}],
                "purl": own,
            }
        },
        "components": list(found.values()),
        "dependencies": [{"ref": own, "dependsOn": list(found)}, *({"ref": each} for each in found)],
    }
    return json.dumps(record, indent=2) + "\n"


def components(core: Any) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Each distribution that pushkit needs, or may, by its reference. Which version it is, who installs it decides."""
    wanted = {"": core.dependencies, **core.optional_dependencies}
    seen = set()
    for extra, requirements in wanted.items():
        for requirement in () if extra == "dev" else requirements:
            match = re.match(r"[\w.-]+", requirement)
            assert match, requirement
            name = re.sub(r"[-_.]+", "-", match[0]).lower()
            if name in seen:
                continue
            seen.add(name)
            said = [{"name": "pushkit:requirement", "value": requirement}]
            said += [{"name": "pushkit:extra", "value": extra}] if extra else []
            purl = f"pkg:pypi/{name}"
            yield (
                purl,
                {
                    "type": "library",
                    "bom-ref": purl,
                    "name": name,
                    "scope": "optional" if extra else "required",
                    "purl": purl,
                    "properties": said,
                },
            )
