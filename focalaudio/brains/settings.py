"""`YAML, data, classifier -> settings`: what the result of a run depends on.

They are part of each checkpoint, so that a folder that holds a run is never
taken for that of another one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.checkpoints import (
    Checkpoint,
    ckpt_recency,
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from speechbrain.utils.distributed import main_process_only
from speechbrain.utils.run_opts import RunOptions
from torch import nn

from focalaudio.data.esc50 import CSV_NAME
from focalaudio.data.pipelines import SoundData
from focalaudio.encoders.weight_files import digest_weights
from focalaudio.errors import FocalAudioError, ModelError
from focalaudio.interpreters.base import Interpreter
from focalaudio.models.safe_yaml import PlainLoader
from focalaudio.models.start import digest_source
from focalaudio.models.trained_on import BEFORE, read_trained_on
from focalaudio.processes import count_processes

_Values = dict[str, Any]

_COUNTING = frozenset({  # SpeechBrain's options that change what is learnt
    "auto_mix_prec", "bfloat16_mix_prec", "eval_precision",
    "grad_accumulation_factor", "max_grad_norm", "optimizer_step_limit",
    "precision", "remove_vector_weight_decay", "skip_nonfinite_grads",
})  # fmt: skip
# where things are, and how fast; files count by what is in them
_NEUTRAL = (frozenset(RunOptions().as_dict()) - _COUNTING) | {
    "classifier", "columns", "data_folder", "download", "experiment_name",
    "judge", "label_separator", "manifest", "num_workers", "output_folder",
    "pattern", "pretrained", "save_folder", "use_tensorboard",
}  # fmt: skip
# keys that are younger than some runs, and what these were made with
_LATER = {
    "fold_seed": 0,
    "freeze_encoder": False,
    "labels_per_clip": "one",
    "max_equalizer_gain": 0.0,
    "n_folds": 5,
    "n_partners": 2,
    "outlier_probability": 0.0,
    "snr": 0.0,
}
# null of these is what runs from before it could be null were made with
_UNSET = ("classifier_from", "n_partners", "snr")
_OBJECT = "!"  # stands for what a YAML file makes an object of


class _ValueLoader(PlainLoader):
    """Read plain values, and know objects from null."""


_ValueLoader.add_multi_constructor("", lambda loader, tag, node: _OBJECT)


@register_checkpoint_hooks
class RunSettings:
    """What the result of a run depends on, to be compared and saved.

    Arguments
    ---------
    data : SoundData
        The clips of each split count, not the folder's name.
    classifier : torch.nn.Module
        One that was trained before: its weights count.
    pretrained : str or pathlib.Path
        What training starts from: a file's bytes count, a model's weights.
        Which clips trained it is saved too, and compared with nothing.
    interpreter, compared : Interpreter, sequence of Interpreter
        That are tested: their names count, and their decoders' weights.
    judge : torch.nn.Module
        That is asked too: its weights count, unless it is the classifier.
    clips : DynamicItemDataset
        That are tested: the boxes that a person marked in them count.

    Example
    -------
    >>> from focalaudio.data.pipelines import open_esc50
    >>> from focalaudio.data.synthetic import write_dataset
    >>> folder = write_dataset(getfixture("tmp_path"), 5, seconds=1.0)
    >>> settings = RunSettings(open_esc50(folder, [1, 2, 3], [4], [5]))
    >>> settings.complete("{lr: 0.1, num_workers: 4}", RunOptions())
    >>> settings.content["values"]["lr"], len(settings.content["rows"]["test"])
    (0.1, 10)
    """

    def __init__(
        self,
        data: SoundData,
        classifier: nn.Module | None = None,
        pretrained: str | Path | None = None,
        interpreter: Interpreter | None = None,
        compared: Iterable[Interpreter] = (),
        judge: nn.Module | None = None,
        clips: DynamicItemDataset | None = None,
    ) -> None:
        self.content: _Values = {
            "values": {},
            "labels": data.labels,
            "rows": data.rows,
            "source": data.source,
        }
        if classifier is not None:
            self.content["classifier_digest"] = digest_weights(classifier)
            # one of someone else's: what it does beside its weights
            said = getattr(classifier, "answers_to_noise", ())
            if said:
                self.content["answers_to_noise"] = list(said)
        if judge is not None and judge is not classifier:
            self.content["judge_digest"] = digest_weights(judge)
        if pretrained is not None:
            self.content["pretrained_digest"] = digest_source(pretrained)
            heard = read_trained_on(pretrained).all_clips()
            self.content[BEFORE] = sorted(heard)
        marked = {} if clips is None else _find_boxes(clips)
        if marked:
            text = json.dumps(marked, sort_keys=True)
            digest = hashlib.sha256(text.encode())
            self.content["boxes_digest"] = digest.hexdigest()
        tested = [*([interpreter] if interpreter else []), *compared]
        self._names = [each.name for each in tested]
        decoders = [
            each.get_submodule("decoder")
            for each in tested
            if hasattr(each, "decoder")
        ]
        if decoders:
            digests = digest_weights(nn.ModuleList(decoders))
            self.content["decoder_digest"] = digests

    def complete(self, text: str, options: RunOptions) -> None:
        """Add the plain values of a YAML file whose references are resolved.

        Nothing in `text` is executed; the command line's `options` count more.
        """
        values = _read_values(text)
        for name in _UNSET:
            if values.get(name) is None:
                values.pop(name, None)
        for name in sorted(_COUNTING):
            if name in options.overridden_args or name not in values:
                values[name] = options[name]
        if options.debug:  # a few batches of a few epochs
            values["debug"] = True
        # how many clips there are in a step
        _, values["processes"] = count_processes()
        if self._names:
            values["interpreters"] = self._names
        self.content["values"] = _as_json(values)

    def refuse_others(
        self, folder: Path, checkpoints: Sequence[Checkpoint], testing: bool
    ) -> None:
        """Refuse a folder that holds a run with other settings.

        Without `checkpoints` there is nothing to refuse; with `testing`, any
        number of processes will do. A `FocalAudioError` names each setting that
        differs, with both values; `ModelError` if the run's cannot be read.
        """
        if checkpoints:
            latest = max(checkpoints, key=ckpt_recency)
            self.compare(folder, latest.paramfiles.get("settings"), testing)

    def compare(
        self, folder: Path, record: Path | None, testing: bool = False
    ) -> None:
        """Refuse a folder with another record; errors as in `refuse_others`.

        Arguments
        ---------
        folder : pathlib.Path
            The run's.
        record : pathlib.Path
            Saved there; None if it is from before settings were saved.
        testing : bool
            As in `refuse_others`.
        """
        if record is not None:
            saved, own = _read_saved(record), self.content
        else:
            saved, own = self._in_common(folder / "hyperparams.yaml")
        found = "; ".join(_differences(saved, own, testing))
        if found:
            raise FocalAudioError(
                f"output_folder={folder} holds a run with other settings: "
                f"{found}. Give another experiment_name or seed, or the old "
                "values."
            )

    def _in_common(self, path: Path) -> tuple[_Values, _Values]:
        """Read a run from before settings were saved; keep what both have."""
        try:
            saved = _as_json(_read_values(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ModelError(
                f"{path} does not say what the checkpoints beside it were "
                f"trained with: {error}. Move them away."
            ) from error
        own = self.content["values"]
        both = sorted(saved.keys() & own.keys())
        return (
            {"values": {key: saved[key] for key in both}},
            {"values": {key: own[key] for key in both}},
        )

    @mark_as_saver
    @main_process_only
    def save(self, path: str | Path) -> None:
        """Write them as JSON."""
        Path(path).write_text(json.dumps(self.content), encoding="utf-8")

    @mark_as_loader
    def load(self, path: str | Path, end_of_epoch: bool = True) -> None:
        """Do nothing: they were compared before the run started."""


def _find_boxes(clips: DynamicItemDataset) -> _Values:
    """Return what was marked in each clip, if anything was."""
    rows = clips.data.items()
    return {name: row["marked"] for name, row in rows if "marked" in row}


def _read_values(text: str) -> _Values:
    """Return the plain values that count, nested ones as `outer.inner`."""
    loaded = yaml.load(text, Loader=_ValueLoader)  # noqa: S506
    if not isinstance(loaded, dict):
        raise ValueError("it holds no keys")
    flat = dict(_flatten(loaded))
    # a nested value that only repeats one of the file's own keys says nothing
    return {
        key: value
        for key, value in flat.items()
        if "." not in key or flat.get(key.rpartition(".")[2], _OBJECT) != value
    }


def _flatten(values: Mapping[Any, Any], outer: str = "") -> Iterator[Any]:
    for key, value in values.items():
        if key in _NEUTRAL or value == _OBJECT:
            continue
        if isinstance(value, dict) and value:
            yield from _flatten(value, f"{outer}{key}.")
        else:
            yield f"{outer}{key}", value


def _as_json(values: _Values) -> _Values:
    """Return values as they are when they have been saved and read."""
    return json.loads(json.dumps(values, default=str))


def _read_saved(path: Path) -> _Values:
    try:
        saved = json.loads(Path(path).read_text(encoding="utf-8"))
        _differences(saved, saved, testing=False)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path} is damaged ({error!r}); remove its folder, and the "
            "checkpoint before it is used."
        ) from error
    return saved


def _differences(saved: _Values, own: _Values, testing: bool) -> list[str]:
    """Say what differs between two records, one phrase each."""
    then, now = saved["values"], own["values"]
    changed = [
        key
        for key in sorted(then.keys() | now.keys())
        if _value(then, key) != _value(now, key)
        and not (testing and key == "processes")
    ]
    found = [
        f"{key} was {_show(then, key)}, is {_show(now, key)}" for key in changed
    ]
    if not any(key.endswith("_folds") for key in changed):
        rows, source = own.get("rows", {}), own.get("source", CSV_NAME)
        found += _changed_rows(saved.get("rows", {}), rows, source)
    if not found and saved.get("labels") != own.get("labels"):
        found.append("labels are others, or in another order")
    for name in ("classifier", "decoder", "judge", "pretrained"):
        key = f"{name}_digest"
        if saved.get(key) != own.get(key):
            found.append(f"{name} has other weights than then")
    said = own.get("answers_to_noise")
    if saved.get("answers_to_noise", said) != said:  # old records have none
        found.append("classifier answers otherwise than then")
    if saved.get("boxes_digest") != own.get("boxes_digest"):
        found.append("annotations are others than then")
    return found


def _value(values: _Values, key: str) -> Any:
    return values.get(key, _LATER.get(key, _OBJECT))


def _show(values: _Values, key: str) -> str:
    return json.dumps(values[key]) if key in values else "not set"


def _changed_rows(
    saved: Mapping[str, Mapping[str, str]],
    own: Mapping[str, Mapping[str, str]],
    source: str,
) -> list[str]:
    """Say which clips changed split or label, the first three by name."""
    then, now = _places(saved), _places(own)
    changed = [
        name for name in {**then, **now} if then.get(name) != now.get(name)
    ]
    if changed:
        shown = ", ".join(
            f"{name!r} was {then.get(name, 'absent')}, is "
            f"{now.get(name, 'absent')}"
            for name in changed[:3]
        )
        counted = f"{len(changed)} of {len(now)}"
        return [f"rows of {source} differ ({counted}): {shown}"]
    if list(then) != list(now):
        return [f"the rows of {source} are in another order"]
    return []


def _places(rows: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {
        name: f"{label!r} in {split}"
        for split, named in rows.items()
        for name, label in named.items()
    }
