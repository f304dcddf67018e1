"""The AppSpec: what is valid, and for what is not the line and the reason."""

# ruff: noqa: E501  (tables, a row a line)

from __future__ import annotations

import json
import time
from textwrap import dedent

import pytest

from pushkit_aws.appspec import AppSpec, AppSpecError, Behavior, Platform, emit, load

SERVER = """\
version: 0.0
os: linux
files:
  - source: /
    destination: /var/www/html
permissions:
  - object: /var/www/html
    pattern: "*.sh"
    except: [setup.sh]
    owner: root
    group: www-data
    mode: "0755"
    type: [file]
    acls: ["u:deploy:rwx", "m:5", "d:g:www:r"]
    context: {user: system_u, type: httpd_sys_content_t, range: "s0-s3:c0.c4,c9"}
hooks:
  BeforeInstall:
    - location: scripts/install_dependencies
      timeout: 300
      runas: root
  ApplicationStop:
  ValidateService:
    - location: scripts/check
"""


def server(text: str) -> AppSpec:
    return load(dedent(text).encode(), "appspec.yml", "server")


def problems(text: str, platform: Platform = "server") -> list[str]:
    """Every problem as LINE path: message; hint."""
    with pytest.raises(AppSpecError) as caught:
        load(dedent(text).encode(), "appspec.yml", platform)
    assert caught.value.file == "appspec.yml"
    return [f"{each.line} {each.path}: {each.message}; {each.hint}" for each in caught.value.problems]


def only(text: str, platform: Platform = "server") -> str:
    (problem,) = problems(text, platform)
    return problem


def test_everything_that_an_appspec_of_a_server_may_say_is_read() -> None:
    spec = server(SERVER)
    assert (spec.os, spec.file_exists_behavior, spec.warnings) == ("linux", None, ())
    assert [(file.source, file.destination) for file in spec.files] == [("/", "/var/www/html")]
    (permission,) = spec.permissions
    assert (permission.pattern, permission.excepts, permission.types) == ("*.sh", ("setup.sh",), ("file",))
    assert (permission.owner, permission.group, permission.mode) == ("root", "www-data", "0755")
    assert [str(entry) for entry in permission.acls] == ["user:deploy:rwx", "mask::r-x", "default:group:www:r--"]
    assert permission.context
    assert (permission.context.user, permission.context.range) == ("system_u", "s0-s3:c0.c4,c9")
    assert {event: [hook.location for hook in hooks] for event, hooks in spec.hooks.items()} == {
        "BeforeInstall": ["scripts/install_dependencies"],
        "ValidateService": ["scripts/check"],
    }
    hook, check = spec.hooks["BeforeInstall"][0], spec.hooks["ValidateService"][0]
    assert (hook.timeout, hook.runas, check.timeout, check.runas) == (300, "root", 3600, "")


HEAD = "version: 0.0\nos: linux\n"

# What is wrong, and the line and the words by which it is told.
WRONG = {
    "": "0 : it is empty",
    "# a remark\n": "0 : it is empty",
    "- version: 0.0\n": "1 : a mapping is expected, not a list",
    "os: linux\n": "1 version: is missing",
    'version: "0.0"\nos: linux\n': "1 version: is the text '0.0'; write it without quotes",
    "version: 1.0\nos: linux\n": "1 version: is '1.0'",
    "version: true\nos: linux\n": "1 version: is 'true'",
    "version: 0.0\n": "1 os: is missing",
    "version: 0.0\nos: Linux\n": "2 os: is 'Linux'; write it in lower case",
    "version: 0.0\nos: beos\n": "2 os: is 'beos'",
    HEAD + "file_exists_behavior: overwrite\n": "3 file_exists_behavior: is 'overwrite'; write it in upper case",
    HEAD + "file_exists_behavior: MERGE\n": "3 file_exists_behavior: is 'MERGE'; it is one of DISALLOW",
    HEAD + "files:\n  source: /\n": "4 files: a list is expected here, not a mapping",
    HEAD + "files:\n  - source: /\n": "4 files[0].destination: is missing",
    HEAD + "files:\n  - destination: /a\n    source:\n": "5 files[0].source: is missing",
    HEAD + "files:\n  - source: a/../../b\n    destination: /b\n": "4 files[0].source: 'a/../../b' leads out",
    HEAD + "files:\n  - source: [a]\n    destination: /b\n": "4 files[0].source: text is expected here, not a list",
    HEAD + "hooks:\n  - BeforeInstall\n": "4 hooks: a mapping is expected here, not a list",
    HEAD + "hooks:\n  Beforeinstall:\n    - location: a\n": '5 hooks.Beforeinstall: is no lifecycle event; did you mean "BeforeInstall"',
    HEAD + "hooks:\n  Install:\n    - location: a\n": "5 hooks.Install: is an event that takes no scripts",
    HEAD + "hooks:\n  AfterInstall:\n    location: a\n": "5 hooks.AfterInstall: a list is expected",
    HEAD + "hooks:\n  AfterInstall:\n    - timeout: 3\n": "5 hooks.AfterInstall[0].location: is missing",
    HEAD + "hooks:\n  AfterInstall:\n    - location: a\n      timeout: 0\n": "6 hooks.AfterInstall[0].timeout: is '0'",
    HEAD + "hooks:\n  AfterInstall:\n    - location: a\n      timeout: 1.5\n": "6 hooks.AfterInstall[0].timeout: is '1.5'",
    HEAD + "hooks:\n  AfterInstall:\n    - location: a\n      timeout: soon\n": "6 hooks.AfterInstall[0].timeout: is 'soon'",
    HEAD + "hooks:\n  AfterInstall:\n    - location: ../a\n": "5 hooks.AfterInstall[0].location: '../a' leads out",
    HEAD + "hooks:\n  AfterInstall:\n    - {location: a, runas: -c}\n": "5 hooks.AfterInstall[0].runas: '-c' is no name",
    "version: 0.0\nos: windows\npermissions:\n  - object: a\n": "4 permissions: are of Linux, and os is windows",
    HEAD + "permissions:\n  - mode: '644'\n": "4 permissions[0].object: is missing",
    HEAD + "permissions:\n  - object: /a\n    mode: 0755\n": '5 permissions[0].mode: YAML reads 0755 as the number 493, which is no mode; quote it: mode: "0755"',
    HEAD + "permissions:\n  - object: /a\n    mode: 778\n": "5 permissions[0].mode: is '778'; one to four octal digits",
    HEAD + "permissions:\n  - object: /a\n    mode: '07555'\n": "5 permissions[0].mode: is '07555'",
    HEAD + "permissions:\n  - object: /a\n    mode: rwx\n": "5 permissions[0].mode: is 'rwx'",
    HEAD + "permissions:\n  - object: /a\n    type: file\n": "5 permissions[0].type: a list is expected here, not 'file'",
    HEAD + "permissions:\n  - object: /a\n    type: [dir]\n": "5 permissions[0].type[0]: is 'dir'",
    HEAD + "permissions:\n  - object: /a\n    acls: ['u::rwx']\n": "5 permissions[0].acls[0]: 'u::rwx' is what the mode is for",
    HEAD + "permissions:\n  - object: /a\n    acls: ['o:rx']\n": "5 permissions[0].acls[0]: 'o:rx' is what the mode is for",
    HEAD + "permissions:\n  - object: /a\n    acls: ['x:bob:r']\n": "5 permissions[0].acls[0]: 'x:bob:r' begins with 'x'",
    HEAD + "permissions:\n  - object: /a\n    acls: ['bob:8']\n": "5 permissions[0].acls[0]: 'bob:8' has the rights '8'",
    HEAD + "permissions:\n  - object: /a\n    acls: ['m:bob:r']\n": "5 permissions[0].acls[0]: 'm:bob:r' names somebody",
    HEAD + "permissions:\n  - object: /a\n    acls: ['d:u:a:b:r']\n": "5 permissions[0].acls[0]: 'd:u:a:b:r' is no entry",
    HEAD + "permissions:\n  - object: /a\n    acls: [7]\n": "5 permissions[0].acls[0]: is '7'",
    HEAD + "permissions:\n  - object: /a\n    context: {user: u}\n": "5 permissions[0].context.type: is missing",
    HEAD + "permissions:\n  - object: /a\n    context: {type: t, role: r}\n": "5 permissions[0].context.role: is not supp",
    HEAD + "permissions:\n  - object: /a\n    context: {type: t, range: s3-s0}\n": "5 permissions[0].context.range: is 's3-s0'",
    HEAD + "permissions:\n  - object: /a\n    context: {type: t, range: 's0:c3,c1.c5'}\n": "5 permissions[0].context.range",
    HEAD + "hooks:\n\t- a\n": "4 : it is no YAML: ",
    HEAD + "hooks: [a\n": "4 : it is no YAML: ",
    '{"version": 0.0,\n "os": "linux"\n "files": []}': "3 : it is no JSON: Expecting ',' delimiter",
    HEAD + "hooks: &a [*a]\n": "3 : it is larger than any AppSpec",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG, ids=[str(number) for number in range(len(WRONG))])
def test_what_is_wrong_is_told_with_its_line(text: str) -> None:
    assert only(text).startswith(WRONG[text])


def test_all_problems_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = "version: 1\nos: mac\nfiles:\n- source: a\npermissions:\n- object: /a\n  mode: 999\nhooks:\n  Nope:\n  - location: a\n"
    assert [each.split(":")[0] for each in problems(text)] == [
        "1 version",
        "2 os",
        "4 files[0].destination",
        "7 permissions[0].mode",
        "10 hooks.Nope",
    ]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("permissions:\n  - object: /a\n    mode: 0644\n", '5 YAML reads 0644 as the number 420: the mode becomes 420; quote it: mode: "0644"'),
        ("hooks:\n  AfterInstall:\n    - {location: a, timeout: 3000}\n    - {location: b, timeout: 601}\n", "5 its timeouts are 3601 seconds together, and EC2 allows 3600; "),
        ("hooks:\n  AfterInstall:\n    - {location: a, timeout: 010}\n", "5 010 is read as 8 seconds; write 8, or quotes around it"),
        ("hooks:\n  AfterInstall:\n    - location: a.sh --all\n", "5 'a.sh --all' is taken as one path; a script gets no arguments: write one that calls it with them"),
        ("hoks: {}\nfiles:\n  - {source: a, destination: /a}\n", '3 is nothing that CodeDeploy knows; did you mean "hooks"?'),
        ("files:\n  - {source: a, destination: var/www}\n", "4 'var/www' is relative; begin it with a slash"),
        ("files:\n  - {source: a, destination: /a, destination: /b}\n", "4 is there twice; the last one counts"),
        ("permissions:\n  - {object: /a, pattern: 'css/*.css'}\n", "4 'css/*.css' matches nothing: it is compared with names, which have no slash; "),
        ("permissions:\n  - {object: /a, except: ['a?']}\n", "4 'a?' is taken as it is: the only wildcard is *; "),
        ("files: []\n", "1 it copies no files and runs no scripts; "),
    ],
)  # fmt: skip
def test_what_is_allowed_and_hardly_meant_is_a_warning_with_its_line(text: str, warning: str) -> None:
    found = [f"{each.line} {each.message}; {each.hint}" for each in server(HEAD + text).warnings]
    assert warning in found


def test_an_unquoted_mode_of_three_digits_is_what_it_says_and_0644_is_what_yaml_makes_of_it() -> None:
    spec = server(
        HEAD
        + "permissions:\n  - {object: /a, mode: 755}\n  - {object: /b, mode: 0644}\n  - {object: /c, mode: '4755'}\n"
    )
    assert [each.mode for each in spec.permissions] == ["755", "420", "4755"]


def test_the_behavior_for_files_in_the_way_is_read() -> None:
    assert server(HEAD + "file_exists_behavior: RETAIN\n").file_exists_behavior is Behavior.RETAIN


def test_events_of_ones_own_may_have_hooks_where_they_are_named() -> None:
    text = HEAD + "hooks:\n  Warm:\n    - location: warm\n"
    assert only(text).startswith("5 hooks.Warm: is no lifecycle event")
    assert load(text.encode(), "appspec.yml", "server", events=("Warm",)).hooks["Warm"][0].location == "warm"


def test_aliases_and_merged_mappings_are_understood() -> None:
    text = "x: &base {timeout: 60, runas: web}\nhooks:\n  AfterInstall:\n    - <<: *base\n      location: a\n      timeout: 30\n"
    (hook,) = server(HEAD + text).hooks["AfterInstall"]
    assert (hook.location, hook.timeout, hook.runas) == ("a", 30, "web")


@pytest.mark.parametrize("merge", [False, True])
def test_aliases_of_aliases_do_not_fill_the_memory(merge: bool) -> None:
    begin = time.monotonic()
    lines = ["a0: &a0 {x: 1}"]
    for level in range(1, 40):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} " + (f"{{<<: [{aliases}]}}" if merge else f"[{aliases}]"))
    assert "is larger than any AppSpec" in only(HEAD + "\n".join(lines))
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00",
        b"a: \x00",
        b"? [a]\n: b",
        b"--- a\n--- b",
        b"%YAML 9.9\n---\na: 1",
        b"version: !!python/object:os.system x\nos: linux",
        b"{",
        b'{"version": 0.0, "os": "\\ud83d\\u0000"}',
        b"version: 0.0\nos: linux\nhooks: {AfterInstall: [{location: a, timeout: " + b"9" * 5000 + b"}]}",
        b"x" * 2_000_000,
        b"a: &a\n  <<: *a\n",
        b"version: 0x\nos: !!int nope",
        b"version: !!binary x\nos: !!set {a}",
        b"version: .nan\nos: .inf",
    ],
)
@pytest.mark.parametrize("platform", ["server", "lambda", "ecs"])
def test_odd_content_is_an_error_and_never_a_traceback(content: bytes, platform: Platform) -> None:
    with pytest.raises(AppSpecError):
        load(content, "appspec.yml", platform)


def test_what_is_nested_too_deeply_is_an_error() -> None:
    with pytest.raises(AppSpecError, match="1 problem"):
        load(b"[" * 100_000, "appspec.yml", "server")


def test_a_file_of_windows_with_its_byte_order_mark_and_line_ends_is_read() -> None:
    content = b"\xef\xbb\xbf" + (HEAD + "files:\n  - {source: a, destination: /a}\n").replace("\n", "\r\n").encode()
    spec = load(content, "appspec.yml", "server")
    assert spec.files[0].line == 4


LAMBDA = {
    "version": 0.0,
    "Resources": [
        {
            "hello": {
                "Type": "AWS::Lambda::Function",
                "Properties": {"Name": "hello", "Alias": "live", "CurrentVersion": "1", "TargetVersion": "2"},
            }
        }
    ],
    "Hooks": [{"BeforeAllowTraffic": "look"}, {"AfterAllowTraffic": "arn:aws:lambda:eu-west-1:1:function:look"}],
}

ECS = """\
version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: "arn:aws:ecs:us-east-1:111222333444:task-definition/my-task-definition-family-name:1"
        LoadBalancerInfo:
          ContainerName: "SampleApplicationName"
          ContainerPort: 80
        PlatformVersion: "LATEST"
        NetworkConfiguration:
          AwsvpcConfiguration:
            Subnets: ["subnet-1234abcd", "subnet-5678abcd"]
            SecurityGroups: ["sg-12345678"]
            AssignPublicIp: "ENABLED"
        CapacityProviderStrategy:
          - {Base: 1, CapacityProvider: "FARGATE_SPOT", Weight: 2}
Hooks:
  - BeforeInstall: "LambdaFunctionToValidateBeforeInstall"
  - AfterAllowTestTraffic: "LambdaFunctionToValidateAfterTestTrafficStarts"
"""


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_an_appspec_of_lambda_in_json_comes_out_as_it_went_in(indent: int | str | None) -> None:
    spec = load(json.dumps(LAMBDA, indent=indent).encode(), "appspec.json", "lambda")
    assert spec.resource
    assert spec.resource.properties["TargetVersion"] == "2"
    assert [function.event for function in spec.functions] == ["BeforeAllowTraffic", "AfterAllowTraffic"]
    assert json.loads(emit(spec)) == LAMBDA


def test_keys_of_any_case_are_written_as_aws_documents_them() -> None:
    text = "version: 0.0\nresources:\n  - f:\n      type: AWS::Lambda::Function\n      properties: {name: f, alias: live, currentversion: 1, targetversion: 2}\n"
    properties = json.loads(emit(load(text.encode(), "appspec.yml", "lambda")))["Resources"][0]["f"]["Properties"]
    assert properties == {"Name": "f", "Alias": "live", "CurrentVersion": "1", "TargetVersion": "2"}


def test_an_appspec_of_ecs_is_read_whole_and_emitted() -> None:
    spec = load(ECS.encode(), "appspec.yml", "ecs")
    assert spec.warnings == ()
    emitted = json.loads(emit(spec))
    assert load(emit(spec).encode(), "again", "ecs").resource is not None
    properties = emitted["Resources"][0]["TargetService"]["Properties"]
    assert properties["LoadBalancerInfo"] == {"ContainerName": "SampleApplicationName", "ContainerPort": 80}
    assert properties["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] == "ENABLED"
    assert properties["CapacityProviderStrategy"] == [{"CapacityProvider": "FARGATE_SPOT", "Base": 1, "Weight": 2}]
    assert emitted["Hooks"][1] == {"AfterAllowTestTraffic": "LambdaFunctionToValidateAfterTestTrafficStarts"}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('ContainerPort: 80', 'ContainerPort: 0', "9 Resources[0].TargetService.Properties.LoadBalancerInfo.ContainerPort: is '0'"),
        ('          ContainerPort: 80\n', '', "8 Resources[0].TargetService.Properties.LoadBalancerInfo.ContainerPort: is missing"),
        ("AWS::ECS::Service", "AWS::Lambda::Function", "4 Resources[0].TargetService.Type: is 'AWS::Lambda::Function'; of this platform it is AWS::ECS::Service"),
        ('"ENABLED"', "yes", "15 Resources[0].TargetService.Properties.NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp: is 'yes'"),
        ('            SecurityGroups: ["sg-12345678"]\n', "", "13 Resources[0].TargetService.Properties.NetworkConfiguration.AwsvpcConfiguration.SecurityGroups: is missing; Subnets, Sec"),
        ("- BeforeInstall:", "- ApplicationStop:", "19 Hooks[0].ApplicationStop: is no lifecycle event"),
        ("- BeforeInstall:", "- Install:", "19 Hooks[0].Install: is an event that takes no function"),
        ("  - BeforeInstall:", "    BeforeInstall:", "20 : it is no YAML"),
        ("  - TargetService:", "  - a: {}\n  - TargetService:", "3 Resources: holds exactly one resource"),
        ("Weight: 2", "Weight: many", "17 Resources[0].TargetService.Properties.CapacityProviderStrategy[0].Weight: is 'many'"),
        ('        TaskDefinition: "arn:aws:ecs:us-east-1:111222333444:task-definition/my-task-definition-family-name:1"\n', "", "6 Resources[0].TargetService.Properties.TaskDefinition: is missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_appspec_of_ecs_is_told_with_its_line(old: str, new: str, told: str) -> None:
    assert old in ECS
    assert only(ECS.replace(old, new), "ecs").startswith(told)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("Name", None, "Resources[0].hello.Properties.Name: is missing"),
        ("Alias", "", "Resources[0].hello.Properties.Alias: is missing"),
        ("CurrentVersion", "$LATEST", "Resources[0].hello.Properties.CurrentVersion: is '$LATEST'; a published version is a number"),
        ("TargetVersion", {}, "Resources[0].hello.Properties.TargetVersion: text is expected here, not a mapping"),
    ],
)  # fmt: skip
def test_all_four_properties_of_a_function_are_required(path: str, value: object, told: str) -> None:
    document = json.loads(json.dumps(LAMBDA))
    document["Resources"][0]["hello"]["Properties"][path] = value
    assert told in only(json.dumps(document), "lambda")


@pytest.mark.parametrize("resources", [None, [], "hello", [{}], [{"a": {}, "b": {}}], [None], {"a": 1}])
def test_there_is_exactly_one_resource(resources: object) -> None:
    assert "Resources" in problems(json.dumps({"version": 0.0, "Resources": resources}), "lambda")[0]
