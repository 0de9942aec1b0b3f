// One node of a workflow of n8n: held against the node's own description, then run with its parameters as they stand.
//
//     node n8n-workflow-example.mjs '{"workflow": {…}, "node": "Tocsin", "item": {…}, "url": "http://…", "key": "…"}'
//
// Prints what the description forbids and what the node returned, as JSON. n8n itself would be a thousand packages:
// of it there is what the node asks for, and expressions in {{ }} are JavaScript that sees the item as `$json`.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const told = JSON.parse(process.argv[2]);
const node = told.workflow.nodes.find(({ name }) => name === told.node);
const [name, kind] = node.type.split(".");
const [file] = require(`${name}/package.json`).n8n.nodes.filter((path) =>
  path.toLowerCase().includes(`/${kind.toLowerCase()}.node`),
);
const made = new (Object.values(require(`${name}/${file}`))[0])();

const shows = ({ displayOptions }) =>
  Object.entries(displayOptions?.show ?? {}).every(([one, values]) => values.includes(node.parameters[one])) &&
  !Object.entries(displayOptions?.hide ?? {}).some(([one, values]) => values.includes(node.parameters[one]));

function problems({ description }) {
  const shown = description.properties.filter(shows);
  const found = [];
  if (![description.version].flat().includes(node.typeVersion)) found.push(`typeVersion ${node.typeVersion}`);
  for (const { name, required } of description.credentials ?? [])
    if (required && !node.credentials?.[name]) found.push(`credentials ${name} are missing`);
  for (const [one, value] of Object.entries(node.parameters)) {
    const property = shown.find((other) => other.name === one);
    if (!property) found.push(`${one} is no parameter here`);
    else if (property.type === "options" && !property.options.some((other) => other.value === value))
      found.push(`${one} can't be ${value}`);
  }
  for (const { name, required } of shown)
    if (required && !node.parameters[name]) found.push(`${name} is missing`);
  return found;
}

function evaluated(value) {
  if (typeof value !== "string" || !value.startsWith("=")) return value;
  return value.slice(1).replace(/\{\{(.+?)\}\}/g, (_, code) => new Function("$json", `return (${code})`)(told.item));
}

const n8n = {
  getInputData: () => [{ json: told.item }],
  getNode: () => node,
  getNodeParameter: (parameter, item, otherwise) => evaluated(node.parameters[parameter]) ?? otherwise ?? {},
  getCredentials: async () => ({ "server-url": told.url, apikey: told.key }),
  continueOnFail: () => false,
  helpers: {
    returnJsonArray: (items) => [items].flat(),
    request: async ({ method, uri, headers, body }) => {
      const answer = await fetch(uri, { method, headers, body: body && JSON.stringify(body) });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${answer.status} - ${text}`);
      return JSON.parse(text);
    },
  },
};

const result = { problems: problems(made) };
try {
  result.returned = await made.execute.call(n8n);
} catch (error) {
  result.failed = error.message;
}
console.log(JSON.stringify(result));
