<?php
// Tells Tocsin of a ticket by its HTTP door. PHP 8, without any library.
//
//   tocsin sources add billing --kind api       prints the URL and the key
//   DOOR_URL=https://….on.aws DOOR_KEY=billing.… php tell_ticket.php

declare(strict_types=1);

const ATTEMPTS = 5;

$ticket = [
    'event' => 'created', // created, assigned, updated, replied, resolved
    // The same id with the same revision is the same change: to tell it twice tells nobody twice.
    'ticket' => ['id' => 'TCK-1042', 'revision' => 1, 'subject' => 'No internet since 09:00'],
    'customer' => ['name' => 'Siti', 'phone' => '+62 812 3456 7890', 'language' => 'id'],
];

/** What the door answers. Tries again what may pass, with the same key. */
function post(string $path, array $body, string $key): array
{
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => [
            'Authorization: Bearer ' . getenv('DOOR_KEY'),
            'Content-Type: application/json',
            "Idempotency-Key: $key",
        ],
        'content' => json_encode($body, JSON_THROW_ON_ERROR),
        'timeout' => 15,
        'ignore_errors' => true,
        'follow_location' => 0,
    ]]);
    for ($attempt = 1; ; $attempt++) {
        $stream = @fopen(rtrim(getenv('DOOR_URL'), '/') . $path, 'r', false, $context);
        $headers = $stream ? stream_get_meta_data($stream)['wrapper_data'] : [];
        $said = $stream ? stream_get_contents($stream) : '';
        // 0: nobody answered, or not in time.
        $status = (int) (explode(' ', $headers[0] ?? '')[1] ?? 0);
        if ($status >= 200 && $status < 300) {
            return json_decode($said, true, 64, JSON_THROW_ON_ERROR);
        }
        $mayPass = in_array($status, [0, 429, 500, 502, 503, 504], true);
        if (!$mayPass || $attempt === ATTEMPTS) {
            throw new RuntimeException($status === 0 ? "the door can't be reached" : "$status: $said");
        }
        $asked = preg_grep('/^retry-after: *\d+$/i', $headers);
        sleep($asked ? (int) explode(':', end($asked))[1] : 2 ** $attempt);
    }
}

try {
    $key = "{$ticket['ticket']['id']}/{$ticket['ticket']['revision']}";
    echo json_encode(post('/v1/tickets', $ticket, $key)), PHP_EOL;
} catch (RuntimeException $error) {
    fwrite(STDERR, $error->getMessage() . PHP_EOL);
    exit(1);
}
