"""Where the lecture lies that comes with the notebooks."""

from pathlib import Path

_NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def lecture_file() -> Path:
    """The English one."""
    return next(
        path for path in (_NOTEBOOKS / "en" / "lecture.md", _NOTEBOOKS / "lecture.md") if path.exists()
    )
