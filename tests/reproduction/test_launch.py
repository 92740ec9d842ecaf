"""Laws of starting recipes: options arrive as they were given."""

import subprocess
import sys

import pytest
import yaml

from focalaudio.errors import FocalAudioError
from focalaudio.reproduction import launch


def test_what_the_package_ships_is_found():
    assert (launch._shipped("recipes") / "ESC50" / "interpret.py").exists()
    with pytest.raises(FocalAudioError, match="nowhere/ is neither"):
        launch._shipped("nowhere")


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0.9,
        [0.5, 0.9],
        {"method": "random", "maps": ["stage_2", "stage_1"], "piq": None},
        "focalnet_nano",
    ],
)
def test_values_are_read_back_as_yaml(value):
    text = f"key: {launch._format_value(value)}"
    assert yaml.safe_load(text) == {"key": value}
    assert "\n" not in text


def test_a_recipe_gets_its_folder_flags_and_options(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        subprocess, "run", lambda command, check: calls.append(command)
    )
    launch.run_recipe(
        "interpret", tmp_path, ("--device", "cpu"), maps=["stage_1"]
    )
    (command,) = calls
    assert command[0] == sys.executable
    assert command[1].endswith("interpret.py")
    assert command[2].endswith("interpret.yaml")
    assert command[3:] == [
        *("--output_folder", str(tmp_path)),
        *("--device", "cpu"),
        *("--maps", '["stage_1"]'),
    ]
