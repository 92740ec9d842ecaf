import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image
from soundfile import SoundFile

from focalaudio.audio import write_wav
from focalaudio.errors import AudioError
from focalaudio.report import writer
from focalaudio.report.encoded import from_uri
from focalaudio.report.page import Neighbor, Page
from focalaudio.report.writer import PageWriter
from focalaudio.spectrogram import Spectrogram
from focalaudio.waveforms import common_gain

STEP = 2**-15  # of 16 bits
VOID = {"meta", "link", "input", "br", "hr"}


class Reader(HTMLParser):
    """What a browser would read: the elements, and the text of each."""

    def __init__(self):
        super().__init__()
        self.open, self.found, self.faults = [], [], []

    def handle_starttag(self, tag, attributes):
        self.found.append([tag, dict(attributes), ""])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, text):
        if self.open and self.found[-1][0] == self.open[-1]:
            self.found[-1][2] += text

    def texts(self, tag, **wanted):
        return [
            text
            for each, attributes, text in self.found
            if each == tag and wanted.items() <= attributes.items()
        ]


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    return reader


def blocks_of(path, kind="clip"):
    return [
        json.loads(t) for t in read(path).texts("script", **{"class": kind})
    ]


def head_of(path):
    return json.loads(read(path).texts("script", id="head")[0])


def decode(uri):
    with SoundFile(io.BytesIO(from_uri(uri)[0])) as sound:
        return torch.from_numpy(sound.read(dtype="float32")), sound.samplerate


def write(path, clips, page, **kwargs):
    writer = PageWriter(path, Spectrogram(), **kwargs)
    for clip in clips:
        writer.add(clip)
    return writer.finish(page)


@pytest.fixture(scope="module")
def written(tmp_path_factory, clips, page):
    return write(tmp_path_factory.mktemp("page") / "report.html", clips, page)


def test_the_page_is_whole_html_and_one_file(written):
    reader = read(written)
    assert reader.open == reader.faults == []
    assert [path.name for path in written.parent.iterdir()] == ["report.html"]


def test_every_sound_decodes_to_the_wav(written, clips):
    for clip, block in zip(clips, blocks_of(written), strict=True):
        parts = [w for v in clip.views for w in (v.kept, v.removed)]
        gain = common_gain(clip.wav, *parts)
        whole, rate = decode(block["sound"])
        assert rate == 16000
        torch.testing.assert_close(whole, gain * clip.wav, atol=STEP, rtol=0)
        for view, shown in zip(clip.views, block["views"], strict=True):
            kept, _ = decode(shown["kept"])
            torch.testing.assert_close(
                kept, gain * view.kept, atol=STEP, rtol=0
            )
            # what the page computes
            torch.testing.assert_close(
                whole - kept, gain * view.removed, atol=2 * STEP, rtol=0
            )
            assert "removed" not in shown


def test_the_picture_of_a_mask_is_the_mask(written, clips):
    for clip, block in zip(clips, blocks_of(written), strict=True):
        for view, shown in zip(clip.views, block["views"], strict=True):
            content, _ = from_uri(shown["mask"])
            picture = Image.open(io.BytesIO(content)).convert("RGBA")
            alpha = np.array(picture)[::-1, :, 3].T / 255
            assert (alpha == view.mask.numpy()).all()


def test_a_saliency_is_in_the_page_once(written):
    block = blocks_of(written)[0]
    assert len(block["maps"]) == 2  # of two classes, at two quantiles each
    assert [view["map"] for view in block["views"]] == [0, 0, 1, 1]


def test_hashes_of_the_policy_are_those_of_script_and_style(written):
    reader = read(written)
    policy = next(
        attributes["content"]
        for tag, attributes, _ in reader.found
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none';")
    (style,) = reader.texts("style")
    (script,) = [
        text
        for tag, attributes, text in reader.found
        if tag == "script" and not attributes
    ]
    for kind, text in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest())
        assert f"{kind}-src 'sha256-{digest.decode()}'" in policy
    assert "unsafe" not in policy


def test_nothing_is_asked_of_a_network(written):
    text = written.read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\s\"']+", text)) <= {
        "http://www.w3.org/2000/svg"  # a name, not an address
    }
    for _, attributes, _ in read(written).found:
        for key in ("src", "href", "action"):
            assert attributes.get(key, "data:").startswith("data:")


def test_hostile_texts_stay_texts(tmp_path, hostile, make_clip):
    clips = [
        make_clip(number, clip_id=text, label=text, predicted=text)
        for number, text in enumerate(hostile)
    ]
    page = Page(hostile[0], hostile, {}, {hostile[1]: hostile[0]})
    path = write(tmp_path / "report.html", clips, page)
    reader = read(path)
    assert reader.open == reader.faults == []
    assert len(reader.texts("script")) == len(hostile) + 2
    assert not reader.texts("img")
    text = path.read_text(encoding="utf-8")
    assert "<script>window" not in text
    assert not any(mark in text for mark in "\u202e\u2066\u2028\x1b")
    head = head_of(path)
    assert [clip["id"] for clip in head["clips"]][0] == hostile[0]
    assert head["clips"][3]["id"] == "dog\\u202egnikrab\\u2066"
    assert head["clips"][5]["id"] == hostile[5]  # Jinja reads no clip


def test_a_clip_in_which_nothing_was_heard_is_no_evidence(
    tmp_path, clips, page
):
    unheard = [replace(clip, refused="none of the classes") for clip in clips]
    for shown, counts in (
        ([*clips[:1], *unheard[1:]], [("low", 1)]),
        (unheard, []),
    ):
        head = head_of(write(tmp_path / "report.html", shown, page))
        found = [(each["label"], each["n_clips"]) for each in head["profiles"]]
        assert found == counts
        assert len(head["clips"]) == len(clips)


def test_a_page_above_its_budget_links_files(tmp_path, clips, page):
    path = write(tmp_path / "report.html", clips, page, budget=10_000)
    blocks = blocks_of(path)
    assert "base64" not in path.read_text(encoding="utf-8")
    for clip, block in zip(clips, blocks, strict=True):
        for view, shown in zip(clip.views, block["views"], strict=True):
            linked = tmp_path / shown["removed"]
            with SoundFile(linked) as sound:
                removed = torch.from_numpy(sound.read(dtype="float32"))
            assert len(removed) == len(view.removed)
            assert (tmp_path / shown["mask"]).read_bytes()[1:4] == b"PNG"
    files = {path.name for path in (tmp_path / "report_files").iterdir()}
    named = {
        each for b in blocks for each in re.findall(r"\d+-\d+\.\w+", str(b))
    }
    assert files == named


def test_names_that_look_like_sounds_are_names(tmp_path, make_clip, page):
    name = "data:audio/flac;base64,YQ=="
    clip = make_clip(0)
    views = [replace(view, explained=name) for view in clip.views]
    clip = replace(clip, clip_id=name, label="data:1", views=views)
    path = write(tmp_path / "report.html", [clip], page, budget=10)
    (block,) = read(path).texts("script", **{"class": "clip"})
    encoded = json.loads(block)
    assert (encoded["id"], encoded["label"]) == (name, "data:1")
    assert encoded["views"][0]["explained"] == name
    assert encoded["sound"].startswith("report_files/")


def test_files_of_an_older_page_go_and_those_of_others_stay(
    tmp_path, clips, page
):
    write(tmp_path / "report.html", clips, page, budget=10_000)
    mine = tmp_path / "report_files" / "notes.txt"
    mine.touch()
    write(tmp_path / "report.html", clips[:1], page)
    assert list((tmp_path / "report_files").iterdir()) == [mine]


def test_a_writer_that_was_stopped_goes_on(tmp_path, clips, page):
    whole = write(tmp_path / "whole.html", clips, page)
    path = tmp_path / "report.html"
    PageWriter(path, Spectrogram()).add(clips[0])
    with (tmp_path / "report.parts" / ".clips.jsonl").open("a") as file:
        file.write('\n{"id": "clip1", "cut')
    writer = PageWriter(path, Spectrogram())
    assert "clip0" in writer
    assert "clip1" not in writer
    for clip in clips:
        writer.add(clip)
    assert len(writer) == 3
    assert writer.finish(page).read_bytes() == whole.read_bytes()
    assert not (tmp_path / "report.parts").exists()


def test_a_clip_replaces_the_one_of_its_name(tmp_path, clips, page):
    first, *rest = clips
    other = replace(first, wav=first.wav / 2)
    whole = write(tmp_path / "whole.html", [other, *rest], page)
    again = write(tmp_path / "again.html", [*clips, other], page)
    assert again.read_bytes() == whole.read_bytes()


def test_the_latest_counts_whichever_process_wrote_it(
    tmp_path, clips, page, monkeypatch
):
    path = tmp_path / "report.html"
    first = PageWriter(path, Spectrogram())
    for number, clip in ((1, clips[1]), (1, clips[0]), (0, clips[2])):
        monkeypatch.setattr(writer, "count_processes", lambda n=number: (n, 2))
        first.add(clip)
    monkeypatch.setattr(writer, "count_processes", lambda: (0, 1))
    later = PageWriter(path, Spectrogram())
    later.add(replace(clips[0], wav=clips[0].wav / 2))
    written = later.finish(page)
    own = {block["id"]: block["sound"] for block in blocks_of(written)}
    alone = [replace(clips[0], wav=clips[0].wav / 2)]
    (block,) = blocks_of(write(tmp_path / "alone.html", alone, page))
    assert own["clip0"] == block["sound"]


def test_a_clip_that_is_removed_is_on_no_page(tmp_path, clips, page):
    whole = write(tmp_path / "whole.html", clips[1:], page)
    path = tmp_path / "report.html"
    first = PageWriter(path, Spectrogram())
    for clip in clips:
        first.add(clip)
    later = PageWriter(path, Spectrogram())
    later.remove(["clip0", "clip9"])
    assert "clip0" not in later
    assert len(later) == 2
    assert later.finish(page).read_bytes() == whole.read_bytes()


def test_a_neighbor_is_in_the_page_once(tmp_path, clips, page):
    path = write_wav(tmp_path / "near.wav", clips[0].wav, 16000)
    near = [Neighbor("predicted", "low", 0.25, path)]
    with_it = [replace(clip, neighbors=near) for clip in clips]
    written = write(tmp_path / "report.html", with_it, page)
    (sound,) = blocks_of(written, "sound")
    heard, _ = decode(sound["sound"])
    assert (heard - clips[0].wav).square().mean() < 0.01
    for block in blocks_of(written):
        assert block["neighbors"][0]["name"] == "near.wav"
        assert block["neighbors"][0]["sound"] == sound["key"]


def test_a_neighbor_that_cannot_be_read_is_an_error(tmp_path, clip):
    path = tmp_path / "near.wav"
    path.write_bytes(b"nothing")
    bad = replace(clip, neighbors=[Neighbor("true", "low", 0.1, path)])
    with pytest.raises(AudioError, match=r"near\.wav"):
        PageWriter(tmp_path / "report.html", Spectrogram()).add(bad)


def test_rows_without_a_sound_are_listed_too(tmp_path, clips, page):
    path = write(tmp_path / "report.html", clips[:1], page)
    listed = head_of(path)["clips"]
    assert [clip["block"] for clip in listed] == [0, None, None]
    assert [clip["id"] for clip in listed] == ["clip0", "clip1", "clip2"]


def test_a_page_without_clips_and_rows_is_a_page(tmp_path):
    path = write(tmp_path / "report.html", [], Page("", ["low"]))
    assert read(path).faults == []
    assert head_of(path)["clips"] == []
