"""Files that are not what they seem: nothing outside of them is read, nothing larger than they are makes room."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

import cnnvis_widgets as cnnvis
from cnnvis_widgets.errors import NetworkLoadError
from cnnvis_widgets.networks import load_network

L = keras.layers


def small_model(*extra) -> keras.Model:
    return keras.Sequential(
        [L.Input((8, 8, 3)), *extra, L.Conv2D(4, 3, name="conv"), L.GlobalAveragePooling2D()]
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder, found = tmp_path_factory.mktemp("saved"), {}
    for suffix in (".keras", ".h5"):
        small_model().save(folder / f"model{suffix}")
        found[suffix] = (folder / f"model{suffix}").read_bytes()
    return found


def refused(source: object, **options) -> str:
    with pytest.raises(NetworkLoadError) as caught:
        load_network(source, **options)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


def _external_link(file: h5py.File, secret: Path) -> None:
    file["other"] = h5py.ExternalLink(str(secret), "/secret")


def _soft_link(file: h5py.File, secret: Path) -> None:
    file["other"] = h5py.SoftLink("/elsewhere")


def _external_storage(file: h5py.File, secret: Path) -> None:
    file.create_dataset("other", (4,), "u1", external=[(str(secret), 0, 4)])


def _virtual(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource(str(secret), "secret", (4,))
    file.create_virtual_dataset("other", layout)


def _enormous(file: h5py.File, secret: Path) -> None:
    file.create_dataset("other", (10**6, 10**6), "f4", chunks=(1000, 1000), compression="gzip")


def _many_large(file: h5py.File, secret: Path) -> None:
    for index in range(30):
        file.create_dataset(f"other{index}", (10**6,), "f4")


def _circle(file: h5py.File, secret: Path) -> None:
    file["group/again"] = file.require_group("group")


HOSTILE = {
    _external_link: "links to another file",
    _soft_link: "only a link",
    _external_storage: "kept in other files",
    _virtual: "kept in other files",
    _enormous: "larger than the whole file",
    _many_large: "larger than the whole file",
}


def _altered(content: dict[str, bytes], suffix: str, folder: Path, alter: Callable) -> Path:
    """The saved model with its HDF5 part altered, alone or in its archive."""
    secret = folder / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["secret"] = np.arange(4, dtype="u1")
    path = folder / f"model{suffix}"
    if suffix == ".h5":
        path.write_bytes(content[suffix])
        with h5py.File(path, "r+") as file:
            alter(file, secret)
        return path
    with zipfile.ZipFile(io.BytesIO(content[suffix])) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            if name.endswith(".h5"):
                inside = folder / "inside.h5"
                inside.write_bytes(part)
                with h5py.File(inside, "r+") as file:
                    alter(file, secret)
                part = inside.read_bytes()
            new.writestr(name, part)
    return path


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("alter", HOSTILE, ids=lambda alter: alter.__name__.strip("_"))
def test_an_hdf5_file_that_leads_out_of_itself_or_declares_too_much(saved, suffix, alter, tmp_path):
    sentence = refused(_altered(saved, suffix, tmp_path, alter))
    assert "is not opened" in sentence and HOSTILE[alter] in sentence


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_circle_of_hard_links_ends(saved, suffix, tmp_path):
    assert load_network(_altered(saved, suffix, tmp_path, _circle)).input_size == (8, 8)


def test_weights_files_are_looked_at_too(saved, tmp_path):
    path = _altered(saved, ".h5", tmp_path, _external_link)
    assert "links to another file" in refused("mobilenet", weights=path)


def _archive(saved, path: Path, edit: Callable[[dict], object] = lambda config: None, **extra: bytes) -> Path:
    with zipfile.ZipFile(io.BytesIO(saved[".keras"])) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            if name == "config.json":
                config = json.loads(part)
                edit(config)
                part = json.dumps(config).encode()
            new.writestr(name, part)
        for name, part in extra.items():
            new.writestr(name, part, zipfile.ZIP_DEFLATED)
    return path


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/tmp/outside.txt", "assets/../../outside.txt", "C:\\outside.txt"]
)
def test_archives_stay_in_their_place(saved, name, tmp_path):
    path = tmp_path / "inner" / "model.keras"
    path.parent.mkdir()
    assert "leads out of it" in refused(_archive(saved, path, **{name: b"I was here"}))
    assert list(tmp_path.iterdir()) == [path.parent]


def test_an_archive_that_would_fill_the_disk(saved, tmp_path):
    path = _archive(saved, tmp_path / "model.keras", **{"assets/zeros": bytes(300_000_000)})
    assert path.stat().st_size < 1_000_000
    assert "far more than the file can hold" in refused(path)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"filters": 10**12}, "absurd size, filters=1000000000000"),
        ({"kernel_size": 20_000}, "absurd size"),  # of both sides
        ({"filters": 5000, "kernel_size": [100, 100]}, "absurd size"),
        ({"filters": 10**6}, "more weights than any classifier"),  # the next layer has a weight for each pair
    ],
)
def test_a_layer_that_declares_an_absurd_size(saved, sizes, words, tmp_path):
    def grow(config: dict) -> None:
        layers = config["config"]["layers"]
        (conv,) = (layer for layer in layers if layer["class_name"] == "Conv2D")
        conv["config"] |= sizes
        layers.append(json.loads(json.dumps(conv)))

    assert words in refused(_archive(saved, tmp_path / "model.keras", grow))


def test_a_layer_that_is_built_for_far_more_than_the_file_holds(saved, tmp_path):
    """What no setting of the layer says: a convolution of four filters, for ten million channels."""

    def grow(config: dict) -> None:
        (conv,) = (layer for layer in config["config"]["layers"] if layer["class_name"] == "Conv2D")
        conv["build_config"] = {"input_shape": [None, 8, 8, 10**7]}

    asked = keras.layers.Layer.add_weight
    sentence = refused(_archive(saved, tmp_path / "model.keras", grow))
    assert "asks for more weights than the file can hold" in sentence
    assert keras.layers.Layer.add_weight is asked


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("of", ["attribute", "array"])
def test_what_is_neither_number_nor_text(saved, suffix, of, tmp_path):
    """HDF5 follows the addresses within such values wherever they lead: one altered byte ended the process."""

    def alter(file: h5py.File, secret: Path) -> None:
        lists = h5py.vlen_dtype(np.uint8)
        if of == "attribute":
            file.require_group("group").attrs.create(
                "strange", np.array([np.zeros(1, np.uint8), np.zeros(2, np.uint8)], object), (2,), lists
            )
        else:
            file.create_dataset("strange", (2,), lists)

    assert f"its {of} strange" in refused(_altered(saved, suffix, tmp_path, alter))


def test_texts_that_lead_in_circles(saved, tmp_path):
    """HDF5 itself reads such a file for ever."""
    content = bytearray(saved[".h5"])
    heap = content.index(b"GCOL")
    content[heap + 16 : heap + 18], content[heap + 24 : heap + 32] = bytes(2), bytes(8)
    (tmp_path / "model.h5").write_bytes(content)
    assert "its texts are damaged" in refused(tmp_path / "model.h5")


def test_heaps_within_heaps_are_not_walked_over_and_over(saved, tmp_path):
    """Each reaches to the end of the file and has the next one for an entry: the square of their number to walk."""
    count, content = 2000, bytearray()
    for number in range(count):
        content += b"GCOL\x01\0\0\0" + (32 * (count - number) + 16).to_bytes(8, "little")
        content += b"\x01" + bytes(7) + (16).to_bytes(8, "little")
    (tmp_path / "model.h5").write_bytes(saved[".h5"] + content + bytes(16))
    assert "its texts are damaged" in refused(tmp_path / "model.h5")


def test_a_sentence_stays_short_whatever_the_names_are(saved, tmp_path):
    def rename(config: dict) -> None:
        config["config"]["layers"][1] |= {"class_name": "x" * 500, "module": None, "registered_name": None}

    assert len(refused(_archive(saved, tmp_path / "model.keras", rename))) < 500


def test_a_layer_that_names_another_file(saved, tmp_path):
    def read_passwords(config: dict) -> None:
        lookup = {"module": "keras.layers", "class_name": "StringLookup", "registered_name": None}
        config["config"]["layers"].insert(1, lookup | {"config": {"vocabulary": "/etc/passwd"}})

    assert "names another file, /etc/passwd" in refused(
        _archive(saved, tmp_path / "model.keras", read_passwords)
    )


@pytest.mark.parametrize("module", ["os", "keras.src.utils.file_utils", "cnnvis_widgets.cli"])
def test_a_class_from_any_other_module_is_not_made(saved, module, tmp_path):
    def call_it(config: dict) -> None:
        strange = {
            "module": module,
            "class_name": "system",
            "registered_name": "system",
            "config": "touch outside",
        }
        config["config"]["layers"].insert(1, strange)

    assert "cannot be loaded" in refused(_archive(saved, tmp_path / "model.keras", call_it))


def test_code_runs_only_where_it_is_allowed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = small_model(
        L.Lambda(lambda x: __import__("pathlib").Path("ran").touch() or x * 2, output_shape=(8, 8, 3))
    )
    Path("ran").unlink(missing_ok=True)
    for suffix in (".keras", ".h5"):
        model.save(f"model{suffix}")
        assert "allow_code=True" in refused(f"model{suffix}")
        assert not Path("ran").exists()
        network = load_network(f"model{suffix}", allow_code=True)
        assert Path("ran").exists()
        inputs = np.ones((1, 8, 8, 3), np.float32)
        np.testing.assert_allclose(network.model(inputs), model(inputs), rtol=1e-5)
        Path("ran").unlink()
    assert "allow_code=True" in refused("model.keras")  # allowed once is not allowed for good


class Doubling(L.Layer):
    def call(self, inputs):
        return inputs * 2


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_own_classes_are_given_by_name(suffix, tmp_path):
    model, path = small_model(Doubling()), tmp_path / f"model{suffix}"
    model.save(path)
    assert "custom_objects={'Doubling': ...}" in refused(path)
    network = load_network(path, custom_objects={"Doubling": Doubling})
    inputs = np.ones((1, 8, 8, 3), np.float32)
    np.testing.assert_allclose(network.model(inputs), model(inputs), rtol=1e-5)


class TestSavedModels:
    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory) -> Path:
        folder = tmp_path_factory.mktemp("exported") / "flowers"
        small_model().export(folder, verbose=False)
        return folder

    def test_what_there_is_is_shown(self, folder):
        network = load_network(folder)
        picture = cnnvis.sample_images()["cat"]
        inputs = network.prepare(picture)
        exported = tf.saved_model.load(str(folder))
        expected = exported.serve(inputs).numpy()[0]
        np.testing.assert_allclose(network.logits(picture), expected, rtol=1e-5)
        assert network.name == "flowers" and network.input_size == (8, 8)
        with pytest.raises(cnnvis.UnknownLayerError, match="a SavedModel has no layers"):
            _ = network.default_layer
        heat = cnnvis.explain(network, picture, "gradient").values
        with tf.GradientTape() as tape:
            x = tf.constant(inputs)
            tape.watch(x)
            score = tf.reduce_max(exported.serve(x)[0])
        slope = np.abs(tape.gradient(score, x).numpy()[0]).max(-1)
        assert heat.shape == slope.shape
        np.testing.assert_allclose(heat / heat.max(), slope / slope.max(), atol=1e-4)

    def test_one_that_reads_files_is_refused(self, tmp_path):
        class Reading(tf.Module):
            @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3))])
            def serve(self, x):
                return {
                    "scores": x[:, 0, 0]
                    + tf.cast(tf.strings.length(tf.io.read_file("/etc/passwd")), tf.float32)
                }

        model = Reading()
        tf.saved_model.save(model, str(tmp_path / "reading"), signatures={"serving_default": model.serve})
        assert "ReadFile" in refused(tmp_path / "reading")
        assert load_network(tmp_path / "reading", allow_code=True).input_size == (8, 8)

    def test_a_damaged_one(self, tmp_path):
        (tmp_path / "saved_model.pb").write_bytes(b"nothing of the kind")
        assert "SavedModel that cannot be used" in refused(tmp_path)
