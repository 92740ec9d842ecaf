"""Package description; tool settings live in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = (HERE / "focalaudio" / "version.py").read_text().split('"')[-2]

setup(
    name="focalaudio",
    version=VERSION,
    description="What did the sound classifier listen to? "
    "Interpretable sound classification for SpeechBrain.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=[
        *find_packages(include=["focalaudio", "focalaudio.*"]),
        # the demo runs these two from the installed package
        "focalaudio.hparams",
        "focalaudio.recipes",
        "focalaudio.recipes.ESC50",
    ],
    package_dir={
        "focalaudio.hparams": "hparams",
        "focalaudio.recipes": "recipes",
        "focalaudio.recipes.ESC50": "recipes/ESC50",
    },
    package_data={
        "focalaudio": ["py.typed", "console.yaml"],
        "focalaudio.data": ["examples/*"],
        "focalaudio.models": ["default/*"],
        "focalaudio.report": ["templates/*"],
        "focalaudio.hparams": ["*.yaml"],
        "focalaudio.recipes.ESC50": ["*.md"],
    },
    entry_points={"console_scripts": ["focalaudio = focalaudio.cli:main"]},
    install_requires=[
        # Newer torch on the registry is built for another CUDA than the
        # newest torchaudio; older torch has known holes in its loader.
        # torchaudio 2.11.1 asks for symbols that torch 2.11 does not have.
        "torch>=2.10,<2.12",
        "torchaudio>=2.10,<2.11.1",
        "speechbrain>=1.1.2",
        "hyperpyyaml>=1.2.3",
        "pandas>=2",
        "soundfile>=0.13",
        "safetensors>=0.5",
        "huggingface_hub>=2",
        # 4 lets go of a lock in the workers that load clips
        "filelock>=4",
        # it, SpeechBrain and matplotlib require the next three as well
        "packaging>=20.9",
        "scipy>=1.10",
        "tqdm>=4.42.1",
        "pillow>=8",
        "torchmetrics>=1.5",
        "matplotlib>=3.9",
        "jinja2>=3.1",
    ],
    extras_require={
        "dev": [
            "pytest>=8",
            "hypothesis>=6",
            "pytest-cov>=5",
            "pytest-xdist>=3.6",
            "ruff>=0.12",
            "mypy>=1.15",
            "pandas-stubs",
            "setuptools>=77,<82",  # builds the wheel that is tested
            # drives Debian's chromium, which opens the listening report
            "playwright>=1.40",
            # independent implementations that the tests compare with
            "transformers>=5",
            "timm>=1.0.20",
            "crowsetta>=5.1; python_version >= '3.11'",
            "torchvision>=0.25,<0.27",
            # the tutorial is a page, and a notebook that is run
            "jupytext>=1.16",
            "nbclient>=0.10",
            "ipykernel>=6",
        ],
        "docs": [
            "sphinx>=8.2; python_version >= '3.11'",
            "myst-parser>=4",
            "furo>=2024.8",
            "jupytext>=1.16",
        ],
        "baselines": ["captum>=0.8"],
        "timm": ["timm>=1.0.20"],
        "tensorboard": ["tensorboard>=2.18"],
    },
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3",
        # what was tested of each: CONTRIBUTING.md
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Multimedia :: Sound/Audio :: Analysis",
    ],
)
