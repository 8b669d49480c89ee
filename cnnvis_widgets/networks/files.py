"""Network files of one's own: look at the file first, then let Keras read it.

What is wrong is said in one sentence. Keras's safe mode stays on: opening a file never runs code in it.
"""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from cnnvis_widgets.errors import NetworkLoadError

if TYPE_CHECKING:
    import keras

_HDF5 = (".h5", ".hdf5")
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
    known = (".keras", *_HDF5, *_FOREIGN)
    return "/" in source or "\\" in source or source.lower().endswith(known) or os.path.exists(source)


def load_model_file(path: str | Path) -> keras.Model:
    """The Keras model in a ``.keras``, ``.h5`` or ``.hdf5`` file, not compiled. Raises `NetworkLoadError`."""
    path = _existing_file(path, "network file")
    if path.name.endswith(".weights.h5"):
        raise _only_weights(path)
    if path.suffix not in (".keras", *_HDF5):
        raise NetworkLoadError(f"{path.name} is not a Keras file; its name must end in .keras, .h5 or .hdf5.")
    _check_container(path)
    import keras

    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged file can raise anything, down to KeyError and MemoryError
        raise _explain(path, error) from error
    if not isinstance(model, keras.Model):  # a file may hold a bare layer, which Keras then returns
        raise NetworkLoadError(
            f"{path.name} holds a {type(model).__name__}, not a network; give a keras.Model."
        )
    return model


def check_weights_file(path: str | Path, network: str) -> Path:
    """The path of a file that may hold weights. Raises `NetworkLoadError` where it surely holds none."""
    path = _existing_file(path, f"weights file for {network}")
    if path.suffix not in (".keras", *_HDF5):
        raise NetworkLoadError(
            f"{path.name} is not a Keras weights file; its name must end in .h5, .weights.h5 or .keras "
            '(or say weights="imagenet" or weights="random").'
        )
    _check_container(path)
    return path


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
        r"Could not locate \w+ '[^']*'", text
    ):  # Keras says this after a page of settings
        return unknown[0]
    if text.startswith("URL fetch failure"):  # Keras: "URL fetch failure on ADDRESS: NUMBER -- REASON"
        text = text.rpartition(" -- ")[2]
    text = text.split(". ")[0].rstrip(".")
    return text if len(text) <= 160 else text[:157].rstrip() + "..."


def _existing_file(path: str | Path, what: str) -> Path:
    if str(path).lower().startswith(("http://", "https://", "hf://")):
        raise NetworkLoadError(f"{path} is an address; download the file first and give its path.")
    path = Path(os.path.expanduser(path))
    if os.path.isdir(path):  # not path.is_dir(), which raises for names that are too long
        raise NetworkLoadError(f"{path} is a folder, {_what_folder(path)}")
    if not os.path.exists(path):
        raise NetworkLoadError(f"There is no {what} at {path}; check the path (it starts at {Path.cwd()}).")
    if path.suffix.lower() in _FOREIGN:
        raise NetworkLoadError(f"{path.name} {_FOREIGN[path.suffix.lower()]}.")
    if not path.is_file():
        raise NetworkLoadError(f"{path} is not a regular file; give a .keras or .h5 file.")
    return path


def _what_folder(folder: Path) -> str:
    if (folder / "saved_model.pb").exists():
        return "a SavedModel; open it with tf_keras.models.load_model, save that as an .h5 file and give it."
    return "not a network file; give the .keras or .h5 file in it."


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
    if "No model config found" in text:
        return _only_weights(path)
    if "ambda" in text and ("unsafe" in text or "arbitrary code" in text):
        return NetworkLoadError(
            f"{path.name} holds Python code (a Lambda layer), which is not run from a file; if you trust it, "
            "load it yourself with keras.models.load_model(..., safe_mode=False) and give the model."
        )
    if "Could not locate" in text or "Unknown layer" in text:
        return NetworkLoadError(
            f"{path.name} needs a class or function that Keras does not know ({reason(error)}); "
            "load it yourself with keras.models.load_model(..., custom_objects={...}) and give the model."
        )
    return NetworkLoadError(
        f"{path.name} cannot be loaded ({reason(error)}); it may be damaged, or saved by a Keras that is "
        "too old or too new: copy it again, or save the model again as .keras."
    )


def _only_weights(path: Path) -> NetworkLoadError:
    return NetworkLoadError(
        f"{path.name} holds weights without a network; say which network they belong to, "
        f'such as load_network("vgg16", weights={path.name!r}).'
    )
