"""Gaze in the browser: a page that sends camera frames and shows the results; see `page_app`.

Starlette comes with the extra ``page``, and is imported on first use.
"""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.gaze.page.app import page_app as page_app
    from onepass.gaze.page.app import page_server as page_server
    from onepass.gaze.page.session import PageOptions as PageOptions
    from onepass.gaze.page.session import PageSession as PageSession

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.gaze.page.app": "page_app page_server",
        "onepass.gaze.page.session": "PageOptions PageSession",
    },
)
