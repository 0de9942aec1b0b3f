import pytest

from tests.support.notification_stores import StoredNotification
from tocsin.notify.store.stores import Stores


@pytest.fixture
def stored() -> StoredNotification:
    return StoredNotification()


@pytest.fixture
def stores(stored: StoredNotification) -> Stores:
    return stored.stores
