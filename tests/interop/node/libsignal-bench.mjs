// How long libsignal-node takes: two of its devices talk to each other, and each call is timed by itself.
//
//   {"rounds": 2000, "bytes": 200, "stored": false} on stdin  →  {"encrypt": µs, …} (medians) on stdout
//
// With "stored", each call starts from and ends with the session as JSON, as Baileys keeps it; else it stays live.

import { readFileSync } from 'node:fs'
import libsignal from 'libsignal'

const { SessionBuilder, SessionCipher, SessionRecord, ProtocolAddress, keyhelper } = libsignal
console.log = console.info = console.warn = console.error = () => {}

const { rounds, bytes, stored } = JSON.parse(readFileSync(0))
const plaintext = Buffer.alloc(bytes, 'x')

class Device {
	constructor(name) {
		this.address = new ProtocolAddress(name, 0)
		this.identity = keyhelper.generateIdentityKeyPair()
		this.signed = keyhelper.generateSignedPreKey(this.identity, 1)
		this.prekey = keyhelper.generatePreKey(1)
		this.registrationId = 1
		this.session = null
		this.storage = {
			loadSession: () => (stored && this.session ? SessionRecord.deserialize(JSON.parse(this.session)) : this.session),
			storeSession: (_, record) => {
				this.session = stored ? JSON.stringify(record.serialize()) : record
			},
			isTrustedIdentity: () => true,
			loadPreKey: () => this.prekey.keyPair,
			removePreKey: () => {},
			loadSignedPreKey: () => this.signed.keyPair,
			getOurIdentity: () => this.identity,
			getOurRegistrationId: () => this.registrationId
		}
	}

	bundle() {
		return {
			registrationId: 1,
			identityKey: this.identity.pubKey,
			signedPreKey: { keyId: 1, publicKey: this.signed.keyPair.pubKey, signature: this.signed.signature },
			preKey: { keyId: 1, publicKey: this.prekey.keyPair.pubKey }
		}
	}

	start(peer) {
		return new SessionBuilder(this.storage, peer.address).initOutgoing(peer.bundle())
	}

	say(peer) {
		return new SessionCipher(this.storage, peer.address).encrypt(plaintext)
	}

	hear(peer, { type, body }) {
		const cipher = new SessionCipher(this.storage, peer.address)
		return type === 3 ? cipher.decryptPreKeyWhisperMessage(body) : cipher.decryptWhisperMessage(body)
	}
}

async function timed(times, call) {
	const before = process.hrtime.bigint()
	const result = await call()
	times.push(Number(process.hrtime.bigint() - before) / 1000)
	return result
}

function median(times) {
	return times.sort((a, b) => a - b)[times.length >> 1]
}

async function acquainted() {
	const [ada, ben] = [new Device('ada'), new Device('ben')]
	await ada.start(ben)
	await ben.hear(ada, await ada.say(ben))
	await ada.hear(ben, await ben.say(ada))
	await ben.hear(ada, await ada.say(ben))
	return [ada, ben]
}

const times = { encrypt: [], decrypt: [], turn: [], start: [] }

for (let warm = 0; warm < 2; warm++) {
	for (const list of Object.values(times)) list.length = 0
	// A conversation every so often anew: the library keeps every chain, and grows slower with each turn.
	for (let round = 0; round < rounds; round++) {
		if (round % 100 === 0) var [ada, ben] = await acquainted()
		const message = await timed(times.encrypt, () => ada.say(ben))
		await timed(times.decrypt, () => ben.hear(ada, message))
	}
	for (let round = 0; round < rounds / 4; round++) {
		if (round % 5 === 0) [ada, ben] = await acquainted()
		const ping = await ada.say(ben)
		await timed(times.turn, () => ben.hear(ada, ping))
		const pong = await ben.say(ada)
		await timed(times.turn, () => ada.hear(ben, pong))
	}
	for (let round = 0; round < rounds / 10; round++) {
		ada.session = null
		await timed(times.start, async () => {
			await ada.start(ben)
			await ada.say(ben)
		})
	}
}

process.stdout.write(JSON.stringify(Object.fromEntries(Object.entries(times).map(([name, list]) => [name, median(list)]))))
