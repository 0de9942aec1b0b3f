"""What WhatsApp sends us: messages, receipts, and news about devices."""
