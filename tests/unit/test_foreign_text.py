"""Whatever a file, a target or a tool says, it is read or refused in plain words: no crash, no hang, no way out."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangled import mangled, mangled_text, tried
from pushkit import Kind, Problem, Project, PushfileError, PushkitError, Run, Target, archive, index, manifest, pushfile
from pushkit.blobs import unpack as unpack_blobs
from pushkit.cli import vagrantfile
from pushkit.cli.conversion import converted
from pushkit.files import exchange, journal
from pushkit.files.collected import collected
from pushkit.files.errors import RemoteError
from pushkit.files.history import good_in
from pushkit.files.journal import Journal, Renaming
from pushkit.files.log import entry_of, read_log
from pushkit.files.place import MIRROR, STATE
from pushkit.files.place import SWAP as SWAPPED
from pushkit.files.scripts import ALL, MARKER, Shell
from pushkit.files.shell import ShellRemote, ShellResult, shell_of, told
from pushkit.files.stat import Found, Stat, number_in
from pushkit.files.survey import Survey
from pushkit.files.ticket import RECORD, Ticket, read_ticket
from pushkit.fleet import command as command_source
from pushkit.fleet import dns as dns_source
from pushkit.fleet import file as file_source
from pushkit.fleet.host import HOST
from pushkit.fleet.source import listed, problem
from pushkit.gittree import Gittree
from pushkit.ignore import Filter, parse
from pushkit.model import Entry, Host, Release, Revision
from pushkit.reader import KEY
from pushkit.secrets.age import BEGIN, END
from pushkit.secrets.redaction import Redactor
from pushkit.secrets.secrets_file import FILE, SecretsFile
from pushkit_dir.remote import LocalRemote

EXAMPLE = Path(__file__).parents[2] / "Pushfile.example"
ID, BEFORE = "000042-20261122T193012Z-4f2a91c", "000041-20261121T080000Z-0c0ffee-dirty"
NOW = datetime(2026, 11, 22, 19, 30, 12, tzinfo=UTC)
RELEASE = Release(ID, Revision("4f2a91c" + "0" * 33, False, "ab" * 32), NOW, "ada@lovelace")
DIGEST = bytes(range(32))
ENTRIES = [
    Entry("css", Kind.DIRECTORY, 0o755),
    Entry("css/site.css", Kind.FILE, 0o644, 21, DIGEST),
    Entry("index.html", Kind.FILE, 0o644, 12345678901, DIGEST),
    Entry("link", Kind.SYMLINK, 0o777, link="css/site.css"),
]
TICKET = Ticket(42, RELEASE, BEFORE, "push", "ada@lovelace", NOW, "0" * 32, 4711, after=True)
OUTCOME = b'{"outcome": "good", "ended": "2026-11-22T19:30:12+00:00"}\n'
LOG = (
    b'{"number": 42, "ended": "2026-11-22T19:30:12+00:00", "who": "ada@lovelace", "why": "push", "release": "42", '
    b'"previous": "", "outcome": "good", "size": 8071, "phases": [["connect", 0, 0.31], ["switch", 2.5, 0.2, "web1"]], '
    b'"at": 0.52, "laps": "start 9120.31 send 9121.07 switch 9121.31 ", "output": ["after_switch: no such unit"]}'
)


def run_in(directory: Path) -> Run:
    """What a host source gets of the world."""
    target = Target("web", "sftp")
    return Run(
        project=Project("blog", directory / "Pushfile", directory, ".", (), "web", {"web": target}),
        target=target,
        emit=lambda event: None,
        cancelled=threading.Event(),
        scratch=directory,
        person="ada@lovelace",
        redact=Redactor(),
        environment={"PATH": "/usr/bin:/bin"},
    )


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory for one sample."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


# What stands beside a project.


@tried(60)
@given(
    mangled(EXAMPLE.read_bytes(), b'[target.web]\nstrategy = "dir"\npath = "/srv/x"\n\n[notify.a]\nobserver = "log"\n')
)
def test_a_pushfile_is_read_or_every_problem_has_a_line_and_words(content: bytes) -> None:
    with scratch() as root:
        file = root / "Pushfile"
        file.write_bytes(content)
        problems: list[Problem] = []
        try:
            for name in pushfile.load(file, None).targets:
                with suppress(PushkitError):
                    pushfile.load(file, [name])
        except PushfileError as error:
            problems += error.problems
        assert all(each.line >= 0 and each.message for each in problems)


ARMORED = f"{BEGIN}YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBh\n{END}"
SECRETS = (
    f"recipients.ada = 'age1{'q' * 58}'\n\nleft.{'a' * 16} = 'bob'\n\n"
    f'secrets."production/ftp.password".0123456789ab = ["""{ARMORED}""", "{"b" * 12}"]\n\n'
    f'secrets.token.0123456789ac = ["""{ARMORED}"""]\n'
)


@tried(150)
@given(mangled(SECRETS.encode()))
def test_a_secrets_file_is_read_or_refused(content: bytes) -> None:
    with scratch() as root:
        (root / FILE).write_bytes(content)
        with suppress(PushkitError):
            assert SecretsFile.read(root).text()


@tried(60)
@given(mangled(b"*.log\n!keep.log\n/build/\n**/x/[a-z]?\\ \n# no\na/**/b\n"), st.sampled_from(["a", "a/b", "x" * 200]))
def test_ignore_rules_are_read_whatever_they_are(content: bytes, path: str) -> None:
    rules = parse(content, b"", ".gitignore")
    matched = {rule.line for rule in rules if rule.matches(path.encode(), is_directory=True)}
    assert matched <= set(range(1, content.count(b"\n") + 2))
    assert set(Filter(rules).candidates([path])) <= {path}


WEB = '[target.web]\nstrategy = "sftp"\nhost = "web1"\npath = "/srv/x"\n'


@pytest.mark.parametrize(
    ("value", "line", "words"),
    [
        pytest.param("1" * 5000, 0, "an integer has more than 64 bits", id="an integer without end"),
        pytest.param("0x" + "f" * 5000, 5, "an integer has more than 64 bits", id="a hexadecimal one"),
        pytest.param(str(1 << 63), 5, "an integer has more than 64 bits", id="one bit too many"),
        pytest.param("[" * 60 + "]" * 60, 5, "tables and lists are nested too deeply", id="lists in lists"),
        pytest.param("[" * 300 + "]" * 300, 0, "tables and lists are nested too deeply", id="too many for a scanner"),
        pytest.param("[" * 5000 + "]" * 5000, 0, "tables and lists are nested too deeply", id="too many for Python"),
        pytest.param('"a\\u0000b"', 5, "a NUL is part of no name, path or command", id="a NUL"),
    ],
)
def test_what_nobody_can_work_with_is_told_with_its_line(value: str, line: int, words: str) -> None:
    text = f"{WEB}port = {value}\n"
    with pytest.raises(PushfileError) as caught:
        pushfile.parse(text, Path("/blog/Pushfile"))
    ((found, _, message, _),) = caught.value.problems
    assert (found, message) == (line, words)
    with scratch() as root:
        (root / FILE).write_text(text)
        with pytest.raises(PushfileError, match="1 problem"):
            SecretsFile.read(root)


VAGRANTFILE = """\
Vagrant.configure("2") do |config|
  config.push.define "ftp" do |push|
    push.host = "ftp.example.com"
    push.password = ENV.fetch("PASSWORD")
    push.exclude "*.log"
    push.includes = ["a", 'b',
      "c"]
    push.excludes = %w[one two]
    if ENV["X"]
      push.secure = true
    end
  end
  config.push.define "exec", strategy: "local-exec" do |push|
    push.inline = <<-SCRIPT
      scp -r . server:/var/www
    SCRIPT
    push.args = "a #{b}"
  end
end
"""


@tried(150)
@given(mangled_text(VAGRANTFILE))
def test_a_vagrantfile_is_converted_to_a_pushfile_that_can_be_read(text: str) -> None:
    for push in vagrantfile.read(text).pushes:
        made = converted(push, "web")
        if made.strategy:
            with suppress(PushfileError):
                assert pushfile.parse(made.text() + "\n", Path("/blog/Pushfile"), None).targets


@pytest.mark.parametrize(
    "text",
    [
        'c.push.define "a" do |p|\n  p.includes = [' + '"a"   ' * 60 + "x]\nend",
        'c.push.define "a" do |p|\n  p.includes = [\n' + '"a",\n' * 20_000,
        'c.push.define "a" do |p|\n  p.host = ' + "\"'" * 5000 + "\nend",
        "c" * 50_000 + '.push.define "a" do |p|',
    ],
)
def test_no_vagrantfile_takes_long(text: str) -> None:
    with at_most(5):
        vagrantfile.read(text)


# What lies on a target.


@tried(200)
@given(mangled(manifest.body(ENTRIES)))
def test_a_manifest_has_only_paths_within_the_tree(body: bytes) -> None:
    with suppress(ValueError):
        for entry in manifest.decode(manifest.sealed(body)):
            inside(entry.path)


def test_a_manifest_of_one_path_of_many_parts_does_not_take_long() -> None:
    body = b"d755\0" + b"a/" * 400_000 + b"a\0\0\0"
    with at_most(5), pytest.raises(ValueError, match="too long"):
        manifest.decode(manifest.sealed(body))


@tried(200)
@given(mangled(TICKET.record()), mangled(OUTCOME))
def test_a_ticket_is_read_as_far_as_it_is_sound(record: bytes, outcome: bytes) -> None:
    found = read_ticket(42, {RECORD: record, "end": b"", "end/outcome.json": outcome}, 1.0)
    assert found.number == 42
    assert found.ended
    assert found.holder
    assert found.release is None or found.record()


JOURNAL = Journal(
    ID, BEFORE, [("a", 0o755)], [Renaming("b/c", ["b/d"], ["b/e"])], ["x/y"], ["x"], [("a", 0o555)]
).encode()


@tried(200)
@given(mangled(JOURNAL.partition(b"\n")[2]))
def test_a_journal_has_only_paths_within_the_tree(body: bytes) -> None:
    with suppress(ValueError):
        found = journal.decode(journal.MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
        for path in found.paths:
            inside(path)
        assert journal.decode(found.encode()) == found
        assert isinstance(found.operations("tree"), list)


@tried(100)
@given(mangled(exchange.Exchange(ID, BEFORE, f"{SWAPPED.stage(ID)}/tree").encode()))
def test_the_record_of_an_exchange_leads_nowhere_else(content: bytes) -> None:
    with suppress(ValueError):
        found = exchange.decode(content)
        for path in (found.source, *filter(None, [found.previous])):
            inside(path)


@tried(200)
@given(mangled(LOG))
def test_a_line_of_a_log_is_read_or_counted_as_damaged(line: bytes) -> None:
    entry = entry_of(line)
    assert entry is None or (entry.number > 0 and entry.size >= 0 and all(each.seconds >= 0 for each in entry.phases))


@tried(40)
@given(mangled(LOG + b"\n" + LOG.replace(b"42", b"43") + b"\n"))
def test_a_log_is_read_whatever_its_lines_are(content: bytes) -> None:
    with scratch() as root:
        (root / MIRROR.name).mkdir()
        (root / MIRROR.name / "log").write_bytes(content)
        entries, damaged = read_log(LocalRemote(root), MIRROR)
        assert len(entries) + damaged <= len(content.splitlines())


@tried(100)
@given(mangled(b"000042\n", b" 7 "))
def test_a_number_in_a_file_of_a_target_is_one_or_none(content: bytes) -> None:
    assert number_in(content) >= 0


def survey(state: dict[str, bytes]) -> Survey:
    found = {path: Found(Stat(path.rpartition("/")[2], Kind.FILE, 0o644, len(x)), x) for path, x in state.items()}
    for path in list(found):
        for at, letter in enumerate(path):
            if letter == "/":
                found.setdefault(path[:at], Found(Stat(path[:at].rpartition("/")[2], Kind.DIRECTORY, 0o755, 0)))
    return Survey("/srv/blog", STATE, {"": Found(Stat("", Kind.DIRECTORY, 0o755, 0)), **found})


@tried(100)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["format", "fence", "hold", "live", "pushes", "incoming", "manifests"]),
            mangled(b"/000042/ticket.json", f"/{ID}".encode(), b""),
        ),
        max_size=6,
    ),
    mangled(b"1", b"000042", TICKET.record(), ID.encode(), b'{"who": "ada", "when": "now", "why": ""}'),
)
def test_what_a_target_holds_is_read_with_care(places: list[tuple[str, bytes]], content: bytes) -> None:
    there = survey({f".push/{name}{rest.decode('utf-8', 'surrogateescape')}": content for name, rest in places})
    with suppress(PushkitError):
        there.check()
    assert there.last >= there.fence >= 0
    assert there.hold is None or there.hold.who
    assert all(each.number >= 0 for each in there.tickets)
    good_in(there, there.named_live)
    with suppress(ValueError):
        there.entries(ID)


# What tools say, here and there.


def tape(*entries: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as made:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return out.getvalue()


TAR = tape((".push/format", b"1\n"), (".push/pushes/000042/ticket.json", TICKET.record()), ("x" * 120, b"long"))
LOOKED = f"d .\nd .push\nl current\nk {'ab' * 32} .push/manifests/{ID}\nd releases/{ID}\ns 123456\n\n".encode()


@tried(200)
@given(mangled(LOOKED), mangled(TAR))
def test_what_a_script_collects_is_read_or_refused(lines: bytes, packed: bytes) -> None:
    for output in (lines + packed + f"{ALL}\n".encode(), lines + packed):
        with suppress(RemoteError):
            found, free = collected(output, "/srv/blog", ["ab" * 32])
            assert free is None or free >= 0
            assert all(isinstance(each, Found) for each in found.values())


@pytest.mark.parametrize(
    ("head", "size"),
    [
        pytest.param({}, -512, id="goes back"),
        pytest.param({"GNU.sparse.major": "1", "GNU.sparse.realsize": str(1 << 60)}, 0, id="is full of holes"),
        pytest.param({"mtime": "inf"}, 0, id="never"),
        pytest.param({"mtime": "nan"}, 0, id="no time"),
    ],
)
def test_an_archive_that_lies_is_refused_and_takes_no_time(head: dict[str, str], size: int) -> None:
    info = tarfile.TarInfo("a")
    info.pax_headers = head
    block = info.tobuf(tarfile.PAX_FORMAT)
    if size:
        # A number below 0, as GNU tar writes what has too many digits.
        block = block + checked(block[:124] + (size & ((1 << 96) - 1)).to_bytes(12, "big") + block[136:])
    with at_most(5), pytest.raises(ValueError):  # noqa: PT011  (in whose words does not matter)
        archive.members(block + bytes(1024))


def test_an_archive_of_nothing_but_long_names_is_refused() -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2
    one = info.tobuf(tarfile.GNU_FORMAT) + b"a\0".ljust(512, b"\0")
    with pytest.raises(ValueError, match=r"."):
        archive.members(one * 5000 + bytes(1024))


def checked(block: bytes) -> bytes:
    """A header with the checksum that it should have."""
    blank = block[:148] + b" " * 8 + block[156:512]
    return block[:148] + b"%06o\0 " % sum(blank) + block[156:]


@tried(100)
@given(mangled(f"{MARKER}\ntar\nrm\nsha256sum\nhome /root\n".encode()), st.integers(-9, 255))
def test_what_a_shell_has_is_read_or_it_is_none(said: bytes, code: int) -> None:
    shell_of(ShellResult(code, said, b""))


@tried(100)
@given(mangled(b"tar: ./a: Cannot open: No space left on device\n", b"sh: 1: cannot create x: Permission denied\n"))
def test_what_a_tool_says_went_wrong_is_told(said: bytes) -> None:
    assert told("/srv/blog", ShellResult(1, b"", said)).message.startswith("/srv/blog: ")


DF = b"Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 1000 500 500 50% /\n"


class Saying(ShellRemote, LocalRemote):
    """A target whose scripts print what they are told to."""

    shell = Shell(frozenset({"df", "gnu-cp", "grep", "sed", "sha256sum", "tar", "xargs-0"}))
    said = b""

    def run_script(
        self, script: str, stdin: Iterable[bytes], failed: Callable[[bytes], bool], patience: float
    ) -> ShellResult:
        return ShellResult(0, f"{MARKER}\n".encode() + self.said, b"")

    def stream_script(self, *_: object) -> int | None:
        return 0


@tried(100)
@given(mangled(DF, b"yes\n", b"closed\n", b"fd", f"{'ab' * 32}  -\n".encode(), f"{'ab' * 32}  ./a\n".encode()))
def test_what_df_and_sha256sum_print_is_read_or_refused(said: bytes) -> None:
    with scratch() as root:
        remote = Saying(root)
        remote.said = said
        questions: list[Callable[[], object]] = [
            remote.free_space,
            lambda: remote.verify("", ENTRIES),
            lambda: remote.kinds(["a", "b"]),
            lambda: remote.shares_copies(""),
            remote.obstacle,
        ]
        for ask in questions:
            with suppress(RemoteError):
                ask()
        with suppress(RemoteError):
            assert (remote.free_space() or 0) >= 0
            assert remote.verify("", ENTRIES), "no digest is that of files that are not there"


LISTING = (
    b"100644 blob 78981922613b2afb6025042ff6bd878ac1994e85\ta\0"
    b"120000 blob 78981922613b2afb6025042ff6bd878ac1994e85\tlink\0"
    b"040000 tree 78981922613b2afb6025042ff6bd878ac1994e85\tcss\0"
    b"100755 blob 78981922613b2afb6025042ff6bd878ac1994e85\tcss/site.css\0"
)


@tried(150)
@given(mangled(LISTING))
def test_what_git_lists_is_a_tree_or_refused(said: bytes) -> None:
    def git(root: str, *arguments: str, **_: object) -> bytes:
        return said if arguments[0] == "ls-tree" else b"/srv/blog/.git\n"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pushkit.gittree.git", git)
        with suppress(PushkitError):
            tree = Gittree("/srv/blog", "HEAD", "", [], threading.Event())
            for directory, items in tree._items.items():
                for name in items:
                    inside(f"{directory}/{name}" if directory else name)


# What hosts there are.

HOSTS = "web[01-04].example.com blue eu-1 # two\ndeploy@web5:2222\n[::1]:22\n"
JSON_HOSTS = '["web1", {"host": "deploy@web2:22", "pool": "blue", "zone": "eu-1"}, "web[3-5]"]'


def sound(host: Host) -> None:
    """A host whose name can be part of a command line and of a URL."""
    assert HOST.fullmatch(host.in_url)
    assert not host.name.startswith("-")
    assert not host.user.startswith("-")
    assert 0 <= host.port <= 65535


@tried(150)
@given(mangled_text(HOSTS, JSON_HOSTS))
def test_a_list_of_hosts_has_only_hosts(text: str) -> None:
    with suppress(PushkitError):
        for host in file_source.read(text, "hosts"):
            sound(host)


@tried(100)
@given(mangled_text("web[01-24].example.com", "file:hosts", "web*", "deploy@[::1]:2222"))
def test_a_host_of_a_pushfile_is_one_or_there_are_words_why_not(text: str) -> None:
    with scratch() as root:
        if not problem(text) and not text.startswith("command:"):
            with suppress(PushkitError):
                for host in listed([text], run_in(root)):
                    sound(host)


@tried(60)
@given(mangled_text("hosts", "~nobody/hosts", "/etc/../hosts"))
def test_a_file_of_hosts_that_cannot_be_is_told_of(name: str) -> None:
    with scratch() as root, pytest.raises(PushkitError):
        file_source.hosts(f"missing-{name}" if not name.startswith("~") else name, run_in(root))


@tried(15)
@given(mangled(HOSTS.encode(), JSON_HOSTS.encode()))
def test_what_a_command_prints_is_hosts_or_refused(printed: bytes) -> None:
    with scratch() as root:
        (root / "said").write_bytes(printed)
        with suppress(PushkitError):
            for host in command_source.hosts("cat said", run_in(root)):
                sound(host)


@tried(100)
@given(mangled_text("web1.example.com.", "10.0.0.1", "fe80::1%eth0"), st.integers(0, 1 << 17))
def test_a_record_of_dns_is_a_host_or_refused(text: str, port: int) -> None:
    service = type("Record", (), {"target": text, "port": port, "address": text})()
    for kind in ("SRV", "A"):
        with suppress(ValueError):
            sound(dns_source.of_record(service, kind))


# What is kept on this machine.


@tried(100)
@given(mangled(b"".join(index.pack(b"", {b"": index.Block(b"a\0b", bytes(2 * KEY), bytes(64))}))[index.LENGTHS.size :]))
def test_a_stat_cache_that_is_none_is_as_good_as_an_empty_one(body: bytes) -> None:
    with scratch() as root, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        project = root / "project"
        project.mkdir()
        there = os.fsencode(os.path.realpath(project))
        file = index.cache_file("index", there)
        index.write(file, index.MAGIC, *index.pack(there, {}), body)
        found = index.Index(str(project))
        list(found.directories())
        assert len(found.look("", b"a\0b\0c", bytes(3 * KEY))) == 3
        found.save()


@tried(100)
@given(mangled(bytes([20]) + bytes(20 + 41)))
def test_a_cache_of_blobs_that_is_none_is_as_good_as_an_empty_one(body: bytes) -> None:
    assert all(each.size >= 0 for each in unpack_blobs(body).values())


def inside(path: str) -> None:
    """Assert that a path is one within a tree, and can be the name of a file."""
    assert path
    assert not path.startswith("/")
    assert "\0" not in path
    assert {"", ".", ".."}.isdisjoint(path.split("/"))
    os.fsencode(path)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fail when it takes longer; what hangs is ended by whoever runs the tests."""
    began = datetime.now(UTC)
    yield
    assert (datetime.now(UTC) - began).total_seconds() < seconds
