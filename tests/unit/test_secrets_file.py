"""The secrets file: what is in it can be read by its recipients, and can be neither moved nor changed unseen."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pushkit.errors import PluginError, PushfileError, PushRefused, SecretError
from pushkit.secrets import age, envelope, recipient
from pushkit.secrets.envelope import Envelope
from pushkit.secrets.identity import Identities
from pushkit.secrets.name import Name
from pushkit.secrets.recipient import Recipient
from pushkit.secrets.secrets_file import FILE, WHOLE, SecretsFile, Version
from pushkit.secrets.source import Lookup
from pushkit.secrets.sources.secret import value
from pushkit.secrets.variables import COMMAND, IDENTITY, KEY
from pushkit.secrets.variables import FILE as KEY_FILE
from pushkit.testing import Person

TOKEN = Name("", "token")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory without any key."""
    for variable in (*IDENTITY, "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home/.ssh").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture(params=["pyrage", "age"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way to do what age does, one after the other."""
    if request.param == "age":
        monkeypatch.setattr(age, "find_spec", lambda name: None)
    return str(request.param)


def made(root: Path, *names: str) -> tuple[SecretsFile, dict[str, str]]:
    """A file with recipients of these names, and their private keys."""
    keys = {name: age.generate() for name in names}
    file = SecretsFile(root / FILE)
    for name, (_, public) in keys.items():
        file = file.with_recipient(recipient.parse(name, public))
    return file, {name: secret for name, (secret, _) in keys.items()}


def opened(file: SecretsFile, name: Name = TOKEN, lookup: Lookup | None = None) -> str:
    keys = {each.key for each in file.recipients.values()}
    return file.open(name, Identities(lookup or Lookup(file.path.parent), keys)).value


def refusal(do: Callable[[], object]) -> str:
    with pytest.raises(SecretError) as caught:
        do()
    return f"{caught.value.message} / {caught.value.hint}"


def test_each_recipient_reads_what_is_kept_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    file, keys = made(tmp_path, "alice", "bob", "ci")
    file = file.with_secret(TOKEN, "hunter2\nand a second line")
    file.write()
    for secret in keys.values():
        monkeypatch.setenv(KEY, secret)
        assert opened(SecretsFile.read(tmp_path)) == "hunter2\nand a second line"
    monkeypatch.setenv(KEY, age.generate()[0])
    assert "the secret token (push.secrets.toml, line 10): it is not encrypted for PUSH_AGE_KEY" in refusal(
        lambda: opened(SecretsFile.read(tmp_path))
    )


def test_both_ways_read_what_the_other_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, keys = made(tmp_path, "alice")
    monkeypatch.setenv(KEY, keys["alice"])
    by_library = file.with_secret(TOKEN, "hunter2")
    monkeypatch.setattr(age, "find_spec", lambda name: None)
    assert opened(by_library) == "hunter2"
    by_program = file.with_secret(TOKEN, "hunter3")
    monkeypatch.undo()
    monkeypatch.setenv(KEY, keys["alice"])
    assert opened(by_program) == "hunter3"


def test_without_library_and_program_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(age, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PluginError) as caught:
        age.generate()
    assert "pip install 'pushkit[secrets]'" in caught.value.hint


def test_the_program_is_given_no_secret_in_its_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, keys = made(tmp_path, "alice")
    seen: list[str] = []
    run = subprocess.run

    def watched(argv: list[str], **more: Any) -> Any:
        seen.extend(argv)
        return run(argv, **more)

    monkeypatch.setattr(age, "find_spec", lambda name: None)
    monkeypatch.setattr(subprocess, "run", watched)
    monkeypatch.setenv(KEY, keys["alice"])
    assert opened(file.with_secret(TOKEN, "hunter2")) == "hunter2"
    assert "--decrypt" in seen
    assert not any("hunter2" in word or keys["alice"] in word for word in seen)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 1", "age could not encrypt: "),
        ("echo 'age: error: malformed recipient' >&2; exit 1", "age could not encrypt: error: malformed recipient"),
        ("sleep 600", "age did not end within 0.5 seconds"),
        (None, "cannot be started: Permission denied"),
    ],
)
def test_a_program_that_fails_or_hangs_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, words: str
) -> None:
    file, _ = made(tmp_path, "alice")
    directory = tmp_path / "bin"
    directory.mkdir()
    (directory / "age").write_text(f"#!/bin/sh\n{script}\n")
    (directory / "age").chmod(0o755)
    monkeypatch.setattr(age, "find_spec", lambda name: None)
    monkeypatch.setattr(age, "LIMIT", 0.5)
    monkeypatch.setenv("PATH", str(directory), prepend=":")
    if script is None:
        # It is found, and its interpreter is none that may be run.
        (directory / "age").write_text(f"#!{tmp_path}\n")
    assert words in refusal(lambda: file.with_secret(TOKEN, "hunter2"))


def test_a_key_that_only_looks_like_one_is_refused_by_the_library(tmp_path: Path) -> None:
    file = SecretsFile(tmp_path / FILE).with_recipient(recipient.parse("eve", f"age1{'q' * 58}"))
    assert "age does not take one of the recipients" in refusal(lambda: file.with_secret(TOKEN, "hunter2"))


# ---- what is done to the file


def test_a_ciphertext_that_was_put_in_the_place_of_another_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, keys = made(tmp_path, "alice")
    monkeypatch.setenv(KEY, keys["alice"])
    other, own = Name("", "other"), Name("production", "token")
    for name in (TOKEN, other, own):
        file = file.with_secret(name, f"the value of {name}")
    for wrong in (other, own):
        swapped = replace(file, secrets={**file.secrets, TOKEN: file.secrets[wrong]})
        said = refusal(lambda swapped=swapped: opened(swapped))  # type: ignore[misc]
        assert f"the secret token (push.secrets.toml): its ciphertext is that of {wrong}" in said
        assert "value of" not in said


@pytest.mark.parametrize("change", ["truncated", "cut", "flipped", "replaced", "emptied"])
def test_a_value_that_was_changed_is_refused_by_name_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, backend: str
) -> None:
    file, keys = made(tmp_path, "alice")
    monkeypatch.setenv(KEY, keys["alice"])
    armored = file.with_secret(TOKEN, "hunter2").secrets[TOKEN][0].armored
    lines = armored.splitlines(keepends=True)
    middle = len(lines) // 2
    flipped = ("A" if lines[-2][0] != "A" else "B") + lines[-2][1:]
    changed = {
        "truncated": armored[:-60],
        "cut": "".join(lines[:middle] + lines[middle + 1 :]),
        "flipped": "".join([*lines[:-2], flipped, lines[-1]]),
        "replaced": age.encrypt(b'{"pushkit": 1}', [each.key for each in file.recipients.values()]),
        "emptied": age.encrypt(b"", [each.key for each in file.recipients.values()]),
    }[change]
    replace(file, secrets={TOKEN: [Version(changed)]}).write()
    said = refusal(lambda: opened(SecretsFile.read(tmp_path)))
    assert said.startswith("the secret token (push.secrets.toml, line 6): it ")
    assert "hunter" not in said


def test_what_a_merge_left_is_told_with_its_line(tmp_path: Path) -> None:
    file, _ = made(tmp_path, "alice")
    text = file.with_secret(TOKEN, "hunter2").text()
    for damaged, line, words in [
        (text.replace("secrets.", "<<<<<<< ours\nsecrets."), 6, "a merge of two branches"),
        (f"{text}x", 7, "not TOML"),
        (f"{text}more.x = 1\n", 7, "unknown table"),
        (f"{text}secrets.empty = {{}}\n", 7, "expected a value that age has encrypted"),
        (text.replace('["-----BEGIN', '["-----'), 6, "expected a value that age has encrypted"),
        (text.replace("secrets.token", 'secrets."a b"'), 6, "a secret's name has"),
        (text.replace("age1", "age2"), 4, "expected a public key"),
        (f"{text}recipients.alice = 'age1'\n", 7, "not TOML"),
    ]:
        file.path.write_text(damaged)
        with pytest.raises(PushfileError) as caught:
            SecretsFile.read(tmp_path)
        (problem,) = caught.value.problems
        assert (problem.line, words in problem.message) == (line, True), problem


def test_what_two_people_did_to_one_secret_is_one_value_or_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, keys = made(tmp_path, "alice", "bob", "carol")
    alice, bob, carol = (file.recipients[name] for name in ("alice", "bob", "carol"))
    ours = SecretsFile(file.path, {"alice": alice, "bob": bob}).with_secret(TOKEN, "hunter2").secrets[TOKEN]
    theirs = SecretsFile(file.path, {"alice": alice, "carol": carol}).with_secret(TOKEN, "hunter2").secrets[TOKEN]
    monkeypatch.setenv(KEY, keys["alice"])
    replace(file, secrets={TOKEN: [*ours, *theirs]}).write()
    merged = SecretsFile.read(tmp_path)
    assert opened(merged) == "hunter2"
    known = merged.open(TOKEN, Identities(Lookup(tmp_path), ()))
    assert not merged.is_for_all(known)
    assert set(known.readers) == {alice.fingerprint}
    assert set(known.seen.values()) == {"alice", "bob", "carol"}
    once = merged.rekeyed(known)
    assert (len(once.secrets[TOKEN]), once.is_for_all(once.open(TOKEN, Identities(Lookup(tmp_path), ())))) == (1, True)
    monkeypatch.setenv(KEY, keys["bob"])
    assert "it is not encrypted for PUSH_AGE_KEY" in refusal(lambda: opened(merged))
    monkeypatch.setenv(KEY, keys["alice"])
    other = SecretsFile(file.path, {"alice": alice}).with_secret(TOKEN, "hunter3").secrets[TOKEN]
    said = refusal(lambda: opened(replace(file, secrets={TOKEN: [*ours, *other]})))
    assert "two branches gave it different values" in said
    assert "push secrets set token" in said
    assert "hunter" not in said


def test_a_version_that_another_one_replaced_does_not_come_back_with_a_merge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, keys = made(tmp_path, "alice")
    monkeypatch.setenv(KEY, keys["alice"])
    texts = []
    for number in range(4):
        file = file.with_secret(TOKEN, f"hunter{number}")
        texts.append(file.text())
    for other in texts[:3]:
        for both in (texts[3] + other, other + texts[3]):
            file.path.write_text(both)
            assert opened(SecretsFile.read(tmp_path)) == "hunter3"


def test_a_former_recipient_does_not_come_back_with_a_merge(tmp_path: Path) -> None:
    file, _ = made(tmp_path, "alice", "bob")
    without = file.without_recipient("bob")
    for both in (file.text() + without.text(), without.text() + file.text()):
        file.path.write_text(both)
        merged = SecretsFile.read(tmp_path)
        assert list(merged.recipients) == ["alice"]
        assert list(merged.left.values()) == ["bob"]
    again = without.with_recipient(file.recipients["bob"])
    assert again.text() == file.text(), "who asks for it by name gets them back"


def test_what_is_no_file_in_its_place_is_refused_and_waits_for_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE)
    with pytest.raises(SecretError, match="is no file"):
        SecretsFile.read(tmp_path)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).symlink_to("/dev/zero")
    with pytest.raises(SecretError, match="is no file"):
        SecretsFile.read(tmp_path)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).touch()
    os.truncate(tmp_path / FILE, WHOLE + 1)
    with pytest.raises(SecretError, match="is larger than 64 MiB"):
        SecretsFile.read(tmp_path)


@given(st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
@settings(max_examples=60, deadline=None)
def test_whatever_the_file_holds_is_read_or_refused(data: bytes) -> None:
    with scratch() as root:
        (root / FILE).write_bytes(data)
        try:
            SecretsFile.read(root)
        except (PushfileError, SecretError):
            return


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(max_examples=100, deadline=None)
def test_whatever_was_encrypted_is_a_secret_or_refused_without_its_content(data: bytes) -> None:
    with suppress(ValueError):
        assert envelope.from_bytes(data).name


def test_a_refused_envelope_is_told_without_its_content() -> None:
    for data in (b"hunter2", b'{"pushkit": 1, "name": "hunter2"}', b"\xffhunter2", b'{"pushkit": 2}', b"[]"):
        with pytest.raises(
            ValueError, match=r"^it (holds no secret of pushkit|was written by a newer pushkit)$"
        ) as caught:
            envelope.from_bytes(data)
        assert caught.value.__context__ is None


def test_an_envelope_whose_readers_nobody_knows_is_refused() -> None:
    """Anyone who has the project can make one."""
    sound = Envelope(TOKEN, "hunter2", ("a" * 16,), {"a" * 16: "alice"})
    assert envelope.from_bytes(sound.to_bytes()) == sound
    with pytest.raises(ValueError, match="it holds no secret"):
        envelope.from_bytes(replace(sound, readers=("b" * 16,)).to_bytes())


@contextmanager
def scratch() -> Iterator[Path]:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as directory:
        yield Path(directory)


def test_how_long_a_value_is_does_not_show() -> None:
    assert {len(Envelope(TOKEN, "x" * length, (), {}).to_bytes()) for length in (4, 9, 14)} == {envelope.BLOCK}


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, _ = made(tmp_path, "alice")
    file.write()
    before = file.path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pushkit.secrets.secrets_file.os.fsync", full)
    assert "No space left on device; it is as it was" in refusal(file.with_secret(TOKEN, "hunter2").write)
    assert file.path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == [FILE]


@pytest.mark.parametrize("value", ["", "abc"])
def test_a_value_too_short_to_be_hidden_is_refused(tmp_path: Path, value: str) -> None:
    file, _ = made(tmp_path, "alice")
    assert "fewer than 4 characters" in refusal(lambda: file.with_secret(TOKEN, value))


def test_a_value_too_long_to_be_kept_is_refused_with_the_way_to_keep_it(tmp_path: Path) -> None:
    file, _ = made(tmp_path, "alice")
    assert "over 1 MiB / refer to a file: ${file:PATH}" in refusal(
        lambda: file.with_secret(TOKEN, "é" * (1 << 19) + "x")
    )


def test_who_nobody_could_read_keeps_nothing(tmp_path: Path) -> None:
    assert "has no recipient / push secrets recipients add" in refusal(
        lambda: SecretsFile(tmp_path / FILE).with_secret(TOKEN, "hunter2")
    )


def test_a_file_that_is_missing_or_is_none_is_told(tmp_path: Path) -> None:
    assert "there is no push.secrets.toml beside the Pushfile / push secrets init" in refusal(
        lambda: SecretsFile.read(tmp_path)
    )
    (tmp_path / FILE).mkdir()
    assert "push.secrets.toml cannot be read: Is a directory" in refusal(lambda: SecretsFile.read(tmp_path))


def test_a_target_finds_its_own_secret_before_everybodys_and_none_of_another_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, keys = made(tmp_path, "alice")
    monkeypatch.setenv(KEY, keys["alice"])
    for name, text in ((TOKEN, "for all"), (Name("live", "token"), "for live"), (Name("live", "only"), "live only")):
        file = file.with_secret(name, text)
    file.write()
    assert [value("token", Lookup(tmp_path, target)) for target in ("live", "test", "")] == [
        "for live",
        "for all",
        "for all",
    ]
    assert "no secret only for test" in refusal(lambda: value("only", Lookup(tmp_path, "test")))
    assert 'did you mean "token"?' in refusal(lambda: value("tokn", Lookup(tmp_path, "test")))
    assert "names no target" in refusal(lambda: value("live/only", Lookup(tmp_path, "test")))


# ---- recipients and identities


def ssh_key(kind: str, passphrase: str = "") -> tuple[str, str]:
    """A private key as ssh-keygen writes it, and its public line."""
    key = ed25519.Ed25519PrivateKey.generate() if kind == "ssh-ed25519" else rsa.generate_private_key(65537, 2048)
    lock = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, lock)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} me@here"


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ssh-rsa"])
@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_a_key_of_ssh_reads_also_one_with_a_passphrase(
    tmp_path: Path, home: Path, kind: str, passphrase: str, backend: str
) -> None:
    private, public = ssh_key(kind, passphrase)
    path = home / ".ssh" / ("id_ed25519" if kind == "ssh-ed25519" else "id_rsa")
    path.write_text(private)
    file = SecretsFile(tmp_path / FILE).with_recipient(recipient.parse("me", public)).with_secret(TOKEN, "hunter2")
    person = Person({f"passphrase of {path}": passphrase})
    lookup = Lookup(tmp_path, "", person)
    assert [opened(file, lookup=lookup), opened(file, lookup=lookup)] == ["hunter2"] * 2
    assert len(person.asked) == bool(passphrase), "asked once at most"


def test_nobody_is_asked_for_the_passphrase_of_a_key_that_does_not_help(tmp_path: Path, home: Path) -> None:
    (home / ".ssh/id_ed25519").write_text(ssh_key("ssh-ed25519", "open sesame")[0])
    file, _ = made(tmp_path, "somebody")
    person = Person({})
    assert "there is no identity here" in refusal(
        lambda: opened(file.with_secret(TOKEN, "hunter2"), lookup=Lookup(tmp_path, "", person))
    )
    assert person.asked == []


def test_a_wrong_passphrase_is_told_and_nobody_to_ask_is_a_refusal(tmp_path: Path, home: Path) -> None:
    private, public = ssh_key("ssh-ed25519", "open sesame")
    (home / ".ssh/id_ed25519").write_text(private)
    file = SecretsFile(tmp_path / FILE).with_recipient(recipient.parse("me", public)).with_secret(TOKEN, "hunter2")
    person = Person({f"passphrase of {home}/.ssh/id_ed25519": "wrong"})
    assert "its passphrase is another one" in refusal(lambda: opened(file, lookup=Lookup(tmp_path, "", person)))
    with pytest.raises(PushRefused):
        opened(file)


def test_identities_are_looked_for_in_their_order(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, keys = made(tmp_path, "variable", "file", "command", "own")
    own = home / ".config/pushkit/age.key"
    own.parent.mkdir(parents=True)
    (tmp_path / "key").write_text(f"# a comment\n{keys['file']}\n")
    (tmp_path / "ask").write_text(f"#!/bin/sh\necho asked >>asked\necho {keys['command']}\n")
    (tmp_path / "ask").chmod(0o755)
    monkeypatch.setenv(COMMAND, "./ask")
    own.write_text(keys["own"])

    def only(name: str) -> SecretsFile:
        return SecretsFile(file.path, {name: file.recipients[name]}).with_secret(TOKEN, f"for {name}")

    lookup = Lookup(tmp_path)
    assert opened(only("own"), lookup=lookup) == "for own"
    assert opened(only("command"), lookup=lookup) == "for command"
    assert (tmp_path / "asked").read_text() == "asked\n"
    monkeypatch.setenv(KEY_FILE, str(tmp_path / "key"))
    assert opened(only("file"), lookup=lookup) == "for file"
    monkeypatch.setenv(KEY, keys["variable"])
    assert opened(only("variable"), lookup=lookup) == "for variable"
    # Those before are not in the way of those after.
    assert opened(only("own"), lookup=lookup) == "for own"


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        (KEY, "nonsense", "PUSH_AGE_KEY: this is no private key that age takes"),
        (KEY_FILE, "/nowhere/key", "PUSH_AGE_KEY_FILE (/nowhere/key) cannot be read: No such file"),
        (COMMAND, "false", "the command `false` failed with exit code 1"),
    ],
)
def test_an_identity_that_was_asked_for_and_is_none_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, words: str
) -> None:
    file, _ = made(tmp_path, "alice")
    monkeypatch.setenv(variable, text)
    assert words in refusal(lambda: opened(file.with_secret(TOKEN, "hunter2")))


def test_a_file_that_was_named_and_is_no_key_is_told(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, _ = made(tmp_path, "alice")
    file = file.with_secret(TOKEN, "hunter2")
    path = tmp_path / "key"
    monkeypatch.setenv(KEY_FILE, str(path))
    for content, words in [
        (b"\xff\xfe", "is not text"),
        (b"x" * 100_000, "is too long for a private key"),
        (ssh_key("ssh-ed25519")[0].encode(), "is none of the recipients' keys"),
    ]:
        path.write_bytes(content)
        assert f"PUSH_AGE_KEY_FILE ({path}) {words}" in refusal(lambda: opened(file))
    # The same file, where somebody's own public key is asked for.
    mine = Identities(Lookup(tmp_path), ())
    path.write_bytes(b"\xff\xfe")
    assert f"PUSH_AGE_KEY_FILE ({path}) cannot be read: it is not text" in refusal(mine.public)
    path.write_text("AGE-SECRET-KEY-1NONE\n")
    assert f"PUSH_AGE_KEY_FILE ({path}): this is no private key that age takes" in refusal(mine.public)


def test_who_gives_no_passphrase_is_asked_twice_and_told(tmp_path: Path, home: Path) -> None:
    private, public = ssh_key("ssh-ed25519", "open sesame")
    (home / ".ssh/id_ed25519").write_text(private)
    file = SecretsFile(tmp_path / FILE).with_recipient(recipient.parse("me", public)).with_secret(TOKEN, "hunter2")
    asked: list[str] = []

    def silent(question: str) -> str:
        asked.append(question)
        return ""

    assert "it could not be opened" in refusal(lambda: opened(file, lookup=Lookup(tmp_path, "", silent)))
    assert asked == [f"passphrase of {home}/.ssh/id_ed25519"] * 2


def test_a_private_key_is_hidden_from_when_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, keys = made(tmp_path, "alice")
    hidden: list[str] = []
    monkeypatch.setenv(KEY, keys["alice"])
    lookup = Lookup(tmp_path, hide=lambda name, value: hidden.append(value))
    opened(file.with_secret(TOKEN, "hunter2"), lookup=lookup)
    assert hidden == [keys["alice"]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("AGE-SECRET-KEY-1ABC", "that is a private key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nx", "that is a private key"),
        ("age1short", "expected a public key"),
        ("ssh-dss AAAA", "expected a public key"),
        ("ssh-ed25519 AAAA", "no whole key of ssh-ed25519"),
        ("ssh-rsa !!", "no whole key of ssh-rsa"),
        ("ssh-ed25519 A\nssh-rsa B", "several lines"),
        ("", "expected a public key"),
    ],
)
def test_what_is_no_public_key_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        recipient.parse("alice", text)
    assert "AGE-SECRET" not in str(caught.value)


def test_the_comment_of_a_key_is_nothing_of_it() -> None:
    _, public = ssh_key("ssh-ed25519")
    assert recipient.parse("me", public) == Recipient("me", public.removesuffix(" me@here"))
