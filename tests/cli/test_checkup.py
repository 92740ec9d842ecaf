import pytest

from focalaudio.cli import checkup, main
from focalaudio.cli.doctor import Finding


def test_all_is_well_here(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == "All is well."
    for word in ("torch", "torchaudio", "libsndfile", "devices: cpu"):
        assert word in said


@pytest.mark.parametrize("n_wrong", [1, 2])
def test_what_is_wrong_is_counted(monkeypatch, capsys, n_wrong):
    findings = [Finding("fine"), *[Finding("bad", "mend it")] * n_wrong]
    monkeypatch.setattr(checkup, "examine", lambda folder: findings)
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok     fine"
    assert lines[1] == "WRONG  bad -> mend it"
    assert lines[-1] == f"{n_wrong} wrong."
