import pytest
from tests.factories import *
from bots.live.publish import publish, LiveUpdate
from bots.ledger.shapes import *
from bots.models import Position
def wire_of(p):
    row = Position.objects.values(*POSITION).get(pk=p.pk)
    return LiveUpdate(kind="position", bot_id=row["bot_id"], symbol=row["symbol"], data=shape(row, POSITION))
@pytest.mark.django_db(transaction=True)
def test_smoke(browse, quick):
    p = PositionFactory()
    b = browse()
    m = b.receive(); print(m)
    publish([LiveUpdate(kind="price", bot_id="", symbol="BTCUSDT", data={"symbol":"BTCUSDT","price":"123.45","timestamp":"2026-11-20T10:00:00Z"})])
    m = b.receive(); print(m)
    assert b.positions[p.position_id]["unrealized_pnl"] == "23.45"
    b.send({"type":"resync"})
    while True:
        m=b.receive(); print(m)
        if m["type"]=="snapshot": break
