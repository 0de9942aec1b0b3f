// Sends a text that belongs to no ticket, by Tocsin's HTTP door. Node 20 or newer, and nothing else.
//
//   tocsin sources add shop --kind api          prints the URL and the key
//   DOOR_URL=https://….on.aws DOOR_KEY=shop.… node send-message.mjs
import { setTimeout as sleep } from "node:timers/promises";

const ATTEMPTS = 5;

const message = {
  to: ["+62 812 3456 7890"],
  text: "Your order 7001 is on its way.",
  language: "en",
};
// The same key is the same message, however often it is asked for.
const key = "order-7001-sent";

async function post(path, body) {
  for (let attempt = 1; ; attempt++) {
    let said;
    let wait = 2 ** attempt;
    try {
      const answer = await fetch(process.env.DOOR_URL.replace(/\/+$/, "") + path, {
        method: "POST",
        headers: {
          authorization: `Bearer ${process.env.DOOR_KEY}`,
          "content-type": "application/json",
          "idempotency-key": key,
        },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(15_000),
      });
      if (answer.ok) return answer.json();
      said = `${answer.status}: ${await answer.text()}`;
      if (![429, 500, 502, 503, 504].includes(answer.status)) throw new Error(said);
      wait = Number(answer.headers.get("retry-after") ?? wait);
    } catch (error) {
      if (said !== undefined) throw error;
      said = `the door can't be reached: ${error.message}`;
    }
    if (attempt === ATTEMPTS) throw new Error(said);
    await sleep(wait * 1000);
  }
}

try {
  console.log(await post("/v1/messages", message));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
