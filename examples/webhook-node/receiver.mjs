// Receives outcomes of Tocsin as webhooks, verified by the library of Standard Webhooks.
//
//   npm install standardwebhooks
//   tocsin hooks add https://desk.example.com/tocsin          prints the secret
//   WEBHOOK_SECRET=whsec_… node receiver.mjs                   behind whatever speaks HTTPS for it
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const port = Number(process.env.PORT ?? 8000);
// No outcome is longer. Whoever isn't known yet gets no more room than that.
const MAX_BYTES = 1_000_000;
const webhook = new Webhook(process.env.WEBHOOK_SECRET);

// An outcome may come twice. A program that lives longer keeps this in its database.
const seen = new Set();

// Your part: write it into the ticket.
function told({ type, data }) {
  console.log(type, data.ticket_id, data.text ?? data.reason ?? "");
}

createServer(async (request, response) => {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) return response.writeHead(413, { connection: "close" }).end();
    chunks.push(chunk);
  }
  let outcome;
  try {
    // What is verified are the bytes that came, and not what was parsed of them.
    outcome = webhook.verify(Buffer.concat(chunks).toString("utf8"), request.headers);
  } catch {
    return response.writeHead(401).end();
  }
  const name = request.headers["webhook-id"];
  if (!seen.has(name)) {
    told(outcome);
    seen.add(name);
  }
  // Any 2xx within 15 seconds: do what takes longer after the answer.
  return response.writeHead(204).end();
}).listen(port, "127.0.0.1", function () {
  console.log("listening on port", this.address().port);
});
