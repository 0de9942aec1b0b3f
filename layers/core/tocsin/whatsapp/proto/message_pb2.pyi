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
    __slots__ = ("stanza_id", "participant", "quoted_message", "expiration")
    STANZA_ID_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_FIELD_NUMBER: _ClassVar[int]
    QUOTED_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    EXPIRATION_FIELD_NUMBER: _ClassVar[int]
    stanza_id: str
    participant: str
    quoted_message: Message
    expiration: int
    def __init__(self, stanza_id: _Optional[str] = ..., participant: _Optional[str] = ..., quoted_message: _Optional[_Union[Message, _Mapping]] = ..., expiration: _Optional[int] = ...) -> None: ...

class Wrapped(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: Message
    def __init__(self, message: _Optional[_Union[Message, _Mapping]] = ...) -> None: ...

class Opaque(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SenderKeyDistribution(_message.Message):
    __slots__ = ("group_id", "distribution")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    distribution: bytes
    def __init__(self, group_id: _Optional[str] = ..., distribution: _Optional[bytes] = ...) -> None: ...

class ImageMessage(_message.Message):
    __slots__ = ("url", "mimetype", "caption", "file_sha256", "file_length", "height", "width", "media_key", "file_enc_sha256", "direct_path", "media_key_timestamp", "context_info")
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
    def __init__(self, url: _Optional[str] = ..., mimetype: _Optional[str] = ..., caption: _Optional[str] = ..., file_sha256: _Optional[bytes] = ..., file_length: _Optional[int] = ..., height: _Optional[int] = ..., width: _Optional[int] = ..., media_key: _Optional[bytes] = ..., file_enc_sha256: _Optional[bytes] = ..., direct_path: _Optional[str] = ..., media_key_timestamp: _Optional[int] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

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
    __slots__ = ("url", "mimetype", "title", "file_sha256", "file_length", "media_key", "file_name", "file_enc_sha256", "direct_path", "media_key_timestamp", "context_info", "caption")
    URL_FIELD_NUMBER: _ClassVar[int]
    MIMETYPE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    FILE_SHA256_FIELD_NUMBER: _ClassVar[int]
    FILE_LENGTH_FIELD_NUMBER: _ClassVar[int]
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
    media_key: bytes
    file_name: str
    file_enc_sha256: bytes
    direct_path: str
    media_key_timestamp: int
    context_info: ContextInfo
    caption: str
    def __init__(self, url: _Optional[str] = ..., mimetype: _Optional[str] = ..., title: _Optional[str] = ..., file_sha256: _Optional[bytes] = ..., file_length: _Optional[int] = ..., media_key: _Optional[bytes] = ..., file_name: _Optional[str] = ..., file_enc_sha256: _Optional[bytes] = ..., direct_path: _Optional[str] = ..., media_key_timestamp: _Optional[int] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ..., caption: _Optional[str] = ...) -> None: ...

class VideoMessage(_message.Message):
    __slots__ = ("caption", "context_info")
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    caption: str
    context_info: ContextInfo
    def __init__(self, caption: _Optional[str] = ..., context_info: _Optional[_Union[ContextInfo, _Mapping]] = ...) -> None: ...

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
    __slots__ = ("key", "type", "ephemeral_expiration", "history_sync_notification", "edited_message", "timestamp_ms", "peer_data_request", "peer_data_response", "lid_migration_mapping")
    KEY_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_EXPIRATION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_SYNC_NOTIFICATION_FIELD_NUMBER: _ClassVar[int]
    EDITED_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    PEER_DATA_REQUEST_FIELD_NUMBER: _ClassVar[int]
    PEER_DATA_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    LID_MIGRATION_MAPPING_FIELD_NUMBER: _ClassVar[int]
    key: MessageKey
    type: int
    ephemeral_expiration: int
    history_sync_notification: HistorySyncNotification
    edited_message: Message
    timestamp_ms: int
    peer_data_request: PeerDataRequest
    peer_data_response: PeerDataResponse
    lid_migration_mapping: LidMigrationMapping
    def __init__(self, key: _Optional[_Union[MessageKey, _Mapping]] = ..., type: _Optional[int] = ..., ephemeral_expiration: _Optional[int] = ..., history_sync_notification: _Optional[_Union[HistorySyncNotification, _Mapping]] = ..., edited_message: _Optional[_Union[Message, _Mapping]] = ..., timestamp_ms: _Optional[int] = ..., peer_data_request: _Optional[_Union[PeerDataRequest, _Mapping]] = ..., peer_data_response: _Optional[_Union[PeerDataResponse, _Mapping]] = ..., lid_migration_mapping: _Optional[_Union[LidMigrationMapping, _Mapping]] = ...) -> None: ...

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
        __slots__ = ("id", "tc_token", "tc_token_timestamp", "tc_token_sender_timestamp", "pn_jid", "lid_jid")
        ID_FIELD_NUMBER: _ClassVar[int]
        TC_TOKEN_FIELD_NUMBER: _ClassVar[int]
        TC_TOKEN_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
        TC_TOKEN_SENDER_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
        PN_JID_FIELD_NUMBER: _ClassVar[int]
        LID_JID_FIELD_NUMBER: _ClassVar[int]
        id: str
        tc_token: bytes
        tc_token_timestamp: int
        tc_token_sender_timestamp: int
        pn_jid: str
        lid_jid: str
        def __init__(self, id: _Optional[str] = ..., tc_token: _Optional[bytes] = ..., tc_token_timestamp: _Optional[int] = ..., tc_token_sender_timestamp: _Optional[int] = ..., pn_jid: _Optional[str] = ..., lid_jid: _Optional[str] = ...) -> None: ...
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
    __slots__ = ("conversation", "sender_key_distribution", "image", "contact", "location", "extended_text", "document", "audio", "video", "protocol", "sticker", "template_button_reply", "device_sent", "message_context_info", "view_once", "list_response", "ephemeral", "buttons_response", "reaction", "interactive_response", "poll_update", "document_with_caption", "view_once_v2", "encrypted_reaction", "edited", "view_once_v2_extension", "bot_invoke", "encrypted_edit", "associated_child", "group_status", "group_status_v2")
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    SENDER_KEY_DISTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    EXTENDED_TEXT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    STICKER_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_BUTTON_REPLY_FIELD_NUMBER: _ClassVar[int]
    DEVICE_SENT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_CONTEXT_INFO_FIELD_NUMBER: _ClassVar[int]
    VIEW_ONCE_FIELD_NUMBER: _ClassVar[int]
    LIST_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_FIELD_NUMBER: _ClassVar[int]
    BUTTONS_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    REACTION_FIELD_NUMBER: _ClassVar[int]
    INTERACTIVE_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    POLL_UPDATE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_WITH_CAPTION_FIELD_NUMBER: _ClassVar[int]
    VIEW_ONCE_V2_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_REACTION_FIELD_NUMBER: _ClassVar[int]
    EDITED_FIELD_NUMBER: _ClassVar[int]
    VIEW_ONCE_V2_EXTENSION_FIELD_NUMBER: _ClassVar[int]
    BOT_INVOKE_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_EDIT_FIELD_NUMBER: _ClassVar[int]
    ASSOCIATED_CHILD_FIELD_NUMBER: _ClassVar[int]
    GROUP_STATUS_FIELD_NUMBER: _ClassVar[int]
    GROUP_STATUS_V2_FIELD_NUMBER: _ClassVar[int]
    conversation: str
    sender_key_distribution: SenderKeyDistribution
    image: ImageMessage
    contact: Opaque
    location: Opaque
    extended_text: ExtendedTextMessage
    document: DocumentMessage
    audio: Opaque
    video: VideoMessage
    protocol: ProtocolMessage
    sticker: Opaque
    template_button_reply: TemplateButtonReply
    device_sent: DeviceSentMessage
    message_context_info: MessageContextInfo
    view_once: Wrapped
    list_response: ListResponse
    ephemeral: Wrapped
    buttons_response: ButtonsResponse
    reaction: Reaction
    interactive_response: InteractiveResponse
    poll_update: Opaque
    document_with_caption: Wrapped
    view_once_v2: Wrapped
    encrypted_reaction: Opaque
    edited: Wrapped
    view_once_v2_extension: Wrapped
    bot_invoke: Wrapped
    encrypted_edit: Opaque
    associated_child: Wrapped
    group_status: Wrapped
    group_status_v2: Wrapped
    def __init__(self, conversation: _Optional[str] = ..., sender_key_distribution: _Optional[_Union[SenderKeyDistribution, _Mapping]] = ..., image: _Optional[_Union[ImageMessage, _Mapping]] = ..., contact: _Optional[_Union[Opaque, _Mapping]] = ..., location: _Optional[_Union[Opaque, _Mapping]] = ..., extended_text: _Optional[_Union[ExtendedTextMessage, _Mapping]] = ..., document: _Optional[_Union[DocumentMessage, _Mapping]] = ..., audio: _Optional[_Union[Opaque, _Mapping]] = ..., video: _Optional[_Union[VideoMessage, _Mapping]] = ..., protocol: _Optional[_Union[ProtocolMessage, _Mapping]] = ..., sticker: _Optional[_Union[Opaque, _Mapping]] = ..., template_button_reply: _Optional[_Union[TemplateButtonReply, _Mapping]] = ..., device_sent: _Optional[_Union[DeviceSentMessage, _Mapping]] = ..., message_context_info: _Optional[_Union[MessageContextInfo, _Mapping]] = ..., view_once: _Optional[_Union[Wrapped, _Mapping]] = ..., list_response: _Optional[_Union[ListResponse, _Mapping]] = ..., ephemeral: _Optional[_Union[Wrapped, _Mapping]] = ..., buttons_response: _Optional[_Union[ButtonsResponse, _Mapping]] = ..., reaction: _Optional[_Union[Reaction, _Mapping]] = ..., interactive_response: _Optional[_Union[InteractiveResponse, _Mapping]] = ..., poll_update: _Optional[_Union[Opaque, _Mapping]] = ..., document_with_caption: _Optional[_Union[Wrapped, _Mapping]] = ..., view_once_v2: _Optional[_Union[Wrapped, _Mapping]] = ..., encrypted_reaction: _Optional[_Union[Opaque, _Mapping]] = ..., edited: _Optional[_Union[Wrapped, _Mapping]] = ..., view_once_v2_extension: _Optional[_Union[Wrapped, _Mapping]] = ..., bot_invoke: _Optional[_Union[Wrapped, _Mapping]] = ..., encrypted_edit: _Optional[_Union[Opaque, _Mapping]] = ..., associated_child: _Optional[_Union[Wrapped, _Mapping]] = ..., group_status: _Optional[_Union[Wrapped, _Mapping]] = ..., group_status_v2: _Optional[_Union[Wrapped, _Mapping]] = ...) -> None: ...
