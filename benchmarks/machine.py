"""The machine that numbers were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch

PACKAGES = ("torch", "transformers", "timm", "speechbrain", "captum")


def describe_machine() -> str:
    """Return processor, cores, threads, load and versions, in sentences."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    processor = names[0] if names else platform.processor()
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{processor}, {os.cpu_count()} cores, {torch.get_num_threads()} "
        f"thread(s) of torch, {gpus} GPUs; load average "
        f"{os.getloadavg()[2]:.1f}, mostly of other work. Python "
        f"{platform.python_version()}, {versions}."
    )
