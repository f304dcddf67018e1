"""``push secrets doctor``: look for what puts secrets at risk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from pushkit import pushfile
from pushkit.amount import counted
from pushkit.cli.check import finding_values
from pushkit.cli.secrets import leaks
from pushkit.cli.secrets.desk import Desk, desk, options
from pushkit.cli.secrets.take import tracked as is_tracked
from pushkit.cli.settings import Settings
from pushkit.cli.stdout import say
from pushkit.errors import PluginError, PushfileError, PushkitError, PushRefused, SecretError
from pushkit.events import redacted
from pushkit.git import git
from pushkit.model import Finding, Project, Severity
from pushkit.secrets import references
from pushkit.secrets.identity import others_can_read, own_file, ssh_keys
from pushkit.secrets.name import Name
from pushkit.secrets.secrets_file import FILE, SecretsFile
from pushkit.secrets.variables import FILE as KEY_FILE
from pushkit.secrets.variables import given
from pushkit.ui.jsonl import line as json_line
from pushkit.ui.text import visible

# So many places of one secret are named.
MOST = 5
# Files that are made to hold secrets in the clear.
NAMES = (
    ".env",
    ".env.*",
    ".netrc",
    ".pgpass",
    "*.pem",
    "*.p12",
    "*.pfx",
    "id_rsa",
    "id_ed25519",
    "id_ecdsa",
    "age.key",
)
HARMLESS = (".example", ".sample", ".dist", ".template", ".pub")


@click.command()
@options
@click.pass_obj
def command(settings: Settings) -> None:
    """Say what puts secrets at risk: plaintext in files or in the history of git, keys that others can read, recipients
    who left and what they know, secrets that not every recipient can read, references to none.

    Findings are lines of stdout; an error among them is exit code 3. Nothing is changed.
    """
    errors = 0
    with desk(settings) as at:
        for finding in (redacted(each, settings.redact) for each in examined(at)):
            say(json_line("finding", target="", **finding_values(finding)) if settings.json else shown(finding))
            errors += finding.severity is Severity.ERROR
    if errors:
        raise SecretError(f"{counted(errors, 'error')} in how secrets are kept")


def shown(finding: Finding) -> str:
    """A finding for people."""
    text = f"{finding.severity:<8} {visible(finding.subject)}: {visible(finding.message)}"
    return text + (f"\n{'':<8} hint: {visible(finding.hint)}" if finding.hint else "")


def examined(at: Desk) -> Iterator[Finding]:
    """Everything that is found, in the order in which a person would look."""
    project = pushfile.load(pushfile.find(at.settings.pushfile), select=None)
    values: dict[str, str] = {}
    if (at.root / FILE).exists():
        file = at.file()
        yield from of_file(at, file, values)
    else:
        file = SecretsFile(at.root / FILE)
        yield Finding(Severity.WARNING, FILE, "there is none", "push secrets init")
    yield from of_references(project, file)
    yield from of_files(project)
    yield from of_plaintext(project)
    yield from of_keys()
    if leaks.is_repository(at.root):
        yield from of_repository(at.root, values)
    else:
        yield Finding(Severity.WARNING, "git", "this is no git work tree: files and history were not looked at")
    count = counted(len(file.secrets), "secret")
    yield Finding(Severity.OK, FILE, f"{count}, {len(values)} of them decrypted and looked for")


def of_file(at: Desk, file: SecretsFile, values: dict[str, str]) -> Iterator[Finding]:
    """What is wrong with each secret. ``values`` are filled with those that can be read here."""
    now = {each.fingerprint for each in file.recipients.values()}
    for name in sorted(file.secrets):
        try:
            opened = at.open(file, name)
        except (SecretError, PushRefused) as error:
            yield Finding(Severity.ERROR, str(name), error.message, error.hint)
            continue
        values[str(name)] = opened.value
        missing = [each.name for each in file.recipients.values() if each.fingerprint not in opened.readers]
        if missing:
            yield Finding(
                Severity.WARNING, str(name), f"{', '.join(sorted(missing))} cannot read it", "push secrets rekey"
            )
        extra = [opened.seen[each] for each in opened.readers if each not in now]
        if extra:
            message = f"it is still encrypted for {', '.join(sorted(extra))}"
            yield Finding(Severity.WARNING, str(name), message, "push secrets rekey")
        if len(file.secrets[name]) > 1:
            yield Finding(Severity.WARNING, str(name), "a merge kept what two people did to it", "push secrets rekey")
        left = sorted(who for fingerprint, who in opened.seen.items() if fingerprint not in now)
        if left:
            yield Finding(
                Severity.WARNING,
                str(name),
                f"{', '.join(left)} knows it, and is no recipient any more",
                f"change it where it is used, then: push secrets set {name}",
            )


def of_references(project: Project, file: SecretsFile) -> Iterator[Finding]:
    """References to secrets that there are not."""
    tables = [("target", name, name, target.table) for name, target in project.targets.items()]
    tables += [("notify", name, "", notify.table) for name, notify in project.notify.items()]
    for kind, table, target, values in tables:
        for wanted in referred(values):
            if not {Name(target, wanted), Name("", wanted)} & set(file.secrets):
                message = f"[{kind}.{table}] refers to it, and {FILE} does not have it"
                yield Finding(Severity.ERROR, wanted, message, f"push secrets set {wanted}")


def of_files(project: Project) -> Iterator[Finding]:
    """Files that secrets come from and that others can read."""
    tables = [each.table for each in project.targets.values()] + [each.table for each in project.notify.values()]
    for name in dict.fromkeys(name for table in tables for name in referred(table, "file")):
        path = project.root / Path(name).expanduser()
        if not path.is_file():
            continue
        if others_can_read(path):
            yield Finding(Severity.WARNING, name, "others on this machine can read this secret", f"chmod 600 {path}")
        if is_tracked(path):
            hint = f"git rm --cached {name}, add it to .gitignore, and change what it holds"
            yield Finding(Severity.ERROR, name, "git has this file, and a secret is read from it", hint)


def referred(table: Mapping[str, Any], source: str = "secret") -> Iterator[str]:
    """What of ``source`` a table refers to. What is no reference is told of by whatever reads the table."""
    for _, text in references.texts(table):
        with suppress(PushkitError):
            parts = references.parse(text)
            yield from (each.argument for each in parts if not isinstance(each, str) and each.source == source)


def of_plaintext(project: Project) -> Iterator[Finding]:
    """Secrets that stand in the Pushfile."""
    for name, target in project.targets.items():
        try:
            plain = pushfile.plain_secrets(target)
        except (PluginError, PushfileError):
            continue
        for option in plain:
            yield Finding(
                Severity.ERROR,
                f"target.{name}.{option}",
                "it is written in the Pushfile, where everybody who has the project can read it",
                f'push secrets set {option}, then {option} = "${{secret:{option}}}"; and change it where it is used',
            )


def of_keys() -> Iterator[Finding]:
    """Private keys that others on this machine can read."""
    own = own_file()
    named = given(KEY_FILE)
    paths = [*([Path(named).expanduser()] if named else []), *([own] if own else []), *ssh_keys()]
    for path in dict.fromkeys(paths):
        if path.exists() and others_can_read(path):
            message = "others on this machine can read this private key"
            yield Finding(Severity.ERROR, str(path), message, f"chmod 600 {path}")


def of_repository(root: Path, values: Mapping[str, str]) -> Iterator[Finding]:
    """What git has that it should not have, and has not that it should."""
    if (root / FILE).exists() and not git(str(root), "ls-files", "--", FILE):
        yield Finding(Severity.WARNING, FILE, "it is not in source control, where it is made for", f"git add {FILE}")
    tracked = git(str(root), "ls-files", "-z", "--", *(f":(glob)**/{name}" for name in NAMES))
    for name in sorted(tracked.decode("utf-8", "surrogateescape").split("\0")):
        if name and not name.endswith(HARMLESS):
            hint = f"git rm --cached {name}, add it to .gitignore, and change what it holds"
            yield Finding(Severity.WARNING, name, "git has this file, and such files hold secrets", hint)
    patterns = leaks.Patterns(values)
    now = list(leaks.in_files(root, patterns))
    there = {(leak.what, leak.path) for leak in now}
    past = [leak for leak in leaks.in_history(root, patterns) if (leak.what, leak.path) not in there]
    yield from of_leaks(now, "change it where it is used, and take it out of the file")
    yield from of_leaks(past, "change it where it is used: whoever has a clone has it")


def of_leaks(found: list[leaks.Leak], hint: str) -> Iterator[Finding]:
    """A finding for each of what leaked, with the places."""
    for what in dict.fromkeys(leak.what for leak in found):
        places = [f"{each.path} ({each.commit})" if each.commit else each.path for each in found if each.what == what]
        more = f" and {len(places) - MOST} more" if len(places) > MOST else ""
        past = "the history of " if found[0].commit else ""
        # Tests have keys of their own that open nothing.
        severity = Severity.WARNING if what == leaks.KEY else Severity.ERROR
        yield Finding(severity, what, f"it stands in the clear in {past}{', '.join(places[:MOST])}{more}", hint)
