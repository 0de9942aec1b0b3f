<?php
// Receives outcomes of Tocsin as webhooks. PHP 8, without any library: with Composer, standard-webhooks/standard-webhooks
// does the same.
//
//   tocsin hooks add https://desk.example.com/receiver.php    prints the secret
//   WEBHOOK_SECRET=whsec_…                                     in the environment of PHP

declare(strict_types=1);

const TOLERANCE_SECONDS = 300;

/** Your part: write it into the ticket. It may be told twice, with the same id. */
function told(string $id, array $outcome): void
{
    $about = $outcome['data'];
    $words = $about['text'] ?? $about['reason'] ?? '';
    error_log("{$outcome['type']} {$about['ticket_id']} $words");
}

/** Whether it is signed with the secret, as Standard Webhooks has it. */
function isSigned(string $secret, string $id, string $time, string $signatures, string $body): bool
{
    if (!preg_match('/^\d{1,12}$/D', $time) || abs(time() - (int) $time) > TOLERANCE_SECONDS) {
        return false;
    }
    $key = base64_decode(substr($secret, strlen('whsec_')), true);
    // With an empty one anybody could sign.
    if (!str_starts_with($secret, 'whsec_') || strlen((string) $key) < 24) {
        throw new RuntimeException('WEBHOOK_SECRET is not what tocsin hooks add printed');
    }
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$time.$body", $key, true));
    // While the secret is changed, there are two.
    foreach (explode(' ', $signatures) as $one) {
        if (hash_equals($expected, $one)) {
            return true;
        }
    }
    return false;
}

// Unless all goes well: PHP says 200 of a program that broke off, and the outcome would be lost.
http_response_code(500);
// What is verified are the bytes that came, and not what was parsed of them.
$body = file_get_contents('php://input');
$id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
$time = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
$signatures = $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '';
if ($id === '' || !isSigned(getenv('WEBHOOK_SECRET'), $id, $time, $signatures, $body)) {
    http_response_code(401);
    exit;
}
told($id, json_decode($body, true, 64, JSON_THROW_ON_ERROR));
// Any 2xx within 15 seconds: do what takes longer after the answer.
http_response_code(204);
