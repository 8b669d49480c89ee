"""What an Explorer can do beside its main loop, one file each; `PARTS` lists them in the order they are asked in."""

from __future__ import annotations

from cnnvis_widgets.widgets.parts.camera import Camera
from cnnvis_widgets.widgets.parts.classes import Classes
from cnnvis_widgets.widgets.parts.detail import Detail
from cnnvis_widgets.widgets.parts.filter_picture import FilterPicture
from cnnvis_widgets.widgets.parts.part import Part

PARTS: tuple[type[Part], ...] = (Camera, Classes, Detail, FilterPicture)
