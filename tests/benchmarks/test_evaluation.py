"""The script's own part: what it calls a difference, and its lean brain."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from speechbrain.dataio.batch import PaddedBatch

from focalaudio.brains.interpretation import InterpreterBrain
from focalaudio.interpreters import ThresholdInterpreter

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "evaluation.py"
LABELS = list("abcde")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("evaluation", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "evaluation", module)
        patch.syspath_prepend(str(SCRIPT.parent))  # as for a script that runs
        spec.loader.exec_module(module)
        yield module


@pytest.fixture
def verdict(script):
    return script.Verdict(
        predicted=torch.tensor([3, 1, 2]),
        fidelity=torch.tensor([1.0, 0.0, 1.0]),
        faithfulness=torch.tensor([0.1, -0.2, 0.0]),
        masks=torch.ones(3, 4, 5, dtype=torch.bool),
        accuracy=2 / 3,
    )


def test_rounding_is_no_difference(script, verdict):
    near = replace(verdict, faithfulness=verdict.faithfulness + 9e-5)
    assert script.compare(verdict, near) == []


@pytest.mark.parametrize(
    ("name", "position", "value"),
    [
        ("predicted", 1, 4),
        ("fidelity", 2, 0.0),
        ("faithfulness", 0, 0.1002),
        ("faithfulness", 0, float("nan")),
    ],
)
def test_one_clip_that_differs_is_named(script, verdict, name, position, value):
    column = getattr(verdict, name).clone()
    column[position] = value
    other = replace(verdict, **{name: column})
    assert script.compare(verdict, other) == [f"{name} differs on 1 clips"]
    assert script.compare(other, verdict) == [f"{name} differs on 1 clips"]


def test_another_accuracy_is_a_difference(script, verdict):
    other = replace(verdict, accuracy=1 / 3)
    assert len(script.compare(verdict, other)) == 1


def test_fewer_metrics_are_the_same_metrics(
    script, classifier, spectrogram, device
):
    interpreter = ThresholdInterpreter(classifier, spectrogram)
    hparams = {
        "interpreter": interpreter,
        "labels": LABELS,
    }
    clips = [
        {"id": name, "sig": torch.rand(4000) - 0.5, "label": name, "target": 0}
        for name in LABELS
    ]
    rows = []
    for brain_class in (InterpreterBrain, script.SameMetricsBrain):
        brain = brain_class(
            {"interpreter": interpreter},
            hparams=hparams,
            run_opts={"device": str(device), "noprogressbar": True},
        )
        brain.evaluate(clips, test_loader_kwargs={"collate_fn": PaddedBatch})
        rows.append(brain.tracker.rows())
    whole, lean = rows
    assert len(lean) == len(LABELS)
    for full, few in zip(whole, lean, strict=True):
        for name, value in few.items():
            assert value == pytest.approx(full[name], abs=1e-6), name
        assert {"accuracy", "fidelity", "faithfulness_of_kept"} < set(few)


def test_turns_rotate_and_ratios_are_theirs_over_ours(script):
    order = []
    names = ("reference", "same", "all")
    jobs = {name: lambda name=name: order.append(name) for name in names}
    assert len(script.take_turns(jobs, 2)["all"]) == 2
    assert order == [*names, "same", "all", "reference"]
    times = {"reference": [(4.0, 3.0), (8.0, 3.0)], "all": [(2.0, 1.0)] * 2}
    said = script.ratio(times, "reference", "all")
    assert said == "3.00 (2.00 to 4.00) x; CPU 3.00 (3.00 to 3.00) x"
