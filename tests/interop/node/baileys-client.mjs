// Baileys, unmodified, as a companion that a test drives. One JSON object a line, both ways.
//
//   node baileys-client.mjs '{"url": "ws://…", "folder": "where the keys are kept", "online": true}'
//
// Commands on stdin; each is answered by {"event": "done", "request", …} or {"event": "failed", "request", "reason"}:
//   {"request": 1, "command": "send", "to": "628…" or a JID, "text": "…", "quoted": a message event}  → "id"
//   {"request": 2, "command": "read", "messages": [keys of message events]}
//   {"request": 3, "command": "corrupt-sessions", "only": "…"}  garble every stored session, or one → "sessions"
//   {"request": 4, "command": "forget-sessions"}     delete every stored session → "sessions"
//   {"request": 5, "command": "exists", "numbers": ["+628…"]}                    → "found"
//   {"request": 6, "command": "disconnect"}          close the socket and stay away until "connect"
//   {"request": 7, "command": "connect"}
//   {"request": 8, "command": "pairing-code", "number": "628…"}              → "code"
//   {"request": 9, "command": "download", "id": of a message event}             → "sha256", "told", "length", "base64"
//   {"request": 10, "command": "send-file", "to", "kind": "image" or "document", "path", "caption", "file_name", "mimetype"}
//   {"request": 11, "command": "edit", "to", "id", "text"}, {"command": "react", "to", "key", "text"}
//   {"request": 12, "command": "create-group", "subject", "members": ["628…"]}   → "group"
//   {"request": 13, "command": "change-group", "group", "action": "add" or "remove", "members"}
//   {"request": 14, "command": "leave-group", "group"}
//   {"request": 15, "command": "forget-sender-keys"}   delete every key of others in groups, and our own → "keys"
//   {"request": 16, "command": "send-content", "to", "content": what sendMessage takes}                    → "id"
//   {"request": 17, "command": "quit"}
//
// Events on stdout: qr {qr}, open {jid, lid}, closed {code}, message {id, chat, other, from_me, text, offline, key},
// status {id, status}, edit {id, text}, reaction {id, text}. A message also says what kind it is and what it tells of
// its file, what it quotes and which link it previews.

import { createInterface } from 'node:readline'
import { createHash } from 'node:crypto'
import makeWASocket, {
	DisconnectReason,
	downloadMediaMessage,
	generateMessageIDV2,
	getContentType,
	normalizeMessageContent,
	proto,
	useMultiFileAuthState
} from 'baileys'

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
const arrived = new Map()
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
	socket.ev.on('messages.reaction', reactions =>
		reactions.forEach(({ key, reaction }) => emit('reaction', { id: key.id, from_me: Boolean(key.fromMe), text: reaction.text }))
	)
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

function messageArrived({ key, message, messageStubType, messageTimestamp, ...more }, type) {
	const text = message?.conversation ?? message?.extendedTextMessage?.text
	arrived.set(key.id, { key, message })
	emit('message', {
		...contentOf(message),
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
	// A refusal that comes while the message itself is still being told of is told with it.
	if (key.fromMe && more.status === proto.WebMessageInfo.Status.ERROR) {
		emit('status', { id: key.id, from_me: true, status: STATUS[more.status] })
	}
}

function contentOf(message) {
	const content = normalizeMessageContent(message)
	const kind = getContentType(content)
	const inner = content?.[kind] ?? {}
	return {
		kind,
		caption: inner.caption ?? null,
		mimetype: inner.mimetype,
		file_name: inner.fileName,
		width: inner.width,
		height: inner.height,
		quoted_id: inner.contextInfo?.stanzaId,
		quoted_by: inner.contextInfo?.participant,
		quoted: inner.contextInfo?.quotedMessage?.conversation,
		timer: inner.contextInfo?.expiration,
		timer_set_at: inner.contextInfo?.ephemeralSettingTimestamp ? Number(inner.contextInfo.ephemeralSettingTimestamp) : undefined,
		timer_mode: inner.contextInfo?.disappearingMode ?? undefined,
		preview: inner.matchedText ? { matched: inner.matchedText, title: inner.title, description: inner.description } : undefined
	}
}

function messageUpdated({ key, update }) {
	if (update.message?.editedMessage) {
		const edited = update.message.editedMessage.message
		emit('edit', { id: key.id, text: edited.conversation ?? edited.extendedTextMessage?.text })
	} else if (update.message) messageArrived({ key, ...update }, 'notify')
	if (update.status !== undefined) emit('status', { id: key.id, from_me: Boolean(key.fromMe), status: STATUS[update.status] })
}

// Names of keys are not listed by the key store, but the folder has one file for each.
async function stored(kind) {
	const { readdir } = await import('node:fs/promises')
	const files = (await readdir(options.folder)).filter(name => new RegExp(`^${kind}-(?!memory)`).test(name))
	return files.map(name => name.slice(kind.length + 1, -'.json'.length).replace(/__/g, '/').replace(/-/g, ':'))
}

const storedSessions = async () => stored('session')

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
		// The request to send it again may come before sendMessage returns.
		const messageId = generateMessageIDV2()
		sent.set(messageId, { extendedTextMessage: { text } })
		const answered = quoted ? { quoted: { message: { conversation: quoted.text }, ...quoted } } : {}
		const message = await socket.sendMessage(jidOf(to), { text }, { ...answered, messageId })
		sent.set(messageId, message.message)
		return { id: message.key.id }
	},
	async download({ id }) {
		const message = arrived.get(id)
		const file = await downloadMediaMessage(message, 'buffer', {})
		const content = normalizeMessageContent(message.message)
		return {
			sha256: createHash('sha256').update(file).digest('hex'),
			told: Buffer.from(content[getContentType(content)].fileSha256).toString('hex'),
			length: file.length,
			base64: file.toString('base64')
		}
	},
	async 'send-file'({ to, kind, path, caption, file_name, mimetype }) {
		const content = { [kind]: { url: path }, caption, fileName: file_name, mimetype, jpegThumbnail: kind === 'image' ? '' : undefined }
		const message = await socket.sendMessage(jidOf(to), content)
		sent.set(message.key.id, message.message)
		return { id: message.key.id }
	},
	async edit({ to, id, text }) {
		await socket.sendMessage(jidOf(to), { text, edit: { remoteJid: jidOf(to), fromMe: true, id } })
	},
	async 'send-content'({ to, content }) {
		const message = await socket.sendMessage(jidOf(to), content)
		sent.set(message.key.id, message.message)
		return { id: message.key.id }
	},
	async react({ to, key, text }) {
		const message = await socket.sendMessage(jidOf(to), { react: { text, key } })
		return { id: message.key.id }
	},
	async read({ messages }) {
		await socket.readMessages(messages)
	},
	async exists({ numbers }) {
		return { found: await socket.onWhatsApp(...numbers) }
	},
	async 'corrupt-sessions'({ only }) {
		const names = (await storedSessions()).filter(name => !only || name === only)
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
	async 'create-group'({ subject, members }) {
		return { group: (await socket.groupCreate(subject, members.map(jidOf))).id }
	},
	async 'change-group'({ group, action, members }) {
		return { changed: await socket.groupParticipantsUpdate(group, members.map(jidOf), action) }
	},
	async 'leave-group'({ group }) {
		await socket.groupLeave(group)
	},
	async 'forget-sender-keys'() {
		const names = await stored('sender-key')
		await state.keys.set({ 'sender-key': Object.fromEntries(names.map(name => [name, null])) })
		return { keys: names }
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
