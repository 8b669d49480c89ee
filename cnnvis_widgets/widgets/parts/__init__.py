"""What an Explorer can do beside its main loop, one file each; `PARTS` lists them in the order they are asked in."""

from __future__ import annotations

from cnnvis_widgets.widgets.parts.ablation import Ablating
from cnnvis_widgets.widgets.parts.atlas import FromAtlas
from cnnvis_widgets.widgets.parts.camera import Camera
from cnnvis_widgets.widgets.parts.card import Card
from cnnvis_widgets.widgets.parts.classes import Classes
from cnnvis_widgets.widgets.parts.compare import Compare
from cnnvis_widgets.widgets.parts.concepts import LayerParts
from cnnvis_widgets.widgets.parts.detail import Detail
from cnnvis_widgets.widgets.parts.effective_field import EffectiveField
from cnnvis_widgets.widgets.parts.filter_picture import FilterPicture
from cnnvis_widgets.widgets.parts.keys import Keys
from cnnvis_widgets.widgets.parts.network_map import NetworkMap
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.parts.places import Places
from cnnvis_widgets.widgets.parts.steps import Steps
from cnnvis_widgets.widgets.parts.told import Told
from cnnvis_widgets.widgets.parts.trusting import Trusting

PARTS: tuple[type[Part], ...] = (
    Camera,
    Classes,
    NetworkMap,
    Detail,
    EffectiveField,
    FilterPicture,
    FromAtlas,
    Steps,
    Compare,
    LayerParts,
    Keys,
    Places,
    Told,
    Ablating,
    Trusting,
    Card,
)
