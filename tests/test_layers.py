"""The layers of the package, read from its imports; arrows go up only."""

import ast
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import focalaudio

PACKAGE = Path(focalaudio.__file__).parent
LAYERS = {  # a package stands for its modules that are not named themselves
    "focalaudio.version": 0,
    "focalaudio.arguments": 0,
    "focalaudio.console": 0,
    "focalaudio.errors": 0,
    "focalaudio.files": 0,
    "focalaudio.interrupts": 0,
    "focalaudio.memory": 0,
    "focalaudio.starting": 0,
    "focalaudio.audio": 1,
    "focalaudio.boxes": 1,
    "focalaudio.decisions": 1,
    "focalaudio.augment": 1,
    "focalaudio.encoders.base": 1,
    "focalaudio.encoders.linear": 1,
    "focalaudio.evidence": 1,
    "focalaudio.image": 1,
    "focalaudio.interpreters.quantizer": 1,
    "focalaudio.masks": 1,
    "focalaudio.mel": 1,
    "focalaudio.metrics.functional": 1,
    "focalaudio.mixtures": 1,
    "focalaudio.processes": 1,
    "focalaudio.recordings": 1,
    "focalaudio.repairs": 1,
    "focalaudio.saliency": 1,
    "focalaudio.sniffing": 1,
    "focalaudio.spectrogram": 1,
    "focalaudio.waveforms": 1,
    "focalaudio.encoders": 2,
    "focalaudio.classifier": 3,
    "focalaudio.contract": 3,
    "focalaudio.foreign": 3,
    "focalaudio.shares": 3,
    "focalaudio.interpreters": 4,
    "focalaudio.data": 5,
    "focalaudio.metrics": 5,
    "focalaudio.pictures": 5,
    "focalaudio.report": 5,
    "focalaudio.brains": 6,
    "focalaudio.endings": 6,
    "focalaudio.experiment": 6,
    "focalaudio.inference": 6,
    "focalaudio.models": 6,
    "focalaudio.overrides": 6,
    "focalaudio.values": 6,
    "focalaudio": 7,
    "focalaudio.__main__": 7,
    "focalaudio.cli": 7,
    "focalaudio.reproduction": 7,
}
# what layer 5 may know of layers 2 to 4
RECORDS = {"ClassifierOutput", "EncoderOutput", "Interpretation", "Spectrum"}
THIRD_PARTY = {
    0: set(),
    1: {"torch"},
    2: {"torch"},
    3: {"torch"},
    4: {"torch", "captum"},
    5: {"torch", "numpy", "pandas", "torchmetrics", "jinja2", "tqdm"},
    6: {"torch", "numpy", "yaml", "hyperpyyaml", "huggingface_hub"},
    7: {"torch", "pandas", "tqdm"},
}
THIRD_PARTY[6] |= {"speechbrain", "safetensors", "tqdm", "filelock"}
ALSO = {
    "focalaudio.audio": {"soundfile"},
    "focalaudio.files": {"filelock"},
    "focalaudio.boxes": {"numpy", "scipy"},
    "focalaudio.waveforms": {"torchaudio"},
    "focalaudio.augment.masking": {"speechbrain"},
    "focalaudio.augment.waveforms": {"speechbrain"},
    "focalaudio.spectrogram": {"speechbrain"},
    "focalaudio.data.transfer": {"huggingface_hub"},
    "focalaudio.encoders.weight_files": {"safetensors"},
    "focalaudio.classifier": {"speechbrain"},
    "focalaudio.pictures": {"matplotlib", "PIL"},
    "focalaudio.foreign.doors": {"torchaudio"},
    "focalaudio.encoders.timm_models": {"timm"},
}
SPEECHBRAIN = {  # which parts of it, where not everything is allowed
    "focalaudio.augment.masking": {"speechbrain.augment.freq_domain"},
    "focalaudio.augment.waveforms": {"speechbrain.augment.time_domain"},
    "focalaudio.spectrogram": {"speechbrain.processing.features"},
    "focalaudio.classifier": {"speechbrain.lobes.models.ECAPA_TDNN"},
}
LAYER_5 = ("speechbrain.dataio", "speechbrain.utils.distributed")
ONLY_IN = {"matplotlib": "focalaudio.pictures", "soundfile": "focalaudio.audio"}


def name_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    name_of(path): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] not in ("recipes", "hparams")
}


def entry_of(module, table):
    """The name in a table that stands for a module, or nothing."""
    while module and module not in table:
        module = module.rpartition(".")[0]
    return module


def layer_of(module):
    return LAYERS[entry_of(module, LAYERS)]


def imports_of(path):
    """Yield `(module, name)` of every import, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in MODULES:
                    yield full, None
                else:
                    yield node.module, alias.name


def of_package(module):
    return module.split(".")[0] == "focalaudio"


# modules and functions that Windows has not
UNIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "termios"}
UNIX_CALLS = {"fork", "forkpty", "getuid", "geteuid", "mkfifo", "setsid"}


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_of_one_system_only(module):
    """Run on Linux only; what is known to fail elsewhere is kept out."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    roots = {name.split(".")[0] for name, _ in imports_of(MODULES[module])}
    assert not roots & UNIX_ONLY
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = getattr(node.value, "id", "")
            assert not (owner == "os" and node.attr in UNIX_CALLS), node.lineno
            assert node.attr not in ("SIGKILL", "SIGALRM", "SIGHUP")


@pytest.mark.parametrize("module", MODULES)
def test_imports_come_from_the_same_layer_or_below(module):
    own = layer_of(module)
    for imported, _ in imports_of(MODULES[module]):
        if of_package(imported):
            assert layer_of(imported) <= own, f"{module} imports {imported}"


@pytest.mark.parametrize("module", [m for m in MODULES if layer_of(m) == 5])
def test_data_and_reports_know_models_by_their_records(module):
    for imported, name in imports_of(MODULES[module]):
        if of_package(imported) and 2 <= layer_of(imported) <= 4:
            assert name in RECORDS, f"{module} imports {imported}.{name}"


@pytest.mark.parametrize("module", MODULES)
def test_other_packages_are_those_of_the_layer(module):
    also = ALSO.get(entry_of(module, ALSO), set())
    allowed = THIRD_PARTY[layer_of(module)] | also
    for imported, _ in imports_of(MODULES[module]):
        root = imported.split(".")[0]
        if root in sys.stdlib_module_names or root == "focalaudio":
            continue
        if root == "speechbrain" and layer_of(module) == 5:
            assert imported.startswith(LAYER_5), f"{module} imports {imported}"
        else:
            assert root in allowed, f"{module} imports {imported}"
        if root == "speechbrain" and module in SPEECHBRAIN:
            assert imported in SPEECHBRAIN[module], f"{module}: {imported}"


@pytest.mark.parametrize("library", ONLY_IN)
def test_one_place_alone_opens_sounds_or_draws(library):
    users = {
        entry_of(module, ONLY_IN.values()) or module
        for module, path in MODULES.items()
        for imported, _ in imports_of(path)
        if imported.split(".")[0] == library
    }
    assert users == {ONLY_IN[library]}


def test_the_table_names_what_there_is():
    assert set(LAYERS) <= set(MODULES)
    top = {module for module in MODULES if module.count(".") <= 1}
    missing = {m for m in top if m not in LAYERS}
    assert not missing, f"give them a layer in this file: {missing}"


@pytest.mark.parametrize("package", sorted(PACKAGE.rglob("__init__.py")))
def test_a_package_says_what_each_of_its_modules_is(package):
    told = ast.get_docstring(ast.parse(package.read_text(encoding="utf-8")))
    # lines such as `piq, lmac  what its decoder learns`
    named = re.findall(r"^((?:\w+, )*\w+)  +\S", told, re.MULTILINE)
    listed = {name for names in named for name in names.split(", ")}
    modules = {path.stem for path in package.parent.glob("*.py")}
    modules |= {
        path.parent.name for path in package.parent.glob("*/__init__.py")
    }
    missing = modules - {"__init__", "__main__", "version"} - listed
    assert not missing, f"give them a line in the docstring of {package}"


def test_recipes_use_public_things_only():
    for path in (PACKAGE.parent / "recipes").rglob("*.py"):
        for imported, name in imports_of(path):
            assert of_package(imported) or imported in sys.stdlib_module_names
            assert not (name or "").startswith("_")


STATE = """
import json, logging, os, random, signal, sys, threading, warnings
import torch

def state():
    return {
        "tf32": [
            torch.backends.cuda.matmul.allow_tf32,
            torch.backends.cudnn.allow_tf32,
        ],
        "benchmark": torch.backends.cudnn.benchmark,
        "seeds": [torch.initial_seed(), hash(random.getstate())],
        "default": [str(torch.get_default_dtype()), torch.get_num_threads()],
        "grad": torch.is_grad_enabled(),
        "logging": [
            logging.root.level,
            len(logging.root.handlers),
            logging.root.manager.disable,
        ],
        "warnings": len(warnings.filters),
        "hook": sys.excepthook is sys.__excepthook__,
        "environment": dict(os.environ),
        "folder": [os.getcwd(), sys.path],
        "threads": threading.active_count(),
        "interrupt": str(signal.getsignal(signal.SIGINT)),
    }

before = state()
import focalaudio
names = dir(focalaudio)
after = state()
loaded = sorted({name.split(".")[0] for name in sys.modules})
print(json.dumps([before, after, loaded, names]))
"""


@pytest.fixture(scope="module")
def imported():
    """State before and after the import, and what is loaded then."""
    command = [sys.executable, "-c", textwrap.dedent(STATE)]
    output = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=300
    )
    assert output.stderr == ""
    return json.loads(output.stdout)


def test_importing_changes_no_global_state(imported):
    before, after, _, _ = imported
    assert before == after


def test_importing_loads_nothing_heavy(imported):
    heavy = {"speechbrain", "matplotlib", "torchmetrics", "pandas", "soundfile"}
    assert not heavy & set(imported[2])


LOADED = """
import sys
{}
heavy = {{"torch", "torch._dynamo", "torchmetrics", "transformers"}}
print(*sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("work", "loaded"),
    [
        ("from focalaudio.cli import build_parser; build_parser()", []),
        ("import focalaudio.inference.folder as f; f.SoundInterpreter"
         ".from_hparams()", ["torch"]),
    ],
    ids=["help", "model"],
)  # fmt: skip
def test_what_is_not_needed_is_not_loaded(work, loaded):
    command = [sys.executable, "-c", LOADED.format(work)]
    output = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=300
    )
    assert output.stdout.split() == loaded


def test_public_names_are_few_and_all_there(imported):
    assert 0 < len(focalaudio.__all__) <= 10
    assert imported[3] == sorted(focalaudio.__all__)
    assert all(getattr(focalaudio, name) for name in focalaudio.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(
        AttributeError, match="'focalaudio' has no attribute 'x'"
    ):
        _ = focalaudio.x
