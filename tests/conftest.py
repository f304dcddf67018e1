"""The servers that the tests of all packages use."""

pytest_plugins = ["pushkit.testing.plugin"]
