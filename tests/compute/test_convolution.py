"""One convolution step by step, against loops over every tap, and against what the network itself puts out."""

import keras
import numpy as np
import pytest
from models import functional, nested, picture, subclassed

import cnnvis_widgets as cnnvis
from cnnvis_widgets.compute.convolution import convolution_steps, paddings
from cnnvis_widgets.compute.feature_maps import feature_maps
from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.networks.network import Network

KINDS = {
    "3x3 same": lambda: keras.layers.Conv2D(4, 3, padding="same", name="conv"),
    "3x3 valid": lambda: keras.layers.Conv2D(4, 3, name="conv"),
    "1x1": lambda: keras.layers.Conv2D(4, 1, name="conv"),
    "5x5 stride 2": lambda: keras.layers.Conv2D(4, 5, 2, padding="same", name="conv"),
    "even, stride 2": lambda: keras.layers.Conv2D(4, (2, 4), 2, padding="same", name="conv"),
    "even, stride 3": lambda: keras.layers.Conv2D(4, 4, (3, 2), padding="same", name="conv"),
    "dilated": lambda: keras.layers.Conv2D(4, 3, dilation_rate=(2, 3), padding="same", name="conv"),
    "dilated valid": lambda: keras.layers.Conv2D(4, 3, dilation_rate=2, name="conv"),
    "relu inside": lambda: keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv"),
    "no bias": lambda: keras.layers.Conv2D(4, 3, use_bias=False, name="conv"),
    "groups": lambda: keras.layers.Conv2D(4, 3, groups=2, padding="same", name="conv"),
    "depthwise": lambda: keras.layers.DepthwiseConv2D(3, 2, padding="same", name="conv"),
    "depthwise, two each": lambda: keras.layers.DepthwiseConv2D(3, depth_multiplier=2, name="conv"),
    "separable": lambda: keras.layers.SeparableConv2D(
        4, 3, 2, depth_multiplier=2, padding="same", name="conv"
    ),
}


def toy(layer, height=13, width=10) -> Network:
    """Two layers, so that the second takes in signed maps of six channels; every weight is random, biases too."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input((height, width, 3))
    maps = layer(keras.layers.Conv2D(6, 3, padding="same", name="first")(inputs))
    after = keras.layers.ReLU(6, name="relu")(keras.layers.BatchNormalization(name="bn")(maps))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(after)))
    random = np.random.default_rng(1)
    model.set_weights(
        [
            random.uniform(0.1, 1, w.shape) * (-1) ** random.integers(0, 2, w.shape)
            if "variance" not in variable.path
            else random.uniform(0.5, 2, w.shape)
            for variable, w in zip(model.weights, model.get_weights(), strict=True)
        ]
    )
    return Network(model)


def sum_by_hand(steps, y, x) -> float:
    """Every tap of every channel, one after the other."""
    top, _bottom, left, _right = steps.padding
    total = 0.0
    height, width, count = steps.inputs.shape
    for i in range(steps.kernel.shape[0]):
        for j in range(steps.kernel.shape[1]):
            row = y * steps.strides[0] - top + i * steps.dilation[0]
            column = x * steps.strides[1] - left + j * steps.dilation[1]
            if 0 <= row < height and 0 <= column < width:
                for k in range(count):
                    total += float(steps.inputs[row, column, k]) * float(steps.kernel[i, j, k])
    return total


@pytest.mark.parametrize("size", [(13, 10), (12, 16)])
@pytest.mark.parametrize("kind", KINDS)
def test_sum_and_bias_are_what_the_layer_puts_out(kind, size):
    network = toy(KINDS[kind](), *size)
    image = picture(2, *size)
    recorded = feature_maps(network, image, "conv").values
    room = 1e-4 * float(np.abs(recorded).max())
    assert room > 0, "the oracle must have something to compare"
    for unit in {0, 3, int(np.abs(recorded).max(axis=(0, 1)).argmax())}:
        steps = convolution_steps(network, image, "conv", unit)
        expected, h, w = recorded[..., unit], *recorded.shape[:2]
        for y in range(h):
            for x in range(w):
                value = sum_by_hand(steps, y, x) + steps.bias
                assert value == pytest.approx(steps.lines[0].values[y, x], rel=1e-4, abs=room)
                value = max(value, 0) if kind == "relu inside" else value
                assert value == pytest.approx(expected[y, x], rel=1e-4, abs=room)
        assert [line.kind for line in steps.lines] == ["bias"] + ["activation"] * (kind == "relu inside")


def test_padding_of_same_is_tensorflows():
    # An even side: the odd row comes last.
    assert paddings((5, 6), (3, 3), (2, 2), (1, 1), "same") == (1, 1, 0, 1)
    assert paddings((4, 4), (2, 4), (1, 1), (1, 1), "same") == (0, 1, 1, 2)
    assert paddings((7, 7), (1, 3), (3, 3), (1, 2), "same") == (0, 0, 2, 2)
    assert paddings((7, 7), (3, 3), (2, 2), (1, 1), "valid") == (0, 0, 0, 0)


def test_normalization_and_activation_behind_are_lines_of_their_own():
    network, image = toy(KINDS["3x3 same"]()), picture(3, 13, 10)
    steps = convolution_steps(network, image, "relu", 2)
    assert [(line.kind, line.path) for line in steps.lines] == [
        ("bias", "conv"), ("normalization", "bn"), ("activation", "relu"),
    ]  # fmt: skip
    before, normal, final = steps.lines
    np.testing.assert_allclose(before.values, feature_maps(network, image, "conv").values[..., 2], rtol=1e-4)
    np.testing.assert_allclose(
        normal.values, before.values * normal.scale + normal.shift, rtol=1e-4, atol=1e-3
    )
    np.testing.assert_allclose(normal.values, feature_maps(network, image, "bn").values[..., 2], rtol=1e-4)
    np.testing.assert_array_equal(final.values, np.clip(normal.values, 0, 6))
    assert final.name == "ReLU6"


def test_only_the_strongest_channels_are_handed_on_and_the_sum_is_still_that_of_all():
    network, image = toy(KINDS["3x3 same"]()), picture(4, 13, 10)
    every = convolution_steps(network, image, "conv", 1)
    few = convolution_steps(network, image, "conv", 1, most_values=2 * 13 * 10)
    assert (len(every.channels), len(few.channels), few.channel_count) == (6, 2, 6)
    np.testing.assert_array_equal(few.channels, every.channels[:2])
    np.testing.assert_array_equal(few.sums, every.sums)
    np.testing.assert_array_equal(few.sizes, every.sizes)
    assert (few.sizes >= np.abs(few.sums) - 1e-3).all()


@pytest.mark.parametrize("build", [functional, nested, subclassed])
def test_every_way_to_build_a_model(build):
    halves = build()
    network, image = Network(halves.model, input_size=(24, 24)), picture(5)
    inside = "backbone/" if build is nested else ""
    for layer, unit in ((f"{inside}conv1", 1), (f"{inside}relu", 3)):
        steps = convolution_steps(network, image, layer, unit)
        expected = feature_maps(network, image, layer).values[..., unit]
        np.testing.assert_allclose(steps.lines[-1].values, expected, rtol=1e-5)
        value = sum_by_hand(steps, 4, 5) + steps.bias
        assert value == pytest.approx(steps.lines[0].values[4, 5], rel=1e-4)


class Halved(keras.Model):
    """A model whose convolution takes in what no layer put out."""

    def __init__(self):
        super().__init__(name="halved")
        self.first = keras.layers.Conv2D(4, 3, name="first")
        self.conv = keras.layers.Conv2D(4, 3, name="conv")
        self.pool, self.dense = keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)

    def call(self, x):
        return self.dense(self.pool(self.conv(self.first(x) / 2)))


def test_what_code_outside_any_layer_made_is_taken_in_all_the_same():
    network, image = Network(Halved(), input_size=(12, 12)), picture(6, 12, 12)
    steps = convolution_steps(network, image, "conv", 0)
    assert steps.source is None
    half = feature_maps(network, image, "first").values[..., steps.channels] / 2
    np.testing.assert_allclose(steps.inputs, half, rtol=1e-6)
    expected = feature_maps(network, image, "conv").values[3, 4, 0]
    assert sum_by_hand(steps, 3, 4) + steps.bias == pytest.approx(expected, rel=1e-4)


def test_a_shared_layer_is_followed_at_each_of_its_calls():
    shared = keras.layers.Conv2D(3, 3, padding="same", name="shared")
    inputs = keras.Input((12, 12, 3))
    once = shared(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(shared(once))))
    network, image = Network(model), picture(7, 12, 12)
    for path, source in (("shared", ""), ("shared#2", "shared")):
        steps = convolution_steps(network, image, path, 1)
        expected = feature_maps(network, image, path).values[6, 7, 1]
        assert steps.source == source
        assert sum_by_hand(steps, 6, 7) + steps.bias == pytest.approx(expected, rel=1e-4)


def test_zeros_of_a_padding_layer_are_padding():
    inputs = keras.Input((11, 11, 3))
    maps = keras.layers.ZeroPadding2D(((0, 1), (2, 1)), name="pad")(keras.layers.ReLU(name="relu")(inputs))
    maps = keras.layers.DepthwiseConv2D(3, 2, name="conv")(maps)
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(maps)))
    network, image = Network(model), picture(8, 11, 11)
    steps = convolution_steps(network, image, "conv", 1)
    assert (steps.source, steps.padding, steps.inputs.shape) == ("relu", (0, 1, 2, 1), (11, 11, 1))
    recorded = feature_maps(network, image, "conv").values[..., 1]
    for y, x in np.ndindex(recorded.shape):
        assert sum_by_hand(steps, y, x) + steps.bias == pytest.approx(recorded[y, x], rel=1e-4, abs=1e-3)


class Doubled(keras.layers.Conv2D):
    def call(self, inputs):
        return 2 * super().call(inputs)


def test_what_cannot_be_taken_apart_is_refused_in_a_sentence():
    network, image = toy(KINDS["3x3 same"]()), picture(9, 13, 10)
    with pytest.raises(CnnvisError, match="units 0 to 3; 4 was asked for"):
        convolution_steps(network, image, "conv", 4)
    inputs = keras.Input((12, 12, 3))
    spread = keras.layers.Conv2DTranspose(4, 2, strides=2, name="spread")(
        Doubled(4, 3, name="doubled")(inputs)
    )
    maps = keras.layers.MaxPooling2D(name="pool")(keras.layers.ReLU(name="relu")(spread))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(maps)))
    other = Network(model)
    with pytest.raises(CnnvisError, match="'pool' is no convolution and follows none"):
        convolution_steps(other, picture(), "pool", 0)
    with pytest.raises(CnnvisError, match="'spread' is a transposed convolution, which"):
        convolution_steps(other, picture(), "relu", 0)
    with pytest.raises(CnnvisError, match="'doubled' puts out something else"):
        convolution_steps(other, picture(), "doubled", 0)


def test_new_weights_count():
    network, image = toy(KINDS["3x3 same"]()), picture(1, 13, 10)
    before = convolution_steps(network, image, "conv", 0)
    layer = network.model.get_layer("conv")
    layer.set_weights([weight * 2 for weight in layer.get_weights()])
    after = convolution_steps(network, image, "conv", 0)
    np.testing.assert_allclose(after.sums, before.sums * 2, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("bundled", ("block1_conv1", "block1_conv1_relu", "block4_conv3")),
        ("mobilenet_v2", ("Conv1_relu", "block_3_depthwise_relu", "block_6_expand_relu", "Conv_1")),
    ],
)
def test_real_networks(name, layers, request):
    weights = {}
    if name == "mobilenet_v2":
        weights = {"weights": request.getfixturevalue("networks_folder") / "mobilenet_v2.weights.h5"}
    network, image = cnnvis.load_network(name, **weights), cnnvis.sample_images()["cat"]
    random = np.random.default_rng(0)
    for layer in layers:
        maps = feature_maps(network, image, layer)
        unit = int(np.argmax(maps.values.max(axis=(0, 1))))
        steps = convolution_steps(network, image, layer, unit)
        np.testing.assert_allclose(steps.lines[-1].values, maps.values[..., unit], rtol=1e-4, atol=1e-5)
        own = feature_maps(network, image, steps.path).values[..., unit]
        room = 1e-4 * float(np.abs(own).max())
        for _ in range(20):
            y, x = (int(random.integers(0, side)) for side in own.shape)
            assert sum_by_hand(steps, y, x) + steps.bias == pytest.approx(own[y, x], rel=1e-4, abs=room)
