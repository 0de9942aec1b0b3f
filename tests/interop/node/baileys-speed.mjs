// How many messages a second Baileys sends (each ack awaited) and receives. It must be linked already.
//
//   node baileys-speed.mjs '{"url": "ws://…", "folder": "keys of a linked client", "keys": "memory" | "files",
//                            "recipients": ["628…", …], "rounds": 200}'
//                                                                   →  {"sequential": 123, "parallel": 456, "processor": 0.002}
//   node baileys-speed.mjs '{…, "expected": 400}'                            →  {"received": 400}
//
// Sending: `rounds` messages to the first recipient, one after the other (and the processor's seconds for each); then
// as many to all of them at once.
// Receiving: until `expected` texts that waited for it are decrypted and confirmed; the server knows when they were.

import makeWASocket, { useMultiFileAuthState } from 'baileys'

const { url, folder, keys, recipients, rounds, expected } = JSON.parse(process.argv[2])

const silent = { level: 'silent', child: () => silent }
for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal']) silent[level] = () => {}
console.log = console.info = console.warn = console.error = () => {}

const { state, saveCreds } = await useMultiFileAuthState(folder)

// The same keys without the file system: read from there once, written back when all is done.
function inMemory(files) {
	const held = new Map()
	const changed = {}
	return {
		store: () => files.set(changed),
		async get(type, ids) {
			const missing = ids.filter(id => !held.has(`${type} ${id}`))
			const found = missing.length ? await files.get(type, missing) : {}
			for (const id of missing) held.set(`${type} ${id}`, found[id])
			return Object.fromEntries(ids.map(id => [id, held.get(`${type} ${id}`)]).filter(([, value]) => value != null))
		},
		async set(data) {
			for (const type in data) {
				Object.assign((changed[type] ??= {}), data[type])
				for (const id in data[type]) held.set(`${type} ${id}`, data[type][id])
			}
		}
	}
}

const memory = keys === 'memory' ? inMemory(state.keys) : undefined
const socket = makeWASocket({
	auth: memory ? { creds: state.creds, keys: memory } : state,
	waWebSocketUrl: url,
	logger: silent,
	markOnlineOnConnect: false,
	shouldSyncHistoryMessage: () => false,
	generateHighQualityLinkPreview: false
})

socket.ev.on('creds.update', saveCreds)

const seconds = before => Number(process.hrtime.bigint() - before) / 1e9
const acks = new Map()
socket.ws.on('CB:ack,class:message', node => acks.get(node.attrs.id)?.())

async function send(number) {
	const messageId = `3EB0${Array.from({ length: 18 }, () => '0123456789ABCDEF'[Math.floor(Math.random() * 16)]).join('')}`
	const acked = new Promise(resolve => acks.set(messageId, resolve))
	await socket.sendMessage(`${number}@s.whatsapp.net`, { text: 'x'.repeat(200) }, { messageId })
	await acked
	acks.delete(messageId)
}

async function sendTo(number, times) {
	for (let round = 0; round < times; round++) await send(number)
}

async function sending() {
	for (const number of recipients) await send(number)
	await sendTo(recipients[0], 20)
	const used = process.cpuUsage()
	let before = process.hrtime.bigint()
	await sendTo(recipients[0], rounds)
	const sequential = rounds / seconds(before)
	const { user, system } = process.cpuUsage(used)
	const processor = (user + system) / 1e6 / rounds
	before = process.hrtime.bigint()
	const each = Math.ceil(rounds / recipients.length)
	await Promise.all(recipients.map(number => sendTo(number, each)))
	return { sequential, processor, parallel: (each * recipients.length) / seconds(before) }
}

function receiving() {
	let received = 0
	return new Promise(resolve => {
		socket.ev.on('messages.upsert', ({ messages }) => {
			received += messages.filter(({ key, message }) => message?.conversation && !key.fromMe).length
			if (received >= expected) resolve({ received })
		})
	})
}

const opened = new Promise(resolve => {
	socket.ev.on('connection.update', ({ connection, lastDisconnect }) => {
		if (connection === 'open') resolve()
		if (connection === 'close') {
			process.stderr.write(`the connection ended: ${lastDisconnect?.error?.stack}\n`)
			process.exit(1)
		}
	})
})
const work = expected ? receiving() : opened.then(sending)
const answer = await work
// What was decrypted is still being confirmed and stored.
await new Promise(resolve => setTimeout(resolve, 1000))
await memory?.store()
process.stdout.write(JSON.stringify(answer), () => process.exit(0))
