"""Network files of one's own: look at the file first, then let Keras read it, or `keras2` what is older.

What is wrong is said in one sentence. Keras's safe mode stays on: opening a file never runs code in it, unless
someone says ``allow_code=True``.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnvis_widgets.errors import NetworkLoadError
from cnnvis_widgets.networks import room, saved_model, untrusted

if TYPE_CHECKING:
    import keras

_HDF5 = (".h5", ".hdf5")
_MOST_TEXT = 64 * 2**20  # bytes
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_TO_ONNX = "export the model with torch.onnx.export, convert that to a .keras file (onnx2tf does), give it"
_FOREIGN = {
    ".onnx": "is an ONNX file; convert it to a .keras file (onnx2tf does) and give that",
    ".pt": f"is a PyTorch file; {_TO_ONNX}",
    ".pth": f"is a PyTorch file; {_TO_ONNX}",
    ".ckpt": "is a checkpoint; build its model in Keras, load the checkpoint there and give the model",
    ".safetensors": f"holds weights without a network; if they are PyTorch's, {_TO_ONNX}",
    ".tflite": "is a TensorFlow Lite file without Keras layers; give the Keras model that it was made from",
    ".pb": "is a TensorFlow graph without Keras layers; give the Keras model that it was made from",
}


def looks_like_path(source: str) -> bool:
    """Whether a string means a file rather than a network's name."""
    known = (".keras", ".json", *_HDF5, *_FOREIGN)
    return "/" in source or "\\" in source or source.lower().endswith(known) or os.path.exists(source)


def load_model_file(
    path: str | Path,
    weights: str | Path | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    allow_code: bool = False,
) -> keras.Model:
    """The Keras model in a ``.keras``, ``.h5``, ``.hdf5`` or ``.json`` file or a SavedModel folder, not compiled.

    weights: of a ``.json`` file, which has none. custom_objects: by name, classes and functions of one's own that the
    file needs. allow_code: run Python code that came in the file. Raises `NetworkLoadError`.
    """
    if saved_model.is_one(path):
        return saved_model.load(Path(path).expanduser(), allow_code)
    path = _existing_file(path, "network file")
    if path.name.endswith(".weights.h5"):
        raise _only_weights(path)
    if path.suffix == ".json":
        return _from_json(path, weights, dict(custom_objects or {}), allow_code)
    if weights is not None:
        raise NetworkLoadError(
            f"weights= belongs to a name of keras.applications or a .json file; {path.name} brings its own "
            "(model.load_weights puts others into a model)."
        )
    if path.suffix not in (".keras", *_HDF5):
        raise NetworkLoadError(f"{path.name} is not a Keras file; its name must end in .keras, .h5 or .hdf5.")
    _check_container(path)
    import keras

    room.check(2 * path.stat().st_size, f"Loading {path.name}", "close what else takes memory")
    try:
        untrusted.check(path)
        with untrusted.no_more_weights_than(path.stat().st_size):
            model = _read(path, dict(custom_objects or {}), allow_code)
    except Exception as error:  # a damaged file can raise anything, down to KeyError and MemoryError
        raise _explain(path, error) from error
    if not isinstance(model, keras.Model):  # a file may hold a bare layer, which Keras then returns
        raise NetworkLoadError(
            f"{path.name} holds a {type(model).__name__}, not a network; give a keras.Model."
        )
    return model


def _read(path: Path, custom_objects: dict[str, Any], allow_code: bool) -> Any:
    import h5py
    import keras

    from cnnvis_widgets.networks import hdf5, keras2

    def by_keras() -> Any:
        return keras.models.load_model(
            path, custom_objects=custom_objects, compile=False, safe_mode=not allow_code
        )

    if path.suffix not in _HDF5:
        return by_keras()
    with h5py.File(path) as file:
        version, config = hdf5.text_in(file, "keras_version"), hdf5.text_in(file, "model_config")
        if config is None or not _is_old(version):
            return by_keras()
        try:
            model, names = keras2.build(json.loads(config), custom_objects)
        except Exception as error:
            try:  # what is rare here, such as Bidirectional, Keras 3 may still know
                return by_keras()
            except Exception:
                raise error from None
        keras2.load_weights(file["model_weights"], model, names)
        return model


def _from_json(
    path: Path, weights: str | Path | None, custom_objects: dict[str, Any], allow_code: bool
) -> keras.Model:
    if weights is None:
        raise NetworkLoadError(
            f"{path.name} holds a network without its weights; say where they are, "
            f'such as load_network({path.name!r}, weights="{path.stem}.weights.h5").'
        )
    stored = check_weights_file(weights, path.name)
    try:
        config = json.loads(_small_text(path))
        untrusted.check_config(config)
        with untrusted.no_more_weights_than(stored.stat().st_size):
            return _described(config, stored, custom_objects, allow_code)
    except Exception as error:
        raise _explain(path, error) from error


def _described(config: Any, stored: Path, custom_objects: dict[str, Any], allow_code: bool) -> keras.Model:
    """The model of a description, with the weights that are stored in a file."""
    import h5py
    import keras

    from cnnvis_widgets.networks import keras2

    if not _is_old(config.get("keras_version", "3" if "module" in config else "2")):
        model = keras.saving.deserialize_keras_object(config, custom_objects, safe_mode=not allow_code)
        model.load_weights(stored)
        return model
    model, names = keras2.build(config, custom_objects)
    with h5py.File(stored) as file:
        keras2.load_weights(file.get("model_weights", file), model, names)
    return model


def _is_old(version: str | None) -> bool:
    return (version or "1").split(".")[0] in ("1", "2")


def check_weights_file(path: str | Path, network: str) -> Path:
    """The path of a file that may hold weights. Raises `NetworkLoadError` where it surely holds none."""
    path = _existing_file(path, f"weights file for {network}")
    if path.suffix not in (".keras", *_HDF5):
        raise NetworkLoadError(
            f"{path.name} is not a Keras weights file; its name must end in .h5, .weights.h5 or .keras "
            '(or say weights="imagenet" or weights="random").'
        )
    _check_container(path)
    try:
        untrusted.check(path)
    except Exception as error:
        raise _explain(path, error) from error
    return path


def _small_text(path: Path) -> str:
    if path.stat().st_size > _MOST_TEXT:
        raise ValueError(f"a description of more than {_MOST_TEXT >> 20} MB is no network's")
    return path.read_text("utf-8")


def reason(error: BaseException) -> str:
    """What an exception says, for the middle of a sentence: its first sentence, at most 160 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    if inner := re.search(
        r"\x1b\[1m(.+?)\x1b\[0m", text
    ):  # Keras sets the first error in bold, amid its arguments
        text = inner[1]
    if "truncated file" in text:  # h5py would go on about its superblock
        return "the file was cut short"
    if unknown := re.search(
        r"(Could not locate \w+|Unknown layer:) '[^']*'", text
    ):  # Keras says this after a page of settings
        text = unknown[0]
    if text.startswith("URL fetch failure"):  # Keras: "URL fetch failure on ADDRESS: NUMBER -- REASON"
        text = text.rpartition(" -- ")[2]
    text = text.split(". ")[0].rstrip(".")
    return text if len(text) <= 160 else text[:157].rstrip() + "..."


def _existing_file(path: str | Path, what: str) -> Path:
    if str(path).lower().startswith(("http://", "https://", "hf://")):
        raise NetworkLoadError(f"{path} is an address; download the file first and give its path.")
    path = Path(os.path.expanduser(path))
    if os.path.isdir(path):  # not path.is_dir(), which raises for names that are too long
        raise NetworkLoadError(f"{path} is a folder, not a network file; give the .keras or .h5 file in it.")
    if not os.path.exists(path):
        raise NetworkLoadError(f"There is no {what} at {path}; check the path (it starts at {Path.cwd()}).")
    if path.suffix.lower() in _FOREIGN:
        raise NetworkLoadError(f"{path.name} {_FOREIGN[path.suffix.lower()]}.")
    if not path.is_file():
        raise NetworkLoadError(f"{path} is not a regular file; give a .keras or .h5 file.")
    return path


def _check_container(path: Path) -> None:
    """Refuse what is plainly no Keras file before Keras reads it, whose error would be "file not found"."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            is_hdf5 = file.read(len(_HDF5_MAGIC)) == _HDF5_MAGIC
        is_right = is_hdf5 if path.suffix in _HDF5 else zipfile.is_zipfile(path)
    except OSError as error:
        raise NetworkLoadError(f"{path.name} cannot be read ({error.strerror}).") from error
    if size == 0:
        raise NetworkLoadError(f"{path.name} is empty; copy or download it again.")
    if not is_right:
        kind = "an HDF5" if path.suffix in _HDF5 else "a Keras"
        raise NetworkLoadError(
            f"{path.name} is not {kind} file inside, or was cut short; copy or download it again, "
            "or save the model again with model.save."
        )


def _explain(path: Path, error: Exception) -> NetworkLoadError:
    """One sentence for what Keras said about a file."""
    text = str(error)
    if isinstance(error, untrusted.UnsafeFile):
        return NetworkLoadError(
            f"{path.name} is not opened: {error}; ask for it from a source that you trust."
        )
    if "No model config found" in text:
        return _only_weights(path)
    if "ambda" in text and ("unsafe" in text or "arbitrary code" in text):
        return NetworkLoadError(
            f"{path.name} holds Python code (a Lambda layer), which is not run from a file; if you trust whoever made "
            f"it, say load_network({path.name!r}, allow_code=True)."
        )
    if "Could not locate" in text or "Unknown layer" in text:
        return NetworkLoadError(
            f"{path.name} needs a class or function that Keras does not know ({reason(error)}); "
            f"give yours, such as load_network({path.name!r}, custom_objects={{{_wanted(text)!r}: ...}})."
        )
    return NetworkLoadError(
        f"{path.name} cannot be loaded ({reason(error)}); it may be damaged, or saved by a Keras that is "
        "too old or too new: copy it again, or save the model again as .keras."
    )


def _wanted(text: str) -> str:
    """The name of the class or function that is missing."""
    found = re.search(r"(?:Could not locate \w+|Unknown layer:) '(?:\w+>)?([^']*)'", text)
    return found[1][:60] if found else "MyLayer"


def _only_weights(path: Path) -> NetworkLoadError:
    return NetworkLoadError(
        f"{path.name} holds weights without a network; say which network they belong to, "
        f'such as load_network("vgg16", weights={path.name!r}).'
    )
