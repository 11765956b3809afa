"""What an answer on the short way leaves in memory: nothing that only the collector of cycles would find."""

import gc

import pytest

from service.api.express.hits import Visit
from tests.support.at_hand import AtHandScript, hit_of
from tests.support.doors import open_house
from tests.support.talk import GOOD, talk


@pytest.fixture
def nothing_collected():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("nothing_collected")
@pytest.mark.parametrize("script", [{"far": hit_of}, {"near": hit_of}, {}], ids=["redis", "near", "miss"])
async def test_a_request_is_gone_as_soon_as_it_is_answered(script):
    """A cycle for each was once a third of a second of collecting, in which Redis seemed to be away."""
    async with open_house(at_hand=AtHandScript(**script)) as house, talk(house) as line:
        for _ in range(20):
            line.say(GOOD)
            await line.hear()
        assert [one for one in gc.get_objects() if type(one) is Visit] == []
