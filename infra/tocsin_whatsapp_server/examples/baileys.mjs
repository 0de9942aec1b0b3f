// Baileys against tocsin-whatsapp: two phones, one linked to Baileys, a message each way.
//
//   npm install baileys@7.0.0-rc14
//   node baileys.mjs "$(tocsin-whatsapp …'s line)"

import { tmpdir } from 'node:os'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import makeWASocket, { DisconnectReason, useMultiFileAuthState } from 'baileys'

const server = JSON.parse(process.argv[2])
const SITI = '6281200000001', BUDI = '6281200000002'

async function control(path, body) {
	const answer = await fetch(server.control + path, body && { method: 'POST', body: JSON.stringify(body) })
	if (!answer.ok) throw new Error(await answer.text())
	return answer.json()
}

await control('/phones', { number: SITI, name: 'Siti' })
await control('/phones', { number: BUDI, name: 'Budi', reads: true })

const { state, saveCreds } = await useMultiFileAuthState(await mkdtemp(join(tmpdir(), 'baileys-')))
const silent = { level: 'silent', child: () => silent, trace() {}, debug() {}, info() {}, warn() {}, error() {} }

function connect() {
	const socket = makeWASocket({ auth: state, waWebSocketUrl: server.url, logger: silent, shouldSyncHistoryMessage: () => false })
	socket.ev.on('creds.update', saveCreds)
	socket.ev.on('connection.update', async ({ connection, qr, lastDisconnect }) => {
		if (qr) await control(`/phones/${SITI}/link`, { qr })      // what scanning it does
		if (connection === 'open') await talk(socket)
		if (lastDisconnect?.error?.output?.statusCode === DisconnectReason.restartRequired) connect()
	})
	socket.ev.on('messages.upsert', ({ messages: [{ key, message }] }) => {
		if (key.fromMe) return
		console.log('Siti reads:', message?.conversation ?? message?.extendedTextMessage?.text)
		process.exit(0)
	})
}

async function talk(socket) {
	await socket.sendMessage(`${BUDI}@s.whatsapp.net`, { text: 'Selamat pagi' })
	const { messages: [shown] } = await control(`/phones/${BUDI}/messages?wait=10`)
	console.log('Budi reads:', shown.text)
	await control(`/phones/${BUDI}/messages`, { to: SITI, text: 'Pagi juga' })
}

connect()
