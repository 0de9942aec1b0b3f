"""What every client is asked to do on a bad day."""

from __future__ import annotations

from itertools import count

from tests.interop.driven_client import DrivenClient
from tocsin_whatsapp_server.control_client import ControlClient

SITI, BUDI, DEWI = "6281200000001", "6281200000002", "6281200000003"


texts = (f"text {number}" for number in count(1))


def is_online(control: ControlClient) -> bool:
    return bool(control.phone(SITI)["devices"][1]["online"])


def is_well(client: DrivenClient, control: ControlClient) -> None:
    """A text goes each way."""
    there, back = next(texts), next(texts)
    client.send(BUDI, there)
    control.wait_for_text(BUDI, there)
    control.write(BUDI, SITI, back)
    client.text(back)


def written(control: ControlClient, number: int) -> list[str]:
    """What Budi wrote just now."""
    wrote = [next(texts) for _ in range(number)]
    for text in wrote:
        control.write(BUDI, SITI, text)
    return wrote
