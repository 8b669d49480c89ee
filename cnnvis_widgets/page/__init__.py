"""One HTML file in which a view still moves, without a kernel and without a network.

The file holds the very view of `widgets/stage/`, with a small stand-in for the kernel that answers from what is inside.
"""

from cnnvis_widgets.page.html import write_page

__all__ = ["write_page"]
