"""What the last lines of a run say can be given to a shell as it is."""

import shlex
from pathlib import Path

import pytest

from focalaudio.report.conclusions import conclude_training


@pytest.mark.parametrize(
    "folder", ["results/mein Versuch/1234", "a b/c", "it's/here/$HOME", "/a/*"]
)
def test_a_folder_in_a_command_is_one_word(folder):
    *_, command = conclude_training(Path(folder))
    *_, option, source = shlex.split(command)
    assert (option, Path(source)) == ("--model", Path(folder))
    is_name = "/" not in source.replace("/", "", 1)
    assert source.startswith(("./", "/")) or not is_name
