"""Laws of a reproduction: every step once, with the options it names."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from subprocess import CalledProcessError

import pytest
from hyperpyyaml import load_hyperpyyaml
from speechbrain import parse_arguments

from focalaudio.errors import DataError
from focalaudio.reproduction import plan as reproduction
from focalaudio.reproduction.plan import Plan

SYSTEMS = {
    "plain": {"training": {"lr": 0.1}},
    "rich": {"piq": {}, "lmac": {}, "compare": [{"maps": ["stage_1"]}]},
}


@pytest.fixture
def plan(tmp_path):
    return Plan(
        "ESC-10",
        tmp_path,
        (5, 1),
        7,
        SYSTEMS,
        {"clean": {}, "noise": {"condition": "noise", "snr": 6.0}},
        training={"lr": 0.2, "number_of_epochs": 3},
        compare=[{"method": "random"}],
    )


@pytest.fixture
def runs(monkeypatch):
    """Recipes that only leave their metrics; what was asked of each."""
    runs = []

    def run(recipe, folder, flags, **options):
        runs.append((recipe, folder, options))
        (folder / "metrics.json").write_text("{}")

    monkeypatch.setattr(reproduction, "run_recipe", run)
    return runs


def test_every_system_is_trained_before_it_is_interpreted(plan, runs):
    assert plan.take_steps() == len(runs) == 2 * (1 + 2 + 3 + 2)
    assert [recipe for recipe, _, _ in runs[:8]] == [
        "train_classifier",
        "train_classifier",
        "interpret",
        "interpret",
        "train_piq",
        "train_lmac",
        "interpret",
        "interpret",
    ]
    for recipe, folder, options in runs:
        if recipe != "train_classifier":
            assert options["classifier"] == folder.parent / "classifier"


def test_what_a_system_says_goes_before_what_all_say(plan, runs):
    plan.take_steps()
    rates = [o["lr"] for r, _, o in runs if r == "train_classifier"]
    assert rates == [0.1, 0.2] * 2
    epochs = {
        o["number_of_epochs"] for r, _, o in runs if r == "train_classifier"
    }
    assert epochs == {3}


def test_what_was_trained_stands_beside_the_others_as_drawn_and_cut(plan, runs):
    plan.take_steps()
    methods = [
        [
            (other.get("method", "maps"), other.get("mask"))
            for other in options["compare"]
        ]
        for recipe, _, options in runs
        if recipe == "interpret"
    ]
    cut = [(m, k) for m in ("piq", "lmac") for k in (None, "binary")]
    assert methods[0] == [("random", None)]
    assert methods[2] == [("maps", None), *cut, ("random", None)]


@pytest.mark.parametrize("fold", range(1, 6))
def test_every_fold_has_one_use(plan, fold):
    split = plan.split(fold)
    used = [each for folds in split.values() for each in folds]
    assert sorted(used) == [1, 2, 3, 4, 5]
    assert split["test_folds"] == [fold]
    assert len(split["train_folds"]) == 3


@pytest.mark.parametrize("fold", range(1, 6))
def test_of_four_to_one_all_others_train_and_nothing_selects(plan, runs, fold):
    plan = replace(plan, protocol="4/1", folds=(fold,))
    plan.take_steps()
    others = sorted({1, 2, 3, 4, 5} - {fold})
    for recipe, _, options in runs:
        assert options["test_folds"] == [fold]
        used = options["train_folds"] + options["valid_folds"]
        assert sorted(used) == others
        assert (options["valid_folds"] == []) == (
            recipe in ("train_classifier", "interpret")
        )
        last = options.get("select_by") == "epoch"
        assert last == (recipe == "train_classifier")


def test_decoders_are_trained_alike_under_both_protocols(plan):
    def decoders(plan):
        keys = ("train_folds", "valid_folds", "test_folds")
        return [
            {key: options[key] for key in keys}
            for recipe, _, options in plan.steps()
            if recipe in ("train_piq", "train_lmac")
        ]

    assert decoders(plan) == decoders(replace(plan, protocol="4/1"))


@pytest.mark.parametrize("protocol", ["5/0", "3-1-1", None])
def test_protocols_that_do_not_exist_are_an_error(plan, protocol):
    with pytest.raises(ValueError, match="must be one of 3/1/1, 4/1"):
        replace(plan, protocol=protocol)


def test_two_protocols_never_share_a_folder(plan, runs):
    replace(plan, folds=(5,)).take_steps()
    n_runs = len(runs)
    other = replace(plan, folds=(1,), protocol="4/1")  # no fold in common
    with pytest.raises(DataError, match="was made with protocol=3/1/1"):
        other.take_steps()
    assert len(runs) == n_runs
    assert not other.place(1, "plain", "classifier").exists()
    (plan.folder / "protocol.json").unlink()  # as older versions left it
    with pytest.raises(DataError, match="was made with protocol=3/1/1"):
        other.take_steps()
    assert replace(plan, folds=(5,)).take_steps() == 0


def test_the_papers_split_is_that_of_fold_five(plan):
    assert plan.split(5)["train_folds"] == [1, 2, 3]
    assert plan.split(5)["valid_folds"] == [4]


def test_a_stopped_reproduction_goes_on_where_it_stopped(
    plan, runs, monkeypatch
):
    finish = reproduction.run_recipe

    def stop(*args, **options):
        raise KeyboardInterrupt

    steps = iter([finish, finish, stop])
    monkeypatch.setattr(
        reproduction, "run_recipe", lambda *a, **o: next(steps)(*a, **o)
    )
    with pytest.raises(KeyboardInterrupt):
        plan.take_steps()
    monkeypatch.setattr(reproduction, "run_recipe", finish)
    assert plan.take_steps() == 16 - 2
    assert plan.take_steps() == 0


def test_other_options_are_an_error_not_a_mixture(plan, runs):
    plan.take_steps()
    other = replace(plan, interpret={"quantile": 0.5})
    with pytest.raises(DataError, match="another quantile"):
        other.take_steps()
    place = plan.place(5, "plain", "clean") / "options.json"
    assert "quantile" not in json.loads(place.read_text())


def test_a_step_that_was_refused_takes_other_options(plan, runs, monkeypatch):
    finish = reproduction.run_recipe

    def refuse(recipe, folder, flags, **options):
        (folder / "save").mkdir()
        (folder / "hyperparams.yaml").touch()
        raise CalledProcessError(1, recipe)

    monkeypatch.setattr(reproduction, "run_recipe", refuse)
    wrong = replace(plan, training={"select_by": "eror"}, protocol="4/1")
    with pytest.raises(CalledProcessError):
        wrong.take_steps()
    monkeypatch.setattr(reproduction, "run_recipe", finish)
    assert plan.take_steps() == 16
    assert plan.take_steps() == 0


@pytest.mark.parametrize("begun", ["save/CKPT+1", "progress"])
def test_a_step_that_was_begun_takes_no_other_options(plan, runs, begun):
    plan.take_steps()
    place = plan.place(5, "plain", "classifier")
    (place / "metrics.json").unlink()
    (place / begun).mkdir(parents=True)
    with pytest.raises(DataError, match="another number_of_epochs"):
        replace(plan, training={"number_of_epochs": 4}).take_steps()


def test_a_folder_that_was_moved_goes_on(plan, runs, tmp_path):
    plan.take_steps()
    moved = shutil.copytree(plan.folder, tmp_path.with_name("moved"))
    assert replace(plan, folder=moved).take_steps() == 0
    shutil.rmtree(moved / "fold_5" / "rich" / "clean")
    assert replace(plan, folder=moved).take_steps() == 1
    _, _, options = runs[-1]
    assert options["classifier"] == moved / "fold_5" / "rich" / "classifier"


def read(device="cpu", **options):
    """A plan of these options and those of the YAML file."""
    text = (shipped / "reproduce.yaml").read_text(encoding="utf-8")
    hparams = load_hyperpyyaml(text, {"data_folder": "ESC-10"} | options)
    return Plan.from_hparams(hparams, {"debug": False, "device": device})


shipped = Path(__file__).parents[2] / "hparams"


@pytest.mark.parametrize("folds", [[], [0], [6], "some", 6, [[5]], None])
def test_folds_that_do_not_exist_are_an_error(folds):
    with pytest.raises(ValueError, match="folds="):
        read(folds=folds)


def test_each_seed_has_its_folder_and_is_handed_on(plan):
    for seed, each in zip((3, 4), plan.with_seeds([3, 4]), strict=True):
        assert each.folder == plan.folder / str(seed)
        assert {options["seed"] for _, _, options in each.steps()} == {seed}
        assert replace(each, seed=7, folder=plan.folder) == plan


@pytest.mark.parametrize("seeds", [[], [1, 2, 1], ["x"]])
def test_seeds_are_different(plan, seeds):
    with pytest.raises(ValueError, match="must be different numbers"):
        plan.with_seeds(seeds)


def test_what_is_said_of_protocols_and_seeds_is_read():
    assert read().protocol == "3/1/1"
    assert read().folder == Path("results/reproduce/3-1-1/1234")
    many = read(protocol="4/1", seeds=[1, 2])
    assert many.protocol == "4/1"
    assert many.folder == Path("results/reproduce/4-1")


def test_all_folds_are_five():
    assert read(folds="all").folds == (1, 2, 3, 4, 5)


@pytest.mark.parametrize("wanted", [["none"], "some"])
@pytest.mark.parametrize("kind", ["systems", "conditions"])
def test_names_that_do_not_exist_are_an_error(kind, wanted):
    with pytest.raises(ValueError, match=f"^wanted_{kind}="):
        read(**{f"wanted_{kind}": wanted})


def test_a_plan_of_no_system_is_an_error():
    with pytest.raises(ValueError, match="wanted_systems="):
        read(wanted_systems=[])


def test_a_single_value_is_a_list_of_one(plan):
    one = read(folds=1, wanted_systems="vit", wanted_conditions="clean")
    assert one.folds == (1,)
    assert (list(one.systems), list(one.conditions)) == (["vit"], ["clean"])
    names = ["theo", "jackson"]
    assert read(folds="theo", fold_names=names).folds == ("theo",)
    assert read(folds="theo", fold_names="theo").fold_names == ("theo",)
    assert read(seeds=3).folder == read(seeds=[3]).folder


def test_without_conditions_the_classifiers_are_all(plan, runs):
    assert read(wanted_conditions=[]).conditions == {}
    replace(plan, conditions={}).take_steps()
    assert [recipe for recipe, _, _ in runs] == ["train_classifier"] * 4
    assert plan.take_steps() == 2 * (1 + 2 + 3 + 2) - 4  # they are not repeated


def test_what_is_wanted_keeps_its_order():
    wanted = read(wanted_systems=["vit", "focalnet"]).systems
    assert list(wanted) == ["focalnet", "vit"]
    assert list(read().systems)[:2] == [
        "focalnet_pyramid",
        "focalnet_pyramid_unmasked",
    ]


def test_the_conditions_of_the_figures_are_among_the_conditions():
    plan = read()
    assert {plan.figure_2, plan.figure_3} <= set(plan.conditions)
    assert plan.conditions[plan.figure_2]["max_clips"] > 0


@pytest.mark.parametrize(
    ("device", "flags"),
    [
        (None, ("--noprogressbar",)),
        ("cuda:0", ("--device", "cuda:0", "--noprogressbar")),
    ],
)
def test_a_device_is_handed_on_if_it_was_asked_for(device, flags):
    assert read(device=device).flags == flags


def test_options_of_speechbrain_are_handed_on_to_every_step(tmp_path, runs):
    text = (shipped / "reproduce.yaml").read_text(encoding="utf-8")
    given = {"data_folder": "ESC-10", "output_folder": str(tmp_path)}
    argv = "a.yaml --precision fp32 --max_grad_norm 1.0 --compile --debug"
    _, run_opts, _ = parse_arguments(argv.split())
    plan = Plan.from_hparams(load_hyperpyyaml(text, given), run_opts)
    assert set(plan.flags) == {"--noprogressbar", "--compile"}
    plan.take_steps()
    assert {recipe for recipe, _, _ in runs} == {
        *("train_classifier", "train_piq", "train_lmac", "interpret"),
    }
    for _, _, options in runs:
        assert options["precision"] == "fp32"
        assert options["max_grad_norm"] == 1.0
        assert "debug" not in options


def test_a_judge_is_the_classifier_of_the_first_other_system(plan, runs):
    judged = {"judged": {"judge": "other"}}
    replace(plan, conditions=judged).take_steps()
    judges = {
        folder.parent: options["judge"]
        for recipe, folder, options in runs
        if recipe == "interpret"
    }
    first, second = (plan.place(plan.folds[0], s, "") for s in plan.systems)
    assert judges[first] == second / "classifier"
    assert judges[second] == first / "classifier"
    runs.clear()
    alone = {"plain": plan.systems["plain"]}
    folder = plan.folder / "alone"
    only = replace(plan, systems=alone, conditions=judged, folder=folder)
    only.take_steps()
    assert all(options.get("judge") is None for _, _, options in runs)


def test_folds_may_have_names(plan):
    named = replace(plan, fold_names=("theo", "anna", "ben"), folds=("theo",))
    assert named.split("theo") == {
        "train_folds": ["anna"],
        "valid_folds": ["ben"],
        "test_folds": ["theo"],
    }
    assert named.place("theo", "plain", "clean").parts[-3] == "fold_theo"


WHERE = {"manifest": "x.csv", "columns": {"label": "y"}, "fold_seed": 3}
USUAL = {
    "manifest": None,
    "columns": {},
    "pattern": None,
    "n_folds": 5,
    "fold_seed": 0,
}


@pytest.mark.parametrize("told", [{}, WHERE, {"pattern": "{label}_{x}"}])
def test_what_says_which_clip_is_what_is_handed_on(plan, told):
    where = reproduction._find_where({**USUAL, **told})
    assert where == told  # what is usual is not said: older runs did not
    for _, _, options in replace(plan, where=where).steps():
        assert {key: options.get(key) for key in told} == told
        assert not (set(USUAL) - set(told)) & set(options)
