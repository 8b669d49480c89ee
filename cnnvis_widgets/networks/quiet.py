"""TensorFlow's start without its log lines, which fill a student's first cell with red."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


def start_tensorflow() -> None:
    """Import TensorFlow where it is not yet, quietly; who sets ``TF_CPP_MIN_LOG_LEVEL`` sees what it says."""
    if "tensorflow" in sys.modules or "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with _held_stderr():
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def _held_stderr() -> Iterator[None]:
    """Hold back what C++ code writes to standard error; told after all if an exception comes.

    TensorFlow logs before it reads its own log level, so only the file descriptor itself helps.
    """
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # no standard error at all (pythonw on Windows)
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
