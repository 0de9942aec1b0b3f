"""From the socket to SQS: nothing is acknowledged to WhatsApp before the queue has it."""
