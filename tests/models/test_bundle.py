"""Bundles of strangers: each is read in a process of its own, with a canary."""

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from focalaudio.errors import ModelError
from focalaudio.metrics.novelty import NoveltyRule
from focalaudio.metrics.spectral_shape import SpectralShape
from focalaudio.models.bundle import read_bundle, write_bundle, write_sums
from focalaudio.models.bundle_files import SHAPE_FILE
from focalaudio.models.novelty import Novelty

ROOT = Path(__file__).parents[2]
# one process imports, and one of its own for each bundle reads it
READER = """
import json, os, resource, sys
from pathlib import Path
import torch
from focalaudio.inference.interpreter import SoundInterpreter

def read(folder, trust):
    resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
    soft = 6 << 30
    resource.setrlimit(resource.RLIMIT_AS, (soft, soft))
    os.chdir(folder.parent)
    try:
        SoundInterpreter.from_hparams(folder, trust_remote_yaml=trust)
        answer = ["loaded", ""]
    except Exception as error:
        answer = [[kind.__name__ for kind in type(error).__mro__], str(error)]
    (folder.parent / "answer.json").write_text(json.dumps(answer))

# what the first reading imports is imported once, not by each process
SoundInterpreter.from_hparams(Path(sys.argv[1]))
for line in sys.stdin:
    trust, folder = line.rstrip(chr(10)).split(" ", 1)
    child = os.fork()
    if not child:
        try:
            read(Path(folder), trust == "trust")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
"""
SCALAR = {  # what stands where a number is expected
    "apply": "!apply:os.mkdir [{canary}]",
    "new with a list": "!new:pathlib.PosixPath.mkdir [{canary}]",
    "name": "!name:os.mkdir [{canary}]",
    "applyref": "!applyref:os.mkdir [{canary}]",
    "module": "!module:antigravity",
    "include": "!include:{secret}",
    "python apply": "!!python/object/apply:os.mkdir [{canary}]",
    "python new": "!!python/object/new:os.mkdir [{canary}]",
    "python name": "!!python/name:os.mkdir",
    "python module": "!!python/module:antigravity",
    "python tuple": "!!python/tuple [1, 2]",
    "verbatim": (
        "!<tag:yaml.org,2002:python/object/apply:os.mkdir> [{canary}]"
    ),
    "tuple": "(os.mkdir('{canary}'), 1)",
    "tuple with a tag": "!tuple (os.mkdir('{canary}'), 1)",
    "tuple in quotes": "\"  (os.mkdir('{canary}'), 1)\"",
    "power": "!ref <sample_rate> ** <sample_rate> ** <sample_rate>",
    "power of a number": "!ref <n_fft>**9999999",
    "attribute": "!ref <spectrogram.__class__>",
    "item": "!ref <reader[0]>",
    "reference to nothing": "!ref <absent>",
    "reference to below": "!ref <classifier>",
    "reference in text": "!ref a<sample_rate>",
    "reference to a list": "!ref [<sample_rate>]",
    "copy": "!copy <reader>",
    "torch.os": "!new:torch.os.mkdir {{name: {canary}}}",
    "speechbrain.os": "!new:speechbrain.core.os.mkdir {{name: {canary}}}",
    "shell": (
        "!new:speechbrain.utils.superpowers.run_shell {{cmd: mkdir {canary}}}"
    ),
    "our own os": "!new:focalaudio.files.os.mkdir {{name: {canary}}}",
    "percent": "!new:os%2Emkdir {{path: {canary}}}",
    "space": "!new:%20focalaudio.spectrogram.Spectrogram {{}}",
    "method": "!new:focalaudio.data.pipelines.ClipReader.__init__ {{}}",
    "forbidden argument": (
        "!new:focalaudio.spectrogram.Spectrogram {{device: cpu}}"
    ),
    "dunder argument": (
        "!new:focalaudio.data.pipelines.ClipReader {{__class__: x}}"
    ),
    "positional": "!new:focalaudio.data.pipelines.ClipReader [16000]",
    "no arguments": "!new:focalaudio.data.pipelines.ClipReader",
    "absurd argument": (
        "!new:focalaudio.encoders.focalnet.FocalNet {{dim: 99999999}}"
    ),
    "another object": "!new:focalaudio.data.pipelines.ClipReader {{}}",
    "pretrainer": (
        "!new:speechbrain.utils.parameter_transfer.Pretrainer "
        "{{collect_in: {canary}}}"
    ),
    "download": "!new:focalaudio.data.download.download_esc50 {{folder: x}}",
    "anchor": "&a 7.0",
    "alias": "*a",
    "explicit tag": "!!float 7.0",
    "bare tag": "! 7.0",
    "infinity": ".inf",
    "not a number": ".nan",
    "overflow": "1e999",
    "digits": "9" * 100_000,
    "negative": "-1",
    "zero": "0",
    "bool": "true",
    "text": "seven",
    "null": "null",
    "octal": "007",
    "sexagesimal": "1:30",
    "deep list": "[" * 10_000,
    "deep mapping": "{{a: " * 10_000,
    "many values": "[" + "1, " * 20_000 + "1]",
}
LINES = {  # what stands where a key is expected
    "paths": "paths: {{classifier: ../../elsewhere}}",
    "loadables": "loadables: {{../x: !ref <classifier>}}",
    "outer key": "../x: 1",
    "merge": "<<: {{sample_rate: 16000}}",
    "twice": "format: 2",
    "dunder": "__class__: 1",
    "complex key": "? [a]\n: 1",
    "key that runs": "? !apply:os.mkdir [{canary}]\n: 1",
    "laughs": ("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]"),
    "growing references": (
        "interpretation: {{stages: [!ref <interpretation>]}}"
    ),
    "another file": "interpretation: {{piq: {secret}}}",
    "unknown method": "interpretation: {{method: gradients}}",
    "seed": "__set_seed: !apply:os.mkdir [{canary}]",
    "modules": "modules: {{classifier: !ref <classifier>}}",
    "padding": "# " + "x" * (1 << 20),
}
CONTROL = LINES["seed"]
HEADERS = {  # what stands before the text
    "directive": "%TAG !n! !new:\n---\n",
    "version": "%YAML 1.2\n---\n",
}
NUMBERS = {  # an absurd number where a sensible one was
    "sample_rate: 16000": ("0", "-16000", "1e9", "16000.5", "4000000000"),
    "n_fft: 1024": ("1025", "1000000000"),
    "clip_seconds: 1.0": ("-1.0", "1e12"),
    "n_classes: 3": ("4", "99999999999"),
    "image_size: [32, 48]": ("[32]", "[99999, 99999]", "[32, [48]]"),
    "in_channels: 1": ("2", "0"),
    "dim: 16": ("4096", "17", "0"),
    "depths: [1, 1]": ("[64, 64, 64, 64, 64, 64]", "[]", "[1, 1000]"),
    "head: cosine": ("linear", "../x", "[cosine]"),
    "quantile: 0.9": ("2", "null"),
    "n_codes: 12": ("1048576", "13", "1"),
    "n_bands: 8": ("0", "99999", "9"),
    "format: 2": ("3", "true"),
}


class Call:
    """Pickled, it is a call."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def put(folder, name, content):
    (folder / name).write_bytes(content)


def link(folder, name):
    target = (folder / name).rename(folder.parent / name)
    (folder / name).symlink_to(target)


def edit(folder, change, name="model.safetensors"):
    tensors = load_file(folder / name)
    change(tensors)
    save_file(tensors, folder / name)


def header(length, text=b"{}"):
    """A safetensors file with a header, large enough to be looked into."""
    return struct.pack("<Q", length) + text + bytes(300_000)


def zipped(folder):
    torch.save(Call(folder.parent / "canary"), folder / "model.safetensors")


def replace_key(tensors):
    tensors["other"] = tensors.pop(sorted(tensors)[0])


def first_to(value):
    def change(tensors):
        tensors[sorted(tensors)[0]].view(-1)[0] = value

    return change


def to_ints(tensors):
    name = sorted(tensors)[0]
    tensors[name] = tensors[name].to(torch.int32)


def labels(*lines):
    text = "".join(f"{line}\n" for line in lines)
    return lambda folder: put(folder, "label_encoder.txt", text.encode())


OVERLAP = (
    b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
    b'"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
)
OVERSIZE = (
    b'{"a":{"dtype":"F32","shape":[4294967296,4294967296],'
    b'"data_offsets":[0,4]}}'
)
SUM = "0" * 64
CALL = "__import__('os').mkdir('canary')"
FILES = {
    "pickle": lambda f: put(
        f,
        "model.safetensors",
        pickle.dumps(Call(f.parent / "canary")) + bytes(300_000),
    ),
    "zipped pickle": zipped,
    "pickled decoder": lambda f: put(
        f, "decoder.safetensors", pickle.dumps(Call(f.parent / "canary"))
    ),
    "pickled spectra": lambda f: put(
        f, SHAPE_FILE, pickle.dumps(Call(f.parent / "canary"))
    ),
    "huge header": lambda f: put(f, "model.safetensors", header(1 << 62)),
    "large header": lambda f: put(
        f, "model.safetensors", header(99_999_999, b"{" * 4096)
    ),
    "header of nothing": lambda f: put(f, "model.safetensors", b""),
    "nested header": lambda f: put(
        f, "model.safetensors", header(60_000, b'{"a":' * 12_000)
    ),
    "overlapping weights": lambda f: put(
        f, "model.safetensors", header(len(OVERLAP), OVERLAP)
    ),
    "oversized weights": lambda f: put(
        f, "model.safetensors", header(len(OVERSIZE), OVERSIZE)
    ),
    "cut weights": lambda f: os.truncate(f / "model.safetensors", 5000),
    "a key renamed": lambda f: edit(f, replace_key),
    "a key left over": lambda f: edit(
        f, lambda t: t.update(extra=torch.ones(1))
    ),
    "a key missing": lambda f: edit(f, lambda t: t.pop(sorted(t)[0])),
    "weights of ints": lambda f: edit(f, to_ints),
    "weights of nan": lambda f: edit(f, first_to(float("nan"))),
    "weights of inf": lambda f: edit(f, first_to(float("inf"))),
    "decoder of nan": lambda f: edit(
        f, first_to(float("nan")), "decoder.safetensors"
    ),
    "spectra of nan": lambda f: edit(f, first_to(float("nan")), SHAPE_FILE),
    "linked spectra": lambda f: link(f, SHAPE_FILE),
    "linked yaml": lambda f: link(f, "hyperparams.yaml"),
    "linked weights": lambda f: link(f, "model.safetensors"),
    "linked labels": lambda f: link(f, "label_encoder.txt"),
    "linked decoder": lambda f: link(f, "decoder.safetensors"),
    "linked folder": lambda f: (f / "more").symlink_to("/"),
    "link to nowhere": lambda f: (f / "more").symlink_to("nowhere"),
    "pipe": lambda f: os.mkfifo(f / "more"),
    "pipe for sums": lambda f: os.mkfifo(f / "SHA256SUMS"),
    "labels that call": labels(f"{CALL} => 0", "'b' => 1", "'c' => 2"),
    "number that calls": labels(f"'a' => {CALL}", "'b' => 1", "'c' => 2"),
    "extras that call": labels(
        *("'a' => 0", "'b' => 1", "'c' => 2", "=" * 16, f"'x' => {CALL}")
    ),
    "nested label": labels("(" * 100_000 + " => 0"),
    "label that is a list": labels("['a'] => 0", "'b' => 1", "'c' => 2"),
    "label that is a tuple": labels("('a',) => 0", "'b' => 1", "'c' => 2"),
    "label that clears the screen": labels(
        *("'\\x1b[2J' => 0", "'b' => 1", "'c' => 2")
    ),
    "too few labels": labels("'a' => 0", "'b' => 1"),
    "one label twice": labels("'a' => 0", "'b' => 1", "'a' => 2"),
    "labels that are no text": lambda f: put(
        f, "label_encoder.txt", b"\xff\xfe"
    ),
    "huge labels": lambda f: put(f, "label_encoder.txt", b"a" * (2 << 20)),
    "yaml that is no text": lambda f: put(f, "hyperparams.yaml", b"\xff\xfea"),
    "yaml with a zero": lambda f: put(f, "hyperparams.yaml", b"a: \0"),
    "empty yaml": lambda f: put(f, "hyperparams.yaml", b""),
    "sum of another file": lambda f: put(
        f, "SHA256SUMS", f"{SUM}  ../../etc/passwd\n".encode()
    ),
    "sum of the folder above": lambda f: put(
        f, "SHA256SUMS", f"{SUM}  ..\n".encode()
    ),
    "sums that differ": lambda f: put(
        f, "SHA256SUMS", f"{SUM}  hyperparams.yaml\n".encode()
    ),
    "sums of little": lambda f: put(f, "SHA256SUMS", b""),
}


def spoil_yaml(change):
    def spoil(folder):
        path = folder / "hyperparams.yaml"
        places = {
            "canary": folder.parent / "canary",
            "secret": folder.parent / "secret",
        }
        text = path.read_text()
        changed = change(text, places)
        assert changed != text
        path.write_text(changed)

    return spoil


def in_place(old, new):
    def change(text, places):
        assert old in text
        return text.replace(old, f"{old.split(':')[0]}: {new}")

    return spoil_yaml(change)


def as_scalar(malice):
    return spoil_yaml(
        lambda text, places: text.replace(
            "scale: 7.0", f"scale: {malice.format(**places)}"
        )
    )


def as_lines(malice):
    return spoil_yaml(
        lambda text, places: text + malice.format(**places) + "\n"
    )


def as_header(malice):
    return spoil_yaml(lambda text, places: malice + text)


ATTACKS = {f"value: {k}": as_scalar(v) for k, v in SCALAR.items()}
ATTACKS |= {f"key: {k}": as_lines(v) for k, v in LINES.items()}
ATTACKS |= {f"header: {k}": as_header(v) for k, v in HEADERS.items()}
ATTACKS |= {f"file: {k}": v for k, v in FILES.items()}
ATTACKS |= {
    f"number: {old.split(':')[0]} {new}": in_place(old, new)
    for old, values in NUMBERS.items()
    for new in values
}
# damaged, or of another model, but asking for nothing
HARMLESS = (  # words in the names of such files
    *("weights", "key", "header of", "huge header", "large header", "nan"),
    *(
        "pickle",
        "labels",
        "label",
        "yaml",
        "sums",
        "sum of the folder",
        "number that",
        "extras",
    ),
    *("decoder", "nested header"),
)
MISFITS = {
    *("number: n_classes 4", "number: in_channels 2", "number: dim 4096"),
    *("number: dim 17", "number: depths [64, 64, 64, 64, 64, 64]"),
    *("number: head linear", "number: n_codes 13", "number: n_codes 1"),
    *("number: n_codes 1048576", "number: n_fft 1025"),
    "number: n_bands 9",
}


def judge(honest, folders, trusted):
    """Read each in a process of its own; return what it said."""
    lines = [
        f"{'trust' if name in trusted else 'no'} {folder}\n"
        for name, folder in folders.items()
    ]
    done = subprocess.run(
        [sys.executable, "-c", READER, str(honest)],
        input="".join(lines),
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = {}
    for name, folder in folders.items():
        path = folder.parent / "answer.json"
        answer = json.loads(path.read_text()) if path.exists() else None
        answers[name] = folder, answer
    return answers


def copy(source, folder):
    """A copy beside a secret, as a stranger would send it."""
    folder.mkdir(parents=True)
    for path in source.iterdir():
        if path.name != "SHA256SUMS":  # whoever spoils files sums them anew
            put(folder, path.name, path.read_bytes())
    (folder.parent / "secret").write_text("logit_scale: 7.0\n")
    return folder


@pytest.fixture(scope="module")
def honest(exported, tmp_path_factory):
    """A bundle with all that one may have."""
    folder = tmp_path_factory.mktemp("honest") / "bundle"
    shutil.copytree(exported, folder)
    rules = (NoveltyRule("spectrum", 1e6),)
    novelty = Novelty(rules, SpectralShape(n_bands=8))
    write_bundle(replace(read_bundle(exported), novelty=novelty), folder)
    return folder


@pytest.fixture(scope="module")
def judged(honest, tmp_path_factory):
    """What reading each spoiled bundle led to, and where it lies."""
    root = tmp_path_factory.mktemp("strangers")
    controls = {"honest": lambda folder: None, "trusted": as_lines(CONTROL)}
    folders = {}
    for number, (name, spoil) in enumerate((ATTACKS | controls).items()):
        folders[name] = copy(honest, root / str(number) / "bundle")
        spoil(folders[name])
    return judge(honest, folders, trusted={"trusted"})


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_strangers_bundle_is_refused_and_runs_nothing(judged, attack):
    folder, answer = judged[attack]
    assert answer is not None, "the process that read it died"
    kinds, message = answer
    kind, name = attack.split(": ", 1)
    harmless = kind == "file" and any(word in name for word in HARMLESS)
    wanted = "ModelError" if harmless or attack in MISFITS else "Unsafe"
    assert any(wanted in k for k in kinds), (kinds, message)
    assert str(folder) in message
    assert len(message) < 2000
    left = {path.name for path in folder.parent.iterdir()}
    moved = {"hyperparams.yaml", "model.safetensors", "label_encoder.txt"}
    assert left - moved <= {
        "bundle",
        "secret",
        "answer.json",
        *(["decoder.safetensors"] if "decoder" in attack else []),
        *([SHAPE_FILE] if "spectra" in attack else []),
    }


def test_enough_attacks_are_tried():
    assert len(ATTACKS) >= 25


def test_an_honest_bundle_is_read_in_the_same_way(judged):
    assert judged["honest"][1] == ["loaded", ""]


def test_what_is_refused_would_have_run(judged):
    """The canary sings if the caller trusts the very line that is refused."""
    refused, _ = judged["key: seed"]
    trusted, answer = judged["trusted"]
    assert answer == ["loaded", ""]
    assert (trusted.parent / "canary").exists()
    assert not (refused.parent / "canary").exists()


def test_a_refused_line_is_numbered(bundle):
    path = bundle / "hyperparams.yaml"
    lines = path.read_text().splitlines()
    lines.insert(8, "evil: !apply:os.getcwd []")
    path.write_text("\n".join(lines))
    (bundle / "SHA256SUMS").unlink()
    with pytest.raises(ModelError, match=r"hyperparams.yaml, line 9: the tag"):
        read_bundle(bundle)


@pytest.mark.parametrize(
    "name", ["hyperparams.yaml", "model.safetensors", "label_encoder.txt"]
)
def test_a_file_that_is_missing_is_named(bundle, name):
    (bundle / name).unlink()
    (bundle / "SHA256SUMS").unlink()
    with pytest.raises(FileNotFoundError, match=f"{name} is missing"):
        read_bundle(bundle)


def test_a_key_that_is_missing_is_named(bundle):
    path = bundle / "hyperparams.yaml"
    text = path.read_text()
    reader = text[text.index("reader:") : text.index("encoder:")]
    path.write_text(text.replace(reader, ""))
    (bundle / "SHA256SUMS").unlink()
    with pytest.raises(ModelError, match="has no reader"):
        read_bundle(bundle)


def test_an_encoder_that_nobody_needs_takes_no_memory(bundle):
    path = bundle / "hyperparams.yaml"
    text = path.read_text()
    start, end = text.index("encoder: !new"), text.index("classifier: !new")
    inside = text[start:end].strip().replace("\n", "\n    ")
    huge = "encoder: !new:focalaudio.encoders.focalnet.FocalNet {dim: 4096}\n"
    text = text[:start] + huge + text[end:]
    path.write_text(text.replace("encoder: !ref <encoder>", inside))
    (bundle / "SHA256SUMS").unlink()
    with pytest.raises(ModelError, match="the encoder is not the classifier's"):
        read_bundle(bundle)


def test_one_changed_byte_is_noticed(bundle):
    path = bundle / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="model.safetensors does not have the"):
        read_bundle(bundle)
    write_sums(bundle)
    read_bundle(bundle)


def test_missing_and_left_over_weights_are_listed(bundle):
    edit(bundle, replace_key)
    (bundle / "SHA256SUMS").unlink()
    with pytest.raises(ModelError, match=r"1 left over \(other\); 1 missing"):
        read_bundle(bundle)


def test_weights_of_half_precision_are_read(bundle, exported):
    def halve(tensors):
        for name, tensor in tensors.items():
            if tensor.is_floating_point():
                tensors[name] = tensor.half()

    edit(bundle, halve)
    (bundle / "SHA256SUMS").unlink()
    ours = read_bundle(bundle).classifier.state_dict()
    for name, tensor in read_bundle(exported).classifier.state_dict().items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-3, atol=1e-3)


def test_pickles_that_nobody_asked_for_are_not_read(bundle):
    (bundle / "model.ckpt").write_bytes(pickle.dumps(Call(bundle / "canary")))
    read_bundle(bundle)
    assert not (bundle / "canary").exists()


def test_a_trusted_file_must_make_a_model(bundle):
    (bundle / "SHA256SUMS").unlink()
    (bundle / "hyperparams.yaml").write_text("a: 1")
    with pytest.raises(ModelError, match="makes no spectrogram, reader"):
        read_bundle(bundle, trust_remote_yaml=True)
