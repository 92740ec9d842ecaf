"""Laws of the recordings that come with the package."""

import csv

import pytest

from focalaudio.audio import audio_info, load_wav
from focalaudio.data.examples import FOLDER, list_examples
from focalaudio.waveforms import is_silent

EXAMPLES = list_examples()


def test_every_file_is_attributed_and_there_are_few():
    files = {path.name for path in FOLDER.iterdir()} - {"ATTRIBUTION.csv"}
    assert files == {example.path.name for example in EXAMPLES}
    assert 0 < len(EXAMPLES) <= 5
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 600_000


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.label)
def test_an_example_is_a_clip_of_a_free_recording(example):
    info = audio_info(example.path)
    assert (info.sample_rate, info.n_channels) == (16000, 1)
    assert info.duration <= 5
    assert not is_silent(load_wav(example.path))
    assert example.license in ("CC0", "CC-BY")
    for part in (example.author, example.license, example.source):
        assert part in example.credit()


def test_the_attribution_says_where_each_is_from():
    path = FOLDER / "ATTRIBUTION.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(all(row.values()) for row in rows)
    for row in rows:
        assert row["clip_id"].split("-")[1] == row["freesound_id"]
        assert f"/{row['freesound_id']}/" in row["source"]
