import pytest

from tests.support.notification_stores import StoredNotification
from tocsin.notify.store.stores import Stores


@pytest.fixture
def stores() -> Stores:
    return StoredNotification().stores
