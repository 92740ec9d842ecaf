"""SpeechBrain's habits: what of them means something, and what is refused."""

import pytest
import torch
from speechbrain.utils.run_opts import RunOptions

from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.inference.run_opts import INSTEAD, check_run_opts, find_device


def test_all_of_speechbrains_defaults_are_taken():
    options = check_run_opts(RunOptions().as_dict())
    assert options == check_run_opts({})
    assert options["device"] == torch.device("cpu")


def test_what_steers_training_changes_nothing():
    given = {"max_grad_norm": 1.0, "noprogressbar": True, "debug": True}
    assert check_run_opts(given) == check_run_opts({})


def test_a_loaded_model_is_run_in_speechbrains_evaluation_precision():
    assert check_run_opts({"eval_precision": "bf16"})["precision"] == "bf16"
    both = {"eval_precision": "bf16", "precision": "fp16"}
    assert check_run_opts(both)["precision"] == "fp16"


@pytest.mark.parametrize("name", ["jit", "data_parallel_backend", "gpu"])
def test_what_would_change_how_it_is_run_is_named(name):
    with pytest.raises(ValueError, match=f"run_opts has {name}; .*device"):
        check_run_opts({name: True, "device": "cpu"})


@pytest.mark.parametrize("name", ["gpu", "0", "cuda:99", "vulkan", "hpu"])
def test_a_device_that_is_not_there_is_one_line_of_whole_sentences(name):
    with pytest.raises(ValueError, match=f"device='{name}' is not") as error:
        find_device(name)
    said = str(error.value)
    assert said.endswith(". `focalaudio doctor` lists devices.")
    assert "\n" not in said
    assert len(said) < 400


@pytest.mark.parametrize("name", [*INSTEAD, "color"])
def test_other_keywords_say_what_to_do_instead(name, exported):
    with pytest.raises(ValueError, match=f"{name}: ") as error:
        SoundInterpreter.from_hparams(exported, **{name: "x"})
    assert "\n" not in str(error.value)
