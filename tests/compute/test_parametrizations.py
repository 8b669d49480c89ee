"""What pictures are made of, against plain Fourier transforms, photographs and the formulas written out."""

import keras
import numpy as np
import pytest

from cnnvis_widgets.compute.maximize import Fourier, Laplacian, Maco, Pixels, Shared, Tile, natural
from cnnvis_widgets.compute.maximize.parametrizations import coloured, inverse_fourier
from cnnvis_widgets.compute.maximize.resizing import resized
from cnnvis_widgets.images import resize, sample_images

SIZES = [(8, 8), (7, 9), (8, 5), (5, 12), (13, 6), (1, 4)]


def started(parametrization, size, seed=0):
    return [part[None] for part in parametrization.start(size, np.random.default_rng(seed))]


def drawn(parametrization, values, size, shown=None):
    return np.asarray(parametrization.picture(values, size, shown or size))[0]


@pytest.mark.parametrize("size", SIZES)
def test_inverse_fourier_is_numpys_on_odd_and_non_square_sizes(size):
    random = np.random.default_rng(1)
    real, imaginary = random.normal(size=(2, 2, size[0], size[1] // 2 + 1, 3)).astype(np.float32)
    expected = np.fft.irfft2(real + 1j * imaginary, s=size, axes=(1, 2))
    np.testing.assert_allclose(inverse_fourier(real, imaginary, size, size), expected, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("decay", [1.0, 1.5])
def test_waves_are_scaled_by_their_frequency(size, decay):
    h, w = size
    fourier = Fourier(decay=decay, deviation=1.0)
    real, imaginary = (part[0] for part in started(fourier, size))
    spectrum = np.zeros(real.shape, complex)
    for row in range(h):
        for column in range(w // 2 + 1):
            cycles = np.hypot((row if row <= (h - 1) // 2 else row - h) / h, column / w)
            scale = np.sqrt(h * w) / max(cycles, 1 / max(h, w)) ** decay
            spectrum[row, column] = (real[row, column] + 1j * imaginary[row, column]) * scale
    waves = np.fft.irfft2(spectrum, s=size, axes=(0, 1)) / 4
    expected = 1 / (1 + np.exp(-(waves @ natural.COLOURS.T)))
    np.testing.assert_allclose(drawn(fourier, [real[None], imaginary[None]], size), expected, atol=1e-4)


@pytest.mark.parametrize(("size", "shown"), [((16, 12), (8, 6)), ((15, 21), (5, 7))])
def test_a_low_resolution_is_the_same_picture_without_its_fine_waves(size, shown):
    random = np.random.default_rng(2)
    spectrum = random.normal(size=(2, 1, size[0], size[1] // 2 + 1, 3)).astype(np.float32)
    rows = np.abs(np.fft.fftfreq(size[0]))[:, None] * size[0] < shown[0] / 2
    columns = np.fft.rfftfreq(size[1])[None] * size[1] < shown[1] / 2
    coarse = spectrum * (rows & columns)[None, None, ..., None]
    full = np.asarray(inverse_fourier(*coarse, size, size))
    every = size[0] // shown[0]
    small = np.asarray(inverse_fourier(*spectrum, size, shown))
    np.testing.assert_allclose(small, full[:, ::every, ::every], atol=1e-5)


def test_colours_are_the_published_ones_and_go_together_as_in_photographs():
    published = [[0.5628, 0.5845, 0.5845], [0.1948, 0, -0.1948], [0.0433, -0.1082, 0.0649]]
    np.testing.assert_allclose(natural.COLOURS.T, published, atol=2e-4)
    pixels = np.concatenate([image.reshape(-1, 3) for image in sample_images().values()]) / 255.0
    apart = pixels @ np.linalg.inv(natural.COLOURS).T
    mixed, unmixed = (np.abs(np.corrcoef(x.T)[np.triu_indices(3, 1)]).mean() for x in (pixels, apart))
    assert unmixed < mixed / 2


@pytest.mark.parametrize("size", [(16, 16), (15, 22)])
def test_maco_keeps_the_magnitudes_whatever_the_phases(size):
    picture = drawn(Maco(contrast=0.2), started(Maco(), size, seed=5), size)
    values = np.log(picture / (1 - picture)) @ np.linalg.inv(natural.COLOURS).T
    found = np.abs(np.fft.rfft2(values, axes=(0, 1)))
    inner = (slice(None), slice(1, (size[1] - 1) // 2 + 1))  # the other columns mirror themselves
    np.testing.assert_allclose(found[inner], natural.spectrum(size)[inner] * 0.2, rtol=1e-2, atol=1e-3)
    assert found[0, 0].max() < 1e-3 * found.max(), "on the whole it is grey, whatever the phases"


def uncoloured(rgb: np.ndarray) -> np.ndarray:
    """The inverse of `coloured`, in decorrelated colour; black and white are brought in a little."""
    rgb = np.clip(rgb, 0.02, 0.98)
    return np.log(rgb / (1 - rgb)) @ np.linalg.inv(natural.COLOURS).T


@pytest.mark.parametrize("name", ["cat", "coffee"])
def test_the_natural_spectrum_is_that_of_photographs(name):
    values = uncoloured(resize(sample_images()[name], (192, 256)) / 255)
    window = np.outer(np.hanning(192), np.hanning(256))[..., None]
    found = np.abs(np.fft.rfft2((values - values.mean(axis=(0, 1))) * window, axes=(0, 1)))
    found /= np.sqrt(np.mean(window**2))
    cycles = np.hypot(np.fft.fftfreq(192)[:, None], np.fft.rfftfreq(256)[None])
    expected = natural.spectrum((192, 256))
    for low in (0.01, 0.03, 0.1, 0.25):
        ring = (cycles >= low) & (cycles < 2 * low)
        share = np.sqrt((found[ring] ** 2).mean() / (expected[ring] ** 2).mean())
        assert 1 / 3 < share < 3, f"from {low} cycles per pixel"


def test_uncoloured_undoes_coloured():
    rgb = np.random.default_rng(0).uniform(0.05, 0.95, (4, 5, 3)).astype(np.float32)
    back = coloured(uncoloured(rgb).astype(np.float32), True)
    np.testing.assert_allclose(back, rgb, atol=1e-5)


@pytest.mark.parametrize("shown", [(7, 10), (3, 5), (4, 13), (14, 20), (9, 2), (1, 1)])
def test_resizing_is_that_of_keras_whether_the_size_is_open_or_not(shown):
    given = np.random.default_rng(0).random((2, 7, 10, 3)).astype(np.float32)
    expected = keras.ops.image.resize(given, shown, antialias=True)
    np.testing.assert_allclose(resized(given, shown), expected, atol=1e-5)
    np.testing.assert_allclose(resized(given, keras.ops.convert_to_tensor(shown)), expected, atol=1e-5)


def test_a_pyramid_is_the_sum_of_its_levels():
    size = (12, 20)
    values = started(Laplacian(levels=3, decorrelated=False), size)
    assert [part.shape[1:3] for part in values] == [(12, 20), (6, 10), (3, 5)]
    total = sum(np.asarray(keras.ops.image.resize(part, size)) for part in values)[0]
    picture = drawn(Laplacian(levels=3, decorrelated=False), values, size)
    np.testing.assert_allclose(picture, 1 / (1 + np.exp(-total)), atol=1e-5)


def test_a_pixel_is_its_own_value():
    values = started(Pixels(deviation=1.0, decorrelated=False), (3, 4))
    picture = drawn(Pixels(decorrelated=False), values, (3, 4))
    np.testing.assert_allclose(picture, 1 / (1 + np.exp(-values[0][0])), rtol=1e-5)


def test_a_tile_is_repeated_and_a_small_view_shows_a_part_of_it_as_large_as_ever():
    tile, size = Tile(0.5, deviation=1.0, decorrelated=False), (6, 9)
    values = started(tile, size)
    assert values[0].shape == (1, 3, 4, 3)
    own = 1 / (1 + np.exp(-values[0][0]))
    whole = drawn(tile, values, size)
    for y in range(6):
        for x in range(9):
            np.testing.assert_allclose(whole[y, x], own[y % 3, x % 4], rtol=1e-5)
    np.testing.assert_allclose(drawn(tile, values, size, (2, 5)), whole[:2, :5], rtol=1e-6)


@pytest.mark.parametrize("parametrization", [Pixels(), Laplacian(), Fourier(), Maco(), Tile()])
def test_any_size_and_seed(parametrization):
    first, again, other = (started(parametrization, (17, 30), seed) for seed in (0, 0, 1))
    for shown in [(17, 30), (9, 15), (34, 60)]:
        picture = drawn(parametrization, first, (17, 30), shown)
        assert picture.shape == (*shown, 3) and picture.min() >= 0 and picture.max() <= 1
    np.testing.assert_array_equal(first[0], again[0])
    assert (first[0] != other[0]).any()


def test_shared_values_move_all_pictures_of_a_batch_and_own_ones_only_one():
    shared = Shared(shared=(4,), decorrelated=False)
    values = [np.stack([part, part]) for part in shared.start((8, 12), np.random.default_rng(0))]
    before = np.asarray(shared.picture(values, (8, 12), (8, 12)))
    np.testing.assert_array_equal(before[0], before[1])
    values[1][0] += 1
    after = np.asarray(shared.picture(values, (8, 12), (8, 12)))
    logit = lambda x: np.log(x / (1 - x))  # noqa: E731
    np.testing.assert_allclose(
        logit(after) - logit(before), 0.5, atol=1e-3, err_msg="half of it each: a mean"
    )
    values[0][0] += 1
    own = np.asarray(shared.picture(values, (8, 12), (8, 12)))
    assert (own[0] > after[0]).all() and (own[1] == after[1]).all()
