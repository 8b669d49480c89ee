"""Files and models of one's own: loaded as they were saved, or refused in one sentence."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from cnnvis_widgets.errors import CnnvisError, NetworkLoadError
from cnnvis_widgets.images import load_image, sample_images
from cnnvis_widgets.networks import bundled, load_network

L = keras.layers


def small_model(*extra: keras.Layer, classes: int = 3, name: str = "small") -> keras.Model:
    return keras.Sequential(
        [
            L.Input((8, 8, 3)),
            L.Conv2D(4, 3, name="conv"),
            *extra,
            L.GlobalAveragePooling2D(name="pool"),
            L.Dense(classes, name="scores"),
        ],
        name=name,
    )


def refused(source: object, **options) -> str:
    """The sentence with which a source is refused; checked to be one line that ends like a sentence."""
    with pytest.raises(NetworkLoadError) as caught:
        load_network(source, **options)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 400
    return sentence


class TestOwnFiles:
    @pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5"])
    def test_a_saved_model_answers_as_before(self, suffix: str, tmp_path: Path):
        model = small_model()
        path = tmp_path / f"my model{suffix}"
        model.save(path)
        for source in (path, str(path)):
            network = load_network(source)
            assert network.name == "my model"
            assert network.input_size == (8, 8)
            cat = sample_images()["cat"]
            np.testing.assert_allclose(
                network.model(network.prepare(cat)), model(network.prepare(cat)), rtol=1e-5, atol=1e-5
            )

    def test_it_is_not_compiled(self, tmp_path: Path):
        model = small_model()
        model.compile("adam", "mse")
        model.save(tmp_path / "model.keras")
        assert not load_network(tmp_path / "model.keras").model.compiled

    def test_pixels_reach_it_as_they_are_unless_it_is_said_otherwise(self, tmp_path: Path):
        small_model().save(tmp_path / "model.keras")
        white = np.full((8, 8, 3), 255, np.uint8)
        assert load_network(tmp_path / "model.keras").prepare(white).max() == 255
        scaled = load_network(tmp_path / "model.keras", preprocess=lambda pixels: pixels / 255)
        assert scaled.prepare(white).max() == 1

    def test_class_names(self, tmp_path: Path):
        path = tmp_path / "model.keras"
        small_model().save(path)
        assert load_network(path).class_names == ("class 0", "class 1", "class 2")
        assert load_network(path, class_names=["a", "b", "c"]).class_names == ("a", "b", "c")
        with pytest.raises(CnnvisError, match="3"):
            _ = load_network(path, class_names=["a", "b"]).class_names
        assert "one name for each class" in refused(path, class_names="abc")

    def test_a_relative_path_needs_no_slash(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        small_model().save(tmp_path / "model.keras")
        monkeypatch.chdir(tmp_path)
        assert load_network("model.keras").name == "model"

    def test_a_file_named_like_a_network_is_a_file_when_given_as_a_path(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.chdir(tmp_path)
        small_model().save("vgg16.keras")
        assert load_network("vgg16.keras").input_size == (8, 8)
        assert "must end in .keras" in refused(Path(shutil.copy("vgg16.keras", "vgg16")))


class TestKerasModels:
    def test_a_model_is_used_as_it_is(self):
        model = small_model()
        before = [weight.numpy() for weight in model.weights]
        layers = list(model.layers)
        network = load_network(model)
        assert network.model is model
        assert network.name == "small"
        network.predict(sample_images()["cat"], top=1)
        assert model.layers == layers
        for weight, value in zip(model.weights, before, strict=True):
            np.testing.assert_array_equal(weight, value)

    def test_only_networks_of_the_zoo_with_1000_outputs_get_imagenets_names(self):
        names = ("class 0", "class 1")
        assert load_network(small_model(classes=1000, name="mobilenet_1.00_224")).class_names[281] == "tabby"
        assert load_network(small_model(classes=1000, name="mine")).class_names[:2] == names
        assert load_network(small_model(classes=999, name="mobilenet_1.00_224")).class_names[:2] == names

    def test_a_real_zoo_model_is_recognized_by_the_name_that_keras_gave_it(self):
        model = keras.applications.MobileNet(weights=None, alpha=0.25)
        assert load_network(model).class_names[281] == "tabby"

    @pytest.mark.parametrize("source", [None, 3, b"vgg16", ["vgg16"]])
    def test_other_things(self, source: object):
        assert type(source).__name__ in refused(source)

    def test_a_layer_is_not_a_network(self):
        assert "keras.Model" in refused(L.Dense(3))

    def test_weights_are_for_names(self):
        assert "load_weights" in refused(small_model(), weights="weights.h5")


class TestBundled:
    def test_it_needs_nothing(self):
        network = load_network(weights="random")
        assert network.name == "bundled"
        assert network.class_names == bundled.CLASS_NAMES
        assert network.input_size == bundled.INPUT_SIZE
        prepared = network.prepare(np.full((9, 9, 3), 255, np.uint8))
        np.testing.assert_array_equal(prepared, np.ones((1, *bundled.INPUT_SIZE, 3)))

    @pytest.mark.parametrize("name", ["bundled", "Bundled", " bundled "])
    def test_by_name(self, name: str):
        assert load_network(name, weights="random").name == "bundled"

    def test_at_another_size(self):
        assert load_network(weights="random", input_size=(96, 128)).input_size == (96, 128)

    def test_weights_of_others_are_refused(self):
        assert "its own weights" in refused("bundled", weights="vgg16.h5")

    @pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut short"])
    def test_a_broken_installation_is_said(
        self, content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        path = tmp_path / "weights.npz"
        if content is not None:
            path.write_bytes(content)
        monkeypatch.setattr(bundled.load_weights, "__defaults__", (path,))
        assert "install cnnvis-widgets again" in refused("bundled")


class TestRefusedFiles:
    def test_missing(self, tmp_path: Path):
        assert "no network file at" in refused(tmp_path / "nothing.keras")
        assert "no network file at" in refused("some/folder/model.keras")
        assert "no network file at" in refused("nothing.h5")

    def test_a_name_too_long_for_any_file(self):
        assert "no network file at" in refused("x" * 260 + ".keras")

    def test_folders(self, tmp_path: Path):
        assert "is a folder" in refused(tmp_path)
        (tmp_path / "saved_model.pb").touch()
        assert "SavedModel" in refused(str(tmp_path))

    @pytest.mark.parametrize("suffix", [".keras", ".h5"])
    def test_empty_or_something_else_inside(self, suffix: str, tmp_path: Path):
        path = tmp_path / f"model{suffix}"
        path.touch()
        assert "is empty" in refused(path)
        path.write_text("This is no model.")
        assert "cut short" in refused(path)

    @pytest.mark.parametrize("suffix", [".keras", ".h5"])
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
    def test_truncated(self, suffix: str, share: float, tmp_path: Path):
        path = tmp_path / f"model{suffix}"
        small_model().save(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        assert "cut short" in refused(path)

    @pytest.mark.parametrize("suffix", [".keras", ".h5"])
    @pytest.mark.parametrize("seed", range(4))
    def test_flipped_bytes_never_escape_as_another_error(self, suffix: str, seed: int, tmp_path: Path):
        path = tmp_path / f"model{suffix}"
        small_model().save(path)
        random = np.random.default_rng(seed)
        content = np.frombuffer(path.read_bytes(), np.uint8).copy()
        places = random.integers(8, content.size, content.size // 40)
        content[places] = random.integers(0, 256, places.size)
        path.write_bytes(content.tobytes())
        assert path.name in refused(path)

    @pytest.mark.parametrize("suffix", [".onnx", ".pt", ".pth", ".PTH", ".safetensors", ".tflite", ".pb"])
    def test_files_of_other_libraries_say_where_to_go(self, suffix: str, tmp_path: Path):
        path = tmp_path / f"model{suffix}"
        path.write_bytes(b"\x08\x07")
        sentence = refused(path)
        assert path.name in sentence
        assert "give" in sentence
        assert "Keras" in sentence or "onnx2tf" in sentence

    def test_an_unknown_ending(self, tmp_path: Path):
        (tmp_path / "model.pkl").write_bytes(b"\x80\x04.")
        assert "must end in .keras" in refused(tmp_path / "model.pkl")

    def test_addresses(self):
        assert "download the file first" in refused("https://example.org/model.keras")
        assert "download the file first" in refused("hf://somebody/model")

    @pytest.mark.parametrize("suffix", [".keras", ".h5"])
    def test_a_lambda_layer_is_not_run(self, suffix: str, tmp_path: Path):
        path = tmp_path / f"model{suffix}"
        small_model(L.Lambda(lambda x: x * 2)).save(path)
        sentence = refused(path)
        assert "Lambda" in sentence
        assert "allow_code=True" in sentence

    @pytest.mark.parametrize("suffix", [".keras", ".h5"])
    def test_a_custom_layer_is_named_with_the_way_to_load_it(self, suffix: str, tmp_path: Path):
        class Doubling(L.Layer):
            def call(self, inputs):
                return inputs * 2

        path = tmp_path / f"model{suffix}"
        small_model(Doubling()).save(path)
        sentence = refused(path)
        assert "'Doubling'" in sentence
        assert "custom_objects" in sentence
        with keras.saving.custom_object_scope({"Doubling": Doubling}):
            assert load_network(path).input_size == (8, 8)

    def test_weights_without_a_network(self, tmp_path: Path):
        small_model().save_weights(tmp_path / "model.weights.h5")
        assert "holds weights without a network" in refused(tmp_path / "model.weights.h5")
        shutil.copy(tmp_path / "model.weights.h5", tmp_path / "model.h5")
        assert "holds weights without a network" in refused(tmp_path / "model.h5")

    def test_the_first_error_stays_attached(self, tmp_path: Path):
        small_model(L.Lambda(lambda x: x * 2)).save(tmp_path / "model.keras")
        with pytest.raises(NetworkLoadError) as caught:
            load_network(tmp_path / "model.keras")
        assert isinstance(caught.value.__cause__, Exception)


class TestWeightsFiles:
    def test_missing_folder_or_foreign(self, tmp_path: Path):
        assert "no weights file for MobileNet" in refused("mobilenet", weights=tmp_path / "nothing.h5")
        assert "no weights file for MobileNet" in refused("mobilenet", weights="imagnet")
        assert "is a folder" in refused("mobilenet", weights=tmp_path)
        (tmp_path / "weights.pth").touch()
        assert "PyTorch" in refused("mobilenet", weights=tmp_path / "weights.pth")
        (tmp_path / "weights.bin").touch()
        assert "must end in .h5" in refused("mobilenet", weights=tmp_path / "weights.bin")

    def test_damaged_or_of_another_network(self, tmp_path: Path):
        path = tmp_path / "small.weights.h5"
        small_model().save_weights(path)
        options = {"weights": path, "alpha": 0.25}
        assert "do not fit MobileNet" in refused("mobilenet", **options)
        path.write_bytes(path.read_bytes()[:3000])
        assert "cut short" in refused("mobilenet", **options)
        path.write_text("not weights")
        assert "not an HDF5 file" in refused("mobilenet", **options)

    @pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
    def test_every_kind_of_weights_file_fills_the_network(self, suffix: str, tmp_path: Path):
        model = keras.applications.MobileNet(weights=None, alpha=0.25, classes=5)
        path = tmp_path / f"weights{suffix}"
        (model.save_weights if suffix == ".weights.h5" else model.save)(path)
        network = load_network("mobilenet", weights=path, alpha=0.25, classes=5)
        for mine, theirs in zip(network.model.weights, model.weights, strict=True):
            np.testing.assert_array_equal(mine, theirs)


class TestRealNetworks:
    def test_googlenet_and_squeezenet_recognize_photographs(self, networks_folder: Path, photos_folder: Path):
        def caffe(pixels: np.ndarray) -> np.ndarray:
            return pixels[..., ::-1] - np.array([104, 117, 123], np.float32)

        # Keras and Pillow by hand get 18 and 14 of all 21; every second one is enough to see wrong input.
        photos = sorted(photos_folder.glob("[0-9][0-9][0-9]_*.jpg"))[::2]
        for name, share in (("googlenet", 0.7), ("squeezenet", 0.5)):
            network = load_network(networks_folder / f"{name}.keras", preprocess=caffe)
            assert network.class_names[281] == "class 281"  # no network of keras.applications
            right = sum(network.predict(load_image(p), top=1)[0].index == int(p.name[:3]) for p in photos)
            assert right >= share * len(photos)

    def test_a_network_with_its_own_rescaling_takes_raw_pixels(
        self, networks_folder: Path, photos_folder: Path
    ):
        flowers = ["daisy", "dandelion", "rose", "sunflower", "tulip"]
        network = load_network(networks_folder / "flowers_nested.keras", class_names=flowers)
        assert network.predict(load_image(photos_folder / "985_daisy.jpg"))[0].name == "daisy"


def test_importing_costs_milliseconds_and_no_tensorflow():
    code = (
        "import sys; import cnnvis_widgets.networks, cnnvis_widgets.networks.classes; "
        "cnnvis_widgets.networks.network_names(); "
        "assert not {'tensorflow', 'keras', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
