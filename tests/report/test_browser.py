"""The page in a real browser: it plays, moves, switches, filters, remembers."""

import json
import shutil
from dataclasses import replace

import pytest

from focalaudio.audio import write_wav
from focalaudio.boxes import HeardBox
from focalaudio.report.page import Neighbor, Page
from focalaudio.report.ratings import read_ratings
from focalaudio.report.writer import PageWriter
from focalaudio.spectrogram import Spectrogram

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed"
)
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("chromium is not installed", allow_module_level=True)

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SECONDS = 10_000  # ms that anything may take


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=FLAGS
        )
        yield started
        started.close()


def write(path, clips, page, **kwargs):
    writer = PageWriter(path, Spectrogram(), **kwargs)
    for clip in clips:
        writer.add(clip)
    return writer.finish(page)


@pytest.fixture(scope="module")
def report(tmp_path_factory, clips, page):
    folder = tmp_path_factory.mktemp("page")
    near = write_wav(folder / "near.wav", clips[0].wav, 16000)
    first = replace(
        clips[0], neighbors=[Neighbor("predicted", "low", 0.25, near)]
    )
    return write(folder / "report.html", [first, *clips[1:]], page)


@pytest.fixture(scope="module")
def listening_test(tmp_path_factory, make_clip):
    clips = [make_clip(n, methods=("piq", "random")) for n in range(2)]
    page = Page("A test", ["low", "high"], listening_test=True)
    return write(tmp_path_factory.mktemp("test") / "test.html", clips, page)


@pytest.fixture
def context(browser):
    made = browser.new_context(accept_downloads=True)
    made.set_default_timeout(SECONDS)
    yield made
    made.close()


@pytest.fixture
def visit(context):
    """Open a page; nothing may go wrong on it or leave it until the end."""
    faults = []

    def open_page(path, ready="canvas[data-drawn]"):
        tab = context.new_page()
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on(
            "console",
            lambda said: (
                faults.append(said.text)
                if said.type in ("error", "warning")
                else None
            ),
        )
        near = (path.parent.as_uri(), "data:", "blob:")
        tab.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(near)
                else faults.append(request.url)
            ),
        )
        tab.goto(path.as_uri())
        tab.wait_for_selector(ready)
        return tab

    yield open_page
    assert faults == []


def wait(tab, expression):
    """Until it is true; the page's policy allows the driver no eval."""
    for _ in range(SECONDS // 20):
        if tab.evaluate(expression):
            return
        tab.wait_for_timeout(20)
    raise AssertionError(f"{expression} is not so")


def picture(tab):
    return tab.evaluate("document.querySelector('canvas').toDataURL()")


def names(tab):
    return tab.locator("#list .name").all_text_contents()


def play(tab, part):
    tab.click(f"[data-plays='part {part} 0']")
    wait(tab, f"playing === 'part {part} 0' && audio.currentTime > 0.02")


def test_what_is_said_of_a_clip_is_there(visit, report):
    tab = visit(report)
    said = tab.inner_text("#detail")
    assert "clip0" in said
    assert "low 93 %" in said
    assert (
        "Without the kept part the probability of low falls from 0.93 to 0.12."
        in said
    )
    assert "distance 0.250" in said
    tab.click("[data-entry='1']")
    assert "Low energy" in tab.inner_text("#detail .warnings")


def test_the_closest_class_of_a_clip_without_any_is_no_answer(
    visit, clips, page, tmp_path
):
    refused = "no evidence for any class"
    odd = replace(clips[1], refused=refused, label=None)
    tab = visit(write(tmp_path / "a.html", [clips[0], odd], page))
    tab.click("[data-entry='1']")
    said = f"{refused} (closest: low, 93 %)"
    assert tab.inner_text(".verdict strong") == said
    told = tab.locator("#list .said").all_text_contents()
    assert told[:2] == ["low 93 %", said]
    tab.fill("#search", "no evidence")
    assert names(tab) == ["clip1"]


def test_times_are_those_of_the_recording(visit, make_clip, page, tmp_path):
    clip = make_clip()
    boxes = [HeardBox(0.25, 0.5, 100.0, 900.0, 0.7, 0, "low")]
    views = [replace(view, boxes=boxes) for view in clip.views]
    window = replace(clip, views=views, start=42.0)
    tab = visit(write(tmp_path / "report.html", [window], page))
    tab.click("summary:has-text('Numbers')")
    assert "42.25–42.50 s, 100–900 Hz" in tab.inner_text("#detail")


def test_each_part_plays_and_the_cursor_moves(visit, report):
    tab = visit(report)
    assert not tab.is_visible(".cursor")
    places = []
    for part in ("original", "kept", "removed"):
        play(tab, part)
        places.append(tab.evaluate("audio.src"))
        pressed = tab.get_attribute(
            f"[data-plays='part {part} 0']", "aria-pressed"
        )
        assert pressed == "true"
    assert len(set(places)) == 3
    where = "document.querySelector('.cursor').style.transform"
    first = tab.evaluate(where)
    wait(tab, f"{where} !== '{first}'")
    assert tab.is_visible(".cursor")


def test_kept_and_removed_add_up_in_the_page(visit, report):
    tab = visit(report)
    error = tab.evaluate(
        """async () => {
          const view = currentViews()[0];
          const parts = [];
          for (const part of PARTS)
            parts.push(await samplesOf(state.clip, view, part));
          return Math.max(...parts[0].map((sample, index) =>
            Math.abs(sample - parts[1][index] - parts[2][index])));
        }"""
    )
    assert error < 1e-6


def test_a_click_into_the_picture_plays_from_there(visit, report):
    tab = visit(report)
    size = tab.locator(".stage canvas").bounding_box()
    tab.click("canvas", position={"x": 0.6 * size["width"], "y": 50})
    wait(tab, "audio.currentTime > 0.2")


def test_quantile_and_class_switch_picture_and_sound(visit, report):
    tab = visit(report)
    play(tab, "kept")
    seen, heard = {picture(tab)}, {tab.evaluate("audio.src")}
    for label in ("25 %", "high"):
        tab.click(f"#controls button:has-text('{label}')")
        tab.wait_for_selector("#views canvas[data-drawn]")
        play(tab, "kept")
        seen.add(picture(tab))
        heard.add(tab.evaluate("audio.src"))
    assert len(seen) == len(heard) == 3
    assert "probability of high" in tab.inner_text(".sentences")


def test_equal_loudness_says_its_gain(visit, report):
    tab = visit(report)
    tab.click("#loudness")
    assert tab.locator(".gain").nth(1).text_content().endswith("dB")
    play(tab, "kept")
    tab.click("#loudness")
    assert tab.locator(".gain").nth(1).text_content() == ""


def test_filters_sorting_and_search(visit, report):
    tab = visit(report)
    assert names(tab) == ["clip0", "clip1", "clip2"]
    tab.select_option("[data-filter=sort]", "wrong")
    assert names(tab)[0] == "clip2"
    tab.select_option("[data-filter=sort]", "faithless")
    assert names(tab) == ["clip2", "clip1", "clip0"]
    tab.select_option("[data-filter=show]", "wrong")
    assert names(tab) == ["clip2"]
    tab.select_option("[data-filter=show]", "all")
    tab.fill("#search", "CLIP1")
    assert names(tab) == ["clip1"]
    assert "clip1" in tab.inner_text("#clip-title")
    tab.fill("#search", "nothing")
    assert "No clip fits" in tab.inner_text("#detail")


def test_a_cell_of_the_confusion_matrix_opens_its_clips(visit, report):
    tab = visit(report)
    tab.click("#tab-scores")
    assert "random, quantile 0.9" in tab.inner_text("#scores")
    assert tab.locator("#scores .tag").all_text_contents() == ["floor"]
    tab.click("[aria-label='1 of high taken for low: show them']")
    assert names(tab) == ["clip2"]
    assert tab.is_visible("#panel-clips")


def test_curves_and_evidence_are_drawn(visit, report):
    tab = visit(report)
    tab.click("#tab-scores")
    before = tab.get_attribute(".curves polyline", "points")
    tab.select_option("#curve-metric", "fidelity")
    assert tab.get_attribute(".curves polyline", "points") != before
    tab.click("#tab-evidence")
    assert tab.locator("#profiles canvas").count() == 2


def test_a_page_without_scores_has_no_table_of_them(visit, clips, tmp_path):
    page = Page("Explained", ["low", "high"], settings={"files": 3})
    tab = visit(write(tmp_path / "report.html", clips, page))
    tab.click("#tab-scores")
    headings = tab.locator("#panel-scores h2").all_text_contents()
    assert headings == ["How it was made"]
    assert tab.locator("#scores").count() == 0


def test_keys(visit, report):
    tab = visit(report)
    tab.keyboard.press("ArrowRight")
    assert tab.inner_text("#clip-title") == "clip1"
    tab.keyboard.press("ArrowLeft")
    assert tab.inner_text("#clip-title") == "clip0"
    tab.keyboard.press("Space")
    wait(tab, "audio.currentTime > 0")
    tab.keyboard.press("Space")
    wait(tab, "audio.paused")
    tab.keyboard.press("c")
    assert tab.evaluate("state.explained") == "high"
    tab.keyboard.press("q")
    assert tab.evaluate("state.quantile") == 0.5
    tab.keyboard.press("3")
    wait(tab, "playing === 'part removed 0'")
    tab.keyboard.press("?")
    assert tab.is_visible("#help")
    tab.keyboard.press("Escape")
    tab.keyboard.press("/")
    tab.keyboard.type("clip2 c")  # a letter is a letter there
    assert tab.input_value("#search") == "clip2 c"


def test_space_on_a_switch_is_the_switchs(visit, report):
    tab = visit(report)
    for name in ("saliency", "mask"):
        switch = f"#controls label:has-text('{name}') input"
        tab.focus(switch)
        tab.keyboard.press("Space")
        assert not tab.is_checked(switch)
        assert not tab.evaluate(f"state.layers.{name}")
        assert tab.evaluate("playing") is None


def test_quantiles_that_keep_the_same_share_are_told_apart(
    visit, clips, page, tmp_path
):
    view = clips[0].views[0]
    quantiles = (0.5, 0.7, 0.9)
    views = [replace(view, quantile=each) for each in quantiles]
    clip = replace(clips[0], views=views)
    tab = visit(write(tmp_path / "report.html", [clip], page))
    buttons = tab.locator("#controls fieldset:first-child button")
    for index, quantile in enumerate(quantiles):
        own, _, kept = buttons.nth(index).inner_text().partition(": ")
        assert own == f"quantile {quantile}"
        name = f"quantile {quantile}: {kept} is kept"
        assert tab.get_by_role("button", name=name, exact=True).count() == 1
        buttons.nth(index).focus()
        tab.keyboard.press("Enter")
        assert tab.evaluate("state.quantile") == quantile
        assert tab.evaluate("document.activeElement.ariaLabel") == name
        tab.keyboard.press("q")
        assert tab.evaluate("document.activeElement.ariaLabel") == name


@pytest.mark.parametrize("drawn", ["ratio", "by_design"])
def test_a_page_opens_at_the_quantile_of_the_first_method(
    visit, clips, page, tmp_path, drawn
):
    by_design, high = clips[0].views[0], clips[0].views[1]
    first = replace(by_design, method="by_design", quantile=0.9)
    without = replace(high, explained="low", method=drawn, quantile=None)
    at = [replace(high, explained="low", quantile=q) for q in (0.5, 0.7)]
    others = [replace(each, method="by_design") for each in at]
    silent = replace(clips[1], views=[])
    clip = replace(clips[0], views=[first, without, *others])
    tab = visit(write(tmp_path / "a.html", [silent, clip], page), "#clip-title")
    tab.keyboard.press("ArrowRight")
    shown = "currentViews().map(view => [view.method, view.quantile])"
    assert tab.evaluate("state.quantile") == 0.9
    assert tab.evaluate(shown)[0] == ["by_design", 0.9]
    tab.click("#controls button:has-text('as drawn')")
    own = {view.method: view.quantile for view in reversed(clip.views)}
    own[drawn] = None
    assert dict(tab.evaluate(shown)) == own


def test_the_focus_stays_where_it_was(visit, report):
    tab = visit(report)
    controls = tab.locator("#controls button, #controls input")
    count = controls.count()
    for index in range(count):
        controls.nth(index).focus()
        tab.keyboard.press("l")
        assert controls.count() == count
        assert controls.nth(index).evaluate(
            "each => each === document.activeElement"
        )


def test_a_training_clip_plays(visit, report):
    tab = visit(report)
    tab.click("[aria-label='Play training clip near.wav']")
    wait(tab, "audio.currentTime > 0.02")


def test_a_sound_is_saved_as_wav(visit, report):
    tab = visit(report)
    tab.click("summary:has-text('Numbers')")
    with tab.expect_download() as waiting:
        tab.click("button:has-text('Save kept as WAV')")
    saved = waiting.value
    assert saved.suggested_filename == "clip0_kept.wav"
    assert saved.path().read_bytes().startswith(b"RIFF")


def test_files_beside_a_page_play_and_are_drawn(visit, clips, page, tmp_path):
    path = write(tmp_path / "report.html", clips, page, budget=10_000)
    tab = visit(path)
    for part in ("original", "kept", "removed"):
        play(tab, part)
    tab.click("#loudness")
    play(tab, "removed")


def test_a_sound_beside_a_page_is_called_what_it_is(
    visit, clips, page, tmp_path
):
    path = write(tmp_path / "report.html", clips, page, budget=10_000)
    tab = visit(path)
    tab.click("summary:has-text('Numbers')")
    assert "WAV" not in tab.inner_text("#detail")
    with tab.expect_popup() as waiting:
        tab.click("button:has-text('Open kept as FLAC')")
    opened = waiting.value
    opened.wait_for_url("**/report_files/*.flac")
    found = path.with_name("report_files") / opened.url.rpartition("/")[2]
    assert found.read_bytes().startswith(b"fLaC")


def test_hostile_names_and_labels_run_nothing(
    visit, tmp_path, hostile, make_clip
):
    clips = [
        make_clip(0, clip_id=f"{n} {text}", label=text, predicted=text)
        for n, text in enumerate(hostile)
    ]
    rows = [
        {
            "clip_id": clip.clip_id,
            "label": clip.label,
            "predicted": hostile[0],
            "accuracy": 0.0,
        }
        for clip in clips
    ]
    page = Page(hostile[0], hostile, {hostile[1]: rows}, {hostile[2]: hostile})
    tab = visit(write(tmp_path / "report.html", clips, page))
    for number in range(len(hostile)):
        tab.click(f"[data-entry='{number}']")
    tab.click("#tab-scores")
    tab.click("#tab-evidence")
    assert tab.evaluate("window.hacked") is None
    assert tab.locator("img").count() == 0
    assert tab.inner_text("h1") == hostile[0]


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(visit, context, report, width):
    tab = visit(report)
    tab.set_viewport_size({"width": width, "height": 800})
    for name in ("clips", "scores", "evidence"):
        tab.click(f"#tab-{name}")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width


def answer(tab, name, value):
    tab.check(f"input[name={name}][value='{value}']")


def save(tab, folder):
    with tab.expect_download() as waiting:
        tab.click("#save")
    path = folder / "ratings.json"
    waiting.value.save_as(path)
    return path


def test_ratings_are_kept_saved_and_read_back(visit, listening_test, tmp_path):
    tab = visit(listening_test, "#trial")
    assert "Sound 1 of 8" in tab.inner_text("#trial")
    for hidden in ("piq", "random"):
        assert hidden not in tab.inner_text("body")
    play(tab, "kept")
    answer(tab, "recognizable", 4)
    answer(tab, "matters", 2)
    tab.click("#next")
    answer(tab, "matters", 5)
    tab.fill("#rater", "me")
    tab.reload()
    tab.wait_for_selector("#trial")
    assert "Sound 2 of 8" in tab.inner_text("#trial")
    assert tab.is_checked("input[name=matters][value='5']")
    assert "1 of 8 answered" in tab.inner_text("#progress")
    path = save(tab, tmp_path)
    first, second = read_ratings(path)
    assert (first["recognizable"], first["matters"]) == (4, 2)
    assert second["matters"] == 5
    assert json.loads(path.read_text())["rater"] == "me"


@pytest.mark.parametrize("change", ["method", "quantile", "sound"])
def test_answers_are_those_of_one_test(
    visit, listening_test, tmp_path, make_clip, change
):
    """Files have no origin of their own: all pages see one storage."""
    changes = {"methods": ("piq", "rise" if change == "method" else "random")}
    clips = [make_clip(n, **changes) for n in range(2)]
    if change == "quantile":
        views = [replace(view, quantile=0.8) for view in clips[1].views]
        clips[1] = replace(clips[1], views=views)
    if change == "sound":
        clips[1] = replace(clips[1], wav=-clips[1].wav)
    page = Page("A test", ["low", "high"], listening_test=True)
    other = write(tmp_path / "test.html", clips, page)
    tab = visit(listening_test, "#trial")
    answer(tab, "recognizable", 4)
    tab.fill("#rater", "anna")
    stored = tab.evaluate("JSON.stringify(localStorage)")
    tab = visit(other, "#trial")
    tab.evaluate(f"Object.assign(localStorage, {stored})")
    tab.reload()
    tab.wait_for_selector("#trial")
    assert tab.evaluate("Object.keys(test.answers).length") == 0
    assert tab.input_value("#rater") == ""


def test_a_new_listener_begins_anew(visit, listening_test):
    tab = visit(listening_test, "#trial")
    answer(tab, "recognizable", 4)
    tab.fill("#rater", "anna")
    tab.click("#anew")  # the driver says no
    assert tab.input_value("#rater") == "anna"
    tab.on("dialog", lambda dialog: dialog.accept())
    tab.click("#anew")
    for _ in range(2):
        assert tab.input_value("#rater") == ""
        assert "0 of 8 answered" in tab.inner_text("#progress")
        tab.reload()
        tab.wait_for_selector("#trial")


def test_the_order_is_random_and_complete(visit, listening_test):
    tab = visit(listening_test, "#trial")
    trials = tab.evaluate("test.trials")
    assert sorted(trials) == [[b, v] for b in (0, 1) for v in (0, 1, 4, 5)]
    orders = {str(tab.evaluate("shuffle(listTrials())")) for _ in range(9)}
    assert len(orders) > 1


def test_a_browser_that_keeps_nothing_rates_too(
    visit, context, listening_test, tmp_path
):
    context.add_init_script(
        "Object.defineProperty(window, 'localStorage', "
        "{ get() { throw new DOMException('denied', 'SecurityError'); } });"
    )
    tab = visit(listening_test, "#trial")
    assert "keeps nothing" in tab.inner_text("#panel-test")
    answer(tab, "recognizable", 3)
    assert read_ratings(save(tab, tmp_path))[0]["recognizable"] == 3
