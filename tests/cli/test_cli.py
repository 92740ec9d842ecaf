import subprocess
import sys

import pytest

import focalaudio
from focalaudio import cli
from focalaudio.cli import demo
from focalaudio.errors import DataError


def test_version_is_the_packages():
    command = [sys.executable, "-m", "focalaudio", "--version"]
    printed = subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == focalaudio.__version__


def test_the_demo_prints_what_it_found(monkeypatch, tmp_path, capsys):
    result = demo.DemoResult(0.9, 0.5, 0.4, 0.1, tmp_path)
    asked = []
    monkeypatch.setattr(
        demo, "run_demo", lambda out: asked.append(out) or result
    )
    assert cli.main(["demo", "--train", "--out", str(tmp_path)]) == 0
    assert asked == [tmp_path]
    assert capsys.readouterr().out.strip() == result.describe()


def test_an_error_that_the_user_can_mend_is_one_line(monkeypatch, capsys):
    def fail(out):
        raise DataError("folds overlap.")

    monkeypatch.setattr(demo, "run_demo", fail)
    assert cli.main(["demo", "--train"]) == 1
    assert capsys.readouterr().err == "focalaudio: folds overlap.\n"


def test_an_unknown_command_is_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(["explode"])
    assert "explode" in capsys.readouterr().err
