// The node of n8n for Evolution API, from npm, with as much of n8n around it as it asks for.
//
//     node n8n-evolution.mjs '{"operation": "messages/sendText", "url": "http://…", "key": "…", "parameters": {…}}'
//
// Prints what the node returns as JSON. A status that isn't 2xx is an error to it, as n8n's own helper has it.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const told = JSON.parse(process.argv[2]);
const name = told.operation.split("/")[1];
const { [name]: run } = require(
  `n8n-nodes-evolution-api/dist/nodes/EvolutionApi/execute/${told.operation}.js`,
);

const n8n = {
  getInputData: () => [{ json: {} }],
  getNode: () => ({ name: "Evolution API" }),
  getNodeParameter: (parameter, item, otherwise) => told.parameters[parameter] ?? otherwise ?? {},
  getCredentials: async () => ({ "server-url": told.url, apikey: told.key }),
  continueOnFail: () => false,
  helpers: {
    request: async ({ method, uri, headers, body }) => {
      const answer = await fetch(uri, { method, headers, body: body && JSON.stringify(body) });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${answer.status} - ${text}`);
      return JSON.parse(text);
    },
  },
};

try {
  console.log(JSON.stringify(await run(n8n)));
} catch (error) {
  console.log(JSON.stringify({ failed: error.message }));
}
