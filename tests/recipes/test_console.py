"""What a run shows on a terminal, and what it keeps for its log."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from focalaudio.report.conclusions import INTERPRETED, TRAINED

CHATTER = ("quirks", "Beginning experiment", "Changing lr", "Would load")


def watch(command):
    """Run a command on a terminal of its own; return all that it showed."""
    ours, theirs = pty.openpty()
    size = struct.pack("HHHH", 40, 160, 0, 0)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    with subprocess.Popen(
        command,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:
        os.close(theirs)
        shown = b"".join(iter(lambda: read(ours), b""))
    os.close(ours)
    assert process.returncode == 0, shown.decode()
    return shown.decode()


def read(terminal):
    try:
        return os.read(terminal, 4096)
    except OSError:  # nobody writes any more
        return b""


@pytest.fixture(scope="module")
def shown(command, dataset, tmp_path_factory):
    """A run, and what it showed."""
    folder = tmp_path_factory.mktemp("shown") / "run"
    argv = command("train_classifier", folder, data_folder=dataset)
    argv.remove("--noprogressbar")
    return folder, watch([sys.executable, *argv])


def last_lines(text):
    """What stays on the terminal of each line that was written over."""
    return [
        line.split("\r")[-1] for line in text.replace("\r\n", "\n").split("\n")
    ]


def test_the_chatter_is_in_the_log_only(shown):
    folder, text = shown
    log = (folder / "log.txt").read_text()
    for words in CHATTER:
        assert words in log
        assert words not in text
    assert "speechbrain" not in text


def test_every_epoch_has_its_line(shown):
    epochs = re.findall(
        r"^epoch: (\d+), lr", "\n".join(last_lines(shown[1])), re.M
    )
    assert epochs == ["1", "2", "3"]


def test_bars_say_of_what_and_how_long(shown):
    bars = [part for part in re.split("[\r\n]", shown[1]) if "batch" in part]
    for words in ("Epoch 1 of 3, training", "validating", "Testing"):
        assert any(words in bar for bar in bars), words
    assert any(re.search(r"Epoch 3 of 3 \(\d\d:\d\d left\)", b) for b in bars)
    assert all(re.search(r"\[\d\d:\d\d<", bar) for bar in bars)  # left, too


def test_the_last_lines_say_what_was_found_and_what_to_open(shown):
    folder, text = shown
    *_, found, head, one, two, three, four, ask, how, _ = last_lines(text)
    assert re.match(r"Right on \d+\.\d % of the 3 test clips", found)
    assert head == "Open:"
    names = [line.strip().split("  (")[0] for line in (one, two, three, four)]
    assert names == [str(folder / name) for name in TRAINED]
    assert how.strip() == f"focalaudio explain FILE --model {folder}"
    assert ask.endswith(":")


def test_an_interpretation_ends_with_its_report(
    recipe, dataset, trained, tmp_path, capsys
):
    out = tmp_path / "out"
    recipe("interpret", out, data_folder=dataset, classifier=trained)
    found, lost, head, *files = capsys.readouterr().out.splitlines()
    assert "the classifier says the same on" in found
    assert lost.startswith("Without what is kept the probability")
    assert head == "Open:"
    names = [line.strip().split("  (")[0] for line in files]
    assert names[0] == str(out / "report.html")
    assert set(names) <= {str(out / name) for name in INTERPRETED}
