"""Laws of focalaudio.image: what is found on an image returns to its place."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F

from focalaudio.image import ImageLayout, build_axis, enlarge
from focalaudio.mel import MelAxis

ROWS, COLS = 7, 5
TIME, FREQ = 70, 100  # 10 frames and 20 bins per cell
MEL = MelAxis(24, sample_rate=16000, n_fft=2 * (FREQ - 1))
LAYOUTS = {
    "stretched": ImageLayout((32, 24)),
    "canvas": ImageLayout((32, 24), image_frames=TIME),
    "mel": ImageLayout((32, 24), axis=MEL),
    "mel canvas": ImageLayout((32, 24), TIME, MEL),
}
carry_back = LAYOUTS["stretched"].carry_back


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return LAYOUTS[request.param]


def plant(row, col):
    grid = torch.zeros(1, ROWS, COLS)
    grid[0, row, col] = 1
    return grid


@pytest.mark.parametrize("value", [0.0, 0.3, 1e6])
def test_constant_stays_constant(layout, value):
    maps = torch.full((2, ROWS, COLS), value)
    saliency = layout.carry_back(maps, torch.tensor([33, TIME]), (TIME, FREQ))
    torch.testing.assert_close(
        saliency[1], torch.full((TIME, FREQ), value), atol=0, rtol=1e-6
    )
    torch.testing.assert_close(
        saliency[0, :33], torch.full((33, FREQ), value), atol=0, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("row", "col"), [(0, 0), (0, 4), (6, 0), (6, 4), (2, 3), (5, 1)]
)
def test_planted_energy_comes_back_where_it_was_planted(row, col):
    saliency = carry_back(plant(row, col), torch.tensor([TIME]), (TIME, FREQ))[
        0
    ]
    time, freq = divmod(int(saliency.argmax()), FREQ)
    assert time // 10 == row
    assert freq // 20 == col
    weights = saliency / saliency.sum()
    times = torch.arange(TIME) + 0.5
    if 0 < row < ROWS - 1:  # its center of mass, in cells
        center = (weights.sum(1) * times).sum() / 10
        torch.testing.assert_close(center, torch.tensor(row + 0.5))


def test_each_clip_has_its_own_frames():
    maps = torch.rand(4, ROWS, COLS)
    n_frames = torch.tensor([TIME, 3, 40, 3])
    saliency = carry_back(maps, n_frames, (TIME, FREQ))
    assert saliency.shape == (4, TIME, FREQ)
    for row, frames in enumerate(n_frames.tolist()):
        alone = F.interpolate(
            maps[row][None, None], (frames, FREQ), mode="bilinear"
        )
        torch.testing.assert_close(saliency[row, :frames], alone[0, 0])
        assert (saliency[row, frames:] == 0).all()


def test_values_stay_within_the_range_of_the_map(layout):
    maps = torch.rand(3, ROWS, COLS) + 0.5
    saliency = layout.carry_back(maps, torch.full((3,), TIME), (TIME, FREQ))
    assert (saliency.amax((1, 2)) <= maps.amax((1, 2)) + 1e-6).all()
    assert (saliency.amin((1, 2)) >= maps.amin((1, 2)) - 1e-6).all()


def test_an_image_is_its_clip_alone_whatever_its_neighbors(layout):
    log_magnitude = torch.rand(3, TIME + 9, FREQ)
    n_frames = torch.tensor([20, TIME + 9, TIME])
    image = layout.draw(log_magnitude, n_frames)
    for row, frames in enumerate(n_frames.tolist()):
        alone = layout.draw(
            log_magnitude[[row], :frames], n_frames[row : row + 1]
        )
        torch.testing.assert_close(image[row], alone[0])


def test_a_canvas_is_black_where_a_clip_has_ended():
    layout = LAYOUTS["canvas"]
    image = layout.draw(torch.ones(2, TIME, FREQ), torch.tensor([35, TIME]))
    assert (image[0, 0, :15] > 0.999).all()
    assert (image[0, 0, 17:] == 0).all()
    assert (image[1] > 0.999).all()
    # a clip that is longer than the canvas fills it
    longer = layout.draw(torch.ones(1, 2 * TIME, FREQ), torch.tensor([140]))
    assert (longer > 0.999).all()


def test_a_snug_image_is_the_beginning_of_the_canvas():
    layout = ImageLayout((TIME // 2, 24), TIME, MEL)
    log_magnitude = torch.rand(2, 30, FREQ)
    n_frames = torch.tensor([30, 20])
    snug = layout.draw(log_magnitude, n_frames, snug=True)
    whole = layout.draw(log_magnitude, n_frames)
    assert snug.shape == (2, 1, 15, 24)
    torch.testing.assert_close(snug[:, :, :-1], whole[:, :, :14])
    spans = layout.find_spans(n_frames, snug=True)
    assert spans.tolist() == [30, 30]
    assert layout.find_spans(n_frames).tolist() == [TIME, TIME]
    # a batch that fills the canvas is drawn as ever
    longer = torch.tensor([TIME, 20])
    assert layout.find_spans(longer, snug=True).tolist() == [TIME, TIME]


def test_snug_maps_come_back_to_the_same_frames():
    layout = ImageLayout((TIME, FREQ), TIME)
    maps, n_frames = torch.rand(2, 30, FREQ), torch.tensor([30, 20])
    spans = layout.find_spans(n_frames, snug=True)
    back = layout.carry_back(maps, n_frames, (30, FREQ), spans)
    torch.testing.assert_close(back[0], maps[0])
    torch.testing.assert_close(back[1, :20], maps[1, :20])
    assert (back[1, 20:] == 0).all()


def test_what_is_pooled_comes_back_where_it_was(layout):
    """A block of sound, pooled to cells and carried back, has its center."""
    sound = torch.zeros(1, TIME, FREQ)
    sound[0, 20:40, 30:50] = 1
    n_frames = torch.tensor([TIME])
    cells = layout.pool(sound, (ROWS * 5, COLS * 4), n_frames)
    back = layout.carry_back(cells, n_frames, (TIME, FREQ))[0]
    back = back / back.sum()
    time = (back.sum(1) * (torch.arange(TIME) + 0.5)).sum()
    freq = (back.sum(0) * (torch.arange(FREQ) + 0.5)).sum()
    assert abs(time - 30) < 0.5
    assert abs(freq - 40) < 1.5


def test_pooling_averages_each_clips_own_cells():
    values = torch.rand(2, TIME, FREQ)
    n_frames = torch.tensor([42, TIME])
    pooled = LAYOUTS["stretched"].pool(values, (ROWS, COLS), n_frames)
    for row, frames in enumerate(n_frames.tolist()):
        wanted = F.adaptive_avg_pool2d(values[[row], :frames], (ROWS, COLS))
        torch.testing.assert_close(pooled[row], wanted[0])
    on_canvas = LAYOUTS["canvas"].pool(values, (ROWS, COLS), n_frames)
    values[0, 42:] = 0  # black beyond the clip's end
    torch.testing.assert_close(
        on_canvas, F.adaptive_avg_pool2d(values, (ROWS, COLS))
    )


@pytest.mark.parametrize(
    ("height", "rows"), [(60, 4), (70, 4)], ids=["padded", "rest left out"]
)
@pytest.mark.parametrize("axis", [None, MEL], ids=["linear", "mel"])
def test_cells_of_a_stride_stand_where_they_were_read(height, rows, axis):
    """Four rows of 16 pixels, of an image of fewer or more than 64."""
    layout = ImageLayout((height, 24), axis=axis, strides=(16,))
    n_frames = torch.tensor([10 * height])
    shape = (10 * height, FREQ)
    ends = torch.arange(rows) * 160, (torch.arange(rows) + 1) * 160
    for row in range(rows):
        sound = torch.zeros(1, *shape)
        sound[:, ends[0][row] : ends[1][row]] = 1
        cells = layout.pool(sound, (rows, 2), n_frames)
        lit = min(160, 10 * height - 160 * row) / 160
        wanted = torch.zeros(1, rows, 2)
        wanted[:, row] = lit
        # 24 columns are one and a half cells of 16
        bright = torch.tensor([1.0, 0.5])
        torch.testing.assert_close(cells, wanted * bright, atol=0.02, rtol=0.02)
        back = layout.carry_back(wanted, n_frames, shape)[0, :, 0]
        loudest = (back == back.max()).nonzero().float().mean()
        if row < rows - 1:
            assert 160 * row <= loudest < 160 * (row + 1)
    ones = layout.carry_back(torch.ones(1, rows, 2), n_frames, shape)[0]
    assert (ones[:635] > 0.99).all()
    assert (ones[646:] == 0).all()  # what nothing has read


@pytest.mark.parametrize("spans", [None, torch.tensor([50])])
def test_grids_that_end_with_the_image_are_left_alone(spans):
    layout = ImageLayout((TIME, 24), TIME, strides=(2, 10))
    for rows in (35, 7) if spans is None else (25, 5):
        maps = torch.rand(1, rows, 12)
        assert layout.align(maps, spans) is maps


def test_an_axis_has_no_weights_and_follows_its_module():
    layout = ImageLayout((8, 24), axis=MEL)
    assert layout.state_dict() == {}
    assert layout.to(torch.double).axis.bands.dtype == torch.double
    layout.to(torch.float)
    with torch.device("meta"):
        built = MelAxis(24, 16000, 2 * (FREQ - 1))
    torch.testing.assert_close(built.bands, MEL.bands)


def test_what_makes_no_axis_is_refused():
    with pytest.raises(ValueError, match="frequency_axis='bark'"):
        build_axis("bark", (8, 8), 16000, 1024)
    with pytest.raises(ValueError, match="16 pixels wide"):
        ImageLayout((8, 16), axis=MEL)
    assert build_axis("linear", (8, 8), 16000, 1024) is None
    assert build_axis("linear", None, 16000, 1024) is None
    sizes = (None, 64, [32], [32, "a"], [32, 0], [32, 8.5], [True, 8])
    for name, size in product(("mel", "linear"), sizes):
        if (name, size) == ("linear", None):
            continue
        with pytest.raises(ValueError, match="must be height and width"):
            build_axis(name, size, 16000, 1024)
    axis = build_axis("mel", (8, 16), 16000, 1024)
    assert axis.arguments["n_bands"] == 16


def ramp(cells, stride):
    """Where the middles of cells are on the image, pixels, along its rows."""
    return (torch.arange(cells) + 0.5) * stride


@pytest.mark.parametrize("side", [1, 5, 7, 27, 54, 55])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_cell_stays_where_it_was_read_on_a_finer_grid(side, times):
    coarse = -(-side // times)
    grid = ramp(coarse, times)[None, None, :, None]
    fine = enlarge(grid, (side, 1))[0, 0, :, 0]
    inside = slice(times // 2, (coarse - 1) * times + times // 2)
    torch.testing.assert_close(fine[inside], ramp(side, 1)[inside])
    assert len(fine) == side
