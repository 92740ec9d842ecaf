"""The paper's table and figures: train what is missing, measure, write.

Every step is a recipe in a process of its own and leaves a folder. A step
that was finished with the same options is not repeated, so that a stopped
reproduction goes on where it stopped.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from focalaudio.data.folds import goes_on
from focalaudio.errors import DataError, escape_text
from focalaudio.models.bundle_files import DECODERS
from focalaudio.models.load import list_one
from focalaudio.report.tables import write_json
from focalaudio.reproduction.figures import (
    write_mixture_figures,
    write_sweep_figure,
)
from focalaudio.reproduction.launch import run_recipe
from focalaudio.reproduction.page import write_page
from focalaudio.reproduction.tables import (
    Place,
    read_clips,
    scale_across,
    write_agreement,
    write_classifiers,
    write_condition,
)
from focalaudio.reproduction.wanted import (
    choose,
    find_folds,
    find_pair,
)

logger = logging.getLogger(__name__)

# folds that train / validate / test: one selects the checkpoint, or nothing is
# selected and the last epoch is kept
SELECTED, FIXED = PROTOCOLS = ("3/1/1", "4/1")
STEP = re.compile(r".*/(?=fold_[^/]+/[^/]+/[^/]+$)")  # what stands before it
OTHER = "other"  # a condition's judge: the classifier of another system
# SpeechBrain's options that this recipe obeys itself, or gives to every step
OWN_OPTIONS = frozenset({
    "debug", "debug_batches", "debug_epochs", "debug_persistently", "device",
    "distributed_backend", "distributed_launch", "log_config", "noprogressbar",
    "param_file",
})  # fmt: skip
Options = Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is to be reproduced.

    Arguments
    ---------
    data_folder : str
        Of sounds; see `focalaudio.data.folders.read_clips`.
    folder : pathlib.Path
        Gets everything.
    folds : tuple of int or str
        Test folds.
    seed : int
        Of every step.
    systems : mapping
        From a system's name to `training` (keys of `train_classifier.yaml`),
        `interpret` (of `interpret.yaml`), `piq` (of `train_piq.yaml`; none is
        trained without it), `lmac` (alike), `compare` (further interpreters)
        and `baselines` (for `compare` of all systems).
    conditions : mapping
        From a condition's name to keys of `interpret.yaml`; without any the
        classifiers are all that is trained and tested. A condition's `compare`
        stands for that of all systems, and `judge: other` means the classifier
        of the first other system.
    training, interpret, compare
        The same for all systems; a system's own come first.
    decoders : mapping
        From `piq` and `lmac` to the same.
    quantile : float
        Of the tables.
    figure_3, figure_2 : str
        The conditions that the figures show, if they are wanted; None for no
        figure.
    agreement : sequence of str
        A condition without and one with known sources, whose scores are
        compared, if both are wanted; None for no comparison.
    flags : tuple of str
        SpeechBrain's options for every step, those that stand alone.
    given : mapping
        The others, such as `precision`: for every step, before all keys.
    protocol : str
        `3/1/1`: the fold before the test fold validates, the other three
        train. `4/1`: all four train the classifiers, whose last epoch is kept;
        decoders, which come after them, are trained as in `3/1/1`.
    fold_names : tuple of int or str
        All folds of the data, in turn: the one before a test fold validates.
    where : mapping
        What else says which clip is what, `manifest` for example.

    Raises
    ------
    ValueError
        If there is no such protocol.

    Example
    -------
    >>> plan = Plan("ESC-10", Path("out"), (5,), 1, {"focalnet": {}}, {})
    >>> plan.split(1)
    {'train_folds': [2, 3, 4], 'valid_folds': [5], 'test_folds': [1]}
    >>> replace(plan, protocol="4/1").split(1)
    {'train_folds': [2, 3, 4, 5], 'valid_folds': [], 'test_folds': [1]}
    """

    data_folder: str
    folder: Path
    folds: tuple[int | str, ...]
    seed: int
    systems: Mapping[str, Options]
    conditions: Mapping[str, Options]
    training: Options = field(default_factory=dict)
    interpret: Options = field(default_factory=dict)
    compare: Sequence[Options] = ()
    decoders: Mapping[str, Options] = field(default_factory=dict)
    quantile: float = 0.9
    figure_3: str | None = None
    figure_2: str | None = None
    agreement: Sequence[str] | None = None
    flags: tuple[str, ...] = ()
    given: Options = field(default_factory=dict)
    protocol: str = SELECTED
    fold_names: tuple[int | str, ...] = (1, 2, 3, 4, 5)
    where: Options = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_protocol(self.protocol)

    @classmethod
    def from_hparams(cls, hparams: Options, run_opts: Options) -> Plan:
        """Read a plan from `reproduce.yaml` and SpeechBrain's options."""
        small = hparams["when_debugging"] if run_opts["debug"] else {}
        names = list_one(hparams["fold_names"])
        names = names or list(range(1, hparams["n_folds"] + 1))
        decoders = {"piq": hparams["piq"], "lmac": hparams["lmac"]}
        given = {  # what stands on the command line
            name: run_opts[name]
            for name in sorted(run_opts.get("overridden_args", ()))
            if name not in OWN_OPTIONS
        }
        alone = [name for name, value in given.items() if value is True]
        return cls(
            data_folder=hparams["data_folder"],
            folder=Path(hparams["output_folder"]),
            folds=find_folds(hparams["folds"], names),
            seed=hparams["seed"],
            systems=choose(
                "systems", hparams["systems"], hparams["wanted_systems"]
            ),
            conditions=choose(
                "conditions",
                hparams["conditions"],
                hparams["wanted_conditions"],
                at_least=0,
            ),
            training={**hparams["training"], **small.get("training", {})},
            decoders={
                method: {**options, **small.get(method, {})}
                for method, options in decoders.items()
            },
            interpret=hparams["interpret"],
            compare=hparams["compare"],
            quantile=hparams["quantile"],
            figure_3=hparams["figure_3"],
            figure_2=hparams["figure_2"],
            agreement=find_pair(hparams["agreement"]),
            flags=(
                *_hand_on_device(run_opts),
                *(f"--{name}" for name in alone),
                "--noprogressbar",
            ),
            given={key: given[key] for key in given if key not in alone},
            protocol=hparams["protocol"],
            fold_names=tuple(names),
            where=_find_where(hparams),
        )

    def split(self, fold: int | str) -> dict[str, list[int | str]]:
        """Return the folds that go with a test fold, for a classifier."""
        names = self.fold_names
        before = names[names.index(fold) - 1]
        valid = [before] if self.protocol == SELECTED else []
        rest = [name for name in names if name not in (fold, *valid)]
        return {
            "train_folds": rest,
            "valid_folds": valid,
            "test_folds": [fold],
        }

    def with_seeds(self, seeds: Sequence[int]) -> list[Plan]:
        """Return the same for each seed, in a folder of its own within."""
        odd = [seed for seed in seeds if type(seed) is not int]
        if odd or not seeds or len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds={list(seeds)} must be different numbers.")
        return [
            replace(self, seed=seed, folder=self.folder / str(seed))
            for seed in seeds
        ]

    def claim(self) -> None:
        """Make sure that the folder holds nothing of another protocol.

        A `DataError` if it does; what is from before there were two is of
        `3/1/1`.
        """
        record = self.folder / "protocol.json"
        made = self.protocol
        if record.exists():
            made = json.loads(record.read_text(encoding="utf-8"))["protocol"]
        elif any(self.folder.glob("fold_*")):
            made = SELECTED
        steps = self.folder.glob("fold_*/*/*")
        if made != self.protocol and any(map(_is_begun, steps)):
            raise DataError(
                f"{self.folder} was made with protocol={made}; give that, or "
                "another experiment_name or seed."
            )
        write_json({"protocol": self.protocol}, record)

    def has(self, *conditions: str) -> bool:
        """Say whether all of these conditions are wanted."""
        return set(conditions) <= set(self.conditions)

    def place(self, fold: int | str, system: str, step: str) -> Path:
        """Return the folder of a step."""
        return self.folder / f"fold_{fold}" / system / step

    def places(self, step: str) -> list[Place]:
        """Return where every fold and system left a step's results."""
        return [
            (fold, system, self.place(fold, system, step))
            for fold in self.folds
            for system in self.systems
        ]

    def steps(self) -> Iterator[tuple[str, Path, dict[str, Any]]]:
        """Yield each step's recipe, folder and options, in their order.

        In each fold all classifiers are trained first: one judges another.
        """
        last = {"select_by": "epoch"} if self.protocol == FIXED else {}
        for fold in self.folds:
            shared = {
                "seed": self.seed,
                "data_folder": self.data_folder,
                **self.where,
                **self.split(fold),
            }
            for system, options in self.systems.items():
                training = {**self.training, **options.get("training", {})}
                place = self.place(fold, system, "classifier")
                keys = {**training, **last, **self.given}
                yield "train_classifier", place, {**shared, **keys}
            for system, options in self.systems.items():
                yield from self._system_steps(fold, system, options, shared)

    def take_steps(self) -> int:
        """Take every step that was not finished before; return how many.

        Raises
        ------
        DataError
            If the folder of a step was made with other options, or the whole
            with another protocol.
        subprocess.CalledProcessError
            If a recipe fails; it has said why.
        """
        self.claim()
        return sum(_take_step(*step, self.flags) for step in self.steps())

    def _system_steps(
        self, fold: int | str, system: str, options: Options, shared: Options
    ) -> Iterator[tuple[str, Path, dict[str, Any]]]:
        """Yield what follows the training of a system, in its order."""
        if not self.conditions:
            return
        classifier = self.place(fold, system, "classifier")
        given = {**shared, "classifier": classifier}
        own = list_one(options.get("compare"))
        for method in (name for name in DECODERS if name in options):
            place = self.place(fold, system, method)
            folds = replace(self, protocol=SELECTED).split(fold)
            keys = {**self.decoders.get(method, {}), **options[method]}
            keys |= self.given
            yield f"train_{method}", place, {**given, **folds, **keys}
            drawn = {"method": method, method: str(place)}
            # as it was drawn, and at the size of the others
            own += [drawn, {**drawn, "mask": "binary"}]
        for name, condition in self.conditions.items():
            keys = {**self.interpret, **options.get("interpret", {})}
            keys |= condition
            baselines = options.get("baselines", self.compare)
            last = list_one(condition.get("compare", baselines))
            keys["compare"] = [*own, *last]
            if keys.get("judge") == OTHER:
                others = (name for name in self.systems if name != system)
                judge = next(others, None)
                keys["judge"] = judge and self.place(fold, judge, "classifier")
            place = self.place(fold, system, name)
            yield "interpret", place, {**given, **keys, **self.given}


def _hand_on_device(run_opts: Options) -> tuple[str, ...]:
    device = run_opts["device"]  # None if it was not asked for
    return ("--device", device) if device else ()


def choose_folder(
    experiment_name: str,
    protocol: str,
    seed: int,
    seeds: Sequence[int] | int | None,
) -> str:
    """Return where a reproduction goes unless a folder is given.

    Example
    -------
    >>> choose_folder("reproduce", "3/1/1", 1234, [])
    'results/reproduce/3-1-1/1234'
    >>> choose_folder("reproduce", "4/1", 1234, [1, 2])  # each in its own
    'results/reproduce/4-1'
    """
    _check_protocol(protocol)
    folder = Path("results", experiment_name, protocol.replace("/", "-"))
    return str(folder if list_one(seeds) else folder / str(seed))


def _check_protocol(protocol: str) -> None:
    if protocol not in PROTOCOLS:
        raise ValueError(
            f"protocol={protocol!r} must be one of {', '.join(PROTOCOLS)}."
        )


def _find_where(hparams: Options) -> dict[str, Any]:
    """Return what says which clip is what, where it is not the default.

    Steps that were finished before there was a choice are not asked again.
    """
    given: dict[str, tuple[Any, Any]] = {  # and the default of each
        "manifest": (hparams["manifest"], None),
        "columns": (hparams["columns"], {}),
        "pattern": (hparams["pattern"], None),
        "n_folds": (hparams["n_folds"], 5),
        "fold_seed": (hparams["fold_seed"], 0),
    }
    return {
        key: value for key, (value, usual) in given.items() if value != usual
    }


def _take_step(
    recipe: str, folder: Path, options: Options, flags: Sequence[str]
) -> bool:
    """Run a recipe, unless it was finished with these options; say which."""
    record = folder / "options.json"
    asked = json.loads(json.dumps({"recipe": recipe, **options}, default=str))
    asked = _without_root(asked)
    if record.exists():
        made = _without_root(json.loads(record.read_text(encoding="utf-8")))
        if made != asked and _is_begun(folder):
            changed = sorted(
                key
                for key in {*made, *asked}
                if made.get(key) != asked.get(key)
            )
            raise DataError(
                f"{folder} was made with another {', '.join(changed)}; remove "
                "it, or give another experiment_name or seed."
            )
        if made == asked and _is_finished(folder):
            logger.info("%s is there already.", escape_text(folder))
            return False
    write_json(asked, record)
    run_recipe(recipe, folder, flags, **options)
    return True


def _is_finished(step: Path) -> bool:
    return (step / "metrics.json").exists()


def _is_begun(step: Path) -> bool:
    """Whether a step is finished, or has anything to go on with."""
    return _is_finished(step) or goes_on(step)


def _without_root(options: Any) -> Any:
    """Name the folders of steps from the plan's own, which may be moved."""
    if isinstance(options, dict):
        return {key: _without_root(each) for key, each in options.items()}
    if isinstance(options, list):
        return [_without_root(each) for each in options]
    if isinstance(options, str):
        return STEP.sub("", options)
    return options


def reproduce(plan: Plan) -> None:
    """Take the steps that are missing, then write tables and figures.

    Arguments
    ---------
    plan : Plan
        All of it.
    """
    taken = plan.take_steps()
    logger.info("%d steps were missing; now the tables and figures.", taken)
    trained = read_clips(plan.places("classifier"), "clips.csv")
    if plan.protocol == FIXED:
        trained = scale_across(trained, plan.places("classifier"))
    write_classifiers(trained, plan.folder)
    for name in plan.conditions:
        clips = read_clips(plan.places(name), "comparison_clips.csv")
        write_condition(clips, plan.quantile, plan.folder, name)
    if plan.agreement is not None and plan.has(*plan.agreement):
        clips, mixtures = (
            read_clips(plan.places(name), "comparison_clips.csv")
            for name in plan.agreement
        )
        write_agreement(clips, mixtures, plan.quantile, plan.folder)
    if plan.figure_3 is not None and plan.has(plan.figure_3):
        write_sweep_figure(plan.places(plan.figure_3), plan.folder)
    if plan.figure_2 is not None and plan.has(plan.figure_2):
        first = replace(plan, folds=plan.folds[:1])
        write_mixture_figures(first.places(plan.figure_2), plan.folder)
    if plan.conditions:
        places = {name: plan.places(name) for name in plan.conditions}
        write_page(places, plan.quantile, plan.folder, plan.figure_3)
