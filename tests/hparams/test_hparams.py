"""The YAML files against the code that they name, and that reads them."""

import ast
import importlib
import importlib.util
import inspect
import pydoc
import re
from pathlib import Path

import pytest
import speechbrain as sb
import torch
import yaml
from hyperpyyaml import load_hyperpyyaml, resolve_references
from speechbrain.utils.run_opts import RunOptions

from focalaudio import brains
from focalaudio.data.synthetic import CLASSES, write_dataset
from focalaudio.encoders import ENCODERS, build_encoder, list_encoders
from focalaudio.models.run import save_model

ROOT = Path(__file__).parents[2]
FILES = sorted(path.stem for path in (ROOT / "hparams").glob("*.yaml"))
OTHER_SCRIPTS = {"reproduce_fsdd": "reproduce"}
# some run recipes, one only looks
BRAIN_FILES = [
    name for name in FILES if not name.startswith(("novelty", "reproduce"))
]
BRAINS = [getattr(brains, name) for name in brains.__all__]
DECODERS = {"train_piq": brains.PIQBrain, "train_lmac": brains.LMACBrain}
OBJECT = re.compile(r"!(new|apply|name):(.+)")


def text_of(name):
    return (ROOT / "hparams" / f"{name}.yaml").read_text(encoding="utf-8")


def tree_of(source):
    return ast.parse(source)


def script_of(name):
    script = OTHER_SCRIPTS.get(name, name)
    return ROOT / "recipes" / "ESC50" / f"{script}.py"


def nodes_of(node):
    """Yield a YAML node and everything below it."""
    yield node
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from nodes_of(key)
            yield from nodes_of(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from nodes_of(item)


def composed(name):
    """The file as nodes: nothing in it is executed."""
    return yaml.compose(text_of(name), Loader=yaml.SafeLoader)


def keys_of(name):
    return {key.value for key, _ in composed(name).value}


def referenced_in(name):
    scalars = (node.value for node in nodes_of(composed(name)))
    text = "\n".join(value for value in scalars if isinstance(value, str))
    return set(re.findall(r"<(\w+)[^<>]*>", text))


def subscripts_of(tree, owner="hparams"):
    """The constant keys of `hparams[...]` and `hparams.get(...)`."""
    keys = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and last_name(node.value) == owner:
            keys.add(node.slice.value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_get = node.func.attr == "get"
            if is_get and last_name(node.func.value) == owner:
                keys.add(node.args[0].value)
    return keys


def last_name(node):
    return (
        node.attr
        if isinstance(node, ast.Attribute)
        else getattr(node, "id", "")
    )


def attributes_of(kind, owner):
    """What a Brain of ours reads as `self.<owner>.<name>`, bases included."""
    names = set()
    for base in kind.__mro__:
        if base.__module__.startswith("focalaudio."):
            module = ast.parse(inspect.getsource(base))
            names |= {
                node.attr
                for node in ast.walk(module)
                if isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Attribute)
                and node.value.attr == owner
                and last_name(node.value.value) == "self"
            }
    return names


def trees_of(name):
    """The recipe of this name, and what two of them share."""
    script = script_of(name).read_text()
    shared = ROOT / "focalaudio" / "brains" / "decoder_runs.py"
    texts = [script, *([shared.read_text()] if shared.stem in script else [])]
    return [tree_of(text) for text in texts]


def brain_of(name):
    """The Brain that the recipe of this name asks for."""
    kinds = brains_in(name)
    return kinds[0] if len(kinds) == 1 else DECODERS[name]


def optional_of(kind):
    return set(getattr(kind, "HPARAMS_OPTIONAL", ()))


def brains_in(name):
    """All Brains that the recipe of this name knows."""
    known = {
        last_name(node) for tree in trees_of(name) for node in ast.walk(tree)
    }
    return [kind for kind in BRAINS if kind.__name__ in known]


def keys_read_by(name):
    package = Path(importlib.import_module("focalaudio").__file__).parent
    read = set().union(*map(subscripts_of, trees_of(name)))
    read |= subscripts_of(tree_of((package / "experiment.py").read_text()))
    if name in BRAIN_FILES:
        read |= set(brain_of(name).HPARAMS_NEEDED)
    elif name.startswith("reproduce"):
        plan = package / "reproduction" / "plan.py"
        read |= subscripts_of(tree_of(plan.read_text()))
    return read


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(
        tmp_path_factory.mktemp("dataset"),
        clips_per_class=5,
        seed=0,
        seconds=1.0,
        classes=CLASSES[:3],
    )


def load(name, **overrides):
    return load_hyperpyyaml(text_of(name), overrides)


@pytest.fixture(scope="module", params=["focalnet_test", "vit_test"])
def trained(request, dataset, tmp_path_factory):
    """What a training run leaves, without the training."""
    folder = tmp_path_factory.mktemp("run")
    values = {
        "data_folder": str(dataset),
        "output_folder": str(folder),
        "encoder_name": request.param,
    }
    hparams = load("train_classifier", **values)
    hparams["data"].save_labels(hparams["save_folder"])
    save_model(hparams["model"], folder)
    hparams["checkpointer"].save_checkpoint({"error": 0.5})
    resolved = resolve_references(text_of("train_classifier"), values)
    (folder / "hyperparams.yaml").write_text(resolved.read())
    return folder, hparams


@pytest.mark.parametrize("encoder", [*list_encoders(), "focalnet_nano"])
def test_a_classifier_trains_with_every_encoder(encoder, dataset, tmp_path):
    with torch.device("meta"):  # shapes without memory
        hparams = load(
            "train_classifier",
            data_folder=str(dataset),
            output_folder=str(tmp_path),
            encoder_name=encoder,
        )
        own = build_encoder(encoder, in_channels=1)
    classifier = hparams["classifier"]
    assert classifier.n_classes == hparams["data"].n_classes == 3
    shapes = {k: v.shape for k, v in own.state_dict().items()}
    built = classifier.encoder.state_dict()
    assert {k: v.shape for k, v in built.items()} == shapes


@pytest.mark.parametrize(
    "encoder",
    sorted(
        {kind for kind, _ in ENCODERS.values()}, key=lambda kind: kind.__name__
    ),
)
def test_every_encoder_takes_what_the_yaml_passes(encoder):
    parameters = inspect.signature(encoder).parameters
    assert {"in_channels", "drop_path"} <= set(parameters)


@pytest.mark.parametrize(
    "name", [n for n in BRAIN_FILES if n != "train_classifier"]
)
def test_every_trained_encoder_is_interpreted(name, trained, dataset, tmp_path):
    folder, training = trained
    hparams = load(
        name,
        data_folder=str(dataset),
        output_folder=str(tmp_path),
        classifier=str(folder),
    )
    state = hparams["model"].classifier.state_dict()
    for key, value in training["classifier"].state_dict().items():
        assert torch.equal(state[key], value)
    assert tuple(hparams["labels"]) == tuple(training["labels"])
    assert hparams["interpreter"].classifier is hparams["model"].classifier
    assert set(hparams["modules"]) >= set(brain_of(name).MODULES_NEEDED)


def test_training_lists_what_it_saves(trained):
    checkpointer = trained[1]["checkpointer"]
    saved = {
        "average",
        "classifier",
        "counter",
        "history",
        "random_state",
        "settings",
    }
    assert set(checkpointer.recoverables) == saved
    assert trained[1]["modules"]["classifier"] is trained[1]["classifier"]


@pytest.mark.parametrize("name", FILES)
def test_every_key_is_used(name):
    options = set(RunOptions().as_dict())
    hidden = {key for key in keys_of(name) if key.startswith("__")}
    used = referenced_in(name) | keys_read_by(name) | options | hidden
    for kind in brains_in(name):
        used |= set(kind.HPARAMS_NEEDED) | optional_of(kind)
    assert keys_of(name) - used == set()


@pytest.mark.parametrize("name", FILES)
def test_every_key_that_is_read_is_there(name):
    optional = {"opt_class", "checkpointer", "modules"}
    optional |= {"settings", "progress"}
    read = keys_read_by(name) | referenced_in(name)
    assert read - optional - keys_of(name) == set()


@pytest.mark.parametrize("name", FILES)
def test_a_recipe_names_what_it_reads(name):
    """So that the file of another recipe is refused before any work."""
    spec = importlib.util.spec_from_file_location(name, script_of(name))
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    named = script.PLAN_KEYS if hasattr(script, "Plan") else script.NEEDED
    read = set().union(*map(subscripts_of, trees_of(name)))
    if hasattr(script, "Plan"):
        plan = ROOT / "focalaudio" / "reproduction" / "plan.py"
        read |= subscripts_of(tree_of(plan.read_text()))
    assert read <= set(named) <= keys_of(name)


@pytest.mark.parametrize("name", FILES)
def test_no_key_is_given_twice(name):
    keys = [key.value for key, _ in composed(name).value]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", [*BRAIN_FILES, "novelty"])
def test_every_object_takes_its_keywords(name):
    found = 0
    for node in nodes_of(composed(name)):
        kind = OBJECT.fullmatch(str(node.tag))
        if kind is None:
            continue
        target = pydoc.locate(kind[2])
        assert callable(target), f"{kind[2]} does not exist"
        assert inspect.isclass(target) or kind[1] != "new", kind[2]
        found += 1
        if isinstance(node, yaml.MappingNode):
            keywords = dict.fromkeys(key.value for key, _ in node.value)
            signature = inspect.signature(target)
            if kind[1] == "name":  # called later, with more
                signature.bind_partial(**keywords)
            else:
                signature.bind(**keywords)
    assert found > 2


@pytest.mark.parametrize("name", BRAIN_FILES)
def test_modules_of_the_yaml_are_those_of_the_brain(name):
    node = dict((key.value, value) for key, value in composed(name).value)
    given = {key.value for key, _ in node["modules"].value}
    assert given >= set(brain_of(name).MODULES_NEEDED)


@pytest.mark.parametrize("kind", BRAINS)
def test_brains_name_the_hparams_they_read(kind):
    assert issubclass(kind, sb.Brain)
    named = set(kind.HPARAMS_NEEDED) | optional_of(kind)
    assert attributes_of(kind, "hparams") == named
    assert attributes_of(kind, "modules") <= set(kind.MODULES_NEEDED)


@pytest.mark.parametrize("name", FILES)
def test_no_key_is_short_for_an_option(name):
    """Argparse would take `--max_g` for SpeechBrain's `--max_grad_norm`."""
    options = set(RunOptions().as_dict())
    settings = {
        key.value
        for key, value in composed(name).value
        if not OBJECT.match(value.tag) and key.value not in options
    }
    for key in settings:
        assert not [o for o in options if o.startswith(key)], key


@pytest.mark.parametrize("name", FILES)
def test_what_the_user_must_give_is_marked(name):
    placeholders = {
        key.value
        for key, value in composed(name).value
        if value.tag == "!PLACEHOLDER"
    }
    given = set(re.findall(r"--(\w+)", text_of(name).split("\n\n")[0]))
    assert placeholders <= given
    assert given <= keys_of(name)


@pytest.mark.parametrize("name", FILES)
def test_a_script_runs_it(name):
    script = script_of(name).read_text()
    assert f"hparams/{script_of(name).stem}.yaml" in script
    assert len(script.splitlines()) <= 60
    assert f"recipes/ESC50/{script_of(name).name}" in text_of(name)
