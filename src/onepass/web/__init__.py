"""Shared parts of onepass's web servers: listening, access control, bounded bodies, orderly shutdown.

Example::

    from onepass.web import Guard, Listening, WebServer

    listening = Listening(port=0)
    with WebServer(Guard(app, listening), listening) as server:   # in a thread of its own
        print(server.address)                                     # http://127.0.0.1:41234
    WebServer(Guard(app, listening), listening).run(print)        # until Ctrl-C or SIGTERM
"""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.web.bodies import ClientGoneError as ClientGoneError
    from onepass.web.bodies import body_of as body_of
    from onepass.web.bodies import check_length as check_length
    from onepass.web.bodies import parts_of as parts_of
    from onepass.web.guard import Guard as Guard
    from onepass.web.listening import Listening as Listening
    from onepass.web.refusal import Refusal as Refusal
    from onepass.web.server import Beside as Beside
    from onepass.web.server import WebServer as WebServer

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.web.bodies": "ClientGoneError body_of check_length parts_of",
        "onepass.web.guard": "Guard",
        "onepass.web.listening": "Listening",
        "onepass.web.refusal": "Refusal",
        "onepass.web.server": "Beside WebServer",
    },
)
