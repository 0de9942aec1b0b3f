"""What is shown of sources: each with when it was heard last, and what was refused last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.door.sources import DamagedSource, Source
from tocsin.tables.notifications import SOURCE_USE, SOURCES, source_use_key
from tocsin_console import source_urls
from tocsin_console.output import Output, moment, with_json_moments
from tocsin_console.source_records import find, read_record

if TYPE_CHECKING:
    from tocsin.dynamo.writes import Item
    from tocsin_console.deployment import Deployment


def list_sources(deployment: Deployment, output: Output) -> None:
    """Print every source, when it was heard last, and what was refused last."""
    uses = {str(item["sk"]): item for item in deployment.outside_table.query(SOURCE_USE)}
    rows: list[tuple[object, ...]] = []
    for item in deployment.outside_table.query(SOURCES):
        name = str(item["sk"])
        use = uses.get(name, {})
        try:
            source = read_record(deployment, name, item)
        except DamagedSource as damage:
            rows.append((name, "?", "?", f"damaged ({damage})", "-", "", "-"))
            output.record({"source": name, "damaged": str(damage)})
            continue
        output.record({**told_source(source), **told_use(use)})
        state = "paused" if source.paused else "active"
        rows.append(
            (
                name,
                source.kind,
                deployment.names.labels(source.accounts),
                state,
                _number(use, "heard"),
                moment(_number(use, "used_at")),
                _refusal(use),
            )
        )
    if not rows:
        output.say("there is no source: tocsin sources add NAME --kind api")
        return
    output.table(["SOURCE", "KIND", "ACCOUNTS", "STATE", "HEARD", "LAST", "LAST REFUSAL"], rows)


def show(deployment: Deployment, name: str, output: Output) -> None:
    """Explain one source. Raises NotFound."""
    source = find(deployment, name)
    use: Item = deployment.outside_table.get(source_use_key(name)) or {}
    output.record({**told_source(source), **told_use(use)})
    url = deployment.outputs.get("DoorUrl", "")
    for line in source_urls.lines(source.kind, url, name, source.account, "its key") if url else ():
        output.say(line)
    output.say(f"kind        {source.kind}{' (a file of your own)' if source.mapping else ''}")
    output.say(f"accounts    {deployment.names.labels(source.accounts)}")
    output.say(f"language    {source.language or '-'}")
    output.say(f"audiences   {', '.join(source.audiences) or 'all'}")
    output.say(f"recipients  {', '.join(source.recipients) or 'all'}")
    output.say(f"per minute  {source.per_minute}")
    for option, value in source.options.items():
        output.say(f"option      {option}={value}")
    output.say(f"state       {'paused' if source.paused else 'active'}")
    if source.former_until:
        output.say(f"former key  counts until {moment(source.former_until)}")
    output.say(f"heard       {_number(use, 'heard')}, last {moment(_number(use, 'used_at'))}")
    output.say(f"refused     {_number(use, 'refused')}, last {_refusal(use)}")
    output.say("            counts may lag a minute, and of a quiet source until its next request")


def told_source(source: Source) -> dict[str, Any]:
    return {
        "source": source.name,
        "kind": source.kind,
        "accounts": list(source.accounts),
        "language": source.language,
        "audiences": list(source.audiences),
        "recipients": list(source.recipients),
        "per_minute": source.per_minute,
        "paused": source.paused,
        "options": dict(source.options),
        "own_file": bool(source.mapping),
    }


def told_use(use: Item) -> dict[str, Any]:
    names = ("heard", "used_at", "refused", "refused_at", "refusal")
    told = {name: use[name] for name in names if name in use}
    return with_json_moments(told, "used_at", "refused_at")


def _number(use: Item, name: str) -> int:
    value = use.get(name, 0)
    return value if isinstance(value, int) else 0


def _refusal(use: Item) -> str:
    at = _number(use, "refused_at")
    return f"{use.get('refusal', '?')} at {moment(at)}" if at else "-"
