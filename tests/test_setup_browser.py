"""Which browser the tests get, and what is said where there is none."""

from __future__ import annotations

import pytest
import setup_browser


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A PATH of its own: ``programs(name, exit_code)`` puts a program there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(setup_browser, "MAC_CHROME", "")
    monkeypatch.setattr(setup_browser, "playwrights_own", lambda: None)

    def put(name, exit_code=0):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\nexit {exit_code}\n")
        program.chmod(0o755)
        return str(program)

    return put


posix = pytest.mark.skipif("sys.platform == 'win32'", reason="The stand-ins are shell scripts.")


@posix
def test_a_program_that_only_says_it_is_elsewhere_is_passed_over(programs):
    programs("chromium-browser", exit_code=1)
    chrome = programs("google-chrome")
    assert setup_browser.find_browser() == chrome


@posix
def test_the_one_named_by_the_environment_comes_first(programs, monkeypatch):
    programs("chromium")
    monkeypatch.setenv("CHROMIUM", programs("my-own"))
    assert setup_browser.find_browser().endswith("my-own")


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_without_any_it_says_so_and_fails_only_in_ci(programs, monkeypatch, capsys, ci, code):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(setup_browser, "install_browser", lambda: None)
    assert setup_browser.main() == code
    assert "set CHROMIUM" in capsys.readouterr().err


@posix
def test_one_that_could_be_installed_is_used(programs, monkeypatch, capsys):
    monkeypatch.setattr(setup_browser, "install_browser", lambda: programs("chromium"))
    assert setup_browser.main() == 0
    assert "Browser tests will use" in capsys.readouterr().out
