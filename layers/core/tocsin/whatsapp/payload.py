"""ClientPayload: what a client says of itself, sealed, at the end of the handshake.

Zero values are set on purpose: the official clients write them, and proto2 keeps them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from tocsin.signal.x3dh import SignedPreKey
from tocsin.whatsapp.device_keys import DeviceKeys
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.proto.payload_pb2 import ClientPayload, DeviceProps

DEFAULT_VERSION: Final = (2, 3000, 1045649367)
"""WhatsApp Web's version of August 2026. A server that finds it too old answers with failure 405."""


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """How the client presents itself. `os_name` is what the phone's owner sees under "Linked devices"."""

    version: tuple[int, int, int] = DEFAULT_VERSION
    os_name: str = "Ubuntu"
    os_version: tuple[int, int, int] = (22, 4, 4)
    language: str = "en"
    country: str = "US"


def first_payload(info: ClientInfo, keys: DeviceKeys) -> bytes:
    """What a connection begins with: a login where the device has one, else a registration."""
    if keys.login is not None:
        return login_payload(info, keys.login.jid, keys.login.login_counter)
    return registration_payload(
        info,
        registration_id=keys.registration_id,
        identity=keys.identity.public,
        signed_prekey=keys.signed_prekey,
    )


def registration_payload(
    info: ClientInfo, *, registration_id: int, identity: bytes, signed_prekey: SignedPreKey
) -> bytes:
    """For a device that isn't paired yet. `identity`: its public key, 32 bytes."""
    payload = _common(info)
    payload.passive = False
    payload.pull = False
    data = payload.device_pairing_data
    data.registration_id = registration_id.to_bytes(4, "big")
    data.key_type = b"\x05"
    data.identity = identity
    data.signed_prekey_id = signed_prekey.id.to_bytes(3, "big")
    data.signed_prekey = signed_prekey.pair.public
    data.signed_prekey_signature = signed_prekey.signature
    version = ".".join(map(str, info.version))
    # A build fingerprint the server expects, not a protection.
    data.build_hash = hashlib.md5(version.encode(), usedforsecurity=False).digest()
    data.device_props = _device_props(info).SerializeToString()
    return payload.SerializeToString()


def login_payload(info: ClientInfo, jid: JID, login_counter: int) -> bytes:
    """For a paired device. `jid`: its own phone-number JID; `login_counter`: successful logins so far."""
    payload = _common(info)
    payload.username = int(jid.user)
    payload.device = jid.device
    payload.passive = True
    payload.pull = True
    payload.login_counter = login_counter
    # Our sessions are kept under LIDs.
    payload.lid_db_migrated = True
    return payload.SerializeToString()


def _common(info: ClientInfo) -> ClientPayload:
    payload = ClientPayload()
    agent = payload.user_agent
    agent.platform = ClientPayload.UserAgent.WEB
    agent.app_version.primary, agent.app_version.secondary, agent.app_version.tertiary = info.version
    agent.mcc = agent.mnc = "000"
    agent.os_version = agent.os_build_number = "0.1"
    agent.manufacturer = ""
    agent.device = "Desktop"
    agent.release_channel = ClientPayload.UserAgent.RELEASE
    agent.locale_language = info.language
    agent.locale_country = info.country
    payload.web_info.web_sub_platform = ClientPayload.WebInfo.WEB_BROWSER
    payload.connect_type = ClientPayload.WIFI_UNKNOWN
    payload.connect_reason = ClientPayload.USER_ACTIVATED
    return payload


def _device_props(info: ClientInfo) -> DeviceProps:
    """What the phone is told of the new device. History can't be declined, only left where it is."""
    props = DeviceProps(os=info.os_name, platform_type=DeviceProps.CHROME, require_full_sync=False)
    props.version.primary, props.version.secondary, props.version.tertiary = info.os_version
    config = props.history_sync_config
    config.storage_quota_mb = 10240
    config.inline_initial_payload = True
    config.support_bot_user_agent_chat_history = True
    config.support_cag_reactions_and_polls = True
    config.support_biz_hosted_msg = True
    config.support_recent_sync_chunk_message_count_tuning = True
    config.support_hosted_group_msg = True
    config.support_fbid_bot_chat_history = True
    config.support_message_association = True
    return props
