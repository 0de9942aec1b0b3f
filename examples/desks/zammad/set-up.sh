#!/bin/sh
# Makes a webhook and a trigger in Zammad, which tell customers by WhatsApp that their ticket is resolved.
#
#   ZAMMAD=https://desk.example.com ZAMMAD_TOKEN=… DOOR_URL=https://….lambda-url.….on.aws SECRET=… ./set-up.sh
#
# DOOR_URL and SECRET are what `tocsin sources add zammad --kind zammad` prints.
set -eu
here=$(dirname "$0")
post() {
    curl --fail --silent --show-error -H "Authorization: Token token=$ZAMMAD_TOKEN" \
        -H "Content-Type: application/json" --data "$2" "$ZAMMAD/api/v1/$1"
}
webhook=$(sed -e "s|DOOR_URL|${DOOR_URL%/}|" -e "s|SECRET|$SECRET|" "$here/webhook.json")
id=$(post webhooks "$webhook" | sed 's/.*"id":\([0-9]*\).*/\1/')
trigger=$(sed -e "s|\"WEBHOOK_ID\"|$id|" "$here/trigger.json")
post triggers "$trigger" > /dev/null
echo "webhook $id and its trigger are made"
