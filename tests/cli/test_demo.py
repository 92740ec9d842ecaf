"""What the demo says; the whole of it: tests/recipes/test_demo.py."""

from focalaudio.cli import demo


def test_the_result_is_told_with_its_numbers_and_files(tmp_path):
    sounds = tmp_path / "interpretation" / "interpretations"
    sounds.mkdir(parents=True)
    (sounds / "5-1-A-0.png").touch()
    told = demo.DemoResult(0.967, 0.55, 0.4, 0.1, tmp_path).describe()
    for expected in (
        "96.7 %",
        "55.0 %",
        "40.0 %",
        "10.0 %",
        "5-1-A-0_kept.wav",
    ):
        assert expected in told
