"""Every recipe against the YAML files of the others."""

import pytest

NAMES = (
    *("train_classifier", "train_piq", "train_lmac", "interpret"),
    *("novelty", "reproduce"),
)
PAIRS = [(one, two) for one in NAMES for two in NAMES if one != two]


@pytest.mark.parametrize(("name", "other"), PAIRS)
def test_the_file_of_another_recipe_is_refused_before_any_work(
    name, other, load, command, tmp_path
):
    file = command(other, tmp_path)[1]
    _, _, *options = command(name, tmp_path / "out", data_folder=tmp_path)
    with pytest.raises(ValueError, match=f"{other}.yaml has no ") as error:
        load(name).main([file, *options])
    assert f"give hparams/{name}.yaml" in str(error.value)
    assert not (tmp_path / "out").exists()
