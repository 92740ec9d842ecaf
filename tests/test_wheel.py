"""What `pip install` of the wheel leaves: a package that explains and trains.

The wheel is unpacked into a folder of its own, beside the packages that are
installed anyway, and used from elsewhere: nothing of the clone can help.
"""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# a finder of the clone, where that is installed, comes first otherwise
START = """
import sys
sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in str(f)]
"""


def run(*command, **options):
    return subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
        **options,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a clean copy of what is tracked."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "copy"
    listed = run("git", "ls-files", "-z", cwd=ROOT).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    run(
        *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet"),
        *("--no-build-isolation", "--wheel-dir", folder, copy),
    )
    (built,) = folder.glob("focalaudio-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Run a line of Python, or the command, with the wheel alone."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    place = tmp_path_factory.mktemp("elsewhere")

    def call(code):
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        environment |= {"PYTHONPATH": str(folder)}
        done = run(
            *(sys.executable, "-c", START + code), cwd=place, env=environment
        )
        return done.stdout

    call.folder, call.place = folder, place
    return call


def test_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top.split("-")[0] for top in tops} == {"focalaudio"}
    assert "focalaudio/py.typed" in names
    assert "focalaudio/recipes/ESC50/train_classifier.py" in names
    assert "focalaudio/hparams/train_classifier.yaml" in names
    assert not [n for n in names if "__pycache__" in n or "/results/" in n]
    assert sum(i.file_size for i in zipfile.ZipFile(wheel).infolist()) < 15e6


def test_it_is_the_wheel_that_is_used(installed):
    code = "import focalaudio; print(focalaudio.__file__)"
    assert installed(code).startswith(str(installed.folder))


def test_it_explains_a_sound_and_demonstrates_itself(installed):
    main = "from focalaudio.cli import main; raise SystemExit(main({}))"
    sound = next((ROOT / "focalaudio" / "data" / "examples").glob("*.flac"))
    said = installed(main.format(["explain", str(sound), "--out", "out"]))
    assert sound.stem in said
    assert list((installed.place / "out").glob("*_kept.wav"))
    installed(main.format(["demo", "--out", "demo"]))
    assert list((installed.place / "demo").rglob("*.png"))


def test_it_finds_its_recipes(installed):
    code = (
        "from focalaudio.reproduction.launch import _shipped as find; "
        "print(find('recipes'), find('hparams'))"
    )
    assert installed(code).count(str(installed.folder)) == 2
