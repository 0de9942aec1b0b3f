// Baileys, unmodified, as a companion that a test drives. One JSON object a line, both ways.
//
//   node baileys-client.mjs '{"url": "ws://…", "folder": "where the keys are kept", "online": true}'
//
// Commands on stdin; each is answered by {"event": "done", "request", …} or {"event": "failed", "request", "reason"}:
//   {"request": 1, "command": "send", "to": "628…" or a JID, "text": "…"}       → "id"
//   {"request": 2, "command": "read", "messages": [keys of message events]}
//   {"request": 3, "command": "corrupt-sessions"}    garble every stored session → "sessions"
//   {"request": 4, "command": "forget-sessions"}     delete every stored session → "sessions"
//   {"request": 5, "command": "exists", "numbers": ["+628…"]}                    → "found"
//   {"request": 6, "command": "disconnect"}          close the socket and stay away until "connect"
//   {"request": 7, "command": "connect"}
//   {"request": 8, "command": "pairing-code", "number": "628…"}              → "code"
//   {"request": 9, "command": "quit"}
//
// Events on stdout: qr {qr}, open {jid, lid}, closed {code}, message {id, chat, other, from_me, text, offline, key},
// status {id, status}.

import { createInterface } from 'node:readline'
import makeWASocket, { DisconnectReason, proto, useMultiFileAuthState } from 'baileys'

const options = { online: false, ...JSON.parse(process.argv[2] ?? '{}') }

const silent = { level: 'silent', child: () => silent }
for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal']) {
	silent[level] = (facts, text) => {
		if (process.env.BAILEYS_LOG) process.stderr.write(`${level}: ${text ?? ''} ${describe(facts)}\n`)
	}
}
// libsignal talks to the console; stdout is for events only.
console.log = console.info = console.warn = console.error = (...facts) => silent.debug(facts.map(describe).join(' '))

function describe(value) {
	if (value instanceof Error) return value.stack
	try {
		return typeof value === 'string' ? value : JSON.stringify(value)
	} catch {
		return String(value)
	}
}

function emit(event, facts = {}) {
	process.stdout.write(JSON.stringify({ event, ...facts }) + '\n')
}

const { state, saveCreds } = await useMultiFileAuthState(options.folder)
const sent = new Map()
const STATUS = { 1: 'pending', 2: 'server-ack', 3: 'delivered', 4: 'read', 5: 'played', 0: 'error' }

let socket
let away = false

function connect() {
	socket = makeWASocket({
		auth: state,
		waWebSocketUrl: options.url,
		logger: silent,
		markOnlineOnConnect: options.online,
		// No phone of this server sends its history; waiting for it would hold back events for 20 seconds.
		shouldSyncHistoryMessage: () => false,
		generateHighQualityLinkPreview: false,
		getMessage: async key => sent.get(key.id)
	})
	socket.ev.on('creds.update', saveCreds)
	socket.ev.on('connection.update', connectionUpdate)
	socket.ev.on('messages.upsert', ({ messages, type }) => messages.forEach(message => messageArrived(message, type)))
	socket.ev.on('messages.update', updates => updates.forEach(messageUpdated))
}

function connectionUpdate({ connection, qr, lastDisconnect }) {
	if (qr) emit('qr', { qr })
	if (connection === 'open') emit('open', { jid: socket.user.id, lid: socket.user.lid })
	if (connection !== 'close') return
	const code = lastDisconnect?.error?.output?.statusCode
	emit('closed', { code, reason: lastDisconnect?.error?.message })
	const stays = away || [DisconnectReason.loggedOut, DisconnectReason.connectionReplaced].includes(code)
	if (!stays) setTimeout(connect, code === DisconnectReason.restartRequired ? 0 : 300)
}

function messageArrived({ key, message, messageStubType, messageTimestamp }, type) {
	const text = message?.conversation ?? message?.extendedTextMessage?.text
	emit('message', {
		id: key.id,
		chat: key.remoteJid,
		other: key.remoteJidAlt,
		from_me: Boolean(key.fromMe),
		text: text ?? null,
		undecryptable: messageStubType === proto.WebMessageInfo.StubType.CIPHERTEXT,
		offline: type === 'append',
		time: Number(messageTimestamp),
		key
	})
}

function messageUpdated({ key, update }) {
	if (update.message) messageArrived({ key, ...update }, 'notify')
	if (update.status !== undefined) emit('status', { id: key.id, from_me: Boolean(key.fromMe), status: STATUS[update.status] })
}

// Session names are not listed by the key store, but the folder has one file for each.
async function storedSessions() {
	const { readdir } = await import('node:fs/promises')
	const files = (await readdir(options.folder)).filter(name => name.startsWith('session-'))
	return files.map(name => name.slice('session-'.length, -'.json'.length).replace(/__/g, '/'))
}

function flipped(secret) {
	const bytes = Buffer.from(secret, 'base64')
	return Buffer.from(bytes.map(byte => byte ^ 0xff)).toString('base64')
}

function garble(record) {
	for (const session of Object.values(record._sessions)) {
		session.currentRatchet.rootKey = flipped(session.currentRatchet.rootKey)
		for (const chain of Object.values(session._chains)) {
			if (chain.chainKey.key) chain.chainKey.key = flipped(chain.chainKey.key)
			for (const index of Object.keys(chain.messageKeys)) chain.messageKeys[index] = flipped(chain.messageKeys[index])
		}
	}
	return record
}

function jidOf(to) {
	return to.includes('@') ? to : `${to.replace(/[^0-9]/g, '')}@s.whatsapp.net`
}

const commands = {
	async send({ to, text, quoted }) {
		const message = await socket.sendMessage(jidOf(to), { text }, quoted ? { quoted } : {})
		sent.set(message.key.id, message.message)
		return { id: message.key.id }
	},
	async read({ messages }) {
		await socket.readMessages(messages)
	},
	async exists({ numbers }) {
		return { found: await socket.onWhatsApp(...numbers) }
	},
	async 'corrupt-sessions'() {
		const names = await storedSessions()
		const records = await state.keys.get('session', names)
		for (const name of names) records[name] = garble(records[name])
		await state.keys.set({ session: records })
		return { sessions: names }
	},
	async 'forget-sessions'() {
		const names = await storedSessions()
		await state.keys.set({ session: Object.fromEntries(names.map(name => [name, null])) })
		return { sessions: names }
	},
	async 'pairing-code'({ number }) {
		return { code: await socket.requestPairingCode(number) }
	},
	async disconnect() {
		away = true
		socket.end(undefined)
	},
	async connect() {
		away = false
		connect()
	},
	async quit() {
		away = true
		socket.end(undefined)
		setTimeout(() => process.exit(0), 50)
	}
}

process.on('uncaughtException', error => emit('crash', { reason: String(error?.stack ?? error) }))
process.on('unhandledRejection', error => emit('crash', { reason: String(error?.stack ?? error) }))

connect()

for await (const line of createInterface({ input: process.stdin })) {
	const { request, command, ...rest } = JSON.parse(line)
	Promise.resolve()
		.then(() => commands[command](rest))
		.then(facts => emit('done', { request, ...facts }))
		.catch(error => emit('failed', { request, reason: String(error?.stack ?? error) }))
}
process.exit(0)
