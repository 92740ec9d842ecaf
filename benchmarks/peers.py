#!/usr/bin/env python3
"""How fast are our encoders beside transformers', timm's and the machine?

    python benchmarks/peers.py [--quick] [--parts forward training vit]

`forward`: FocalNet-B with its maps, 224 x 224, fp32, batches of 1 and 8, beside
transformers' FocalNetBackbone and timm's focalnet_base_srf, which give no maps.
`training`: its forward pass, backward pass and AdamW step, with the memory of
a process of its own. `vit`: ViT-B with its maps beside transformers' ViTModel
with `output_attentions=True`. All eager, in one process and in turns, with the
same weights; outputs (of a training step also the gradient at the image) must
agree before anything is timed. The limit is the machine's own rate of matrix
products, a square one and those of our encoder, which take turns too. Threads
are torch's: set OMP_NUM_THREADS.
"""

from __future__ import annotations

import argparse
import functools
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import timm
import torch
import transformers
from answers import Answer, print_answers
from limits import (
    count_flops,
    largest_shares,
    multiply_squares,
    repeat_products,
)
from memory import GB, grow, run_alone
from torch import Tensor, nn
from turns import (
    Job,
    Times,
    faster,
    print_times,
    ratio,
    take_turns,
)

from focalaudio.encoders import build_encoder
from focalaudio.encoders.checkpoints import load_weights

SIZE, TOLERANCE = 224, 1e-4  # pixels; of the largest value
GOALS = {1: ("1.25x", 80), 8: ("1.05x", 90)}  # batch -> ratio, % of the limit
TRAIN_GOAL, VIT_GOAL = "1.3x, no more memory", "1.2x"
BASE = {  # `microsoft/focalnet-base`
    "embed_dim": 128,
    "hidden_sizes": [128, 256, 512, 1024],
    "depths": [2, 2, 18, 2],
    "drop_path_rate": 0.0,
}

Encode = Callable[[nn.Module, Tensor], Tensor]


def build_transformers() -> nn.Module:
    """Return transformers' FocalNet-B."""
    config = transformers.FocalNetConfig(**BASE)
    return transformers.FocalNetBackbone(config)


def build_timm() -> nn.Module:
    """Return timm's FocalNet-B without the last norm, which is the head's."""
    encoder = timm.create_model("focalnet_base_srf", num_classes=0)
    encoder.norm = nn.Identity()
    return encoder


def build_ours() -> nn.Module:
    """Return our FocalNet-B."""
    return build_encoder("focalnet_base_srf", in_channels=3)


CONTENDERS: dict[str, tuple[Callable[[], nn.Module], Encode]] = {
    "transformers": (
        build_transformers,
        lambda encoder, image: encoder(image).feature_maps[-1],
    ),
    "timm": (
        build_timm,
        lambda encoder, image: encoder.forward_features(image),
    ),
    "ours": (build_ours, lambda encoder, image: encoder(image).features),
}
PEERS = tuple(name for name in CONTENDERS if name != "ours")


def draw_weights(module: nn.Module) -> nn.Module:
    """Draw weights as wide as their fan-in, so that no output is flat."""
    generator = torch.Generator().manual_seed(1234)
    with torch.no_grad():
        for parameter in module.parameters():
            wide = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.1
            parameter.normal_(0, wide, generator=generator)
            if parameter.dim() == 1:  # norms
                parameter += 1
    return module


def differ(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest difference over the largest value."""
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def check(what: str, ours: Tensor, theirs: Tensor) -> None:
    """Stop unless two results agree."""
    found = differ(ours, theirs)
    print(f"{what}: at most {found:.1e} of the largest value apart")
    if not found <= TOLERANCE:
        raise SystemExit(f"{what} differs: nothing is timed.")


def build_all() -> dict[str, nn.Module]:
    """Return encoders that are ready to encode."""
    return {
        name: draw_weights(build()).eval()
        for name, (build, _) in CONTENDERS.items()
    }


def check_encoders(encoders: dict[str, nn.Module]) -> None:
    """Compare features, and gradients at the image, peer by peer."""
    image = torch.rand(2, 3, SIZE, SIZE, requires_grad=True)
    for peer in PEERS:
        load_weights(encoders["ours"], encoders[peer].state_dict())
        features, gradients = [], []
        for name in (peer, "ours"):
            found = CONTENDERS[name][1](encoders[name], image)
            (gradient,) = torch.autograd.grad(found.square().mean(), image)
            features.append(found.detach())
            gradients.append(gradient)
        check(f"features of {peer} and ours", *features)
        check(f"gradients of {peer} and ours", *gradients)


def forward_job(name: str, encoder: nn.Module, image: Tensor) -> Job:
    """Return a job that encodes without gradients."""
    encode = CONTENDERS[name][1]

    @torch.inference_mode()
    def forward() -> None:
        encode(encoder, image)

    return forward


def add_limits(jobs: dict[str, Job], job: Job) -> dict[str, int]:
    """Add matrix products to the jobs; return everyone's operations."""
    jobs["square"], square = multiply_squares()
    jobs["products"], products = repeat_products(job)
    return {"square": square, "products": products}


def share(
    times: Times, operations: dict[str, int], name: str, limit: str
) -> float:
    """Return the rate of one job over another's, %, CPU seconds."""
    rates = [
        (operations[name] / mine) / (operations[limit] / theirs)
        for (_, mine), (_, theirs) in zip(
            times[name], times[limit], strict=True
        )
    ]
    return 100 * statistics.median(rates)


def rate(times: Times, operations: dict[str, int], name: str) -> float:
    """Return a job's operations per CPU second, GFLOP/s."""
    return operations[name] / statistics.median(t for _, t in times[name]) / 1e9


def print_ratios(times: Times, peers: Sequence[str]) -> None:
    """Print how much longer than ours each peer takes."""
    for peer in peers:
        print(f"{peer} / ours: {ratio(times, peer, 'ours')}")


def compare_forward(
    encoders: dict[str, nn.Module], batch: int, turns: int
) -> Answer:
    """Time one forward pass of each."""
    image = torch.rand(batch, 3, SIZE, SIZE)
    jobs = {
        name: forward_job(name, encoder, image)
        for name, encoder in encoders.items()
    }
    encode = functools.partial(encoders["ours"], image)
    # with gradients: without, oneDNN's products are hidden from torch's counter
    operations = {"ours": count_flops(encode)}
    operations |= add_limits(jobs, encode)
    take_turns(jobs, 1)  # warms up
    times = take_turns(jobs, turns)
    print(f"\nforward pass, batch {batch}")
    print_times(times)
    print_ratios(times, PEERS)
    for name in operations:
        print(f"{name}: {rate(times, operations, name):.1f} GFLOP/s")
    peer = faster(times, PEERS)
    of_square, of_own = (
        share(times, operations, "ours", limit)
        for limit in ("square", "products")
    )
    goal, percent = GOALS[batch]
    return Answer(
        f"FocalNet-B forward with maps, batch {batch}",
        f"{peer}, the faster; the machine's matrix products",
        f"{ratio(times, peer, 'ours')}; {of_square:.0f} % of a square "
        f"product's rate, {of_own:.0f} % of its own products'",
        f"{goal}, {percent} %",
        largest_shares(jobs["ours"]),
    )


def training_job(name: str, encoder: nn.Module, image: Tensor) -> Job:
    """Return a job that takes one step down a loss."""
    encode = CONTENDERS[name][1]
    optimizer = torch.optim.AdamW(encoder.train().parameters(), lr=1e-6)

    def step() -> None:
        optimizer.zero_grad()
        encode(encoder, image).square().mean().backward()
        optimizer.step()

    return step


def train_twice(name: str, batch: int) -> None:
    """Build an encoder and take two steps: the second has all moments."""
    encoder = CONTENDERS[name][0]()
    step = training_job(name, encoder, torch.rand(batch, 3, SIZE, SIZE))
    step()
    step()


def measure_memory(name: str, batch: int) -> int:
    """Return by how much two steps raise the memory of a process, bytes."""
    # torch imports much with the first optimizer: no part of any contender
    torch.optim.AdamW(nn.Linear(1, 1).parameters())
    return grow(train_twice, name, batch)


def compare_training(
    encoders: dict[str, nn.Module], batch: int, turns: int
) -> Answer:
    """Time one training step of each, and measure its memory."""
    memory = {
        name: run_alone(measure_memory, name, batch) for name in CONTENDERS
    }
    image = torch.rand(batch, 3, SIZE, SIZE)
    jobs = {
        name: training_job(name, encoder, image)
        for name, encoder in encoders.items()
    }
    take_turns(jobs, 1)  # warms up
    times = take_turns(jobs, turns)
    print(f"\ntraining step, batch {batch}")
    print_times(times)
    print_ratios(times, PEERS)
    for name, size in memory.items():
        print(f"{name}: {size / GB:.2f} GB with weights and moments")
    peer = faster(times, PEERS)
    return Answer(
        f"FocalNet-B training step, batch {batch}",
        f"{peer}, the faster",
        f"{ratio(times, peer, 'ours')}; {memory['ours'] / GB:.2f} GB, "
        + ", ".join(f"{name} {memory[name] / GB:.2f}" for name in PEERS),
        TRAIN_GOAL,
        largest_shares(jobs["ours"]),
    )


def build_vits() -> dict[str, nn.Module]:
    """Return transformers' ViT-B and ours, with the same weights."""
    config = transformers.ViTConfig(attn_implementation="eager")
    theirs = transformers.ViTModel(config, add_pooling_layer=False)
    ours = build_encoder("vit_base_patch16", in_channels=3).eval()
    load_weights(ours, draw_weights(theirs).eval().state_dict())
    return {"transformers": theirs, "ours": ours}


@torch.inference_mode()
def check_vits(vits: dict[str, Any]) -> None:
    """Compare tokens, and the last layer's attention of the CLS token."""
    image = torch.rand(1, 3, SIZE, SIZE)
    ours = vits["ours"](image)
    theirs = vits["transformers"](image, output_attentions=True)
    tokens = theirs.last_hidden_state[:, 1:]
    check("tokens", ours.features.flatten(2).mT, tokens)
    last = ours.maps[vits["ours"].map_names.index("layer_12")]
    attention = theirs.attentions[-1][:, :, 0, 1:].mean(1)
    check("maps", last.flatten(1), attention)


def compare_vits(batch: int, turns: int) -> Answer:
    """Time one forward pass of each ViT, with the last layer's map."""
    vits = build_vits()
    check_vits(vits)
    image = torch.rand(batch, 3, SIZE, SIZE)

    @torch.inference_mode()
    def theirs() -> Tensor:
        output = vits["transformers"](image, output_attentions=True)
        return output.attentions[-1][:, :, 0, 1:].mean(1)

    @torch.inference_mode()
    def ours() -> Tensor:
        return vits["ours"](image).maps[-2]

    jobs: dict[str, Any] = {"transformers": theirs, "ours": ours}
    take_turns(jobs, 1)
    times = take_turns(jobs, turns)
    print(f"\nViT-B forward pass with maps, batch {batch}")
    print_times(times)
    print_ratios(times, ["transformers"])
    return Answer(
        f"ViT-B forward with the last layer's maps, batch {batch}",
        "transformers' ViTModel, `output_attentions=True`",
        ratio(times, "transformers", "ours"),
        VIT_GOAL,
        largest_shares(ours),
    )


def run(parts: list[str], turns: int, quick: bool) -> list[Answer]:
    """Check, then time the parts."""
    answers = []
    batches = (1,) if quick else (1, 8)
    if {"forward", "training"} & set(parts):
        encoders = build_all()
        check_encoders(encoders)
    if "forward" in parts:
        answers += [
            compare_forward(encoders, batch, turns) for batch in batches
        ]
    if "training" in parts:
        answers.append(compare_training(encoders, batches[-1], turns // 2))
    if "vit" in parts:
        answers += [compare_vits(batch, turns) for batch in batches]
    return answers


def main() -> None:
    """Read the options, run, print the answers last."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    known = ["forward", "training", "vit"]
    parser.add_argument("--parts", nargs="+", choices=known, default=known)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="batch 1, 4 turns")
    arguments = parser.parse_args()
    torch.manual_seed(1234)
    turns = 4 if arguments.quick else arguments.turns
    print_answers(run(arguments.parts, turns, arguments.quick))


if __name__ == "__main__":
    main()
