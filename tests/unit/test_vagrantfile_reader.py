"""What is read of Ruby, and what is left to Ruby."""

from __future__ import annotations

import pytest

from pushkit.cli import conversion
from pushkit.cli.vagrantfile import Environment, read, value


@pytest.mark.parametrize(
    "ruby",
    [
        "p.password = %Q{hunter2}",
        "p.password = 'hunter2' + X",
        'p.password = "hunter2',
        "p.password = `echo hunter2`",
        "p.password = <<~A.strip\nhunter2\nA",
        'p.password = ["hunter2"] + X',
        'p.exclude = X + "hunter2"',
    ],
)
def test_what_only_ruby_can_read_is_told_without_its_texts(ruby: str) -> None:
    after = 'config.push.define "after", strategy: "local-exec" do |p|\n  p.inline = %q[make it]\nend\n'
    first, second = read(f'config.push.define "ftp" do |p|\n  p.host = "h"\n  {ruby}\nend\n{after}').pushes
    made = conversion.converted(first, "ftp")
    told = "\n".join(made.notes)
    assert "line 3 is left out, since only Ruby can read it: p." in told
    assert "hunter2" not in made.text() + told
    assert 'host = "h"' in made.text()
    assert second.options == {"inline": "make it"}


@pytest.mark.parametrize(
    ("ruby", "expected"),
    [
        ('"a\\n\\"b\\""', 'a\n"b"'),
        ("'a\\n\\'b'", "a\\n'b"),
        ("true", True),
        ("21", 21),
        (":ftp", "ftp"),
        ("%w[a b]", ["a", "b"]),
        ("%q{a 'b}", "a 'b"),
        ("['a', \"b\"]", ["a", "b"]),
        ("[]", []),
        ("('a')", "a"),
        ('ENV.fetch("X")', Environment("X")),
    ],
)
def test_plain_values_are_understood(ruby: str, expected: object) -> None:
    assert value(ruby) == expected


@pytest.mark.parametrize("ruby", ['"#{x}"', "x", '"a" + "b"', "`id`", '"\\x41"', 'ENV["X"] || "y"', '"a" if b', "nil"])
def test_anything_else_is_not_guessed(ruby: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (its text is the value itself)
        value(ruby)


def test_comments_and_endings_of_ruby() -> None:
    text = '=begin\nc.push.define "a" do |p|\n=end\n# c.push.define "b" do |p|\n__END__\nc.push.define "c" do |p|\n'
    assert read(text).pushes == []
    assert read(text).unread == []
    (push,) = read('c.push.define "d" do |p|\n  p.host = "#1" # one').pushes
    assert push.options == {"host": "#1"}
