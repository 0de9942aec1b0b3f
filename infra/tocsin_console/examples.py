"""What each command's `--help` shows of how it is typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "tocsin accounts": ("tocsin accounts",),
    "tocsin accounts add": (
        "tocsin accounts add billing",
        "tocsin pair --account billing",
    ),
    "tocsin accounts list": ("tocsin accounts list",),
    "tocsin accounts remove": ("tocsin accounts remove billing",),
    "tocsin adopt": (
        "tocsin adopt",
        "tocsin adopt --from tocsin-old --reset",
    ),
    "tocsin audit": (
        "tocsin audit --since 7d",
        "tocsin audit --who dewi --what source",
        "tocsin audit --since 2026-11-01 --until 2026-12-01 --most 10000 --json > november.jsonl",
    ),
    "tocsin check": (
        "tocsin check event.json",
        "tocsin check --type TicketResolved --default-region MX ticket.json",
        "my-ticketing-system --print-event | tocsin check -",
    ),
    "tocsin completion": (
        "tocsin completion fish > ~/.config/fish/completions/tocsin.fish",
        """echo 'eval "$(tocsin completion bash)"' >> ~/.bashrc""",
        """echo 'eval "$(tocsin completion zsh)"' >> ~/.zshrc""",
    ),
    "tocsin console": (
        "tocsin console --browser",
        "tocsin console --port 8000",
    ),
    "tocsin dead-letters": (
        "tocsin dead-letters",
        "tocsin dead-letters --queue events",
    ),
    "tocsin dead-letters drop": (
        "tocsin dead-letters drop --reason not-on-whatsapp --dry-run",
        "tocsin dead-letters drop b9d8b0e03013186c94",
    ),
    "tocsin dead-letters list": (
        "tocsin dead-letters list",
        "tocsin dead-letters list --queue events",
    ),
    "tocsin dead-letters redrive": (
        "tocsin dead-letters redrive --reason server-error --since 2h --dry-run",
        "tocsin dead-letters redrive --ticket TCK-1042",
        "tocsin dead-letters redrive --all --yes",
    ),
    "tocsin dead-letters show": ("tocsin dead-letters show b9d8b0e03013186c94 --text",),
    "tocsin deploy": (
        "tocsin deploy --dry-run",
        "tocsin deploy --set HttpDoor=on --set DefaultRegion=MX",
        "tocsin deploy --yes",
    ),
    "tocsin doctor": (
        "tocsin doctor",
        "tocsin doctor --before-deploy",
        "tocsin doctor --json",
    ),
    "tocsin explain": (
        "tocsin explain TCK-1042",
        "tocsin explain b9d8b0e03013186c94 --text",
        "tocsin explain 0812-3456-7890",
        "tocsin explain TCK-1042 --reveal",
    ),
    "tocsin groups": ("tocsin groups --account default",),
    "tocsin hooks": ("tocsin hooks",),
    "tocsin hooks add": (
        "tocsin hooks add https://desk.example.com/tocsin --events notification.failed,reply.received",
    ),
    "tocsin hooks deliveries": ("tocsin hooks deliveries h-1a2b3c4d --dead",),
    "tocsin hooks list": ("tocsin hooks list",),
    "tocsin hooks pause": ("tocsin hooks pause h-1a2b3c4d",),
    "tocsin hooks remove": ("tocsin hooks remove h-1a2b3c4d",),
    "tocsin hooks resend": ("tocsin hooks resend h-1a2b3c4d --dead", "tocsin hooks resend --crashed"),
    "tocsin hooks resume": ("tocsin hooks resume h-1a2b3c4d",),
    "tocsin hooks rotate": ("tocsin hooks rotate h-1a2b3c4d",),
    "tocsin hooks test": ("tocsin hooks test h-1a2b3c4d",),
    "tocsin pair": (
        "tocsin pair",
        "tocsin pair --code 0812-3456-7890",
        "tocsin pair --account billing",
    ),
    "tocsin pause": (
        "tocsin pause",
        "tocsin pause --audience technician",
    ),
    "tocsin people confirm": ("tocsin people confirm 0812-3456-7890",),
    "tocsin people forget": (
        "tocsin people forget 0812-3456-7890 --dry-run",
        "tocsin people forget 0812-3456-7890",
    ),
    "tocsin people invite": ("tocsin people invite 0812-3456-7890 --file invite.svg",),
    "tocsin people opt-outs": ("tocsin people opt-outs",),
    "tocsin people opt-outs add": ("tocsin people opt-outs add 0812-3456-7890",),
    "tocsin people opt-outs list": ("tocsin people opt-outs list",),
    "tocsin people opt-outs remove": ("tocsin people opt-outs remove 0812-3456-7890",),
    "tocsin people show": (
        "tocsin people show 0812-3456-7890",
        "tocsin people show 1234@lid",
    ),
    "tocsin reconnect": ("tocsin reconnect --account default",),
    "tocsin recoveries": ("tocsin recoveries --days 30",),
    "tocsin resume": ("tocsin resume",),
    "tocsin self-test": (
        "tocsin self-test",
        "tocsin self-test --account billing --wait 300",
    ),
    "tocsin send": (
        "tocsin send --to 0812-3456-7890 --name Siti",
        "tocsin send --to +6281234567890 --attach photo.jpg",
    ),
    "tocsin sessions": ("tocsin sessions",),
    "tocsin sessions clean": (
        "tocsin sessions clean 0812-3456-7890 --device 1",
        "tocsin sessions clean --all --dry-run",
    ),
    "tocsin sessions list": ("tocsin sessions list --limit 0",),
    "tocsin sessions reset": (
        "tocsin sessions reset --dry-run",
        "tocsin sessions reset --account default",
    ),
    "tocsin sessions show": ("tocsin sessions show 0812-3456-7890",),
    "tocsin settings": (
        "tocsin settings",
        "tocsin settings set retries 5 --audience customer",
        "tocsin settings undo",
    ),
    "tocsin settings history": ("tocsin settings history",),
    "tocsin settings list": ("tocsin settings list --json",),
    "tocsin settings reset": ("tocsin settings reset retries",),
    "tocsin settings restore": ("tocsin settings restore 12",),
    "tocsin settings set": ("tocsin settings set retries 5 --audience customer",),
    "tocsin settings show": ("tocsin settings show retries",),
    "tocsin settings undo": ("tocsin settings undo",),
    "tocsin sources": ("tocsin sources",),
    "tocsin sources add": (
        "tocsin sources add zammad --kind zammad",
        "tocsin sources add tool --kind evolution --recipient +62",
    ),
    "tocsin sources change": ("tocsin sources change mine --mapping mine.json",),
    "tocsin sources kinds": (
        "tocsin sources kinds",
        "tocsin sources kinds zammad > mine.json",
    ),
    "tocsin sources list": ("tocsin sources list",),
    "tocsin sources pause": ("tocsin sources pause zammad",),
    "tocsin sources remove": ("tocsin sources remove zammad",),
    "tocsin sources resume": ("tocsin sources resume zammad",),
    "tocsin sources rotate": ("tocsin sources rotate zammad --hours 48",),
    "tocsin sources show": ("tocsin sources show zammad",),
    "tocsin sources test": ("tocsin sources test zammad --sample webhook.json",),
    "tocsin status": (
        "tocsin status",
        "tocsin status --check --json",
    ),
    "tocsin tail": (
        "tocsin tail",
        "tocsin tail --ticket TCK-1042",
        "tocsin tail --person 0812-3456-7890 --state failed",
        "tocsin tail --json --seconds 60 > changes.jsonl",
    ),
    "tocsin unpair": (
        "tocsin unpair --account billing",
        "tocsin unpair --withdraw",
    ),
    "tocsin waiting": ("tocsin waiting", "tocsin waiting --heads"),
    "tocsin waiting cancel": ("tocsin waiting cancel b9d8b0e03013186c94",),
    "tocsin waiting list": ("tocsin waiting list --heads",),
    "tocsin waiting release": ("tocsin waiting release b9d8b0e03013186c94",),
}


def epilog_of(command: str) -> str:
    """The end of its help."""
    lines = EXAMPLES.get(command, ())
    return "\n".join(("examples:" if len(lines) > 1 else "example:", *(f"  {line}" for line in lines)))
