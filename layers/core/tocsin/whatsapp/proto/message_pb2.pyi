from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MessageKey(_message.Message):
    __slots__ = ("remote_jid", "from_me", "id", "participant")
    REMOTE_JID_FIELD_NUMBER: _ClassVar[int]
    FROM_ME_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    remote_jid: str
    from_me: bool
    id: str
    participant: str
    def __init__(self, remote_jid: _Optional[str] = ..., from_me: _Optional[bool] = ..., id: _Optional[str] = ..., participant: _Optional[str] = ...) -> None: ...

class ContextInfo(_message.Message):
    __slots__ = ("stanza_id", "participant", "quoted_message", "expiration", "ephemeral_setting_timestamp")
    STANZA_ID_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    QUOTED_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    EXPIRATION_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_SETTING_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    stanza_id: str
    participant: str
    quoted_message: Message
    expiration: int
    ephemeral_setting_timestamp: int
    def __init__(self, stanza_id: _Optional[str] = ..., participant: _Optional[str] = ..., quoted_message: _Optional[_Union[Message, _Mapping]] = ..., expiration: _Optional[int] = ..., ephemeral_setting_timestamp: _Optional[int] = ...) -> None: ...

class Wrapped(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: Message
    def __init__(self, message: _Optional[_Union[Message, _Mapping]] = ...) -> None: ...

class Opaque(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class QuotingAt1(_message.Message):
    __slots__ = ("context_info",)
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    context_info: ContextInfo
    def __init__(self, context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class QuotingAt3(_message.Message):
    __slots__ = ("context_info",)
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    context_info: ContextInfo
    def __init__(self, context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class QuotingAt4(_message.Message):
    __slots__ = ("context_info",)
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    context_info: ContextInfo
    def __init__(self, context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class QuotingAt7(_message.Message):
    __slots__ = ("context_info",)
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    context_info: ContextInfo
    def __init__(self, context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class QuotingAt11(_message.Message):
    __slots__ = ("context_info",)
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    context_info: ContextInfo
    def __init__(self, context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class QuotingAt17(_message.Message):
    __slots__ = ("context_info",)
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    context_info: ContextInfo
    def __init__(self, context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class About(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: MessageKey
    def __init__(self, key: _Optional[_Union[MessageKey, _Mapping]] = ...) -> None: ...

class SenderKeyDistribution(_message.Message):
    __slots__ = ("group_id", "distribution")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    distribution: bytes
    def __init__(self, group_id: _Optional[str] = ..., distribution: _Optional[bytes] = ...) -> None: ...

class ImageMessage(_message.Message):
    __slots__ = ("url", "mimetype", "caption", "file_sha256", "file_length", "height", "width", "media_key", "file_enc_sha256", "direct_path", "media_key_timestamp", "context_info", "view_once")
    URL_FIELD_NUMBER: _ClassVar[int]
    MIMETYPE_FIELD_NUMBER: _ClassVar[int]
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    FILE_SHA256_FIELD_NUMBER: _ClassVar[int]
    FILE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    MEDIA_KEY_FIELD_NUMBER: _ClassVar[int]
    FILE_ENC_SHA256_FIELD_NUMBER: _ClassVar[int]
    DIRECT_PATH_FIELD_NUMBER: _ClassVar[int]
    MEDIA_KEY_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    VIEW_ONCE_FIELD_NUMBER: _ClassVar[int]
    url: str
    mimetype: str
    caption: str
    file_sha256: bytes
    file_length: int
    height: int
    width: int
    media_key: bytes
    file_enc_sha256: bytes
    direct_path: str
    media_key_timestamp: int
    context_info: ContextInfo
    view_once: bool
    def __init__(self, url: _Optional[str] = ..., mimetype: _Optional[str] = ..., caption: _Optional[str] = ..., file_sha256: _Optional[bytes] = ..., file_length: _Optional[int] = ..., height: _Optional[int] = ..., width: _Optional[int] = ..., media_key: _Optional[bytes] = ..., file_enc_sha256: _Optional[bytes] = ..., direct_path: _Optional[str] = ..., media_key_timestamp: _Optional[int] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ..., view_once: _Optional[bool] = ...) -> None: ...

class ExtendedTextMessage(_message.Message):
    __slots__ = ("text", "matched_text", "description", "title", "context_info")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    MATCHED_TEXT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    text: str
    matched_text: str
    description: str
    title: str
    context_info: ContextInfo
    def __init__(self, text: _Optional[str] = ..., matched_text: _Optional[str] = ..., description: _Optional[str] = ..., title: _Optional[str] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class DocumentMessage(_message.Message):
    __slots__ = ("url", "mimetype", "title", "file_sha256", "file_length", "page_count", "media_key", "file_name", "file_enc_sha256", "direct_path", "media_key_timestamp", "context_info", "caption")
    URL_FIELD_NUMBER: _ClassVar[int]
    MIMETYPE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    FILE_SHA256_FIELD_NUMBER: _ClassVar[int]
    FILE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    PAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    MEDIA_KEY_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    FILE_ENC_SHA256_FIELD_NUMBER: _ClassVar[int]
    DIRECT_PATH_FIELD_NUMBER: _ClassVar[int]
    MEDIA_KEY_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    url: str
    mimetype: str
    title: str
    file_sha256: bytes
    file_length: int
    page_count: int
    media_key: bytes
    file_name: str
    file_enc_sha256: bytes
    direct_path: str
    media_key_timestamp: int
    context_info: ContextInfo
    caption: str
    def __init__(self, url: _Optional[str] = ..., mimetype: _Optional[str] = ..., title: _Optional[str] = ..., file_sha256: _Optional[bytes] = ..., file_length: _Optional[int] = ..., page_count: _Optional[int] = ..., media_key: _Optional[bytes] = ..., file_name: _Optional[str] = ..., file_enc_sha256: _Optional[bytes] = ..., direct_path: _Optional[str] = ..., media_key_timestamp: _Optional[int] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ..., caption: _Optional[str] = ...) -> None: ...

class VideoMessage(_message.Message):
    __slots__ = ("mimetype", "file_length", "seconds", "caption", "context_info", "view_once")
    MIMETYPE_FIELD_NUMBER: _ClassVar[int]
    FILE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    VIEW_ONCE_FIELD_NUMBER: _ClassVar[int]
    mimetype: str
    file_length: int
    seconds: int
    caption: str
    context_info: ContextInfo
    view_once: bool
    def __init__(self, mimetype: _Optional[str] = ..., file_length: _Optional[int] = ..., seconds: _Optional[int] = ..., caption: _Optional[str] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ..., view_once: _Optional[bool] = ...) -> None: ...

class AudioMessage(_message.Message):
    __slots__ = ("mimetype", "file_length", "seconds", "ptt", "context_info", "view_once")
    MIMETYPE_FIELD_NUMBER: _ClassVar[int]
    FILE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    PTT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    VIEW_ONCE_FIELD_NUMBER: _ClassVar[int]
    mimetype: str
    file_length: int
    seconds: int
    ptt: bool
    context_info: ContextInfo
    view_once: bool
    def __init__(self, mimetype: _Optional[str] = ..., file_length: _Optional[int] = ..., seconds: _Optional[int] = ..., ptt: _Optional[bool] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ..., view_once: _Optional[bool] = ...) -> None: ...

class StickerMessage(_message.Message):
    __slots__ = ("mimetype", "file_length", "context_info")
    MIMETYPE_FIELD_NUMBER: _ClassVar[int]
    FILE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    mimetype: str
    file_length: int
    context_info: ContextInfo
    def __init__(self, mimetype: _Optional[str] = ..., file_length: _Optional[int] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class ContactMessage(_message.Message):
    __slots__ = ("name", "vcard", "context_info")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VCARD_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    name: str
    vcard: str
    context_info: ContextInfo
    def __init__(self, name: _Optional[str] = ..., vcard: _Optional[str] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class ContactsMessage(_message.Message):
    __slots__ = ("name", "contacts", "context_info")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    name: str
    contacts: _containers.RepeatedCompositeFieldContainer[ContactMessage]
    context_info: ContextInfo
    def __init__(self, name: _Optional[str] = ..., contacts: _Optional[_Iterable[_Union[ContactMessage, _Mapping]]] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class LocationMessage(_message.Message):
    __slots__ = ("latitude", "longitude", "name", "address", "text", "context_info")
    LATITUDE_FIELD_NUMBER: _ClassVar[int]
    LONGITUDE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    latitude: float
    longitude: float
    name: str
    address: str
    text: str
    context_info: ContextInfo
    def __init__(self, latitude: _Optional[float] = ..., longitude: _Optional[float] = ..., name: _Optional[str] = ..., address: _Optional[str] = ..., text: _Optional[str] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class LiveLocationMessage(_message.Message):
    __slots__ = ("latitude", "longitude", "caption", "context_info")
    LATITUDE_FIELD_NUMBER: _ClassVar[int]
    LONGITUDE_FIELD_NUMBER: _ClassVar[int]
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    latitude: float
    longitude: float
    caption: str
    context_info: ContextInfo
    def __init__(self, latitude: _Optional[float] = ..., longitude: _Optional[float] = ..., caption: _Optional[str] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class PollCreation(_message.Message):
    __slots__ = ("text", "options", "context_info")
    class Option(_message.Message):
        __slots__ = ("name",)
        NAME_FIELD_NUMBER: _ClassVar[int]
        name: str
        def __init__(self, name: _Optional[str] = ...) -> None: ...
    TEXT_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    text: str
    options: _containers.RepeatedCompositeFieldContainer[PollCreation.Option]
    context_info: ContextInfo
    def __init__(self, text: _Optional[str] = ..., options: _Optional[_Iterable[_Union[PollCreation.Option, _Mapping]]] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class EventMessage(_message.Message):
    __slots__ = ("context_info", "name", "text")
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    context_info: ContextInfo
    name: str
    text: str
    def __init__(self, context_info: _Optional[_Union[ContextInfo, _Mapping]] = ..., name: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class CommentMessage(_message.Message):
    __slots__ = ("message", "key")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    message: Message
    key: MessageKey
    def __init__(self, message: _Optional[_Union[Message, _Mapping]] = ..., key: _Optional[_Union[MessageKey, _Mapping]] = ...) -> None: ...

class SecretEncrypted(_message.Message):
    __slots__ = ("key", "payload", "iv", "type")
    KEY_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    IV_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    key: MessageKey
    payload: bytes
    iv: bytes
    type: int
    def __init__(self, key: _Optional[_Union[MessageKey, _Mapping]] = ..., payload: _Optional[bytes] = ..., iv: _Optional[bytes] = ..., type: _Optional[int] = ...) -> None: ...

class GroupInvite(_message.Message):
    __slots__ = ("name", "caption", "context_info")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    name: str
    caption: str
    context_info: ContextInfo
    def __init__(self, name: _Optional[str] = ..., caption: _Optional[str] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class NewsletterAdminInvite(_message.Message):
    __slots__ = ("name", "caption", "context_info")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    name: str
    caption: str
    context_info: ContextInfo
    def __init__(self, name: _Optional[str] = ..., caption: _Optional[str] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class NewsletterFollowerInvite(_message.Message):
    __slots__ = ("name", "caption", "context_info")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    name: str
    caption: str
    context_info: ContextInfo
    def __init__(self, name: _Optional[str] = ..., caption: _Optional[str] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class ButtonsMessage(_message.Message):
    __slots__ = ("text", "context_info")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    text: str
    context_info: ContextInfo
    def __init__(self, text: _Optional[str] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class ListMessage(_message.Message):
    __slots__ = ("name", "text", "context_info")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    name: str
    text: str
    context_info: ContextInfo
    def __init__(self, name: _Optional[str] = ..., text: _Optional[str] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class InteractiveMessage(_message.Message):
    __slots__ = ("body", "context_info")
    class Body(_message.Message):
        __slots__ = ("text",)
        TEXT_FIELD_NUMBER: _ClassVar[int]
        text: str
        def __init__(self, text: _Optional[str] = ...) -> None: ...
    BODY_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    body: InteractiveMessage.Body
    context_info: ContextInfo
    def __init__(self, body: _Optional[_Union[InteractiveMessage.Body, _Mapping]] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class TemplateMessage(_message.Message):
    __slots__ = ("context_info", "body")
    class Body(_message.Message):
        __slots__ = ("text",)
        TEXT_FIELD_NUMBER: _ClassVar[int]
        text: str
        def __init__(self, text: _Optional[str] = ...) -> None: ...
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    context_info: ContextInfo
    body: TemplateMessage.Body
    def __init__(self, context_info: _Optional[_Union[ContextInfo, _Mapping]] = ..., body: _Optional[_Union[TemplateMessage.Body, _Mapping]] = ...) -> None: ...

class ProductMessage(_message.Message):
    __slots__ = ("text", "context_info")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    text: str
    context_info: ContextInfo
    def __init__(self, text: _Optional[str] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class OrderMessage(_message.Message):
    __slots__ = ("text", "name", "key", "context_info")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    text: str
    name: str
    key: MessageKey
    context_info: ContextInfo
    def __init__(self, text: _Optional[str] = ..., name: _Optional[str] = ..., key: _Optional[_Union[MessageKey, _Mapping]] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class SendPayment(_message.Message):
    __slots__ = ("note", "key")
    NOTE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    note: Message
    key: MessageKey
    def __init__(self, note: _Optional[_Union[Message, _Mapping]] = ..., key: _Optional[_Union[MessageKey, _Mapping]] = ...) -> None: ...

class RequestPayment(_message.Message):
    __slots__ = ("note",)
    NOTE_FIELD_NUMBER: _ClassVar[int]
    note: Message
    def __init__(self, note: _Optional[_Union[Message, _Mapping]] = ...) -> None: ...

class QuestionResponse(_message.Message):
    __slots__ = ("key", "text")
    KEY_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    key: MessageKey
    text: str
    def __init__(self, key: _Optional[_Union[MessageKey, _Mapping]] = ..., text: _Optional[str] = ...) -> None: ...

class StatusQuoted(_message.Message):
    __slots__ = ("text", "key")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    text: str
    key: MessageKey
    def __init__(self, text: _Optional[str] = ..., key: _Optional[_Union[MessageKey, _Mapping]] = ...) -> None: ...

class HistorySyncNotification(_message.Message):
    __slots__ = ("file_sha256", "file_length", "media_key", "file_enc_sha256", "direct_path", "sync_type", "chunk_order", "progress", "inline_payload")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        INITIAL_BOOTSTRAP: _ClassVar[HistorySyncNotification.Type]
        INITIAL_STATUS: _ClassVar[HistorySyncNotification.Type]
        FULL: _ClassVar[HistorySyncNotification.Type]
        RECENT: _ClassVar[HistorySyncNotification.Type]
        PUSH_NAMES: _ClassVar[HistorySyncNotification.Type]
        NON_BLOCKING_DATA: _ClassVar[HistorySyncNotification.Type]
        ON_DEMAND: _ClassVar[HistorySyncNotification.Type]
        NO_HISTORY: _ClassVar[HistorySyncNotification.Type]
        STATUS_ACCESS: _ClassVar[HistorySyncNotification.Type]
    INITIAL_BOOTSTRAP: HistorySyncNotification.Type
    INITIAL_STATUS: HistorySyncNotification.Type
    FULL: HistorySyncNotification.Type
    RECENT: HistorySyncNotification.Type
    PUSH_NAMES: HistorySyncNotification.Type
    NON_BLOCKING_DATA: HistorySyncNotification.Type
    ON_DEMAND: HistorySyncNotification.Type
    NO_HISTORY: HistorySyncNotification.Type
    STATUS_ACCESS: HistorySyncNotification.Type
    FILE_SHA256_FIELD_NUMBER: _ClassVar[int]
    FILE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    MEDIA_KEY_FIELD_NUMBER: _ClassVar[int]
    FILE_ENC_SHA256_FIELD_NUMBER: _ClassVar[int]
    DIRECT_PATH_FIELD_NUMBER: _ClassVar[int]
    SYNC_TYPE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_ORDER_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    INLINE_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    file_sha256: bytes
    file_length: int
    media_key: bytes
    file_enc_sha256: bytes
    direct_path: str
    sync_type: HistorySyncNotification.Type
    chunk_order: int
    progress: int
    inline_payload: bytes
    def __init__(self, file_sha256: _Optional[bytes] = ..., file_length: _Optional[int] = ..., media_key: _Optional[bytes] = ..., file_enc_sha256: _Optional[bytes] = ..., direct_path: _Optional[str] = ..., sync_type: _Optional[_Union[HistorySyncNotification.Type, str]] = ..., chunk_order: _Optional[int] = ..., progress: _Optional[int] = ..., inline_payload: _Optional[bytes] = ...) -> None: ...

class ProtocolMessage(_message.Message):
    __slots__ = ("key", "type", "ephemeral_expiration", "ephemeral_setting_timestamp", "history_sync_notification", "edited_message", "timestamp_ms", "peer_data_request", "peer_data_response", "lid_migration_mapping")
    KEY_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_EXPIRATION_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_SETTING_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    HISTORY_SYNC_NOTIFICATION_FIELD_NUMBER: _ClassVar[int]
    EDITED_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    PEER_DATA_REQUEST_FIELD_NUMBER: _ClassVar[int]
    PEER_DATA_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    LID_MIGRATION_MAPPING_FIELD_NUMBER: _ClassVar[int]
    key: MessageKey
    type: int
    ephemeral_expiration: int
    ephemeral_setting_timestamp: int
    history_sync_notification: HistorySyncNotification
    edited_message: Message
    timestamp_ms: int
    peer_data_request: PeerDataRequest
    peer_data_response: PeerDataResponse
    lid_migration_mapping: LidMigrationMapping
    def __init__(self, key: _Optional[_Union[MessageKey, _Mapping]] = ..., type: _Optional[int] = ..., ephemeral_expiration: _Optional[int] = ..., ephemeral_setting_timestamp: _Optional[int] = ..., history_sync_notification: _Optional[_Union[HistorySyncNotification, _Mapping]] = ..., edited_message: _Optional[_Union[Message, _Mapping]] = ..., timestamp_ms: _Optional[int] = ..., peer_data_request: _Optional[_Union[PeerDataRequest, _Mapping]] = ..., peer_data_response: _Optional[_Union[PeerDataResponse, _Mapping]] = ..., lid_migration_mapping: _Optional[_Union[LidMigrationMapping, _Mapping]] = ...) -> None: ...

class PeerDataRequest(_message.Message):
    __slots__ = ("type", "placeholders")
    class Placeholder(_message.Message):
        __slots__ = ("key",)
        KEY_FIELD_NUMBER: _ClassVar[int]
        key: MessageKey
        def __init__(self, key: _Optional[_Union[MessageKey, _Mapping]] = ...) -> None: ...
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PLACEHOLDERS_FIELD_NUMBER: _ClassVar[int]
    type: int
    placeholders: _containers.RepeatedCompositeFieldContainer[PeerDataRequest.Placeholder]
    def __init__(self, type: _Optional[int] = ..., placeholders: _Optional[_Iterable[_Union[PeerDataRequest.Placeholder, _Mapping]]] = ...) -> None: ...

class PeerDataResponse(_message.Message):
    __slots__ = ("type", "stanza_id", "results")
    class Result(_message.Message):
        __slots__ = ("placeholder",)
        class Placeholder(_message.Message):
            __slots__ = ("web_message_info",)
            WEB_MESSAGE_INFO_FIELD_NUMBER: _ClassVar[int]
            web_message_info: bytes
            def __init__(self, web_message_info: _Optional[bytes] = ...) -> None: ...
        PLACEHOLDER_FIELD_NUMBER: _ClassVar[int]
        placeholder: PeerDataResponse.Result.Placeholder
        def __init__(self, placeholder: _Optional[_Union[PeerDataResponse.Result.Placeholder, _Mapping]] = ...) -> None: ...
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STANZA_ID_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    type: int
    stanza_id: str
    results: _containers.RepeatedCompositeFieldContainer[PeerDataResponse.Result]
    def __init__(self, type: _Optional[int] = ..., stanza_id: _Optional[str] = ..., results: _Optional[_Iterable[_Union[PeerDataResponse.Result, _Mapping]]] = ...) -> None: ...

class WebMessageInfo(_message.Message):
    __slots__ = ("key", "message", "timestamp", "participant", "push_name")
    KEY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    PUSH_NAME_FIELD_NUMBER: _ClassVar[int]
    key: MessageKey
    message: Message
    timestamp: int
    participant: str
    push_name: str
    def __init__(self, key: _Optional[_Union[MessageKey, _Mapping]] = ..., message: _Optional[_Union[Message, _Mapping]] = ..., timestamp: _Optional[int] = ..., participant: _Optional[str] = ..., push_name: _Optional[str] = ...) -> None: ...

class LidMigrationMapping(_message.Message):
    __slots__ = ("payload",)
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    def __init__(self, payload: _Optional[bytes] = ...) -> None: ...

class LidMigrationPayload(_message.Message):
    __slots__ = ("mappings",)
    class Mapping(_message.Message):
        __slots__ = ("pn", "assigned_lid", "latest_lid")
        PN_FIELD_NUMBER: _ClassVar[int]
        ASSIGNED_LID_FIELD_NUMBER: _ClassVar[int]
        LATEST_LID_FIELD_NUMBER: _ClassVar[int]
        pn: int
        assigned_lid: int
        latest_lid: int
        def __init__(self, pn: _Optional[int] = ..., assigned_lid: _Optional[int] = ..., latest_lid: _Optional[int] = ...) -> None: ...
    MAPPINGS_FIELD_NUMBER: _ClassVar[int]
    mappings: _containers.RepeatedCompositeFieldContainer[LidMigrationPayload.Mapping]
    def __init__(self, mappings: _Optional[_Iterable[_Union[LidMigrationPayload.Mapping, _Mapping]]] = ...) -> None: ...

class HistorySync(_message.Message):
    __slots__ = ("conversations", "push_names", "phone_number_to_lid", "nct_salt")
    class Conversation(_message.Message):
        __slots__ = ("id", "ephemeral_expiration", "ephemeral_setting_timestamp", "tc_token", "tc_token_timestamp", "tc_token_sender_timestamp", "pn_jid", "lid_jid")
        ID_FIELD_NUMBER: _ClassVar[int]
        EPHEMERAL_EXPIRATION_FIELD_NUMBER: _ClassVar[int]
        EPHEMERAL_SETTING_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
        TC_TOKEN_FIELD_NUMBER: _ClassVar[int]
        TC_TOKEN_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
        TC_TOKEN_SENDER_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
        PN_JID_FIELD_NUMBER: _ClassVar[int]
        LID_JID_FIELD_NUMBER: _ClassVar[int]
        id: str
        ephemeral_expiration: int
        ephemeral_setting_timestamp: int
        tc_token: bytes
        tc_token_timestamp: int
        tc_token_sender_timestamp: int
        pn_jid: str
        lid_jid: str
        def __init__(self, id: _Optional[str] = ..., ephemeral_expiration: _Optional[int] = ..., ephemeral_setting_timestamp: _Optional[int] = ..., tc_token: _Optional[bytes] = ..., tc_token_timestamp: _Optional[int] = ..., tc_token_sender_timestamp: _Optional[int] = ..., pn_jid: _Optional[str] = ..., lid_jid: _Optional[str] = ...) -> None: ...
    class PhoneNumberToLid(_message.Message):
        __slots__ = ("pn_jid", "lid_jid")
        PN_JID_FIELD_NUMBER: _ClassVar[int]
        LID_JID_FIELD_NUMBER: _ClassVar[int]
        pn_jid: str
        lid_jid: str
        def __init__(self, pn_jid: _Optional[str] = ..., lid_jid: _Optional[str] = ...) -> None: ...
    class PushName(_message.Message):
        __slots__ = ("id", "push_name")
        ID_FIELD_NUMBER: _ClassVar[int]
        PUSH_NAME_FIELD_NUMBER: _ClassVar[int]
        id: str
        push_name: str
        def __init__(self, id: _Optional[str] = ..., push_name: _Optional[str] = ...) -> None: ...
    CONVERSATIONS_FIELD_NUMBER: _ClassVar[int]
    PUSH_NAMES_FIELD_NUMBER: _ClassVar[int]
    PHONE_NUMBER_TO_LID_FIELD_NUMBER: _ClassVar[int]
    NCT_SALT_FIELD_NUMBER: _ClassVar[int]
    conversations: _containers.RepeatedCompositeFieldContainer[HistorySync.Conversation]
    push_names: _containers.RepeatedCompositeFieldContainer[HistorySync.PushName]
    phone_number_to_lid: _containers.RepeatedCompositeFieldContainer[HistorySync.PhoneNumberToLid]
    nct_salt: bytes
    def __init__(self, conversations: _Optional[_Iterable[_Union[HistorySync.Conversation, _Mapping]]] = ..., push_names: _Optional[_Iterable[_Union[HistorySync.PushName, _Mapping]]] = ..., phone_number_to_lid: _Optional[_Iterable[_Union[HistorySync.PhoneNumberToLid, _Mapping]]] = ..., nct_salt: _Optional[bytes] = ...) -> None: ...

class TemplateButtonReply(_message.Message):
    __slots__ = ("selected_id", "selected_display_text", "context_info")
    SELECTED_ID_FIELD_NUMBER: _ClassVar[int]
    SELECTED_DISPLAY_TEXT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    selected_id: str
    selected_display_text: str
    context_info: ContextInfo
    def __init__(self, selected_id: _Optional[str] = ..., selected_display_text: _Optional[str] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class DeviceSentMessage(_message.Message):
    __slots__ = ("destination_jid", "message", "phash")
    DESTINATION_JID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PHASH_FIELD_NUMBER: _ClassVar[int]
    destination_jid: str
    message: Message
    phash: str
    def __init__(self, destination_jid: _Optional[str] = ..., message: _Optional[_Union[Message, _Mapping]] = ..., phash: _Optional[str] = ...) -> None: ...

class MessageContextInfo(_message.Message):
    __slots__ = ("message_secret",)
    MESSAGE_SECRET_FIELD_NUMBER: _ClassVar[int]
    message_secret: bytes
    def __init__(self, message_secret: _Optional[bytes] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("title", "single_select_reply", "context_info")
    class SingleSelectReply(_message.Message):
        __slots__ = ("selected_row_id",)
        SELECTED_ROW_ID_FIELD_NUMBER: _ClassVar[int]
        selected_row_id: str
        def __init__(self, selected_row_id: _Optional[str] = ...) -> None: ...
    TITLE_FIELD_NUMBER: _ClassVar[int]
    SINGLE_SELECT_REPLY_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    title: str
    single_select_reply: ListResponse.SingleSelectReply
    context_info: ContextInfo
    def __init__(self, title: _Optional[str] = ..., single_select_reply: _Optional[_Union[ListResponse.SingleSelectReply, _Mapping]] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class ButtonsResponse(_message.Message):
    __slots__ = ("selected_button_id", "selected_display_text", "context_info")
    SELECTED_BUTTON_ID_FIELD_NUMBER: _ClassVar[int]
    SELECTED_DISPLAY_TEXT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    selected_button_id: str
    selected_display_text: str
    context_info: ContextInfo
    def __init__(self, selected_button_id: _Optional[str] = ..., selected_display_text: _Optional[str] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class Reaction(_message.Message):
    __slots__ = ("key", "text", "sender_timestamp_ms")
    KEY_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SENDER_TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    key: MessageKey
    text: str
    sender_timestamp_ms: int
    def __init__(self, key: _Optional[_Union[MessageKey, _Mapping]] = ..., text: _Optional[str] = ..., sender_timestamp_ms: _Optional[int] = ...) -> None: ...

class InteractiveResponse(_message.Message):
    __slots__ = ("body", "native_flow_response", "context_info")
    class Body(_message.Message):
        __slots__ = ("text",)
        TEXT_FIELD_NUMBER: _ClassVar[int]
        text: str
        def __init__(self, text: _Optional[str] = ...) -> None: ...
    class NativeFlowResponse(_message.Message):
        __slots__ = ("name", "params_json")
        NAME_FIELD_NUMBER: _ClassVar[int]
        PARAMS_JSON_FIELD_NUMBER: _ClassVar[int]
        name: str
        params_json: str
        def __init__(self, name: _Optional[str] = ..., params_json: _Optional[str] = ...) -> None: ...
    BODY_FIELD_NUMBER: _ClassVar[int]
    NATIVE_FLOW_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    body: InteractiveResponse.Body
    native_flow_response: InteractiveResponse.NativeFlowResponse
    context_info: ContextInfo
    def __init__(self, body: _Optional[_Union[InteractiveResponse.Body, _Mapping]] = ..., native_flow_response: _Optional[_Union[InteractiveResponse.NativeFlowResponse, _Mapping]] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("conversation", "sender_key_distribution", "image", "contact", "location", "extended_text", "document", "audio", "video", "call", "chat", "protocol", "contacts_array", "highly_structured", "fast_ratchet_key_sender_key_distribution", "send_payment", "live_location", "request_payment", "decline_payment_request", "cancel_payment_request", "template", "sticker", "group_invite", "template_button_reply", "product", "device_sent", "message_context_info", "list", "view_once", "order", "list_response", "ephemeral", "invoice", "buttons", "buttons_response", "payment_invite", "interactive", "reaction", "sticker_sync_rmr", "interactive_response", "poll_creation", "poll_update", "keep_in_chat", "document_with_caption", "request_phone_number", "view_once_v2", "encrypted_reaction", "edited", "view_once_v2_extension", "poll_creation_v2", "scheduled_call_creation", "group_mentioned", "pin_in_chat", "poll_creation_v3", "scheduled_call_edit", "ptv", "bot_invoke", "call_log", "message_history_bundle", "encrypted_comment", "bcall", "lottie_sticker", "event", "encrypted_event_response", "comment", "newsletter_admin_invite", "placeholder", "secret_encrypted", "album", "event_cover_image", "sticker_pack", "status_mention", "poll_result_snapshot", "poll_creation_option_image", "associated_child", "group_status_mention", "poll_creation_v4", "status_add_yours", "group_status", "rich_response", "status_notification", "limit_sharing", "bot_task", "question", "message_history_notice", "group_status_v2", "bot_forwarded", "status_question_answer", "question_reply", "question_response", "status_quoted", "status_sticker_interaction", "poll_creation_v5", "newsletter_follower_invite_v2", "poll_result_snapshot_v3")
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    SENDER_KEY_DISTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    EXTENDED_TEXT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    CHAT_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_ARRAY_FIELD_NUMBER: _ClassVar[int]
    HIGHLY_STRUCTURED_FIELD_NUMBER: _ClassVar[int]
    FAST_RATCHET_KEY_SENDER_KEY_DISTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    SEND_PAYMENT_FIELD_NUMBER: _ClassVar[int]
    LIVE_LOCATION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_PAYMENT_FIELD_NUMBER: _ClassVar[int]
    DECLINE_PAYMENT_REQUEST_FIELD_NUMBER: _ClassVar[int]
    CANCEL_PAYMENT_REQUEST_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    STICKER_FIELD_NUMBER: _ClassVar[int]
    GROUP_INVITE_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_BUTTON_REPLY_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_SENT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    VIEW_ONCE_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    LIST_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_FIELD_NUMBER: _ClassVar[int]
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    BUTTONS_FIELD_NUMBER: _ClassVar[int]
    BUTTONS_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_INVITE_FIELD_NUMBER: _ClassVar[int]
    INTERACTIVE_FIELD_NUMBER: _ClassVar[int]
    REACTION_FIELD_NUMBER: _ClassVar[int]
    STICKER_SYNC_RMR_FIELD_NUMBER: _ClassVar[int]
    INTERACTIVE_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    POLL_CREATION_FIELD_NUMBER: _ClassVar[int]
    POLL_UPDATE_FIELD_NUMBER: _ClassVar[int]
    KEEP_IN_CHAT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_WITH_CAPTION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_PHONE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    VIEW_ONCE_V2_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_REACTION_FIELD_NUMBER: _ClassVar[int]
    EDITED_FIELD_NUMBER: _ClassVar[int]
    VIEW_ONCE_V2_EXTENSION_FIELD_NUMBER: _ClassVar[int]
    POLL_CREATION_V2_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_CALL_CREATION_FIELD_NUMBER: _ClassVar[int]
    GROUP_MENTIONED_FIELD_NUMBER: _ClassVar[int]
    PIN_IN_CHAT_FIELD_NUMBER: _ClassVar[int]
    POLL_CREATION_V3_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_CALL_EDIT_FIELD_NUMBER: _ClassVar[int]
    PTV_FIELD_NUMBER: _ClassVar[int]
    BOT_INVOKE_FIELD_NUMBER: _ClassVar[int]
    CALL_LOG_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_HISTORY_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_COMMENT_FIELD_NUMBER: _ClassVar[int]
    BCALL_FIELD_NUMBER: _ClassVar[int]
    LOTTIE_STICKER_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_EVENT_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    NEWSLETTER_ADMIN_INVITE_FIELD_NUMBER: _ClassVar[int]
    PLACEHOLDER_FIELD_NUMBER: _ClassVar[int]
    SECRET_ENCRYPTED_FIELD_NUMBER: _ClassVar[int]
    ALBUM_FIELD_NUMBER: _ClassVar[int]
    EVENT_COVER_IMAGE_FIELD_NUMBER: _ClassVar[int]
    STICKER_PACK_FIELD_NUMBER: _ClassVar[int]
    STATUS_MENTION_FIELD_NUMBER: _ClassVar[int]
    POLL_RESULT_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    POLL_CREATION_OPTION_IMAGE_FIELD_NUMBER: _ClassVar[int]
    ASSOCIATED_CHILD_FIELD_NUMBER: _ClassVar[int]
    GROUP_STATUS_MENTION_FIELD_NUMBER: _ClassVar[int]
    POLL_CREATION_V4_FIELD_NUMBER: _ClassVar[int]
    STATUS_ADD_YOURS_FIELD_NUMBER: _ClassVar[int]
    GROUP_STATUS_FIELD_NUMBER: _ClassVar[int]
    RICH_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    STATUS_NOTIFICATION_FIELD_NUMBER: _ClassVar[int]
    LIMIT_SHARING_FIELD_NUMBER: _ClassVar[int]
    BOT_TASK_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_HISTORY_NOTICE_FIELD_NUMBER: _ClassVar[int]
    GROUP_STATUS_V2_FIELD_NUMBER: _ClassVar[int]
    BOT_FORWARDED_FIELD_NUMBER: _ClassVar[int]
    STATUS_QUESTION_ANSWER_FIELD_NUMBER: _ClassVar[int]
    QUESTION_REPLY_FIELD_NUMBER: _ClassVar[int]
    QUESTION_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    STATUS_QUOTED_FIELD_NUMBER: _ClassVar[int]
    STATUS_STICKER_INTERACTION_FIELD_NUMBER: _ClassVar[int]
    POLL_CREATION_V5_FIELD_NUMBER: _ClassVar[int]
    NEWSLETTER_FOLLOWER_INVITE_V2_FIELD_NUMBER: _ClassVar[int]
    POLL_RESULT_SNAPSHOT_V3_FIELD_NUMBER: _ClassVar[int]
    conversation: str
    sender_key_distribution: SenderKeyDistribution
    image: ImageMessage
    contact: ContactMessage
    location: LocationMessage
    extended_text: ExtendedTextMessage
    document: DocumentMessage
    audio: AudioMessage
    video: VideoMessage
    call: QuotingAt7
    chat: Opaque
    protocol: ProtocolMessage
    contacts_array: ContactsMessage
    highly_structured: Opaque
    fast_ratchet_key_sender_key_distribution: SenderKeyDistribution
    send_payment: SendPayment
    live_location: LiveLocationMessage
    request_payment: RequestPayment
    decline_payment_request: About
    cancel_payment_request: About
    template: TemplateMessage
    sticker: StickerMessage
    group_invite: GroupInvite
    template_button_reply: TemplateButtonReply
    product: ProductMessage
    device_sent: DeviceSentMessage
    message_context_info: MessageContextInfo
    list: ListMessage
    view_once: Wrapped
    order: OrderMessage
    list_response: ListResponse
    ephemeral: Wrapped
    invoice: Opaque
    buttons: ButtonsMessage
    buttons_response: ButtonsResponse
    payment_invite: Opaque
    interactive: InteractiveMessage
    reaction: Reaction
    sticker_sync_rmr: Opaque
    interactive_response: InteractiveResponse
    poll_creation: PollCreation
    poll_update: About
    keep_in_chat: About
    document_with_caption: Wrapped
    request_phone_number: QuotingAt1
    view_once_v2: Wrapped
    encrypted_reaction: About
    edited: Wrapped
    view_once_v2_extension: Wrapped
    poll_creation_v2: PollCreation
    scheduled_call_creation: Opaque
    group_mentioned: Wrapped
    pin_in_chat: About
    poll_creation_v3: PollCreation
    scheduled_call_edit: About
    ptv: VideoMessage
    bot_invoke: Wrapped
    call_log: Opaque
    message_history_bundle: QuotingAt7
    encrypted_comment: About
    bcall: Opaque
    lottie_sticker: Wrapped
    event: EventMessage
    encrypted_event_response: About
    comment: CommentMessage
    newsletter_admin_invite: NewsletterAdminInvite
    placeholder: Opaque
    secret_encrypted: SecretEncrypted
    album: QuotingAt17
    event_cover_image: Wrapped
    sticker_pack: QuotingAt11
    status_mention: Wrapped
    poll_result_snapshot: QuotingAt3
    poll_creation_option_image: Wrapped
    associated_child: Wrapped
    group_status_mention: Wrapped
    poll_creation_v4: Wrapped
    status_add_yours: Wrapped
    group_status: Wrapped
    rich_response: QuotingAt4
    status_notification: About
    limit_sharing: Wrapped
    bot_task: Wrapped
    question: Wrapped
    message_history_notice: QuotingAt1
    group_status_v2: Wrapped
    bot_forwarded: Wrapped
    status_question_answer: About
    question_reply: Wrapped
    question_response: QuestionResponse
    status_quoted: StatusQuoted
    status_sticker_interaction: About
    poll_creation_v5: PollCreation
    newsletter_follower_invite_v2: NewsletterFollowerInvite
    poll_result_snapshot_v3: QuotingAt3
    def __init__(self, conversation: _Optional[str] = ..., sender_key_distribution: _Optional[_Union[SenderKeyDistribution, _Mapping]] = ..., image: _Optional[_Union[ImageMessage, _Mapping]] = ..., contact: _Optional[_Union[ContactMessage, _Mapping]] = ..., location: _Optional[_Union[LocationMessage, _Mapping]] = ..., extended_text: _Optional[_Union[ExtendedTextMessage, _Mapping]] = ..., document: _Optional[_Union[DocumentMessage, _Mapping]] = ..., audio: _Optional[_Union[AudioMessage, _Mapping]] = ..., video: _Optional[_Union[VideoMessage, _Mapping]] = ..., call: _Optional[_Union[QuotingAt7, _Mapping]] = ..., chat: _Optional[_Union[Opaque, _Mapping]] = ..., protocol: _Optional[_Union[ProtocolMessage, _Mapping]] = ..., contacts_array: _Optional[_Union[ContactsMessage, _Mapping]] = ..., highly_structured: _Optional[_Union[Opaque, _Mapping]] = ..., fast_ratchet_key_sender_key_distribution: _Optional[_Union[SenderKeyDistribution, _Mapping]] = ..., send_payment: _Optional[_Union[SendPayment, _Mapping]] = ..., live_location: _Optional[_Union[LiveLocationMessage, _Mapping]] = ..., request_payment: _Optional[_Union[RequestPayment, _Mapping]] = ..., decline_payment_request: _Optional[_Union[About, _Mapping]] = ..., cancel_payment_request: _Optional[_Union[About, _Mapping]] = ..., template: _Optional[_Union[TemplateMessage, _Mapping]] = ..., sticker: _Optional[_Union[StickerMessage, _Mapping]] = ..., group_invite: _Optional[_Union[GroupInvite, _Mapping]] = ..., template_button_reply: _Optional[_Union[TemplateButtonReply, _Mapping]] = ..., product: _Optional[_Union[ProductMessage, _Mapping]] = ..., device_sent: _Optional[_Union[DeviceSentMessage, _Mapping]] = ..., message_context_info: _Optional[_Union[MessageContextInfo, _Mapping]] = ..., list: _Optional[_Union[ListMessage, _Mapping]] = ..., view_once: _Optional[_Union[Wrapped, _Mapping]] = ..., order: _Optional[_Union[OrderMessage, _Mapping]] = ..., list_response: _Optional[_Union[ListResponse, _Mapping]] = ..., ephemeral: _Optional[_Union[Wrapped, _Mapping]] = ..., invoice: _Optional[_Union[Opaque, _Mapping]] = ..., buttons: _Optional[_Union[ButtonsMessage, _Mapping]] = ..., buttons_response: _Optional[_Union[ButtonsResponse, _Mapping]] = ..., payment_invite: _Optional[_Union[Opaque, _Mapping]] = ..., interactive: _Optional[_Union[InteractiveMessage, _Mapping]] = ..., reaction: _Optional[_Union[Reaction, _Mapping]] = ..., sticker_sync_rmr: _Optional[_Union[Opaque, _Mapping]] = ..., interactive_response: _Optional[_Union[InteractiveResponse, _Mapping]] = ..., poll_creation: _Optional[_Union[PollCreation, _Mapping]] = ..., poll_update: _Optional[_Union[About, _Mapping]] = ..., keep_in_chat: _Optional[_Union[About, _Mapping]] = ..., document_with_caption: _Optional[_Union[Wrapped, _Mapping]] = ..., request_phone_number: _Optional[_Union[QuotingAt1, _Mapping]] = ..., view_once_v2: _Optional[_Union[Wrapped, _Mapping]] = ..., encrypted_reaction: _Optional[_Union[About, _Mapping]] = ..., edited: _Optional[_Union[Wrapped, _Mapping]] = ..., view_once_v2_extension: _Optional[_Union[Wrapped, _Mapping]] = ..., poll_creation_v2: _Optional[_Union[PollCreation, _Mapping]] = ..., scheduled_call_creation: _Optional[_Union[Opaque, _Mapping]] = ..., group_mentioned: _Optional[_Union[Wrapped, _Mapping]] = ..., pin_in_chat: _Optional[_Union[About, _Mapping]] = ..., poll_creation_v3: _Optional[_Union[PollCreation, _Mapping]] = ..., scheduled_call_edit: _Optional[_Union[About, _Mapping]] = ..., ptv: _Optional[_Union[VideoMessage, _Mapping]] = ..., bot_invoke: _Optional[_Union[Wrapped, _Mapping]] = ..., call_log: _Optional[_Union[Opaque, _Mapping]] = ..., message_history_bundle: _Optional[_Union[QuotingAt7, _Mapping]] = ..., encrypted_comment: _Optional[_Union[About, _Mapping]] = ..., bcall: _Optional[_Union[Opaque, _Mapping]] = ..., lottie_sticker: _Optional[_Union[Wrapped, _Mapping]] = ..., event: _Optional[_Union[EventMessage, _Mapping]] = ..., encrypted_event_response: _Optional[_Union[About, _Mapping]] = ..., comment: _Optional[_Union[CommentMessage, _Mapping]] = ..., newsletter_admin_invite: _Optional[_Union[NewsletterAdminInvite, _Mapping]] = ..., placeholder: _Optional[_Union[Opaque, _Mapping]] = ..., secret_encrypted: _Optional[_Union[SecretEncrypted, _Mapping]] = ..., album: _Optional[_Union[QuotingAt17, _Mapping]] = ..., event_cover_image: _Optional[_Union[Wrapped, _Mapping]] = ..., sticker_pack: _Optional[_Union[QuotingAt11, _Mapping]] = ..., status_mention: _Optional[_Union[Wrapped, _Mapping]] = ..., poll_result_snapshot: _Optional[_Union[QuotingAt3, _Mapping]] = ..., poll_creation_option_image: _Optional[_Union[Wrapped, _Mapping]] = ..., associated_child: _Optional[_Union[Wrapped, _Mapping]] = ..., group_status_mention: _Optional[_Union[Wrapped, _Mapping]] = ..., poll_creation_v4: _Optional[_Union[Wrapped, _Mapping]] = ..., status_add_yours: _Optional[_Union[Wrapped, _Mapping]] = ..., group_status: _Optional[_Union[Wrapped, _Mapping]] = ..., rich_response: _Optional[_Union[QuotingAt4, _Mapping]] = ..., status_notification: _Optional[_Union[About, _Mapping]] = ..., limit_sharing: _Optional[_Union[Wrapped, _Mapping]] = ..., bot_task: _Optional[_Union[Wrapped, _Mapping]] = ..., question: _Optional[_Union[Wrapped, _Mapping]] = ..., message_history_notice: _Optional[_Union[QuotingAt1, _Mapping]] = ..., group_status_v2: _Optional[_Union[Wrapped, _Mapping]] = ..., bot_forwarded: _Optional[_Union[Wrapped, _Mapping]] = ..., status_question_answer: _Optional[_Union[About, _Mapping]] = ..., question_reply: _Optional[_Union[Wrapped, _Mapping]] = ..., question_response: _Optional[_Union[QuestionResponse, _Mapping]] = ..., status_quoted: _Optional[_Union[StatusQuoted, _Mapping]] = ..., status_sticker_interaction: _Optional[_Union[About, _Mapping]] = ..., poll_creation_v5: _Optional[_Union[PollCreation, _Mapping]] = ..., newsletter_follower_invite_v2: _Optional[_Union[NewsletterFollowerInvite, _Mapping]] = ..., poll_result_snapshot_v3: _Optional[_Union[QuotingAt3, _Mapping]] = ...) -> None: ...
