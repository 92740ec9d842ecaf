"""`clips, one at a time -> report.html`: one file that needs no network.

What is encoded of a clip goes to disk at once, so that memory stays flat and
a run that was stopped goes on where it was. Of several processes each has a
file of its own. The page is put together at the end: everything in one file up
to a size, sounds and pictures in a folder beside it above that.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader

from focalaudio.decisions import SEPARATOR
from focalaudio.errors import escape_text
from focalaudio.files import replace_file
from focalaudio.processes import count_processes
from focalaudio.report.encoded import (
    digest_clips,
    encode_clip,
    encode_file,
    link_files,
    name_sound,
    to_script,
    without_removed,
)
from focalaudio.report.overview import describe_run, list_clips
from focalaudio.report.page import Page, PageClip
from focalaudio.report.profiles import average_profiles, find_bands
from focalaudio.spectrogram import Spectrogram

TEMPLATES = Path(__file__).parent / "templates"
BUDGET = 60_000_000  # bytes of a page that holds everything
SCRIPTS = (
    "state.js",
    "player.js",
    "picture.js",
    "clip.js",
    "list.js",
    "run.js",
    "ratings.js",
    "start.js",
)
LINKED = re.compile(r"n?\d+-\d+\.(flac|ogg|png)")  # files beside a page
KEYS = {"clips": "id", "sounds": "key"}  # each is on the page once
FORMAT = 1  # of what the page's ratings are saved as
Encoded = dict[str, Any]


class _Line(NamedTuple):
    """Where something that was encoded stands: the latest of a key counts."""

    key: str
    at: int  # ns
    gone: bool  # it says that what has this key is gone
    path: Path
    start: int  # byte


class PageWriter:
    """Write a listening report, clip by clip.

    Arguments
    ---------
    path : str or pathlib.Path
        The page. `<name>.parts/` stands beside it until it is finished;
        `<name>_files/` does above the budget.
    spectrogram : Spectrogram
        The analysis of all clips; gives seconds and Hz.
    budget : int
        Bytes of a page that holds everything; of a larger one sounds and
        pictures are files beside it.

    Example
    -------
    >>> import torch
    >>> wav, cells = torch.rand(1000), torch.rand(6, 513)
    >>> clip = PageClip("a", "dog", [("dog", 1.0)], wav, cells, ())
    >>> path = getfixture("tmp_path") / "report.html"
    >>> writer = PageWriter(path, Spectrogram())
    >>> writer.add(clip)
    >>> "a" in writer, "b" in writer
    (True, False)
    >>> writer.finish(Page("My clips", ["dog"])).name
    'report.html'
    """

    def __init__(
        self,
        path: str | Path,
        spectrogram: Spectrogram,
        budget: int = BUDGET,
    ) -> None:
        self.path = Path(path)
        self.spectrogram = spectrogram
        self.budget = budget

    @property
    def parts(self) -> Path:
        """Where clips wait for the page; there until it is finished."""
        return self.path.with_name(f"{self.path.stem}.parts")

    @property
    def waits(self) -> bool:
        """Whether any process added a clip that is on no page."""
        return any(self.parts.glob(".clips_*.jsonl"))

    @property
    def files(self) -> Path:
        """Where sounds and pictures go if they are too much for the page."""
        return self.path.with_name(f"{self.path.stem}_files")

    @cached_property
    def _clip_ids(self) -> set[str]:
        return {clip["id"] for clip in self._read("clips")}

    @cached_property
    def _sounds(self) -> set[str]:
        return {sound["key"] for sound in self._read("sounds")}

    def __contains__(self, clip_id: str) -> bool:
        """Say whether a clip was added, by this process or a stopped one."""
        return escape_text(clip_id) in self._clip_ids

    def __len__(self) -> int:
        """Return how many clips were added."""
        return len(self._clip_ids)

    def add(self, clip: PageClip) -> None:
        """Encode a clip and keep it on disk; it replaces one of the same name.

        Arguments
        ---------
        clip : PageClip
            Its neighbors' files are read here, each once for all clips.

        Raises
        ------
        AudioError, OSError
            If a neighbor cannot be read; if the disk refuses.
        """
        rate = self.spectrogram.sample_rate
        for neighbor in clip.neighbors:
            key, known = name_sound(neighbor.path), self._sounds
            if key not in known:
                uri = encode_file(neighbor.path, rate)
                self._append("sounds", {"key": key, "sound": uri})
                known.add(key)
        encoded = encode_clip(clip, self.spectrogram)
        known = self._clip_ids  # read before the file changes
        self._append("clips", encoded)
        known.add(encoded["id"])

    def remove(self, clip_ids: Iterable[str]) -> None:
        """Let clips be on the page no more, those of them that are.

        Arguments
        ---------
        clip_ids : iterable of str
            Their names.

        Raises
        ------
        OSError
            If the disk refuses.
        """
        for clip_id in filter(self.__contains__, clip_ids):
            key = escape_text(clip_id)
            self._append("clips", {KEYS["clips"]: key, "gone": True})
            self._clip_ids.discard(key)

    def finish(self, page: Page, keep_parts: bool = False) -> Path:
        """Write the page of all clips that were added.

        Arguments
        ---------
        page : Page
            What is said beyond them.
        keep_parts : bool
            Whether what was encoded stays, for a page of more clips later.

        Returns
        -------
        pathlib.Path
            The page.

        Raises
        ------
        OSError
            If the disk refuses; what was added is still there then.
        """
        self._remove_files()
        head = self._describe(page)
        with replace_file(self.path) as temporary:
            _render(head, self._blocks(), temporary)
        if not keep_parts:
            shutil.rmtree(self.parts, ignore_errors=True)
        return self.path

    def _remove_files(self) -> None:
        """Remove what an older page had beside it, and nothing else."""
        if self.files.is_dir():
            for path in self.files.iterdir():
                if LINKED.fullmatch(path.name):
                    path.unlink()

    def _describe(self, page: Page) -> Encoded:
        """Return what the page holds beside the details of clips."""
        rows = next(iter(page.rows.values()), ())
        clips, n_blocks = list_clips(self._read("clips"), rows)
        profiles = (clip["profile"] for clip in self._read("clips"))
        return {
            "title": escape_text(page.title),
            "format": FORMAT,
            "listening_test": page.listening_test,
            "digest": digest_clips(self._read("clips"))
            if page.listening_test
            else None,
            "settings": {
                escape_text(key): escape_text(_tell(value))
                for key, value in page.settings.items()
            },
            "labels": [escape_text(label) for label in page.labels],
            "separator": SEPARATOR if page.decision.is_several else None,
            "links": [
                [escape_text(name), f"./{address}"]
                for name, address in page.links.items()
            ],
            "clips": clips,
            "n_blocks": n_blocks,
            "run": describe_run(page),
            "bands": find_bands(self.spectrogram).tolist(),
            "profiles": average_profiles(p for p in profiles if p is not None),
        }

    def _blocks(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the JSON of every block of a page."""
        small = self._measure() <= self.budget
        for number, sound in enumerate(self._read("sounds")):
            own = (
                sound if small else link_files(sound, self.files, f"n{number}")
            )
            yield "sound", to_script(own)
        for number, clip in enumerate(self._read("clips")):
            own = (
                without_removed(clip)
                if small
                else link_files(clip, self.files, str(number))
            )
            yield "clip", to_script(own)

    def _measure(self) -> int:
        """Return the bytes of all blocks of a page that holds everything."""
        clips = map(without_removed, self._read("clips"))
        blocks = chain(self._read("sounds"), clips)
        return sum(len(to_script(block)) for block in blocks)

    def _append(self, name: str, values: Encoded) -> None:
        self.parts.mkdir(parents=True, exist_ok=True)
        path = self.parts / f".{name}_{count_processes()[0]}.jsonl"
        line = json.dumps({"at": time.time_ns(), **values})
        with path.open("a", encoding="utf-8", newline="\n") as file:
            # on a line of its own, whatever a killed process left
            file.write(f"\n{line}\n")

    def _read(self, name: str) -> Iterator[Encoded]:
        """Read back one after the other, of all processes in turn.

        They shared the clips in turn, so that this is the order of the clips;
        what replaces another stands in its place.
        """
        number = re.compile(rf"\.{name}_(\d+)\.jsonl")
        found = {
            int(match[1]): path
            for path in self.parts.glob(f".{name}_*.jsonl")
            if (match := number.fullmatch(path.name))
        }
        files = [_list_lines(found[n], KEYS[name]) for n in sorted(found)]
        latest: dict[str, _Line] = {}
        for line in chain.from_iterable(zip_longest(*files)):
            if line and latest.get(line.key, line).at <= line.at:
                latest[line.key] = line
        yield from (_load_line(e) for e in latest.values() if not e.gone)


def _list_lines(path: Path, key: str) -> Iterator[_Line]:
    """Say what each line is of; one that was cut is skipped."""
    with path.open("rb") as file:
        place = 0
        while line := file.readline():
            start, place = place, place + len(line)
            try:
                values = json.loads(line)
            except ValueError:  # empty, or cut short
                continue
            at, gone = values.get("at", 0), values.get("gone", False)
            yield _Line(values[key], at, gone, path, start)


def _load_line(line: _Line) -> Encoded:
    """Read back what was encoded."""
    with line.path.open("rb") as file:
        file.seek(line.start)
        values = json.loads(file.readline())
    values.pop("at", None)
    return values


def _render(
    head: Encoded, blocks: Iterator[tuple[str, str]], path: Path
) -> None:
    """Fill the template, piece by piece."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = _load("page.css")
    script = "".join(_load(name) for name in SCRIPTS)
    stream = environment.get_template("page.html").stream(
        title=head["title"],
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        head=to_script(head),
        blocks=blocks,
    )
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(stream)


def _load(name: str) -> str:
    """Read a file beside the template, as it is."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _tell(value: Any) -> str:
    """Write a setting for people."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)


def _hash(text: str) -> str:
    """Return what a Content-Security-Policy calls a text."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
