"""The demo, on few and short clips, with a classifier that is tiny."""

import pytest

from focalaudio.audio import audio_info
from focalaudio.cli import demo
from focalaudio.data import synthetic
from focalaudio.report.tables import read_csv
from focalaudio.reproduction import launch

SHORT = {
    "encoder_name": "focalnet_test",
    "clip_seconds": 1.0,
    "image_size": [32, 32],
    "number_of_epochs": 1,
    "warmup_epochs": 0,
}


@pytest.fixture(scope="module")
def shown(recipe, tmp_path_factory):
    write = synthetic.write_dataset

    def write_less(folder, **_):
        return write(
            folder,
            clips_per_class=5,
            seconds=1.0,
            classes=synthetic.CLASSES[:3],
        )

    def run_here(name, folder, flags=(), **options):
        texts = {
            key: launch._format_value(each) for key, each in options.items()
        }
        recipe(name, folder, flags, **texts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "write_dataset", write_less)
        patch.setattr(launch, "run_recipe", run_here)
        patch.setattr(demo, "TRAINING", demo.TRAINING | SHORT)
        return demo.run_demo(tmp_path_factory.mktemp("demo"))


def test_the_numbers_are_those_of_the_files(shown):
    own, floor, *_ = read_csv(shown.folder / "interpretation/comparison.csv")
    assert floor["interpreter"].startswith("random")
    assert (shown.accuracy, shown.fidelity, shown.event_kept) == pytest.approx(
        (own["accuracy"], own["fidelity"], own["source_kept"])
    )
    assert shown.event_kept_at_random == pytest.approx(floor["source_kept"])
    clips = read_csv(shown.folder / "interpretation/clips.csv")
    kept = [clip["source_kept"] for clip in clips]  # whatever is predicted
    assert shown.event_kept == pytest.approx(sum(kept) / len(kept))


def test_a_random_mask_keeps_its_own_size(shown):
    assert shown.event_kept_at_random == pytest.approx(0.1, abs=0.03)


def test_every_file_that_is_told_of_is_there(shown):
    told = [line.split("  (")[0] for line in shown.describe().splitlines()]
    paths = [line.strip() for line in told if line.startswith("  ")]
    assert len(paths) == 5
    stem = paths[1].replace("_kept.wav", "_source_1.wav")
    infos = [audio_info(path) for path in (paths[1], stem)]
    assert len({info.n_frames for info in infos}) == 1
    assert all(demo.Path(path).stat().st_size for path in paths)
