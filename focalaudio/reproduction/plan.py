"""The paper's table and figures: train what is missing, measure, write.

Every step is a recipe in a process of its own and leaves a folder. A step
that was finished with the same options is not repeated, so that a stopped
reproduction goes on where it stopped.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from focalaudio.errors import DataError
from focalaudio.models.bundle_files import DECODERS
from focalaudio.report.tables import write_json
from focalaudio.reproduction.figures import (
    write_mixture_figures,
    write_sweep_figure,
)
from focalaudio.reproduction.launch import run_recipe
from focalaudio.reproduction.tables import (
    Place,
    read_clips,
    write_agreement,
    write_classifiers,
    write_condition,
)

logger = logging.getLogger(__name__)

N_FOLDS = 5
OTHER = "other"  # a condition's judge: the classifier of another system
Options = Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is to be reproduced.

    Arguments
    ---------
    data_folder : str
        In ESC-50's layout.
    folder : pathlib.Path
        Gets everything.
    folds : tuple of int
        Test folds; the fold before each validates, the other three train.
    seed : int
        Of every step.
    systems : mapping
        From a system's name to `training` (keys of `train_classifier.yaml`),
        `interpret` (of `interpret.yaml`), `piq` (of `train_piq.yaml`; none is
        trained without it), `lmac` (alike), `compare` (further interpreters)
        and `baselines` (for `compare` of all systems).
    conditions : mapping
        From a condition's name to keys of `interpret.yaml`; its `compare`
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
        SpeechBrain's options for every step.

    Example
    -------
    >>> plan = Plan("ESC-10", Path("out"), (5,), 1, {"focalnet": {}}, {})
    >>> plan.split(1)
    {'train_folds': [2, 3, 4], 'valid_folds': [5], 'test_folds': [1]}
    """

    data_folder: str
    folder: Path
    folds: tuple[int, ...]
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

    @classmethod
    def from_hparams(cls, hparams: Options, run_opts: Options) -> Plan:
        """Read a plan from `reproduce.yaml` and SpeechBrain's options."""
        small = hparams["when_debugging"] if run_opts["debug"] else {}
        decoders = {"piq": hparams["piq"], "lmac": hparams["lmac"]}
        device = run_opts["device"]  # None if it was not asked for
        return cls(
            data_folder=hparams["data_folder"],
            folder=Path(hparams["output_folder"]),
            folds=_find_folds(hparams["folds"]),
            seed=hparams["seed"],
            systems=_choose(hparams["systems"], hparams["wanted_systems"]),
            conditions=_choose(
                hparams["conditions"], hparams["wanted_conditions"]
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
            agreement=hparams["agreement"],
            flags=(
                *(("--device", device) if device else ()),
                "--noprogressbar",
            ),
        )

    def split(self, fold: int) -> dict[str, list[int]]:
        """Return the folds that go with a test fold."""
        valid = (fold - 2) % N_FOLDS + 1
        rest = sorted(set(range(1, N_FOLDS + 1)) - {fold, valid})
        return {
            "train_folds": rest,
            "valid_folds": [valid],
            "test_folds": [fold],
        }

    def has(self, *conditions: str) -> bool:
        """Say whether all of these conditions are wanted."""
        return set(conditions) <= set(self.conditions)

    def place(self, fold: int, system: str, step: str) -> Path:
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
        for fold in self.folds:
            shared = {
                "seed": self.seed,
                "data_folder": self.data_folder,
                **self.split(fold),
            }
            for system, options in self.systems.items():
                training = {**self.training, **options.get("training", {})}
                place = self.place(fold, system, "classifier")
                yield "train_classifier", place, {**shared, **training}
            for system, options in self.systems.items():
                yield from self._system_steps(fold, system, options, shared)

    def take_steps(self) -> int:
        """Take every step that was not finished before; return how many.

        Raises
        ------
        DataError
            If the folder of a step was made with other options.
        subprocess.CalledProcessError
            If a recipe fails; it has said why.
        """
        return sum(_take_step(*step, self.flags) for step in self.steps())

    def _system_steps(
        self, fold: int, system: str, options: Options, shared: Options
    ) -> Iterator[tuple[str, Path, dict[str, Any]]]:
        """Yield what follows the training of a system, in its order."""
        classifier = self.place(fold, system, "classifier")
        given = {**shared, "classifier": classifier}
        own = list(options.get("compare", ()))
        for method in (name for name in DECODERS if name in options):
            place = self.place(fold, system, method)
            keys = {**self.decoders.get(method, {}), **options[method]}
            yield f"train_{method}", place, {**given, **keys}
            drawn = {"method": method, method: str(place)}
            # as it was drawn, and at the size of the others
            own += [drawn, {**drawn, "mask": "binary"}]
        for name, condition in self.conditions.items():
            keys = {**self.interpret, **options.get("interpret", {})}
            keys |= condition
            baselines = options.get("baselines", self.compare)
            keys["compare"] = [*own, *condition.get("compare", baselines)]
            if keys.get("judge") == OTHER:
                others = (name for name in self.systems if name != system)
                judge = next(others, None)
                keys["judge"] = judge and self.place(fold, judge, "classifier")
            place = self.place(fold, system, name)
            yield "interpret", place, {**given, **keys}


def _choose(
    named: Mapping[str, Options], wanted: Sequence[str] | str
) -> dict[str, Options]:
    """Return the systems or conditions that are wanted.

    A mapping on the command line adds to that of the YAML file, so that names
    are the way to leave something out.
    """
    names = list(named) if wanted == "all" else list(wanted)
    if not names or not set(names) <= set(named):
        raise ValueError(
            f"wanted={wanted} must be 'all' or names of {', '.join(named)}."
        )
    return {name: named[name] for name in named if name in names}


def _find_folds(folds: Sequence[int] | str) -> tuple[int, ...]:
    """Read which test folds are wanted."""
    known = range(1, N_FOLDS + 1)
    wanted = known if folds == "all" else folds
    if not wanted or not set(wanted) <= set(known):
        raise ValueError(
            f"folds={folds} must be 'all' or numbers from 1 to {N_FOLDS}."
        )
    return tuple(fold for fold in known if fold in wanted)


def _take_step(
    recipe: str, folder: Path, options: Options, flags: Sequence[str]
) -> bool:
    """Run a recipe, unless it was finished with these options; say which."""
    record = folder / "options.json"
    asked = json.loads(json.dumps({"recipe": recipe, **options}, default=str))
    if record.exists():
        made = json.loads(record.read_text(encoding="utf-8"))
        if made != asked:
            changed = sorted(
                key
                for key in {*made, *asked}
                if made.get(key) != asked.get(key)
            )
            raise DataError(
                f"{folder} was made with another {', '.join(changed)}; remove "
                "it, or give another experiment_name or seed."
            )
        if (folder / "metrics.json").exists():
            logger.info("%s is there already.", folder)
            return False
    write_json(asked, record)
    run_recipe(recipe, folder, flags, **options)
    return True


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
