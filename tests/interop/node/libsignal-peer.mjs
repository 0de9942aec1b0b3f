// libsignal-node as the other end of a conversation that a test drives. One JSON object a line: a command on stdin,
// its answer on stdout. Byte strings are hex, public keys have 33 bytes.
//
//   {"op": "reset", "copies": false}                → {"identity"}     a new device without sessions
//   {"op": "bundle", "prekey": true}                → its prekey bundle, each with another one-time prekey
//   {"op": "init", "bundle": {…}}                   → {}               begin a session from a bundle
//   {"op": "encrypt", "plaintext": "…"}             → {"type": "msg" | "pkmsg", "body"}
//   {"op": "decrypt", "type": "…", "body": "…"}     → {"plaintext"}
//
// A failure answers {"error": name, "reason": text}. Sessions are serialised after each operation, as Baileys does it.
// The library changes each session that it tries, and stores the damage when a later one fits; with "copies", every
// session is tried on a copy of its own, so that conversations with several sessions survive on this end.

import { createInterface } from 'node:readline'
import libsignal from 'libsignal'

const { SessionBuilder, SessionCipher, SessionRecord, ProtocolAddress, keyhelper } = libsignal

// The library talks to the console; stdout is for answers only.
console.log = console.info = console.warn = console.error = () => {}

const address = new ProtocolAddress('peer', 0)
const hex = bytes => Buffer.from(bytes).toString('hex')
const bytes = text => Buffer.from(text, 'hex')

let device

function reset({ copies }) {
	const identity = keyhelper.generateIdentityKeyPair()
	const signed = keyhelper.generateSignedPreKey(identity, 1)
	device = { copies, identity, signed, registrationId: 1 + keyhelper.generateRegistrationId(), prekeys: new Map(), session: null, next: 1 }
	return { identity: hex(identity.pubKey) }
}

// What the library asks of its storage; `session` is the stored form of one record.
function storage(holder) {
	return {
		loadSession: () => holder.session && SessionRecord.deserialize(holder.session),
		storeSession: (_, record) => {
			holder.session = structuredClone(record.serialize())
		},
		isTrustedIdentity: () => true,
		loadPreKey: id => device.prekeys.get(id),
		removePreKey: id => device.prekeys.delete(id),
		loadSignedPreKey: id => (id === 1 ? device.signed.keyPair : undefined),
		getOurIdentity: () => device.identity,
		getOurRegistrationId: () => device.registrationId
	}
}

function bundle({ prekey }) {
	const { identity, signed, registrationId } = device
	const answer = {
		registration_id: registrationId,
		identity: hex(identity.pubKey),
		signed_prekey_id: signed.keyId,
		signed_prekey: hex(signed.keyPair.pubKey),
		signed_prekey_signature: hex(signed.signature)
	}
	if (prekey) {
		const { keyId, keyPair } = keyhelper.generatePreKey(device.next++)
		device.prekeys.set(keyId, keyPair)
		Object.assign(answer, { prekey_id: keyId, prekey: hex(keyPair.pubKey) })
	}
	return answer
}

async function init({ bundle }) {
	await new SessionBuilder(storage(device), address).initOutgoing({
		registrationId: bundle.registration_id,
		identityKey: bytes(bundle.identity),
		signedPreKey: {
			keyId: bundle.signed_prekey_id,
			publicKey: bytes(bundle.signed_prekey),
			signature: bytes(bundle.signed_prekey_signature)
		},
		preKey: bundle.prekey && { keyId: bundle.prekey_id, publicKey: bytes(bundle.prekey) }
	})
	return {}
}

async function encrypt({ plaintext }) {
	const { type, body } = await new SessionCipher(storage(device), address).encrypt(bytes(plaintext))
	return { type: type === 3 ? 'pkmsg' : 'msg', body: hex(body) }
}

async function decrypt({ type, body }) {
	if (type === 'pkmsg') {
		return { plaintext: hex(await new SessionCipher(storage(device), address).decryptPreKeyWhisperMessage(bytes(body))) }
	}
	if (!device.copies || !device.session) {
		return { plaintext: hex(await new SessionCipher(storage(device), address).decryptWhisperMessage(bytes(body))) }
	}
	let failure
	for (const key of Object.keys(device.session._sessions)) {
		const alone = { session: structuredClone({ ...device.session, _sessions: { [key]: device.session._sessions[key] } }) }
		try {
			const plaintext = await new SessionCipher(storage(alone), address).decryptWhisperMessage(bytes(body))
			device.session._sessions[key] = alone.session._sessions[key]
			return { plaintext: hex(plaintext) }
		} catch (error) {
			failure = error
		}
	}
	throw failure
}

const operations = { reset, bundle, init, encrypt, decrypt }

for await (const line of createInterface({ input: process.stdin })) {
	const command = JSON.parse(line)
	let answer
	try {
		answer = await operations[command.op](command)
	} catch (error) {
		answer = { error: error.name, reason: error.message }
	}
	process.stdout.write(JSON.stringify(answer) + '\n')
}
