"""A run without vectors must not look like a run that passed."""

from tests.vectors.folder import FOLDER

KNOWN = {
    "adv",
    "jids",
    "nodes",
    "nodes-malformed",
    "noise",
    "pairing",
    "ratchet",
    "replies",
    "sender-key",
    "signal-kdf",
    "x3dh",
    "xeddsa",
}


def test_the_folder_holds_vectors() -> None:
    found = {path.stem for path in FOLDER.glob("*.json")} & KNOWN
    assert found, f"no vectors in {FOLDER}"
