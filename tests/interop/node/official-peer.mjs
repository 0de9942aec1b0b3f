// The official libsignal as the other end of a conversation that a test drives. One JSON object a line: a command on
// stdin, its answer on stdout. Byte strings are hex, public keys have 33 bytes.
//
//   {"op": "reset"}                                 → {"identity"}     a new device without sessions
//   {"op": "bundle", "prekey": true}                → its prekey bundle, each with another one-time prekey
//   {"op": "init", "bundle": {…}}                   → {}               begin a session from a bundle
//   {"op": "encrypt", "plaintext": "…"}             → {"type": "msg" | "pkmsg", "body"}
//   {"op": "decrypt", "type": "…", "body": "…"}     → {"plaintext"}
//   {"op": "archive"}                               → {}               archive the current session
//   {"op": "forget"}                                → {}               forget all sessions
//   {"op": "snapshot"}                              → {"snapshot": 0}  remember session and prekeys as they are
//   {"op": "restore", "snapshot": 0}                → {}               go back to them
//   {"op": "can-send"}                              → {"yes"}          whether a session is current
//   {"op": "sends-with", "key": "…"}                → {"yes"}          whether the current session has this ratchet key
//
// A failure answers {"error": name, "reason": text}. The record is serialised after each operation by the library itself.

import { createInterface } from 'node:readline'
import {
	CiphertextMessageType,
	IdentityKeyStore,
	PreKeyBundle,
	PreKeyRecord,
	PreKeySignalMessage,
	PreKeyStore,
	PrivateKey,
	ProtocolAddress,
	PublicKey,
	SessionRecord,
	SessionStore,
	SignalMessage,
	SignedPreKeyRecord,
	SignedPreKeyStore,
	processPreKeyBundle,
	signalDecrypt,
	signalDecryptPreKey,
	signalEncrypt
} from '@signalapp/libsignal-client'

const address = ProtocolAddress.new('peer', 1)
const hex = bytes => Buffer.from(bytes).toString('hex')
const bytes = text => Buffer.from(text, 'hex')
const key = text => PublicKey.deserialize(bytes(text))

let device

class Sessions extends SessionStore {
	async saveSession(_, record) {
		device.session = record.serialize()
	}
	async getSession() {
		return record()
	}
}

class Identities extends IdentityKeyStore {
	async getIdentityKey() {
		return device.identity
	}
	async getLocalRegistrationId() {
		return device.registrationId
	}
	async saveIdentity(_, identity) {
		const known = device.peerIdentity
		device.peerIdentity = identity
		return Boolean(known) && known.compare(identity) !== 0
	}
	async isTrustedIdentity() {
		return true
	}
	async getIdentity() {
		return device.peerIdentity
	}
}

class PreKeys extends PreKeyStore {
	async getPreKey(id) {
		if (!device.prekeys.has(id)) throw new Error(`no prekey ${id}`)
		return device.prekeys.get(id)
	}
	async removePreKey(id) {
		device.prekeys.delete(id)
	}
}

class SignedPreKeys extends SignedPreKeyStore {
	async getSignedPreKey(id) {
		if (id !== 1) throw new Error(`no signed prekey ${id}`)
		return device.signed
	}
}

const sessions = new Sessions()
const identities = new Identities()
const prekeys = new PreKeys()
const signedPreKeys = new SignedPreKeys()

function reset() {
	const identity = PrivateKey.generate()
	const pair = PrivateKey.generate()
	const signature = identity.sign(pair.getPublicKey().serialize())
	device = {
		identity,
		signed: SignedPreKeyRecord.new(1, 0, pair.getPublicKey(), pair, signature),
		registrationId: 1 + Math.floor(Math.random() * 16380),
		prekeys: new Map(),
		next: 1,
		session: null,
		peerIdentity: null,
		snapshots: []
	}
	return { identity: hex(identity.getPublicKey().serialize()) }
}

function bundle({ prekey }) {
	const answer = {
		registration_id: device.registrationId,
		identity: hex(device.identity.getPublicKey().serialize()),
		signed_prekey_id: device.signed.id(),
		signed_prekey: hex(device.signed.publicKey().serialize()),
		signed_prekey_signature: hex(device.signed.signature())
	}
	if (prekey) {
		const id = device.next++
		const pair = PrivateKey.generate()
		device.prekeys.set(id, PreKeyRecord.new(id, pair.getPublicKey(), pair))
		Object.assign(answer, { prekey_id: id, prekey: hex(pair.getPublicKey().serialize()) })
	}
	return answer
}

async function init({ bundle }) {
	const offered = PreKeyBundle.new(
		bundle.registration_id,
		1,
		bundle.prekey_id ?? null,
		bundle.prekey ? key(bundle.prekey) : null,
		bundle.signed_prekey_id,
		key(bundle.signed_prekey),
		bytes(bundle.signed_prekey_signature),
		key(bundle.identity)
	)
	await processPreKeyBundle(offered, address, sessions, identities)
	return {}
}

async function encrypt({ plaintext }) {
	const message = await signalEncrypt(bytes(plaintext), address, sessions, identities)
	const type = message.type() === CiphertextMessageType.PreKey ? 'pkmsg' : 'msg'
	return { type, body: hex(message.serialize()) }
}

async function decrypt({ type, body }) {
	const plaintext =
		type === 'pkmsg'
			? await signalDecryptPreKey(
					PreKeySignalMessage.deserialize(bytes(body)),
					address,
					sessions,
					identities,
					prekeys,
					signedPreKeys
				)
			: await signalDecrypt(SignalMessage.deserialize(bytes(body)), address, sessions, identities)
	return { plaintext: hex(plaintext) }
}

function record() {
	return device.session && SessionRecord.deserialize(device.session)
}

function archive() {
	const archived = record()
	if (archived) {
		archived.archiveCurrentState()
		device.session = archived.serialize()
	}
	return {}
}

function forget() {
	device.session = null
	return {}
}

// Records are immutable buffers and keys immutable objects, so references are copies enough.
function snapshot() {
	const { session, prekeys, next } = device
	return { snapshot: device.snapshots.push({ session, prekeys: new Map(prekeys), next }) - 1 }
}

function restore({ snapshot }) {
	const { session, prekeys, next } = device.snapshots[snapshot]
	Object.assign(device, { session, prekeys: new Map(prekeys), next })
	return {}
}

function canSend() {
	return { yes: Boolean(record()?.hasCurrentState()) }
}

function sendsWith({ key: ratchetKey }) {
	return { yes: Boolean(record()?.currentRatchetKeyMatches(key(ratchetKey))) }
}

const operations = {
	reset,
	bundle,
	init,
	encrypt,
	decrypt,
	archive,
	forget,
	snapshot,
	restore,
	'can-send': canSend,
	'sends-with': sendsWith
}

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
