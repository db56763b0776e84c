"""Every address of a socket."""

from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator, WebsocketDenier
from django.urls import path, re_path

from bots.api.sockets import BotSocket, LiveSocket

websocket_application = URLRouter(
    [
        # Browsers send their cookie along from any page, so the page they are on must be ours.
        path("ws/live/", AllowedHostsOriginValidator(LiveSocket.as_asgi())),
        # Bots prove themselves with a header that no browser can be made to send.
        path("ws/bots/<str:bot_id>/", BotSocket.as_asgi()),
        re_path(r"", WebsocketDenier.as_asgi()),
    ]
)
