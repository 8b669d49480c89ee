"""The atlas: filter pictures of a whole network, made on as many machines as there are, kept in one store.

`store` says where everything lies and reads it; `fill` has what is missing computed by Dask; `pictures` is what a
worker does.
"""

from cnnvis_widgets.jobs.atlas.fill import atlas
from cnnvis_widgets.jobs.atlas.store import Atlas, open_atlas

__all__ = ["Atlas", "atlas", "open_atlas"]
