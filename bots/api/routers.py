"""The routers of the API. Every call of one path stands on one router: Django takes the first address that fits."""

from ninja import Router

bots = Router(tags=["for bots"])
staff = Router(tags=["for staff and tools"])
