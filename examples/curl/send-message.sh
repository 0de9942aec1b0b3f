#!/bin/sh
# Sends a text that belongs to no ticket, by Tocsin's HTTP door.
#
#   tocsin sources add alerts --kind api        prints the URL and the key
#   DOOR_URL=https://….on.aws DOOR_KEY=alerts.… ./send-message.sh +6281234567890 'The backup failed.' backup-2026-11-30
#
# The last word is optional: the same key is the same message, however often it is asked for.
set -eu
json() {
    printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' | awk '{ printf "%s%s", sep, $0; sep = "\\n" }'
}
# By the standard input, because everybody on this machine sees the words of a command.
printf 'Authorization: Bearer %s\n' "$DOOR_KEY" | curl --fail-with-body --silent --show-error --retry 4 --max-time 15 \
    -H @- \
    -H "Content-Type: application/json" \
    ${3:+-H "Idempotency-Key: $3"} \
    --data "{\"to\": [\"$(json "$1")\"], \"text\": \"$(json "$2")\"}" \
    "${DOOR_URL%/}/v1/messages"
echo
