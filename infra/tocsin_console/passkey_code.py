"""The code that an operator runs on WhatsApp's own page to use the account's passkey.

Only a page of `https://web.whatsapp.com` can ask for that passkey, and its content security policy lets
nothing out: so the answer is copied and pasted. `options` is JSON in ASCII, encoded anew by the connector
(`whatsapp.passkey.Options.ascii_json`): it becomes code here, so nothing of the network's own bytes is in
it.
"""

from __future__ import annotations

import json
from typing import Any

PAGE = "https://web.whatsapp.com"


class NotOptions(ValueError):
    """What the table shows as options isn't what a connector writes: it must not become code."""


def checked(options: str) -> dict[str, Any]:
    """The options, read and looked at once more before they are shown as code. Raises NotOptions."""
    from tocsin.whatsapp.errors import InvalidStanza
    from tocsin.whatsapp.passkey import parse_options

    try:
        read = parse_options(options.encode())
    except InvalidStanza as refused:
        raise NotOptions(refused.reason) from None
    if read.ascii_json() != options:
        raise NotOptions("options that aren't in the form of a connector")
    found: dict[str, Any] = json.loads(options)
    return found


def one_line(options: str) -> str:
    """For Chromium and Firefox. `copy` exists only at the console's top level."""
    asked = f"PublicKeyCredential.parseRequestOptionsFromJSON({options})"
    return f"copy(JSON.stringify(await navigator.credentials.get({{publicKey: {asked}}})))"


def with_button(options: str) -> str:
    """For Safari, which wants a press of a button, and for older browsers. Shows what is to be copied as
    well: the clipboard may be refused while the console has the focus. No `innerHTML`: the page may enforce
    Trusted Types."""
    return _BUTTON.replace("OPTIONS", options)


_BUTTON = """\
(() => {
  const options = OPTIONS;
  const bytes = t => Uint8Array.from(atob(t.replace(/-/g, "+").replace(/_/g, "/")), c => c.charCodeAt(0));
  const text = b => btoa(String.fromCharCode(...new Uint8Array(b)))
    .replace(/\\+/g, "-").replace(/\\//g, "_").replace(/=+$/, "");
  const box = document.createElement("dialog"), button = document.createElement("button");
  const answer = document.createElement("textarea");
  button.textContent = "Use the passkey";
  button.onclick = async () => {
    try {
      const allowCredentials = (options.allowCredentials ?? []).map(c => ({ ...c, id: bytes(c.id) }));
      const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials };
      const { id, rawId, type, response: r } = await navigator.credentials.get({ publicKey });
      answer.value = JSON.stringify({ id, rawId: text(rawId), type, response: {
        clientDataJSON: text(r.clientDataJSON), authenticatorData: text(r.authenticatorData),
        signature: text(r.signature), userHandle: r.userHandle ? text(r.userHandle) : null } });
      answer.select();
      button.textContent = "Copy the text below into Tocsin";
      await navigator.clipboard.writeText(answer.value);
      button.textContent = "Copied: paste it into Tocsin";
    } catch (e) {
      if (!answer.value) button.textContent = `${e.name}: press to try again`;
    }
  };
  box.append(button, document.createElement("br"), answer);
  document.body.append(box);
  box.showModal();
})();"""
