"""One machine: the emulator, the local WhatsApp server, the demo. Nothing here is deployed."""
