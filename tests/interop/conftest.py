import pytest

from tocsin_whatsapp_server.control_client import ControlClient, LocalWhatsApp


@pytest.fixture
def control(whatsapp: LocalWhatsApp) -> ControlClient:
    """The control API of the module's server."""
    return whatsapp.control
