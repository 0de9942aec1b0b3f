#!/bin/sh
# Sends a text that belongs to no ticket, by Tocsin's HTTP door.
#
#   tocsin sources add alerts --kind api        prints the URL and the key
#   DOOR_URL=https://….on.aws DOOR_KEY=alerts.… ./send-message.sh +6281234567890 'The backup failed.' backup-2026-11-30
#
# The last word is optional: the same key is the same message, however often it is asked for.
set -eu
text=$(printf '%s' "$2" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' | awk '{ printf "%s%s", sep, $0; sep = "\\n" }')
curl --fail-with-body --silent --show-error --retry 4 --max-time 15 \
    -H "Authorization: Bearer $DOOR_KEY" \
    -H "Content-Type: application/json" \
    ${3:+-H "Idempotency-Key: $3"} \
    --data "{\"to\": [\"$1\"], \"text\": \"$text\"}" \
    "${DOOR_URL%/}/v1/messages"
echo
