"""The graph of layers and their receptive fields, against networks whose every pixel is raised in turn."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import BUILDS, SIZE

from cnnvis_widgets.errors import UnknownLayerError
from cnnvis_widgets.networks import load_network
from cnnvis_widgets.networks.network import Network

layers, ops = keras.layers, keras.ops


class Written(keras.Model):
    """A model made of a function on tensors; the layers that the function uses are its attributes."""

    def __init__(self, function, **parts):
        super().__init__(name="written")
        self.function, self.names = function, tuple(parts)
        for name, part in parts.items():
            setattr(self, name, part)
        self.end = layers.Activation("linear", name="end")
        self.pool = layers.GlobalAveragePooling2D(name="pool")

    def call(self, x, training=False):
        return self.pool(self.end(self.function(x, *(getattr(self, name) for name in self.names))))


def functional(body):
    """A model whose maps are body(inputs)."""
    inputs = keras.Input((SIZE, SIZE, 3))
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(body(inputs)))


def chain(*parts):
    def body(x):
        for part in parts:
            x = part(x)
        return x

    return functional(body)


def strides_and_even_kernels():
    return chain(
        layers.Conv2D(4, 4, strides=2, padding="same"),
        layers.Conv2D(3, (2, 4), strides=(1, 2), padding="valid"),
        layers.AveragePooling2D(2, strides=1, padding="same"),
        layers.Conv2D(3, (4, 1), padding="same"),
        layers.MaxPooling2D(3, strides=2, padding="same"),
    )


def dilated():
    return chain(
        layers.Conv2D(4, 3, dilation_rate=2, padding="same"),
        layers.DepthwiseConv2D(3, dilation_rate=(2, 3), padding="same"),
        layers.SeparableConv2D(3, 3, dilation_rate=2, padding="valid"),
        layers.DepthwiseConv2D(2, strides=2, padding="valid"),
        layers.SeparableConv2D(3, 3, padding="same"),
        layers.Conv2D(4, 2, padding="same"),
    )


def groups():
    return chain(
        layers.Conv2D(4, 3, padding="same"), layers.Conv2D(4, 3, strides=2, groups=2, padding="same")
    )


def branches():
    def body(x):
        slow = layers.MaxPooling2D(2)(layers.Conv2D(4, 3, padding="same")(x))
        fast = layers.Conv2D(4, 5, strides=2, padding="same")(x)
        x = layers.ReLU()(layers.Add()([slow, fast]))
        far = layers.Conv2D(2, 5, padding="same")(x)
        pooled = layers.AveragePooling2D(3, strides=1, padding="same")(x)
        return layers.Conv2D(3, 1)(layers.Concatenate()([x, far, pooled]))

    return functional(body)


def borders_left_out():
    """Cropping, and strides that never reach the last pixels: padding must not bring them back."""
    return chain(
        layers.Cropping2D(((2, 1), (0, 3))),
        layers.Conv2D(3, 3, padding="same"),
        layers.Conv2D(3, 1, strides=2),
        layers.Conv2D(3, 3, padding="same"),
        layers.ZeroPadding2D(((3, 0), (1, 2))),
        layers.MaxPooling2D(3, strides=2),
    )


def enlarged():
    def body(x):
        skip = layers.Conv2D(3, 3, padding="same")(x)
        down = layers.Conv2D(3, 3, padding="same")(layers.AveragePooling2D(2)(skip))
        up = layers.UpSampling2D(2)(layers.Conv2D(3, 2, padding="same")(down))
        x = layers.Conv2D(3, 3, padding="same")(layers.Concatenate()([skip, up]))
        up = layers.UpSampling2D((2, 3), interpolation="bilinear")(layers.AveragePooling2D((2, 3))(x))
        x = layers.Conv2D(3, 2, padding="same")(layers.Add()([x, up]))
        x = layers.Conv2DTranspose(3, 4, strides=2, padding="same")(layers.MaxPooling2D(4)(x))
        return layers.Conv2DTranspose(3, (2, 5), strides=(3, 2), padding="valid")(x)

    return functional(body)


def paces_that_differ():
    def body(x):
        middle = layers.Cropping2D(6)(layers.Conv2D(3, 3, padding="same")(x))
        whole = layers.AveragePooling2D(2)(x)
        return layers.Conv2D(3, 3, padding="same")(layers.Add()([middle, layers.Conv2D(3, 1)(whole)]))

    return functional(body)


def squeezed_and_excited():
    def body(x):
        x = layers.Conv2D(4, 3, strides=2, padding="same")(x)
        weights = layers.Conv2D(4, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x))
        return layers.Conv2D(3, 3)(layers.Multiply()([x, weights]))

    return functional(body)


def dense_in_every_position():
    return chain(layers.Conv2D(4, 3, strides=2), layers.Dense(5), layers.Dense(3), layers.Conv2D(3, 2))


def channels_first():
    def function(x, first, second):
        x = ops.transpose(first(x), (0, 3, 1, 2))
        x = x[:, :, 1:, ::2] * 2.0
        return second(ops.transpose(x, (0, 2, 3, 1)))

    return Written(
        function, first=layers.Conv2D(3, 3, padding="same"), second=layers.Conv2D(3, 3, padding="same")
    )


def listed_and_back():
    """Maps as a list of positions for a while, as in attention-like code."""

    def function(x, first, second):
        x = first(x)
        height, width, channels = x.shape[1:]
        x = ops.reshape(x, (-1, height * width, channels)) + 1.0
        return second(ops.reshape(x, (-1, height, width, channels)))

    return Written(function, first=layers.Conv2D(4, 3, strides=2), second=layers.Conv2D(3, 3))


def operations_alone():
    kernel = np.random.default_rng(0).uniform(0.1, 1, (3, 2, 3, 4)).astype(np.float32)

    def function(x):
        x = ops.relu(ops.conv(x, kernel, strides=(1, 2), padding="same"))
        x = ops.concatenate([x, ops.average_pool(x, 2, strides=1, padding="same")], axis=-1)
        one, two = ops.split(x, 2, axis=-1)
        return ops.max_pool(one * 2 + ops.sqrt(two), 2)

    return Written(function)


def mirrored():
    def function(x, after):
        return after(tf.pad(x, ((0, 0), (3, 2), (1, 1), (0, 0)), "REFLECT"))

    return Written(function, after=layers.Conv2D(3, 3, strides=2))


def shuffled():
    def function(x, after, last):
        return last(tf.nn.depth_to_space(after(tf.nn.space_to_depth(x, 2)), 2))

    return Written(function, after=layers.Conv2D(4, 2), last=layers.Conv2D(2, 2))


SOLID = [
    strides_and_even_kernels,
    groups,
    branches,
    dense_in_every_position,
    listed_and_back,
    operations_alone,
]
ODD = [
    dilated,
    borders_left_out,
    enlarged,
    paces_that_differ,
    squeezed_and_excited,
    channels_first,
    mirrored,
    shuffled,
]
MODELS = {build.__name__: build for build in (*SOLID, *ODD)}
MODELS |= {name: lambda build=build: build().model for name, build in BUILDS.items()}


def with_positive_weights(model: keras.Model) -> keras.Model:
    """Such that no pixel's influence is cancelled by another's, and none saturates."""
    if not model.built:
        model(np.zeros((1, SIZE, SIZE, 3), np.float32))
    rng = np.random.default_rng(5)
    for weight in model.weights:
        if weight.name in ("beta", "bias", "moving_mean"):
            weight.assign(np.zeros(weight.shape))
        elif len(weight.shape) > 1:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape) / np.prod(weight.shape[:-1]))
        else:
            weight.assign(np.ones(weight.shape))
    return model


def influence(network: Network, paths: list[str]) -> dict[str, np.ndarray]:
    """Which positions of each layer change when a pixel is raised: (H, W, h, w) bool, by trying every pixel."""
    background = np.random.default_rng(1).uniform(0.8, 1, (1, SIZE, SIZE, 3)).astype(np.float32)
    if any(isinstance(layer, layers.Rescaling) for layer in network.model.layers):
        background *= 255
    raised = np.repeat(background, SIZE * SIZE, axis=0)
    for pixel in range(SIZE * SIZE):
        raised[pixel, pixel // SIZE, pixel % SIZE] += (
            1e6  # also the maximum of any window that it has a part in
        )
    before, after = network.probe.forward(background, paths)[1], network.probe.forward(raised, paths)[1]
    return {
        path: (np.abs(after[path] - before[path]) > 1e-6 * np.abs(before[path]))
        .any(axis=-1)
        .reshape(SIZE, SIZE, *before[path].shape[1:3])
        for path in paths
    }


def hull(mask: np.ndarray):
    """The smallest box around what is true in (H, W), None where nothing is."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (rows[0], columns[0], rows[-1], columns[-1]) if len(rows) else None


def clipped(box):
    top, left, bottom, right = box
    return max(top, 0), max(left, 0), min(bottom, SIZE - 1), min(right, SIZE - 1)


def with_influence(name):
    network = Network(with_positive_weights(MODELS[name]()), input_size=(SIZE, SIZE))
    maps = [node for node in network.graph.nodes if len(node.shape) == 3]
    truth = influence(network, [node.path for node in maps])
    return [(node, truth[node.path]) for node in maps]


@pytest.mark.parametrize("name", MODELS)
def test_a_field_is_the_box_around_the_pixels_that_have_an_influence(name):
    for node, truth in with_influence(name):
        for y, x in np.ndindex(*node.shape[:2]):
            assert node.field.seen(y, x) == hull(truth[:, :, y, x]), (node.path, y, x)
        everywhere = all(
            hull(truth[:, :, y, x]) == (0, 0, SIZE - 1, SIZE - 1) for y, x in np.ndindex(*node.shape[:2])
        )
        assert node.field.everything == everywhere


@pytest.mark.parametrize("name", [*(build.__name__ for build in SOLID), *BUILDS])
def test_size_jump_and_start_say_the_same_where_fields_have_no_holes(name):
    for node, truth in with_influence(name):
        assert all(
            float(value).is_integer() for value in (*node.field.size, *node.field.jump, *node.field.start)
        )
        for y, x in np.ndindex(*node.shape[:2]):
            top, left, bottom, right = node.field.box(y, x)
            assert (bottom - top + 1, right - left + 1) == node.field.size
            assert clipped((top, left, bottom, right)) == hull(truth[:, :, y, x]), (node.path, y, x)


@pytest.mark.parametrize(
    "name", [name for name in MODELS if name != "mirrored"]
)  # its box is beyond the border
def test_no_pixel_outside_the_unclipped_box_has_an_influence(name):
    for node, truth in with_influence(name):
        for y, x in np.ndindex(*node.shape[:2]):
            top, left, bottom, right = clipped(node.field.box(y, x))
            outside = truth[:, :, y, x].copy()
            outside[top : bottom + 1, left : right + 1] = False
            assert not outside.any(), (node.path, y, x)


@pytest.mark.parametrize("name", MODELS)
def test_line_and_exceptions_together_say_exactly_what_is_seen(name):
    graph = Network(MODELS[name](), input_size=(SIZE, SIZE)).graph
    count = 0
    for node in (node for node in graph.nodes if len(node.shape) == 3):
        down, right = (
            {p: (first, last) for p, first, last in node.field.exceptions(axis)} for axis in (0, 1)
        )
        count += len(down) + len(right)
        for y, x in np.ndindex(*node.shape[:2]):
            top, left, bottom, end = node.field.box(y, x)
            (top, bottom), (left, end) = down.get(y, (top, bottom)), right.get(x, (left, end))
            nothing = top > bottom or left > end or bottom < 0 or end < 0 or top >= SIZE or left >= SIZE
            box = None if nothing else clipped((top, left, bottom, end))
            assert box == node.field.seen(y, x), (node.path, y, x)  # which is held against the truth above
    wider = (dilated, borders_left_out, enlarged, paces_that_differ, mirrored, shuffled)
    assert bool(count) == (MODELS[name] in wider), "a line says the rest"


@pytest.mark.parametrize("name", ["branches", "borders_left_out", "enlarged", "squeezed_and_excited"])
def test_the_positions_that_see_a_pixel_are_those_whose_box_holds_it(name):
    for node, _truth in with_influence(name):
        boxes = {(y, x): node.field.seen(y, x) for y, x in np.ndindex(*node.shape[:2])}
        for row, column in [(0, 0), (0, 23), (23, 23), (11, 12), (1, 7), (22, 5)]:
            expected = np.zeros(node.shape[:2], bool)
            for position, box in boxes.items():
                expected[position] = (
                    box is not None and box[0] <= row <= box[2] and box[1] <= column <= box[3]
                )
            assert node.field.positions(row, column) == hull(expected)


def test_padding_beyond_the_border_is_part_of_the_unclipped_box():
    network = Network(BUILDS["functional"]().model)
    field = network.graph.node("conv2").field  # 3x3, pool 2, 3x3, all "same"
    assert (field.size, field.jump, field.start) == ((8, 8), (2, 2), (-3, -3))
    assert field.box(0, 11) == (-3, 19, 4, 26) and field.seen(0, 11) == (0, 19, 4, 23)


def test_after_an_unknown_operation_nothing_is_claimed():
    def function(x, before, after):
        return after(ops.cumsum(before(x), axis=1))

    network = Network(
        Written(function, before=layers.Conv2D(3, 3, name="before"), after=layers.Conv2D(3, 3, name="after")),
        input_size=(SIZE, SIZE),
    )
    assert network.graph.node("before").field.seen(0, 0) == (0, 0, 2, 2)
    for path in ("after", "end", "pool"):
        assert network.graph.node(path).field is None and network.graph.node(path).obstacle == "Cumsum"


def test_predecessors_lead_through_what_was_not_recorded():
    def function(x, left, right, shared, drop):
        y = drop(left(x / 255.0)) * 2.0
        return shared(shared(ops.relu(y) + ops.sigmoid(right(x))) + x)

    parts = {
        "left": layers.Conv2D(3, 3, padding="same", name="left"),
        "right": layers.DepthwiseConv2D(3, padding="same", name="right"),
        "shared": layers.Conv2D(3, 3, padding="same", name="shared"),
        "drop": layers.Dropout(0.5, name="drop"),
    }
    network = Network(Written(function, **parts), input_size=(SIZE, SIZE))
    assert {node.path: (node.predecessors, node.parameters) for node in network.graph.nodes} == {
        "left": (("",), 84),
        "drop": (("left",), 0),
        "right": (("",), 30),
        "shared": (("drop", "right"), 84),
        "shared#2": (("", "shared"), 84),
        "end": (("shared#2",), 0),
        "pool": (("end",), 0),
    }


def test_nodes_are_the_recorded_calls():
    network = Network(BUILDS["nested"]().model)
    assert [(node.path, node.type_name, node.shape) for node in network.graph.nodes] == [
        (call.path, call.type_name, call.shape) for call in network.probe.calls
    ]
    with pytest.raises(UnknownLayerError, match="conv9"):
        network.graph.node("backbone/conv9")


def test_nothing_is_run_or_traced_for_the_graph():
    network = Network(BUILDS["functional"]().model)
    traces = network.probe.traces
    assert network.graph is network.graph and network.probe.traces == traces


@pytest.mark.parametrize(
    ("source", "paths"),
    [
        ("mobilenet_v2", ["Conv1", "block_1_depthwise", "block_4_project_BN", "block_6_add"]),
        ("googlenet.keras", ["conv2_3x3", "inception_3a_output", "inception_3b_output"]),
        ("squeezenet.keras", ["pool1", "fire3_concat", "fire5_concat"]),
    ],
)
def test_real_networks_see_to_the_edge_of_the_box_and_no_further(networks_folder, source, paths):
    """Everything outside the box is raised, which changes nothing; then each of its edges, which does."""
    if source.endswith(".keras"):
        network = load_network(networks_folder / source)
    else:
        network = load_network(source, weights="random")
    with_positive_weights(network.model)
    known = {node.path for node in network.graph.nodes}
    ground = np.random.default_rng(2).uniform(0.8, 1, (1, *network.input_size, 3)).astype(np.float32)
    checked = 0
    for path in (path for path in paths if path in known):
        node = network.graph.node(path)
        for y, x in [
            (0, 0),
            (node.shape[0] // 2, node.shape[1] // 3),
            (node.shape[0] - 1, node.shape[1] - 2),
        ]:
            top, left, bottom, right = node.field.seen(y, x)
            raised = np.repeat(ground, 6, axis=0)
            raised[1] += 1e8
            raised[1, top : bottom + 1, left : right + 1] = ground[0, top : bottom + 1, left : right + 1]
            raised[2, top, left : right + 1] += 1e8
            raised[3, bottom, left : right + 1] += 1e8
            raised[4, top : bottom + 1, left] += 1e8
            raised[5, top : bottom + 1, right] += 1e8
            values = network.probe.forward(raised, [path])[1][path][:, y, x]
            changed = (np.abs(values - values[0]) > 1e-5 * np.abs(values[0])).any(axis=-1)
            assert changed.tolist() == [False, False, True, True, True, True], (path, y, x)
            checked += 1
    assert checked >= 6
